package auth_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
)

// post sends a token request; login is what stands in the Basic header, "" for none.
func post(g *auth.Gate, kind, login, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/token", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if login != "" {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login)))
	}
	w := httptest.NewRecorder()
	g.ServeToken(w, r)
	return w
}

const formKind, jsonKind = "application/x-www-form-urlencoded", "application/json"

// A parameter comes once (RFC 6749 §3.2, RFC 5849 §3.1).
func TestParameterTwice(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	secret := b.add(key, "a", noon, "read", "write")
	login := "client_id=a&client_secret=" + secret
	for _, c := range []struct {
		kind, body string
		want       int
	}{
		{formKind, login, 200},
		{formKind, login + "&grant_type=client_credentials&scope=read", 200},
		{formKind, login + "&scope=read&scope=write", 400},
		{formKind, login + "&client_id=a", 400},
		{formKind, login + "&client_secret=x", 400},
		{formKind, login + "&grant_type=client_credentials&grant_type=password", 400},
		{jsonKind, `{"client_id":"a","client_secret":"` + secret + `","n":{"scope":"x"},"scope":"read"}`,
			200},
		{jsonKind, `{"client_id":"a","client_secret":"` + secret + `","scope":"read","scope":"write"}`, 400},
		{jsonKind, `{"client_id":"b","client_secret":"` + secret + `","client_id":"a"}`, 400},
	} {
		w := post(g, c.kind, "", c.body)
		if w.Code != c.want || c.want == 400 && !strings.Contains(w.Body.String(), `"invalid_request"`) {
			t.Errorf("%s: %d %s, want %d", strings.ReplaceAll(c.body, secret, "…"), w.Code, w.Body, c.want)
		}
	}
	s := &signer{id: "a", secret: secret}
	for _, c := range []struct {
		more string
		want int
	}{
		{"", 200}, {`,realm="x",realm="y"`, 200}, {`,oauth_nonce="other"`, 400}, {`,oauth_consumer_key="a"`,
			400},
		{`,oauth_version="1.0"`, 400}, {`,oauth%5Fnonce="other"`, 400},
	} {
		r := s.request(noon)
		r.Header.Set("Authorization", r.Header.Get("Authorization")+c.more)
		if _, got := enter(t, g, r); got != c.want {
			t.Errorf("signed, and %s: %d, want %d", c.more, got, c.want)
		}
	}
}

// A nonce is any text of up to 255 bytes.
func TestNoncesOfAnyText(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	secret := b.add(key, "a", noon, "read")
	for _, nonce := range []string{"n", "0", "a b", "é", "~", "a,b=\"c\"", strings.Repeat("n", 255)} {
		r := httptest.NewRequest("GET", "https://sis.example.org/x", nil)
		auth.Sign(r, "a", secret, "HMAC-SHA1", nonce, noon)
		if _, got := enter(t, g, r); got != 200 {
			t.Errorf("%q: %d", nonce, got)
		}
	}
}

// A log is told who asked, up to 100 bytes of it, and why it was refused; of what
// was granted there is nothing to tell.
func TestTokenRequestsAreTold(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	login := "client_id=a&client_secret=" + b.add(key, "a", noon, "read")
	for _, c := range []struct {
		method, body, client, reason string
	}{
		{"POST", login, "a", ""},
		{"POST", login + "x", "a", "wrong"},
		{"POST", login + "&scope=none", "a", "none of the scopes"},
		{"POST", "client_id=nobody", "nobody", "unknown client"},
		{"POST", "client_id=" + strings.Repeat("x", 100), strings.Repeat("x", 100), "unknown client"},
		{"POST", "client_id=" + strings.Repeat("x", 101), strings.Repeat("x", 100), "unknown client"},
		{"POST", "", "", "no client credentials"},
		{"GET", login, "", "POST"},
	} {
		r := httptest.NewRequest(c.method, "/token", strings.NewReader(c.body))
		r.Header.Set("Content-Type", formKind)
		told := g.ServeToken(httptest.NewRecorder(), r)
		said := strings.Contains(told.Reason, c.reason) && (told.Reason == "") == (c.reason == "")
		if told.Client != c.client || !said {
			t.Errorf("%s %.40s: %+v", c.method, c.body, told)
		}
	}
}

// endless is a body without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return copy(p, strings.Repeat("x", len(p))), nil
}

// A token request has at most 64 KiB: what is longer is refused, not cut, and not read to its end.
func TestTokenRequestIsBounded(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	login := "client_id=a&client_secret=" + b.add(key, "a", noon, "read") + "&pad="
	for _, c := range []struct{ size, want int }{{64 << 10, 200}, {64<<10 + 1, 413}, {1 << 20, 413}} {
		w := post(g, formKind, "", login+strings.Repeat("x", c.size-len(login)))
		h := w.Header()
		if w.Code != c.want || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" {
			t.Errorf("%d bytes: %d %v, want %d", c.size, w.Code, w.Header(), c.want)
		}
	}
	body := &endless{}
	w := httptest.NewRecorder()
	// The limit only keeps a failing test short.
	g.ServeToken(w, httptest.NewRequest("POST", "/token", io.LimitReader(body, 4<<20)))
	if w.Code != 413 || body.read > 256<<10 {
		t.Errorf("without an end: %d after %d bytes", w.Code, body.read)
	}
}

// Signatures are HMAC with SHA-1 or SHA-256, whole, with all that they need beside
// them and nothing of another exchange.
func TestSignedHeader(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	s := &signer{id: "a", secret: b.add(key, "a", noon, "read")}
	const sha, text = `oauth_signature_method="HMAC-SHA256"`, "oauth_signature"
	value := func(header, name string) string {
		_, rest, _ := strings.Cut(header, name+`="`)
		out, _, _ := strings.Cut(rest, `"`)
		return out
	}
	with := func(name, other string) func(string) string {
		return func(h string) string { return strings.Replace(h, value(h, name), other, 1) }
	}
	swap := func(old, other string) func(string) string {
		return func(h string) string { return strings.Replace(h, old, other, 1) }
	}
	resigned := func(change func(mac []byte) []byte) func(string) string {
		return func(h string) string {
			raw, err := url.PathUnescape(value(h, text))
			mac, err2 := base64.StdEncoding.DecodeString(raw)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			return with(text, url.QueryEscape(base64.StdEncoding.EncodeToString(change(mac))))(h)
		}
	}
	for _, c := range []struct {
		name   string
		change func(header string) string
		want   int
	}{
		{"as it is", func(h string) string { return h }, 200},
		{"a realm with quoted signs", swap("OAuth ", `OAuth realm="a \", b", `), 200},
		{"PLAINTEXT", func(h string) string {
			return swap(value(h, text), s.secret+"%26")(swap(sha, `oauth_signature_method="PLAINTEXT"`)(h))
		}, 400},
		{"PLAINTEXT beside a signature", swap(sha, `oauth_signature_method="PLAINTEXT"`), 400},
		{"RSA-SHA1", swap(sha, `oauth_signature_method="RSA-SHA1"`), 400},
		{"a method in small letters", swap(sha, `oauth_signature_method="hmac-sha256"`), 400},
		{"a method nobody knows", swap(sha, `oauth_signature_method="NONE"`), 400},
		{"an empty method", swap(sha, `oauth_signature_method=""`), 400},
		{"another digest than signed", swap(sha, `oauth_signature_method="HMAC-SHA1"`), 401},
		{"version 2", with("oauth_version", "2.0"), 400},
		{"a token", func(h string) string { return h + `,oauth_token="x"` }, 400},
		{"no key", swap("oauth_consumer_key=", "key="), 400},
		{"no time", swap("oauth_timestamp=", "time="), 400},
		{"no signature", swap(text+`="`, `signature="`), 400},
		{"an empty signature", with(text, ""), 400},
		{"no base64", with(text, "***"), 400},
		{"the time in words", with("oauth_timestamp", "now"), 400},
		{"the time with a fraction", with("oauth_timestamp", fmt.Sprint(noon.Unix(), ".5")), 400},
		{"the time before all times", with("oauth_timestamp", "-1"), 400},
		{"the time zero", with("oauth_timestamp", "0"), 400},
		{"a nonce that is no text", with("oauth_nonce", "a%FFb"), 400},
		{"a parameter without a value", func(h string) string { return h + ",oauth_version" }, 400},
		{"a parameter with half an escape", func(h string) string { return h + `,x="%4"` }, 400},
		{"a parameter that breaks off", func(h string) string { return h + `,x="a\` }, 401},
		{"a name with half an escape", func(h string) string { return h + `,x%4="1"` }, 400},
		{"a nonce of 256 bytes", with("oauth_nonce", strings.Repeat("n", 256)), 400},
		{"a nonce with a control sign", with("oauth_nonce", "a%00b"), 400},
		{"another nonce than signed", with("oauth_nonce", "other"), 401},
		{"half a signature", resigned(func(mac []byte) []byte { return mac[:16] }), 401},
		{"a signature and more", resigned(func(mac []byte) []byte { return append(mac, 0) }), 401},
		{"a signature with an end of its own",
			resigned(func(mac []byte) []byte { mac[31] ^= 1; return mac }), 401},
	} {
		r := s.request(noon)
		r.Header.Set("Authorization", c.change(r.Header.Get("Authorization")))
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", s.nonce)
		if _, got := enter(t, g, r); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
