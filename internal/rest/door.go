package rest

import (
	"context"
	"net"
	"net/http"
	"strings"

	"rollbook/internal/oneroster"
)

// A Door is where the requests of a service of many districts come in. Whose one is, its host or its
// path says, and nothing else of it.
type Door struct {
	service
	find  func(ctx context.Context, host, first string) Found
	ready func(ctx context.Context) (says map[string]string, err error)
}

// Found is what lies behind an address.
type Found struct {
	Handler http.Handler // of the district; nil where there is none, or none now
	Done    func()       // is called when the request is answered; nil without a handler
	Broken  bool         // there is one, and it cannot be served now
}

// NewDoor makes the door of a service. Of c it takes TrustProxy, Log, Tell, Sending, and whether there
// is a URL. find looks for the district that is served at a host, in small letters and without a port,
// or else below a path that begins with a segment. ready tells what is wrong with the service as a whole,
// and what else is worth to know for who runs it.
func NewDoor(c Config, find func(ctx context.Context, host, first string) Found,
	ready func(ctx context.Context) (says map[string]string, err error)) *Door {
	return &Door{service: service{Config: c}, find: find, ready: ready}
}

// nothingHere tells who knows of no district of none.
const nothingHere = "there is nothing at this path: addresses of this service begin with the short name " +
	"of a district"

// ServeHTTP lets the district answer that a request is for.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, first := hostOf(r, d.TrustProxy), ""
	segments := split(r.URL.EscapedPath())
	if len(segments) > 0 {
		first = strings.ToLower(segments[0])
	}
	found := d.find(r.Context(), host, first)
	if found.Handler != nil {
		defer found.Done()
		found.Handler.ServeHTTP(w, r)
		return
	}
	d.frame(w, r, func(q *request) {
		switch {
		case found.Broken:
			q.failWith(http.StatusServiceUnavailable, oneroster.ServerBusy,
				"this district cannot be served now: try again later")
		case len(segments) == 1 && first == "healthz":
			q.op = "healthz"
			q.json(http.StatusOK, map[string]string{"status": "ok"})
		case len(segments) == 1 && first == "readyz":
			q.op = "readyz"
			status, says := d.Ready(q.Context())
			if !d.within(q.Request) {
				says = strangersTold(status)
			}
			q.json(status, says)
		default:
			q.fail(oneroster.UnknownObject, nothingHere)
		}
	})
}

// Ready is what /readyz answers, for who runs the service.
func (d *Door) Ready(ctx context.Context) (status int, says map[string]string) {
	ctx, stop := context.WithTimeout(ctx, readyTime)
	defer stop()
	if d.Sending.ends() {
		return http.StatusServiceUnavailable, map[string]string{"status": "the service is ending"}
	}
	says, err := d.ready(ctx)
	if err != nil {
		d.Log.Error("not ready", "error", err)
		return http.StatusServiceUnavailable, map[string]string{"status": "the districts cannot be listed"}
	}
	says["status"] = "ok"
	return http.StatusOK, says
}

// hostOf is the host that a request came to, in small letters and without its port.
func hostOf(r *http.Request, trusted bool) string {
	host := r.Host
	if forwarded := first(r.Header.Get("X-Forwarded-Host")); trusted && isHost.MatchString(forwarded) {
		host = forwarded
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
