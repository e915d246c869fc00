package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
)

// noon is a whole second, as tokens and timestamps count them.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// enter sends a request through the gate: the scopes that it opens, and the status.
// Every 401 has a challenge, and a caller is never named beside a refusal.
func enter(t testing.TB, g *auth.Gate, r *http.Request) (scopes string, status int) {
	t.Helper()
	c, d := g.Caller(r, r.URL)
	if d == nil {
		return strings.Join(c.Scopes, " "), 200
	}
	if c != nil || (d.Status == 401) != (d.Challenge != "") || d.Text == "" {
		t.Errorf("refused with %+v, and yet %+v", d, c)
	}
	return "", d.Status
}

// bearing is a request with an access token.
func bearing(token string) *http.Request {
	r := httptest.NewRequest("GET", "https://sis.example.org/x", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// A signer makes signed requests of one client, each with a nonce of its own.
type signer struct {
	id, secret string
	nonce      int
}

func (s *signer) request(at time.Time) *http.Request {
	s.nonce++
	r := httptest.NewRequest("GET", "https://sis.example.org/x?limit=5", nil)
	auth.Sign(r, s.id, s.secret, "HMAC-SHA256", fmt.Sprint("nonce", s.nonce), at)
	return r
}

// A token is good from when it was issued (a clock may be a minute behind) to the
// end of its last second, whether this gate has seen it before or not.
func TestTokensLifetime(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	text := token(t, g, "a", b.add(key, "a", now, "read"))
	if _, got := enter(t, g, bearing(text)); got != 200 {
		t.Fatalf("a fresh token: %d", got)
	}
	for _, c := range []struct {
		at   time.Duration
		want int
	}{
		{-time.Hour, 401}, {-time.Minute - time.Second, 401}, {-time.Minute, 200}, {0, 200},
		{time.Hour - time.Second, 200}, {time.Hour - 1, 200}, {time.Hour, 401},
		{time.Hour + time.Second, 401}, {24 * time.Hour, 401},
	} {
		now = noon.Add(c.at)
		if _, got := enter(t, g, bearing(text)); got != c.want {
			t.Errorf("%v after it was issued, seen before: %d, want %d", c.at, got, c.want)
		}
		if _, got := enter(t, again(t, b, key), bearing(text)); got != c.want {
			t.Errorf("%v after it was issued, new to the gate: %d, want %d", c.at, got, c.want)
		}
	}
}

// A timestamp may be ten minutes off, either way (RFC 5849 §3.3).
func TestTimestampWindow(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	s := &signer{id: "a", secret: b.add(key, "a", noon, "read")}
	for _, c := range []struct {
		off  time.Duration
		want int
	}{
		{-24 * time.Hour, 401}, {-10*time.Minute - time.Second, 401}, {-10 * time.Minute, 200}, {0, 200},
		{10 * time.Minute, 200}, {10*time.Minute + time.Second, 401}, {24 * time.Hour, 401},
	} {
		if _, got := enter(t, g, s.request(noon.Add(c.off))); got != c.want {
			t.Errorf("a timestamp %v off: %d, want %d", c.off, got, c.want)
		}
	}
}

// A signed request is good once, for as long as its timestamp would be; other
// nonces, times and clients are other requests, and a forged one uses up nothing.
func TestNonces(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	s := &signer{id: "a", secret: b.add(key, "a", now, "read")}
	other := &signer{id: "b", secret: b.add(key, "b", now, "read")}
	forger := &signer{id: "a", secret: "guess"}
	at := now.Add(10 * time.Minute)
	if _, got := enter(t, g, forger.request(at)); got != 401 {
		t.Errorf("forged: %d", got)
	}
	first := s.request(at)
	for _, c := range []struct {
		name string
		r    *http.Request
		want int
	}{
		{"the first", first, 200}, {"again", first, 401}, {"another nonce", s.request(at), 200},
		{"another client", other.request(at), 200},
	} {
		if _, got := enter(t, g, c.r); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	s.nonce = 0
	if _, got := enter(t, g, s.request(at.Add(-time.Second))); got != 200 {
		t.Errorf("the nonce of another second: %d", got)
	}
	for _, seconds := range []int{1, 600, 1199, 1200} {
		later := time.Duration(seconds) * time.Second
		now = noon.Add(later)
		if _, got := enter(t, again(t, b, key), first); got != 401 {
			t.Errorf("the first again %v later: %d", later, got)
		}
	}
	now = noon.Add(31 * time.Minute)
	if _, _ = enter(t, g, s.request(now)); len(b.nonces) != 1 {
		t.Errorf("nonces of requests that are long over are kept: %v", b.nonces)
	}
}

// Only a client that may sign signs, with a secret that has not ended and was
// sealed for it; in a rotation both secrets do.
func TestWhoMaySign(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	add := func(id string, sign bool, expires time.Time) *signer {
		plain, kept := auth.NewSecret(now, key, sign)
		kept.Expires = expires
		b.clients[id] = &auth.Client{ID: id, Scopes: []string{"read"}, OAuth1: true,
			Secrets: []auth.Secret{kept}}
		return &signer{id: id, secret: plain}
	}
	bearerOnly := add("bearer only", true, time.Time{})
	b.clients["bearer only"].OAuth1 = false
	old := add("rotated", true, now.Add(time.Hour))
	rotated, kept := auth.NewSecret(now, key, true)
	b.clients["rotated"].Secrets = append(b.clients["rotated"].Secrets, kept)
	none := add("none", true, time.Time{})
	b.clients["none"].Secrets = nil
	for _, c := range []struct {
		name string
		s    *signer
		at   time.Duration
		want int
	}{
		{"who may", add("signer", true, time.Time{}), 0, 200},
		{"who may not", bearerOnly, 0, 401},
		{"unknown", &signer{id: "unknown", secret: "no such client"}, 0, 401},
		{"with a secret of another client", &signer{id: "signer", secret: old.secret}, 0, 401},
		{"with a secret that was not sealed", add("hashed", false, time.Time{}), 0, 401},
		{"with no secret left", none, 0, 401},
		{"with the empty secret", &signer{id: "none"}, 0, 401},
		{"in the last second of the secret", add("ending", true, now.Add(time.Hour)),
			time.Hour - time.Second, 200},
		{"at the end of the secret", add("ended", true, now.Add(time.Hour)), time.Hour, 401},
		{"with the old one while both are good", old, time.Minute, 200},
		{"with the new one while both are good", &signer{id: "rotated", secret: rotated}, 2 * time.Minute,
			200},
		{"with the old one after that", old, time.Hour, 401},
		{"with the new one after that", &signer{id: "rotated", secret: rotated}, time.Hour, 200},
	} {
		now = noon.Add(c.at)
		if _, got := enter(t, g, c.s.request(now)); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// A request as a server has it, with the host beside the address, can be signed too.
func TestSignOfAServersRequest(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	secret := b.add(key, "a", noon, "read")
	public, err := url.Parse("http://sis.example.org/x?a=1")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/x?a=1", nil)
	r.Host, r.URL.Scheme = public.Host, public.Scheme
	auth.Sign(r, "a", secret, "HMAC-SHA1", "n", noon)
	if _, d := g.Caller(r, public); d != nil {
		t.Error(d.Text)
	}
}

// A signature is of one method, one address and one query. The port that goes
// without saying may be said, and host names have no case (RFC 5849 §3.4.1.2).
func TestSignatureIsOfOneRequest(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	s := &signer{id: "a", secret: b.add(key, "a", noon, "read")}
	const tls, plain = "https://sis.example.org/x?a=1&b=2", "http://sis.example.org/x?a=1&b=2"
	for _, c := range []struct {
		signed, method, seen string
		want                 int
	}{
		{tls, "GET", tls, 200},
		{tls, "GET", "https://sis.example.org:443/x?a=1&b=2", 200},
		{"https://sis.example.org:443/x?a=1&b=2", "GET", tls, 200},
		{plain, "GET", "http://sis.example.org:80/x?a=1&b=2", 200},
		{tls, "GET", "HTTPS://SIS.Example.ORG/x?a=1&b=2", 200},
		{tls, "GET", "https://sis.example.org/x?b=2&a=1", 200}, // parameters are sorted
		{tls, "GET", plain, 401},
		{plain, "GET", tls, 401},
		{tls, "GET", "https://sis.example.org:80/x?a=1&b=2", 401},
		{tls, "GET", "https://sis.example.org:8443/x?a=1&b=2", 401},
		{plain, "GET", "http://sis.example.org:443/x?a=1&b=2", 401},
		{plain, "GET", "http://sis.example.org:8080/x?a=1&b=2", 401},
		{tls, "GET", "https://other.example.org/x?a=1&b=2", 401},
		{tls, "GET", "https://sis.example.org/X?a=1&b=2", 401},
		{tls, "GET", "https://sis.example.org/x/?a=1&b=2", 401},
		{tls, "GET", "https://sis.example.org/x?a=1", 401},
		{tls, "GET", "https://sis.example.org/x?a=1&b=2&c=3", 401},
		{tls, "GET", "https://sis.example.org/x?a=2&b=1", 401},
		{tls, "DELETE", tls, 401},
		{tls, "PUT", tls, 401},
	} {
		r := httptest.NewRequest("GET", c.signed, nil)
		s.nonce++
		auth.Sign(r, s.id, s.secret, "HMAC-SHA1", fmt.Sprint("nonce", s.nonce), noon)
		seen, err := url.Parse(c.seen)
		if err != nil {
			t.Fatal(err)
		}
		r.Method, r.URL = c.method, seen
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", s.nonce) // no guesser among them
		if _, got := enter(t, g, r); got != c.want {
			t.Errorf("GET %s, sent as %s %s: %d, want %d", c.signed, c.method, c.seen, got, c.want)
		}
	}
}

// A token that was verified is remembered, which spares the work the next time. Where
// there are more than are kept, those that have ended go first; only where none has,
// all go.
func TestWhichBearersAreRemembered(t *testing.T) {
	const kept = 10000
	now := noon
	issuer, b, key := gate(t, func() time.Time { return now })
	secret := b.add(key, "a", now, "read")
	old := make([]*http.Request, kept-1)
	for i := range old {
		old[i] = bearing(token(t, issuer, "a", secret))
	}
	for _, c := range []struct {
		later time.Duration // came the last
		want  bool          // that the first of them is still remembered
	}{
		{time.Hour - time.Second, false}, {time.Hour, true},
	} {
		now = noon
		g := again(t, b, key)
		work := func(r *http.Request) uint64 {
			b.asked = nil
			return allocations(func() {
				if _, got := enter(t, g, r); got != 200 {
					t.Errorf("%v later: %d", c.later, got)
				}
			})
		}
		for _, r := range old {
			enter(t, g, r)
		}
		now = now.Add(c.later)
		first, more := bearing(token(t, issuer, "a", secret)), bearing(token(t, issuer, "a", secret))
		verified, remembered := work(first), work(first)
		if verified < 2*remembered {
			t.Fatalf("%v later: verified with %d allocations, remembered with %d", c.later, verified,
				remembered)
		}
		work(more)
		if got := work(first) < 2*remembered; got != c.want {
			t.Errorf("%v later, with one too many: the first of the last is remembered: %v", c.later, got)
		}
	}
}

func allocations(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}
