package edition_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/edition"
	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// One record by its id is, byte for byte, what the database has now, whatever has been written
// since the lists were read: by every path, whole or some fields of it. Where the database has
// none, there is none.
func TestOneIsAsTheDatabaseHasIt(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		d := edition.New(s, edition.Options{})
		t.Cleanup(d.Close)
		strange := []string{`a"b\c`, "é/ü", "x\u2028y", "no such id", "\xff", "\ufffd"}
		put := func(id, title string) {
			t.Helper()
			if _, _, err := s.Put(ctx, storetest.Rec("category", "sourcedId", id, "title", title)); err != nil {
				t.Fatal(err)
			}
		}
		found, stale := 0, 0
		// each asks for some records by each path.
		each := func(read bool) {
			t.Helper()
			for _, route := range oneroster.V1p1.Routes {
				if !route.One || route.Method != "GET" {
					continue
				}
				var ids []string
				err := s.View(ctx, func(v *store.View) error {
					return v.Since(ctx, route.Resource, -1, func(place int, values []string) error {
						if place%9 == 0 || strings.Contains(strings.Join(values, " "), oneroster.UserFlags) {
							ids = append(ids, values[oneroster.SourcedID])
						}
						return nil
					})
				})
				if err != nil {
					t.Fatal(err)
				}
				for n, id := range append(ids, strange...) {
					ask := edition.Ask{Base: base, Veiled: n%2 == 0, Selection: store.Selection{Route: &route,
						Vars: map[string]string{"id": id}}}
					if n%3 == 0 {
						ask.Query = query.Query{Fields: []string{"status", "sourcedId"}}
					}
					got, ok := d.One(ctx, []byte("["), ask)
					rec, err := s.Get(ctx, ask.Selection)
					if err != nil && !errors.Is(err, store.ErrNotFound) && id != "\xff" {
						t.Fatal(err)
					}
					want := "["
					if ok {
						found++
						if ask.Veiled {
							oneroster.Veil(rec.Resource, rec.Values)
						}
						want = string(oneroster.NewWriter(rec.Resource, base, ask.Query.Fields).Append([]byte("["),
							rec.Values))
					} else if err == nil {
						stale++
					}
					if string(got) != want || ok && err != nil || read && !ok && err == nil {
						t.Fatalf("%s %q: found %v, %s, not %s (%v)", route.Op, id, ok, got, want, err)
					}
				}
			}
		}
		src := newRoster(40)
		for round := range 3 {
			src.night = round
			publish(t, s, src)
			for _, id := range slices.Concat(strange[:3], strange[5:]) {
				put(id, fmt.Sprint(round))
			}
			for n := range 40 * round { // more than there was room for
				put(fmt.Sprint("new", n), "x")
			}
			if err := s.Delete(ctx, oneroster.ByName("category"), strange[round]); err != nil {
				t.Fatal(err)
			}
			each(false)
			for _, veiled := range []bool{true, false} {
				for _, route := range oneroster.V1p1.Routes {
					if !route.One && route.Method == "GET" && !route.Nested() {
						ask := asked(t, route.Op, "limit=1", nil)
						ask.Veiled = veiled
						_, _ = body(t, d, ask)
					}
				}
			}
			d.Wait()
			each(true)
		}
		if found < 300 || stale == 0 {
			t.Errorf("%d came of an edition, %d did not since it was overtaken", found, stale)
		}
	})
}
