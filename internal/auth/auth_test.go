package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/auth"
)

// book is a Book in memory.
type book struct {
	mu      sync.Mutex
	now     func() time.Time
	clients map[string]*auth.Client
	key     string
	nonces  map[string]time.Time // when each may be forgotten
	asked   []string             // what it was asked for, in turn
	broken  error                // what it fails with
	full    error                // what it fails with where it should keep a nonce
	kept    []map[string]auth.Use
}

func (b *book) Client(_ context.Context, id string) (*auth.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, "client "+id)
	return b.clients[id], b.broken
}

// Version is another one whenever a client is not as it was.
func (b *book) Version(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, err := json.Marshal(b.clients)
	return int64(crc32.ChecksumIEEE(all)), errors.Join(err, b.broken)
}

func (b *book) SigningKey(_ context.Context, make func() (string, error)) (string, error) {
	b.asked = append(b.asked, "signing key")
	var err error
	if b.key == "" {
		b.key, err = make()
	}
	return b.key, err
}

// UseNonce forgets what it may, as the store does.
func (b *book) UseNonce(_ context.Context, client, nonce string, at, expires time.Time) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, "nonce "+nonce)
	for key, end := range b.nonces {
		if end.Before(b.now()) {
			delete(b.nonces, key)
		}
	}
	key := client + " " + nonce + " " + at.String()
	if _, used := b.nonces[key]; used {
		return false, b.full
	}
	b.nonces[key] = expires
	return true, b.full
}

func (b *book) KeepUses(_ context.Context, uses map[string]auth.Use) error {
	b.kept = append(b.kept, uses)
	return b.broken
}

// signedAt is the time of the vectors below.
var signedAt = time.Unix(1790000000, 0)

func gate(t testing.TB, now func() time.Time) (*auth.Gate, *book, *auth.Key) {
	t.Helper()
	key, err := auth.LoadOrCreateKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	b := &book{now: now, clients: map[string]*auth.Client{}, nonces: map[string]time.Time{}}
	return again(t, b, key), b, key
}

// again makes one more gate over a book, as a restart does.
func again(t testing.TB, b *book, key *auth.Key) *auth.Gate {
	t.Helper()
	g, err := auth.New(context.Background(), b, key, auth.Options{
		Now:      b.now,
		Known:    []string{"read", "read.more", "write"},
		Prefixes: []string{"https://scopes.example/"},
		Aliases:  map[string]string{"read.v2": "read"},
		Riders:   map[string]string{"flags": "read.more"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (b *book) add(key *auth.Key, id string, now time.Time, scopes ...string) (secret string) {
	plain, kept := auth.NewSecret(now, key, true)
	b.clients[id] = &auth.Client{ID: id, Scopes: scopes, OAuth1: true, Secrets: []auth.Secret{kept}}
	return plain
}

func TestTokenRequests(t *testing.T) {
	now := time.Now()
	g, b, key := gate(t, func() time.Time { return now })
	secret := b.add(key, "sds@x", now, "read", "write")
	basic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, secret) }
	}
	none := func(*http.Request) {}
	for _, c := range []struct {
		name, method, query, body, kind string
		with                            func(*http.Request)
		status                          int
		want                            string
	}{
		{"Basic", "POST", "", "grant_type=client_credentials", "", basic("sds@x", secret), 200,
			`"token_type":"bearer","expires_in":3600,"scope":"https://scopes.example/read https://scopes.example/write"`},
		{"Basic, form-encoded", "POST", "", "grant_type=client_credentials", "", basic("sds%40x", secret),
			200, `"bearer"`},
		{"in the body", "POST", "", "client_id=sds%40x&client_secret=" + secret, "", none, 200,
			`"token_type":"Bearer"`},
		{"in the query", "POST", "client_id=sds%40x&client_secret=" + secret, "", "", none, 200, `"Bearer"`},
		{"as JSON", "POST", "", `{"client_id":"sds@x","client_secret":"` + secret + `"}`,
			"application/json", none, 200, `"Bearer"`},
		{"a scope, verbatim", "POST", "", "scope=http://scopes.example/read", "", basic("sds@x", secret),
			200, `"scope":"http://scopes.example/read"`},
		{"a foreign word alone", "POST", "", "scope=openid", "", basic("sds@x", secret), 400,
			`"invalid_scope"`},
		{"a foreign word beside one of ours", "POST", "", "scope=openid+read", "", basic("sds@x", secret),
			200, `"scope":"read"`},
		{"another version and a slash", "POST", "", "scope=https://other.example/v9/read/", "",
			basic("sds@x", secret), 200, `"scope":"https://other.example/v9/read/"`},
		{"a scope twice", "POST", "", "scope=read+read", "", basic("sds@x", secret), 200, `"scope":"read"`},
		{"commas", "POST", "", "scope=read,write", "", basic("sds@x", secret), 200, `"scope":"read write"`},
		{"a scope it may not have", "POST", "", "scope=https://scopes.example/read.more", "",
			basic("sds@x", secret), 400, `"invalid_scope"`},
		{"another grant", "POST", "", "grant_type=password", "", basic("sds@x", secret), 400,
			`"unsupported_grant_type"`},
		{"a wrong secret", "POST", "", "", "", basic("sds@x", secret+"x"), 401, `"invalid_client"`},
		{"an unknown client", "POST", "", "", "", basic("nobody", secret), 401, `"invalid_client"`},
		{"an empty secret", "POST", "", "", "", basic("sds@x", ""), 401, `"invalid_client"`},
		{"nothing", "POST", "", "grant_type=client_credentials", "", none, 401, `"invalid_client"`},
		{"GET", "GET", "", "", "", basic("sds@x", secret), 405, `"invalid_request"`},
	} {
		r := httptest.NewRequest(c.method, "/token?"+c.query, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		c.with(r)
		w := httptest.NewRecorder()
		g.ServeToken(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) ||
			w.Header().Get("Cache-Control") != "no-store" ||
			(w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") ||
			(w.Code == 405) != (w.Header().Get("Allow") == "POST") || w.Code == 200 &&
			strings.Contains(w.Body.String(), "error") {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

// While a secret is rotated both are good; then the old one is not.
func TestSecretsOverlap(t *testing.T) {
	now := time.Now()
	g, b, key := gate(t, func() time.Time { return now })
	old := b.add(key, "a", now, "read")
	fresh, kept := auth.NewSecret(now, key, false)
	b.clients["a"].Secrets[0].Expires = now.Add(time.Hour)
	b.clients["a"].Secrets = append(b.clients["a"].Secrets, kept)
	status := func(secret string) int {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth("a", secret)
		w := httptest.NewRecorder()
		g.ServeToken(w, r)
		return w.Code
	}
	if status(old) != 200 || status(fresh) != 200 {
		t.Errorf("in the overlap: %d %d", status(old), status(fresh))
	}
	now = now.Add(time.Hour)
	if status(old) != 401 || status(fresh) != 200 {
		t.Errorf("after it: %d %d", status(old), status(fresh))
	}
}

func token(t testing.TB, g *auth.Gate, id, secret string) string {
	t.Helper()
	r := httptest.NewRequest("POST", "/token", nil)
	r.SetBasicAuth(id, secret)
	w := httptest.NewRecorder()
	g.ServeToken(w, r)
	_, rest, _ := strings.Cut(w.Body.String(), `"access_token":"`)
	out, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("%s", w.Body)
	}
	return out
}

func TestTokensEnd(t *testing.T) {
	now := time.Now()
	g, b, key := gate(t, func() time.Time { return now })
	secret := b.add(key, "a", now, "read")
	first, second := token(t, g, "a", secret), token(t, g, "a", secret)
	other, foreign, foreignKey := gate(t, time.Now)
	stranger := token(t, other, "a", foreign.add(foreignKey, "a", now, "read"))
	caller := func(token string) (string, int) {
		r := httptest.NewRequest("GET", "/x", nil)
		r.Header.Set("Authorization", "bearer "+token)
		c, d := g.Caller(r, r.URL)
		if d != nil {
			return "", d.Status
		}
		return strings.Join(c.Scopes, " "), 200
	}
	expect := func(name, token, scopes string, status int) {
		t.Helper()
		if got, code := caller(token); got != scopes || code != status {
			t.Errorf("%s: %q %d", name, got, code)
		}
	}
	expect("the first, after a second was given", first, "read", 200)
	expect("the second", second, "read", 200)
	expect("another service's", stranger, "", 401)
	expect("cut short", first[:len(first)-2], "", 401)
	r := httptest.NewRequest("GET", "/x", nil)
	r.Header.Set("Authorization", "Bearer "+first)
	if _, d := again(t, b, key).Caller(r, r.URL); d != nil {
		t.Errorf("after a restart: %+v", d)
	}
	b.clients["a"].Scopes = nil
	expect("the scope was taken away", first, "", 200)
	now = now.Add(time.Hour)
	expect("an hour later", second, "", 401)
	now = now.Add(-time.Hour)
	delete(b.clients, "a")
	expect("the client was removed", first, "", 401)
}

// The headers were made by oauthlib 3.2.2 with the key "key" and the secret
// "secret", nonces n1, n2, ….
func TestSignaturesOfAnotherLibrary(t *testing.T) {
	for _, c := range vectors {
		g, b, key := gate(t, func() time.Time { return signedAt })
		b.clients["key"] = &auth.Client{ID: "key", OAuth1: true, Scopes: []string{"read"},
			Secrets: []auth.Secret{{Sealed: key.Seal("secret")}}}
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		try := func(u *url.URL, header string) int {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", header)
			if _, d := g.Caller(r, u); d != nil {
				return d.Status
			}
			return 200
		}
		other := *u
		other.Path += "x"
		other.RawPath = ""
		if got := try(&other, c.header); got != 401 {
			t.Errorf("%s: the signature of another path: %d", c.url, got)
		}
		if got := try(u, c.header); got != 200 {
			t.Errorf("%s: %d", c.url, got)
		}
		if got := try(u, c.header); got != 401 {
			t.Errorf("%s: a second time: %d", c.url, got)
		}
		if got := try(u, strings.Replace(c.header, "oauth_nonce", "oauth_once", 1)); got != 400 {
			t.Errorf("%s: without a nonce: %d", c.url, got)
		}
	}
}

func TestStaleTimestamp(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return signedAt.Add(time.Hour) })
	b.clients["key"] = &auth.Client{ID: "key", OAuth1: true,
		Secrets: []auth.Secret{{Sealed: key.Seal("secret")}}}
	u, _ := url.Parse(vectors[0].url)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", vectors[0].header)
	if _, d := g.Caller(r, u); d == nil || d.Status != 401 || d.Challenge == "" {
		t.Errorf("%+v", d)
	}
}
