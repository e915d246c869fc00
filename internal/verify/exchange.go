package verify

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

// An exchange is a failure with what was asked and what came.
type exchange struct {
	Text, Request, Curl string
	Plain               string // the request's path and query without percent signs, where it has any
	Status              int
	Headers             []string
	Body                string
	As                  string
	Again               bool // asked as the failure above it was
}

func (r *Report) exchange(f Failure) exchange {
	x := exchange{Text: f.Text, Request: f.Request, Plain: spelled(f.Request, r.URL), Status: f.Status,
		Body: f.Body}
	for _, h := range strings.Split(f.Headers, "\n") {
		if h != "" {
			x.Headers = append(x.Headers, h)
		}
	}
	switch f.As {
	case AsNobody:
		x.As = "Asked without credentials."
	case AsAnother:
		x.As = "Asked with an Authorization header made for this check."
	}
	if f.As == AsNobody || !r.OAuth1 { // curl does not sign
		x.Curl = curl(x.Request, f.As)
	}
	return x
}

// StatusText names the status.
func (x exchange) StatusText() string { return http.StatusText(x.Status) }

// spelled is a request as its author thought of it: below the base, and without
// percent signs. It is empty where the request has none.
func spelled(request, base string) string {
	method, at, _ := strings.Cut(request, " ")
	at, _, _ = strings.Cut(at, " with ")
	text, err := url.QueryUnescape(at)
	if err != nil || text == at {
		return ""
	}
	return method + " " + strings.TrimPrefix(text, base)
}

// curl writes a request as a command line, with a variable for the token.
func curl(request string, as Identity) string {
	method, rest, ok := strings.Cut(request, " ")
	if !ok {
		return ""
	}
	at, body, has := strings.Cut(rest, " with ")
	line := "curl -i"
	if strings.ContainsAny(at, "[]{}") {
		line += " -g"
	}
	if method != "GET" {
		line += " -X " + method
	}
	switch as {
	case AsClient:
		line += ` -H "Authorization: Bearer $TOKEN"`
	case AsAnother:
		line += ` -H "Authorization: Bearer $OTHER_TOKEN"`
	}
	if has && strings.HasSuffix(body, "…") {
		line += " -H 'Content-Type: application/json' --data @body.json"
	} else if has {
		line += " -H 'Content-Type: application/json' --data " + quoted(body)
	}
	return line + " " + quoted(at)
}

// quoted is a word for a POSIX shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// secrets are what a provider may send back of what it was given: tokens,
// credentials, signatures.
var secrets = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		// … is cut off
		regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]+(?:[A-Za-z0-9._~+/=-]{19}|…)`),
		regexp.MustCompile(`()\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?`),
		regexp.MustCompile(`(?i)("?\b(?:access_token|refresh_token|id_token|client_secret|oauth_signature|oauth_token|password)"?\s*[:=]\s*"?)(?:\(left out\)|[^"&\s,}]+)`),
		regexp.MustCompile(`(://)[^/@\s"']+@`),
	}
})

// sealed leaves out what must not be passed on with a report, and what a terminal obeys. Rows of
// a resource, or of nil, are spoken of.
func (r *run) sealed(text string, of *oneroster.Resource) string {
	return unsecret(r.veil.Text(text, of))
}

func unsecret(text string) string {
	for i, s := range secrets() {
		with := "${1}(left out)"
		if i == len(secrets())-1 {
			with = "${1}"
		}
		text = s.ReplaceAllString(text, with)
	}
	return provider.Signs(text)
}

// failure is what a text says of an answer, with what was asked and what came; a may be nil.
func (r *run) failure(a *provider.Answer, text string) Failure {
	if a == nil {
		return Failure{Text: r.sealed(text, nil)}
	}
	request, said := r.veil.Asked(a.Line())
	echoed := strings.NewReplacer(said...)
	came, of := *a, rowsOf(a)
	came.Body = r.veil.Body(a.Body[:min(len(a.Body), mostQuoted)], of)
	f := Failure{Text: echoed.Replace(r.sealed(text, of)), Request: unsecret(request), Status: a.Status,
		Body: echoed.Replace(unsecret(came.Excerpt())), As: identity(a.Call.Who), success: soft(a),
		objects: hasObjects(a), cut: a.Err != nil}
	if a.Call.Body != nil {
		f.Request += " with " + unsecret(brief(string(a.Call.Body)))
	}
	var headers []string
	for _, name := range []string{"Content-Type", "X-Total-Count", "Link", "Location", "Www-Authenticate"} {
		if v := a.Header.Get(name); v != "" {
			headers = append(headers, echoed.Replace(r.sealed(name+": "+v, nil)))
		}
	}
	f.Headers = strings.Join(headers, "\n")
	return f
}

func hasObjects(a *provider.Answer) bool { return bytes.Contains(a.Body, []byte(`"sourcedId"`)) }

const mostQuoted = 4 << 10 // bytes of a body, of which an excerpt is made

// rowsOf is the resource whose rows an answer has by its path; nil where it has none.
func rowsOf(a *provider.Answer) *oneroster.Resource {
	path, _, _ := strings.Cut(a.URL, "?")
	for _, segment := range slices.Backward(strings.Split(path, "/")) {
		for i := range oneroster.V1p1.Routes {
			route := &oneroster.V1p1.Routes[i]
			if a.Status < http.StatusMultipleChoices && strings.EqualFold(route.Path, "/"+segment) {
				return route.Resource
			}
		}
	}
	return nil
}
