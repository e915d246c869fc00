package provider_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"rollbook/internal/provider"
)

// Of what only the two sides may know nothing is told that came back, wherever it
// stands and however it is spelled.
func TestSecretsComeBack(t *testing.T) {
	const secret, token = "s+cret/of ü&me!(x)", "tok+en/1.23456=="
	basic := base64.StdEncoding.EncodeToString([]byte("cl:" + secret))
	quoted, _ := json.Marshal(secret)
	for name, echo := range map[string]string{
		"secret": secret, "encoded": url.QueryEscape(secret), "in a path": url.PathEscape(secret),
		"lower case": "s%2bcret%2fof+%c3%bc%26me%21%28x%29", "Basic": "Basic " + basic, "token": "Bearer " + token,
		"JSON of Go": string(quoted[1 : len(quoted)-1]), "JSON of PHP": `s+cret\/of \u00fc&me!(x)`,
		"JSON of .NET": `s\u002Bcret/of \u00FC\u0026me!(x)`, "a token in JSON of .NET": `tok\u002Ben/1.23456==`,
		"HTML": "s+cret/of ü&amp;me!(x)", "encodeURIComponent": "s%2Bcret%2Fof%20%C3%BC%26me!(x)",
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)),
	} {
		for kind, answer := range map[string]http.HandlerFunc{
			"a name": func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"orgs":[{"sourcedId":"<%s>"}],"%s":1}`, echo, echo)
			},
			"another list":  says(`{"<` + echo + `>":[]}`),
			"a description": fails(`{"imsx_description":"<` + echo + `>"}`),
			"an error":      fails("<" + echo + ">"),
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
			var notes []string
			p := served(t, provider.Config{Client: "cl", Secret: secret, Tries: 2,
				Note: func(text string) { notes = append(notes, text) }},
				func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/token" {
						fmt.Fprintf(w, `{"access_token":%q}`, token)
						return
					}
					answer(w, r)
				})
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
		}
	}
}

func fails(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, body)
	}
}

// Letters that were written as \u0041 are letters.
func TestSecretsWrittenByNumber(t *testing.T) {
	var spelled strings.Builder
	for _, c := range "hush-hush" {
		fmt.Fprintf(&spelled, `\u%04x`, c)
	}
	p := served(t, provider.Config{OAuth1: true, Secret: "hush-hush"},
		says(fmt.Sprintf(`{"orgs":[{"sourcedId":"%s","a":{"b":["%[1]s"],"%[1]s":1}}]}`, spelled.String())))
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
		p, _, _ := planned(t, fails(c.body))
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
	if !is(err, provider.Endless) || !strings.Contains(err.Error(), "more than 64 KiB of headers") {
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
	p := served(t, provider.Config{}, func(w http.ResponseWriter, r *http.Request) {
		n++
		fmt.Fprintf(w, `{"access_token":"%s%d"}`, strings.Repeat("long-", 2000), n)
	})
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
		{"a page", says("<!DOCTYPE html>Hi"), []string{"a web page", "--token-url"}},
		{"a mark", says("\ufeff{\"access_token\":\"tttttt\"}"), []string{"byte order mark", "leave it out"}},
		{"a scope is wanted", fails(`{"error":"invalid_scope","error_description":"scope required"}`),
			[]string{"answered 400: scope required", "ask for no scope", "grant this client"}},
		{"refused", status(401), []string{"answered 401", "client id and secret", "Basic"}},
		{"nothing there", status(404), []string{"answered 404", "spelled right"}},
		{"too long", says(`{"access_token":"abcdefg` + strings.Repeat("x", 1<<20) + `"}`),
			[]string{"has 1048583 bytes: no server takes"}},
		{"nothing in it", says(`{"token":"abcdefg"}`),
			[]string{`not under "access_token"; the answer has "token"`}},
		{"no token in it", says(`{"access_token":null}`), []string{"the access_token is null, or empty, and no text"}},
		{"a number", says(`{"access_token":12345678}`), []string{"the access_token is a number, a list or an object, and no text"}},
		{"an error under 200", says(`{"error":"invalid_client","error_description":"Unknown client"}`),
			[]string{"answered 200: Unknown client"}},
		{"only the token", says("abcdefg\n"), []string{"not a JSON object", "(left out)"}},
	} {
		p := served(t, provider.Config{Tries: 1}, c.answer)
		_, err := p.Token(context.Background())
		for _, want := range append(c.wants, "no token from "+p.TokenURL+": ") {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", c.name, want, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "abcdefg") {
			t.Errorf("%s: a token is told: %v", c.name, err)
		}
	}
}

// Of a signature that is not taken, what was signed is told.
func TestBaseStringIsTold(t *testing.T) {
	p := served(t, provider.Config{OAuth1: true, Client: "key", Secret: "hush-hush"}, status(401))
	_, _, err := p.List(context.Background(), "/orgs", "limit=5", "orgs")
	want := "signed is GET&" + url.QueryEscape(p.URL+"/orgs") + "&limit%3D5%26oauth_consumer_key%3Dkey%26"
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
		t.Errorf("no %q in %v", want, err)
	}
}
