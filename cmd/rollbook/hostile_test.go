package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
)

// echoing is a gateway that sends back what it was sent, wherever it can.
func echoing(kind, secret, token string) http.Handler {
	if kind == "no token" {
		token = ""
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _, _ := r.BasicAuth()
		echo := strings.Join([]string{r.Header.Get("Authorization"), id, secret, url.QueryEscape(secret),
			base64.StdEncoding.EncodeToString([]byte("cl:" + secret)), token}, " ~ ")
		w.Header().Set("X-Echo", echo)
		w.Header().Set("Link", fmt.Sprintf(`<http://%s/?a=%s>; rel="first"`, r.Host, url.QueryEscape(echo)))
		const loud = "\x1b[2J\x07\u009b\u202e" // only where nothing on the way takes it out
		loudly := echo + loud
		tell := func(status int, body any) {
			w.Header().Set("Content-Type", "application/json; of="+echo)
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		}
		last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		resource := oneroster.ByName(map[string]string{"teachers": "users", "students": "users",
			"schools": "orgs",
			"terms":   "academicSessions", "gradingPeriods": "academicSessions"}[last])
		if resource == nil {
			resource = oneroster.ByName(last)
		}
		switch {
		case last == "token" && kind != "no token":
			tell(200, map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 3600,
				"scope": echo})
		case kind == "redirect":
			http.Redirect(w, r, "/login?was="+url.QueryEscape(echo), http.StatusFound)
		case kind == "page":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<!DOCTYPE html><p>%s", loudly)
		case kind == "no token", kind == "error":
			tell(http.StatusBadRequest, map[string]any{"error": loudly, "error_description": "scope of " +
				loudly, "imsx_description": loudly})
		case kind == "text":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, loudly)
		case resource == nil || r.Method != http.MethodGet:
			info := map[string]any{"imsx_description": loudly}
			tell(http.StatusNotFound, map[string]any{"statusInfoSet": []any{info}})
		default:
			ref := map[string]any{"sourcedId": "x", "href": echo, "type": echo}
			row := map[string]any{"sourcedId": "x/" + loudly, "status": "active", "email": "t@x.example",
				"dateLastModified": "2026-11-01T08:00:00.000Z", "title": loudly, "name": loudly,
				"givenName": loudly, "familyName": loudly, "username": loudly, "role": loudly, loudly: loudly,
				"orgs": []any{ref}, "parent": ref, "type": "gradingPeriod", "startDate": "2026-08-01",
				"endDate": "2027-06-30", "metadata": map[string]any{echo: echo}}
			w.Header().Set("X-Total-Count", "1")
			tell(200, map[string]any{resource.Plural: []any{row}})
		}
	})
}

// Whatever a gateway sends back of what it was sent, neither screen nor file shows it.
func TestEchoedSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hush+hush/hush&1"
	token := unsigned(`{"exp":4000000000}`)
	for _, kind := range []string{"rows", "error", "text", "redirect", "page", "no token"} {
		server := httptest.NewServer(echoing(kind, secret, token))
		defer server.Close()
		for _, verb := range []string{"verify --profile all --write --report report",
			"verify --profile all --write --json", "sync sds --full", "sync sds --full --json --prove",
			"sync grades --teacher t@x.example", "sync grades --teacher t@x.example --json"} {
			dir := t.TempDir()
			args := append(strings.Fields(verb), server.URL+base, "--token-url", server.URL+"/token",
				"--client",
				"cl", "--secret", secret)
			if !strings.Contains(verb, "grades") {
				args = append(args, "--tries", "1")
			}
			out, errs, _ := rollbook(t, dir, args...)
			told := map[string]string{"stdout": out, "stderr": errs}
			_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					text, _ := os.ReadFile(path)
					told[path] = string(text)
				}
				return nil
			})
			seen := 0
			for where, text := range told {
				seen += strings.Count(text, "left out")
				for what, never := range map[string]string{"the secret": "hush", "Basic": "Y2w6aHVzaC",
					"the token": token, "its claims": strings.Split(token, ".")[1]} {
					if i := strings.Index(text, never); i >= 0 {
						t.Errorf("%s, %s: %s has %s: …%s…", kind, verb, where, what,
							text[max(0, i-80):min(len(text), i+80)])
					}
				}
			}
			for where, text := range map[string]string{"stdout": out, "stderr": errs} {
				if strings.ContainsAny(text, "\x1b\x07\u009b\u202e") && !strings.Contains(verb, "json") {
					t.Errorf("%s, %s: %s rings and clears", kind, verb, where)
				}
			}
			if seen == 0 {
				t.Errorf("%s, %s: nothing was sent back: %.300s%.300s", kind, verb, out, errs)
			}
		}
	}
}

// A list that gives ever new rows fills no disk.
func TestEverNewRows(t *testing.T) {
	t.Parallel()
	n, count := 0, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			fmt.Fprint(w, `{"access_token":"a-token","token_type":"bearer"}`)
			return
		}
		if count != "" {
			w.Header().Set("X-Total-Count", count)
		}
		rows := make([]string, 100)
		for i := range rows {
			n++
			rows[i] = fmt.Sprintf(`{"sourcedId":"%d","status":"active"}`, n)
		}
		fmt.Fprintf(w, `{"%s":[%s]}`, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], strings.Join(rows,
			","))
	}))
	defer server.Close()
	for _, c := range []struct {
		count, want string
		rows        int // that came until then
	}{
		{"1000000000",
			"X-Total-Count is 1000000000, and 2000 rows are read at most: given up; --rows allows more", 100},
		{"", "2100 rows have come, more follow, and 2000 are read at most: given up; --rows allows more",
			2100},
	} {
		n, count = 0, c.count
		_, errs, code := rollbook(t, t.TempDir(), "sync", "sds", server.URL+base, "--token-url",
			server.URL+"/token",
			"--client", "c", "--secret", "s", "--rows", "2000", "--limit", "100")
		if code != 1 || !strings.Contains(errs, c.want) || n != c.rows {
			t.Errorf("%q: exit %d after %d rows: %s", c.count, code, n, errs)
		}
	}
}

// A base URL that lacks its path is told the one that answers.
func TestBaseURLWithoutItsPath(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			if scope := r.PostFormValue("scope"); scope != "" {
				t.Errorf("the scope %q is asked for", scope)
			}
			fmt.Fprintf(w, `{"access_token":%q}`, unsigned(`{"exp":4000000000}`))
		case strings.HasPrefix(r.URL.Path, "/school"+base+"/"), strings.HasPrefix(r.URL.Path, base+"/"):
			fmt.Fprint(w, `{"orgs":[{"sourcedId":"1"}]}`)
		default:
			w.WriteHeader(404)
		}
	}))
	defer server.Close()
	for given, at := range map[string]string{"/school/": "/school" + base, "": base, "/ims/oneRoster": base} {
		for _, verb := range []string{"verify", "sync sds", "sync grades --teacher t@x.example"} {
			_, errs, code := rollbook(t, t.TempDir(), append(strings.Fields(verb), server.URL+given,
				"--token-url", server.URL+"/token", "--client", "c", "--secret", "s")...)
			want := "a OneRoster service answers at " + server.URL + at + ": give that URL"
			if code != 1 || !strings.Contains(errs, want) {
				t.Errorf("%s %s: exit %d: no %q in %s", verb, given, code, want, errs)
			}
		}
	}
}

// What a scope opened says nothing of clients that ask for none.
func TestScopeIsWarnedOf(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(echoing("rows", "", unsigned(`{"exp":4000000000}`)))
	defer server.Close()
	for scope, want := range map[string]bool{"": false, "roster.readonly": true} {
		for _, verb := range []string{"verify --profile sds --only access.token", "sync sds"} {
			out, errs, _ := rollbook(t, t.TempDir(), append(strings.Fields(verb), server.URL+base,
				"--token-url",
				server.URL+"/token", "--client", "c", "--secret", "s", "--scope", scope)...)
			if strings.Contains(out+errs, "for no scope, and this run for \"roster.readonly\"") != want {
				t.Errorf("%s of %q: %s%s", verb, scope, out, errs)
			}
		}
	}
}

// A signature that is not taken is told with what was signed.
func TestBaseString(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	for _, verb := range []string{"verify", "sync sds", "sync grades --teacher t@x.example"} {
		_, errs, code := rollbook(t, t.TempDir(), append(strings.Fields(verb), server.URL+base, "--oauth1",
			"--client",
			"c", "--secret", "hush-hush")...)
		if want := "the base string that was signed is GET&" + url.QueryEscape(server.URL+base); code != 1 ||
			!strings.Contains(errs, want) || strings.Contains(errs, "hush") {
			t.Errorf("%s: exit %d: no %q in %s", verb, code, want, errs)
		}
	}
}
