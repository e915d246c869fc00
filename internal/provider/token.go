package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Grant is a token endpoint's answer (RFC 6749 §5.1).
type Grant struct {
	AccessToken string      `json:"access_token"`
	TokenType   string      `json:"token_type"`
	ExpiresIn   json.Number `json:"expires_in"`
	Scope       string      `json:"scope"`
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
	form := url.Values{"grant_type": {"client_credentials"}}
	if t.GrantType != "" {
		form.Set("grant_type", t.GrantType)
	}
	if t.Scope != "" {
		form.Set("scope", t.Scope)
	}
	basic, _ := http.NewRequest(http.MethodGet, p.TokenURL, nil)
	basic.SetBasicAuth(t.Client, t.Secret)
	return p.Do(ctx, Call{Method: http.MethodPost, Path: p.TokenURL, Body: []byte(form.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Who:    Who{Header: basic.Header.Get("Authorization")}})
}

// Granted reads a token endpoint's answer.
func Granted(a *Answer) (Grant, error) {
	var g Grant
	switch {
	case a.Status == http.StatusTooManyRequests || a.Status >= http.StatusInternalServerError:
		return g, &Trouble{Kind: Busy, Text: fmt.Sprintf("the token endpoint answered %d: %s", a.Status,
			a.Excerpt())}
	case a.Status != http.StatusOK:
		return g, &Trouble{Kind: Refused, Text: fmt.Sprintf("the token endpoint answered %d: %s", a.Status,
			a.Excerpt())}
	case json.Unmarshal(a.Body, &g) != nil:
		return g, &Trouble{Kind: NotJSON, Text: "the token endpoint's answer is not a JSON object: " +
			a.Excerpt()}
	case g.AccessToken == "":
		return g, &Trouble{Kind: Refused, Text: "the token endpoint's answer has no access_token: " +
			strings.Join(keys(a.Body), ", ")}
	case strings.ContainsFunc(g.AccessToken, func(c rune) bool { return c <= ' ' || c > '~' }):
		return g, &Trouble{Kind: Misshapen,
			Text: "the access_token holds spaces, line breaks or letters beyond ASCII, which no header " +
				"can carry (RFC 6750 §2.1)"}
	}
	return g, nil
}

// keys names the members of a JSON object; its values may be secret.
func keys(body []byte) []string {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(body, &members) // no object, no keys
	out := []string{}
	for k := range members {
		out = append(out, k)
	}
	return out
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
		return "", fmt.Errorf("no token: %w", err)
	}
	g, err := Granted(a)
	if err != nil {
		return "", err
	}
	// RFC 6749 leaves expires_in out at the server's will: then an hour, and a
	// 401 renews it. A minute is kept in hand, or half of a shorter life.
	life := time.Hour
	if n, err := g.ExpiresIn.Float64(); err == nil && n > 0 {
		life = time.Duration(n * float64(time.Second))
	}
	p.token, p.renewAt = g.AccessToken, p.Now().Add(life-min(time.Minute, life/2))
	return p.token, nil
}

// forget makes the next call ask for a new token, if the one it had is still ours.
func (p *Provider) forget(token string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.token == token {
		p.token = ""
	}
}
