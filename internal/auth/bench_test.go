package auth_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"rollbook/internal/auth"
)

// steady is a book that says at once that nothing has changed: what a request asks of the
// database is asked once for all of it, and is no part of the token's check.
type steady struct{ *book }

func (steady) Version(context.Context) (int64, error) { return 1, nil }

// BenchmarkSeenToken is the check of a token that was seen before: 5 µs at most.
func BenchmarkSeenToken(b *testing.B) {
	const bar = 5000 // ns
	_, kept, key := gate(b, time.Now)
	secret := kept.add(key, "sds", time.Now(), "read")
	g, err := auth.New(b.Context(), steady{kept}, key, auth.Options{Known: []string{"read"},
		Prefixes: []string{"https://scopes.example/"}})
	if err != nil {
		b.Fatal(err)
	}
	public := &url.URL{Scheme: "https", Host: "roster.example", Path: "/ims/oneroster/v1p1/users"}
	r, err := http.NewRequest(http.MethodGet, public.String(), nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token(b, g, "sds", secret))
	for b.Loop() {
		if caller, denied := g.Caller(r, public); denied != nil || caller.Client != "sds" {
			b.Fatal(caller, denied)
		}
	}
	if each := b.Elapsed().Nanoseconds() / int64(b.N); each > bar {
		b.Errorf("%d ns, the bar is %d", each, bar)
	}
}
