package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"rollbook/internal/oneroster"
)

// A Veil puts pseudonyms in the place of what names or describes a person, in what is told of
// a service: the same text gets the same pseudonym under the same key. What a mistake is
// recognised by stays: lengths, letter case, signs, an address as an address, a date as a date,
// a value that an enumeration does not have. So do ids, by which a row is found again. A nil
// Veil changes nothing.
type Veil struct{ key []byte }

// NewVeil makes a Veil. Who has the key can find out whether a pseudonym is that of a name.
func NewVeil(key string) *Veil { return &Veil{[]byte(key)} }

// own are words of whoever asks, in values that nobody has.
var own = []string{"AND", "OR", "NORECORDS", "NOBODY"}

var parted = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`&#?\w+;|\(left out\)|\p{L}[\p{L}\p{M}]*|\d+`)
})

// Name is the pseudonym of a text: other letters and digits, word by word.
func (v *Veil) Name(text string) string {
	if v == nil {
		return text
	}
	rest := ""
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		if dot := strings.LastIndexByte(text[at:], '.'); dot > 0 {
			text, rest = text[:at+dot], text[at+dot:]
		}
	}
	return parted().ReplaceAllStringFunc(text, v.word) + rest
}

func (v *Veil) word(word string) string {
	if word[0] == '&' || word[0] == '(' || slices.Contains(own, strings.ToUpper(word)) {
		return word
	}
	hash := hmac.New(sha256.New, v.key)
	hash.Write([]byte(strings.ToLower(word)))
	sum := hash.Sum(nil)
	at := -1
	return strings.Map(func(c rune) rune {
		at++
		b := int(sum[at%len(sum)]) + at/len(sum)*7
		switch {
		case c >= '0' && c <= '9':
			return '0' + rune(b%10)
		case c > unicode.MaxASCII:
			return alike(c, b)
		}
		fresh := rune(("bdfghklmnprstvz")[b%15])
		if at%2 == 1 {
			fresh = rune(("aeiou")[b%5])
		}
		if unicode.IsUpper(c) {
			return unicode.ToUpper(fresh)
		}
		return fresh
	}, word)
}

// alike is a letter of the same writing, case and kind.
func alike(c rune, by int) rune {
	block := c &^ 31
	for i := range rune(32) {
		d := block + (c+rune(by)+i)&31
		if d != c && unicode.IsLetter(d) == unicode.IsLetter(c) && unicode.IsUpper(d) == unicode.IsUpper(c) &&
			unicode.IsMark(d) == unicode.IsMark(c) {
			return d
		}
	}
	return c
}

// value is what is shown of a field's value.
func (v *Veil) value(f *oneroster.Field, text string) string {
	switch {
	case f.Kind == oneroster.Bool && (text == "true" || text == "false"):
		return "true|false"
	case slices.Contains(f.Enum, text):
		return strings.Join(f.Enum, "|")
	case f.Kind == oneroster.Bool, f.Kind == oneroster.Enum:
		return text // that it is wrong is what there is to tell
	case f.Kind == oneroster.Date && daylike().MatchString(text):
		return v.day(text[:len(oneroster.DateLayout)]) + text[len(oneroster.DateLayout):]
	}
	return v.Name(text)
}

var daylike = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d{4}-\d\d-\d\d`) })

// day is another date of the years about, or of no year where there is no such month, or day of
// it: what is wrong then stays.
func (v *Veil) day(text string) string {
	at, err := time.Parse(oneroster.DateLayout, text)
	if err != nil {
		return v.Name(text[:4]) + text[4:]
	}
	n := 0
	for _, c := range v.word(strings.ReplaceAll(text, "-", "")) {
		n = (10*n + int(c-'0')) % 3653
	}
	return time.Date(at.Year()-at.Year()%10, 1, 1+n, 0, 0, 0, 0, time.UTC).Format(oneroster.DateLayout)
}

// fields are those of the standard by name, the personal ones where a name is of two.
var fields = sync.OnceValue(func() map[string]*oneroster.Field {
	out := map[string]*oneroster.Field{}
	for _, r := range oneroster.Resources() {
		for i := range r.Fields {
			if f := &r.Fields[i]; out[f.Name] == nil || f.Personal {
				out[f.Name] = f
			}
		}
	}
	return out
})

var (
	anything = &oneroster.Field{Personal: true} // what is no field of the standard
	linking  = []string{"sourcedId", "href", "type", "status"}
	errs     = []string{"error", "error_description", "message", "detail", "details", "title", "description",
		"code"}
)

// aboutPeople tells whether rows of a resource name or describe people.
func aboutPeople(of *oneroster.Resource) bool {
	return of != nil && slices.ContainsFunc(of.Fields, func(f oneroster.Field) bool { return f.Personal })
}

// personal is the field that a member is, where it is one to be veiled; of is nil where it is
// not known what the rows are.
func personal(name string, of *oneroster.Resource) *oneroster.Field {
	if f := fields()[name]; f != nil && f.Personal {
		return f
	}
	switch {
	case !aboutPeople(of), slices.Contains(errs, name), strings.HasPrefix(name, "imsx_"):
		return nil
	case name == "metadata", of.Index(name) < 0:
		return anything
	}
	return nil
}

// Body is an answer, or the beginning of one, with rows of a resource, or nil where it is not
// known of what.
func (v *Veil) Body(text []byte, of *oneroster.Resource) []byte {
	start := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if v == nil || len(start) == 0 {
		return text
	}
	if start[0] != '{' && start[0] != '[' {
		return []byte(v.Text(string(text), of))
	}
	return v.within(level{}, text, of)
}

// Member is the value of a member of a row, as it came or as JSON.
func (v *Veil) Member(name, value string, of *oneroster.Resource) string {
	field := personal(name, of)
	switch {
	case v == nil || name == "" || value == "" || value == "null" || field == nil:
		return value // "null" is told of what is missing
	case strings.ContainsRune(`"[{`, rune(value[0])):
		return string(v.within(level{object: true, key: name}, []byte(value), of))
	}
	return v.value(field, value)
}

// Error is an error whose text quotes what came. What was asked for, as somebody wrote it, stays.
func (v *Veil) Error(err error, asked ...string) error {
	if v == nil || err == nil {
		return err
	}
	text := v.Text(err.Error(), nil)
	for _, words := range asked {
		if words != "" {
			text = strings.ReplaceAll(text, v.Name(words), words)
		}
	}
	return veiled{err, text}
}

type veiled struct {
	error
	text string
}

func (e veiled) Error() string { return e.text }
func (e veiled) Unwrap() error { return e.error }

// A level is an object or a list that is not closed yet.
type level struct {
	object bool
	key    string           // of the member at hand
	field  *oneroster.Field // all in it is of this one; nil: each member is what its name says
}

var jsonToken = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`"(?:[^"\\]|\\.)*(?:"|\\?$)|[-+.\w]+|[][{}:,]`)
})

// within veils the strings, and numbers, of a JSON text, be it cut off.
func (v *Veil) within(outer level, text []byte, of *oneroster.Resource) []byte {
	stack, awaited, last := []level{outer}, false, 0 // awaited: a member's name is
	var out []byte
	for _, at := range jsonToken().FindAllIndex(text, -1) {
		token, top := text[at[0]:at[1]], &stack[len(stack)-1]
		field := top.field
		if top.object && (field == nil || slices.Contains(linking, top.key)) {
			field = nil
			if !slices.Contains(linking, top.key) {
				field = personal(top.key, of)
			}
		}
		out = append(out, text[last:at[0]]...)
		last = at[1]
		switch c := token[0]; {
		case c == '{', c == '[':
			if field == anything && top.key != "metadata" && top.field == nil {
				field = nil // under a wrong name may be whole rows
			}
			stack = append(stack, level{object: c == '{', key: top.key, field: field})
			awaited = c == '{'
		case c == '}' || c == ']':
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case c == ',':
			awaited = top.object
		case c == ':':
			awaited = false
		case c == '"' && awaited:
			_ = json.Unmarshal(token, &top.key) // one that cannot be read is no name that is known
		default:
			token = v.scalar(token, field, top.key, of)
		}
		out = append(out, token...)
	}
	return append(out, text[last:]...)
}

func (v *Veil) scalar(token []byte, field *oneroster.Field, key string, of *oneroster.Resource) []byte {
	switch word := string(token); {
	case token[0] != '"' && (field == nil || word == "null"):
	case token[0] != '"':
		return []byte(v.value(field, word))
	case field == nil && slices.Contains(linking, key):
	case field == nil:
		return []byte(v.Text(word, of))
	default:
		inner, whole := strings.CutSuffix(word[1:], `"`)
		if whole = whole && json.Valid(token); !whole { // cut off, maybe behind the quote of an escape
			inner = word[1:]
		}
		token = []byte(`"` + v.quoted(field, inner))
		if whole {
			token = append(token, '"')
		}
	}
	return token
}

// quoted is what is shown of a field's value as JSON writes it between quotes, be it cut off: what is
// escaped there is a letter of its own.
func (v *Veil) quoted(field *oneroster.Field, inner string) string {
	var text string
	for inner != "" && json.Unmarshal([]byte(`"`+inner+`"`), &text) != nil {
		at := strings.LastIndexByte(inner, '\\')
		if at < 0 || strings.HasSuffix(inner, `"`) {
			return v.value(field, inner) // it is not of JSON
		}
		inner = inner[:at]
	}
	out := oneroster.AppendString(nil, v.value(field, text))
	return string(out[1 : len(out)-1])
}

// In prose a name is followed by values in quotes; in filters by a predicate.
const (
	predicate = `(?:%20|\+| )*(?:[=!<>~]|%3[CDEcde]|%21|%7[Ee])+(?:%20|\+| )*`
	mark      = `(?:'|%27|‘|’|%E2%80%9[89])`
	follows   = `(?:$|[&>),;:…"]|%29| with | [a-z(]|(?:%20|\+| )+(?:AND|OR|and|or)\b)`
)

var spoken = sync.OnceValue(func() *regexp.Regexp {
	var names []string
	for name, f := range fields() {
		if f.Personal {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)(` + predicate + `)(?:(` + mark + `)(.*?)(` +
		mark + follows + `|$)|([^'"&\s%]+))` +
		`|([\p{L}\p{N}._+-]+(?:@|%40)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+)` +
		`|("(?:[^"\\]|\\.)*(?:"|\\?$))|([A-Za-z_]\w*|-?\d[\d.]*)`)
})

// Text is a sentence, a header or a request with what they say of people. Values stand in
// quotes, after the name of their field, or are addresses.
func (v *Veil) Text(text string, of *oneroster.Resource) string {
	out, _ := v.said(text, of)
	return out
}

// Asked is a request, and pairs of what it named and the pseudonym of that: a server may say
// it again in any form.
func (v *Veil) Asked(request string) (text string, said []string) { return v.said(request, nil) }

func (v *Veil) said(text string, of *oneroster.Resource) (string, []string) {
	if v == nil || !strings.ContainsAny(text, `"@%=~<>`) && !strings.Contains(text, " is ") {
		return text, nil // most texts say nothing of a person
	}
	var out strings.Builder
	var pairs []string
	var field *oneroster.Field // that was spoken of last
	if name, _, _ := strings.Cut(text, " of "); aboutPeople(of) && strings.Contains(text, " differs: ") {
		field = personal(name, of)
	}
	last := 0
	for _, m := range spoken().FindAllStringSubmatchIndex(text, -1) {
		part := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return text[m[2*n]:m[2*n+1]]
		}
		out.WriteString(text[last:m[0]])
		last = m[1]
		fresh := text[m[0]:m[1]]
		switch {
		case part(1) != "":
			field = fields()[part(1)]
			value := part(4) + part(6)
			known := value
			if plain, err := url.QueryUnescape(value); err == nil && strings.Contains(value, "%") {
				known = plain
			}
			veiled := known
			if field.Kind != oneroster.Bool && field.Kind != oneroster.Enum { // a word of the standard is nobody's
				veiled = v.value(field, known)
			}
			if veiled != known && len(known) > 2 {
				pairs = append(pairs, known, veiled)
			}
			if known != value {
				veiled = strings.ReplaceAll(url.QueryEscape(veiled), "+", "%20")
			}
			fresh = part(1) + part(2) + part(3) + veiled + part(5)
		case part(7) != "":
			fresh = v.Name(part(7))
			if plain := strings.Replace(part(7), "%40", "@", 1); plain != part(7) {
				fresh = strings.Replace(v.Name(plain), "@", "%40", 1)
			}
		case part(8) != "":
			inner := strings.TrimSuffix(fresh[1:], `"`)
			name := fields()[inner]
			switch {
			case name != nil:
				field = name
			case field != nil && (field.Personal || field.Name == "metadata" && aboutPeople(of)):
				fresh = strings.Replace(fresh, inner, v.quoted(field, inner), 1)
			default:
				quoted, more := v.said(inner, of)
				fresh, pairs = strings.Replace(fresh, inner, quoted, 1), append(pairs, more...)
			}
		default:
			before := out.String()
			if name := fields()[part(9)]; name != nil {
				field = name
			} else if field != nil && field.Personal && (strings.HasSuffix(before, field.Name+" is ") ||
				strings.HasSuffix(before, field.Name+": ")) &&
				(part(9) == "true" || part(9) == "false" || unicode.IsDigit(rune(part(9)[0]))) {
				fresh = v.value(field, part(9))
			}
		}
		out.WriteString(fresh)
	}
	out.WriteString(text[last:])
	return out.String(), pairs
}
