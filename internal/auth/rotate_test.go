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
	if _, d := g.Caller(bearing(old), bearing(old).URL); d == nil || d.Client != "a" || !strings.Contains(d.Text, "were ended") {
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
