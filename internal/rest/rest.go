// Package rest serves one face of the standard over HTTP: it matches requests
// to the rows of the route table, lets callers in, reads, writes, and answers
// in the standard's JSON. It has no handler for any one operation.
package rest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"rollbook/internal/auth"
	"rollbook/internal/edition"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// Config of a service.
type Config struct {
	Store *store.Store
	Gate  *auth.Gate
	Face  *oneroster.Face
	// URL is the public address that references and links are made with; nil is
	// the address that each request came to.
	URL *url.URL
	// Name is the short name of the district where the service serves several, which Calls have.
	Name string
	// Prefix is the path, such as /springfield, that the face lies below where the service serves
	// several districts; "" is none. It is not a part of URL.
	Prefix string
	// TrustProxy takes X-Forwarded-Proto and X-Forwarded-Host from whoever sends
	// them: only behind a proxy that sets them.
	TrustProxy bool
	Log        *slog.Logger
	// Tell, when set, hears of every request, when it was answered. It must not wait.
	Tell func(Call)
	// Sending, when set, is told of every part of an answer that was taken.
	Sending *Sending
	// District serves the lists; nil is one that reads each of them from the database.
	District *edition.District
}

// Words are what a gate must know of the scopes of a face.
func Words(face *oneroster.Face) auth.Options {
	return auth.Options{
		Known:    oneroster.Scopes(),
		Aliases:  oneroster.ScopeAliases,
		Riders:   map[string]string{oneroster.Flags: oneroster.Demographics},
		Prefixes: []string{face.ScopePrefix},
	}
}

// Bounds of a request.
const (
	maxURL  = 16 << 10
	maxBody = 1 << 20
)

type service struct {
	Config
	openAPI    func() []byte
	sameOrigin *http.CrossOriginProtection
}

// New makes the handler of a service.
func New(c Config) http.Handler {
	s := &service{Config: c, openAPI: sync.OnceValue(func() []byte { return openAPI(c.Face, c.Prefix) }),
		sameOrigin: http.NewCrossOriginProtection()}
	if c.URL != nil {
		_ = s.sameOrigin.AddTrustedOrigin(c.URL.Scheme + "://" + c.URL.Host) // else browsers tell
	}
	if s.District == nil {
		s.District = edition.New(c.Store, edition.Options{Plain: true, Log: c.Log})
	}
	zip, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(1), gzhttp.EnableZstd(false))
	if err != nil {
		panic(err) // only our own options can be wrong
	}
	return zip(http.HandlerFunc(s.serve))
}

// NewServer makes a server for a handler. There is no write timeout for a whole
// answer: a page of 50,000 rows to a slow reader takes what it takes, as long as it
// goes on.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second,
		IdleTimeout: 120 * time.Second, MaxHeaderBytes: 64 << 10}
}

// A request on its way through the service.
type request struct {
	*http.Request
	w      http.ResponseWriter
	id     string
	public *url.URL // of this very request, as the client sees it
	base   string   // absolute URL of the face, without a final slash
	route  *oneroster.Route
	vars   map[string]string
	caller *auth.Caller

	op     string // for errors and who is told
	status int
	rows   int
	bytes  int64  // of the body, before compression
	reason string // of a refusal
	client string // that called, or was tried
	page   *Page  // of a list
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	s.frame(w, r, func(q *request) {
		ctx, at := s.Store.Asking(q.Context())
		q.Request = q.WithContext(ctx)
		// A reader begins its next delta by it.
		w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
		s.answer(q)
	})
}

// frame is that of every request: an id, who is told of it, a guard against our own mistakes.
func (s *service) frame(w http.ResponseWriter, r *http.Request, answer func(q *request)) {
	began := time.Now()
	if s.TrustProxy { // who guesses is known by the address of the client
		behind := *r
		behind.RemoteAddr = net.JoinHostPort(s.remote(r), "0")
		r = &behind
	}
	q := &request{Request: r, w: w, id: requestID(r), op: "none"}
	w.Header().Set("X-Request-Id", q.id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if s.Sending.ends() {
		w.Header().Set("Connection", "close")
	}
	defer func() {
		broken := recover()
		if broken != nil && broken != http.ErrAbortHandler {
			s.Log.Error("panic", "request", q.id, "op", q.op, "panic", broken, "stack", string(debug.Stack()))
			if q.status == 0 {
				q.fail(oneroster.InternalError,
					"the service made a mistake; its log tells more under this request id")
				broken = nil
			} else {
				broken = http.ErrAbortHandler
			}
		}
		if s.Tell != nil {
			s.Tell(Call{ID: q.id, District: s.Name, Op: q.op, Method: r.Method,
				Path: begin(told(r.URL.EscapedPath()), 200), Client: q.client, Remote: s.remote(r), At: began,
				Took:   time.Since(began),
				Parent: begin(r.Header.Get("Traceparent"), 55), Status: q.status,
				Reason: q.reason, Rows: q.rows, Bytes: q.bytes, Aborted: broken != nil, Page: q.page})
		}
		if broken != nil {
			panic(broken)
		}
	}()
	answer(q)
}

// remote is the address of the client, behind a trusted proxy the one that it tells.
func (s *service) remote(r *http.Request) string {
	if forwarded := r.Header.Values("X-Forwarded-For"); s.TrustProxy && len(forwarded) > 0 {
		hops := strings.Split(forwarded[len(forwarded)-1], ",")
		if ip := net.ParseIP(strings.TrimSpace(hops[len(hops)-1])); ip != nil {
			return ip.String()
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// requestID keeps a sane id that the client sent.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}) {
		return rand.Text()[:16]
	}
	return id
}

// answer is the order of steps: limits, match, authenticate, scope, do.
func (s *service) answer(q *request) {
	if len(q.RequestURI) > maxURL {
		q.failWith(http.StatusRequestURITooLong, oneroster.InvalidData,
			"the URL is longer than 16 KiB: use shorter filters")
		return
	}
	q.public, q.base = s.address(q.Request)
	segments, ok := below(s.Prefix, split(q.URL.EscapedPath()))
	if !ok {
		q.fail(oneroster.UnknownObject, nothingHere)
		return
	}
	if s.open(q, segments) {
		return
	}
	below, ok := under(s.Face, segments)
	if !ok {
		q.fail(oneroster.UnknownObject, "there is nothing at this path; the service is at "+s.Prefix+
			s.Face.Base)
		return
	}
	method := q.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	q.route, q.vars, allowed = match(s.Face, method, below)
	if q.route == nil && allowed == nil {
		q.fail(oneroster.UnknownObject, "OneRoster 1.1 has no such path")
		return
	}
	var denied *auth.Denied
	if q.route != nil {
		q.op = q.route.Op
	}
	if q.caller, denied = s.Gate.Caller(q.Request, q.public); denied != nil {
		s.deny(q, denied)
		return
	}
	q.client = q.caller.Client
	if denied = s.Gate.Begin(q.caller); denied != nil {
		s.deny(q, denied)
		return
	}
	defer s.Gate.End(q.caller)
	if q.route == nil {
		q.w.Header().Set("Allow", strings.Join(allowed, ", "))
		q.fail(oneroster.Unsupported, "this path takes "+strings.Join(allowed, ", ")+" only")
		return
	}
	if !q.caller.Holds(q.route.OAuth) {
		q.w.Header().Set("WWW-Authenticate", `Bearer realm="rollbook", error="insufficient_scope", scope="`+
			s.Face.ScopePrefix+q.route.OAuth[0]+`"`)
		q.fail(oneroster.Forbidden, "this needs the scope "+strings.Join(q.route.OAuth, " or "))
		return
	}
	s.do(q)
}

func (s *service) do(q *request) {
	switch {
	case q.route.Method == http.MethodPut:
		s.put(q)
	case q.route.Method == http.MethodDelete:
		s.remove(q)
	case q.route.One:
		s.one(q)
	default:
		s.list(q)
	}
}

func (s *service) deny(q *request, d *auth.Denied) {
	if d.Err != nil {
		q.abortIfGone(d.Err)
		s.Log.Error("authentication", "request", q.id, "error", d.Err)
	}
	if d.Challenge != "" {
		q.w.Header().Set("WWW-Authenticate", d.Challenge)
	}
	minor := oneroster.Unauthorized
	switch {
	case d.Status >= 500:
		minor = oneroster.InternalError
	case d.Status == http.StatusForbidden:
		minor = oneroster.Forbidden
	case d.Status == http.StatusTooManyRequests:
		minor = oneroster.ServerBusy
		q.w.Header().Set("Retry-After", auth.RetryAfter(d.Wait))
	}
	q.failWith(d.Status, minor, d.Text)
	q.client, q.reason = d.Client, cmp.Or(d.Reason, d.Text)
}

// broken answers a failure of the store. The caller is told nothing of it.
func (s *service) broken(q *request, err error) {
	q.abortIfGone(err)
	s.Log.Error("store", "request", q.id, "op", q.op, "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		q.failWith(http.StatusServiceUnavailable, oneroster.ServerBusy,
			"the service is busy, or this takes too long: ask for less, or later")
		return
	}
	q.fail(oneroster.InternalError, "the service failed; its log tells more under this request id")
}

// abortIfGone ends a request that failed because its client has gone.
func (q *request) abortIfGone(err error) {
	if errors.Is(err, context.Canceled) && q.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

func (q *request) fail(minor oneroster.CodeMinor, text string) {
	q.failWith(minor.HTTPStatus(), minor, text)
}

// failWith answers in the standard's shape (statusInfoSet).
func (q *request) failWith(status int, minor oneroster.CodeMinor, text string) {
	major := "failure"
	if minor == oneroster.Unsupported {
		major = "unsupported"
	}
	q.reason = string(minor)
	q.json(status, map[string]any{"statusInfoSet": []oneroster.StatusInfo{q.info(major, "error", minor,
		text)}})
}

func (q *request) info(major, severity string, minor oneroster.CodeMinor, text string) oneroster.StatusInfo {
	return oneroster.StatusInfo{CodeMajor: major, Severity: severity, Message: q.id, Operation: q.op,
		Description: text, CodeMinor: minor}
}

func (q *request) json(status int, v any) {
	if status >= 500 && q.w.Header().Get("Retry-After") == "" {
		q.w.Header().Set("Retry-After", "5")
	}
	q.header(status)
	if q.Method == http.MethodHead {
		return
	}
	body := encode(v)
	q.bytes += int64(len(body))
	q.w.Write(body) // a client that has gone is nobody to tell
}

// encode writes JSON without HTML escapes.
func encode(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func (q *request) header(status int) {
	q.status = status
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(progressTime)) // not of every writer
	h := q.w.Header()
	if status != http.StatusNoContent {
		h.Set("Content-Type", "application/json")
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private, no-store")
	}
	q.w.WriteHeader(status)
}
