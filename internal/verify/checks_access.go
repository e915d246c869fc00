package verify

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

const (
	ruleREST = "OneRoster 1.1 REST binding"
	ruleSDS  = "Microsoft School Data Sync"
	ruleGS   = "Microsoft Grade Sync"
)

var authChecks = []Check{
	{ID: "access.token", On: Once, OAuth2: true,
		Title: "A token request with the credentials in a Basic header is answered 200 with access_token, " +
			"token_type and expires_in",
		Rule: "RFC 6749 §4.4, §5.1; School Data Sync sends no other form",
		Fix: "Answer POST grant_type=client_credentials with a JSON object that has access_token, " +
			"token_type bearer and expires_in as a number of seconds.", Run: checkToken},
	{ID: "access.token-cache", On: Once, OAuth2: true, Advice: true,
		Title: "A token answer forbids caches to keep it",
		Rule:  "RFC 6749 §5.1", Fix: "Send Cache-Control: no-store with every token.", Run: func(p *probe) {
			if a := p.seen["token"]; !strings.Contains(strings.ToLower(a.Header.Get("Cache-Control")),
				"no-store") {
				p.fail(nil, "Cache-Control of the token answer is %q", a.Header.Get("Cache-Control"))
			}
		}},
	{ID: "access.bad-secret", On: Once, OAuth2: true,
		Title: "A wrong secret, and an unknown client, get no token",
		Rule:  "RFC 6749 §5.2: invalid_client",
		Fix:   "Answer 401 with {\"error\":\"invalid_client\"} where the client or its secret is wrong.",
		Run:   checkBadSecret},
	{ID: "access.no-token", On: Lists, Title: "Without credentials nothing is read",
		Rule: ruleREST + ", security; RFC 6750 §3.1",
		Fix:  "Answer 401 to every request that has no Authorization header, on every path.",
		Run: func(p *probe) {
			p.refused(provider.Who{Nobody: true}, "no Authorization header")
		}},
	{ID: "access.no-token-single", On: Singles,
		Title: "Without credentials no single object is read",
		Rule:  ruleREST + ", security; RFC 6750 §3.1",
		Fix:   "Check credentials before looking anything up, on single objects too.", Run: func(p *probe) {
			p.refused(provider.Who{Nobody: true}, "no Authorization header")
		}},
	{ID: "access.no-token-nested", On: Nesteds, Title: "Without credentials no list below an object is read",
		Rule: ruleREST + ", security; RFC 6750 §3.1",
		Fix:  "Check credentials in front of every route, on lists with a parent in their path too.",
		Run: func(p *probe) {
			p.refused(provider.Who{Nobody: true}, "no Authorization header")
		}},
	{ID: "access.challenge", On: Once, Advice: true,
		Title: "A refusal says in WWW-Authenticate how to get in",
		Rule:  "RFC 9110 §15.5.2, RFC 6750 §3: every 401 has it",
		Fix: "Send WWW-Authenticate: Bearer realm=\"…\" with every 401, and error=\"invalid_token\" " +
			"where one came.",
		Run: func(p *probe) {
			a := p.call(provider.Call{Path: p.door, Query: "limit=1", Who: provider.Who{Nobody: true}})
			if a.Err != nil || a.Status != http.StatusUnauthorized {
				p.lacks("no credentials are not answered 401 (access.no-token)")
			} else if a.Header.Get("Www-Authenticate") == "" {
				p.fail(a, "the answer 401 has no WWW-Authenticate: some clients never send credentials then")
			}
		}},
	{ID: "access.foreign-token", On: Once, OAuth2: true,
		Title: "A token that this provider did not issue is refused",
		Rule:  "RFC 6750 §3.1: invalid_token",
		Fix: "Verify the token's signature with your own key, and its algorithm against a list of " +
			"one; answer 401.", Run: checkForeign},
	{ID: "access.expired-token", On: Once, OAuth2: true,
		Title: "A token whose end was rewritten, or has passed, is refused",
		Rule:  "RFC 6750 §3.1: invalid_token; RFC 7519 §4.1.4",
		Fix:   "Verify the signature over the claims before reading exp, and compare exp with the clock.",
		Run:   checkExpired},
	{ID: "access.scheme", On: Once, OAuth2: true,
		Title: "The Bearer scheme is taken in any letter case",
		Rule:  "RFC 9110 §11.1; PowerShell clients send bearer",
		Fix:   "Compare the scheme of the Authorization header without regard to case.",
		Run: func(p *probe) {
			a := p.call(provider.Call{Path: p.door, Query: "limit=1",
				Who: provider.Who{Header: "bearer " + p.grant.AccessToken}})
			if a.Err != nil || a.Status != http.StatusOK {
				p.fail(a, "a token behind bearer, in small letters, is answered %d; 200 was expected", a.Status)
			}
		}},
	{ID: "access.earlier-token", On: Once, OAuth2: true,
		Title: "A new token does not end an earlier one",
		Rule:  "readers ask for a token per worker: Grade Sync, Canvas, Data Factory",
		Fix:   "Let every token live until its own exp.", Run: func(p *probe) {
			if a := p.token(p.usual()); a.Err != nil || a.Status != http.StatusOK {
				p.leave("no second token was given")
			}
			a := p.call(provider.Call{Path: p.door, Query: "limit=1",
				Who: provider.Who{Bearer: p.grant.AccessToken}})
			p.wants(a, http.StatusOK)
		}},
	{ID: "access.other-ways", On: Once, OAuth2: true, Title: "Nothing but a token in the header opens the service",
		Rule: "RFC 6750 §2; RFC 9110 §9.3.2: HEAD is answered as GET is; a token in an address is kept in logs",
		Fix:  "Ask for the same token on every method, take none from the query, and no user and password.",
		Run: func(p *probe) {
			stranger := base64.StdEncoding.EncodeToString([]byte("nobody-" + p.p.Client + ":wrong"))
			p.refused(provider.Who{Header: "Basic " + stranger}, "a made-up user and password")
			a := p.call(provider.Call{Method: http.MethodHead, Path: p.door, Query: "limit=1",
				Who: provider.Who{Nobody: true}})
			if a.Err == nil && a.Status == http.StatusOK && a.Total() >= 0 {
				p.fail(a, "HEAD without an Authorization header is answered 200, and tells the number of rows")
			}
			a = p.call(provider.Call{Path: p.door, Query: "limit=1&access_token=" + p.grant.AccessToken,
				Who: provider.Who{Nobody: true}})
			if a.Err == nil && a.Status == http.StatusOK {
				p.advise(a, "a token is taken from the address, where every log on the way keeps it")
			}
		}},
	{ID: "access.scope", On: Once, OAuth2: true,
		Title: "A token opens what its scope names, whole words compared, and nothing else",
		Rule:  ruleREST + ", OAuth scopes; RFC 6750 §3.1: insufficient_scope",
		Fix: "Split the scope at spaces, compare whole names with the scopes of the route, answer 403 " +
			"where none fits.", Run: checkScope},
	{ID: "access.https", On: Once, Advice: true,
		Title: "The service and its token endpoint are reached over HTTPS",
		Rule:  ruleSDS + " (SDS-A02); 1EdTech Security Framework",
		Fix: "Put TLS 1.2 or later with a certificate of a public authority in front, and give " +
			"readers the https:// URL.", Run: func(p *probe) {
			for _, at := range []string{p.p.URL, p.p.TokenURL} {
				u, err := url.Parse(at)
				if err != nil || u.Scheme != "http" {
					continue
				}
				if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil &&
					ip.IsLoopback() {
					p.lacks("%s is on this machine", at)
					continue
				}
				p.ok()
				p.fail(nil, "%s is plain HTTP: names and grades of children can be read on the way", at)
			}
		}},
	{ID: "access.signature", On: Once, OAuth1: true,
		Title: "A signature that does not fit the request is refused",
		Rule:  "RFC 5849 §3.2", Fix: "Compute the signature over method, URL and every parameter of the " +
			"query, and answer 401 where it differs.", Run: checkSignature},
	{ID: "access.timestamp", On: Once, OAuth1: true,
		Title: "A signature of hours ago, and one that was used before, are refused",
		Rule:  "RFC 5849 §3.3", Fix: "Refuse timestamps outside a window of minutes, and remember nonces " +
			"for as long.", Run: checkReplay},
}

func (p *probe) usual() provider.TokenRequest {
	return provider.TokenRequest{Client: p.p.Client, Secret: p.p.Secret, Scope: p.p.Scope}
}

// token asks for one.
func (p *probe) token(t provider.TokenRequest) *provider.Answer {
	a, _ := p.p.RequestToken(p.ctx, t) // a.Err says the same
	p.cut(a)
	return a
}

func checkToken(p *probe) {
	a := p.seen["token"]
	if a.Status != http.StatusOK {
		p.fail(nil, "the token is answered %d, not 200", a.Status)
	}
	if !isJSON(a) {
		p.fail(nil, "the Content-Type of the token answer is %q", a.Header.Get("Content-Type"))
	}
	if !strings.EqualFold(p.grant.TokenType, "bearer") {
		p.fail(nil, "token_type is %q, not bearer", p.grant.TokenType)
	}
	members, _ := a.Members()
	if text, isText := members["expires_in"].(string); isText {
		p.fail(nil, "expires_in is the text %q, not a number", text)
	} else if n, err := p.grant.ExpiresIn.Float64(); err != nil || n <= 0 {
		p.fail(nil, "expires_in is %q, not a number of seconds: Moodle takes no such answer",
			p.grant.ExpiresIn)
	} else if n < 600 {
		p.fail(nil, "the token ends after %v s: Grade Sync renews five minutes before, and long pulls "+
			"break; give at least 600, better 3600", n)
	}
}

func number(v any) json.Number { n, _ := v.(json.Number); return n }

// claims are what the token says, where it is a JWT (RFC 7519): else nil.
func (p *probe) claims() (claims map[string]any) {
	parts := strings.Split(p.grant.AccessToken, ".")
	if len(parts) != 3 {
		return nil
	}
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1]) // what is none is no JSON
	v, _ := wire.Decode(raw)
	claims, _ = v.(map[string]any)
	return claims
}

// otherCase is a text in other letters: capitals, or, where they are, small ones.
func otherCase(text string) string {
	if upper := strings.ToUpper(text); upper != text {
		return upper
	}
	return strings.ToLower(text)
}

func checkBadSecret(p *probe) {
	for _, t := range []provider.TokenRequest{
		{Client: p.p.Client, Secret: p.p.Secret + "x"}, {Client: p.p.Client, Secret: "wrong"},
		{Client: p.p.Client, Secret: otherCase(p.p.Secret)}, {Client: "nobody-" + p.p.Client, Secret: p.p.Secret},
	} {
		if t == p.usual() {
			continue // it has no letters
		}
		a := p.token(t)
		what := "the client with a wrong secret"
		if t.Client != p.p.Client {
			what = "an unknown client"
		}
		if a.Err != nil {
			p.fail(nil, "%s: no answer: %v", what, a.Err)
		} else if _, err := provider.Granted(a); err == nil {
			p.fail(nil, "%s was given a token", what)
		} else if a.Status != http.StatusUnauthorized && a.Status != http.StatusBadRequest {
			p.fail(nil, "%s was answered %d; 401 was expected", what, a.Status)
		}
	}
}

// refused wants 401 for a read with an identity that is none.
func (p *probe) refused(who provider.Who, what string) {
	path, query := p.door, "limit=1"
	if p.route != nil {
		path = p.route.Path
		c := p.reading("/" + p.route.Segments[0])
		if p.route.One {
			query = ""
			path = fill(path, map[string]string{"id": "no-such-id"})
			if c.usable() {
				path = fill(p.route.Path, map[string]string{"id": c.id(0)})
			}
		} else if Nesteds.covers(p.route) {
			path = fill(p.route.Path, p.unknownParents())
			for _, vars := range p.candidates() {
				path = fill(p.route.Path, vars)
				break
			}
			if p.get(path, "limit", "1").Status == http.StatusNotFound {
				p.lacks("%s is answered 404 (nested.rows)", path)
				return
			}
		}
	}
	a := p.call(provider.Call{Path: path, Query: query, Who: who})
	switch c := p.reading(path); {
	case a.Err != nil:
		p.fail(a, "%s: no answer: %v", what, a.Err)
	case c != nil && c.broken != nil && a.Status == http.StatusNotFound && c.broken.Status == a.Status:
		p.lacks("there is no %s (list.answer)", path)
	case a.Status == http.StatusNotFound && p.route != nil && p.route.One && !p.listOf().usable():
		p.lacks("no object shows that %s is served", p.route.Path)
	case a.Status == http.StatusOK && hasObjects(a):
		p.fail(a, "%s, and the answer is data", what)
	case a.Status != http.StatusUnauthorized && !(a.Status == http.StatusBadRequest && who.Header != ""):
		p.fail(a, "%s: answered %d; 401 was expected", what, a.Status)
	}
}

func checkForeign(p *probe) {
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"` + p.p.Client +
		`","exp":4102444800,"iat":1700000000,"scope":"roster.readonly roster-core.readonly"}`))
	for _, token := range []string{"not-a-token", header + "." + claims + ".", header + "." + claims +
		".c2ln"} {
		p.refused(provider.Who{Bearer: token}, "a made-up token")
	}
	parts := strings.Split(p.grant.AccessToken, ".")
	if len(parts) != 3 { // opaque: one letter changed
		token := []byte(p.grant.AccessToken)
		token[len(token)/2] ^= 1
		p.refused(provider.Who{Bearer: string(token)}, "a token with one letter changed")
		return
	}
	p.refused(provider.Who{Bearer: parts[0] + "." + claims + "." + parts[2]},
		"the token with other claims under its signature")
	p.refused(provider.Who{Bearer: parts[0] + "." + parts[1] + "."}, "the token without its signature")
}

func checkExpired(p *probe) {
	parts, claims := strings.Split(p.grant.AccessToken, "."), p.claims()
	if claims == nil {
		p.leave("the token is opaque: its end cannot be rewritten")
	}
	for _, end := range []struct {
		what string
		at   time.Time
	}{{"in the past", time.Now().Add(-time.Hour)}, {"far ahead", time.Now().AddDate(1, 0, 0)}} {
		claims["exp"] = end.at.Unix()
		text, err := json.Marshal(claims)
		if err != nil {
			panic(err) // they were JSON a moment ago
		}
		p.refused(provider.Who{Bearer: parts[0] + "." + base64.RawURLEncoding.EncodeToString(text) + "." +
			parts[2]}, "the token with its end "+end.what)
	}
}

// checkScope asks for tokens of one scope, and tries doors that it does not
// open. A provider that gives more than was asked, and says so, narrows nothing
// (RFC 6749 §3.3).
func checkScope(p *probe) {
	tried := false
	for _, c := range []struct{ scope, path string }{
		{oneroster.Demographics, "/users"}, {oneroster.Demographics, "/lineItems"},
		{oneroster.GradebookRead, "/users"}, {oneroster.ResourceRead, "/orgs"},
		{oneroster.RosterCore, "/demographics"}, {oneroster.Roster, "/demographics"},
		{oneroster.Roster, "/lineItems"},
	} {
		if p.reading(c.path) == nil || p.reading(c.path).broken != nil {
			continue
		}
		full := p.face.ScopePrefix + c.scope
		a := p.token(provider.TokenRequest{Client: p.p.Client, Secret: p.p.Secret,
			Scope: full})
		g, err := provider.Granted(a)
		if err != nil {
			continue // a client that may not have this scope
		}
		if g.Scope != "" && g.Scope != full {
			p.lacks("asked for %s alone, the token endpoint grants %q: it narrows nothing", c.scope,
				brief(g.Scope))
			continue
		}
		tried = true
		at := c.path
		if class := p.all("class"); c.scope == oneroster.Roster && c.path == "/lineItems" && class != nil {
			at = "/classes/" + oneroster.EscapeID(class.id(0)) + c.path // guards of single routes are forgotten
		}
		got := p.call(provider.Call{Path: at, Query: "limit=1", Who: provider.Who{Bearer: g.AccessToken}})
		if got.Err == nil && got.Status == http.StatusOK {
			p.fail(got, "a token of the scope %s alone reads %s", c.scope, at)
		} else if got.Status != http.StatusForbidden && got.Status != http.StatusUnauthorized {
			p.fail(got, "a token of the scope %s alone is answered %d at %s; 403 was expected", c.scope,
				got.Status, at)
		}
	}
	if tried {
		p.ok()
	} else {
		p.lacks("no token of a single scope was granted")
	}
}

// signed calls /orgs with a signature made for another moment, secret or query.
func (p *probe) signed(secret, nonce string, at time.Time, signedQuery string) *provider.Answer {
	r, err := http.NewRequest(http.MethodGet, p.p.URL+p.door+"?"+signedQuery, nil)
	if err != nil {
		panic(err) // the base URL was parsed before
	}
	auth.Sign(r, p.p.Client, secret, p.p.Digest, nonce, at)
	return p.call(provider.Call{Path: p.door, Query: "limit=1",
		Who: provider.Who{Header: r.Header.Get("Authorization")}})
}

func (p *probe) unsigned(a *provider.Answer, what string) {
	if a.Err != nil {
		p.fail(a, "%s: no answer: %v", what, a.Err)
	} else if a.Status == http.StatusOK {
		p.fail(a, "%s is taken", what)
	}
}

func checkSignature(p *probe) {
	now := time.Now()
	p.unsigned(p.signed("wrong", unique(), now, "limit=1"), "a signature with a wrong secret")
	p.unsigned(p.signed(p.p.Secret, unique(), now, "limit=2"), "a signature made for another query")
}

func checkReplay(p *probe) {
	p.unsigned(p.signed(p.p.Secret, unique(), time.Now().Add(-6*time.Hour), "limit=1"),
		"a signature of six hours ago")
	nonce, now := unique(), time.Now()
	if a := p.signed(p.p.Secret, nonce, now, "limit=1"); a.Status != http.StatusOK {
		p.fail(a, "a good signature is answered %d", a.Status)
		return
	}
	p.unsigned(p.signed(p.p.Secret, nonce, now, "limit=1"), "the same nonce a second time")
}
