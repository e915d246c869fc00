package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Options of a gate.
type Options struct {
	Now       func() time.Time // nil is time.Now
	TokenLife time.Duration    // 0 is one hour
	// Prefixes are what a scope may carry before its short name; the first is
	// the one that answers use when the client asked for none.
	Prefixes []string
	// Known are the short names of all scopes of the service.
	Known []string
	// Aliases are other names of them, such as a later version's.
	Aliases map[string]string
	// Riders are words that a client may hold beside its scopes; none is asked for:
	// each goes with the scope that it is mapped to.
	Riders map[string]string
	// Audience is whom tokens are for, which those of another audience are not; "" is anybody's.
	Audience string
	// Window is how far an OAuth 1.0a timestamp may be off; 0 is ten minutes.
	Window time.Duration
}

// A Gate lets callers in. It is safe for concurrent use.
type Gate struct {
	book    Book
	key     *Key
	opt     Options
	began   time.Time
	guesses guesses
	uses    uses
	meters  meters

	signing atomic.Pointer[signing]
	reading sync.Mutex // one reads the signing key anew

	mu     sync.Mutex
	tokens map[[32]byte]seen // verified ones
}

// seen is a token that was verified, and the caller that it was found to be of, as of a
// version of the book.
type seen struct {
	claims
	caller  *Caller
	version int64
	at      time.Time
}

// claims of an access token.
type claims struct {
	Subject string           `json:"sub"`
	For     string           `json:"aud,omitempty"`
	Scope   string           `json:"scope"`
	ID      string           `json:"jti"`
	Gen     int              `json:"gen,omitempty"` // of the client
	Issued  *jwt.NumericDate `json:"iat"`
	Expiry  *jwt.NumericDate `json:"exp"`

	key string // id of the signing key
}

// signing is the token signing key as it was read.
type signing struct {
	signer jose.Signer
	public jose.JSONWebKey
	read   time.Time
	named  bool // because a token named it
}

// A Caller is an authenticated client and the scopes that it holds, short names.
type Caller struct {
	Client string
	Scopes []string

	allowed []netip.Prefix
	meter   *meter
}

// Holds tells whether the caller holds one of the scopes, compared as whole words.
func (c *Caller) Holds(any []string) bool {
	for _, want := range any {
		for _, has := range c.Scopes {
			if want == has {
				return true
			}
		}
	}
	return false
}

// Denied says why a caller is not let in.
type Denied struct {
	Status    int           // 400, 401, 403, 429, or 503 when the gate itself failed
	Challenge string        // WWW-Authenticate; set on every 401
	Client    string        // that was tried, as the caller gave it; "" when unknown
	Text      string        // for the caller
	Reason    string        // for the log, where it is to be told more
	Wait      time.Duration // with 429
	Err       error         // for the log, with 503
}

const noCredentials = `Bearer realm="rollbook"`

func denied(text string) *Denied {
	return &Denied{Status: http.StatusUnauthorized, Text: text,
		Challenge: noCredentials + `, error="invalid_token", error_description="` + text + `"`}
}

func failed(err error) *Denied {
	return &Denied{Status: http.StatusServiceUnavailable,
		Text: "the service cannot check credentials now; try again", Err: err}
}

// New makes a gate over a book. The token signing key is made on first use of
// the book and shared by every process on it.
func New(ctx context.Context, book Book, key *Key, opt Options) (*Gate, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.TokenLife == 0 {
		opt.TokenLife = time.Hour
	}
	if opt.Window == 0 {
		opt.Window = 10 * time.Minute
	}
	g := &Gate{book: book, key: key, opt: opt, began: opt.Now(), tokens: map[[32]byte]seen{}}
	s, err := g.readSigning(ctx)
	if err != nil {
		return nil, err
	}
	g.signing.Store(s)
	return g, nil
}

// How often the signing key is read anew: one that was rotated is taken without a
// restart.
const (
	signingAge  = time.Minute
	signingSoon = time.Second // where one token after the other names another key
)

// currentSigning is the signing key, read anew when it was read a while ago, or when
// a token names another. Only who finds it old waits for that.
func (g *Gate) currentSigning(ctx context.Context, kid string) *signing {
	s, age := g.signing.Load(), signingAge
	named := kid != "" && kid != s.public.KeyID
	switch {
	case named && s.named:
		age = signingSoon
	case named:
		age = 0
	}
	if g.opt.Now().Sub(s.read).Abs() < age || !g.reading.TryLock() {
		return s
	}
	defer g.reading.Unlock()
	fresh, err := g.readSigning(ctx)
	if err != nil { // the client is looked up in the same book next, which tells
		return s
	}
	fresh.named = named
	g.signing.Store(fresh)
	return fresh
}

func (g *Gate) readSigning(ctx context.Context) (*signing, error) {
	at := g.opt.Now()
	sealed, err := g.book.SigningKey(ctx, func() (string, error) { return newSigningKey(g.key) })
	if err != nil {
		return nil, err
	}
	text, err := g.key.Open(sealed)
	if err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the token signing key is damaged")
	}
	private, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("the token signing key is damaged: %w", err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(point)
	kid := hex.EncodeToString(sum[:8])
	public := jose.JSONWebKey{Key: &private.PublicKey, KeyID: kid, Algorithm: "ES256", Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private,
		KeyID: kid}},
		(&jose.SignerOptions{}).WithType("JWT"))
	return &signing{signer: signer, public: public, read: at}, err
}

func newSigningKey(key *Key) (string, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return "", err
	}
	return key.Seal(base64.StdEncoding.EncodeToString(der)), nil
}

// JWKS is the public half of the signing key, as published.
func (g *Gate) JWKS() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{g.signing.Load().public}}
}

// Caller tells who sends a request. public is the URL of this very request as
// the client sees it, with the path and query as sent.
func (g *Gate) Caller(r *http.Request, public *url.URL) (*Caller, *Denied) {
	header := strings.TrimSpace(r.Header.Get("Authorization"))
	scheme, rest, _ := strings.Cut(header, " ")
	switch strings.ToLower(strings.TrimSuffix(scheme, ",")) {
	case "bearer":
		caller, d := g.bearer(r.Context(), strings.TrimSpace(rest))
		if d == nil && elsewhere(caller.allowed, r) {
			return nil, &Denied{Status: http.StatusForbidden, Client: caller.Client, Text: notFrom(r)}
		}
		return caller, d
	case "oauth":
		return g.signed(r, public, rest)
	case "":
		at := "/token"
		if g.opt.Audience != "" {
			at = "the token URL of this district"
		}
		return nil, &Denied{Status: http.StatusUnauthorized, Challenge: noCredentials,
			Text: "no credentials: get an access token at " + at + " and send it as Authorization: Bearer …"}
	}
	return nil, &Denied{Status: http.StatusUnauthorized, Challenge: noCredentials,
		Text: "this Authorization scheme is not taken here: send Bearer and an access token"}
}

// callerAge is how long a caller is taken for what it was: who changes clients by hand, in
// the database, changes no version.
const callerAge = time.Minute

// bearer checks an access token. Whether the book has changed is looked up each time: a
// client that was removed is out at once.
func (g *Gate) bearer(ctx context.Context, token string) (*Caller, *Denied) {
	sum := sha256.Sum256([]byte(token))
	c, d := g.verify(ctx, sum, token)
	if d != nil {
		d.Client = c.Subject
		return nil, d
	}
	version, err := g.book.Version(ctx) // before the client is read
	if err != nil {
		return nil, failed(err)
	}
	now := g.opt.Now()
	if c.caller != nil && c.version == version && now.Sub(c.at).Abs() < callerAge {
		return c.caller, nil
	}
	client, err := g.book.Client(ctx, c.Subject)
	if err != nil {
		return nil, failed(err)
	}
	if client == nil {
		d := denied("the client of this token was removed")
		d.Client = c.Subject
		return nil, d
	}
	if c.Gen != client.Generation {
		d := denied("the tokens of this client were ended: get a new one")
		d.Client = c.Subject
		return nil, d
	}
	c.caller = g.caller(client, both(strings.Fields(c.Scope), client.Scopes))
	c.version, c.at = version, now
	g.remember(sum, c)
	return c.caller, nil
}

func (g *Gate) caller(c *Client, scopes []string) *Caller {
	return &Caller{Client: c.ID, Scopes: g.riding(c, scopes), allowed: c.Allowed, meter: g.meter(c)}
}

// riding are scopes of a client with the words that ride on them.
func (g *Gate) riding(client *Client, scopes []string) []string {
	out := both(scopes, g.opt.Known)
	for word, on := range g.opt.Riders {
		if len(both([]string{word}, client.Scopes)) == 1 && len(both([]string{on}, out)) == 1 {
			out = append(out, word)
		}
	}
	return out
}

// both lists the words of a that are also in b.
func both(a, b []string) []string {
	var out []string
	for _, x := range a {
		for _, y := range b {
			if x == y {
				out = append(out, x)
				break
			}
		}
	}
	return out
}

const keptTokens = 10000

// verify checks signature and times of a token; what was verified once is
// remembered by the token's hash until it expires.
func (g *Gate) verify(ctx context.Context, sum [32]byte, token string) (seen, *Denied) {
	now := g.opt.Now()
	g.mu.Lock()
	c, ok := g.tokens[sum]
	g.mu.Unlock()
	if ok && c.key != g.currentSigning(ctx, c.key).public.KeyID {
		ok = false // the key was rotated
	}
	if !ok {
		c = seen{}
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return seen{}, denied("the access token is not one of ours")
		}
		now := g.currentSigning(ctx, parsed.Headers[0].KeyID)
		c.key = now.public.KeyID
		if err := parsed.Claims(now.public.Key, &c.claims); err != nil || c.Expiry == nil ||
			c.Issued == nil ||
			c.Subject == "" || c.For != g.opt.Audience {
			return seen{}, denied("the access token is not one of ours")
		}
	}
	if !now.Before(c.Expiry.Time()) {
		return c, denied("the access token has expired: get a new one")
	}
	if c.Issued.Time().After(now.Add(time.Minute)) {
		return c, denied("the access token is from the future: the clocks of the machines that serve " +
			"differ by more than a minute")
	}
	return c, nil
}

func (g *Gate) remember(sum [32]byte, c seen) {
	now := g.opt.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.tokens[sum]; !known && len(g.tokens) >= keptTokens {
		for k, old := range g.tokens {
			if !now.Before(old.Expiry.Time()) {
				delete(g.tokens, k)
			}
		}
		if len(g.tokens) >= keptTokens {
			clear(g.tokens)
		}
	}
	g.tokens[sum] = c
}
