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

// BenchmarkSeenToken is the check of a token that was seen before, of a client that comes from one of
// three ranges: 5 µs at most.
func BenchmarkSeenToken(b *testing.B) {
	const bar = 5000 // ns
	_, kept, key := gate(b, time.Now)
	secret := kept.add(key, "sds", time.Now(), "read")
	ranges, err := auth.ParseRanges([]string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24"})
	if err != nil {
		b.Fatal(err)
	}
	kept.clients["sds"].Allowed = ranges
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
	r.RemoteAddr = "192.0.2.1:1234"
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

// BenchmarkBudget is what a client's budget adds to a request: 1 µs at most.
func BenchmarkBudget(b *testing.B) {
	const bar = 1000 // ns
	g, kept, key := gate(b, time.Now)
	secret := kept.add(key, "sds", time.Now(), "read")
	kept.clients["sds"].Budget = auth.Budget{PerMinute: 1e9}
	caller, denied := g.Caller(bearing(token(b, g, "sds", secret)), nil)
	for b.Loop() {
		if denied == nil {
			denied = g.Begin(caller)
		}
		if denied != nil {
			b.Fatal(denied)
		}
		g.End(caller)
	}
	if each := b.Elapsed().Nanoseconds() / int64(b.N); each > bar {
		b.Errorf("%d ns, the bar is %d", each, bar)
	}
}
