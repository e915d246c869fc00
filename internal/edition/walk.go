package edition

import (
	"slices"
	"sync"
	"time"
)

const (
	// walkTime is how long a walk is kept after its last page.
	walkTime = time.Hour
	// walkLife is how long one is kept after its first page: who reads one later page again
	// and again is told what has changed.
	walkLife = 24 * time.Hour
	// Walks are bounded in number, and in bytes of what they hold: of the client that holds
	// most, the one that was read longest ago ends.
	walksKept  = 2000
	walksBytes = 96 << 20
)

// walks keep who reads which list page by page: the next page comes of the edition of the
// first.
type walks struct {
	mu  sync.Mutex
	all map[walkKey][]*walk
	now func() time.Time // nil is time.Now
}

type walkKey struct {
	client string
	questionKey
}

// A walk is what a client reads of one edition, once or several times beside each other.
type walk struct {
	*reading
	next []int // where pages are still to come, the latest last
	at   int   // where the page lies that was read last
	last time.Time
	// began is when its first page was read last: the edition was the latest then.
	began time.Time
	// asOf is a time at which the edition was the latest: no page of it says a later Date.
	asOf time.Time
}

const nextKept = 16

// read notes that a page is read.
func (w *walk) read(ask *Ask, now time.Time) {
	w.at, w.last = ask.Query.Offset, now
	if at := slices.Index(w.next, ask.Query.Offset); at >= 0 {
		w.next = slices.Delete(w.next, at, at+1)
	}
	if next := ask.Query.Offset + ask.Query.Limit; next < w.total {
		w.next = append(w.next[max(0, len(w.next)-nextKept+1):], next)
	}
}

func (w *walk) over(now time.Time) bool {
	return now.Sub(w.last) > walkTime || now.Sub(w.began) > walkLife
}

func (ws *walks) time() time.Time {
	if ws.now != nil {
		return ws.now()
	}
	return time.Now()
}

// next is the reading of the walk that a page which is not the first belongs to: it begins
// where another page ended, or is the one that was read last, once more. It is nil where
// there is none: a page by itself is of the latest edition. Of several walks it is the one
// that the page is the next of, else the one that was read last; but what was read last of
// all, and is asked once more, is of its own walk, unless the other has gone on since that
// began. The edition was the latest at the time asOf.
func (ws *walks) next(ask *Ask, key questionKey) (r *reading, asOf time.Time) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now := ws.time()
	var found, latest *walk
	expected := func(w *walk) bool { return slices.Contains(w.next, ask.Query.Offset) }
	for _, w := range ws.all[walkKey{ask.Client, key}] {
		if w.over(now) || !expected(w) && w.at != ask.Query.Offset {
			continue
		}
		if latest == nil || !w.last.Before(latest.last) {
			latest = w
		}
		switch {
		case found == nil, expected(w) && !expected(found),
			expected(w) == expected(found) && !w.last.Before(found.last):
			found = w
		}
	}
	if found == nil {
		return nil, asOf
	}
	if latest.at == ask.Query.Offset && !found.last.After(latest.began) {
		found = latest
	}
	found.read(ask, now)
	return found.reading, found.asOf
}

// begin notes the first page of a walk, of the edition that was the latest at a time.
func (ws *walks) begin(ask *Ask, key questionKey, r *reading, asOf time.Time) {
	if ask.Query.Offset > 0 || ask.Query.Limit >= r.total {
		return // it begins elsewhere, or is read whole
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now, of := ws.time(), walkKey{ask.Client, key}
	for _, w := range ws.all[of] {
		if w.reading == r {
			w.read(ask, now)
			w.began = now
			if asOf.After(w.asOf) {
				w.asOf = asOf
			}
			return
		}
	}
	if ws.all == nil {
		ws.all = map[walkKey][]*walk{}
	}
	w := &walk{reading: r, began: now, asOf: asOf}
	w.read(ask, now)
	ws.all[of] = append(ws.all[of], w)
	ws.sweep(now)
}

// sweep ends the walks that are over, and where there are too many the oldest of the client
// that has most: nobody's walks end by what another one asks.
func (ws *walks) sweep(now time.Time) {
	for {
		count, held := 0, 0
		of := map[string]int{} // bytes, and as many for a walk that holds none
		for key, some := range ws.all {
			some = slices.DeleteFunc(some, func(w *walk) bool { return w.over(now) })
			if ws.all[key] = some; len(some) == 0 {
				delete(ws.all, key)
			}
			for _, w := range some {
				count, held = count+1, held+4*len(w.places)
				of[key.client] += walksBytes/walksKept + 4*len(w.places)
			}
		}
		if count <= walksKept && held <= walksBytes {
			return
		}
		var ends *walk
		var at walkKey
		for key, some := range ws.all {
			for _, w := range some {
				if more := of[key.client] - of[at.client]; ends == nil || more > 0 ||
					more == 0 && w.last.Before(ends.last) {
					ends, at = w, key
				}
			}
		}
		ws.all[at] = slices.DeleteFunc(ws.all[at], func(w *walk) bool { return w == ends })
	}
}
