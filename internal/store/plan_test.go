package store_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A plan changes nothing and tells what the import then does; field by field that is
// what a comparison of the district before and after finds.
func TestPlanTellsWhatTheImportDoes(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
		s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return now }})
		life := sandbox.NewLife(sandbox.Options{Students: 60, Seed: 3, Today: now})
		records := func() map[string]oneroster.Record {
			out := map[string]oneroster.Record{}
			err := s.Snapshot(t.Context(), func(e each) error {
				for _, r := range oneroster.Resources() {
					if err := e(r, func(rec oneroster.Record) error {
						out[r.Name+"/"+rec.ID()] = rec
						return nil
					}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		days := 23 // the rollover among them
		if strings.HasPrefix(dsn, "postgres") {
			days = 6
		}
		for day := range days {
			before := records()
			planned, err := s.Import(t.Context(), life, store.ImportOptions{Closed: true, Plan: true})
			if err != nil {
				t.Fatal(err)
			}
			if planned.Stamp != "" || !reflect.DeepEqual(records(), before) {
				t.Fatalf("day %d: a plan changed something", day)
			}
			done, err := s.Import(t.Context(), life, store.ImportOptions{Closed: true})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(planned.Counts, done.Counts) || !reflect.DeepEqual(planned.Fields,
				done.Fields) {
				t.Fatalf("day %d: planned %v, done %v", day, planned, done)
			}
			want := map[string]store.FieldChange{}
			for key, now := range records() {
				was, ok := before[key]
				if !ok || was.Values[oneroster.Status] != oneroster.Active ||
					now.Values[oneroster.Status] != oneroster.Active {
					continue
				}
				for i, f := range now.Resource.Fields {
					if i == oneroster.Modified {
						continue
					}
					name := now.Resource.Plural + "." + f.Name
					n := want[name]
					n.Field = f.Name
					switch a, b := was.Values[i], now.Values[i]; {
					case a == b:
					case a == "":
						n.Came++
					case b == "":
						n.Went++
					default:
						n.Changed++
					}
					if was.Values[i] != "" {
						n.Before++
					}
					want[name] = n
				}
			}
			var got, expected []string
			for r, fields := range done.Fields {
				for _, f := range fields {
					got = append(got, fmt.Sprint(r.Plural, ".", f))
				}
			}
			for name, n := range want {
				if n.Came+n.Went+n.Changed > 0 {
					expected = append(expected, fmt.Sprint(name[:len(name)-len(n.Field)], n))
				}
			}
			slices.Sort(got)
			slices.Sort(expected)
			if !slices.Equal(got, expected) {
				t.Fatalf("day %d:\n%q\nnot\n%q", day, got, expected)
			}
			now = now.Add(24 * time.Hour)
			life.Step()
		}
	})
}
