package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
)

// Bounds of what waits to be sent: what is beyond is dropped, and counted.
const (
	mostWaiting  = 4096
	mostTogether = 512
	sendEvery    = 2 * time.Second
	sendTime     = 5 * time.Second
	closeTime    = 3 * time.Second
)

// TraceOptions say where spans go.
type TraceOptions struct {
	Endpoint string            // of an OTLP receiver: http://host:4318, to which /v1/traces is added
	Headers  map[string]string // to send along
	Service  string            // what the service is called
	Version  string
	Log      *slog.Logger
}

// Traces tells an OpenTelemetry collector of each call as one span, in OTLP's JSON over HTTP. No
// request waits for it.
type Traces struct {
	opt     TraceOptions
	url     string
	waiting chan rest.Call
	dropped chan struct{} // holds one when some were
	ending  chan struct{}
	ended   chan struct{}
	failing bool
	ctx     context.Context // of what is sent
	stop    context.CancelFunc
}

// NewTraces begins to send; Close ends it.
func NewTraces(opt TraceOptions) (*Traces, error) {
	u, err := url.Parse(opt.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no OTLP endpoint: give a URL such as http://127.0.0.1:4318",
			opt.Endpoint)
	}
	t := &Traces{opt: opt, url: u.JoinPath("v1/traces").String(), waiting: make(chan rest.Call, mostWaiting),
		dropped: make(chan struct{}, 1), ending: make(chan struct{}), ended: make(chan struct{})}
	t.ctx, t.stop = context.WithCancel(context.Background())
	go t.send()
	return t, nil
}

// Tell hears of a request.
func (t *Traces) Tell(c rest.Call) {
	select {
	case t.waiting <- c:
	default:
		select {
		case t.dropped <- struct{}{}:
		default:
		}
	}
}

// Close sends what waits, if that is taken within seconds.
func (t *Traces) Close() {
	defer time.AfterFunc(closeTime, t.stop).Stop()
	close(t.ending)
	<-t.ended
	t.stop()
}

func (t *Traces) send() {
	defer close(t.ended)
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	var together []rest.Call
	flush := func() {
		if len(together) > 0 {
			t.tell(t.post(together))
		}
		together = together[:0]
	}
	for {
		select {
		case c := <-t.waiting:
			if together = append(together, c); len(together) == mostTogether {
				flush()
			}
		case <-tick.C:
			flush()
		case <-t.dropped:
			t.tell(fmt.Errorf("it takes spans more slowly than requests come: some are lost"))
		case <-t.ending:
			for n := len(t.waiting); n > 0; n-- {
				if together = append(together, <-t.waiting); len(together) == mostTogether {
					flush()
				}
			}
			flush()
			return
		}
	}
}

// tell logs when sending begins to fail, and when it goes on.
func (t *Traces) tell(err error) {
	switch {
	case err != nil && !t.failing:
		t.opt.Log.Warn("traces", "endpoint", t.url, "problem", err.Error())
	case err == nil && t.failing:
		t.opt.Log.Info("traces", "endpoint", t.url)
	}
	t.failing = err != nil
}

func (t *Traces) post(calls []rest.Call) error {
	body, err := json.Marshal(t.request(calls))
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(t.ctx, sendTime)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, "POST", t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range t.opt.Headers {
		r.Header.Set(name, value)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, 1<<20)) // so that the connection can be used again
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", a.Status)
	}
	return nil
}

// What follows is opentelemetry-proto v1, ExportTraceServiceRequest, as JSON: ids in hex, 64-bit
// numbers as text.
type (
	exportRequest struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []attribute `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	span struct {
		TraceID      string      `json:"traceId"`
		SpanID       string      `json:"spanId"`
		ParentSpanID string      `json:"parentSpanId,omitempty"`
		Name         string      `json:"name"`
		Kind         int         `json:"kind"`
		Start        string      `json:"startTimeUnixNano"`
		End          string      `json:"endTimeUnixNano"`
		Attributes   []attribute `json:"attributes"`
		Status       status      `json:"status"`
	}
	status struct {
		Code int `json:"code,omitempty"`
	}
	attribute struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

const (
	kindServer  = 2
	statusError = 2
)

func text(key, value string) attribute { return attribute{key, map[string]any{"stringValue": value}} }

func number(key string, value int64) attribute {
	return attribute{key, map[string]any{"intValue": strconv.FormatInt(value, 10)}}
}

func (t *Traces) request(calls []rest.Call) exportRequest {
	s := scopeSpans{Scope: scope{"rollbook", t.opt.Version}, Spans: []span{}}
	for _, c := range calls {
		if one, sampled := spanOf(c); sampled {
			s.Spans = append(s.Spans, one)
		}
	}
	return exportRequest{[]resourceSpans{{resource{[]attribute{text("service.name", t.opt.Service),
		text("service.version", t.opt.Version)}}, []scopeSpans{s}}}}
}

// spanOf is a call as a span of its caller's trace, or of one of its own. It is not sampled where
// the caller says that the trace is not.
func spanOf(c rest.Call) (s span, sampled bool) {
	trace, parent, sampled := traceparent(c.Parent)
	if trace == "" {
		trace, sampled = newID(16), true
	}
	s = span{TraceID: trace, SpanID: newID(8), ParentSpanID: parent, Name: c.Op, Kind: kindServer,
		Start: strconv.FormatInt(c.At.UnixNano(), 10),
		End:   strconv.FormatInt(c.At.Add(c.Took).UnixNano(), 10),
		Attributes: []attribute{text("http.request.method", c.Method), text("rollbook.request", c.ID),
			number("rollbook.rows", int64(c.Rows)), number("http.response.body.size", c.Bytes)}}
	if route := routes[c.Op]; route != "" {
		s.Attributes = append(s.Attributes, text("http.route", route))
	}
	if c.Status > 0 {
		s.Attributes = append(s.Attributes, number("http.response.status_code", int64(c.Status)))
	}
	if c.District != "" {
		s.Attributes = append(s.Attributes, text("rollbook.district", c.District))
	}
	if c.Client != "" {
		s.Attributes = append(s.Attributes, text("rollbook.client", c.Client))
	}
	if c.Status >= 500 || c.Aborted {
		s.Status.Code = statusError
	}
	return s, sampled
}

// routes are the paths of operations.
var routes = func() map[string]string {
	out := map[string]string{}
	face := oneroster.V1p1
	for _, r := range face.Routes {
		out[r.Op] = face.Base + "/" + strings.Join(r.Segments, "/")
	}
	return out
}()

// traceparent reads the header of that name (W3C Trace Context §3.2); trace is "" where it cannot
// be read.
func traceparent(header string) (trace, parent string, sampled bool) {
	parts := strings.Split(header, "-")
	if len(parts) < 4 || !isHex(parts[0], 2) || parts[0] == "ff" || parts[0] == "00" && len(parts) > 4 ||
		!isHex(parts[1], 32) || strings.Trim(parts[1], "0") == "" ||
		!isHex(parts[2], 16) || strings.Trim(parts[2], "0") == "" || !isHex(parts[3], 2) {
		return "", "", false
	}
	flags, _ := strconv.ParseUint(parts[3], 16, 8) // it is hex
	return parts[1], parts[2], flags&1 == 1
}

// isHex tells whether a text is so many lower-case hex digits.
func isHex(text string, digits int) bool {
	return len(text) == digits && strings.Trim(text, "0123456789abcdef") == ""
}

func newID(size int) string {
	id := make([]byte, size)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}
