package auth_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// No text gets a token without the secret.
func FuzzTokenRequest(f *testing.F) {
	f.Add("grant_type=client_credentials&client_id=a&client_secret=b", "application/x-www-form-urlencoded",
		"Basic YTpi", "x=1")
	f.Add(`{"client_id":"a","client_secret":"b","scope":"read"}`, "application/json", "", "client_id=a")
	f.Add("%zz&;=&client_id=a", "application/json; charset=x", "basic ====", "")
	now := time.Now()
	g, b, key := gate(f, func() time.Time { return now })
	secret := b.add(key, "a", now, "read")
	f.Fuzz(func(t *testing.T, body, kind, header, query string) {
		if strings.Contains(body+header+query, secret) {
			return
		}
		r := httptest.NewRequest("POST", "/token", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header["Content-Type"], r.Header["Authorization"] = []string{kind}, []string{header}
		w := httptest.NewRecorder()
		g.ServeToken(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// No header lets anybody in who does not hold a token or a secret.
func FuzzOAuthHeader(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.header, v.url)
	}
	f.Add("Bearer eyJhbGciOiJub25lIn0.e30.", "http://x/y")
	f.Add(`OAuth oauth_consumer_key="key",oauth_signature="%"`, "http://x/%2F?a=%zz&;")
	g, b, key := gate(f, func() time.Time { return signedAt })
	b.add(key, "key", signedAt, "read")
	f.Fuzz(func(t *testing.T, header, address string) {
		u, err := url.Parse(address)
		if err != nil {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = []string{header}
		if _, d := g.Caller(r, u); d == nil || d.Status < 400 || d.Status >= 500 || d.Status == 401 &&
			d.Challenge == "" {
			t.Errorf("%+v", d)
		}
	})
}
