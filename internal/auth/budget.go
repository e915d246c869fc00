package auth

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Budget is what a client may ask of one process at most; 0 is the default.
type Budget struct {
	PerMinute int // requests; so many at once after a pause
	AtOnce    int // requests that are being answered
}

// DefaultBudget is far beyond what a reader does that waits for its answers: pages of a hundred
// rows one after the other on the machine itself are 75,000 a minute.
var DefaultBudget = Budget{PerMinute: 120_000, AtOnce: 1000}

// OrDefault is the budget with the defaults in it.
func (b Budget) OrDefault() Budget {
	if b.PerMinute == 0 {
		b.PerMinute = DefaultBudget.PerMinute
	}
	if b.AtOnce == 0 {
		b.AtOnce = DefaultBudget.AtOnce
	}
	return b
}

// meters has the meter of each client that calls.
type meters struct {
	mu sync.Mutex
	of map[string]*meter
}

// keptMeters bounds how many there are but for those of clients that are calling just now.
const keptMeters = 1000

// meter is how much of its budget a client has used.
type meter struct {
	perMinute, atOnce atomic.Int64
	// full is when all requests of a minute may be made again, since the gate was made.
	full   atomic.Int64 // nanoseconds
	during atomic.Int64 // requests that are being answered
}

// meter finds the meter of a client, and lets it have the client's limits of now.
func (g *Gate) meter(c *Client) *meter {
	g.meters.mu.Lock()
	defer g.meters.mu.Unlock()
	m := g.meters.of[c.ID]
	if m == nil {
		m = &meter{}
		if g.meters.of == nil {
			g.meters.of = map[string]*meter{}
		}
		if len(g.meters.of) >= keptMeters {
			now := int64(g.opt.Now().Sub(g.began))
			maps.DeleteFunc(g.meters.of, func(_ string, m *meter) bool { // it says what a new one does
				return m.during.Load() == 0 && m.full.Load() <= now
			})
		}
		g.meters.of[c.ID] = m
	}
	b := c.Budget.OrDefault()
	m.perMinute.Store(int64(b.PerMinute))
	m.atOnce.Store(int64(b.AtOnce))
	return m
}

// Begin takes a request of a caller out of the budget of its client. Where it was not refused,
// End is to follow when it was answered.
func (g *Gate) Begin(c *Caller) *Denied {
	most := c.meter.atOnce.Load()
	if c.meter.during.Add(1) > most {
		c.meter.during.Add(-1)
		return c.over(time.Second, fmt.Sprintf("beyond the budget of this client (requests at once: %d): "+
			"wait "+
			"for some of the answers", most))
	}
	if wait := c.meter.take(g.opt.Now().Sub(g.began)); wait > 0 {
		c.meter.during.Add(-1)
		return c.over(wait, fmt.Sprintf("beyond the budget of this client (requests a minute: %d): wait %s",
			c.meter.perMinute.Load(), max(wait.Round(time.Second), time.Second)))
	}
	return nil
}

// End gives back the place that a request had among those of its client.
func (g *Gate) End(c *Caller) { c.meter.during.Add(-1) }

func (c *Caller) over(wait time.Duration, text string) *Denied {
	return &Denied{Status: http.StatusTooManyRequests, Client: c.Client, Text: text, Wait: wait}
}

// take takes one request, or tells how long to wait for it.
func (m *meter) take(now time.Duration) (wait time.Duration) {
	each := int64(time.Minute) / m.perMinute.Load()
	for {
		full := m.full.Load()
		next := max(full, int64(now)) + each
		if wait := next - int64(now) - int64(time.Minute); wait > 0 {
			return time.Duration(wait)
		}
		if m.full.CompareAndSwap(full, next) {
			return 0
		}
	}
}
