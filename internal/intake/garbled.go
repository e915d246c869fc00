package intake

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollbook/internal/oneroster"
)

// beyond tells whether a text has letters beyond ASCII.
func beyond(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// marked tells whether a text has characters that HTML writes otherwise.
func marked(text string) bool {
	for i := range len(text) {
		switch text[i] {
		case '&', '\'', '"', '<', '>':
			return true
		}
	}
	return false
}

// entity is a character as HTML writes it: &#233; or &eacute;.
var entity = regexp.MustCompile(`&(#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z]+);`)

func escaped(was, is string) bool {
	return strings.Contains(is, "&") && len(entity.FindAllString(is, -1)) > len(entity.FindAllString(was, -1))
}

// garbled tells a text that lost its letters beyond ASCII on the way: José that is
// now JosÃ©, Jos?, Jos�, Jos¿, Jos_, Jos&#233; or Jos. One that is written without accents, Jose,
// is none, nor one whose dashes are underscores now.
func garbled(was, is string) bool {
	if !beyond(was) || is == "" {
		return false
	}
	for _, sign := range []string{"?", "\ufffd"} {
		if strings.Count(is, sign) > strings.Count(was, sign) {
			return true
		}
	}
	for _, sign := range []string{"¿", "_"} {
		if strings.Count(is, sign) > strings.Count(was, sign) && foreign(is) < foreign(was) {
			return true
		}
	}
	plain, left := ascii(was)
	same, others := ascii(is)
	return escaped(was, is) || plain == same && (others == 0 || others > left)
}

// foreign counts the letters beyond ASCII.
func foreign(text string) (n int) {
	for _, c := range text {
		if c >= utf8.RuneSelf && unicode.IsLetter(c) {
			n++
		}
	}
	return n
}

// ascii is what is left of a text without letters beyond ASCII, and how many those
// are.
func ascii(text string) (plain string, others int) {
	return strings.Map(func(c rune) rune {
		if c >= utf8.RuneSelf {
			others++
			return -1
		}
		return c
	}, text), others
}

func (j *judgement) guardGarbled() {
	for _, r := range oneroster.Resources() {
		if j.changes[r] == nil || j.Imported(r) == 0 {
			continue
		}
		for i, f := range r.Fields {
			of := j.sum(share{of: r}, func(f *fields) int { return f.beyond[i] })
			n := j.sum(share{of: r}, func(f *fields) int { return f.garbled[i] })
			j.judge("garbled", r.Plural, n, of, j.limits.of("guard-garbled"), count(n, of, r.Plural)+
				" with letters beyond ASCII in "+f.Name+
				" would lose them: look at the encoding of the file")
			of = j.sum(share{of: r}, func(f *fields) int { return f.marked[i] })
			n = j.sum(share{of: r}, func(f *fields) int { return f.escaped[i] })
			j.judge("garbled", r.Plural, n, of, j.limits.of("guard-garbled"), count(n, of, r.Plural)+
				" with quotes or ampersands in "+f.Name+
				" would have them as HTML writes them, such as &#39;: look at the program that wrote the file")
		}
	}
}
