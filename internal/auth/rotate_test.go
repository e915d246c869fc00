package auth_test

import (
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
)

// The tokens of a client end when its generation goes on, in every process that has
// seen them; those of other clients live.
func TestGenerationEndsTokens(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	twin := again(t, b, key)
	secret := b.add(key, "a", noon, "read")
	other := token(t, g, "b", b.add(key, "b", noon, "read"))
	old := token(t, g, "a", secret)
	for _, g := range []*auth.Gate{g, twin} { // both remember it
		if _, status := enter(t, g, bearing(old)); status != 200 {
			t.Fatal(status)
		}
	}
	b.clients["a"].Generation++
	fresh := token(t, twin, "a", secret)
	for i, g := range []*auth.Gate{g, twin} {
		for token, want := range map[string]int{old: 401, fresh: 200, other: 200} {
			if _, status := enter(t, g, bearing(token)); status != want {
				t.Errorf("gate %d: %d, not %d", i, status, want)
			}
		}
	}
	if _, d := g.Caller(bearing(old), bearing(old).URL); d == nil || d.Client != "a" ||
		!strings.Contains(d.Text, "were ended") {
		t.Errorf("%+v", d)
	}
}

// A signing key that is rotated is taken by running gates without a restart: by the
// next token that names it, and within a minute otherwise. Then the old tokens are
// worth nothing, also those that were seen before.
func TestSigningKeyRotates(t *testing.T) {
	now := noon
	clock := func() time.Time { return now }
	g, b, key := gate(t, clock)
	secret := b.add(key, "a", noon, "read")
	old := token(t, g, "a", secret)
	if _, status := enter(t, g, bearing(old)); status != 200 {
		t.Fatal(status)
	}
	b.key = "" // the district forgets it
	now = now.Add(2 * time.Second)
	rotated := again(t, b, key)
	fresh := token(t, rotated, "a", secret)
	if _, status := enter(t, rotated, bearing(old)); status != 401 {
		t.Errorf("a token of the old key, after a restart: %d", status)
	}
	if _, status := enter(t, g, bearing(fresh)); status != 200 {
		t.Errorf("a token of the new key, at a running gate: %d", status)
	}
	if _, status := enter(t, g, bearing(old)); status != 401 {
		t.Errorf("a token of the old key, after one of the new: %d", status)
	}
	b.key = ""
	now = now.Add(time.Minute)
	if _, status := enter(t, g, bearing(fresh)); status != 401 {
		t.Errorf("a minute after the second rotation: %d", status)
	}
	if got, want := g.JWKS().Keys[0].KeyID, again(t, b, key).JWKS().Keys[0].KeyID; got != want {
		t.Errorf("key %s is published, not %s", got, want)
	}
}

// Tokens that name keys of others make the gate read its own again once a second,
// however many come, and never let in; its own tokens do once a minute.
func TestForeignTokensReadTheKeySeldom(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	own := token(t, g, "a", b.add(key, "a", noon, "read"))
	stranger, theirs, theirKey := gate(t, func() time.Time { return noon })
	foreign := token(t, stranger, "a", theirs.add(theirKey, "a", noon, "read"))
	reads := func(token string, want int) (n int) {
		b.asked = nil
		for range 20 {
			if _, status := enter(t, g, bearing(token)); status != want {
				t.Errorf("%v after noon: %d, not %d", now.Sub(noon), status, want)
			}
		}
		for _, asked := range b.asked {
			if asked == "signing key" {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		at    time.Duration
		token string
		want  int
		reads int
	}{
		{0, own, 200, 0},
		{time.Second, foreign, 401, 1}, // the first at once
		{2*time.Second - 1, foreign, 401, 0},
		{2 * time.Second, foreign, 401, 1},
		{3 * time.Second, own, 200, 0},
		{61 * time.Second, own, 200, 0},
		{62 * time.Second, own, 200, 1},
		{122*time.Second - 1, own, 200, 0},
		{122*time.Second - 1, foreign, 401, 1}, // no token has named another for a while
		{0, own, 200, 1},                       // a clock that was put back
	} {
		now = noon.Add(c.at)
		if got := reads(c.token, c.want); got != c.reads {
			t.Errorf("%v after noon the key is read %d times, not %d", c.at, got, c.reads)
		}
	}
}
