package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/store"
)

// handoverOp is the operation, and the first part of the path, of a link behind which the secret of
// a client lies.
const handoverOp = "handover"

// HandoverPath is the path of such a link, below the public URL of a service.
func HandoverPath(token string) string { return "/" + handoverOp + "/" + token }

// told is a path as it is told of: who has the rest of a link has the secret behind it.
func told(path string) string {
	if i := strings.Index(strings.ToLower(path), HandoverPath("")); i >= 0 {
		return path[:i+len(HandoverPath(""))]
	}
	return path
}

// offered is what the page behind a link tells.
type offered struct {
	Title string
	Text  string // what became of the link; "" when it is to be opened, or was just now
	Open  bool
	Until string // it can be opened

	Client, Secret, TokenURL, BaseURL string // when it was opened just now
}

// handover answers at the link: GET, which scanners of mail do too, opens nothing, and POST shows the
// secret, once.
func (s *service) handover(q *request, token string) {
	q.op = handoverOp
	if q.Method != http.MethodGet && q.Method != http.MethodHead && q.Method != http.MethodPost {
		q.w.Header().Set("Allow", "GET, HEAD, POST")
		s.offer(q, http.StatusMethodNotAllowed, offered{Title: "This cannot be done",
			Text: "This page is opened by a browser."})
		return
	}
	if err := s.sameOrigin.Check(q.Request); err != nil {
		s.offer(q, http.StatusForbidden, offered{Title: "Not opened",
			Text: "This came from another page. Open the link itself, and press its button."})
		return
	}
	hash, now := auth.HandoverHash(token), time.Now()
	h, err := s.Store.Handover(q.Context(), hash)
	if err == nil && h != nil && q.Method == http.MethodPost && h.Opened.IsZero() && !h.Ended(now) {
		q.client = h.Client
		err = s.reveal(q, token, *h, now)
		if !errors.Is(err, store.ErrNotFound) {
			if err != nil {
				s.broken(q, err)
			}
			return
		}
		h, err = s.Store.Handover(q.Context(), hash) // somebody was faster
	}
	if err != nil {
		s.broken(q, err)
		return
	}
	if h == nil {
		s.offer(q, http.StatusNotFound, offered{Title: "There is no such link",
			Text: "It was not copied whole, or another was made since. Ask who sent it to you for a new " +
				"one."})
		return
	}
	q.client = h.Client
	switch {
	case !h.Opened.IsZero():
		s.offer(q, http.StatusGone, offered{Title: "This link was opened", Text: "It was opened on " +
			onDay(h.Opened) + ", and shows its secret once only. If that was not you, tell who sent it to " +
			"you: " +
			"the secret has to be replaced. If it was you and the secret is lost, ask for a new link."})
	case h.Ended(now):
		s.offer(q, http.StatusGone, offered{Title: "This link has ended", Text: "It was good until " +
			onDay(h.Expires) + ", and nobody has opened it. Ask who sent it to you for a new one."})
	default:
		s.offer(q, http.StatusOK, offered{Title: "Credentials for a OneRoster service", Open: true,
			Until: onDay(h.Expires)})
	}
}

// reveal opens a link; ErrNotFound where there is nothing behind it any more.
func (s *service) reveal(q *request, token string, h auth.Handover, now time.Time) error {
	sealed, err := s.Store.OpenHandover(q.Context(), h.Hash, now, s.remote(q.Request))
	if err != nil {
		return err
	}
	secret, err := auth.Reveal(token, sealed)
	if err != nil {
		return err
	}
	at := strings.TrimSuffix(q.base, s.Face.Base)
	s.offer(q, http.StatusOK, offered{Title: "Your credentials", Client: h.Client, Secret: secret,
		TokenURL: at + "/token", BaseURL: q.base})
	return nil
}

// onDay is a time as people read it.
func onDay(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

func (s *service) offer(q *request, status int, o offered) {
	var page bytes.Buffer
	if err := handoverPage.Execute(&page, o); err != nil {
		panic(err) // only our own page can be wrong
	}
	h := q.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", handoverPolicy)
	h.Set("Referrer-Policy", "same-origin") // no-referrer would take the origin from the form too
	h.Set("X-Robots-Tag", "noindex")
	if status >= http.StatusBadRequest {
		q.reason = o.Title
	}
	q.status, q.bytes = status, int64(page.Len())
	q.w.WriteHeader(status)
	if q.Method != http.MethodHead {
		_, _ = q.w.Write(page.Bytes()) // a client that has gone is nobody to tell
	}
}

const handoverStyle = `:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}
dt{font-weight:600;margin-top:1rem}dd{margin:0}
code{font:1rem ui-monospace,monospace;overflow-wrap:anywhere;user-select:all}
button{font:inherit;padding:.6rem 1.2rem;cursor:pointer}`

// handoverPolicy lets the page be what it is: its style, its one form, and nothing else.
var handoverPolicy = func() string {
	sum := sha256.Sum256([]byte(handoverStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

var handoverPage = template.Must(template.New("handover").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{{.Title}}</title>
<style>` + handoverStyle + `</style></head>
<body><main>
<h1>{{.Title}}</h1>
{{- if .Open}}
<p>Behind this button are a client id and a secret. They are shown <strong>once</strong>: have the place
ready where you will keep them. The link can be opened until {{.Until}}.</p>
<form method="post"><button type="submit">Show the credentials</button></form>
{{- else if .Secret}}
<p>Copy them now: this page cannot be opened again.</p>
<dl>
<dt>Client id</dt><dd><code id="client">{{.Client}}</code></dd>
<dt>Client secret</dt><dd><code id="secret">{{.Secret}}</code></dd>
<dt>Token URL</dt><dd><code>{{.TokenURL}}</code></dd>
<dt>Base URL</dt><dd><code>{{.BaseURL}}</code></dd>
</dl>
{{- else}}
<p>{{.Text}}</p>
{{- end}}
</main></body></html>
`))
