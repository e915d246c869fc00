package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// OAuth 1.0a (RFC 5849) as OneRoster 1.1 uses it: a consumer key and secret, no
// token, the parameters in the Authorization header.

func badRequest(text string) *Denied {
	return &Denied{Status: http.StatusBadRequest, Text: "OAuth 1.0a: " + text}
}

func unsigned(text string) *Denied {
	return &Denied{Status: http.StatusUnauthorized, Challenge: `OAuth realm="rollbook"`,
		Text: "OAuth 1.0a: " + text}
}

// signed checks a signed request.
func (g *Gate) signed(r *http.Request, public *url.URL, header string) (*Caller, *Denied) {
	p, d := oauthParams(header)
	if d != nil {
		return nil, d
	}
	caller, d := g.signedWith(r, public, p)
	if d != nil {
		id := p["oauth_consumer_key"]
		d.Client = id[:min(len(id), 100)]
	}
	return caller, d
}

func (g *Gate) signedWith(r *http.Request, public *url.URL, p map[string]string) (*Caller, *Denied) {
	seconds, err := strconv.ParseInt(p["oauth_timestamp"], 10, 62)
	if err != nil || seconds <= 0 {
		return nil, badRequest("oauth_timestamp is not a number of seconds")
	}
	at, now := time.Unix(seconds, 0), g.opt.Now()
	if at.Before(now.Add(-g.opt.Window)) || at.After(now.Add(g.opt.Window)) {
		return nil, unsigned("the timestamp is too far from this server's clock: set the clock of the client")
	}
	id := p["oauth_consumer_key"]
	if wait := g.guesses.pause(id, r.RemoteAddr, now); wait > 0 {
		return nil, &Denied{Status: http.StatusTooManyRequests, Wait: wait,
			Text: "too many wrong signatures for this key from this address: wait " +
				wait.Round(time.Second).String()}
	}
	client, err := g.book.Client(r.Context(), id)
	if err != nil {
		return nil, failed(err)
	}
	secret, d := g.signature(client, r.Method, public, p)
	if d != nil {
		return nil, d
	}
	ok := secret != nil && secret.Valid(now)
	g.guesses.tell(id, r.RemoteAddr, ok, now)
	if !ok {
		d := unsigned("unknown consumer key, or the signature does not match; this server saw " +
			strings.ToUpper(r.Method) + " " +
			public.Scheme + "://" + public.Host + public.EscapedPath() +
			": where the client signed another address, proxies and ports are the usual reason")
		if secret != nil {
			d.Reason = secret.ended()
		}
		return nil, d
	}
	if elsewhere(client.Allowed, r) {
		return nil, &Denied{Status: http.StatusForbidden, Text: notFrom(r)}
	}
	fresh, err := g.book.UseNonce(r.Context(), client.ID, p["oauth_nonce"], at, at.Add(2*g.opt.Window))
	if err != nil {
		return nil, failed(err)
	}
	if !fresh {
		return nil, unsigned("the nonce was used before: make a new one for every request")
	}
	g.uses.note(secret.ID, Use{At: now, From: from(r)})
	return g.caller(client, client.Scopes), nil
}

var digests = map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New,
	"HMAC-SHA2": sha256.New}

// oauthParams reads the header (RFC 5849 §3.5.1) and checks that every
// parameter is there once and is one that we can check. The realm is text of its
// own (RFC 7235), which may hold a comma or a percent sign.
func oauthParams(header string) (map[string]string, *Denied) {
	p := map[string]string{}
	for _, part := range splitHeader(header) {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, badRequest("the Authorization header is not a list of key=\"value\"")
		}
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
		if strings.EqualFold(key, "realm") {
			continue
		}
		key, err1 := url.PathUnescape(key)
		value, err2 := url.PathUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, badRequest("a parameter is not percent-encoded")
		}
		if _, twice := p[key]; twice {
			return nil, badRequest("parameter " + strconv.QuoteToASCII(key) + " is there twice")
		}
		p[key] = value
	}
	for _, key := range []string{"oauth_consumer_key", "oauth_signature_method", "oauth_timestamp",
		"oauth_nonce", "oauth_signature"} {
		if p[key] == "" {
			return nil, badRequest(key + " is missing")
		}
	}
	if digests[p["oauth_signature_method"]] == nil {
		return nil, badRequest("oauth_signature_method must be HMAC-SHA1 or HMAC-SHA256")
	}
	if v, ok := p["oauth_version"]; ok && v != "1.0" {
		return nil, badRequest("oauth_version must be 1.0")
	}
	if p["oauth_token"] != "" {
		return nil, badRequest("there are no tokens in this exchange: leave oauth_token out")
	}
	if n := p["oauth_nonce"]; len(n) > 255 || strings.ContainsFunc(n,
		func(c rune) bool { return c < ' ' || c == utf8.RuneError }) {
		return nil, badRequest("oauth_nonce is longer than 255 bytes, or not text")
	}
	return p, nil
}

// splitHeader cuts a header at the commas outside of quotes; empty parts are left
// out: ClassLink's .NET package writes a comma behind the scheme.
func splitHeader(header string) (parts []string) {
	quoted, start := false, 0
	for i := 0; i <= len(header); i++ {
		switch {
		case i == len(header) || header[i] == ',' && !quoted:
			if part := strings.TrimSpace(header[start:i]); part != "" {
				parts = append(parts, part)
			}
			start = i + 1
		case header[i] == '\\' && quoted: // the next sign is text (RFC 7230 §3.2.6)
			i = min(i+1, len(header)-1)
		case header[i] == '"':
			quoted = !quoted
		}
	}
	return parts
}

// signature finds the secret of the client, valid or ended, that makes the signature of
// the request, in the spellings that client libraries are known to sign; nil is none.
func (g *Gate) signature(client *Client, method string, public *url.URL, p map[string]string) (*Secret,
	*Denied) {
	got, err := base64.StdEncoding.DecodeString(p["oauth_signature"])
	if err != nil {
		return nil, badRequest("oauth_signature is not base64")
	}
	secrets, of := []string{"no such client"}, []*Secret{nil}
	if client != nil && client.OAuth1 {
		secrets, of = nil, nil
		for i, s := range client.Secrets {
			if s.Sealed == "" {
				continue
			}
			plain, err := g.key.Open(s.Sealed)
			if err != nil && !s.Valid(g.opt.Now()) {
				continue
			}
			if err != nil {
				return nil, failed(err)
			}
			secrets, of = append(secrets, plain), append(of, &client.Secrets[i])
		}
	}
	var found *Secret
	for i, secret := range secrets {
		for _, v := range variants {
			for _, v.plus = range []bool{false, true} {
				mac := sign(digests[p["oauth_signature_method"]], v.inner.encode(secret)+"&",
					baseString(method, public, p, v))
				if hmac.Equal(mac, got) {
					found = of[i]
				}
			}
		}
	}
	return found, nil
}

func sign(digest func() hash.Hash, key, base string) []byte {
	h := hmac.New(digest, []byte(key))
	h.Write([]byte(base))
	return h.Sum(nil)
}

// A spelling is a way to percent-encode: the signs that stay beside letters,
// digits and - . _
type spelling string

const (
	rfc   spelling = "~"      // RFC 5849 §3.6
	node  spelling = "~!()*"  // what ClassLink's Node library leaves in parameters
	js    spelling = "~!'()*" // JavaScript's encodeURIComponent
	net   spelling = "!()*"   // .NET before it knew RFC 3986
	java  spelling = "*"      // Java's URLEncoder with the space mended
	old   spelling = ""       // Python before 3.7
	slash spelling = "~/"     // Python's quote
)

// A variant is how a client library makes the base string: parameters are encoded
// by one spelling, the whole of them and the address by another. plus: a + in the
// query is a plus sign (PHP, Go), not a space.
type variant struct {
	inner, outer spelling
	plus         bool
}

// variants are what libraries in daily use sign.
var variants = []variant{
	{inner: rfc, outer: rfc}, {inner: node, outer: js}, {inner: net, outer: net},
	{inner: java, outer: java}, {inner: old, outer: old},
	{inner: js, outer: rfc}, {inner: js, outer: js}, {inner: slash, outer: rfc},
}

func (e spelling) encode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._",
			c) >= 0 || strings.IndexByte(string(e), c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+
				string("0123456789abcdef"[c&15])))
		}
	}
	return b.String()
}

// baseString is RFC 5849 §3.4.1, over the query as it was sent.
func baseString(method string, u *url.URL, p map[string]string, v variant) string {
	var pairs []string
	add := func(key, value string) { pairs = append(pairs, v.inner.encode(key)+"\x00"+v.inner.encode(value)) }
	for key, value := range p {
		if key != "oauth_signature" {
			add(key, value)
		}
	}
	for _, pair := range strings.Split(u.RawQuery, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		add(v.decode(key), v.decode(value))
	}
	sort.Strings(pairs)
	for i := range pairs {
		pairs[i] = strings.Replace(pairs[i], "\x00", "=", 1)
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	address := strings.ToLower(u.Scheme) + "://" + host + u.EscapedPath()
	return strings.ToUpper(method) + "&" + v.outer.encode(address) + "&" +
		v.outer.encode(strings.Join(pairs, "&"))
}

// decode undoes the encoding of one part of a query; what is not an escape
// stands for itself.
func (v variant) decode(s string) string {
	if v.plus {
		s = strings.ReplaceAll(s, "+", "%2B")
	}
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

// Sign puts an OAuth 1.0a Authorization header on a request. method is
// HMAC-SHA1 or HMAC-SHA256. It returns what was signed: the base string (RFC 5849 §3.4.1), which
// holds no secret.
func Sign(r *http.Request, key, secret, method, nonce string, at time.Time) string {
	p := map[string]string{
		"oauth_consumer_key":     key,
		"oauth_nonce":            nonce,
		"oauth_signature_method": method,
		"oauth_timestamp":        strconv.FormatInt(at.Unix(), 10),
		"oauth_version":          "1.0",
	}
	u := *r.URL
	if u.Host == "" {
		u.Host = r.Host
	}
	base := baseString(r.Method, &u, p, variants[0]) // the strict one
	p["oauth_signature"] = base64.StdEncoding.EncodeToString(sign(digests[method], rfc.encode(secret)+"&",
		base))
	var parts []string
	for k, v := range p {
		parts = append(parts, k+`="`+rfc.encode(v)+`"`)
	}
	sort.Strings(parts)
	r.Header.Set("Authorization", "OAuth "+strings.Join(parts, ","))
	return base
}
