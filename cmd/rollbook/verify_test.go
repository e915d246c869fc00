package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"rollbook/internal/store/storetest"
)

// demoed starts the demo and returns its greeting; it ends with the test.
func demoed(t *testing.T, dir, dsn string, args ...string) greeting {
	t.Helper()
	cmd := program(dir, append([]string{"demo", "--json", "--students", "60", "--addr", "127.0.0.1:0",
		"--db", dsn,
		"--history", "0"}, args...)...)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, cmd) })
	line, err := bufio.NewReader(pipe).ReadBytes('\n')
	var g greeting
	if err != nil || json.Unmarshal(line, &g) != nil {
		t.Fatalf("%s %v", line, err)
	}
	return g
}

func end(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
}

// The demo passes every check of every profile, and the report is written in
// every form.
func TestVerifyTheDemo(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { // on PostgreSQL it is verified by TestOnboarding
		dir := t.TempDir()
		g := demoed(t, dir, storetest.SQLite(t))
		args := []string{"verify", g.BaseURL, "--token-url", g.TokenURL, "--client", g.ClientID, "--secret",
			g.ClientSecret, "--report", "out"}
		out, errs, code := rollbook(t, dir, append(args, "--profile", "all", "--write")...)
		if code != 0 || !strings.Contains(out, " 0 failed") || !strings.Contains(out, "writing ") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
		if !strings.HasPrefix(out, g.BaseURL+" on ") || !strings.Contains(out, "--profile=all") {
			t.Errorf("the first lines are not of whose provider this is: %.200s", out)
		}
		if strings.Contains(out+errs, g.ClientSecret) {
			t.Error("the secret is printed")
		}
		command := "rollbook verify " + g.BaseURL + " --client=" + g.ClientID
		for _, name := range []string{"report.html", "junit.xml", "report.json"} {
			text, err := os.ReadFile(filepath.Join(dir, "out", name))
			if err != nil || strings.Contains(string(text), g.ClientSecret) {
				t.Errorf("%s: %v, or it holds the secret", name, err)
			}
			var suites struct {
				Suites []struct {
					Tests    int `xml:"tests,attr"`
					Failures int `xml:"failures,attr"`
				} `xml:"testsuite"`
			}
			if name == "junit.xml" && (xml.Unmarshal(text, &suites) != nil || len(suites.Suites) < 10 ||
				suites.Suites[0].Tests == 0) {
				t.Errorf("%s is no JUnit report: %.200s", name, text)
			}
			if said := html.UnescapeString(string(text)); name != "junit.xml" && !strings.Contains(said, command) {
				t.Errorf("%s does not tell what made it, %s", name, command)
			}
			if name == "report.json" && (!json.Valid(text) || !strings.Contains(string(text), `"ok":true`)) {
				t.Errorf("%s: %.200s", name, text)
			}
		}
		// What it wrote, it removed: no gradebook object of its is left in a plain list.
		if out, _, _ := rollbook(t, dir, append(args, "--only", "list.answer",
			"--json")...); !strings.Contains(out, `"ok":true`) {
			t.Errorf("%.300s", out)
		}
	})
}

// Servers of other shapes, which nobody here wrote to please a verifier: each
// gets a sentence, never a stack trace.
func TestVerifyOtherServers(t *testing.T) {
	t.Parallel()
	granting := func(data http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				_, _ = w.Write([]byte(`{"access_token":"opaque","token_type":"bearer","expires_in":3600}`))
				return
			}
			data(w, r)
		}
	}
	always := func(body string) http.HandlerFunc {
		return granting(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(body)) })
	}
	endless := granting(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"orgs":[{"sourcedId":"1"}`))
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(`,{"sourcedId":"1"}`, 1000))); err != nil {
				return
			}
		}
	})
	for _, c := range []struct {
		name   string
		serve  http.Handler
		want   string // in what is printed
		within string // a call
	}{
		{"a folder of files", http.FileServer(http.Dir(folderOf(t, map[string]string{
			"token":    `{"access_token":"x","token_type":"bearer","expires_in":3600}`,
			"v1/orgs":  `{"orgs":[{"sourcedId":"1","name":"A","type":"school"},{"sourcedId":"2","name":"B","type":"district"}]}`,
			"v1/users": `{"users":[{"sourcedId":7,"username":null}]}`,
		}))), "CAUSE 1  access.", "60s"},
		{"a web site", granting(func(w http.ResponseWriter,
			r *http.Request) {
			fmt.Fprint(w, "<!DOCTYPE html><title>Welcome</title>")
		}),
			"is this the base URL", "60s"},
		{"a web site without tokens", http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			fmt.Fprint(w, "<html>Welcome</html>")
		}),
			"token endpoint's answer is not a JSON object", "60s"},
		{"one that never ends", endless, "goes on past", "60s"},
		{"one that never answers", granting(func(w http.ResponseWriter,
			r *http.Request) {
			<-r.Context().Done()
		}), "gave no answer within", "2s"},
		{"a login page", granting(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login?next=orgs", http.StatusFound)
		}), "redirected (302) to /login?next=orgs", "60s"},
		{"one that hangs up", granting(func(w http.ResponseWriter,
			r *http.Request) {
			panic(http.ErrAbortHandler)
		}), "hung up without an answer", "60s"},
		{"lists of nothing", always(`{"orgs":[null,1,"x",{}],"users":[{"orgs":[[]],"agents":{"a":1}}]}`),
			"CAUSE 1", "60s"},
		{"objects for lists", always(`{"orgs":{},"users":null,"classes":7}`), "CAUSE 1", "60s"},
		{"an empty object", always(`{}`), "CAUSE 1", "60s"},
		{"a list without a wrapper", always(`[]`), "is this the base URL", "60s"},
		{"deep nesting", always(strings.Repeat(`{"orgs":[`, 20000)), "is this the base URL", "60s"},
		{"errors in its own shape", granting(func(w http.ResponseWriter,
			r *http.Request) {
			w.WriteHeader(500)
			fmt.Fprint(w, "Whoops")
		}), "answered 500", "60s"},
		{"a token that is no text", http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			fmt.Fprint(w, `{"access_token":{"a":1}}`)
		}), "the access_token is a number, a list or an object", "60s"},
		{"a token with line breaks", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"access_token":"a\r\nb","expires_in":-1}`)
		}), "no header can carry", "60s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.serve)
			defer server.Close()
			sentence(t, server.URL, c.want, "--timeout", c.within)
		})
	}
	t.Run("one of OneRoster 1.2", func(t *testing.T) {
		server := httptest.NewServer(always(`{"orgs":[{"sourcedId":"1"}],"academicSessions":[{"sourcedId":"1"}],` +
			`"users":[{"sourcedId":"1","username":"t","roles":[{"role":"student"}]}]}`))
		defer server.Close()
		for _, verb := range []string{"verify", "sync sds", "sync grades"} {
			for _, path := range []string{"", "/ims/oneroster/rostering/v1p2"} {
				if path == "" && verb == "sync grades" {
					continue // its tokens are no JWT
				}
				args := append(strings.Fields(verb), server.URL+path, "--token-url", server.URL+"/token", "--client",
					"a", "--secret", "secret-of-a")
				if verb == "sync grades" {
					args = append(args, "--teacher", "t")
				}
				out, errs, code := rollbook(t, t.TempDir(), args...)
				if code != 2 || !strings.Contains(errs, "OneRoster 1.2") || strings.Count(errs, "\n") > 2 {
					t.Errorf("%s %s: exit %d\n%s%s", verb, path, code, out, errs)
				}
			}
		}
	})
	t.Run("a certificate of its own", func(t *testing.T) {
		server := httptest.NewUnstartedServer(always(`{}`))
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that are meant to fail
		server.StartTLS()
		defer server.Close()
		sentence(t, server.URL, "self-signed")
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: server.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		sentence(t, server.URL, "CAUSE 1", "--ca", ca)
		sentence(t, strings.Replace(server.URL, "https:", "http:", 1), "token endpoint answered 400")
	})
	t.Run("no HTTP at all", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(conn, "220 mail.example.org ESMTP\r\n")
				_ = conn.Close()
			}
		}()
		sentence(t, "http://"+l.Addr().String(), "does not speak HTTP")
		sentence(t, "https://"+l.Addr().String(), "does not speak TLS")
	})
}

// A command line that cannot be right is told so before anybody is called.
func TestVerifyUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"http://127.0.0.1:1/v1 --client " +
			"c --secret s": "give --token-url",
		"http://127.0.0.1:1/v1 --token-url " +
			"http://127.0.0.1:1/token": "give --client and --secret",
		"roster.example.org --token-url http://127.0.0.1:1/token --client " +
			"c --secret s": "is not an absolute URL",
		"http://me:hush@127.0.0.1:1/v1 --token-url http://127.0.0.1:1/token --client " +
			"c --secret s": "holds a name or a password",
		"http://127.0.0.1:1/v1 --oauth1 --signature MD5 --client " +
			"c --secret s": "neither HMAC-SHA256 nor HMAC-SHA1",
		"http://127.0.0.1:1/v1 --profile sds,nope --token-url http://127.0.0.1:1/t " +
			"--client c --secret": "flag needs an argument",
		"http://127.0.0.1:1/v1 --profile sds,nope --oauth1 --client " +
			"c --secret s": `no profile "nope"`,
		"http://127.0.0.1:1/v1 --only page.totals --oauth1 --client " +
			"c --secret s": `no check "page.totals"`,
		"http://127.0.0.1:1/v1 --ca no-such-file --oauth1 --client " +
			"c --secret s": "no-such-file",
		"http://127.0.0.1:1/v1 --rows 0 --oauth1 --client " +
			"c --secret s": "--rows 0",
		"http://127.0.0.1:1/v1 --report /dev/null/x --oauth1 --client " +
			"c --secret s": "--report",
		"http://127.0.0.1:1/v1 --only put --oauth1 --client " +
			"c --secret s": "add --write",
		"http://127.0.0.1:1/v1 --only gradesync --oauth1 --client " +
			"c --secret s": "add --profile gradesync",
		"http://127.0.0.1:1/v1 --only access.token --oauth1 --client " +
			"c --secret s": "leave --oauth1 out",
		"http://127.0.0.1:1/v1 --tries 0 --oauth1 --client " +
			"c --secret s": "--tries: give more than nothing",
		"http://127.0.0.1:1/v1 --timeout 0s --oauth1 --client " +
			"c --secret s": "--timeout: give more than nothing",
		"": "accepts 1 arg",
	} {
		out, errs, code := rollbook(t, t.TempDir(), append([]string{"verify"}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(errs, want) || strings.Contains(out+errs, "hush") {
			t.Errorf("%s: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sentence verifies a server and wants exit code 1 and a text in what is
// printed, which is meant for people.
func sentence(t *testing.T, server, want string, args ...string) {
	t.Helper()
	out, errs, code := rollbook(t, t.TempDir(), append([]string{"verify", server + "/v1", "--token-url",
		server + "/token", "--client", "c", "--secret", "s",
		"--profile", "all", "--write"}, args...)...)
	if code != 1 || !strings.Contains(out+errs, want) {
		t.Errorf("exit %d, %q is not in\n%.3000s%s", code, want, out, errs)
	}
	for _, trace := range []string{"goroutine", "panic", "runtime error", "this check broke"} {
		if strings.Contains(out+errs, trace) {
			t.Errorf("%q is in\n%.3000s%s", trace, out, errs)
		}
	}
}

// A report is written where nobody gets in, and the next one tells what is new, gone and the
// same since then.
func TestVerifySince(t *testing.T) {
	t.Parallel()
	dir, open := t.TempDir(), atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !open.Load():
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/token":
			_, _ = w.Write([]byte(`{"access_token":"opaque","token_type":"bearer","expires_in":3600}`))
		default:
			_, _ = w.Write([]byte(`{}`))
		}
	}))
	defer server.Close()
	run := func(code int, args ...string) (out string) {
		t.Helper()
		out, errs, got := rollbook(t, dir, append([]string{"verify", server.URL + "/v1", "--token-url",
			server.URL + "/token", "--client", "c", "--secret", "s", "--only", "list.answer"}, args...)...)
		if got != code {
			t.Fatalf("exit %d, not %d: %s%s", got, code, out, errs)
		}
		return out + errs
	}
	type told struct {
		OK     bool
		Causes []struct{ Cause, Harm, Loses, Fix string }
		Notes  []string
	}
	written := func(name string) (r told) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name, "report.json"))
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if out := run(1, "--report", "shut"); !strings.Contains(out, "401") {
		t.Errorf("nothing is said of the token: %s", out)
	}
	shut := written("shut")
	if len(shut.Causes) != 1 || shut.Causes[0].Cause != "access.connect" ||
		shut.Causes[0].Harm != "cannot connect" || shut.OK {
		t.Errorf("nobody gets in, and the report says %+v", shut)
	}
	open.Store(true)
	out := run(1, "--report", "opened", "--since", filepath.Join("shut", "report.json"))
	if want := "new: list.answer; gone: access.connect; the same: none"; !strings.Contains(out, want) {
		t.Errorf("no %q in %s", want, out)
	}
	out = run(1, "--since", filepath.Join("opened", "report.json"), "--json")
	if want := "new: none; gone: none; the same: list.answer"; !strings.Contains(out, want) {
		t.Errorf("no %q in %s", want, out)
	}
	// The check list.answer is not among those that are run now.
	out, _, _ = rollbook(t, dir, "verify", server.URL+"/v1", "--token-url", server.URL+"/token", "--client", "c",
		"--secret", "s", "--only", "list.wrapper", "--since", filepath.Join("opened", "report.json"))
	if want := "gone: none; the same: none; not checked this time: list.answer"; !strings.Contains(out, want) {
		t.Errorf("no %q in %s", want, out)
	}
	for _, name := range []string{"report.html", "report.json", "junit.xml"} {
		if at, err := os.Stat(filepath.Join(dir, "opened", name)); err != nil || at.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v %v", name, at.Mode(), err)
		}
	}
	run(2, "--since", "nowhere.json")
	if out = run(1, "--since", filepath.Join("opened", "junit.xml")); !strings.Contains(out,
		"not a report of rollbook verify in JSON") {
		t.Errorf("JUnit is taken for an earlier report: %s", out)
	}
}

// A run that is broken off accuses nobody of it, and does not call a provider right that it did
// not look at.
func TestVerifyBrokenOff(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"/orgs", "filter="} { // before anything was read, and among the checks
		t.Run(at, func(t *testing.T) {
			dir, reached := t.TempDir(), make(chan struct{}, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				list := strings.TrimPrefix(r.URL.Path, "/v1/")
				switch {
				case r.URL.Path == "/token":
					_, _ = w.Write([]byte(`{"access_token":"opaque","token_type":"bearer","expires_in":3600}`))
				case strings.Contains(r.RequestURI, at):
					select {
					case reached <- struct{}{}:
					default:
					}
					<-r.Context().Done()
				default:
					w.Header().Set("X-Total-Count", "1")
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintf(w, `{%q:[{"sourcedId":"1"}]}`, list)
				}
			}))
			defer server.Close()
			cmd := program(dir, "verify", server.URL+"/v1", "--token-url", server.URL+"/token", "--client", "c",
				"--secret", "s", "--only", "list.wrapper,filter.equal,filter.id", "--report", "out")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-reached
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait() // the exit code tells
			text, err := os.ReadFile(filepath.Join(dir, "out", "report.json"))
			var report struct {
				OK, BrokenOff bool
				Results       []struct {
					Check, State string
					Failures     []struct{ Text string }
				}
			}
			if err == nil {
				err = json.Unmarshal(text, &report)
			}
			if err != nil || cmd.ProcessState.ExitCode() != 130 || report.OK || !report.BrokenOff {
				t.Errorf("exit %d, %v, %.300s\n%s", cmd.ProcessState.ExitCode(), err, text, out.String())
			}
			if strings.Contains(string(text), "access.connect") || strings.Contains(string(text), "canceled") {
				t.Errorf("the provider is accused of it: %.2000s", text)
			}
			page, err := os.ReadFile(filepath.Join(dir, "out", "report.html"))
			if err != nil || !strings.Contains(string(page), "roken off") ||
				strings.Contains(string(page), `class="verdict ready"`) {
				t.Errorf("%v: the page does not say that it was broken off", err)
			}
		})
	}
}
