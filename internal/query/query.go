// Package query is the query language of OneRoster reads: filter, sort and
// orderBy, fields, limit and offset. It parses what clients send against a
// resource's fields, prints it in one canonical form, and matches records in
// memory, which is the oracle for the SQL that the store makes of the same
// expression.
package query

import "rollbook/internal/oneroster"

// Paging bounds (consumers ask for up to 10,000 rows in one page and take a
// shorter page for the last).
const (
	DefaultLimit = 100
	MaxLimit     = 50000
)

// A Query is everything that a reader may ask of a collection, resolved: every
// name is a field, every value is in the field's canonical form.
type Query struct {
	Filter   Expr             // the zero Expr is everything
	Sort     *oneroster.Field // nil: the default order
	Desc     bool
	Fields   []string // selected field names; nil selects all
	Limit    int      // 1 to MaxLimit
	Offset   int      // 0 or more
	Warnings []Warning
}

// A Warning tells of a part of the query that was passed over.
type Warning struct {
	Minor oneroster.CodeMinor
	Text  string
}

// An Error is a query that must not be answered with data.
type Error struct {
	Minor oneroster.CodeMinor
	Text  string
}

func (e *Error) Error() string { return e.Text }

// Op is what an Expr does.
type Op uint8

const (
	Everything Op = iota // true for every record
	Nothing              // true for none
	And                  // all Args
	Or                   // any of Args
	Not                  // the one of Args is false
	Compare              // the value stands in relation Rel to Text
	Has                  // the list has an item that equals Text
	Contains             // the text, or any item of the list, contains Text
)

// Rel is the relation of a Compare. Inequality is Not of Equal.
type Rel uint8

const (
	Equal Rel = iota
	Less
	LessEqual
	Greater
	GreaterEqual
)

// An Expr is a filter in the few primitives that the store renders and Match
// evaluates. The parser has settled everything else: aliases, enumeration
// spelling, instants finer than the field's, lists on the right-hand side.
//
// An absent value ("") equals only the empty Text, is in no other relation and
// contains nothing.
type Expr struct {
	Op   Op
	Args []Expr // And, Or, Not

	Field *oneroster.Field
	// Key is the flattened key for a Metadata field, "type" or "identifier" for
	// a part of UserIDs items, "" otherwise.
	Key  string
	Rel  Rel
	Text string // canonical; already folded when Fold
	// Fold compares without regard to ASCII letter case. References,
	// sourcedIds, enumerations, dates and numbers are compared as they are.
	// A Compare on a Number field is numeric.
	Fold bool
}

// Fold lowers the letters A to Z and leaves every other byte alone. It is the
// one case rule of both engines and of Match.
func Fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// Mentions tells whether the filter looks at the named field.
func (e Expr) Mentions(field string) bool {
	if e.Field != nil && e.Field.Name == field {
		return true
	}
	for _, a := range e.Args {
		if a.Mentions(field) {
			return true
		}
	}
	return false
}

// MentionsKey tells whether the filter looks at a key of metadata.
func (e Expr) MentionsKey(key string) bool {
	if e.Field != nil && e.Field.Kind == oneroster.Metadata && e.Key == key {
		return true
	}
	for _, a := range e.Args {
		if a.MentionsKey(key) {
			return true
		}
	}
	return false
}
