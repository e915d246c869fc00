package sds_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/sandbox"
	"rollbook/internal/sds"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
	"rollbook/internal/wire"
)

// A service is a real district, served, whose answers may be spoiled on the way.
type service struct {
	*store.Store
	key         *auth.Key
	url, secret string
	mirror      string // path of the file

	lock   sync.Mutex
	serves http.Handler
	asked  []string // path below the base and filter of each list
	// spoil changes a list's rows and their number; the path is below the base.
	spoil func(path string, rows rows, total int) (rows, int)
	date  string // the Date header of every answer; "" is the server's own
}

func serve(t *testing.T, src oneroster.Source, opt store.Options) *service {
	t.Helper()
	s := &service{Store: storetest.Open(t, filepath.Join(t.TempDir(), "district.db"), opt),
		mirror: filepath.Join(t.TempDir(), "m.db")}
	s.take(t, src)
	s.key = resttest.Key(t)
	s.secret = resttest.Admit(t, s.Store, s.key, auth.Client{ID: "sds"})
	s.put(t, s.Store)
	s.url = resttest.Listen(t, resttest.Spoiled(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.lock.Lock()
		h := s.serves
		s.lock.Unlock()
		h.ServeHTTP(w, r)
	}), s.answered))
	return s
}

// put makes this the database that is served.
func (s *service) put(t *testing.T, db *store.Store) {
	t.Helper()
	s.lock.Lock()
	defer s.lock.Unlock()
	s.Store, s.serves = db, resttest.Service(t, db, s.key)
}

func (s *service) take(t *testing.T, src oneroster.Source) {
	t.Helper()
	if _, err := s.Import(t.Context(), src, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}

// answered notes what was asked, and spoils the answer.
func (s *service) answered(r *http.Request, a *httptest.ResponseRecorder) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.date != "" {
		a.Header().Set("Date", s.date)
	}
	if raw := r.URL.EscapedPath() + "/"; strings.Contains(raw, "/../") || strings.Contains(raw, "/./") {
		a.Code = http.StatusNotFound // what stands before a provider goes up a folder
	}
	path, data := strings.CutPrefix(r.URL.Path, oneroster.V1p1.Base)
	var lists map[string]rows
	if !data || a.Code != http.StatusOK || json.Unmarshal(a.Body.Bytes(), &lists) != nil {
		return
	}
	filter, _ := url.PathUnescape(r.URL.Query().Get("filter"))
	s.asked = append(s.asked, path+" "+filter)
	total, err := strconv.Atoi(a.Header().Get("X-Total-Count"))
	if err != nil || s.spoil == nil {
		return
	}
	for key := range lists {
		lists[key], total = s.spoil(path, lists[key], total)
	}
	a.Header().Set("X-Total-Count", strconv.Itoa(total))
	a.Header().Del("Link")
	body, _ := json.Marshal(lists)
	a.Body = bytes.NewBuffer(body)
}

func (s *service) provider(t *testing.T) *provider.Provider {
	t.Helper()
	p, err := provider.New(provider.Config{URL: s.url + oneroster.V1p1.Base, TokenURL: s.url + "/token",
		Client: "sds", Secret: s.secret, Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *service) open(t *testing.T, way string) *mirror.Mirror {
	t.Helper()
	m, err := mirror.Open(t.Context(), s.mirror, s.url+oneroster.V1p1.Base, way)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sync makes one run; findings come as "rule resource id".
func (s *service) sync(t *testing.T, change func(*sds.Options)) (r sds.Report, found map[string]bool,
	err error) {
	t.Helper()
	found = map[string]bool{}
	opt := sds.Options{Provider: s.provider(t), Courses: true, MatchStaff: "email", MatchStudents: "email",
		Shrink: 10,
		Found: func(f quality.Finding) error {
			found[f.Rule.ID+" "+f.Resource+" "+f.SourcedID] = true
			return nil
		}}
	if change != nil {
		change(&opt)
	}
	way := "current"
	if opt.Classic {
		way = "classic"
	}
	opt.Mirror = s.open(t, way)
	defer opt.Mirror.Close()
	s.lock.Lock()
	s.asked = nil
	s.lock.Unlock()
	r, err = sds.Run(t.Context(), opt)
	return r, found, err
}

// synced makes a run that does not fail.
func (s *service) synced(t *testing.T, change func(*sds.Options)) sds.Report {
	t.Helper()
	r, _, err := s.sync(t, change)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shows is what the mirror shows: "resource id" to content, hrefs left out.
func (s *service) shows(t *testing.T, way string) map[string]string {
	t.Helper()
	m := s.open(t, way)
	defer m.Close()
	out := map[string]string{}
	for _, name := range []string{"academicSession", "org", "user", "class", "enrollment", "course"} {
		if err := m.Each(t.Context(), oneroster.ByName(name), func(o wire.Object) error {
			out[name+" "+o.ID()] = o.Canonical()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// small is a district of three schools.
func small(students int, seed int64) *sandbox.District {
	return sandbox.New(sandbox.Options{Students: students, Seed: seed})
}
