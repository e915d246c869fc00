package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Pages far into a list start at a kept boundary; they hold what pages counted
// from the start hold, in every order, also after rows have been added.
func TestDeepPages(t *testing.T) {
	offsets := []int{0, 999, 1000, 1001, 1999, 2000, 2250, 4500, 9000}
	if testing.Short() {
		offsets = []int{999, 1000, 2250}
	}
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		r := oneroster.ByName("result")
		var rows []oneroster.Record
		for round := range 2 {
			for i := range 2300 {
				x := rec("result", "sourcedId", fmt.Sprintf("r%d-%d", round, i), "lineItem", "i", "student",
					fmt.Sprintf("u%d", i%7), "scoreStatus", "submitted", "scoreDate", "2026-01-01")
				if i%3 > 0 {
					x.Set("score", oneroster.FormatNumber(float64(i%11)/2))
				}
				rows = append(rows, x)
			}
			if _, err := s.Import(context.Background(), bulk(rows...), store.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
			all, _ := list(t, s, store.Selection{Route: route("getAllResults")})
			for _, filter := range []string{"", "student='u3' OR score>'1'",
				"dateLastModified>'2020-01-01'"} {
				for _, sorted := range []string{"", "score", "student", "dateLastModified"} {
					for _, desc := range []bool{false, true} {
						f, err := query.ParseFilter(r, filter)
						if err != nil {
							t.Fatal(err)
						}
						q := query.Query{Filter: f, Sort: r.Field(sorted), Desc: desc, Limit: len(all)}
						ordered, wantTotal := query.Select(q, all)
						q.Limit = 60
						for _, q.Offset = range offsets {
							got, total := list(t, s, store.Selection{Route: route("getAllResults"), Query: q})
							want := ordered[min(q.Offset, len(ordered)):min(q.Offset+q.Limit, len(ordered))]
							if total != wantTotal || strings.Join(idsOf(got),
								" ") != strings.Join(idsOf(want), " ") {
								t.Fatalf("%q sorted by %q desc %v at %d: %d of %d, want %d of %d", filter,
									sorted, desc, q.Offset, len(got), total, len(want), wantTotal)
							}
						}
					}
				}
			}
		}
	})
}
