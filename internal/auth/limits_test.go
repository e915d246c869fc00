package auth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
)

// A client is let in from the addresses that it is allowed, and from nowhere else: with its secret,
// with a token, also one that was seen before, and with a signature. Who does not know the secret is
// not told of that.
func TestFromWhereAClientMayCome(t *testing.T) {
	for _, c := range []struct {
		allowed, from string
		want          int
	}{
		{"", "203.0.113.7:80", 200}, {"", "nonsense", 200},
		{"192.0.2.0/24", "192.0.2.255:80", 200}, {"192.0.2.0/24", "192.0.3.0:80", 403},
		{"192.0.2.7", "192.0.2.7:80", 200}, {"192.0.2.7", "192.0.2.8:80", 403},
		{"192.0.2.7/24", "192.0.2.9:80", 200},
		{"192.0.2.0/24", "[::ffff:192.0.2.9]:80", 200}, {"::ffff:192.0.2.0/120", "192.0.2.9:80", 200},
		{"192.0.2.0/24 2001:db8::/32", "[2001:db8:1::1]:80", 200},
		{"192.0.2.0/24 2001:db8::/32", "[2001:db9::1]:80", 403},
		{"2001:db8::1", "[2001:db8::1%eth0]:80", 200}, {"2001:db8::/32", "192.0.2.1:80", 403},
		{"0.0.0.0/0", "[2001:db8::1]:80", 403}, {"0.0.0.0/0", "203.0.113.7:80", 200},
		{"0.0.0.0/0 ::/0", "nonsense", 403}, {"192.0.2.0/24", "@", 403},
	} {
		g, b, key := gate(t, func() time.Time { return noon })
		secret := b.add(key, "a", noon, "read")
		early := token(t, g, "a", secret)
		enter(t, g, bearing(early))
		var err error
		if b.clients["a"].Allowed, err = auth.ParseRanges(strings.Fields(c.allowed)); err != nil {
			t.Fatal(err)
		}
		ask := func(secret string) (int, auth.TokenRequest, string) {
			r := httptest.NewRequest("POST", "/token", nil)
			r.SetBasicAuth("a", secret)
			r.RemoteAddr = c.from
			w := httptest.NewRecorder()
			told := g.ServeToken(w, r)
			return w.Code, told, w.Body.String()
		}
		code, told, body := ask(secret)
		host := strings.Trim(strings.TrimSuffix(c.from, ":80"), "[]")
		if code != c.want || code == 403 && (!strings.Contains(body, "unauthorized_client") ||
			!strings.Contains(body, told.Reason) || !strings.Contains(told.Reason,
			"not let in from "+host+": ")) {
			t.Errorf("%s from %s: a token: %d %+v %s", c.allowed, c.from, code, told, body)
		}
		if code, _, _ := ask("guess"); code != 401 {
			t.Errorf("%s from %s: a guess: %d", c.allowed, c.from, code)
		}
		for name, r := range map[string]*http.Request{"a token that was seen": bearing(early),
			"a signature": (&signer{id: "a", secret: secret}).request(noon)} {
			r.RemoteAddr = c.from
			_, d := g.Caller(r, r.URL)
			if (d == nil) != (c.want == 200) || d != nil && (d.Status != 403 || d.Client != "a" ||
				!strings.Contains(d.Text, "not let in from "+host+": ") || d.Challenge != "") {
				t.Errorf("%s from %s: %s: %+v", c.allowed, c.from, name, d)
			}
		}
	}
	for _, text := range []string{"", "x", "192.0.2.0/33", "192.0.2", "fe80::1%eth0", "192.0.2.1/",
		"10.0.0.0/-1"} {
		if out, err := auth.ParseRanges([]string{text}); err == nil {
			t.Errorf("%q is %v", text, out)
		}
	}
}

// Uses of secrets come to the book together, the last of each; those that it did not take come again.
// What was refused is no use.
func TestUsesOfSecrets(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	secret, other := b.add(key, "a", noon, "read"), b.add(key, "b", noon, "read")
	b.add(key, "c", noon, "read")
	b.clients["b"].Allowed, _ = auth.ParseRanges([]string{"192.0.2.0/24"}) // a test request's
	of := func(id string) string { return b.clients[id].Secrets[0].ID }
	keep := func(want ...map[string]auth.Use) {
		t.Helper()
		err := g.KeepUses(t.Context())
		if !errors.Is(err, b.broken) || fmt.Sprint(b.kept) != fmt.Sprint(want) {
			t.Errorf("%v, kept %v, not %v", err, b.kept, want)
		}
		b.kept = nil
	}
	keep() // nothing is written where nothing is new
	text := token(t, g, "a", secret)
	now = now.Add(time.Second)
	token(t, g, "a", secret)
	r := (&signer{id: "b", secret: other}).request(now)
	enter(t, g, r)
	enter(t, g, r) // a replay
	post(g, formKind, "c:guess", "")
	b.broken = errors.New("the disk is full")
	first := map[string]auth.Use{of("a"): {At: now, From: "192.0.2.1"}, of("b"): {At: now, From: "192.0.2.1"}}
	keep(first)
	b.broken = nil
	now = now.Add(time.Second)
	enter(t, g, (&signer{id: "b", secret: other, nonce: 9}).request(now))
	first[of("b")] = auth.Use{At: now, From: "192.0.2.1"}
	keep(first)
	enter(t, g, bearing(text)) // a token is no secret
	late := (&signer{id: "b", secret: other, nonce: 20}).request(now)
	late.RemoteAddr = "203.0.113.7:80"
	enter(t, g, late)
	keep()
}

// Of a secret that has expired the log is told, and a stranger nothing.
func TestExpiredSecretsAreTold(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	secret := b.add(key, "a", noon, "read")
	b.clients["a"].Secrets[0].Expires = noon.Add(time.Minute)
	const ended = "the secret has expired: it was good until 2026-11-26 12:01 UTC"
	for _, c := range []struct {
		after  time.Duration
		secret string
		want   int
		told   string
	}{{0, secret, 200, ""}, {time.Minute, secret, 401, ended}, {time.Minute, "guess", 401,
		"unknown client, or"}} {
		now = noon.Add(c.after)
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth("a", c.secret)
		w := httptest.NewRecorder()
		told := g.ServeToken(w, r)
		if w.Code != c.want || !strings.HasPrefix(told.Reason, c.told) ||
			(told.Reason == "") != (c.told == "") ||
			strings.Contains(w.Body.String(), "good until") {
			t.Errorf("%v: a token: %d %+v %s", c.after, w.Code, told, w.Body)
		}
		s := (&signer{id: "a", secret: c.secret, nonce: int(c.after) + len(c.secret)}).request(now)
		_, d := g.Caller(s, s.URL)
		if (d == nil) != (c.want == 200) || d != nil && ((d.Reason != "") != (c.told == ended) ||
			!strings.Contains(d.Text, "unknown consumer key")) {
			t.Errorf("%v: a signature: %+v", c.after, d)
		}
	}
}

// A client may ask for a minute's requests at once, and then for as many as come back; for so many
// answers at a time as it has places. Others have budgets of their own.
func TestBudgets(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	callers, secrets := map[string][]*auth.Caller{}, map[string]string{}
	for _, id := range []string{"a", "b"} {
		secret := b.add(key, id, noon, "read")
		secrets[id] = secret
		b.clients[id].Budget = auth.Budget{PerMinute: 6, AtOnce: 3}
		for range 2 { // two tokens, and a signature
			c, d := g.Caller(bearing(token(t, g, id, secret)), nil)
			if d != nil {
				t.Fatal(d)
			}
			callers[id] = append(callers[id], c)
		}
		r := (&signer{id: id, secret: secret}).request(noon)
		c, d := g.Caller(r, r.URL)
		if d != nil {
			t.Fatal(d)
		}
		callers[id] = append(callers[id], c)
	}
	ask := func(id string, n int) (wait time.Duration, text string) {
		if d := g.Begin(callers[id][n%3]); d != nil {
			if d.Status != 429 || d.Client != id || d.Wait <= 0 {
				t.Errorf("%+v", d)
			}
			return d.Wait, d.Text
		}
		return 0, ""
	}
	for n := range 6 {
		if wait, text := ask("a", n); wait > 0 {
			t.Errorf("request %d: %s", n, text)
		}
		g.End(callers["a"][n%3])
	}
	for _, c := range []struct {
		after, wait time.Duration
	}{{0, 10 * time.Second}, {10*time.Second - 1, 1}, {10 * time.Second, 0}, {10 * time.Second,
		10 * time.Second},
		{20 * time.Second, 0}} {
		now = noon.Add(c.after)
		wait, text := ask("a", 0)
		if wait != c.wait || wait > 0 && !strings.Contains(text,
			"(requests a minute: 6): wait") {
			t.Errorf("%v later: wait %v (%s), not %v", c.after, wait, text, c.wait)
		}
		if wait == 0 {
			g.End(callers["a"][0])
		}
	}
	now = noon.Add(time.Hour)
	for n := range 3 {
		ask("b", n)
	}
	for n := range 3 {
		if wait, text := ask("b", n); wait != time.Second || !strings.Contains(text,
			"(requests at once: 3)") {
			t.Errorf("the fourth at once: %v %s", wait, text)
		}
	}
	g.End(callers["b"][0])
	if wait, text := ask("b", 0); wait > 0 { // those that were refused were none of the six
		t.Errorf("when one was answered: %s", text)
	}
	b.clients["b"].Budget = auth.Budget{PerMinute: 6, AtOnce: 5}
	// Another budget is that of the callers before, too.
	if _, d := g.Caller(bearing(token(t, g, "b", secrets["b"])), nil); d != nil {
		t.Fatal(d)
	}
	if wait, text := ask("b", 1); wait > 0 {
		t.Errorf("with another budget: %s", text)
	}
}

// A reader that waits for its answers never meets the default: pages one after the other, each in
// half a millisecond, for five minutes; nor do a thousand grades at once.
func TestDefaultBudgetIsNotMet(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	c, d := g.Caller(bearing(token(t, g, "sds", b.add(key, "sds", noon, "read"))), nil)
	for n := 0; d == nil && n < 300*2000; n++ {
		now = now.Add(500 * time.Microsecond)
		if d = g.Begin(c); d == nil {
			g.End(c)
		}
	}
	for n := 0; d == nil && n < 1000; n++ {
		d = g.Begin(c)
	}
	if d != nil {
		t.Errorf("%+v", d)
	}
}

// What is remembered of who has called is bounded, and who is beyond the budget is remembered.
func TestMetersAreForgotten(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	secret := b.add(key, "a", noon, "read")
	kept := b.clients["a"].Secrets
	call := func(id string, nonce int) *auth.Caller {
		b.clients = map[string]*auth.Client{id: {ID: id, Scopes: []string{"read"}, OAuth1: true,
			Secrets: kept,
			Budget:  auth.Budget{PerMinute: 1}}}
		r := (&signer{id: id, secret: secret, nonce: nonce}).request(noon)
		c, d := g.Caller(r, r.URL)
		if d != nil {
			t.Fatal(d)
		}
		b.asked = nil
		clear(b.nonces)
		return c
	}
	if d := g.Begin(call("busy", 0)); d != nil {
		t.Fatal(d)
	}
	pad := strings.Repeat("x", 1000)
	before := heap()
	for n := range 2000 {
		call(fmt.Sprint(n, pad), n)
	}
	if grown := heap() - before; grown > 13<<17 {
		t.Errorf("%d bytes are kept of 2,000 clients", grown)
	}
	if d := g.Begin(call("busy", 0)); d == nil {
		t.Error("a client that was beyond its budget is new again")
	}
	runtime.KeepAlive(g)
}
