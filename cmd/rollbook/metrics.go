package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"rollbook/internal/ledger"
	"rollbook/internal/rest"
)

// A monitor answers who watches the service, on a listener of its own. Nil is none.
type monitor struct {
	metrics *ledger.Metrics
	server  *http.Server
	address string
	ended   chan struct{}
}

// monitor starts what --metrics-addr asks for.
func (f *serveFlags) monitor(a *offering, certificates *tls.Config) (*monitor, error) {
	if f.metrics == "" {
		return nil, nil
	}
	w := a.watched
	w.Version = version()
	if certificates != nil {
		w.Certificate = func() (time.Time, error) {
			c, err := certificates.GetCertificate(nil)
			if err != nil {
				return time.Time{}, err
			}
			return c.Leaf.NotAfter, nil
		}
	}
	l, err := net.Listen("tcp", f.metrics)
	if err != nil {
		return nil, err
	}
	m := &monitor{metrics: ledger.NewMetrics(w), address: l.Addr().String(), ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.metrics.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		tellHealth(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, says := a.ready(r.Context())
		tellHealth(w, status, says)
	})
	m.server = rest.NewServer(mux)
	go func() {
		defer close(m.ended)
		_ = m.server.Serve(l) // it ends by close
	}()
	return m, nil
}

func tellHealth(w http.ResponseWriter, status int, says map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(says) // who has gone is nobody to tell
}

// around lets it count what is under way.
func (m *monitor) around(h http.Handler) http.Handler {
	if m == nil {
		return h
	}
	return m.metrics.Around(h)
}

// told is what the log says of it at the start.
func (m *monitor) told() []any {
	if m == nil {
		return nil
	}
	return []any{"metrics", m.address}
}

func (m *monitor) close() {
	if m != nil {
		_ = m.server.Close() // those who scrape come again
		<-m.ended
	}
}
