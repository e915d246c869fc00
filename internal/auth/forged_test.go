package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"rollbook/internal/auth"
)

// A token is one of ours when our key signed it, as ES256, with a client, a begin
// and an end; nothing that it says of itself makes up for that.
func TestForgedTokens(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	b.add(key, "a", noon, "read")
	text, err := key.Open(b.key)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := base64.StdEncoding.DecodeString(text)
	own, err := x509.ParseECPrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	public, _ := json.Marshal(g.JWKS())
	der, _ = x509.MarshalPKIXPublicKey(&own.PublicKey)
	kid := g.JWKS().Keys[0].KeyID
	make := func(alg jose.SignatureAlgorithm, with any, claims map[string]any) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: with,
			KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := jwt.Signed(s).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	claims := func(without string, more ...any) map[string]any {
		out := map[string]any{"sub": "a", "scope": "read", "iat": noon.Unix(),
			"exp": noon.Add(time.Hour).Unix()}
		delete(out, without)
		for i := 0; i < len(more); i += 2 {
			out[more[i].(string)] = more[i+1]
		}
		return out
	}
	good := make(jose.ES256, own, claims(""))
	part := strings.Split(good, ".")
	bare := func(header, payload string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload + "."
	}
	wide, _ := json.Marshal(claims("", "scope", "read read.more write"))
	more := base64.RawURLEncoding.EncodeToString(wide)
	b.add(key, "", noon, "read") // whom a token without a client would mean
	for _, c := range []struct {
		name, token string
		want        int
	}{
		{"ours", good, 200},
		{"another key under the name of ours", make(jose.ES256, foreign, claims("")), 401},
		{"alg none", bare(`{"alg":"none"}`, part[1]), 401},
		{"alg NONE", bare(`{"alg":"NONE","typ":"JWT"}`, part[1]), 401},
		{"alg none, with our signature", bare(`{"alg":"none"}`, part[1]) + part[2], 401},
		{"no signature", part[0] + "." + part[1] + ".", 401},
		{"HS256 with what we publish", make(jose.HS256, public, claims("")), 401},
		{"HS256 with the public key", make(jose.HS256, der, claims("")), 401},
		{"more scopes under our signature", part[0] + "." + more + "." + part[2], 401},
		{"without an end", make(jose.ES256, own, claims("exp")), 401},
		{"without a begin", make(jose.ES256, own, claims("iat")), 401},
		{"without a client", make(jose.ES256, own, claims("sub")), 401},
		{"of a client that we do not have", make(jose.ES256, own, claims("", "sub", "b")), 401},
		{"with its end as a text", make(jose.ES256, own, claims("", "exp", "never")), 401},
		{"nothing", "", 401}, {"no token", "x", 401}, {"three parts of nothing", "..", 401},
	} {
		for _, time := range []string{"first", "second"} {
			if _, got := enter(t, g, bearing(c.token)); got != c.want {
				t.Errorf("%s, the %s time: %d, want %d", c.name, time, got, c.want)
			}
		}
	}
	if strings.Contains(string(public), `"d"`) || !strings.Contains(string(public), `"ES256"`) {
		t.Errorf("published: %s", public)
	}
}

// A token opens what was asked for and the client may have, and so long as it may;
// a rider goes with its scope and never alone.
func TestScopes(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	for _, c := range []struct{ may, asked, opens, said string }{
		{"read write", "", "read write", "https://scopes.example/read https://scopes.example/write"},
		{"read write", "read", "read", "read"},
		{"read write", "read.v2", "read", "read.v2"},
		{"read write", "READ", "read", "READ"},
		{"read write", "read read.more", "read", "read"},
		{"read write", "read.more", "", "invalid_scope"},
		{"read.more", "read", "", "invalid_scope"},
		{"read", "rea", "", "invalid_scope"},
		{"read", "reads", "", "invalid_scope"},
		{"read", "https://scopes.example/", "", "invalid_scope"},
		{"read", "other", "", "invalid_scope"},
		{"read other", "", "read", "https://scopes.example/read"},
		{"read other", "other", "", "invalid_scope"},
		{"", "", "", ""},
		{"", "read", "", "invalid_scope"},
		{"read read.more flags", "", "flags read read.more",
			"https://scopes.example/read https://scopes.example/read.more"},
		{"read read.more flags", "read.more", "flags read.more", "read.more"},
		{"read read.more flags", "read", "read", "read"},
		{"read read.more flags", "flags", "", "invalid_scope"},
		{"read read.more", "read.more", "read.more", "read.more"},
		{"read flags", "", "read", "https://scopes.example/read"},
	} {
		secret := b.add(key, "a", noon, strings.Fields(c.may)...)
		w := post(g, formKind, "a:"+secret, url.Values{"scope": {c.asked}}.Encode())
		var answer struct {
			Token string `json:"access_token"`
			Scope string `json:"scope"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		opens := func() string {
			if answer.Error != "" {
				return ""
			}
			got, _ := enter(t, g, bearing(answer.Token))
			return sorted(got)
		}
		if got := opens(); got != c.opens || answer.Scope+answer.Error != c.said {
			t.Errorf("who may %q asks for %q: %q opens %q", c.may, c.asked, answer.Scope+answer.Error, got)
		}
		b.clients["a"].Scopes = []string{"write", "flags"}
		if got := opens(); got != "" && got != "write" || got == "write" && !strings.Contains(c.opens,
			"write") {
			t.Errorf("who may only write by now, and asked for %q as %q: %q", c.asked, c.may, got)
		}
	}
	for may, want := range map[string]string{
		"read other": "read", "read flags": "read", "read.more flags": "flags read.more", "flags": "",
	} {
		s := &signer{id: may, secret: b.add(key, may, noon, strings.Fields(may)...)}
		if got, status := enter(t, g, s.request(noon)); sorted(got) != want || status != 200 {
			t.Errorf("who may %q signs: %q %d", may, got, status)
		}
	}
	for _, c := range []struct {
		has, any string
		want     bool
	}{
		{"read", "write read", true}, {"read.more", "read", false}, {"read", "read.more", false},
		{"read", "", false}, {"", "", false},
	} {
		if got := (&auth.Caller{Scopes: strings.Fields(c.has)}).Holds(strings.Fields(c.any)); got != c.want {
			t.Errorf("%q holds one of %q: %v", c.has, c.any, got)
		}
	}
}

func sorted(words string) string {
	out := strings.Fields(words)
	sort.Strings(out)
	return strings.Join(out, " ")
}
