package provider_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/provider"
)

// A server with a plan: what it answers to the first call of data, the second,
// and so on; the last goes on.
func planned(t *testing.T, answers ...func(w http.ResponseWriter, r *http.Request)) (p *provider.Provider,
	calls, tokens *atomic.Int64) {
	t.Helper()
	return granting(t, "", answers...)
}

// granting is planned, with more members in what grants a token.
func granting(t *testing.T, more string, answers ...func(w http.ResponseWriter, r *http.Request)) (
	p *provider.Provider, calls, tokens *atomic.Int64) {
	t.Helper()
	calls, tokens = new(atomic.Int64), new(atomic.Int64)
	return served(t, provider.Config{Timeout: 5 * time.Second}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer"%s}`, tokens.Add(1), more)
			return
		}
		n := int(calls.Add(1))
		answers[min(n, len(answers))-1](w, r)
	}), calls, tokens
}

// served is the provider of a server that answers everything so.
func served(t *testing.T, c provider.Config, answer http.HandlerFunc) *provider.Provider {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c.URL, c.TokenURL, c.Wait = server.URL+"/v1/", server.URL+"/token", time.Millisecond
	c.Client, c.Secret = cmp.Or(c.Client, "c"), cmp.Or(c.Secret, "s")
	p, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const rows = `{"orgs":[{"sourcedId":"1"},{"sourcedId":"2"}]}`

func good(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Total-Count", "2")
	fmt.Fprint(w, rows)
}

func status(code int, headers ...string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, `{"why":"because"}`)
	}
}

func hangUp(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }

func cutShort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(rows)))
	fmt.Fprint(w, rows[:20])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) }
}

// What passes is asked again, what does not is not; nothing that is not whole
// is taken for a list.
func TestCarefulList(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []func(http.ResponseWriter, *http.Request)
		calls   int64
		tokens  int64
		want    string // in the error; "" is two rows
	}{
		{"at once", list(good), 1, 1, ""},
		{"busy, then good", list(status(429, "Retry-After", "0"), status(503), good), 3, 1, ""},
		{"failing, then good", list(status(500), status(502), status(504), good), 4, 1, ""},
		{"failing as gateways do, then good", list(status(520), status(507), status(425), good), 4, 1, ""},
		{"not built", list(status(501)), 1, 1, "answered 501"},
		{"hung up, then good", list(hangUp, good), 2, 1, ""},
		{"cut short, then good", list(cutShort, good), 2, 1, ""},
		{"half of the JSON, then good", list(says(rows[:20]), good), 2, 1, ""},
		{"token ended, then good", list(status(401), good), 2, 2, ""},
		{"token never taken", list(status(401)), 2, 2, "answered 401"},
		{"forbidden", list(status(403)), 1, 1, "answered 403"},
		{"not there", list(status(404)), 1, 1, "answered 404"},
		{"redirected", list(status(302, "Location", "/login")), 1, 1, "redirected (302) to /login"},
		{"not modified", list(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) }), 1, 1,
			"set no condition"},
		{"a web page", list(says("<!doctype html>Log in")), 1, 1, "a web page"},
		{"another key", list(says(`{"items":[]}`)), 1, 1, `the answer has "items"`},
		{"an error under 200", list(says(`{"imsx_codeMajor":"failure","imsx_description":"database is down"}`)), 1, 1,
			"and says: database is down"},
		{"a web page that says it is JSON", list(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "<html>Log in</html>")
		}), 1, 1, "not JSON but a web page"},
		{"null for a list", list(says(`{"orgs":7}`)), 1, 1, "not a list"},
		{"busy for good", list(status(503, "Retry-After", "0")), 5, 1, "tried 5 times"},
		{"cut short for good", list(cutShort), 5, 1, "broke off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, calls, tokens := planned(t, c.answers...)
			page, _, err := p.List(context.Background(), "/orgs", "limit=5", "orgs")
			if c.want == "" && (err != nil || len(page.Objects) != 2 || page.Objects[1].ID() != "2") ||
				c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, %v", page, err)
			}
			if calls.Load() != c.calls || tokens.Load() != c.tokens {
				t.Errorf("%d calls, %d tokens; wanted %d and %d", calls.Load(), tokens.Load(), c.calls,
					c.tokens)
			}
		})
	}
}

func list(f ...func(http.ResponseWriter, *http.Request)) []func(http.ResponseWriter, *http.Request) {
	return f
}

// A server that is too slow is given up.
func TestTooSlow(t *testing.T) {
	p, _, _ := planned(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	p.Timeout = 50 * time.Millisecond
	if _, err := p.Do(t.Context(), provider.Call{Path: "/orgs"}); !is(err, provider.TooSlow) {
		t.Errorf("%v", err)
	}
}

func is(err error, kind provider.Kind) bool {
	trouble, ok := errors.AsType[*provider.Trouble](err)
	return ok && trouble.Kind == kind
}

func TestLinks(t *testing.T) {
	for header, want := range map[string]map[string]string{
		``: {},
		`<https://h/u?limit=1&offset=1>; rel="next"`: {"next": "https://h/u?limit=1&offset=1"},
		`<https://h/u?fields=a,b>; rel="next", <https://h/u?x=1;y=2>; rel=last , </first>;title="a,b"; ` +
			`rel="first start"`: {
			"next": "https://h/u?fields=a,b", "last": "https://h/u?x=1;y=2", "first": "/first",
			"start": "/first"},
		`nonsense, <unclosed`: {},
	} {
		got := (&provider.Answer{Header: http.Header{"Link": {header}}}).Links()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, not %v", header, got, want)
		}
	}
}
