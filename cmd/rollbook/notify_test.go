package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollbook/internal/store/storetest"
)

// The verbs of notifiers: what cannot be meant is refused before anything is kept, a test says what the
// other side said, and the URL of a webhook is shown nowhere.
func TestNotify(t *testing.T) {
	t.Parallel()
	dir, dsn := t.TempDir(), storetest.SQLite(t)
	heard := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "/wrong") {
			http.Error(w, "no such place: "+r.URL.Path, http.StatusNotFound)
			return
		}
		heard <- string(body)
	}))
	t.Cleanup(hook.Close)
	said := ""
	run := func(code int, says string, args ...string) {
		t.Helper()
		out, errs, got := rollbook(t, dir, append(args, "--db", dsn)...)
		if said += out + errs; got != code || !strings.Contains(out+errs, says) {
			t.Errorf("%s: %d, not %d; %s%s; it lacks %q", args, got, code, out, errs, says)
		}
	}
	runs(t, dir, dsn)("init")
	add := func(code int, says, name string, args ...string) {
		t.Helper()
		run(code, says, append([]string{"notify", "add", name}, args...)...)
	}
	add(2, "say how to tell", "chat")
	add(2, `--on "hold": give some of published, held`, "chat", "--command", "true", "--on", "hold")
	add(2, `--remind "1": write a span such as 26h`, "chat", "--command", "true", "--remind", "1")
	add(2, "plain http:// is for this very machine", "chat", "--webhook", "http://host.example/T0KEN")
	add(2, "leave the password out of the URL", "chat", "--smtp", "smtp://u:T0KEN@h.example", "--from",
		"a@b.example", "--to", "c@d.example")
	run(0, "there is no notify", "notify", "list")
	add(0, "notifier chat: slack at 127.0.0.1", "chat", "--webhook", hook.URL+"/T0KEN", "--body", "slack",
		"--title", "Springfield")
	add(1, "already", "chat", "--command", "true")
	run(0, "200 OK", "notify", "test", "chat")
	if got := <-heard; !strings.Contains(got, "*Springfield: this is a test, nothing has happened*") {
		t.Error(got)
	}
	add(0, "told: held", "wrong", "--webhook", hook.URL+"/T0KEN/wrong", "--on", "held")
	run(1, "answers 404 Not Found: no such place", "notify", "test", "wrong")
	run(0, "slack at 127.0.0.1", "notify", "list")
	run(0, "has not run yet", "notify", "show", "chat")
	run(0, "notify added", "audit")
	run(0, "", "notify", "remove", "chat")
	run(1, "", "notify", "test", "chat")
	if strings.Contains(said, "T0KEN") {
		t.Errorf("a secret is shown: %s", said)
	}
}
