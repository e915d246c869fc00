package intake

import (
	"strings"
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

// garbled tells a text that lost its letters beyond ASCII on the way: José that is
// now JosÃ©, Jos?, Jos� or Jos. One that is written without accents, Jose, is none.
func garbled(was, is string) bool {
	if !beyond(was) || is == "" {
		return false
	}
	for _, sign := range []string{"?", "\ufffd"} {
		if strings.Count(is, sign) > strings.Count(was, sign) {
			return true
		}
	}
	plain, left := ascii(was)
	same, others := ascii(is)
	return plain == same && (others == 0 || others > left)
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
		}
	}
}
