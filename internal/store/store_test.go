package store_test

import (
	"context"
	"sync"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

var rec, bulk, route, list = storetest.Rec, storetest.Bulk, storetest.Route, storetest.List

// What package store promises holds on every engine.
func TestPromises(t *testing.T) {
	for _, e := range storetest.All {
		t.Run(e.Name, func(t *testing.T) { storetest.Run(t, e.Empty) })
	}
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
			rec("user", "sourcedId", "u1", "username", "ann", "role", "student", "orgs", "s1", "agents",
				"g1", "userIds", oneroster.Join("LDAP"+oneroster.PartSep+"a:1")),
			rec("user", "sourcedId", "g1", "username", "gus", "role", "guardian", "orgs", "s1", "metadata",
				`{"x":"1","y":{"z":2}}`),
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
		rows, total = list(t, s, store.Selection{Route: route("getStudentsForSchool"),
			Vars: map[string]string{"school_id": "s1"}})
		if total != 1 || rows[0].ID() != "u1" {
			t.Fatalf("%d %v", total, rows)
		}
		again, err := s.Import(context.Background(), p, store.ImportOptions{})
		if err != nil || again.Stamp != "" {
			t.Fatalf("the same package again: %+v %v", again, err)
		}
	})
}
