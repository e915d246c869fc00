package rest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"rollbook/internal/store"
)

// readyTime is how long the database may take to say that it is there.
const readyTime = 3 * time.Second

// Ready is what /readyz answers: whether the service can be asked, and, for who runs it, what is
// wrong with it or will be. sending may be nil.
func Ready(ctx context.Context, s *store.Store, sending *Sending) (status int, says map[string]string,
	err error) {
	ctx, stop := context.WithTimeout(ctx, readyTime)
	defer stop()
	if sending.ends() {
		return http.StatusServiceUnavailable, map[string]string{"status": "the service is ending"}, nil
	}
	if err := s.Ping(ctx); err != nil {
		status := "the database does not answer"
		if errors.Is(err, store.ErrMoved) {
			status = store.ErrMoved.Error()
		}
		return http.StatusServiceUnavailable, map[string]string{"status": status}, err
	}
	says = map[string]string{"status": "ok"}
	if problem, err := s.ClockProblem(ctx); err == nil && problem != "" {
		says["clock"] = problem
	}
	if problem := s.StandbyProblem(); problem != "" {
		says["standby"] = "reads go to the primary: " + problem
	}
	return http.StatusOK, says, nil
}

// ready answers /readyz. Strangers are told whether, and not why.
func (s *service) ready(q *request) {
	status, says, err := Ready(q.Context(), s.Store, s.Sending)
	if err != nil {
		s.Log.Error("not ready", "error", err)
	}
	if !s.within(q.Request) {
		says = strangersTold(status)
	}
	q.json(status, says)
}

func strangersTold(status int) map[string]string {
	if status != http.StatusOK {
		return map[string]string{"status": "not ready"}
	}
	return map[string]string{"status": "ok"}
}

// within tells whether a request comes from this very machine, by nobody else: where a proxy is
// in front, which --url or --trust-proxy says, or its headers, it may be anybody's.
func (s *service) within(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return s.URL == nil && !s.TrustProxy && err == nil && ip != nil && ip.IsLoopback()
}
