package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A frame is a service whose requests come as they are made here, past any wire,
// and whose log is read.
type frame struct {
	*service
	log     bytes.Buffer
	handler http.Handler
}

func framed(t *testing.T, change func(*rest.Config)) *frame {
	t.Helper()
	f := &frame{}
	dsn := storetest.SQLite(t)
	f.service = serveDistrict(t, dsn, oneroster.Scopes(), 30, func(c *rest.Config) {
		c.Log = slog.New(slog.NewJSONHandler(&f.log, nil))
		c.Tell = rest.Logged(c.Log)
		change(c)
		f.handler = rest.New(*c)
	})
	return f
}

// request is one of the client's, as it was sent.
func (f *frame) request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+f.token)
	return r
}

// answer is what a request gets, and the line that the log has of it.
func (f *frame) answer(r *http.Request) (*httptest.ResponseRecorder, map[string]any) {
	f.t.Helper()
	f.log.Reset()
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	lines := strings.Split(strings.TrimSpace(f.log.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		f.t.Fatalf("%s: %v", f.log.String(), err)
	}
	return w, line
}

// The log knows a client by the address that the last trusted proxy saw, and by that
// of its connection where nobody vouches for another.
func TestLogTellsWhereFrom(t *testing.T) {
	for _, trust := range []bool{false, true} {
		f := framed(t, func(c *rest.Config) { c.TrustProxy = trust })
		for _, c := range []struct {
			peer      string
			forwarded []string
			trusted   string
		}{
			{"192.0.2.7:80", nil, "192.0.2.7"},
			{"192.0.2.7:80", []string{"203.0.113.1"}, "203.0.113.1"},
			{"192.0.2.7:80", []string{"203.0.113.1, 203.0.113.2"}, "203.0.113.2"},
			{"192.0.2.7:80", []string{"203.0.113.1", "203.0.113.2, 203.0.113.3"}, "203.0.113.3"},
			{"192.0.2.7:80", []string{"somebody"}, "192.0.2.7"},
			{"[2001:db8::1]:80", []string{""}, "2001:db8::1"},
			{"@", nil, "@"},
		} {
			r := f.request("GET", "/healthz", "")
			r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.forwarded
			want := strings.Trim(strings.TrimSuffix(c.peer, ":80"), "[]")
			if trust {
				want = c.trusted
			}
			if _, line := f.answer(r); line["remote"] != want {
				t.Errorf("trusted %v, %+v: %v, want %s", trust, c, line["remote"], want)
			}
		}
	}
}

// The log counts what was sent, in bytes and in objects, and says no path but that
// of nothing we know, cut where it is long.
func TestLogCountsWhatWasSent(t *testing.T) {
	f := framed(t, func(*rest.Config) {})
	base := oneroster.V1p1.Base
	for _, c := range []struct {
		method, target, body, op string
		status, rows             int
		path                     any
	}{
		{"GET", base + "/orgs?limit=3", "", "getAllOrgs", 200, 3, nil},
		{"HEAD", base + "/orgs?limit=3", "", "getAllOrgs", 200, 3, nil},
		{"GET", base + "/orgs/dst-1", "", "getOrg", 200, 1, nil},
		{"GET", base + "/orgs/none", "", "getOrg", 404, 0, nil},
		{"PUT", base + "/categories/c9", `{"category":{"title":"x"}}`, "putCategory", 201, 1, nil},
		{"DELETE", base + "/categories/c9", "", "deleteCategory", 204, 0, nil},
		{"POST", "/token", "", "token", 401, 0, nil},
		{"GET", "/.well-known/jwks.json", "", "jwks", 200, 0, nil},
		{"GET", "/nothing?of=this", "", "none", 404, 0, "/nothing"},
		{"GET", "/" + strings.Repeat("x", 199), "", "none", 404, 0, "/" + strings.Repeat("x", 199)},
		{"GET", "/" + strings.Repeat("x", 200), "", "none", 404, 0, "/" + strings.Repeat("x", 199)},
	} {
		r := f.request(c.method, c.target, c.body)
		if c.op == "token" {
			r.Header.Del("Authorization")
		}
		w, line := f.answer(r)
		sent := w.Body.Len()
		if line["op"] != c.op || line["status"] != float64(c.status) || line["rows"] != float64(c.rows) ||
			line["bytes"] != float64(sent) || line["path"] != c.path || line["aborted"] != false {
			t.Errorf("%s %.60s: %d bytes were sent: %v", c.method, c.target, sent, line)
		}
	}
}

// An address of 16 KiB is read, and none that is longer.
func TestLongestAddress(t *testing.T) {
	f := framed(t, func(*rest.Config) {})
	for size, status := range map[int]int{16 << 10: 200, 16<<10 + 1: 414} {
		target := "/healthz?x="
		if w, _ := f.answer(f.request("GET", target+strings.Repeat("y", size-len(target)),
			"")); w.Code != status {
			t.Errorf("%d bytes: %d %s", size, w.Code, w.Body)
		}
	}
}

// Who looks with a browser is told what this is, at the root and at the base of the
// face; who asks there for JSON, or elsewhere for a page, is told that there is none.
func TestPageIsForBrowsers(t *testing.T) {
	f := framed(t, func(*rest.Config) {})
	for path, browsers := range map[string]int{"/": 200, "/ims/oneroster/v1p1": 200,
		"/ims/oneroster/v1p1/": 200, "/ims/OneRoster": 200, "/ims": 404, "/ims/": 404,
		"/x": 404, "/x/y/z": 404, "/ims/oneroster/v1p1/nothing": 404} {
		for accept, status := range map[string]int{"text/html,*/*": browsers, "application/json": 404} {
			r := f.request("GET", "https://roster.example"+path, "")
			r.Header.Set("Accept", accept)
			w, _ := f.answer(r)
			page := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") &&
				strings.Contains(w.Body.String(), "<code>https://roster.example/ims/oneroster/v1p1</code>")
			if w.Code != status || page != (status == 200) {
				t.Errorf("%s for %s: %d %s", path, accept, w.Code, w.Body)
			}
		}
	}
}

// A link writes as an escape what ends an address, and all else as it came.
func TestLinkKeepsTheQuery(t *testing.T) {
	f := framed(t, func(*rest.Config) {})
	for query, want := range map[string]string{
		"fields=sourcedId,name": "fields=sourcedId%2Cname&limit=2&offset=0",
		"filter=name!=%27~%27":  "filter=name!=%27~%27&limit=2&offset=0",
		"filter=name!='é'":      "filter=name!='%C3%A9'&limit=2&offset=0",
		"&&x=1&&y=2&":           "x=1&y=2&limit=2&offset=0",
		"x=a b\x7f":             "x=a%20b%7F&limit=2&offset=0",
		"offset=2&x=%2C&y":      "offset=0&x=%2C&y&limit=2",
	} {
		r := f.request("GET", oneroster.V1p1.Base+"/orgs", "")
		r.URL.RawQuery = query + map[bool]string{true: "", false: "&"}[strings.HasSuffix(query, "&")] +
			"limit=2"
		w, _ := f.answer(r)
		if got := w.Header().Get("Link"); !strings.Contains(got, "?"+want+`>; rel="first"`) {
			t.Errorf("%s: %d %s", query, w.Code, got)
		}
	}
}

// leaving is a body whose sender goes away while it is read.
type leaving struct {
	io.Reader
	leave func()
}

func (l leaving) Read(part []byte) (int, error) {
	l.leave()
	return l.Reader.Read(part)
}

// A client that has gone, before it was known or after, is nobody to answer, and no
// failure of the service's.
func TestWhoHasGoneIsNoFailure(t *testing.T) {
	f := framed(t, func(*rest.Config) {})
	for _, c := range []struct{ method, target string }{{"GET", "/orgs"}, {"PUT", "/categories/c9"}} {
		gone, leave := context.WithCancel(context.Background())
		r := f.request(c.method, oneroster.V1p1.Base+c.target, "").WithContext(gone)
		r.Body = io.NopCloser(leaving{strings.NewReader(`{"category":{"title":"x"}}`), leave})
		if c.method == "GET" {
			leave()
		}
		broken := func() (broken any) {
			defer func() { broken = recover() }()
			f.answer(r)
			return nil
		}()
		if broken != http.ErrAbortHandler || strings.Contains(f.log.String(), `"level":"ERROR"`) ||
			!strings.Contains(f.log.String(), `"aborted":true`) {
			t.Errorf("%s: %v\n%s", c.target, broken, f.log.String())
		}
	}
}

// A server waits for a request, and for the next, so long; for a reader that goes on
// as long as it takes.
func TestServerWaits(t *testing.T) {
	s := rest.NewServer(http.NotFoundHandler())
	got := fmt.Sprint(s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout, s.WriteTimeout, s.MaxHeaderBytes)
	if want := "10s 1m0s 2m0s 0s 65536"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A service whose clock is behind the last change is ready, and says so.
func TestReadyTellsOfTheClock(t *testing.T) {
	path := storetest.SQLite(t)
	serveDistrict(t, path, oneroster.Scopes(), 30)
	for behind, want := range map[time.Duration]string{0: "", time.Hour: "set the clock"} {
		slow := storetest.Open(t, path, store.Options{Now: func() time.Time { return today.Add(-behind) }})
		w := httptest.NewRecorder()
		handler := rest.New(rest.Config{Store: slow, Face: oneroster.V1p1,
			Log: slog.New(slog.DiscardHandler)})
		r := httptest.NewRequest("GET", "/readyz", nil)
		r.RemoteAddr = "127.0.0.1:4711"
		handler.ServeHTTP(w, r)
		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 ||
			answer["status"] != "ok" || (answer["clock"] != "") != (want != "") ||
			!strings.Contains(answer["clock"], want) {
			t.Errorf("%s behind: %d %s", behind, w.Code, w.Body)
		}
	}
}

// Whoever may not be of this machine is told whether the service is ready, and not why.
func TestStrangersAreNotToldWhy(t *testing.T) {
	path := storetest.SQLite(t)
	serveDistrict(t, path, oneroster.Scopes(), 30)
	slow := storetest.Open(t, path, store.Options{Now: func() time.Time { return today.Add(-time.Hour) }})
	for _, c := range []struct {
		remote, header string
		config         rest.Config
		told           bool
	}{
		{"127.0.0.1:1", "", rest.Config{}, true},
		{"[::1]:1", "", rest.Config{}, true},
		{"192.0.2.1:1", "", rest.Config{}, false},
		{"127.0.0.1:1", "X-Forwarded-For", rest.Config{}, false},
		{"127.0.0.1:1", "Forwarded", rest.Config{}, false},
		{"127.0.0.1:1", "Via", rest.Config{}, false},
		{"127.0.0.1:1", "", rest.Config{TrustProxy: true}, false},
		{"127.0.0.1:1", "", rest.Config{URL: &url.URL{Scheme: "https", Host: "roster.example"}}, false},
		{"", "", rest.Config{}, false},
	} {
		c.config.Store, c.config.Face, c.config.Log = slow, oneroster.V1p1, slog.New(slog.DiscardHandler)
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/readyz", nil)
		r.RemoteAddr = c.remote
		if c.header != "" {
			r.Header.Set(c.header, "192.0.2.1")
		}
		rest.New(c.config).ServeHTTP(w, r)
		if told := w.Body.String() != `{"status":"ok"}`; w.Code != 200 || told != c.told {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
	}
}

// A list is sent in parts of 64 KiB, not object by object.
func TestListIsSentInParts(t *testing.T) {
	var handler http.Handler
	with := func(c *rest.Config) { handler = rest.New(*c) }
	s := serveDistrict(t, storetest.SQLite(t), oneroster.Scopes(), 200, with)
	parts := 0
	body, broke := s.take(handler, "/enrollments?limit=50000", func([]byte) error { parts++; return nil })
	if least := 64 << 10; broke || len(body) < 3*least || parts > len(body)/least+2 {
		t.Errorf("%d bytes in %d parts, broken off: %v", len(body), parts, broke)
	}
}
