package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"rollbook/internal/store/storetest"
)

// What a provider goes through before it is let in, in one go: the checks of
// every profile with writes, a full sync, grades, and then school days, after each of
// which School Data Sync reads a delta; its mirror equals another full pull. There are
// thirty on SQLite, and six on PostgreSQL.
func TestOnboarding(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir, days := t.TempDir(), 30
		if strings.HasPrefix(dsn, "postgres") {
			days = 6
		}
		g := demoed(t, dir, dsn, "--live", "--every", "0")
		at := []string{g.BaseURL, "--token-url", g.TokenURL, "--client", g.ClientID, "--secret",
			g.ClientSecret}
		run := func(want string, verb string, more ...string) {
			t.Helper()
			args := append(append(strings.Fields(verb), at...), more...)
			out, errs, code := rollbook(t, dir, args...)
			if code != 0 || !strings.Contains(out, want) {
				t.Fatalf("%s %v: exit %d, no %q in\n%.4000s%s", verb, more, code, want, out, errs)
			}
		}
		run("completed", "sync sds", "--demographics", "--contacts")
		run("60 created", "sync grades", "--teacher", g.TeacherEmail)
		run("60 unchanged", "sync grades", "--teacher", g.TeacherEmail)
		run("60 removed", "sync grades", "--teacher", g.TeacherEmail, "--clean")
		for day := 1; day <= days; day++ {
			answer, err := http.Post(g.DayURL, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			var m struct{ Day, Added, Changed, Retired int }
			if err := json.NewDecoder(answer.Body).Decode(&m); err != nil || m.Day != day ||
				m.Added+m.Changed+m.Retired == 0 {
				t.Fatalf("%v %+v", err, m)
			}
			_ = answer.Body.Close()
			// The year rolls over within these days: most enrollments end at once.
			want, more := "", []string{"--demographics", "--contacts", "--shrink", "100", "--json"}
			if day%3 == 0 { // what the two days before came to is proven too
				want, more = `"differences":[]`, append(more, "--prove")
			}
			run(want, "sync sds", more...)
		}
		// a district that has lived, with deleted rows of every kind
		run(" 0 failed", "verify", "--profile", "all", "--write")
		if out, _, code := rollbook(t, dir, "sync", "sds", "--history", g.BaseURL); code != 0 ||
			strings.Count(out, "delta") < min(10, days) {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
}
