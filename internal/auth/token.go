package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

const maxTokenRequest = 64 << 10

// A tokenError is an answer of RFC 6749 §5.2.
type tokenError struct {
	status int
	code   string
	text   string
}

// ServeToken is the token endpoint: the client credentials grant (RFC 6749
// §4.4), with credentials in a Basic header, else in a form, JSON or query.
// It returns what a log tells of it.
func (g *Gate) ServeToken(w http.ResponseWriter, r *http.Request) (told TokenRequest) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Content-Type", "application/json")
	answer, bad := g.grant(w, r, &told)
	if bad != nil {
		if told.Reason == "" {
			told.Reason = bad.text
		}
		if bad.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="rollbook"`)
		}
		switch bad.status {
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", RetryAfter(told.wait))
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", RetryAfter(5*time.Second))
		}
		if bad.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "POST")
		}
		w.WriteHeader(bad.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": bad.code, "error_description": bad.text})
		return told
	}
	_ = json.NewEncoder(w).Encode(answer)
	return told
}

// A TokenRequest is what a log may tell of one.
type TokenRequest struct {
	Client string // the id that was tried, at most 100 bytes of it
	Reason string // why it was refused; "" when it was granted
	wait   time.Duration
}

// RetryAfter writes a wait in the whole seconds of a Retry-After header, never short.
func RetryAfter(wait time.Duration) string {
	return strconv.Itoa(int((wait + time.Second - 1) / time.Second))
}

type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
}

func (g *Gate) grant(w http.ResponseWriter, r *http.Request, told *TokenRequest) (*tokenAnswer, *tokenError) {
	if r.Method != http.MethodPost {
		return nil, &tokenError{http.StatusMethodNotAllowed, "invalid_request", "send a POST request"}
	}
	form, bad := tokenForm(w, r)
	if bad != nil {
		return nil, bad
	}
	if grant := form.Get("grant_type"); grant != "" && grant != "client_credentials" {
		return nil, &tokenError{http.StatusBadRequest, "unsupported_grant_type",
			"only client_credentials is granted here"}
	}
	client, tokenType, bad := g.client(r, form, told)
	if bad != nil {
		return nil, bad
	}
	granted, said, bad := g.scopes(client, form.Get("scope"))
	if bad != nil {
		return nil, bad
	}
	now := g.opt.Now()
	c := claims{Subject: client.ID, For: g.opt.Audience, Gen: client.Generation,
		Scope: strings.Join(granted, " "), ID: random(12), Issued: jwt.NewNumericDate(now),
		Expiry: jwt.NewNumericDate(now.Add(g.opt.TokenLife))}
	token, err := jwt.Signed(g.currentSigning(r.Context(), "").signer).Claims(c).Serialize()
	if err != nil {
		return nil, &tokenError{http.StatusInternalServerError, "server_error",
			"the token could not be signed"}
	}
	return &tokenAnswer{token, tokenType, int(g.opt.TokenLife / time.Second), strings.Join(said, " ")}, nil
}

// tokenForm gathers the parameters: the body's, whether form or JSON, then the
// query's.
func tokenForm(w http.ResponseWriter, r *http.Request) (url.Values, *tokenError) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenRequest))
	if err != nil {
		return nil, &tokenError{http.StatusRequestEntityTooLarge, "invalid_request",
			"the body is too large or broke off"}
	}
	form := url.Values{}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if trimmed := strings.TrimSpace(string(body)); kind == "application/json" && strings.HasPrefix(trimmed,
		"{") {
		if !json.Valid(body) {
			return nil, &tokenError{http.StatusBadRequest, "invalid_request", "the body is not JSON"}
		}
		members := json.NewDecoder(bytes.NewReader(body))
		_, _ = members.Token() // the brace
		for members.More() {
			name, _ := members.Token()
			var v any
			_ = members.Decode(&v)
			if text, ok := v.(string); ok {
				form.Add(name.(string), text)
			}
		}
	} else {
		form, _ = url.ParseQuery(trimmed) // what cannot be read is left out
	}
	query, _ := url.ParseQuery(r.URL.RawQuery)
	for k, v := range query {
		if !form.Has(k) {
			form[k] = v
		}
	}
	for k, v := range form { // RFC 6749 §3.2; which of two was meant, nobody can tell
		if len(v) > 1 {
			return nil, &tokenError{http.StatusBadRequest, "invalid_request", "parameter " +
				strconv.QuoteToASCII(k) + " is there twice"}
		}
	}
	return form, nil
}

// client authenticates the client (RFC 6749 §2.3.1). Parts of a Basic header are
// compared as they are and form-decoded: clients do either.
func (g *Gate) client(r *http.Request, form url.Values, told *TokenRequest) (*Client, string, *tokenError) {
	type pair struct{ id, secret string }
	var tries []pair
	tokenType := "Bearer"
	if scheme, rest, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")),
		" "); strings.EqualFold(scheme, "Basic") {
		tokenType = "bearer" // some readers of this way compare it exactly
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		id, secret, ok := strings.Cut(string(raw), ":")
		if err != nil || !ok {
			return nil, "", &tokenError{http.StatusUnauthorized, "invalid_client",
				"the Basic header is not base64 of id:secret"}
		}
		tries = append(tries, pair{id, secret})
		id2, err1 := url.QueryUnescape(id)
		secret2, err2 := url.QueryUnescape(secret)
		if err1 == nil && err2 == nil && (id2 != id || secret2 != secret) {
			tries = append(tries, pair{id2, secret2})
		}
	} else if form.Get("client_id") == "" {
		return nil, "", &tokenError{http.StatusUnauthorized, "invalid_client",
			"no client credentials: send Authorization: Basic base64(client_id:client_secret)"}
	} else {
		tries = append(tries, pair{form.Get("client_id"), form.Get("client_secret")})
	}
	who := tries[len(tries)-1].id // decoded: however it is spelled, it is one client
	told.Client = who[:min(len(who), 100)]
	if wait := g.guesses.pause(who, r.RemoteAddr, g.opt.Now()); wait > 0 {
		told.wait = wait
		return nil, "", &tokenError{http.StatusTooManyRequests, "invalid_client",
			"too many wrong secrets for this client from this address: wait " +
				wait.Round(time.Second).String()}
	}
	for _, t := range tries {
		client, err := g.book.Client(r.Context(), t.id)
		if err != nil {
			return nil, "", &tokenError{http.StatusServiceUnavailable, "temporarily_unavailable",
				"the service cannot check credentials now; try again"}
		}
		now := g.opt.Now()
		secret := checkSecret(client, t.secret)
		if secret == nil {
			continue
		}
		if !secret.Valid(now) {
			told.Reason = secret.ended() // to strangers it is wrong
			continue
		}
		told.Reason = ""
		g.guesses.tell(who, r.RemoteAddr, true, now)
		if elsewhere(client.Allowed, r) {
			return nil, "", &tokenError{http.StatusForbidden, "unauthorized_client", notFrom(r)}
		}
		g.uses.note(secret.ID, Use{At: now, From: from(r)})
		return client, tokenType, nil
	}
	g.guesses.tell(who, r.RemoteAddr, false, g.opt.Now())
	return nil, "", &tokenError{http.StatusUnauthorized, "invalid_client",
		"unknown client, or the secret is wrong or has expired"}
}

// scopes settles what a token opens: what was asked for and the client may
// have; all that the client may have when nothing was asked for. Words that are no
// scope of ours are passed over beside one that is. said is what the answer names,
// spelled as asked.
func (g *Gate) scopes(client *Client, asked string) (granted, said []string, bad *tokenError) {
	words := strings.FieldsFunc(asked,
		func(c rune) bool { return c == ' ' || c == ',' || c == '\t' || c == '\n' || c == '\r' })
	for _, word := range words {
		if short := g.short(word); len(both([]string{short}, client.Scopes)) == 1 &&
			!slices.Contains(granted, short) {
			granted = append(granted, short)
			said = append(said, word)
		}
	}
	if len(words) > 0 && len(granted) == 0 {
		return nil, nil, &tokenError{http.StatusBadRequest, "invalid_scope",
			"this client may have none of the scopes it asks for; it may have " +
				strings.Join(both(client.Scopes, g.opt.Known), " ")}
	}
	if len(words) == 0 {
		granted = both(client.Scopes, g.opt.Known)
		for _, s := range granted {
			said = append(said, g.opt.Prefixes[0]+s)
		}
	}
	return granted, said, nil
}

// short is the scope of ours that a word means: its last part, whatever the prefix
// and the version before it; "" when it is none.
func (g *Gate) short(word string) string {
	word = strings.Trim(strings.TrimRight(word, "/"), `"'`)
	name := strings.ToLower(word[strings.LastIndexAny(word, "/:")+1:])
	if alias := g.opt.Aliases[name]; alias != "" {
		name = alias
	}
	if len(both([]string{name}, g.opt.Known)) == 1 {
		return name
	}
	return ""
}
