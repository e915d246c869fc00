package provider_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"rollbook/internal/provider"
)

// Of what only the two sides may know nothing is told that came back, wherever it
// stands and however it is spelled.
func TestSecretsComeBack(t *testing.T) {
	const secret, token = "s+cret/of ü&me", "tok+en/1.23456=="
	basic := base64.StdEncoding.EncodeToString([]byte("cl:" + secret))
	quoted, _ := json.Marshal(secret)
	for name, echo := range map[string]string{
		"secret": secret, "encoded": url.QueryEscape(secret), "in a path": url.PathEscape(secret),
		"lower case": "s%2bcret%2fof+%c3%bc%26me", "Basic": "Basic " + basic, "token": "Bearer " + token,
		"JSON of Go": string(quoted[1 : len(quoted)-1]), "JSON of PHP": `s+cret\/of ü&me`,
		"JSON of .NET": `tok\u002Ben/1.23456==`, "HTML": "s+cret/of ü&amp;me",
	} {
		for kind, answer := range map[string]http.HandlerFunc{
			"a name": func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"orgs":[{"sourcedId":"<%s>"}],"%s":1}`, echo, echo)
			},
			"another list": func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"<%s>":[]}`,
					echo)
			},
			"a description": func(w http.ResponseWriter, _ *http.Request) {
				failing(w,
					`{"imsx_description":"<`+echo+`>"}`)
			},
			"an error": func(w http.ResponseWriter, _ *http.Request) { failing(w, "<"+echo+">") },
			"a redirect": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/<"+echo+">")
				w.WriteHeader(302)
			},
			"another kind": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/<"+echo+">")
				fmt.Fprint(w, "hello")
			},
			"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
				conn, _, _ := http.NewResponseController(w).Hijack()
				fmt.Fprintf(conn, "<%s>\r\n\r\n", echo)
				_ = conn.Close()
			},
		} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					fmt.Fprintf(w, `{"access_token":%q}`, token)
					return
				}
				answer(w, r)
			}))
			var notes []string
			p, err := provider.New(provider.Config{URL: server.URL, TokenURL: server.URL + "/token",
				Client: "cl",
				Secret: secret, Tries: 2, Wait: 1, Note: func(text string) { notes = append(notes, text) }})
			if err != nil {
				t.Fatal(err)
			}
			page, a, err := p.List(context.Background(), "/orgs", "", "orgs")
			told := fmt.Sprint(page, a.Header, string(a.Body), a.Excerpt(), a.Said(), err, notes)
			for _, part := range []string{"cret", "tok+en", "1.23456", basic[4:12]} {
				if strings.Contains(told, part) {
					t.Errorf("%s in %s: %s", name, kind, told)
				}
			}
			if !strings.Contains(told, "<(left out)") && !strings.Contains(told, " (left out)") &&
				!strings.Contains(told, "s does not speak") && kind != "no HTTP" && name != "Basic" &&
				name != "token" {
				t.Errorf("%s in %s is not what was asked for: %s", name, kind, told)
			}
			server.Close()
		}
	}
}

func failing(w http.ResponseWriter, body string) {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, body)
}

// Letters that were written as \u0041 are letters.
func TestSecretsWrittenByNumber(t *testing.T) {
	var spelled strings.Builder
	for _, c := range "hush-hush" {
		fmt.Fprintf(&spelled, `\u%04x`, c)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"orgs":[{"sourcedId":"%s","a":{"b":["%[1]s"],"%[1]s":1}}]}`, spelled.String())
	}))
	defer server.Close()
	p, err := provider.New(provider.Config{URL: server.URL, OAuth1: true, Client: "c", Secret: "hush-hush"})
	if err != nil {
		t.Fatal(err)
	}
	page, _, err := p.List(context.Background(), "/orgs", "", "orgs")
	if got := fmt.Sprint(page.Objects); err != nil || strings.Contains(got, "hush") ||
		strings.Count(got, "(left out)") != 3 {
		t.Errorf("%s, %v", got, err)
	}
}

// What a terminal would obey is shown as signs.
func TestControlCharacters(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"\x1b[31mred\x07\x00\x7f\u009b2J\u202egpj", "␛[31mred␇␀␡�2J�gpj"},
		{`{"imsx_description":"\u001b[2J gone\nnext"}`, "␛[2J gone next"},
		{`{"error_description":"\u0007 rings"}`, "␇ rings"},
		{"{\"\x1b[2J\":1}", "␛[2J"},
	} {
		p, _, _ := planned(t, func(w http.ResponseWriter, r *http.Request) {
			failing(w, c.body)
		})
		a, err := p.Careful(context.Background(), provider.Call{Path: "/orgs"}, nil)
		if said := a.Said(); !strings.Contains(said, c.want) {
			t.Errorf("%q: %q", c.body, said)
		}
		if text := err.Error() + a.Excerpt() + fmt.Sprint(a.Header); strings.ContainsAny(text,
			"\x1b\x07\x00\x7f") {
			t.Errorf("%q: %q", c.body, text)
		}
	}
}

// Six megabytes of headers are no answer; of those that nobody reads nothing is kept.
func TestHeadersAreBounded(t *testing.T) {
	p, _, _ := planned(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 600 {
			w.Header().Set(fmt.Sprint("X-Much-", i), strings.Repeat("x", 10_000))
		}
	})
	p.Tries = 1
	_, err := p.Careful(context.Background(), provider.Call{Path: "/orgs"}, nil)
	var trouble *provider.Trouble
	if !errors.As(err, &trouble) || trouble.Kind != provider.Endless ||
		!strings.Contains(err.Error(), "more than 64 KiB of headers") {
		t.Errorf("%v", err)
	}
	p, _, _ = planned(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", strings.Repeat("x", 50_000))
		w.Header().Set("Link", strings.Repeat("<", 10_000))
		good(w, r)
	})
	a, err := p.Do(context.Background(), provider.Call{Path: "/orgs"})
	if err != nil || a.Header.Get("Set-Cookie") != "" || a.Header.Get("Link") != "" || a.Total() != 2 {
		t.Errorf("%v, %.200v", err, a.Header)
	}
}

// What is remembered of tokens that live for a moment does not grow.
func TestTokensAreForgotten(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		fmt.Fprintf(w, `{"access_token":"%s%d"}`, strings.Repeat("long-", 2000), n)
	}))
	defer server.Close()
	p, err := provider.New(provider.Config{URL: server.URL, TokenURL: server.URL, Client: "c", Secret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 3000 {
		if _, err := p.RequestToken(context.Background(), provider.TokenRequest{Client: "c",
			Secret: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes are kept of 3,000 tokens", grown)
	}
	runtime.KeepAlive(p)
}

// An answer that gives no token says where it was asked for and what to change.
func TestNoToken(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		wants  []string
	}{
		{"elsewhere", status(302, "Location", "https://login.example/"),
			[]string{"redirected (302) to https://login.example/", "--token-url", "login page"}},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html>Hi") },
			[]string{"a web page", "--token-url"}},
		{"a mark", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w,
				"\ufeff{\"access_token\":\"tttttt\"}")
		},
			[]string{"byte order mark", "leave it out"}},
		{"a scope is wanted", func(w http.ResponseWriter, _ *http.Request) {
			failing(w, `{"error":"invalid_scope","error_description":"scope required"}`)
		}, []string{"answered 400: scope required", "ask for no scope", "grant this client"}},
		{"refused", status(401), []string{"answered 401", "client id and secret", "Basic"}},
		{"nothing there", status(404), []string{"answered 404", "spelled right"}},
		{"too long", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"access_token":"abcdefg%s"}`, strings.Repeat("x", 1<<20))
		}, []string{"has 1048583 bytes: no server takes"}},
		{"nothing in it", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w,
				`{"token":"abcdefg"}`)
		},
			[]string{`not under "access_token"; the answer has "token"`}},
		{"only the token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "abcdefg\n") },
			[]string{"not a JSON object", "(left out)"}},
	} {
		server := httptest.NewServer(c.answer)
		p, err := provider.New(provider.Config{URL: server.URL, TokenURL: server.URL + "/oauth/token",
			Client: "c",
			Secret: "s", Tries: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Token(context.Background())
		for _, want := range append(c.wants, "no token from "+server.URL+"/oauth/token: ") {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", c.name, want, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "abcdefg") {
			t.Errorf("%s: a token is told: %v", c.name, err)
		}
		server.Close()
	}
}

// Of a signature that is not taken, what was signed is told.
func TestBaseStringIsTold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(status(401)))
	defer server.Close()
	p, err := provider.New(provider.Config{URL: server.URL, OAuth1: true, Client: "key", Secret: "hush-hush"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.List(context.Background(), "/orgs", "limit=5", "orgs")
	want := "signed is GET&" + url.QueryEscape(server.URL+"/orgs") + "&limit%3D5%26oauth_consumer_key%3Dkey%26"
	if err ==
		nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
		t.Errorf("no %q in %v", want, err)
	}
}
