package auth_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"
)

// escape encodes as a library does that leaves some signs alone.
func escape(text, bare string) string {
	out := ""
	for _, c := range []byte(text) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			strings.IndexByte("-._"+bare, c) >= 0 {
			out += string(rune(c))
		} else {
			out += fmt.Sprintf("%%%02X", c)
		}
	}
	return out
}

// The signatures of client libraries in daily use are taken, for every filter that
// they send; a signature of another filter is not. The signers here are written
// from what those libraries send, apart from the code that checks them.
func TestClientLibrariesSign(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	g, b, key := gate(t, func() time.Time { return now })
	secret := b.add(key, "key", now, "read")
	n := 0
	for _, lib := range []struct{ name, inner, outer, begin string }{
		{"RFC 5849", "~", "~", "OAuth "},
		{"ClassLink for Node", "~!()*", "~!'()*", "OAuth "},
		{"ClassLink for .NET", "!()*", "!()*", "OAuth, "},
		{"ClassLink for Java", "*", "*", "OAuth "},
		{"Python before 3.7", "", "", "OAuth "},
		{"encodeURIComponent throughout", "~!'()*", "~!'()*", "OAuth "},
		{"encodeURIComponent of values", "~!'()*", "~", "OAuth "},
		{"Python's quote", "~/", "~", "OAuth "},
		{"a realm with signs", "~", "~", `OAuth realm="50% of a, b", `},
	} {
		for _, filter := range []string{"status='active'", "status!='tobedeleted'", "email~'a@x.org'",
			"familyName!='O(Brien)*' AND role~'t'", "title='a/b c'"} {
			for _, tampered := range []bool{false, true} {
				n++
				u := "https://sis.example.org/ims/oneroster/v1p1/users"
				p := map[string]string{"oauth_consumer_key": "key", "oauth_nonce": fmt.Sprint("n", n),
					"oauth_signature_method": "HMAC-SHA256",
					"oauth_timestamp":        fmt.Sprint(now.Unix()), "filter": filter, "limit": "5"}
				digest := sha256.New
				if strings.Contains(lib.name, ".NET") {
					p["oauth_callback"], p["oauth_signature_method"], digest = "about:blank", "HMAC-SHA1",
						sha1.New
				}
				var pairs []string
				for k, v := range p {
					pairs = append(pairs, escape(k, lib.inner)+"="+escape(v, lib.inner))
				}
				sort.Strings(pairs)
				base := "GET&" + escape(u, lib.outer) + "&" + escape(strings.Join(pairs, "&"), lib.outer)
				mac := hmac.New(digest, []byte(secret+"&"))
				mac.Write([]byte(base))
				header := lib.begin
				for k, v := range p {
					if strings.HasPrefix(k, "oauth_") {
						header += fmt.Sprintf("%s=%q, ", k, escape(v, lib.inner))
					}
				}
				header += `oauth_signature="` +
					url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))) + `"`
				if tampered {
					filter += "x"
				}
				public, err := url.Parse(u + "?limit=5&filter=" + url.QueryEscape(filter))
				if err != nil {
					t.Fatal(err)
				}
				r, _ := http.NewRequest("GET", public.String(), nil)
				r.Header.Set("Authorization", header)
				caller, d := g.Caller(r, public)
				if (d == nil) == tampered {
					t.Errorf("%s, %s (another one came: %v): %v %v", lib.name, filter, tampered, caller, d)
				}
				if tampered && d != nil && !strings.Contains(d.Text,
					"https://sis.example.org/ims/oneroster/v1p1/users") {
					t.Errorf("the refusal does not say which address was seen: %s", d.Text)
				}
			}
		}
	}
}

// Who tries secrets is slowed, for that client and from that address; the client
// itself is let in from elsewhere, and from there too once the pause is over.
func TestGuessersAreSlowed(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	g, b, key := gate(t, func() time.Time { return now })
	secret := b.add(key, "sds", now, "read")
	ask := func(id, secret, from string) int {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth(id, secret)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		g.ServeToken(w, r)
		if w.Code == 429 { // it says how long, to the second that lets one in
			var told struct {
				Text string `json:"error_description"`
			}
			_ = json.Unmarshal(w.Body.Bytes(), &told)
			_, text, _ := strings.Cut(told.Text, ": wait ")
			wait, err := time.ParseDuration(text)
			if after := w.Header().Get("Retry-After"); err != nil ||
				after != fmt.Sprint(int(wait.Seconds())) {
				t.Errorf("429 with Retry-After %q: %s", after, w.Body)
			}
		}
		return w.Code
	}
	count := map[int]int{}
	for n := range 100 {
		count[ask("sds", "wrong", fmt.Sprintf("192.0.2.1:%d", 1000+n))]++
	}
	if count[401] != 10 || count[429] != 90 {
		t.Errorf("100 wrong secrets: %v", count)
	}
	for _, c := range []struct {
		id, secret, from string
		want             int
	}{{"sds", secret, "192.0.2.1:1", 429}, {"sds", secret, "192.0.2.2:1", 200},
		{"other", "wrong", "192.0.2.1:1", 401}} {
		if got := ask(c.id, c.secret, c.from); got != c.want {
			t.Errorf("%s from %s: %d, want %d", c.id, c.from, got, c.want)
		}
	}
	count = map[int]int{}
	for n := range 64 { // one client, however its id is spelled
		id := ""
		for i, c := range "sdsxyz" {
			if n>>i&1 == 1 {
				id += fmt.Sprintf("%%%02x", c)
			} else {
				id += string(c)
			}
		}
		count[ask(id, "wrong", "192.0.2.9:1")]++
	}
	if count[401] != 10 || count[429] != 54 {
		t.Errorf("64 spellings of one client: %v", count)
	}
	now = now.Add(2 * time.Minute)
	if got := ask("sds", secret, "192.0.2.1:1"); got != 200 {
		t.Errorf("after the pause: %d", got)
	}
}
