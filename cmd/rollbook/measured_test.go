package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/bench"
)

// A provider of 1,000 enrollments that takes its time in the middle, and is asked one thing
// at a time.
func TestBench(t *testing.T) {
	t.Parallel()
	const rows, pause = 1000, 20 * time.Millisecond
	var calls, connections, atOnce atomic.Int64
	counted := true
	provider := http.NewServeMux()
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t","token_type":"bearer","expires_in":3600}`)
	})
	object := func(n int) string {
		return fmt.Sprintf(`{"sourcedId":"e%d","status":"active",`+
			`"dateLastModified":"2026-01-01T00:%02d:%02d.000Z"}`, n, n/60, n%60)
	}
	provider.HandleFunc("GET /enrollments/{id}", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"enrollment":{"sourcedId":%q}}`, r.PathValue("id"))
	})
	provider.HandleFunc("GET /enrollments", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if atOnce.Add(1) > 1 {
			t.Error("two requests at once")
		}
		defer atOnce.Add(-1)
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		offset, _ := strconv.Atoi(r.FormValue("offset"))
		from := 0
		if _, since, ok := strings.Cut(r.FormValue("filter"), "dateLastModified>"); ok {
			for from < rows && !strings.Contains(object(from), since[1:len(since)-1]) && since > "'2026" {
				from++
			}
			if since > "'2026" {
				from++
			}
		}
		if offset == (rows-limit)/2 {
			time.Sleep(pause)
		}
		var list []string
		for n := from + offset; n < min(from+offset+limit, rows); n++ {
			list = append(list, object(n))
		}
		if counted {
			w.Header().Set("X-Total-Count", strconv.Itoa(rows-from))
		}
		w.Header().Set("Content-Type", "application/json")
		var out io.WriteCloser = struct {
			io.Writer
			io.Closer
		}{w, io.NopCloser(nil)}
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			out = gzip.NewWriter(w)
		}
		fmt.Fprintf(out, `{"enrollments":[%s]}`, strings.Join(list, ","))
		_ = out.Close()
	})
	server := httptest.NewUnstartedServer(provider)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	run := func(more ...string) (out, errs string, code int) {
		return rollbook(t, t.TempDir(), append([]string{"bench", server.URL, "--token-url",
			server.URL + "/token", "--client", "c", "--secret", "a secret", "--limits", "10,100"}, more...)...)
	}
	out, errs, code := run("--json")
	var report bench.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatalf("%d %v %s%s", code, err, out, errs)
	}
	if report.Total != rows || report.LeftOut != "" || int64(report.Requests) != calls.Load() ||
		connections.Load() > 1 {
		t.Errorf("%d rows, %d requests of %d, %d connections, %s", report.Total, report.Requests,
			calls.Load(), connections.Load(), report.LeftOut)
	}
	seen := map[string]*bench.Line{}
	for _, l := range report.Lines {
		seen[strings.Join([]string{l.Work, l.Place, l.Coding, strconv.Itoa(l.Limit), l.Query}, "|")] = l
	}
	for key, want := range map[string]struct{ rows, calls, rounds int }{
		"page|start|identity|10|": {10, 1, 5}, "page|end|identity|100|filter=status='active'": {100, 1, 5},
		"page|middle|identity|100|sort=dateLastModified": {100, 1, 5}, "page|start|gzip|100|": {100, 1, 5},
		"by id||identity|0|": {1, 1, 20}, "walk||identity|100|": {1000, 10, 1},
		"delta||identity|100|filter=status='active' AND dateLastModified>" +
			"'2026-01-01T00:16:38.000Z'": {1, 1, 5},
	} {
		l := seen[key]
		if l == nil || l.Rows != want.rows || l.Calls != want.calls || l.Took.Of != want.rounds {
			t.Errorf("%s: %+v", key, l)
		}
	}
	middle, packed := seen["page|middle|identity|10|"], seen["page|start|gzip|100|"]
	if middle.Took.Least < float64(pause.Milliseconds()) || middle.Against.Median <= 1 ||
		packed.Bytes*2 > seen["page|start|identity|100|"].Bytes {
		t.Errorf("middle %+v %+v, compressed %d bytes", middle.Took, middle.Against, packed.Bytes)
	}

	out, errs, _ = run()
	for _, part := range []string{"1000 enrollments", "at the middle", "FIRST PAGE", "walk, 10 requests"} {
		if !strings.Contains(out, part) || strings.Contains(out+errs, "a secret") {
			t.Errorf("no %s, or a secret, in %s%s", part, out, errs)
		}
	}
	before := calls.Load()
	out, _, code = run("--requests", "12")
	if code != 0 || calls.Load() != before+12 || !strings.Contains(out, "left out: 12 requests are made") {
		t.Errorf("%d requests: %d %s", calls.Load()-before, code, out)
	}
	counted = false
	if out, _, _ := run(); !strings.Contains(out, "X-Total-Count") {
		t.Error(out)
	}
	for _, wrong := range [][]string{{"--collection", "pupils"}, {"--limits", "0"}, {"--rounds", "0"},
		{"--time", "0s"}} {
		if _, errs, code := run(wrong...); code != exitUsage || !strings.Contains(errs, wrong[0]) {
			t.Errorf("%s: %d %s", wrong, code, errs)
		}
	}
	server.Close()
	if out, errs, code := run(); code != exitFailed || out != "" || errs == "" {
		t.Errorf("nobody there: %d %s%s", code, out, errs)
	}
}
