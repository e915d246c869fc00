package verify_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox/odd"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
	"rollbook/internal/verify"
)

// A right provider is not failed for the district that it serves; what School Data Sync does not take
// is told. Where there is next to nothing to check, the verdict does not say that all is well.
func TestOddDistricts(t *testing.T) {
	t.Parallel()
	// The checks that fail are those of School Data Sync that the data breaks.
	truly := map[string]string{
		"empty":                "SDS-X01", // School Data Sync ends where there is no organization
		"one school only":      "",
		"no terms":             "",
		"no gradebook":         "",
		"one user only":        "SDS-X01",          // there is no session
		"everything deleted":   "SDS-X01 sds.pull", // an empty answer is taken for a broken connection
		"right to left":        "",
		"ids of signs":         "",
		"one row in each list": "",
		"demographics only":    "SDS-X01",
		"resources only":       "SDS-X01",
	}
	for _, d := range odd.Districts() {
		known, here := truly[d.Name]
		if !here {
			continue // one run takes seconds
		}
		delete(truly, d.Name)
		t.Run(d.Name, func(t *testing.T) {
			s := storetest.Open(t, t.TempDir()+"/odd.db", store.Options{})
			for _, src := range d.Imports {
				if _, err := s.Import(t.Context(), src, store.ImportOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			served := serving(t, s)
			report, err := verified(t, served, served, verify.Options{Profiles: []string{"all"}, Write: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Of(verify.Failed) {
				if !strings.Contains(" "+known+" ", " "+r.Check.ID+" ") {
					t.Errorf("%s %s: %s (%s)", r.Check.ID, r.Target, r.Failures[0].Text, r.Failures[0].Request)
				}
			}
			for _, r := range report.Of(verify.Advised) {
				if r.Check.ID == "gradesync.links" { // one page has no next
					t.Errorf("%s: %s", r.Check.ID, r.Failures[0].Text)
				}
			}
			for _, r := range report.Of(verify.Failed) {
				if r.Check.ID == "SDS-X01" && !strings.HasPrefix(r.Failures[0].Request, "GET ") {
					t.Errorf("%s does not show what was asked: %+v", r.Check.ID, r.Failures)
				}
			}
			deletes := slices.ContainsFunc(report.Of(verify.Passed),
				func(r verify.Result) bool { return strings.HasPrefix(r.Check.ID, "delete.") })
			if deletes != slices.ContainsFunc(report.Routes(), func(row verify.RouteRow) bool {
				return row.Method == http.MethodDelete && row.Passed > 0 && row.Calls > 0
			}) {
				t.Error("what was deleted is not told at the path of DELETE")
			}
			for _, r := range report.Of(verify.Unchecked) {
				if strings.Contains(r.Lacks, "this check broke") {
					t.Errorf("%s %s: %s", r.Check.ID, r.Target, r.Lacks)
				}
			}
			if c := report.Counts(); c.Unchecked > c.Passed && strings.HasPrefix(report.Verdict(), "Every") {
				t.Errorf("%+v, and the verdict is %q", c, report.Verdict())
			}
			if known != "" && !strings.Contains(report.Verdict(), "Not ready") {
				t.Errorf("the verdict is %q", report.Verdict())
			}
		})
	}
	if len(truly) > 0 {
		t.Errorf("there is no district %v", truly)
	}
}

// What is not served at all is told once, and not again as something that is done wrongly.
func TestPathsThatAreNotServed(t *testing.T) {
	full := correct(t, t.TempDir()+"/unserved.db").remembered(roster)
	empty := serving(t, storetest.Open(t, t.TempDir()+"/empty.db", store.Options{}))
	single := func(r *http.Request) bool {
		route := routeOf(r)
		return r.Method == http.MethodGet && route != nil && route.One
	}
	for _, c := range []struct {
		name, causes string
		s            *service
		gone         func(r *http.Request) bool
	}{
		{"no categories and no line items", "list.answer", full, func(r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/categories") || strings.Contains(r.URL.Path, "/lineItems")
		}},
		{"no single reads", "one.answer", full, single},
		{"no single reads, and no rows", "", empty, single},
	} {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.gone(r) {
				http.NotFound(w, r)
				return
			}
			c.s.ServeHTTP(w, r)
		})
		report, err := verified(t, c.s, h, verify.Options{Profiles: []string{"all"}, Write: true,
			Only: []string{"list.answer", "one.answer", "put", "access.no-token-single", "access.no-token",
				"error.unknown-id"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Of(verify.Failed) {
			if r.Check.ID != c.causes {
				t.Errorf("%s: %s %s: %s (%s)", c.name, r.Check.ID, r.Target, r.Failures[0].Text,
					r.Failures[0].Request)
			}
		}
	}
}

// A delta may have far more deleted rows than a plain list has rows, and they may come first.
func TestDeltaOfManyDeletedRows(t *testing.T) {
	db := storetest.Open(t, t.TempDir()+"/deleted.db", store.Options{})
	rows := []oneroster.Record{storetest.Rec("org", "sourcedId", "o", "status", "active", "name", "School",
		"type",
		"school")}
	for n := range 2400 {
		id := fmt.Sprintf("u%04d", n)
		rows = append(rows, storetest.Rec("user", "sourcedId", id, "status", "active", "username", id,
			"enabledUser",
			"true", "givenName", "A", "familyName", "B", "role", "student", "orgs", "o"))
	}
	for _, left := range [][]oneroster.Record{rows, append(rows[:1:1], rows[len(rows)-4:]...)} {
		if _, err := db.Import(t.Context(), storetest.Bulk(left...), store.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s := serving(t, db)
	h := asks(func(r *http.Request, q url.Values) {
		if below(r) == "/users" && !q.Has("filter") {
			q.Set("filter", "status='active'")
		}
	})(s)
	report, err := verified(t, s, h, verify.Options{Profiles: []string{"core"}, Only: []string{"delta.pages"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Target == "/users" && r.State != verify.Passed {
			t.Errorf("%s: %s %v", r.State, r.Lacks, r.Failures)
		}
	}
}
