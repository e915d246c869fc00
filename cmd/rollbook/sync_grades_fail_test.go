package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A spoiler stands before the service and spoils one thing.
type spoiler struct {
	ask    func(w http.ResponseWriter, r *http.Request, body []byte) bool // true: it has answered
	answer func(a *http.Response) error
}

func (h *schoolhouse) behind(f spoiler) http.Handler {
	target, _ := url.Parse(strings.TrimSuffix(h.BaseURL, "/ims/oneroster/v1p1"))
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = f.answer
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Del("Accept-Encoding")
		if f.ask == nil || !f.ask(w, r, body) {
			proxy.ServeHTTP(w, r)
		}
	})
}

// counting passes everything on and counts the calls of a method since it was
// asked last.
func (h *schoolhouse) counting() (address string, counted func(method string) int) {
	var lock sync.Mutex
	n := map[string]int{}
	server := httptest.NewServer(h.behind(spoiler{ask: func(_ http.ResponseWriter, r *http.Request,
		_ []byte) bool {
		lock.Lock()
		defer lock.Unlock()
		n[r.Method]++
		return false
	}}))
	h.Cleanup(server.Close)
	return server.URL, func(method string) int {
		lock.Lock()
		defer lock.Unlock()
		defer delete(n, method)
		return n[method]
	}
}

// unsigned is a token that nobody signed.
func unsigned(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part([]byte(claims)) + ".c2lnbmVk"
}

func granting(token string) spoiler {
	return spoiler{ask: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/token" {
			fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer","expires_in":3600}`, token)
			return true
		}
		return false
	}}
}

// answering replaces the answers to a method on paths that match.
func answering(method, path string, status int, body string, header ...string) spoiler {
	match := regexp.MustCompile(path)
	return spoiler{ask: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.Method != method || !match.MatchString(r.URL.Path) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}}
}

// sending changes what is PUT before it gets to the service.
func sending(wrapper string, spoil func(o thing)) spoiler {
	return spoiler{ask: func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		var o map[string]thing
		if r.Method == "PUT" && json.Unmarshal(body, &o) == nil && o[wrapper] != nil {
			spoil(o[wrapper])
			body, _ = json.Marshal(o)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return false
	}}
}

// telling changes a list that the service answers with.
func telling(path, key string, spoil func(list []thing) []thing) spoiler {
	match := regexp.MustCompile(path)
	return spoiler{answer: func(a *http.Response) error {
		if a.Request.Method != "GET" || !match.MatchString(a.Request.URL.Path) {
			return nil
		}
		var o map[string][]thing
		if err := json.NewDecoder(a.Body).Decode(&o); err != nil {
			return err
		}
		o[key] = spoil(o[key])
		text, err := json.Marshal(o)
		a.Body = io.NopCloser(bytes.NewReader(text))
		a.ContentLength = int64(len(text))
		a.Header.Set("Content-Length", fmt.Sprint(len(text)))
		return err
	}}
}

// capped is a server that never lists more than n.
func capped(path string, n int) spoiler {
	return spoiler{ask: func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		if strings.HasSuffix(r.URL.Path, path) {
			q := r.URL.Query()
			q.Set("limit", fmt.Sprint(n))
			r.URL.RawQuery = q.Encode()
		}
		return false
	}}
}

// changed replaces the status and body of answers of a status.
func changed(path string, from, to int, body string) spoiler {
	match := regexp.MustCompile(path)
	return spoiler{answer: func(a *http.Response) error {
		if a.StatusCode == from && match.MatchString(a.Request.URL.Path) {
			a.StatusCode = to
			a.Body = io.NopCloser(strings.NewReader(body))
			a.ContentLength = int64(len(body))
			a.Header.Set("Content-Length", fmt.Sprint(len(body)))
		}
		return nil
	}}
}

func TestGradesThatFail(t *testing.T) {
	t.Parallel()
	h := schoolhouseAt(t, filepath.Join(t.TempDir(), "district.db"), 300)
	const failure = `{"statusInfoSet":[{"imsx_codeMajor":"failure","imsx_description":"the tape is full"}]}`
	var one string // a student of her first class
	for id := range h.list("/classes/cls-001-001-1/students", "") {
		one = max(one, id)
	}
	var tries atomic.Int64
	ofOne := func(status int, body string) spoiler {
		return spoiler{ask: func(w http.ResponseWriter, r *http.Request, sent []byte) bool {
			if r.Method != "PUT" || !bytes.Contains(sent, []byte(`"`+one+`"`)) {
				return false
			}
			tries.Add(1)
			told := body
			if told == "" {
				told = string(sent)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, told)
			return true
		}}
	}
	for n, c := range []struct {
		name  string
		front spoiler
		args  string
		code  int
		want  []string // of both outputs
	}{
		{"nothing is wrong", spoiler{}, "", 0, []string{"3 created", "75 created", "slowest write"}},
		{"opaque token", granting("s3cret-opaque"), "", 1,
			[]string{"is not a JWT", "answer with a signed JWT that has exp"}},
		{"JWT without exp", granting(unsigned(`{"sub":"x"}`)), "", 1, []string{"is a JWT without exp",
			"has ended already"}},
		{"JWT whose exp is a text", granting(unsigned(`{"exp":"soon"}`)), "", 1,
			[]string{`has the exp "soon"`}},
		{"JWT that has ended", granting(unsigned(`{"exp":1700000000}`)), "", 1,
			[]string{"ends at 2023-11-14T22:13:20Z", "asked for anew at every call"}},
		{"JWT of nobody, refused later", granting(unsigned(`{"exp":4000000000}`)), "", 1,
			[]string{"GET", "/teachers?limit=7000: answered 401: "}},
		{"wrong secret", spoiler{}, "--secret wrong", 1, []string{"no token", "answered 401"}},
		{"token endpoint is a web page", answering("POST", "^/token$", 200,
			"<!DOCTYPE html><title>Log in</title>", "Content-Type", "text/html"), "", 1,
			[]string{"no token", "a web page"}},
		{"token endpoint redirects", answering("POST", "^/token$", 302, "", "Location",
			"https://elsewhere.example"), "", 1,
			[]string{"no token", "redirected (302) to https://elsewhere.example"}},
		{"teachers are a web page", answering("GET", "/teachers$", 200, "<html>Hello</html>",
			"Content-Type", "text/html"), "", 1, []string{"a web page"}},
		{"teachers are elsewhere", answering("GET", "/teachers$", 301, "", "Location", "/other"), "", 1,
			[]string{"redirected (301) to /other: readers lose their credentials"}},
		{"teachers cut short, she is lost", capped("/teachers", 2), "--teacher NOBODY@x.example", 1,
			[]string{"none of the 2 teachers", "2 of ", "never asks for a second page"}},
		{"teachers cut short, she is there", capped("/teachers", 2), "", 0,
			[]string{"warning: GET", "never asks for a second page", "75 created"}},
		{"students cut short", capped("/students", 20), "", 0, []string{"20 of 25 came", "never sees the rest (5)",
			"60 created"}},
		{"two teachers", telling("/teachers$", "users",
			func(l []thing) []thing { l[1]["username"] = strings.ToUpper(h.TeacherEmail); return l }), "", 1,
			[]string{`2 teachers have the e-mail address or username "` + h.TeacherEmail + `"`,
				"(tea-001-001)", "(tea-001-002)", "needs exactly one"}},
		{"one of two has left", telling("/teachers$", "users", func(l []thing) []thing {
			l[1]["email"], l[1]["status"] = h.TeacherEmail, "tobedeleted"
			return l
		}), "", 0, []string{"75 created"}},
		{"unknown teacher", spoiler{}, "--teacher nobody@x.example", 1,
			[]string{"none of the ", `"nobody@x.example"`}},
		{"another's class", spoiler{}, "--class cls-003-001-1", 1,
			[]string{`does not teach class "cls-003-001-1"; hers are cls-001-001-1`}},
		{"unknown group", spoiler{}, "--group nosuch", 1, []string{`there is no class group "nosuch"`}},
		{"the filter of enrollments is not obeyed", telling("/enrollments$", "enrollments",
			func(l []thing) []thing {
				l[0]["class"] = thing{"sourcedId": "c9"}
				return l
			}), "", 0, []string{"is not obeyed", `is in class "c9"`}},
		{"the filter of sessions is not obeyed", telling("/academicSessions$", "academicSessions",
			func(l []thing) []thing { l[0]["type"] = "term"; return l }), "", 1, []string{"is a term"}},
		{"no grading periods", telling("/academicSessions$", "academicSessions",
			func([]thing) []thing { return []thing{} }), "", 0, []string{"there is no grading period",
			"75 created"}},
		{"200 for what is absent", changed("/lineItems/", 404, 200, "{}"), "", 1,
			[]string{`answered 200 without the lineItem: Grade Sync takes any success for "it exists"`,
				"75 failed"}},
		{"200 for one that is deleted", changed("/results/", 404, 200, `{"result":{}}`), "", 1,
			[]string{"3 created", "without the result", "75 failed"}},
		{"403 for what is absent", changed("/results/", 404, 403, failure), "", 1,
			[]string{"answered 403: the tape is full. Grade Sync takes 404 for absent"}},
		{"500 for one student", ofOne(500, failure), "", 1, []string{"72 created, 3 failed",
			"(" + one + "): PUT http", "answered 500: the tape is full",
			"3 of the line items and results failed"}},
		{"201 for one student, not kept", ofOne(201, ""), "", 1, []string{"72 created, 3 failed",
			"(" + one + "): reading back: GET http", "was taken and is not there: 404"}},
		{"202 without a body, not kept", ofOne(202, " "), "", 1, []string{"72 created, 3 failed",
			"was taken and is not there: 404"}},
		{"the answer to a PUT is a web page", ofOne(200, "<html>"), "", 1, []string{"72 created, 3 failed",
			"this is not JSON"}},
		{"the answer to a PUT is of another kind", ofOne(201, `{"grade":{}}`), "", 1,
			[]string{`the object is not under "result"; the answer has "grade"`}},
		{"a token that is no longer taken", ofOne(401, failure), "", 1,
			[]string{"answered 401: the tape is full"}},
		{"a line item that is refused", answering("PUT", "/lineItems/", 422, failure), "", 1,
			[]string{"answered 422: the tape is full", "not sent: its line item ", "3 failed", "75 failed"}},
		{"scores are rounded", sending("result",
			func(o thing) { o["score"] = math.Round(o["score"].(float64)) }), "", 1,
			[]string{": score: sent ", ".25, read "}},
		{"comments are kept from others", sending("result", func(o thing) { o["comment"] = "Well done" }),
			"--personal", 1, []string{`comment: sent "", read "Well done"`}},
		{"categories are dropped", sending("lineItem",
			func(o thing) { o["category"] = thing{"sourcedId": "cat-4"} }), "", 1,
			[]string{`category: sent "cat-001-001-1", read "cat-4"`}},
		{"HTML is dropped", sending("lineItem", func(o thing) { o["description"] = "Read chapter 3" }), "",
			1, []string{`description: sent "<div><p>Read <b>chapter 3</b>`, `read "Read chapter 3"`}},
		{"days are shifted", sending("result", func(o thing) { o["scoreDate"] = "2020-01-01" }), "", 1,
			[]string{`scoreDate: sent "20`, `read "2020-01-01"`}},
		{"scoreDate comes back as a dateTime", telling("/results$", "results", func(l []thing) []thing {
			for _, o := range l {
				o["scoreDate"] = o["scoreDate"].(string) + "T23:59:00.000Z"
			}
			return l
		}), "", 0, []string{"75 created"}},
		{"a list lacks one", telling("/lineItems/.*/results$", "results",
			func(l []thing) []thing { return l[1:] }), "", 1, []string{"does not list it", "3 failed"}},
		{"a list shows another score", telling("/lineItems/.*/results$", "results",
			func(l []thing) []thing { l[0]["score"] = 1000; return l }), "", 1,
			[]string{"/results: score: sent ", "read 1000"}},
		{"the class lists no line items", telling("/classes/[^/]*/lineItems$", "lineItems",
			func([]thing) []thing { return []thing{} }), "", 1, []string{"/lineItems does not list it",
			"3 failed"}},
		{"the lists of results are paged", capped("/results", 10), "", 0, []string{"75 created"}},
		{"nothing to clean", spoiler{}, "--clean", 0, []string{"3 gone", "75 gone"}},
		{"nobody listens", spoiler{}, "--token-url http://127.0.0.1:1/token", 1,
			[]string{"nobody listens at 127.0.0.1:1"}},
		{"no teacher", spoiler{}, "--teacher=", 2, []string{"give --teacher"}},
		{"no assignments", spoiler{}, "--assignments 0", 2, []string{"--assignments 0 is not between"}},
		{"class and group", spoiler{}, "--class a --group b", 2, []string{"exclude each other"}},
		{"clean and force", spoiler{}, "--clean --force", 2, []string{"exclude each other"}},
		{"no secret", spoiler{}, "--secret=", 2, []string{"a secret are needed"}},
		{"no URL", spoiler{}, "--token-url token", 2, []string{"is not an absolute URL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := h.in(t)
			server := httptest.NewServer(h.behind(c.front))
			defer server.Close()
			out, errs, code := h.grades(server.URL, append([]string{"--seed", fmt.Sprint(1000 + n)},
				strings.Fields(c.args)...)...)
			if code != c.code || strings.Count(errs, "\n") > 1 {
				t.Errorf("exit %d", code)
			}
			for _, want := range c.want {
				if !strings.Contains(out+errs, want) {
					t.Errorf("no %q", want)
				}
			}
			if n := tries.Swap(0); n != 0 && n != 3 {
				t.Errorf("one student's three results were sent %d times: Grade Sync tries nothing again", n)
			}
			if strings.Contains(out+errs, h.ClientSecret) || strings.Contains(out+errs, "s3cret-opaque") {
				t.Error("a secret is told")
			}
			if t.Failed() {
				t.Logf("%s%s", out, errs)
			}
		})
	}
	t.Run("a certificate of nobody, then a trusted one", func(t *testing.T) {
		h := h.in(t)
		var newer atomic.Bool
		server := httptest.NewUnstartedServer(h.behind(spoiler{ask: func(_ http.ResponseWriter,
			r *http.Request, _ []byte) bool {
			newer.CompareAndSwap(false, r.ProtoMajor != 1)
			return false
		}}))
		server.EnableHTTP2 = true
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of every client that hangs up
		server.StartTLS()
		defer server.Close()
		_, errs, code := h.grades(server.URL)
		if code != 1 || !strings.Contains(errs, "--ca FILE.pem") {
			t.Errorf("exit %d %s", code, errs)
		}
		ca := filepath.Join(h.dir, "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: server.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		h.receipt(server.URL, "map[created:3] map[created:75]", "--ca", ca, "--seed", "10")
		if newer.Load() {
			t.Error("HTTP/2 takes one connection for what the real client opens many for")
		}
	})
	t.Run("a deletion that deletes nothing, and one that a list does not know of", func(t *testing.T) {
		h := h.in(t)
		args := []string{"--seed", "9", "--assignments", "1", "--clean"}
		made := h.receipt("", "map[created:1] map[created:25]", args[:4]...)
		lazy := httptest.NewServer(h.behind(answering("DELETE", "/", 204, "")))
		defer lazy.Close()
		out, errs, code := h.grades(lazy.URL, args...)
		if code != 1 || !strings.Contains(out, "answered 200 after it was deleted, not 404") ||
			!strings.Contains(out, "25 failed") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
		stale := httptest.NewServer(h.behind(telling("/classes/[^/]*/lineItems$", "lineItems",
			func(l []thing) []thing {
				return append(l, thing{"sourcedId": made.LineItems[0].SourcedID})
			})))
		defer stale.Close()
		out, errs, code = h.grades(stale.URL, args...)
		if code != 1 || !strings.Contains(out, "/lineItems lists it after it was deleted") ||
			!strings.Contains(out, "25 removed") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	})
	t.Run("a student who has left is cleaned up too", func(t *testing.T) {
		h := h.in(t)
		args := []string{"--seed", "11", "--assignments", "1", "--clean"}
		h.receipt("", "map[created:1] map[created:25]", args[:4]...)
		server := httptest.NewServer(h.behind(telling("/students$", "users",
			func(l []thing) []thing { return l[1:] })))
		defer server.Close()
		h.receipt(server.URL, "map[removed:1] map[removed:25]", args...)
	})
}
