package sds_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/sds"
	"rollbook/internal/store"
)

// What costs most comes first, each with its count, what is lost and what to do; what only
// the tests of Microsoft refuse drops nothing and is told apart.
func TestCosts(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	s.spoil = func(path string, r rows, n int) (rows, int) {
		for i, o := range r {
			switch path {
			case "/users":
				o["dateLastModified"] = o["dateLastModified"].(string)[:19] + "Z"
				if i < 3 {
					o["middleName"] = nil
				}
				if i == 3 {
					o["givenName"] = ""
				}
			}
		}
		return r, n
	}
	r, _, err := s.sync(t, nil)
	if err != nil || len(r.Costs) < 3 || r.Counts.ByTests != r.Collections["users"].Rows {
		t.Fatalf("%+v, %v", r, err)
	}
	var got []string
	for _, c := range r.Costs {
		if c.Rule == "SDS-U01" || c.Rule == "SDS-G05" || c.Rule == "SDS-G03" {
			got = append(got, fmt.Sprint(c.Rule, " ", c.Severity, " ", c.ByTests, " ",
				c.Count == r.Counts.ByTests || c.Count < 4, ", ", c.Loses))
		}
		if c.Title == "" || c.Fix == "" || !strings.Contains(c.First, ": ") {
			t.Errorf("%+v", c)
		}
	}
	if want := []string{"SDS-U01 error false true, the record is dropped, and what refers to it",
		"SDS-G05 warning false true, the value is dropped", "SDS-G03 advice true true, nothing that is " +
			"documented; the tests that Microsoft publishes refuse it"}; strings.Join(got, "\n") !=
		strings.Join(want, "\n") {
		t.Errorf("%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r.Counts.Students < 11 {
		t.Errorf("%d of 12 students, of whom one is dropped", r.Counts.Students)
	}
}

// A proof reads again, and counts nothing twice; a run that is stopped says how it read.
func TestRowsAreCountedOnce(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	plain := s.synced(t, nil)
	proved := s.synced(t, func(o *sds.Options) { o.Full, o.Prove = true, true })
	for name, c := range proved.Collections {
		if was := plain.Collections[name]; c.Rows != was.Rows || c.Same != was.Added || !c.Full {
			t.Errorf("%s: %+v, without a proof %+v", name, c, was)
		}
	}
	s.mirror += ".new"
	s.spoil = at("/enrollments", func(rows, int) (rows, int) { return rows{}, 0 })
	r, _, err := s.sync(t, nil)
	if err == nil || r.Stopped == "" || !r.Collections["users"].Full || r.Collections["users"].Rows == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// School Data Sync asks for no scope.
func TestScopeIsWarnedOf(t *testing.T) {
	s := serve(t, small(12, 1), store.Options{})
	for scope, want := range map[string]string{"": "[]",
		"https://purl.imsglobal.org/spec/or/v1p1/scope/roster.readonly": "[School Data Sync asks for no scope, "} {
		r, _, err := s.sync(t, func(o *sds.Options) { o.Provider.Scope = scope })
		if got := fmt.Sprint(r.Notes); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, %v", scope, got, err)
		}
	}
}
