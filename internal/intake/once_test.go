package intake

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"rollbook/internal/oneroster"
)

// A package is read once, whatever looks at it again: all that its rows have is there, and
// one that could not be read to its end is read anew.
func TestReadOnce(t *testing.T) {
	user := func(id, name string) oneroster.Record {
		r := oneroster.NewRecord(oneroster.ByName("user"))
		r.Values[oneroster.SourcedID] = id
		r.Set("givenName", name)
		return r
	}
	org := oneroster.NewRecord(oneroster.ByName("org"))
	src := &readings{rows: []oneroster.Row{
		{Record: org, File: "orgs.csv", Line: 2},
		{Record: user("u1", "Ännchen"), File: "users.csv", Line: 2, Keep: []int{4, 7}},
		{Record: user("u2", ""), File: "users.csv", Line: 300, Wrong: []oneroster.Wrong{{Field: 3, Column: "role",
			Value: "x", Text: "is no role", Mild: true}}},
		{Record: user("u3", "Ann"), Skip: true, Edits: []oneroster.Edit{{Field: 5, Gone: []string{"a"},
			Came: []string{"b", "c"}}}},
	}}
	once := &once{Source: src}
	stopped := errors.New("stopped")
	if err := once.Records(t.Context(), func(oneroster.Row) error { return stopped }); !errors.Is(err, stopped) {
		t.Fatal(err)
	}
	for range 3 {
		var got []oneroster.Row
		if err := once.Records(t.Context(), func(r oneroster.Row) error {
			got = append(got, r)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, src.rows) {
			t.Errorf("%+v, not %+v", got, src.rows)
		}
	}
	if src.n != 2 {
		t.Errorf("it was read %d times", src.n)
	}
}

// readings count how often rows are read.
type readings struct {
	rows []oneroster.Row
	n    int
}

func (s *readings) Modes() map[*oneroster.Resource]oneroster.Mode { return nil }

func (s *readings) Records(_ context.Context, yield func(oneroster.Row) error) error {
	s.n++
	for _, r := range s.rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}
