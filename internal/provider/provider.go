// Package provider owns the calls of somebody's OneRoster 1.1 service as a reader makes
// them: tokens or signatures, one call at a time or with care, and what came back, without
// the secrets of the connection and with a sentence for what went wrong on the wire. It
// judges nothing: the packages above do.
package provider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"rollbook/internal/auth"
)

// Config of a provider.
type Config struct {
	URL      string // absolute base: https://host/ims/oneroster/v1p1
	TokenURL string // OAuth 2.0 token endpoint; "" with OAuth1
	Client   string // client id, or consumer key
	Secret   string
	Scope    string // asked of the token endpoint as it stands; "" asks for none, as School Data Sync does
	OAuth1   bool   // sign with OAuth 1.0a instead
	Digest   string // HMAC-SHA256 (the default) or HMAC-SHA1

	Version string // of this program, told as User-Agent

	// HTTP1 speaks HTTP/1.1 even where HTTP/2 is offered: many calls at once are then
	// as many connections.
	HTTP1   bool
	CA      []byte        // PEM of authorities to trust beside the system's
	Timeout time.Duration // for one call until its last byte; 0 is 100 s
	MaxBody int64         // bytes of an answer; 0 is 64 MiB

	Tries int           // of a careful call; 0 is 5
	Wait  time.Duration // before the second try, doubled for each further one; 0 is 1 s

	Now func() time.Time // the clock that tokens end by; nil is time.Now
	// Renew says when a token is to be given up, or why it is none; nil is a minute
	// before expires_in.
	Renew func(Grant) (time.Time, error)

	Seen func(*Answer) // told of every answer, whole or not; may be called by many at once
	Note func(string)  // told of every retry, in a sentence; likewise
}

// A Provider is safe for concurrent use.
type Provider struct {
	Config
	client *http.Client
	keeper *keeper

	lock    sync.Mutex
	token   string
	renewAt time.Time // when token should no longer be used
	refused sync.Once // that a token was is told
}

// New checks a configuration. It calls nobody.
func New(c Config) (*Provider, error) {
	if err := absolute("the base URL", c.URL); err != nil {
		return nil, err
	}
	if c.Client == "" || c.Secret == "" {
		return nil, errors.New("a client id and a secret are needed: give --client and --secret")
	}
	if c.OAuth1 {
		c.TokenURL = ""
	} else if err := absolute("the token URL", c.TokenURL); err != nil {
		return nil, fmt.Errorf("%w (give --token-url, or --oauth1 for a provider whose requests "+
			"are signed)", err)
	}
	c.URL = strings.TrimRight(c.URL, "/")
	if strings.Contains(strings.ToLower(c.URL), "/v1p2") {
		return nil, ErrNewer
	}
	c.Timeout, c.Wait = cmp.Or(c.Timeout, 100*time.Second), cmp.Or(c.Wait, time.Second)
	c.MaxBody, c.Tries = cmp.Or(c.MaxBody, 64<<20), cmp.Or(c.Tries, 5)
	c.Digest = cmp.Or(c.Digest, "HMAC-SHA256")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Seen == nil {
		c.Seen = func(*Answer) {}
	}
	if c.Note == nil {
		c.Note = func(string) {}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.MaxResponseHeaderBytes = mostHeaders
	transport.ResponseHeaderTimeout = 0 // the call's own limit covers it
	if c.HTTP1 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(true)
	}
	if c.CA != nil {
		pool, more := Authorities(c.CA)
		if !more {
			return nil, errors.New("the file of authorities holds no PEM certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	last := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Provider{Config: c, client: &http.Client{Transport: transport, CheckRedirect: last},
		keeper: newKeeper(c.Client, c.Secret)}, nil
}

// Authorities are those of the system, and those that a PEM file has, if there are any.
func Authorities(pem []byte) (pool *x509.CertPool, more bool) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	return pool, pool.AppendCertsFromPEM(pem)
}

// ErrNewer is of a service that speaks OneRoster 1.2, of which nothing can be read here: by its
// address, or because its users have roles in place of a role.
var ErrNewer = errors.New("this is a service of OneRoster 1.2, and 1.1 is what is read here: give the base " +
	"URL of its 1.1 service, which mostly ends in " + usual)

func absolute(what, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%s %q is not an absolute URL such as "+
			"https://roster.example.org/ims/oneroster/v1p1", what, text)
	}
	if u.User != nil {
		return fmt.Errorf("%s holds a name or a password, which would be shown wherever it is: give "+
			"--client and --secret", what)
	}
	return nil
}

// Who says with which identity a call is made.
type Who struct {
	Nobody bool   // no Authorization header
	Bearer string // this token, whatever it is
	Header string // this whole Authorization header
}

// A Call is one request.
type Call struct {
	Method string // "" is GET
	// Path is below the base URL, percent-encoded: /users/a1. An absolute URL (of a Link
	// header, say) stands for itself.
	Path   string
	Query  string // raw, without the question mark
	Body   []byte
	Header http.Header
	Who    Who // the zero Who is the configured client

	grant bool // a token is asked for
}

func (c Call) method() string { return cmp.Or(c.Method, http.MethodGet) }

// An Answer is what a call brought, without what only this client may know, and of
// its headers those that anybody reads.
type Answer struct {
	Call   Call
	URL    string // that was asked
	Status int    // 0 when no answer began
	Header http.Header
	Body   []byte
	Took   time.Duration // until the last byte
	Err    error         // a *Trouble when there is no whole answer
	Signed string        // the base string of a request that was signed (RFC 5849 §3.4.1)

	token  string // of the configured client, that the call was made with
	grant  []byte // body of a token endpoint's answer, tokens and all
	keeper *keeper
}

// Line is the request as a person would write it.
func (a *Answer) Line() string { return a.Call.method() + " " + a.URL }

// In is an error of this call, with its request before it; nil stays nil.
func (a *Answer) In(err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", a.Line(), err)
	}
	return err
}

// address is the absolute URL of a call.
func (p *Provider) address(c Call) string {
	at := p.URL + c.Path
	if strings.Contains(c.Path, "://") {
		at = c.Path
	}
	if c.Query != "" {
		sep := "?"
		if strings.Contains(at, "?") {
			sep = "&"
		}
		at += sep + c.Query
	}
	return at
}

// Do makes one call, once. Redirects are not followed: a reader's next request
// would lack the Authorization header, or its signature would not fit. The
// answer is never nil; its Err is what Do returns.
func (p *Provider) Do(ctx context.Context, c Call) (*Answer, error) {
	a := &Answer{Call: c, URL: p.address(c), keeper: p.keeper}
	began := time.Now()
	a.Err = p.keeper.sentence(p.do(ctx, a))
	a.Took = time.Since(began)
	if c.grant {
		a.remember()
	}
	a.Body = p.keeper.clean(a.Body)
	p.Seen(a)
	return a, a.Err
}

func (p *Provider) do(ctx context.Context, a *Answer) error {
	within, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	var body io.Reader
	if a.Call.Body != nil {
		body = bytes.NewReader(a.Call.Body)
	}
	r, err := http.NewRequestWithContext(within, a.Call.method(), a.URL, body)
	if err != nil {
		return trouble(Unreachable, "%v", err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", strings.TrimSpace("Rollbook "+p.Version))
	if a.Call.Body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range a.Call.Header {
		r.Header[k] = v
	}
	if err := p.identify(ctx, r, a); err != nil {
		return err
	}
	return p.send(ctx, r, a)
}

// send makes the exchange and reads the answer whole.
func (p *Provider) send(ctx context.Context, r *http.Request, a *Answer) error {
	answer, err := p.client.Do(r)
	if err != nil {
		return troubleOf(ctx, r.URL, err, p.Timeout)
	}
	defer answer.Body.Close()
	a.Status, a.Header = answer.StatusCode, p.keeper.headers(answer.Header)
	a.Body, err = io.ReadAll(io.LimitReader(answer.Body, p.MaxBody+1))
	if int64(len(a.Body)) > p.MaxBody {
		a.Body = a.Body[:p.MaxBody]
		return trouble(Endless, "the answer goes on past %d MiB and was given up: is it endless?",
			p.MaxBody>>20)
	}
	if err != nil {
		return brokeOff(ctx, r.URL, err, len(a.Body), p.Timeout)
	}
	return nil
}

func (p *Provider) identify(ctx context.Context, r *http.Request, a *Answer) error {
	switch who := a.Call.Who; {
	case who.Nobody:
	case who.Header != "":
		r.Header.Set("Authorization", who.Header)
	case who.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+who.Bearer)
	case p.OAuth1:
		a.Signed = auth.Sign(r, p.Client, p.Secret, p.Digest, rand.Text(), p.Now())
	default:
		token, err := p.Token(ctx)
		if err != nil {
			return err
		}
		a.token = token
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// usual is where nearly every service has OneRoster 1.1, below its host.
const usual = "/ims/oneroster/v1p1"

// Elsewhere is where the service answers, if it does not at its base URL, which lacks the
// usual path or has it in part, but there; else "".
func (p *Provider) Elsewhere(ctx context.Context) string {
	host, err := url.Parse(p.URL)
	if err != nil || strings.HasSuffix(strings.ToLower(p.URL), usual) {
		return ""
	}
	below, _, _ := strings.Cut(p.URL, "/ims")
	for _, at := range []string{p.URL + usual, below + usual, host.Scheme + "://" + host.Host + usual} {
		if a, err := p.Do(ctx, Call{Path: at + "/orgs", Query: "limit=1"}); err == nil &&
			a.Status == http.StatusOK {
			if _, err := a.List("orgs"); err == nil {
				return at
			}
		}
	}
	return ""
}

// Query writes a raw query string from name, value, name, value, …, as most
// clients encode it: spaces as %20, quotes as %27.
func Query(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, url.QueryEscape(pairs[i])+"="+Escape(pairs[i+1]))
	}
	return strings.Join(parts, "&")
}

// Escape encodes one value of a query string.
func Escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

// Quote writes a filter's value: in single quotes, one inside doubled.
func Quote(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }
