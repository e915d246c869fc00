package verify_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rollbook/internal/provider"
	"rollbook/internal/store/storetest"
	"rollbook/internal/verify"
)

// Providers that do what the standard leaves open otherwise than ours are not
// failed for it.
func TestHonestProviders(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/honest.db").remembered(everything)
	st := newStage()
	defer st.server.Close()
	var calls atomic.Int64
	for _, c := range []struct {
		name, profile string
		as            spoiler
	}{
		{"busy now and then", "core", func(s *service) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if below(r) != "" && calls.Add(1)%50 == 0 {
					w.Header().Set("Retry-After", "0")
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				s.ServeHTTP(w, r)
			})
		}},
		{"rostering alone", "rostering", func(s *service) http.Handler {
			without := objects(func(o map[string]any) { delete(o, "resources") })(s)
			return where(func(r *http.Request) bool {
				v := routeOf(r)
				return v != nil && v.Table != "3.1a"
			}, func(a *answer) { a.refuse(404) })(&service{without, s.id, s.secret})
		}},
		{"gradebook alone", "gradebook", where(func(r *http.Request) bool {
			v := routeOf(r)
			return v != nil && v.Table == "3.1b"
		}, func(a *answer) { a.refuse(404) })},
		{"no links", "core", where(isList, func(a *answer) { a.header.Del("Link") })},
		{"an unknown parent is 404", "core",
			where(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "1000000-no-such") },
				func(a *answer) { a.refuse(404) })},
		{"no class groups and no categories of a class", "gradesync", where(func(r *http.Request) bool {
			v := routeOf(r)
			return v != nil && v.Table == ""
		}, func(a *answer) { a.refuse(404) })},
		{"a media type in capitals", "core", where(func(*http.Request) bool { return true },
			func(a *answer) { a.header.Set("Content-Type", `Application/JSON;charset="UTF-8"`) })},
		{"numbers with a nought behind the point", "core", eachObject(func(r *http.Request, o map[string]any) {
			for name, v := range o {
				if n, is := v.(json.Number); is && isSingle(r) && !strings.Contains(n.String(), ".") {
					o[name] = n + ".0"
				}
			}
		})},
		{"children are left out", "core", objects(func(o map[string]any) { delete(o, "children") })},
		{"parents are left out", "core", objects(func(o map[string]any) { delete(o, "parent") })},
		{"no demographics and no courses", "sds", where(func(r *http.Request) bool {
			return strings.HasPrefix(below(r), "/demographics") || strings.HasPrefix(below(r), "/courses")
		}, func(a *answer) { a.refuse(404) })},
		{"no demographics for this client", "sds", where(func(r *http.Request) bool {
			return strings.HasPrefix(below(r), "/demographics")
		}, func(a *answer) { a.refuse(403) })},
		{"no resources", "sds", where(func(r *http.Request) bool {
			v := routeOf(r)
			return v != nil && v.Table == "3.1b"
		}, func(a *answer) { a.refuse(404) })},
		{"errors in another form", "core", answers(func(_ http.Handler, _ *http.Request, a *answer) {
			if a.status >= 400 {
				a.body = []byte(`{"statusInfo":{"codeMajor":"failure","severity":"error","description":"no"}}`)
			}
		})},
		{"optional lists are left out", "core", objects(func(o map[string]any) {
			for key, v := range o {
				if list, ok := v.([]any); ok && len(list) == 0 {
					delete(o, key)
				}
			}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := st.verified(t, s, broken{spoil: c.as, config: func(c *provider.Config) { c.Wait = 1 }},
				verify.Options{Profiles: []string{c.profile}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Of(verify.Failed) {
				t.Errorf("%s %s: %s (%s)", r.Check.ID, r.Target, r.Failures[0].Text, r.Failures[0].Request)
			}
			if n := report.Counts().Passed; n < 200 {
				t.Errorf("%d passed", n)
			}
		})
	}
}

// What one reader asks and the standard does not is a wish, unless the run is made for that reader.
func TestWishesOfOneReader(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/wishes.db").remembered(everything)
	st := newStage()
	defer st.server.Close()
	for _, name := range []string{"a doubled slash is unknown", "paths are compared letter by letter"} {
		b := brokenRoutes[slices.IndexFunc(brokenRoutes, func(b broken) bool { return b.name == name })]
		for _, profile := range []string{"core", "sds", "gradesync"} {
			report, err := st.verified(t, s, b, verify.Options{Profiles: []string{profile}, Only: []string{b.check}})
			if err != nil {
				t.Fatal(err)
			}
			if c := report.Counts(); (c.Failed == 0) != (profile == "core") || c.Failed+c.Advice == 0 {
				t.Errorf("%s, for %s: %+v", name, profile, c)
			}
		}
	}
}

// A refusal in the wrong form lets nobody in, and is not told as if it did.
func TestClosedDoors(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/doors.db").remembered(everything)
	st := newStage()
	defer st.server.Close()
	for name, harm := range map[string]verify.Harm{"lists need no token": verify.Wrong,
		"without a token the answer is 403": verify.Form, "without a token a list is empty": verify.Form,
		"HEAD needs no token": verify.Wrong, "a bad login is 500": verify.Wrong} {
		b := brokenAccess[slices.IndexFunc(brokenAccess, func(b broken) bool { return b.name == name })]
		report, err := st.verified(t, s, b, verify.Options{Profiles: []string{"core"}, Only: []string{b.check}})
		if err != nil {
			t.Fatal(err)
		}
		causes := report.Causes()
		if len(causes) != 1 || causes[0].Harm != harm || strings.Contains(causes[0].Loses(), "strangers") !=
			(harm == verify.Wrong) {
			t.Errorf("%s is told as %v", name, causes)
		}
	}
}

// A right provider is not failed for a parent with more rows than are looked at.
func TestParentsOfMany(t *testing.T) {
	defer verify.LookAt(3)()
	s := correct(t, storetest.SQLite(t))
	report, err := verified(t, s, s, verify.Options{Profiles: []string{"core"}, Only: []string{"nested.rows",
		"nested.total", "nested.filter", "nested.deleted-links"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Of(verify.Failed) {
		t.Errorf("%s %s: %s (%s)", r.Check.ID, r.Target, r.Failures[0].Text, r.Failures[0].Request)
	}
	if n := report.Counts().Passed; n < 30 {
		t.Errorf("%d passed", n)
	}
}
