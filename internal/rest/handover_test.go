package rest_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// handing adds a client whose secret lies behind a link, which was made some time ago.
func handing(t *testing.T, s *store.Store, id string, ago time.Duration) (secret, path string) {
	t.Helper()
	key, err := auth.ParseKey(auth.NewKeyText())
	if err != nil {
		t.Fatal(err)
	}
	secret, kept := auth.NewSecret(time.Now(), key, false)
	token, h := auth.NewHandover(id, secret, time.Now().Add(-ago))
	if err := s.AddClient(t.Context(), auth.Client{ID: id, Name: id, Scopes: []string{oneroster.RosterCore},
		Secrets: []auth.Secret{kept}}); err != nil {
		t.Fatal(err)
	}
	if err := s.KeepHandover(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	return secret, rest.HandoverPath(token)
}

// A link shows its secret to who presses the button first, and to nobody who only looks; whatever it
// shows is kept by nobody, runs nothing, and neither the log nor the database has the secret or the link.
func TestHandover(t *testing.T) {
	var kept *store.Store
	var heard rest.Call
	f := framed(t, func(c *rest.Config) {
		logged := c.Tell
		c.Tell = func(call rest.Call) { heard = call; logged(call) }
		kept, c.URL = c.Store, &url.URL{Scheme: "https", Host: "roster.example.org", Path: "/district"}
	})
	secret, path := handing(t, kept, "sds", 0)
	_, late := handing(t, kept, "late", auth.HandoverLife)
	replaced, before := handing(t, kept, "rotated", 0)
	if err := kept.RotateSecret(t.Context(), "rotated", auth.Secret{ID: "x", Created: time.Now()},
		time.Now()); err != nil {
		t.Fatal(err)
	}
	foreign := map[string]string{"Sec-Fetch-Site": "cross-site"}
	const button = "Show the credentials"
	for n, c := range []struct {
		method, path string
		header       map[string]string
		status       int
		find, client string
	}{
		{"GET", path, nil, 200, button, "sds"}, {"HEAD", path, nil, 200, "", "sds"},
		{"PUT", path, nil, 405, "opened by a browser", ""},
		{"POST", path, foreign, 403, "came from another page", ""},
		{"POST", path, map[string]string{"Origin": "https://evil.example"}, 403, "came from another page",
			""},
		{"POST", path + "x", nil, 404, "There is no such link", ""}, {"POST", path[:20], nil, 404,
			"no such link", ""},
		{"POST", "/handover/%00", nil, 404, "no such link", ""}, {"POST", "/handover", nil, 404,
			"nothing at this path", ""},
		{"GET", late, nil, 410, "nobody has opened it", "late"}, {"POST", late, nil, 410,
			"nobody has opened it", "late"},
		{"POST", before, nil, 410, "This link has ended", "rotated"},
		{"GET", path, nil, 200, button, "sds"},
		{"POST", path, map[string]string{"Origin": "https://roster.example.org"}, 200, secret, "sds"},
		{"POST", path, nil, 410, "This link was opened", "sds"}, {"GET", path, nil, 410, "was opened on",
			"sds"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		for name, value := range c.header {
			r.Header.Set(name, value)
		}
		w, line := f.answer(r)
		body, h := w.Body.String(), w.Header()
		if w.Code != c.status || !strings.Contains(body, c.find) || c.client != "" &&
			line["client"] != c.client ||
			(c.method == "HEAD") != (body == "") || (c.status >= 400) != (line["reason"] != nil) {
			t.Errorf("%d. %s %.20s: %d, want %d: %s\n%v", n, c.method, c.path, w.Code, c.status, body, line)
		}
		if strings.Contains(body, secret) != (c.find == secret) || strings.Contains(body, replaced) {
			t.Errorf("%d. %s: the secret is shown, or not: %s", n, c.method, body)
		}
		if c.path != "/handover" && (!strings.Contains(h.Get("Cache-Control"), "no-store") ||
			!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") ||
			strings.Contains(body, "<script") || line["op"] != "handover") {
			t.Errorf("%d. %s: %v %v", n, c.method, h, line)
		}
		if c.find == secret {
			for _, want := range []string{">sds<", "https://roster.example.org/district/token",
				"https://roster.example.org/district/ims/oneroster/v1p1"} {
				if !strings.Contains(body, want) {
					t.Errorf("no %s in %s", want, body)
				}
			}
		}
		for _, private := range []string{secret, path[10:], late[10:]} {
			if strings.Contains(f.log.String()+fmt.Sprint(heard), private) {
				t.Errorf("%d. %q is told: %s %+v", n, private, f.log.String(), heard)
			}
		}
	}
	for _, astray := range []string{"/district" + path, "//Handover//" + path[10:], path + "/x"} {
		if f.answer(httptest.NewRequest("GET", astray, nil)); strings.Contains(f.log.String()+fmt.Sprint(heard),
			path[10:]) {
			t.Errorf("%s is told: %s %+v", astray, f.log.String(), heard)
		}
	}
	if f.grant("sds", secret) == "" {
		t.Error("the secret is none")
	}
	opened, err := kept.Handover(t.Context(), auth.HandoverHash(path[10:]))
	if err != nil || opened == nil || opened.From != "192.0.2.1" || time.Since(opened.Opened) > time.Minute {
		t.Errorf("%+v %v", opened, err)
	}
}

// Of those who press the button at once one is shown the secret; until then the files of the database have
// neither the secret nor what opens it.
func TestHandoverOnce(t *testing.T) {
	dsn := storetest.SQLite(t)
	var kept *store.Store
	s := serveDistrict(t, dsn, oneroster.Scopes(), 30, func(c *rest.Config) { kept = c.Store })
	secret, path := handing(t, kept, "sds", 0)
	for _, file := range []string{dsn, dsn + "-wal"} {
		all, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{secret, path[10:]} {
			if bytes.Contains(all, []byte(private)) {
				t.Errorf("%s holds %q", file, private)
			}
		}
	}
	h, err := kept.Handover(t.Context(), auth.HandoverHash(path[10:]))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := auth.Reveal(path[11:], h.Sealed); err == nil {
		t.Errorf("another token opens it: %q", got)
	}
	var all sync.WaitGroup
	answers := make(chan string, 8)
	for range 8 {
		all.Go(func() {
			w := httptest.NewRecorder()
			s.Config.Handler.ServeHTTP(w, httptest.NewRequest("POST", path, nil))
			answers <- fmt.Sprint(w.Code, strings.Contains(w.Body.String(), secret))
		})
	}
	all.Wait()
	close(answers)
	got := map[string]int{}
	for a := range answers {
		got[a]++
	}
	if got["200 true"] != 1 || got["410 false"] != 7 {
		t.Errorf("%v", got)
	}
}
