package rest

import (
	"html/template"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strings"

	"rollbook/internal/oneroster"
)

// split cuts an escaped path into segments; doubled and trailing slashes count
// for nothing, and nothing is ever redirected: a redirect loses the
// Authorization header and breaks a signature.
func split(escaped string) []string {
	return strings.FieldsFunc(escaped, func(c rune) bool { return c == '/' })
}

// below strips the path that a district lies below, in any letter case.
func below(prefix string, segments []string) ([]string, bool) {
	for _, want := range split(prefix) {
		if len(segments) == 0 || !strings.EqualFold(segments[0], want) {
			return segments, false
		}
		segments = segments[1:]
	}
	return segments, true
}

// under strips the face's base off a path, in any letter case, and with the
// version left out, as Microsoft's own sample has it.
func under(f *oneroster.Face, segments []string) ([]string, bool) {
	base := split(f.Base)
	for i, want := range base {
		last := i == len(base)-1
		if i >= len(segments) || !strings.EqualFold(segments[i], want) {
			return segments[i:], last
		}
	}
	return segments[len(base):], true
}

// match finds the route of a path; the segments of routes are compared in any
// letter case, ids are percent-decoded. Where the path is known and the method
// is not, allowed lists the methods that are.
func match(f *oneroster.Face, method string, segments []string) (found *oneroster.Route,
	vars map[string]string, allowed []string) {
	methods := map[string]bool{}
	for i := range f.Routes {
		r := &f.Routes[i]
		v, ok := matchOne(r, segments)
		if !ok {
			continue
		}
		if r.Method == method {
			return r, v, nil
		}
		methods[r.Method] = true
	}
	for m := range methods {
		allowed = append(allowed, m)
		if m == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	sort.Strings(allowed)
	return nil, nil, allowed
}

func matchOne(r *oneroster.Route, segments []string) (map[string]string, bool) {
	if len(segments) != len(r.Segments) {
		return nil, false
	}
	vars := map[string]string{}
	for i, want := range r.Segments {
		if name, ok := strings.CutPrefix(want, "{"); ok {
			id, err := url.PathUnescape(segments[i])
			if err != nil {
				return nil, false
			}
			vars[strings.TrimSuffix(name, "}")] = id
			continue
		}
		if !strings.EqualFold(segments[i], want) {
			return nil, false
		}
	}
	return vars, true
}

var tokenPaths = map[string]bool{"token": true, "oauth/token": true, "oauth2/token": true,
	"oauth/access_token": true}

// open answers the paths that need no caller.
func (s *service) open(q *request, segments []string) bool {
	path := strings.ToLower(strings.Join(segments, "/"))
	below, ours := under(s.Face, segments)
	switch {
	case tokenPaths[path] || ours && tokenPaths[strings.ToLower(strings.Join(below, "/"))]:
		q.op = "token"
		w := &statusWriter{ResponseWriter: q.w}
		told := s.Gate.ServeToken(w, q.Request)
		q.status, q.bytes, q.client, q.reason = w.code(), w.bytes, told.Client, told.Reason
	case path == "healthz":
		q.op = "healthz"
		q.json(http.StatusOK, map[string]string{"status": "ok"})
	case path == "readyz":
		q.op = "readyz"
		s.ready(q)
	case (path == "" || ours && len(below) == 0) &&
		strings.Contains(q.Request.Header.Get("Accept"), "text/html"):
		q.op = "page"
		q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		q.w.Header().Set("Cache-Control", "private, no-store") // it names the host that it was asked by
		q.w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		q.status = http.StatusOK
		_ = page.Execute(q.w, map[string]string{"Base": q.base, "At": s.Prefix}) // who has gone is not told
	case len(segments) > 1 && strings.EqualFold(segments[0], handoverOp):
		s.handover(q, strings.Join(segments[1:], "/"))
	case path == "openapi.json":
		q.op = "openapi"
		q.header(http.StatusOK)
		q.w.Write(s.openAPI())
	case path == ".well-known/jwks.json":
		q.op = "jwks"
		q.json(http.StatusOK, s.Gate.JWKS())
	default:
		return false
	}
	return true
}

// page is what a browser is told that comes to look.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Rollbook</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}code{overflow-wrap:anywhere}</style>
<h1>Rollbook</h1>
<p>This is a OneRoster 1.1 service: school rosters and grades for other programs, which need a client id and a secret.</p>
<ul>
<li>Base URL: <code>{{.Base}}</code></li>
<li>Access tokens: <code>POST {{.At}}/token</code></li>
<li>Description: <a href="{{.At}}/openapi.json">{{.At}}/openapi.json</a></li>
<li>Health: <a href="{{.At}}/healthz">{{.At}}/healthz</a> (the process), <a href="{{.At}}/readyz">{{.At}}/readyz</a> (the database too)</li>
</ul>
</html>
`))

// statusWriter remembers the status that somebody else's handler wrote.
type statusWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *statusWriter) Write(part []byte) (int, error) {
	n, err := w.ResponseWriter.Write(part)
	w.bytes += int64(n)
	return n, err
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// address is the public URL of a request, and that of the face.
func (s *service) address(r *http.Request) (*url.URL, string) {
	u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath,
		RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	prefix := ""
	if s.URL != nil {
		u.Scheme, u.Host = s.URL.Scheme, s.URL.Host
		if prefix = strings.TrimSuffix(s.URL.EscapedPath(), "/"); prefix != "" {
			if whole, err := url.Parse(prefix + r.URL.EscapedPath()); err == nil {
				u.Path, u.RawPath = whole.Path, whole.RawPath
			}
		}
	} else if s.TrustProxy {
		if proto := first(r.Header.Get("X-Forwarded-Proto")); proto == "https" || proto == "http" {
			u.Scheme = proto
		}
		if host := first(r.Header.Get("X-Forwarded-Host")); isHost.MatchString(host) {
			u.Host = host
		}
	}
	if !isHost.MatchString(u.Host) { // HTTP/1.0 knows requests without
		u.Host = "localhost"
		if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			u.Host = at.String()
		}
	}
	return u, u.Scheme + "://" + u.Host + prefix + s.Prefix + s.Face.Base
}

// isHost is a host that may stand in the links and references of an answer.
var isHost = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

func first(list string) string {
	one, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(one)
}
