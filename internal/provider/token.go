package provider

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Grant is a token endpoint's answer (RFC 6749 §5.1).
type Grant struct {
	AccessToken, TokenType, Scope string
	ExpiresIn                     json.Number // seconds; "" where the answer has no number
}

// TokenRequest says how a token is asked for.
type TokenRequest struct {
	Client, Secret, Scope string
	GrantType             string // "" is client_credentials
}

// RequestToken asks the token endpoint once, as School Data Sync does: POST, a
// form with the grant type, the credentials in an Authorization: Basic header
// (RFC 6749 §2.3.1, not form-encoded first: neither does Microsoft).
func (p *Provider) RequestToken(ctx context.Context, t TokenRequest) (*Answer, error) {
	form := url.Values{"grant_type": {cmp.Or(t.GrantType, "client_credentials")}}
	if t.Scope != "" {
		form.Set("scope", t.Scope)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(t.Client + ":" + t.Secret))
	return p.Do(ctx, Call{Method: http.MethodPost, Path: p.TokenURL, Body: []byte(form.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Who:    Who{Header: "Basic " + basic}, grant: true})
}

// longestToken is more than servers take in a header.
const longestToken = 16 << 10

var mark = []byte("\ufeff") // of byte order

// remember keeps what a token endpoint answered for Granted, and its tokens from being told.
func (a *Answer) remember() {
	a.grant = a.Body
	var members map[string]any
	if json.Unmarshal(bytes.TrimPrefix(a.Body, mark), &members) != nil && len(a.Body) <= longestToken &&
		!bytes.ContainsAny(a.Body, " <") {
		a.keeper.add(string(bytes.TrimSpace(a.Body))) // some answer with nothing but the token
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if text, ok := members[name].(string); ok && len(text) <= longestToken {
			a.keeper.add(text)
		}
	}
}

// Granted reads a token endpoint's answer. An error says where it was asked, what came,
// and what to change.
func Granted(a *Answer) (Grant, error) {
	no := func(kind Kind, format string, args ...any) (Grant, error) {
		return Grant{}, trouble(kind, "no token from %s: %s", a.URL, fmt.Sprintf(format, args...))
	}
	answered := fmt.Sprintf("the token endpoint answered %d: %s", a.Status, a.Said())
	body := a.grant
	if body == nil {
		body = a.Body
	}
	switch {
	case a.Status == http.StatusTooManyRequests || a.Status >= http.StatusInternalServerError:
		_, err := no(Busy, "%s", answered)
		err.(*Trouble).after, _ = retryAfter(a)
		return Grant{}, err
	case a.Status/100 == 3:
		return no(Redirected, "redirected (%d) to %s, and nobody sends a secret after it: give "+
			"--token-url the address that answers itself; a login page is none", a.Status,
			a.Header.Get("Location"))
	case a.Status/100 != 2 && strings.Contains(string(a.Body), "scope"):
		return no(Refused, "%s. School Data Sync and Grade Sync ask for no scope: grant this client its "+
			"usual ones when it names none", answered)
	case a.Status == http.StatusUnauthorized:
		return no(Refused, "%s. Are client id and secret right, and of this service? They are sent in an "+
			"Authorization: Basic header, as Microsoft's clients do", answered)
	case a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed:
		return no(Refused, "%s. Is --token-url spelled right? It takes a POST", answered)
	case a.Status/100 != 2:
		return no(Refused, "%s", answered)
	case !a.looksJSON():
		return no(NotJSON, "the token endpoint's answer is not a JSON object but %s: %s. Is --token-url the "+
			"address of the token endpoint itself?", a.kind(), a.Excerpt())
	case bytes.HasPrefix(body, mark):
		return no(NotJSON, "the token endpoint's answer begins with a byte order mark, at which readers "+
			"of JSON stumble (RFC 8259 §8.1): leave it out")
	}
	var members map[string]any
	numbers := json.NewDecoder(bytes.NewReader(body))
	numbers.UseNumber()
	if numbers.Decode(&members) != nil {
		return no(NotJSON, "the token endpoint's answer is not a JSON object: %s", a.Excerpt())
	}
	g := granted(members)
	switch v, there := members["access_token"]; {
	case !there && a.said() != "":
		return no(Refused, "%s", answered)
	case !there:
		return no(Refused, "%v", a.misplaced("token", []string{"access_token"}, members))
	case g.AccessToken == "":
		what := "a number, a list or an object"
		if v == nil || v == "" {
			what = "null, or empty"
		}
		return no(Misshapen, "the access_token is %s, and no text", what)
	case len(g.AccessToken) > longestToken:
		return no(Misshapen, "the access_token has %d bytes: no server takes a header of that length",
			len(g.AccessToken))
	case strings.ContainsFunc(g.AccessToken, func(c rune) bool { return c <= ' ' || c > '~' }):
		return no(Misshapen, "the access_token has spaces, line breaks or letters beyond ASCII, which no "+
			"header can carry (RFC 6750 §2.1)")
	}
	for _, text := range []*string{&g.TokenType, &g.Scope} { // all but the token is for people
		*text = string(a.keeper.clean([]byte(*text)))
	}
	return g, nil
}

// granted reads what readers need, the token, and the rest as far as it has the form of the standard.
func granted(members map[string]any) (g Grant) {
	g.AccessToken, _ = members["access_token"].(string)
	g.TokenType, _ = members["token_type"].(string)
	g.Scope, _ = members["scope"].(string)
	if list, is := members["scope"].([]any); is {
		g.Scope = strings.Trim(fmt.Sprint(list), "[]")
	}
	life := json.Number(fmt.Sprint(members["expires_in"]))
	if _, err := life.Float64(); err == nil {
		g.ExpiresIn = life
	}
	return g
}

// Token is the client's token; one that is about to end is renewed.
func (p *Provider) Token(ctx context.Context) (string, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.token != "" && p.Now().Before(p.renewAt) {
		return p.token, nil
	}
	a, err := p.RequestToken(ctx, TokenRequest{Client: p.Client, Secret: p.Secret, Scope: p.Scope})
	if err != nil {
		return "", fmt.Errorf("no token from %s: %w", p.TokenURL, err)
	}
	g, err := Granted(a)
	if err != nil {
		return "", err
	}
	renew := p.Renew
	if renew == nil {
		renew = p.beforeItEnds
	}
	at, err := renew(g)
	if err != nil {
		return "", fmt.Errorf("the access token of %s %w", p.TokenURL, err)
	}
	p.token, p.renewAt = g.AccessToken, at
	return p.token, nil
}

// beforeItEnds keeps a minute in hand, or half of a shorter life; a longer one than a day
// is a day. RFC 6749 leaves expires_in out at the server's will: then a token lives an
// hour, and a 401 renews it.
func (p *Provider) beforeItEnds(g Grant) (time.Time, error) {
	life := time.Hour
	if n, err := g.ExpiresIn.Float64(); err == nil && n > 0 {
		life = time.Duration(min(n, (24*time.Hour).Seconds()) * float64(time.Second))
	}
	return p.Now().Add(life - min(time.Minute, life/2)), nil
}

// Forget makes the next call ask for a new token, where the one that a call was made with was
// refused (401): whether it was.
func (p *Provider) Forget(a *Answer) bool {
	if a.Status != http.StatusUnauthorized || a.token == "" {
		return false
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.token == a.token {
		p.token = ""
	}
	return true
}
