package sds_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
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
	"rollbook/internal/rest"
	"rollbook/internal/sandbox"
	"rollbook/internal/sds"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
	"rollbook/internal/wire"
)

// A service is a real district, served, whose answers may be spoiled on the way.
type service struct {
	*store.Store
	server *httptest.Server
	key    *auth.Key
	secret string
	mirror string // path of the file

	lock   sync.Mutex
	serves http.Handler
	asked  []string // path below the base and filter of each list
	// spoil changes a list's rows and their number; the path is below the base.
	spoil func(path string, rows []map[string]any, total int) ([]map[string]any, int)
	date  string // the Date header of every answer; "" is the server's own
}

func serve(t *testing.T, src oneroster.Source, opt store.Options) *service {
	t.Helper()
	s := &service{Store: storetest.Open(t, filepath.Join(t.TempDir(), "district.db"), opt),
		mirror: filepath.Join(t.TempDir(), "m.db")}
	s.take(t, src)
	key, err := auth.LoadOrCreateKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	secret, kept := auth.NewSecret(time.Now(), key, false)
	s.key, s.secret = key, secret
	if err := s.AddClient(t.Context(), auth.Client{ID: "sds", Scopes: oneroster.Scopes(),
		Secrets: []auth.Secret{kept}}); err != nil {
		t.Fatal(err)
	}
	s.put(t, s.Store)
	s.server = httptest.NewServer(s.front())
	t.Cleanup(s.server.Close)
	return s
}

// put makes this the database that is served.
func (s *service) put(t *testing.T, db *store.Store) {
	t.Helper()
	gate, err := auth.New(context.Background(), db, s.key, rest.Words(oneroster.V1p1))
	if err != nil {
		t.Fatal(err)
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.Store = db
	s.serves = rest.New(rest.Config{Store: db, Gate: gate, Face: oneroster.V1p1,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

func (s *service) take(t *testing.T, src oneroster.Source) {
	t.Helper()
	if _, err := s.Import(t.Context(), src, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *service) front() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.lock.Lock()
		defer s.lock.Unlock()
		r.Header.Del("Accept-Encoding")
		a := httptest.NewRecorder()
		s.serves.ServeHTTP(a, r)
		body := a.Body.Bytes()
		var lists map[string][]map[string]any
		path, data := strings.CutPrefix(r.URL.Path, oneroster.V1p1.Base)
		if dec := json.NewDecoder(bytes.NewReader(body)); data && a.Code == http.StatusOK &&
			dec.Decode(&lists) == nil {
			filter, _ := url.PathUnescape(r.URL.Query().Get("filter"))
			s.asked = append(s.asked, path+" "+filter)
			for key, rows := range lists {
				if total, err := strconv.Atoi(a.Header().Get("X-Total-Count")); err == nil && s.spoil != nil {
					rows, total = s.spoil(path, rows, total)
					a.Header().Set("X-Total-Count", strconv.Itoa(total))
					a.Header().Del("Content-Length")
					a.Header().Del("Link")
					body, _ = json.Marshal(map[string]any{key: rows})
				}
			}
		}
		for name, values := range a.Header() {
			w.Header()[name] = values
		}
		if s.date != "" {
			w.Header().Set("Date", s.date)
		}
		w.WriteHeader(a.Code)
		_, _ = w.Write(body)
	})
}

func (s *service) provider(t *testing.T) *provider.Provider {
	t.Helper()
	p, err := provider.New(provider.Config{URL: s.server.URL + oneroster.V1p1.Base,
		TokenURL: s.server.URL + "/token",
		Client:   "sds", Secret: s.secret, Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sync makes one run; findings come as "rule resource id".
func (s *service) sync(t *testing.T, change func(*sds.Options)) (r sds.Report, found map[string]bool,
	err error) {
	t.Helper()
	found = map[string]bool{}
	opt := sds.Options{Provider: s.provider(t), Courses: true, MatchStaff: "email", MatchStudents: "email", Shrink: 10,
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
	if opt.Mirror, err = mirror.Open(t.Context(), s.mirror, s.server.URL+oneroster.V1p1.Base,
		way); err != nil {
		t.Fatal(err)
	}
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
	m, err := mirror.Open(t.Context(), s.mirror, s.server.URL+oneroster.V1p1.Base, way)
	if err != nil {
		t.Fatal(err)
	}
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
