package verify_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"rollbook/internal/provider"
)

var brokenAccess = []broken{
	{name: "a token has no end", check: "access.token",
		spoil: grants(func(g map[string]any) { delete(g, "expires_in") })},
	{name: "a token's end is a text", check: "access.token",
		spoil: grants(func(g map[string]any) { g["expires_in"] = "3600" })},
	{name: "a token ends after a minute", check: "access.token",
		spoil: grants(func(g map[string]any) { g["expires_in"] = 60 })},
	{name: "a token has no type", check: "access.token",
		spoil: grants(func(g map[string]any) { delete(g, "token_type") })},
	{name: "a token is created", check: "access.token", spoil: tokens(func(_ *service, _ *http.Request,
		a *answer) {
		if a.status == http.StatusOK {
			a.status = http.StatusCreated
		}
	})},
	{name: "a token is text/plain", check: "access.token",
		spoil: tokens(func(_ *service, _ *http.Request,
			a *answer) {
			a.header.Set("Content-Type", "text/plain")
		})},
	{name: "caches may keep a token", check: "access.token-cache",
		spoil: tokens(func(_ *service, _ *http.Request,
			a *answer) {
			a.header.Set("Cache-Control", "max-age=600")
		})},
	{name: "a bad login is 200", check: "access.bad-secret",
		spoil: tokens(func(_ *service, _ *http.Request, a *answer) { a.status = 200 })},
	{name: "a bad login is 500", check: "access.bad-secret",
		spoil: tokens(func(_ *service, _ *http.Request, a *answer) {
			if a.status != 200 {
				a.status = 500
			}
		})},
	{name: "any secret gets a token", check: "access.bad-secret",
		spoil: tokens(func(s *service, r *http.Request, a *answer) {
			if a.status != 200 {
				a.say(200, "application/json", `{"access_token":"`+s.token("")+
					`","token_type":"bearer","expires_in":3600}`)
			}
		})},
	{name: "a secret is taken in capitals", check: "access.bad-secret", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id, secret, ok := r.BasicAuth(); ok && secret == strings.ToUpper(s.secret) {
				r.SetBasicAuth(id, s.secret)
			}
			s.ServeHTTP(w, r)
		})
	}},
	{name: "a token ends before expires_in", check: "access.lasting-token",
		spoil: grants(func(g map[string]any) { g["expires_in"] = 86400 })},
	{name: "lists need no token", check: "access.no-token",
		spoil: lets(func(r *http.Request) bool { return isList(r) && r.Header.Get("Authorization") == "" })},
	{name: "demographics need no token", check: "access.no-token",
		spoil: lets(func(r *http.Request) bool {
			return below(r) == "/demographics" && r.Header.Get("Authorization") == ""
		})},
	{name: "without a token the answer is 403", check: "access.no-token",
		spoil: where(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" },
			func(a *answer) { a.refuse(403) })},
	{name: "without a token the answer is a redirect", check: "access.no-token",
		spoil: where(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" },
			func(a *answer) { a.refuse(302) })},
	{name: "without a token a list is empty", check: "access.no-token",
		spoil: where(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" },
			func(a *answer) { a.say(200, "application/json", `{"orgs":[]}`) })},
	{name: "nested lists need no token", check: "access.no-token-nested",
		spoil: lets(func(r *http.Request) bool { return isNested(r) && r.Header.Get("Authorization") == "" })},
	{name: "single objects need no token", check: "access.no-token-single",
		spoil: lets(func(r *http.Request) bool {
			return isSingle(r) && r.Header.Get("Authorization") == ""
		})},
	{name: "without a token an object is 404", check: "access.no-token-single",
		spoil: where(func(r *http.Request) bool {
			return isSingle(r) && r.Header.Get("Authorization") == ""
		}, func(a *answer) { a.refuse(404) })},
	{name: "any token opens", check: "access.foreign-token",
		spoil: lets(func(r *http.Request) bool {
			return strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
		})},
	{name: "tokens of no algorithm open", check: "access.foreign-token",
		spoil: lets(func(r *http.Request) bool {
			return strings.HasSuffix(r.Header.Get("Authorization"), ".")
		})},
	{name: "a foreign token breaks", check: "access.foreign-token",
		spoil: where(func(r *http.Request) bool {
			return r.Header.Get("Authorization") == "Bearer not-a-token"
		}, func(a *answer) { a.refuse(500) })},
	{name: "a token's end is read without its signature", check: "access.expired-token",
		cause: "access.foreign-token",
		spoil: lets(func(r *http.Request) bool {
			end, _ := claim(r, "exp").(float64)
			return end > float64(time.Now().Unix()) && claim(r, "jti") != nil
		})},
	{name: "a token's end is not read", check: "access.expired-token", cause: "access.foreign-token",
		spoil: lets(func(r *http.Request) bool { return claim(r, "jti") != nil })},
	{name: "a scheme in lower case is refused", check: "access.scheme",
		spoil: where(func(r *http.Request) bool {
			return strings.HasPrefix(r.Header.Get("Authorization"), "bearer")
		}, func(a *answer) { a.refuse(401) })},
	{name: "a new token ends the one before", check: "access.earlier-token", spoil: latestOnly},
	{name: "a token ends after seven calls", check: "access.lasting-token",
		spoil: func(s *service) http.Handler {
			var lock sync.Mutex
			used := map[string]int{}
			return answers(func(_ http.Handler, r *http.Request, a *answer) {
				lock.Lock()
				defer lock.Unlock()
				if used[r.Header.Get("Authorization")]++; used[r.Header.Get("Authorization")] > 7 {
					a.refuse(401)
				}
			})(s)
		}},
	{name: "HEAD needs no token", check: "access.other-ways",
		spoil: lets(func(r *http.Request) bool { return r.Method == "HEAD" })},
	{name: "any user and password opens", check: "access.other-ways",
		spoil: lets(func(r *http.Request) bool {
			return strings.HasPrefix(r.Header.Get("Authorization"),
				"Basic ")
		})},
	{name: "a token in the address opens", check: "access.other-ways",
		spoil: lets(func(r *http.Request) bool { return r.URL.Query().Has("access_token") })},
	{name: "any scope opens everything", check: "access.scope",
		spoil: lets(func(r *http.Request) bool { return true }, 403)},
	{name: "a scope is compared by its beginning", check: "access.scope",
		spoil: lets(func(r *http.Request) bool {
			scope, _ := claim(r, "scope").(string)
			return below(r) == "/demographics" && strings.HasPrefix(scope, "roster")
		}, 403)},
	{name: "a wrong scope is 404", check: "access.scope",
		spoil: answers(func(_ http.Handler, _ *http.Request, a *answer) {
			if a.status == 403 {
				a.refuse(404)
			}
		})},
	// this machine, by a name that is not its own
	{name: "the service is plain HTTP on the net", check: "access.https", config: func(c *provider.Config) {
		c.URL, c.TokenURL = strings.Replace(c.URL, "127.0.0.1", "0.0.0.0", 1), strings.Replace(c.TokenURL,
			"127.0.0.1", "0.0.0.0", 1)
	}},
	{name: "any signature opens", check: "access.signature", oauth1: true, spoil: lets(signs)},
	{name: "a signature leaves the query out", check: "access.signature", oauth1: true,
		spoil: func(s *service) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if signs(r) && r.URL.Query().Get("limit") == "1" && below(r) == "/orgs" {
					for _, limit := range []string{"1", "2"} { // as if it were not looked at
						q := r.URL.Query()
						q.Set("limit", limit)
						if a := ask(s, other(r, below(r), q)); a.status == 200 {
							a.write(w)
							return
						}
					}
				}
				s.ServeHTTP(w, r)
			})
		}},
	{name: "a signature opens twice", check: "access.timestamp", oauth1: true,
		spoil: func(s *service) http.Handler {
			var seen sync.Map
			opened := lets(func(r *http.Request) bool {
				_, known := seen.Load(r.Header.Get("Authorization"))
				return known
			})(s)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				opened.ServeHTTP(w, r)
				seen.Store(r.Header.Get("Authorization"), true)
			})
		}},
	{name: "a signature of hours ago opens", check: "access.timestamp", oauth1: true,
		spoil: lets(func(r *http.Request) bool {
			return signs(r) && !strings.Contains(r.Header.Get("Authorization"),
				fmt.Sprintf(`oauth_timestamp="%d`, time.Now().Unix()/1000))
		})},
}

func signs(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Authorization"), "OAuth ") }

// claim reads a claim of a request's token, whatever its signature.
func claim(r *http.Request, name string) any {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		return nil
	}
	var claims map[string]any
	if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
		_ = json.Unmarshal(raw, &claims) // no claims, no answer
	}
	return claims[name]
}

// token asks the correct provider for a token.
func (s *service) token(scope string) string {
	form := url.Values{"grant_type": {"client_credentials"}}
	if scope != "" {
		form.Set("scope", scope)
	}
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(s.id, s.secret)
	var g struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(ask(s, r).body, &g); err != nil {
		panic(err) // the correct provider's
	}
	return g.AccessToken
}

// lets opens the door to requests that the correct provider refuses, with 401
// or the given status.
func lets(is func(r *http.Request) bool, refused ...int) spoiler {
	if refused == nil {
		refused = []int{401}
	}
	return func(s *service) http.Handler {
		master := s.token("")
		return answers(func(next http.Handler, r *http.Request, a *answer) {
			if a.status == refused[0] && is(r) {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", "Bearer "+master)
				*a = *ask(next, r)
			}
		})(s)
	}
}

// tokens changes the answers of the token endpoint.
func tokens(edit func(s *service, r *http.Request, a *answer)) spoiler {
	return func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/token" {
				s.ServeHTTP(w, r)
				return
			}
			a := ask(s, r)
			edit(s, r, a)
			a.write(w)
		})
	}
}

func grants(edit func(g map[string]any)) spoiler {
	return tokens(func(_ *service, _ *http.Request, a *answer) {
		if g := a.members(); g != nil {
			edit(g)
			a.setMembers(g)
		}
	})
}

// latestOnly takes the token that was issued last.
func latestOnly(s *service) http.Handler {
	var lock sync.Mutex
	latest := ""
	inner := tokens(func(_ *service, _ *http.Request, a *answer) {
		lock.Lock()
		defer lock.Unlock()
		latest, _ = a.members()["access_token"].(string)
	})(s)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		ended := r.URL.Path != "/token" && !strings.HasSuffix(r.Header.Get("Authorization"), latest)
		lock.Unlock()
		if ended {
			a := &answer{}
			a.refuse(401)
			a.write(w)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// handles gives readers another token in the place of the provider's own.
func handles(name func(token string, n int) string) spoiler {
	return func(s *service) http.Handler {
		var lock sync.Mutex
		known := map[string]string{}
		inner := grants(func(g map[string]any) {
			lock.Lock()
			defer lock.Unlock()
			token := g["access_token"].(string)
			handle := name(token, len(known))
			known[handle], g["access_token"] = token, handle
		})(s)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lock.Lock()
			scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			token = known[token]
			lock.Unlock()
			if token != "" {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", scheme+" "+token)
			}
			inner.ServeHTTP(w, r)
		})
	}
}

// unversioned gives a base URL that leaves the version out.
func unversioned(c *provider.Config) { c.URL = strings.TrimSuffix(c.URL, "/v1p1") }
