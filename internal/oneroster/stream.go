package oneroster

import (
	"context"
	"slices"
)

// Mode says how a package carries the records of a resource (CSV binding,
// manifest): not at all, all of them, or those that changed.
type Mode uint8

const (
	Absent Mode = iota
	Bulk        // what is missing from the stream is to be retired
	Delta       // what is missing is untouched
)

func (m Mode) String() string { return [...]string{"absent", "bulk", "delta"}[m] }

// A Row is a record with the place that it came from.
type Row struct {
	Record
	File string
	Line int // of the row's first character, 1 is the header; 0 where there is no file
	// Wrong is what of it could not be read. Such a row is not stored: a check says first
	// what becomes of it.
	Wrong []Wrong
	// Keep lists the positions of fields that the package says nothing of: what
	// is stored stays. A stored record that does not exist keeps nothing.
	Keep []int
	// Edits change kept lists, where the package says what came and what went.
	Edits []Edit
	// Skip: the source has this record, and it cannot be used. Only the
	// sourcedId counts; what is stored of it stays as it is, and is not retired.
	Skip bool
}

// An Edit of a list: Gone and Came leave it, then Came follow at its end.
type Edit struct {
	Field      int // its position
	Gone, Came []string
}

// Apply makes the edited list of the canonical text of a list.
func (e Edit) Apply(list string) string {
	kept := slices.DeleteFunc(Items(list),
		func(item string) bool { return slices.Contains(e.Gone, item) || slices.Contains(e.Came, item) })
	return Join(append(kept, e.Came...)...)
}

// A Source is a stream of records: a CSV package, a made-up district, another
// provider.
type Source interface {
	// Modes tells how each resource is carried; a resource that is not named is
	// Absent.
	Modes() map[*Resource]Mode
	// Records yields every record, resource by resource in the order of
	// Resources, so that references point backwards (parents and agents within
	// a resource may stand later). It may be called again and yields the same.
	// In a Delta a record whose status is tobedeleted need only have a
	// sourcedId. dateLastModified is not looked at.
	Records(ctx context.Context, yield func(Row) error) error
}

// A Wrong is a cell that could not be read, or a row where no column is told.
type Wrong struct {
	Field               int // its position; 0 of a row
	Column, Value, Text string
	Mild                bool // the row can be used without the value
}
