package ledger

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rollbook/internal/rest"
	"rollbook/internal/store"
)

// mostClients have a label of their own; those beyond are "other" together, so that nobody can
// make a monitor keep more than it can.
const mostClients = 200

// Metrics counts the calls of a service, for Prometheus.
type Metrics struct {
	registry *prometheus.Registry
	district district

	known   atomic.Pointer[map[string]bool] // clients that have a label
	knowing sync.Mutex

	requests, rows, bytes, refusals, tokens *prometheus.CounterVec
	broken                                  prometheus.Counter
	took                                    *prometheus.HistogramVec
	answered                                *prometheus.GaugeVec
	underWay                                prometheus.Gauge
	edition                                 atomic.Int64 // the latest that was served
}

// NewMetrics makes the counters of a service.
func NewMetrics(w Watched) *Metrics {
	m := newCounters(w)
	m.registry = prometheus.NewRegistry()
	m.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rollbook_request_duration_seconds",
		Help:    "How long requests took, their sending included.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}}, []string{"op"})
	m.underWay = prometheus.NewGauge(prometheus.GaugeOpts{Name: "rollbook_requests_under_way",
		Help: "Requests that are being answered."})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollbook_build_info",
		Help: "The version of the program."}, []string{"version"})
	build.WithLabelValues(w.Version).Set(1)
	m.registry.MustRegister(m.took, m.underWay, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if w.Districts == nil {
		m.register(m.registry)
		return m
	}
	m.register(labelled(m.registry, ""))
	for n, state := range []string{"all", "open", "broken"} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollbook_districts",
			Help:        "Districts of this service: all, those that are open, those that cannot be opened.",
			ConstLabels: prometheus.Labels{"state": state}},
			func() float64 { return float64(w.Districts()[n]) }))
	}
	return m
}

// Of makes the counters of one of several districts, which have its name as a label.
func (m *Metrics) Of(name string) *Metrics {
	of := newCounters(Watched{})
	of.took, of.underWay = m.took, m.underWay
	of.register(labelled(m.registry, name))
	return of
}

func labelled(r *prometheus.Registry, name string) prometheus.Registerer {
	return prometheus.WrapRegistererWith(prometheus.Labels{"district": name}, r)
}

// Watch reads a district that was opened when somebody scrapes, or none any more.
func (m *Metrics) Watch(s *store.Store) {
	m.district.mu.Lock()
	defer m.district.mu.Unlock()
	m.district.Store, m.district.looked, m.district.seen = s, time.Time{}, nil
	m.district.records, m.district.stamp = nil, time.Time{}
}

func (m *Metrics) register(r prometheus.Registerer) {
	edition := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollbook_edition_served",
		Help: "Number of the latest change that a list which was answered knew of."},
		func() float64 { return float64(m.edition.Load()) })
	r.MustRegister(m.requests, m.rows, m.bytes, m.refusals, m.broken, m.tokens, m.answered, edition,
		&m.district)
}

func newCounters(w Watched) *Metrics {
	m := &Metrics{}
	m.known.Store(&map[string]bool{})
	m.district = district{Watched: w, know: m.know}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m.requests = counter("rollbook_requests_total",
		"Requests that were answered; none is the status of those that broke off before.",
		"op", "method", "status", "client")
	m.rows = counter("rollbook_rows_total", "Rows that were sent.", "op", "client")
	m.bytes = counter("rollbook_body_bytes_total", "Bytes of the bodies that were sent.", "op", "client")
	m.refusals = counter("rollbook_refusals_total", "Answers 401, 403 and 429.", "code", "client")
	m.broken = prometheus.NewCounter(prometheus.CounterOpts{Name: "rollbook_broken_off_total",
		Help: "Answers that broke off, or whose reader went."})
	m.tokens = counter("rollbook_tokens_total", "Requests for access tokens, granted or refused.", "outcome",
		"client")
	m.answered = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "rollbook_client_answered_timestamp_seconds",
		Help: "When a client was last given what it asked for, a token aside."}, []string{"client"})
	return m
}

// Around counts what is under way.
func (m *Metrics) Around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.underWay.Inc()
		defer m.underWay.Dec()
		h.ServeHTTP(w, r)
	})
}

// Handler answers a scraper.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Count hears of a request.
func (m *Metrics) Count(c rest.Call) {
	worked := c.Status > 0 && c.Status < 400 && !c.Aborted
	if worked && c.Client != "" {
		m.know(c.Client)
	}
	client := m.label(c.Client)
	m.requests.WithLabelValues(c.Op, method(c.Method), class(c.Status), client).Inc()
	m.took.WithLabelValues(c.Op).Observe(c.Took.Seconds())
	if c.Rows > 0 {
		m.rows.WithLabelValues(c.Op, client).Add(float64(c.Rows))
	}
	if c.Bytes > 0 {
		m.bytes.WithLabelValues(c.Op, client).Add(float64(c.Bytes))
	}
	if c.Aborted {
		m.broken.Inc()
	}
	switch c.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		m.refusals.WithLabelValues(strconv.Itoa(c.Status), client).Inc()
	}
	switch {
	case c.Op == "token" && worked:
		m.tokens.WithLabelValues("granted", client).Inc()
	case c.Op == "token":
		m.tokens.WithLabelValues("refused", client).Inc()
	case worked && c.Client != "" && client == c.Client:
		m.answered.WithLabelValues(client).Set(float64(c.At.Add(c.Took).UnixMilli()) / 1000)
	}
	if c.Page != nil {
		m.served(c.Page.Edition)
	}
}

// served remembers the latest edition of all: pages of a walk are of earlier ones.
func (m *Metrics) served(edition int64) {
	last := m.edition.Load()
	for edition > last && !m.edition.CompareAndSwap(last, edition) {
		last = m.edition.Load()
	}
}

// know gives a client that is one of the district a label, while there is room.
func (m *Metrics) know(client string) {
	if (*m.known.Load())[client] {
		return
	}
	m.knowing.Lock()
	defer m.knowing.Unlock()
	if all := *m.known.Load(); len(all) < mostClients {
		all = maps.Clone(all)
		all[client] = true
		m.known.Store(&all)
	}
}

// label is how a client is called; what was merely tried has no name of its own.
func (m *Metrics) label(client string) string {
	if client == "" || (*m.known.Load())[client] {
		return client
	}
	return "other"
}

// method bounds what anybody may call a method.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
		return name
	}
	return "other"
}

func class(status int) string {
	if status == 0 {
		return "none"
	}
	return strconv.Itoa(status/100) + "xx"
}
