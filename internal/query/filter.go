package query

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollbook/internal/oneroster"
)

// Bounds of a filter.
const (
	MaxFilter  = 4096 // bytes, decoded
	MaxClauses = 50
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
	return anyOf(alternatives...), nil
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

// predicates, the longer first.
var predicates = []string{"!=", ">=", "<=", "=", ">", "<", "~"}

func (s *scanner) clause() (clause, error) {
	s.space()
	if s.at == len(s.text) {
		return clause{}, bad("filter ends where a field was expected")
	}
	end := strings.IndexAny(s.rest(), "=!<>~")
	if end < 0 {
		return clause{}, bad("filter: no predicate (= != > >= < <= ~) after %q", short(s.rest()))
	}
	c := clause{field: strings.TrimSpace(s.rest()[:end])}
	if strings.ContainsAny(c.field, "()") {
		return clause{}, bad("filter: parentheses are not part of the filter language; AND binds tighter than OR")
	}
	if c.field == "" || strings.ContainsFunc(c.field, unicode.IsSpace) {
		return clause{}, bad("filter: a field name was expected before %q", short(s.rest()[end:]))
	}
	s.at += end
	for _, p := range predicates {
		if strings.HasPrefix(s.rest(), p) {
			c.predicate = p
			break
		}
	}
	if c.predicate == "" {
		return clause{}, bad("filter: %q is not a predicate; use = != > >= < <= ~", short(s.rest()))
	}
	s.at += len(c.predicate)
	s.space()
	var err error
	c.value, err = s.value()
	return c, err
}

// Quotes that open and close a value; Microsoft's pages print typographic ones.
const (
	openers = `'‘’"“”`
	closers = `'’‘"”“`
)

// value reads what stands after a predicate. A quote ends it only where the
// filter ends or goes on with AND or OR and another clause, so that
// 'O'Brien' and 'Salt AND Pepper' are whole; a doubled quote is one.
func (s *scanner) value() (string, error) {
	open, size := utf8.DecodeRuneInString(s.rest())
	if size == 0 {
		return "", bad("filter ends where a value was expected")
	}
	if !strings.ContainsRune(openers, open) {
		return s.bare(), nil
	}
	start := s.at + size
	for i := start; i < len(s.text); {
		c, w := utf8.DecodeRuneInString(s.text[i:])
		if !closes(open, c) {
			i += w
			continue
		}
		if strings.HasPrefix(s.text[i+w:], string(c)) && !ends(s.text[i+w:]) {
			i += 2 * w // a doubled quote
			continue
		}
		if ends(s.text[i+w:]) {
			value := s.text[start:i]
			s.at = i + w
			return strings.ReplaceAll(value, string(c)+string(c), string(c)), nil
		}
		i += w
	}
	return "", bad("filter: the value %s is not closed by a quote", short(s.rest()))
}

func closes(open, c rune) bool {
	switch open {
	case '\'', '‘', '’':
		return c == '\'' || c == '’' || c == '‘'
	}
	return c == '"' || c == '”' || c == '“'
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
		if len(trimmed) > len(w) && strings.EqualFold(trimmed[:len(w)], w) {
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
	end := strings.IndexAny(text, "=!<>~")
	if end <= 0 {
		return false
	}
	for _, c := range strings.TrimSpace(text[:end]) {
		if !(unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("._-:", c)) {
			return false
		}
	}
	return strings.TrimSpace(text[:end]) != ""
}

// bare reads an unquoted value up to the next operator.
func (s *scanner) bare() string {
	for i := s.at; i < len(s.text); i++ {
		if _, size := logical(s.text[i:]); size > 0 {
			value := s.text[s.at:i]
			s.at = i
			return strings.TrimSpace(value)
		}
	}
	value := s.rest()
	s.at = len(s.text)
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
