package source_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/bulk"
	"rollbook/internal/edition"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/sandbox"
	"rollbook/internal/source"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// upstream is a district that is served, by something that may spoil its answers.
type upstream struct {
	*store.Store
	url, secret string
	spoil       atomic.Pointer[func(r *http.Request, a *httptest.ResponseRecorder) bool]
}

func newUpstream(t *testing.T, dsn string) *upstream {
	t.Helper()
	u := &upstream{Store: storetest.Open(t, dsn, store.Options{})}
	key := resttest.Key(t)
	u.secret = resttest.Admit(t, u.Store, key, auth.Client{ID: "rollbook",
		Scopes: append(oneroster.Scopes(), oneroster.Flags)})
	d := edition.New(u.Store, edition.Options{})
	t.Cleanup(d.Close)
	h := resttest.Service(t, u.Store, key, func(c *rest.Config) { c.District = d })
	spoiled := resttest.Spoiled(h, func(r *http.Request, a *httptest.ResponseRecorder) {
		if spoil := u.spoil.Load(); spoil != nil && !(*spoil)(r, a) {
			panic(http.ErrAbortHandler)
		}
	})
	u.url = resttest.Listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u.spoil.Load() == nil {
			h.ServeHTTP(w, r)
		} else {
			spoiled.ServeHTTP(w, r)
		}
	}))
	return u
}

func (u *upstream) settings(delta bool) source.Settings {
	return source.Settings{Provider: &source.Provider{Service: source.Service{URL: u.url + oneroster.V1p1.Base,
		TokenURL: u.url + "/token", Client: "rollbook"}, Limit: 50, Delta: delta}}
}

// held is all that a district has, without stamps.
func held(t *testing.T, s *store.Store) string {
	t.Helper()
	var out bytes.Buffer
	err := s.Snapshot(t.Context(), func(each func(*oneroster.Resource,
		func(oneroster.Record) error) error) error {
		for _, r := range oneroster.Resources() {
			if err := each(r, func(rec oneroster.Record) error {
				values := append([]string{}, rec.Values...)
				values[oneroster.Modified] = ""
				if values[oneroster.Status] == oneroster.Active {
					fmt.Fprintf(&out, "%s %q\n", r.Plural, values)
				}
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
	lines := strings.Split(out.String(), "\n")
	return strings.Join(sorted(lines), "\n")
}

// takeIn takes in what a fetch brought, without guards.
func takeIn(t *testing.T, s *store.Store, got source.Fetched) {
	t.Helper()
	p, err := bulk.Open(got.Path, bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	checked, err := intake.Check(t.Context(), p, intake.Stored{
		IDs: func(r *oneroster.Resource, yield func(string) error) error {
			return s.ActiveIDs(t.Context(), r, yield)
		},
		Known: func(r *oneroster.Resource, id string) (bool, error) { return s.Known(t.Context(), r, id) },
		Count: func(r *oneroster.Resource, f string) (int, error) { return s.CountActive(t.Context(), r, f) },
	}, intake.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer checked.Close()
	if checked.Problems.Total > 0 {
		t.Fatalf("%d problems, the first is %s", checked.Problems.Total, checked.Problems.List[0])
	}
	if _, err := s.Import(t.Context(), checked, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}

// After each pull, whole or by delta, the district holds what the provider has, which moves from day to
// day; also on the days on which a pull broke off.
func TestAnotherProvider(t *testing.T) {
	t.Parallel()
	for _, delta := range []bool{false, true} {
		u := newUpstream(t, storetest.SQLite(t))
		life := sandbox.NewLife(sandbox.Options{Students: 60, Seed: 3, Today: time.Date(2026, 10, 5, 0, 0, 0,
			0, time.UTC)})
		if _, err := u.Import(t.Context(), life, store.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		mine := storetest.Open(t, storetest.SQLite(t), store.Options{})
		p := place(t, u.settings(delta), source.Secrets{source.Password: u.secret})
		if told, err := p.Test(t.Context()); err != nil || !strings.Contains(told, " users") {
			t.Errorf("%s %v", told, err)
		}
		var memory json.RawMessage
		for day := range 6 {
			if day > 0 {
				life.Step()
				if _, err := u.Import(t.Context(), life.Delta(), store.ImportOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := p.Fetch(t.Context(), t.TempDir(), memory)
			if err != nil {
				t.Fatal(err)
			}
			if memory, err = json.Marshal(got.Memory); err != nil || len(memory) > 1000 {
				t.Fatalf("%d bytes are remembered: %v", len(memory), err)
			}
			if day > 0 && delta != strings.HasPrefix(got.Name, "delta") {
				t.Errorf("day %d was read as %s", day, got.Name)
			}
			takeIn(t, mine, got)
			if one, other := held(t, u.Store), held(t, mine); one != other {
				t.Fatalf("delta %v, day %d: they differ:\n%s", delta, day, differ(one, other))
			}
		}
	}
}

// What was read whole by a clock that was years ahead is read whole again: deltas would go on until then.
func TestDeltaAfterAWrongClock(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, storetest.SQLite(t))
	if _, err := u.Import(t.Context(), sandbox.NewLife(sandbox.Options{Students: 20, Seed: 3}),
		store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	p := place(t, u.settings(true), source.Secrets{source.Password: u.secret})
	for years, want := range map[int]string{0: "delta of ", 9: "pull of "} {
		memory := fmt.Sprintf(`{"latest":"2026-01-01T00:00:00.000Z","whole":%q}`,
			time.Now().AddDate(years, 0, 0).Add(-time.Hour).Format(time.RFC3339))
		got, err := p.Fetch(t.Context(), t.TempDir(), json.RawMessage(memory))
		if err != nil || !strings.HasPrefix(got.Name, want) {
			t.Errorf("%d years ahead: %q, %v; it is no %q", years, got.Name, err, want)
		}
	}
}

// Whatever is wrong with a provider, no package comes that lacks rows.
func TestBrokenProviderIsNotTaken(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, storetest.SQLite(t))
	life := sandbox.NewLife(sandbox.Options{Students: 60, Seed: 3})
	if _, err := u.Import(t.Context(), life, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	p := place(t, u.settings(false), source.Secrets{source.Password: u.secret})
	enrollments := func(do func(offset string, a *httptest.ResponseRecorder) bool) func(*http.Request,
		*httptest.ResponseRecorder) bool {
		return func(r *http.Request, a *httptest.ResponseRecorder) bool {
			if !strings.HasSuffix(r.URL.Path, "/enrollments") {
				return true
			}
			return do(r.URL.Query().Get("offset"), a)
		}
	}
	rows := func(a *httptest.ResponseRecorder, change func([]any) []any) bool {
		var body map[string][]any
		if err := json.Unmarshal(a.Body.Bytes(), &body); err != nil {
			t.Error(err)
			return false
		}
		body["enrollments"] = change(body["enrollments"])
		text, _ := json.Marshal(body)
		a.Body = bytes.NewBuffer(text)
		return true
	}
	calls, end := 0, 1
	for _, row := range []struct {
		name  string
		spoil func(*http.Request, *httptest.ResponseRecorder) bool
		want  string // "" is that all comes
	}{
		{"nothing", func(*http.Request, *httptest.ResponseRecorder) bool { return true }, ""},
		{"no count", func(_ *http.Request, a *httptest.ResponseRecorder) bool {
			a.Header().Del("X-Total-Count")
			return true
		}, ""},
		{"no count, no links, and a list that ends somewhere else each time", func(_ *http.Request,
			a *httptest.ResponseRecorder) bool {
			a.Header().Del("X-Total-Count")
			a.Header().Del("Link")
			if !bytes.Contains(a.Body.Bytes(), []byte(`"enrollments"`)) {
				return true
			}
			if calls++; calls > end {
				calls, end = 0, end+1
				return rows(a, func([]any) []any { return []any{} })
			}
			return true
		}, "enrollments: "},
		{"rows of a megabyte", enrollments(func(_ string, a *httptest.ResponseRecorder) bool {
			return rows(a, func(all []any) []any {
				for _, row := range all {
					row.(map[string]any)["metadata"] = map[string]any{"x": strings.Repeat("x", 1<<20)}
				}
				return all
			})
		}), "enrollments: more than 16777216 bytes came"},
		{"a page lacks its last row", enrollments(func(_ string, a *httptest.ResponseRecorder) bool {
			return rows(a, func(all []any) []any { return all[:max(0, len(all)-1)] })
		}), "enrollments: "},
		{"a row twice", enrollments(func(_ string, a *httptest.ResponseRecorder) bool {
			return rows(a, func(all []any) []any {
				if len(all) > 1 {
					all[1] = all[0]
				}
				return all
			})
		}), "came twice, 4 times: nothing was taken"},
		{"a count that moves", enrollments(func(offset string, a *httptest.ResponseRecorder) bool {
			if offset != "0" {
				a.Header().Set("X-Total-Count", "100000")
			}
			return true
		}), "the list moved while it was read"},
		{"none", enrollments(func(_ string, a *httptest.ResponseRecorder) bool {
			a.Header().Set("X-Total-Count", "0")
			return rows(a, func([]any) []any { return []any{} })
		}), "a district without is not published"},
		{"404", enrollments(func(_ string, a *httptest.ResponseRecorder) bool { a.Code = 404; return true }),
			"enrollments: "},
		{"403", enrollments(func(_ string, a *httptest.ResponseRecorder) bool { a.Code = 403; return true }),
			"enrollments: "},
		{"a web page", enrollments(func(_ string, a *httptest.ResponseRecorder) bool {
			a.Header().Set("Content-Type", "text/html")
			a.Body = bytes.NewBufferString("<html>log in")
			return true
		}), "enrollments: "},
		{"no heed to offset", func() func(*http.Request, *httptest.ResponseRecorder) bool {
			var first []byte
			return enrollments(func(offset string, a *httptest.ResponseRecorder) bool {
				if offset == "0" {
					first = bytes.Clone(a.Body.Bytes())
				}
				a.Body = bytes.NewBuffer(bytes.Clone(first))
				return true
			})
		}(), "enrollments: "},
		{"rows without ids", enrollments(func(_ string, a *httptest.ResponseRecorder) bool {
			return rows(a, func(all []any) []any { delete(all[0].(map[string]any), "sourcedId"); return all })
		}), "a row has no sourcedId"},
		{"no demographics", func(r *http.Request, a *httptest.ResponseRecorder) bool {
			if strings.HasSuffix(r.URL.Path, "/demographics") {
				a.Code = 403
			}
			return true
		}, ""},
	} {
		u.spoil.Store(&row.spoil)
		dir := t.TempDir()
		got, err := p.Fetch(t.Context(), dir, nil)
		if row.want == "" {
			if err != nil {
				t.Errorf("%s: %v", row.name, err)
				continue
			}
			mine := storetest.Open(t, storetest.SQLite(t), store.Options{})
			takeIn(t, mine, got)
			if n, err := mine.CountActive(t.Context(), oneroster.ByName("enrollment"), ""); err != nil ||
				n < 100 {
				t.Errorf("%s: %d enrollments, %v", row.name, n, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), u.secret) {
			t.Errorf("%s: %v, %s", row.name, err, got.Name)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.zip")); len(left) > 0 {
			t.Errorf("%s left a package", row.name)
		}
	}
	u.spoil.Store(nil)
	// While the list is walked a row that was read goes and another comes: one slips across the border of two
	// pages, and the count stays. Once the list holds still, all of it is there.
	slips, left := 0, 2
	slip := func(r *http.Request, a *httptest.ResponseRecorder) bool {
		if !strings.HasSuffix(r.URL.Path, "/enrollments") || left == 0 {
			return true
		}
		if r.URL.Query().Get("offset") == "50" {
			slips, left = slips+1, left-1
			return rows(a, func(all []any) []any {
				all[0] = map[string]any{"sourcedId": fmt.Sprint("new-", left), "status": "active"}
				return all
			})
		}
		return true
	}
	u.spoil.Store(&slip)
	whole, err := p.Fetch(t.Context(), t.TempDir(), nil)
	if err != nil || slips != 2 {
		t.Fatalf("%d rows slipped: %v", slips, err)
	}
	mine := storetest.Open(t, storetest.SQLite(t), store.Options{})
	takeIn(t, mine, whole)
	if one, other := held(t, u.Store), held(t, mine); one != other {
		t.Errorf("a row has slipped:\n%s", differ(one, other))
	}
	u.spoil.Store(nil)
	// A filter that nobody pays heed to: all is read, and that is told.
	ignores := func(r *http.Request, a *httptest.ResponseRecorder) bool {
		if strings.HasSuffix(r.URL.Path, "/users") && strings.Contains(r.URL.RawQuery, "2200") {
			again, err := http.NewRequest(http.MethodGet, u.url+r.URL.Path+"?limit=10", nil)
			if err != nil {
				return false
			}
			again.Header = r.Header
			u.spoil.Store(nil)
			b, err := http.DefaultClient.Do(again)
			if err != nil {
				return false
			}
			defer b.Body.Close()
			a.Body.Reset()
			_, _ = io.Copy(a.Body, b.Body)
			a.Header().Set("X-Total-Count", b.Header.Get("X-Total-Count"))
		}
		return true
	}
	p = place(t, u.settings(true), source.Secrets{source.Password: u.secret})
	memory, _ := json.Marshal(map[string]any{"latest": "2026-10-05T00:00:00.000Z", "whole": time.Now()})
	u.spoil.Store(&ignores)
	got, err := p.Fetch(t.Context(), t.TempDir(), memory)
	if err != nil || !strings.HasPrefix(got.Name, "pull") || !strings.Contains(fmt.Sprint(got.Notes),
		"pays no heed") {
		t.Errorf("a filter that is ignored: %s %v %v", got.Name, got.Notes, err)
	}
}
