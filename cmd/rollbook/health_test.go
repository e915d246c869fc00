package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"rollbook/internal/store/storetest"
)

// Without its database a service is not ready, whether that is gone or silent, and is again when
// it is back; strangers are not told why.
func TestReadyWithoutDatabase(t *testing.T) {
	t.Parallel()
	type step struct {
		do    func()
		ready int
		why   string
		look  bool // the metrics are looked at, once: what is seen lasts some seconds
	}
	for engine, district := range map[string]func(t *testing.T) (dsn string, steps []step){
		"sqlite": func(t *testing.T) (string, []step) {
			db := storetest.SQLite(t)
			return db, []step{
				{func() { _ = os.Rename(db, db+".away") }, 503, "was moved", true},
				{func() { _ = os.Rename(db+".away", db) }, 200, "ok", false},
			}
		},
		"postgres": func(t *testing.T) (string, []step) {
			dsn, server := storetest.Alone(t)
			goOn := func() {}
			return dsn, []step{
				{server.Stop, 503, "does not answer", false},
				{func() { server.Restart(t) }, 200, "ok", false},
				{func() { goOn = server.Hang(t) }, 503, "does not answer", true},
				{func() { goOn() }, 200, "ok", false},
			}
		},
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dsn, steps := district(t)
			dir := write(t, right)
			runs(t, dir, dsn)("import", "--new", ".")
			told, _ := startTold(t, dir, dsn, "--metrics-addr", "127.0.0.1:0")
			stranger := func(path string) (int, string) {
				r, _ := http.NewRequest("GET", "http://"+told.Address+path, nil)
				r.Header.Set("X-Forwarded-For", "203.0.113.7")
				a, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Body.Close()
				body, _ := io.ReadAll(a.Body)
				return a.StatusCode, string(body)
			}
			for n, s := range append([]step{{func() {}, 200, "ok", false}}, steps...) {
				s.do()
				for _, address := range []string{told.Address, told.Metrics} {
					if status, body := answered(t, "http://"+address+"/readyz", ""); status != s.ready ||
						!strings.Contains(body, s.why) {
						t.Errorf("step %d: %d %s", n, status, body)
					}
					if status, _ := answered(t, "http://"+address+"/healthz", ""); status != 200 {
						t.Errorf("step %d: healthz %d", n, status)
					}
				}
				want := `{"status":"ok"}`
				if s.ready != 200 {
					want = `{"status":"not ready"}`
				}
				if status, body := stranger("/readyz"); status != s.ready || body != want {
					t.Errorf("step %d, a stranger: %d %s", n, status, body)
				}
				if status, body := stranger("/healthz"); status != 200 || body != `{"status":"ok"}` {
					t.Errorf("step %d, a stranger: %d %s", n, status, body)
				}
				if s.look {
					_, figures := scraped(t, told.Metrics)
					if up, is := figures["rollbook_database_up"]; !is || up != 0 {
						t.Errorf("the database is up: %v", figures)
					}
				}
			}
		})
	}
}
