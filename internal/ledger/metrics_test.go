package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/edition"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// However many clients there are, a monitor is told of 200 by name, and of those beyond together.
func TestClientsAreBounded(t *testing.T) {
	m := ledger.NewMetrics(ledger.Watched{Store: storetest.Open(t, storetest.SQLite(t), store.Options{})})
	for n := range 300 {
		m.Count(rest.Call{Op: "getAllUsers", Method: "GET", Status: 200, Client: fmt.Sprint("c", n), Rows: 1})
		m.Count(rest.Call{Op: "token", Method: "POST", Status: 401, Client: fmt.Sprint("guess", n)})
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	names := map[string]bool{}
	for _, found := range regexp.MustCompile(`client="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		names[found[1]] = true
	}
	if len(names) != 201 || !names["other"] || !names["c0"] || names["c299"] {
		t.Errorf("%d names: %v", len(names), names)
	}
	want := `rollbook_rows_total{client="other",op="getAllUsers"} 100`
	if !strings.Contains(w.Body.String(), want) {
		t.Errorf("no %s", want)
	}
}

// What clients have read is told from what is kept of it: also after a restart.
func TestPullsAreCounted(t *testing.T) {
	for _, e := range storetest.All {
		s := districtOf(t, e.Empty)
		l := ledger.New(s, slog.New(slog.DiscardHandler))
		now := time.Since(day).Truncate(time.Second)
		for _, p := range append(walk(now-3*time.Hour, 12, ""), walk(now-2*time.Hour, 12,
			"filter=x")[:1]...) {
			l.Hear(p.call())
		}
		l.Hear(walk(now-time.Minute, 12, "filter=y")[0].call())
		write(l)
		w := httptest.NewRecorder()
		ledger.NewMetrics(ledger.Watched{Store: s}).Handler().ServeHTTP(w, httptest.NewRequest("GET",
			"/metrics", nil))
		for _, want := range []string{`rollbook_pulls{became="whole",client="c"} 1`,
			`rollbook_pulls{became="broken off",client="c"} 1`, `rollbook_pulls{became="going on",client="c"} 1`,
			fmt.Sprintf(`rollbook_client_last_pull_timestamp_seconds{client="c"} %g`,
				float64(day.Add(now-time.Minute).Unix()))} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: no %s in %s", e.Name, want, w.Body)
			}
		}
	}
}

// What counting costs a request that costs little, a page of one row from an edition: ns-counted
// is Count alone, ratio the whole request with it by the whole without.
func BenchmarkCount(b *testing.B) {
	ctx := context.Background()
	s := storetest.Open(b, storetest.SQLite(b), store.Options{})
	district := sandbox.New(sandbox.Options{Students: 200, Seed: 1})
	if _, err := s.Import(ctx, district, store.ImportOptions{}); err != nil {
		b.Fatal(err)
	}
	key := resttest.Key(b)
	secret := resttest.Admit(b, s, key, auth.Client{ID: "x"})
	editions := edition.New(s, edition.Options{})
	defer editions.Close()
	m := ledger.NewMetrics(ledger.Watched{Store: s})
	service := func(tell func(rest.Call)) http.Handler {
		return resttest.Service(b, s, key, func(c *rest.Config) { c.District, c.Tell = editions, tell })
	}
	without := service(func(rest.Call) {})
	var last rest.Call
	var counted time.Duration
	with := m.Around(service(func(c rest.Call) {
		last = c
		m.Count(c)
	}))
	r := httptest.NewRequest("POST", "/token", nil)
	r.SetBasicAuth("x", secret)
	w := httptest.NewRecorder()
	without.ServeHTTP(w, r)
	_, token, _ := strings.Cut(w.Body.String(), `"access_token":"`)
	token, _, _ = strings.Cut(token, `"`)
	took := func(h http.Handler) time.Duration {
		r := httptest.NewRequest("GET", oneroster.V1p1.Base+"/orgs?limit=1", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(w, r)
		d := time.Since(began)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
		return d
	}
	for range 200 {
		took(with)
		took(without)
	}
	var plain, watched time.Duration
	for n := 0; b.Loop(); n++ {
		if n%2 == 0 { // neither always comes first
			plain += took(without)
			watched += took(with)
		} else {
			watched += took(with)
			plain += took(without)
		}
		began := time.Now()
		m.Count(last)
		counted += time.Since(began)
	}
	b.ReportMetric(float64(counted.Nanoseconds())/float64(b.N), "ns-counted")
	b.ReportMetric(watched.Seconds()/plain.Seconds(), "ratio")
}
