package storetest

import (
	"context"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
)

// A Package of records in memory.
type Package struct {
	Carried map[*oneroster.Resource]oneroster.Mode
	Rows    []oneroster.Record
}

// Bulk is a package of all that there is of the resources of its rows.
func Bulk(rows ...oneroster.Record) Package {
	p := Package{map[*oneroster.Resource]oneroster.Mode{}, rows}
	for _, r := range rows {
		p.Carried[r.Resource] = oneroster.Bulk
	}
	return p
}

// Modes is of oneroster.Source.
func (p Package) Modes() map[*oneroster.Resource]oneroster.Mode { return p.Carried }

// Records is of oneroster.Source.
func (p Package) Records(_ context.Context, yield func(oneroster.Row) error) error {
	for _, res := range oneroster.Resources() {
		for _, r := range p.Rows {
			if r.Resource == res {
				if err := yield(oneroster.Row{Record: r}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Rec makes a record from name, value, name, value, ….
func Rec(resource string, pairs ...string) oneroster.Record {
	r := oneroster.NewRecord(oneroster.ByName(resource))
	for i := 0; i < len(pairs); i += 2 {
		r.Set(pairs[i], pairs[i+1])
	}
	return r
}

// Route finds a route by its operation.
func Route(op string) *oneroster.Route {
	for i := range oneroster.V1p1.Routes {
		if oneroster.V1p1.Routes[i].Op == op {
			return &oneroster.V1p1.Routes[i]
		}
	}
	panic("no operation " + op)
}

// List reads a whole collection.
func List(t testing.TB, s *store.Store, sel store.Selection) (rows []oneroster.Record, total int) {
	t.Helper()
	if sel.Query.Limit == 0 {
		sel.Query.Limit = query.MaxLimit
	}
	err := s.List(context.Background(), sel, func(n int, _ int64) error { total = n; return nil },
		func(values []string) error {
			rows = append(rows, oneroster.Record{Resource: sel.Route.Resource, Values: append([]string(nil),
				values...)})
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return rows, total
}
