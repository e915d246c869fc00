package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"rollbook/internal/sandbox"
	"rollbook/internal/store"
)

// A living moves the district that the demo serves from day to day, one at a time.
type living struct {
	o    *opened
	life *sandbox.Life
	tell io.Writer       // a line for each day; nil when nobody reads it
	ctx  context.Context // of the demo: who asks for a day and hangs up does not halve it
	end  context.CancelFunc

	mu     sync.Mutex
	failed error // why the demo ended
}

// moved is the answer to who moves the district: its last day, and what all the
// days that were moved changed.
type moved struct {
	dayCount
	Changes []sandbox.Change `json:"changes"`
}

// start publishes day 0. A database that a demo has served before is put back
// to it, so that two lives are never mixed up.
func (v *living) start(ctx context.Context) error {
	empty, err := v.o.Empty(ctx)
	if err != nil {
		return err
	}
	report, err := v.o.Import(ctx, v.life, store.ImportOptions{})
	if err != nil || empty || v.tell == nil {
		return err
	}
	var n store.Counts
	for _, c := range report.Counts {
		n.Added, n.Changed, n.Retired = n.Added+c.Added, n.Changed+c.Changed, n.Retired+c.Retired
	}
	_, err = fmt.Fprintf(v.tell, "this database has been a demo before: it starts over at day 0, %s (%d "+
		"added, %d changed, %d retired)\n", v.life.Date(), n.Added, n.Changed, n.Retired)
	return err
}

var errEnding = errors.New("the demo is ending")

// move moves the district n days.
func (v *living) move(n int) (moved, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := moved{Changes: []sandbox.Change{}}
	for range n {
		changes, err := v.step()
		if err != nil {
			return out, err
		}
		day := countDay(v.life, changes)
		if v.tell != nil {
			fmt.Fprintf(v.tell, "day %d, %s: %d added, %d changed, %d retired\n", day.Day, day.Date,
				day.Added, day.Changed, day.Retired)
		}
		day.Added, day.Changed, day.Retired = day.Added+out.Added, day.Changed+out.Changed,
			day.Retired+out.Retired
		out.dayCount, out.Changes = day, append(out.Changes, changes...)
	}
	return out, nil
}

// step publishes the next day. Only what it changes is imported, so that what
// clients wrote stays until a day changes the same record. A day that cannot be
// imported ends the demo: the life would be ahead of what is served.
func (v *living) step() ([]sandbox.Change, error) {
	if v.ctx.Err() != nil {
		return nil, errEnding
	}
	changes := v.life.Step()
	if _, err := v.o.Import(v.ctx, v.life.Delta(), store.ImportOptions{}); err != nil {
		if v.ctx.Err() != nil {
			return nil, errEnding
		}
		v.failed = fmt.Errorf("day %d could not be published, and the demo ends: %w", v.life.Day(), err)
		v.end()
		return nil, v.failed
	}
	return changes, nil
}

// every moves the district a day at a time until the demo ends.
func (v *living) every(pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-v.ctx.Done():
			return
		case <-tick.C:
			if _, err := v.move(1); err != nil {
				return // the demo ends, and tells why
			}
		}
	}
}

// dayPath moves the district.
const dayPath = "/demo/day"

func (v *living) handler(service http.Handler) http.Handler {
	day := ownPagesOnly(http.HandlerFunc(v.serveDay))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == dayPath {
			day.ServeHTTP(w, r)
			return
		}
		service.ServeHTTP(w, r)
	})
}

// ownPagesOnly lets in POST from the command line of this machine: no page of
// another site that a browser has open, be it by a name that points here.
func ownPagesOnly(do http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		const text = "this request comes from a web page of another site; send it from the command line"
		answer(w, http.StatusForbidden, refusal{text})
	}))
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopback(r.Host):
			text := fmt.Sprintf("this machine is not called %q: use the address that the demo printed",
				r.Host)
			answer(w, http.StatusForbidden, refusal{text})
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			answer(w, http.StatusMethodNotAllowed, refusal{r.Method + " does nothing here: use POST"})
		default:
			do.ServeHTTP(w, r)
		}
	}))
}

func (v *living) serveDay(w http.ResponseWriter, r *http.Request) {
	n := 1
	if text := r.URL.Query().Get("days"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxDays {
			answer(w, http.StatusBadRequest, refusal{fmt.Sprintf("days=%s: give a number from 1 to %d",
				text, maxDays)})
			return
		}
	}
	out, err := v.move(n)
	if err != nil {
		answer(w, http.StatusInternalServerError, refusal{err.Error()})
		return
	}
	answer(w, http.StatusOK, out)
}

type refusal struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // a mistake of ours: all of it can be written
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // who asked may be gone
}
