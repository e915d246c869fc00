package query

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"rollbook/internal/oneroster"
)

// Bounds of a filter.
const (
	MaxFilter  = 4096 // bytes, decoded
	MaxClauses = 50
	// MaxConditions counts the values of lists too, each of which is one.
	MaxConditions = 100
)

// ParseFilter reads a decoded filter: field predicate 'value', joined by AND
// and OR in any letter case, AND binding tighter. Blank is everything.
func ParseFilter(r *oneroster.Resource, text string) (Expr, error) {
	if strings.TrimSpace(text) == "" {
		return Expr{}, nil
	}
	if len(text) > MaxFilter {
		return Expr{}, bad("filter is %d bytes long; at most %d are read", len(text), MaxFilter)
	}
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00"+oneroster.ListSep+oneroster.PartSep) {
		return Expr{}, bad("filter is not UTF-8 text, or holds control characters")
	}
	s := &scanner{text: text}
	var alternatives, chain []Expr
	for n := 1; ; n++ {
		if n > MaxClauses {
			return Expr{}, bad("filter has more than %d clauses", MaxClauses)
		}
		c, err := s.clause()
		if err != nil {
			return Expr{}, err
		}
		e, err := settle(r, c)
		if err != nil {
			return Expr{}, err
		}
		chain = append(chain, e)
		word := s.operator()
		if word == "AND" {
			continue
		}
		alternatives = append(alternatives, all(chain...))
		chain = nil
		if word == "" {
			break
		}
	}
	whole := anyOf(alternatives...)
	if n := whole.conditions(); n > MaxConditions {
		return Expr{}, bad("filter asks for %d values; at most %d are looked for at once: ask in parts", n,
			MaxConditions)
	}
	return whole, nil
}

// conditions counts what has to be looked at for each record.
func (e Expr) conditions() int {
	n := 0
	for _, a := range e.Args {
		n += a.conditions()
	}
	return max(n, 1)
}

func bad(format string, args ...any) error {
	return &Error{oneroster.InvalidFilter, fmt.Sprintf(format, args...)}
}

// A clause is one comparison as the client wrote it.
type clause struct{ field, predicate, value string }

type scanner struct {
	text string
	at   int
}

func (s *scanner) rest() string { return s.text[s.at:] }

func (s *scanner) space() {
	s.at += len(s.rest()) - len(strings.TrimLeftFunc(s.rest(), unicode.IsSpace))
}

var fieldName = pattern(`^[\pL_][\pL\pN_.:-]*$`)

// predicates, the longer first.
var predicates = []string{"!=", ">=", "<=", "=", ">", "<", "~"}

func (s *scanner) clause() (clause, error) {
	s.space()
	if s.at == len(s.text) {
		return clause{}, bad("filter ends where a field was expected")
	}
	end := strings.IndexAny(s.rest(), "=!<>~")
	if end < 0 {
		return clause{}, bad("filter: no predicate (= != > >= < <= ~) after %s", short(s.rest()))
	}
	c := clause{field: strings.TrimSpace(s.rest()[:end])}
	if strings.ContainsAny(c.field, "()") {
		return clause{}, bad("filter: parentheses are not part of the filter language; AND binds " +
			"tighter than OR")
	}
	if !fieldName().MatchString(c.field) {
		return clause{}, bad("filter: a field name was expected before %s", short(s.rest()[end:]))
	}
	s.at += end
	for _, p := range predicates {
		if strings.HasPrefix(s.rest(), p) {
			c.predicate = p
			break
		}
	}
	if c.predicate == "" {
		return clause{}, bad("filter: %s is not a predicate; use = != > >= < <= ~", short(s.rest()))
	}
	s.at += len(c.predicate)
	s.space()
	var err error
	c.value, err = s.value()
	return c, err
}

// Quotes that open and close a value; Microsoft's pages print typographic ones.
const quotes = "'‘’\"“”"

// value reads what stands after a predicate. A quote ends it only where the
// filter ends or goes on with AND or OR and another clause, so that
// 'O'Brien' and 'Salt AND Pepper' are whole; a doubled quote is one.
func (s *scanner) value() (string, error) {
	open, size := utf8.DecodeRuneInString(s.rest())
	if size == 0 {
		return "", bad("filter ends where a value was expected")
	}
	if !strings.ContainsRune(quotes, open) {
		value := s.bare()
		if notBare().MatchString(value) {
			return "", bad("filter: the value %s cannot be read: put it in quotes, and join conditions "+
				"by AND or OR "+
				"with a space on both sides", short(value))
		}
		return value, nil
	}
	start := s.at + size
	for i := start; i < len(s.text); {
		c, w := utf8.DecodeRuneInString(s.text[i:])
		if !strings.ContainsRune(kindOf(open), c) {
			i += w
			continue
		}
		if strings.HasPrefix(s.text[i+w:], string(c)) {
			i += 2 * w // a doubled quote
			continue
		}
		if ends(s.text[i+w:]) {
			value := s.text[start:i]
			if seemsTwo(value, c) {
				break
			}
			s.at = i + w
			for _, q := range kindOf(c) {
				value = strings.ReplaceAll(value, string([]rune{q, q}), string(q))
			}
			return value, nil
		}
		i += w
	}
	return "", bad("filter: it is not clear where the value %s ends: close it with a quote, write a "+
		"quote inside "+
		"it twice, and join conditions by AND or OR with a space on both sides", short(s.rest()))
}

// A quote inside a value is read as part of it where it is an apostrophe before a
// letter, as in O'Brien and van 't Hoff, unless the value would then hold what
// looks like a second condition: nobody is called that, and with != such a value
// selects everybody.
var (
	apostrophe = withQuotes(`[\pL\pN ]Q\pL`)
	second     = withQuotes(`(?i)[=<>~;]|&&|\|\||[:(/,]\s*Q|Q\s+(and|or|not)\b|` +
		`\b(eq|ne|gt|ge|lt|le|like|is|in|contains|and|or|not)\s*Q`)
)

// seemsTwo looks at quotes of the kind that closes the value; of another kind, or
// written twice, they are text.
func seemsTwo(value string, closing rune) bool {
	kind := kindOf(closing)
	for _, c := range kind {
		value = strings.ReplaceAll(value, string([]rune{c, c}), "-")
	}
	if !strings.ContainsAny(value, kind) {
		return false
	}
	return second().MatchString(value) || strings.ContainsAny(apostrophe().ReplaceAllString(value, "x x"), kind)
}

// An unquoted value is one word, or several without a sign or a word of the
// language among them; an apostrophe stands between letters.
var notBare = withQuotes(`(?i)[=<>~;&|]|(^|\s)(and|or|not)(\s|$)|(^|\PL)Q|Q(\PL|$)`)

// withQuotes compiles an expression in which Q is any quote.
func withQuotes(expr string) func() *regexp.Regexp {
	return pattern(strings.ReplaceAll(expr, "Q", "["+quotes+"]"))
}

// pattern compiles an expression when it is first asked for: most starts of the program
// read no filter.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// kindOf lists the quotes that stand for one another.
func kindOf(quote rune) string {
	if strings.ContainsRune("'‘’", quote) {
		return "'‘’"
	}
	return `"“”`
}

// ends tells whether a value may end before rest.
func ends(rest string) bool {
	trimmed := strings.TrimLeftFunc(rest, unicode.IsSpace)
	if trimmed == "" {
		return true
	}
	_, size := logical(rest)
	return size > 0
}

// logical finds AND or OR at the start of rest, with space around it and
// something like a clause behind, and how far it reaches.
func logical(rest string) (word string, size int) {
	trimmed := strings.TrimLeftFunc(rest, unicode.IsSpace)
	if len(trimmed) == len(rest) {
		return "", 0
	}
	for _, w := range []string{"AND", "OR"} {
		if head := trimmed[:min(len(w), len(trimmed))]; strings.EqualFold(head, w) {
			after := trimmed[len(w):]
			name := strings.TrimLeftFunc(after, unicode.IsSpace)
			if len(name) < len(after) && likeClause(name) {
				return w, len(rest) - len(after)
			}
		}
	}
	return "", 0
}

// likeClause tells whether text begins with a name and a predicate, in
// parentheses or not: those are refused where the clause is read, and must not
// be taken for the end of a value, which no row has.
func likeClause(text string) bool {
	text = strings.TrimLeft(text, "( ")
	name := strings.TrimSpace(text[:max(strings.IndexAny(text, "=!<>~"), 0)])
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return !(unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("._-:", c))
	})
}

// bare reads an unquoted value up to the next operator.
func (s *scanner) bare() string {
	value := s.rest()
	for i := range value {
		if _, size := logical(value[i:]); size > 0 {
			value = value[:i]
			break
		}
	}
	s.at += len(value)
	return strings.TrimSpace(value)
}

// operator reads AND or OR; "" at the end. value stops nowhere else.
func (s *scanner) operator() string {
	word, size := logical(s.rest())
	s.at += size
	return word
}

func short(text string) string {
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}
