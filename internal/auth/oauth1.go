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
	return &Denied{Status: http.StatusUnauthorized, Challenge: `OAuth realm="rollbook"`, Text: "OAuth 1.0a: " + text}
}

// signed checks a signed request.
func (g *Gate) signed(r *http.Request, public *url.URL, header string) (*Caller, *Denied) {
	p, d := oauthParams(header)
	if d != nil {
		return nil, d
	}
	seconds, err := strconv.ParseInt(p["oauth_timestamp"], 10, 62)
	if err != nil || seconds <= 0 {
		return nil, badRequest("oauth_timestamp is not a number of seconds")
	}
	at, now := time.Unix(seconds, 0), g.opt.Now()
	if at.Before(now.Add(-g.opt.Window)) || at.After(now.Add(g.opt.Window)) {
		return nil, unsigned("the timestamp is too far from this server's clock: set the clock of the client")
	}
	client, err := g.book.Client(r.Context(), p["oauth_consumer_key"])
	if err != nil {
		return nil, failed(err)
	}
	ok, d := g.signature(client, r.Method, public, p)
	if d != nil {
		return nil, d
	}
	if !ok {
		return nil, unsigned("unknown consumer key, or the signature does not match")
	}
	fresh, err := g.book.UseNonce(r.Context(), client.ID, p["oauth_nonce"], at, at.Add(2*g.opt.Window))
	if err != nil {
		return nil, failed(err)
	}
	if !fresh {
		return nil, unsigned("the nonce was used before: make a new one for every request")
	}
	return &Caller{client.ID, client.Scopes}, nil
}

var digests = map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New, "HMAC-SHA2": sha256.New}

// oauthParams reads the header (RFC 5849 §3.5.1) and checks that every
// parameter is there once and is one that we can check.
func oauthParams(header string) (map[string]string, *Denied) {
	p := map[string]string{}
	for _, part := range strings.Split(header, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, badRequest("the Authorization header is not a list of key=\"value\"")
		}
		key, err1 := url.PathUnescape(strings.TrimSpace(key))
		value, err2 := url.PathUnescape(strings.Trim(strings.TrimSpace(value), `"`))
		if err1 != nil || err2 != nil {
			return nil, badRequest("a parameter is not percent-encoded")
		}
		if _, twice := p[key]; twice {
			return nil, badRequest("parameter " + strconv.QuoteToASCII(key) + " is there twice")
		}
		p[key] = value
	}
	delete(p, "realm")
	for _, key := range []string{"oauth_consumer_key", "oauth_signature_method", "oauth_timestamp", "oauth_nonce", "oauth_signature"} {
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
	if n := p["oauth_nonce"]; len(n) > 255 || strings.ContainsFunc(n, func(c rune) bool { return c < ' ' || c == utf8.RuneError }) {
		return nil, badRequest("oauth_nonce is longer than 255 bytes, or not text")
	}
	return p, nil
}

// signature compares the signature with what every valid secret of the client
// makes of the request, in the spellings that client libraries are known to sign.
func (g *Gate) signature(client *Client, method string, public *url.URL, p map[string]string) (bool, *Denied) {
	got, err := base64.StdEncoding.DecodeString(p["oauth_signature"])
	if err != nil {
		return false, badRequest("oauth_signature is not base64")
	}
	known := client != nil && client.OAuth1
	secrets := []string{"no such client"}
	if known {
		secrets = nil
		for _, s := range client.Secrets {
			if s.Sealed == "" || !s.valid(g.opt.Now()) {
				continue
			}
			plain, err := g.key.Open(s.Sealed)
			if err != nil {
				return false, failed(err)
			}
			secrets = append(secrets, plain)
		}
	}
	match := false
	for _, secret := range secrets {
		for _, v := range variants {
			mac := sign(digests[p["oauth_signature_method"]], v.encode(secret)+"&", baseString(method, public, p, v))
			match = hmac.Equal(mac, got) || match
		}
	}
	return match && known, nil
}

func sign(digest func() hash.Hash, key, base string) []byte {
	h := hmac.New(digest, []byte(key))
	h.Write([]byte(base))
	return h.Sum(nil)
}

// A variant is a way to percent-encode before signing.
type variant struct {
	bare string // bytes left alone beside letters, digits and - . _ ~
	plus bool   // a + in the query is a plus sign, not a space
}

var variants = []variant{
	{"", false},      // RFC 5849 §3.6
	{"", true},       // PHP and Go libraries
	{"!'()*", false}, // JavaScript's encodeURIComponent
	{"!'()*", true},
	{"/", false}, // Python's quote
	{"/", true},
}

func (v variant) encode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(v.bare, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
		}
	}
	return b.String()
}

// baseString is RFC 5849 §3.4.1, over the query as it was sent.
func baseString(method string, u *url.URL, p map[string]string, v variant) string {
	var pairs []string
	add := func(key, value string) { pairs = append(pairs, v.encode(key)+"\x00"+v.encode(value)) }
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
	strict := variants[0]
	return strings.ToUpper(method) + "&" + strict.encode(strings.ToLower(u.Scheme)+"://"+host+u.EscapedPath()) + "&" + strict.encode(strings.Join(pairs, "&"))
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
// HMAC-SHA1 or HMAC-SHA256.
func Sign(r *http.Request, key, secret, method, nonce string, at time.Time) {
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
	strict := variants[0]
	p["oauth_signature"] = base64.StdEncoding.EncodeToString(sign(digests[method], strict.encode(secret)+"&", baseString(r.Method, &u, p, strict)))
	var parts []string
	for k, v := range p {
		parts = append(parts, k+`="`+strict.encode(v)+`"`)
	}
	sort.Strings(parts)
	r.Header.Set("Authorization", "OAuth "+strings.Join(parts, ","))
}
