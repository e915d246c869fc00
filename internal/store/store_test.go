package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// a package of records in memory
type packet struct {
	modes map[*oneroster.Resource]oneroster.Mode
	rows  []oneroster.Record
}

func (p packet) Modes() map[*oneroster.Resource]oneroster.Mode { return p.modes }
func (p packet) Records(_ context.Context, yield func(oneroster.Row) error) error {
	for _, res := range oneroster.Resources() {
		for _, r := range p.rows {
			if r.Resource == res {
				if err := yield(oneroster.Row{Record: r}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rec makes a record from name, value, name, value, ….
func rec(resource string, pairs ...string) oneroster.Record {
	r := oneroster.NewRecord(oneroster.ByName(resource))
	for i := 0; i < len(pairs); i += 2 {
		r.Set(pairs[i], pairs[i+1])
	}
	return r
}

func bulk(rows ...oneroster.Record) packet {
	p := packet{map[*oneroster.Resource]oneroster.Mode{}, rows}
	for _, r := range rows {
		p.modes[r.Resource] = oneroster.Bulk
	}
	return p
}

func route(op string) *oneroster.Route {
	for i := range oneroster.V1p1.Routes {
		if oneroster.V1p1.Routes[i].Op == op {
			return &oneroster.V1p1.Routes[i]
		}
	}
	panic("no operation " + op)
}

// list reads a whole collection.
func list(t *testing.T, s *store.Store, sel store.Selection) (rows []oneroster.Record, total int) {
	t.Helper()
	if sel.Query.Limit == 0 {
		sel.Query.Limit = query.MaxLimit
	}
	err := s.List(context.Background(), sel, func(n int) error { total = n; return nil }, func(values []string) error {
		rows = append(rows, oneroster.Record{Resource: sel.Route.Resource, Values: append([]string(nil), values...)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, total
}

// Processes that start together on a new database all find it ready.
func TestOpenedAllAtOnce(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				s, err := store.Open(context.Background(), dsn, store.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				_ = s.Close()
			})
		}
		wait.Wait()
	})
}

func TestImportThenRead(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		p := bulk(
			rec("org", "sourcedId", "d", "name", "District", "type", "district"),
			rec("org", "sourcedId", "s1", "name", "School", "type", "school", "parent", "d"),
			rec("user", "sourcedId", "u1", "username", "ann", "role", "student", "orgs", "s1", "agents", "g1", "userIds", oneroster.Join("LDAP"+oneroster.PartSep+"a:1")),
			rec("user", "sourcedId", "g1", "username", "gus", "role", "guardian", "orgs", "s1", "metadata", `{"x":"1","y":{"z":2}}`),
		)
		rep, err := s.Import(context.Background(), p, store.ImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(rep.Stamp)
		rows, total := list(t, s, store.Selection{Route: route("getAllUsers")})
		if total != 2 || rows[1].Get("agents") != "u1" || rows[0].Get("identifier") != "u1" {
			t.Fatalf("%d %v", total, rows)
		}
		rows, _ = list(t, s, store.Selection{Route: route("getAllOrgs")})
		if rows[0].Get("children") != "s1" {
			t.Fatalf("%v", rows)
		}
		rows, total = list(t, s, store.Selection{Route: route("getStudentsForSchool"), Vars: map[string]string{"school_id": "s1"}})
		if total != 1 || rows[0].ID() != "u1" {
			t.Fatalf("%d %v", total, rows)
		}
		again, err := s.Import(context.Background(), p, store.ImportOptions{})
		if err != nil || again.Stamp != "" {
			t.Fatalf("the same package again: %+v %v", again, err)
		}
	})
}

// Of who has left nothing is served but what the standard requires, also from a
// database of before that was so; and whoever comes back has everything again.
func TestTombstonesAreBare(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		s := storetest.Open(t, dsn, store.Options{})
		org := rec("org", "sourcedId", "o1", "name", "School", "type", "school", "identifier", "o1")
		ana := rec("user", "sourcedId", "u1", "enabledUser", "true", "orgs", "o1", "role", "student", "username", "ana", "givenName", "Ana", "familyName", "Ash",
			"email", "ana@x.example", "phone", "1", "identifier", "7", "grades", "09", "agents", "u2", "userIds", "a"+oneroster.PartSep+"b", "metadata", `{"k":"v"}`)
		bob := rec("user", "sourcedId", "u2", "enabledUser", "true", "orgs", "o1", "role", "parent", "username", "bob", "givenName", "Bob", "familyName", "Ash", "identifier", "8")
		facts := rec("demographics", "sourcedId", "u1", "birthDate", "2012-01-02", "sex", "female")
		take := func(rows ...oneroster.Record) {
			t.Helper()
			if _, err := s.Import(ctx, bulk(rows...), store.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		served := func(op string) string {
			all, _ := list(t, s, store.Selection{Route: route(op)})
			for _, r := range all {
				if r.ID() == "u1" {
					values := append([]string(nil), r.Values...)
					values[oneroster.Modified] = ""
					return strings.Join(values, "|")
				}
			}
			return ""
		}
		take(org, ana, bob, facts)
		user, demographics := served("getAllUsers"), served("getAllDemographics")
		take(org, bob, rec("demographics", "sourcedId", "u2"))
		gone := served("getAllUsers")
		if strings.ContainsAny(gone, "@79v") || !strings.Contains(gone, "tobedeleted") || !strings.Contains(gone, "Ana") || !strings.Contains(gone, "o1") {
			t.Errorf("who has left is served as %s", gone)
		}
		if got := strings.Trim(served("getAllDemographics"), "|"); got != "u1|tobedeleted" {
			t.Errorf("demographics of who has left: %s", got)
		}
		take(org, ana, bob, facts)
		if served("getAllUsers") != user || served("getAllDemographics") != demographics {
			t.Errorf("who came back is %s, was %s", served("getAllUsers"), user)
		}
	})
}
