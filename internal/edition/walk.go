package edition

import (
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"rollbook/internal/store"
)

const (
	// walkTime is how long a walk is kept after its last page.
	walkTime = time.Hour
	// walkLife is how long one is kept after its first page: who reads one later page again
	// and again is told what has changed.
	walkLife = 24 * time.Hour
	// noteEvery is how often a walk that goes on is noted: so much less than walkTime.
	noteEvery = 10 * time.Minute
	// Walks are bounded in number, and in bytes of what they hold: of the client that holds
	// most, the one that was read longest ago ends.
	walksKept  = 2000
	walksBytes = 96 << 20
	leftKept   = 6000 // of those that have ended so
)

// walks keep who reads which list page by page: the next page comes of the edition of the
// first, whichever process served that. What this one does not know it hears of the others'
// notes in the store.
type walks struct {
	process string // how this one signs its notes
	mu      sync.Mutex
	all     map[walkKey][]*walk
	heard   int64            // the last note that was heard
	cleaned time.Time        // when old notes were forgotten
	now     func() time.Time // nil is time.Now
}

type walkKey struct {
	client string
	asked  asked
}

// A walk is what a client reads of one edition, once or several times beside each other.
type walk struct {
	edition int64
	held    *reading // what its pages are copied of; nil where none was asked for here yet
	left    bool     // its edition cannot be had here any more
	// What this process has read: where pages are still to come, the latest last, and where the
	// page lies that was read last.
	next []int
	at   int
	// others have read pages of it too. Which is not told page by page: any page at one of
	// the strides may be the next.
	others  bool
	strides []stride
	noted   time.Time // by this process

	last time.Time
	// began is when its first page was read last: the edition was the latest then.
	began time.Time
	// asOf is a time at which the edition was the latest: no page of it says a later Date.
	asOf time.Time
}

// A stride is how pages lie that are read with one limit: at phase, phase+step and so on.
type stride struct{ step, phase int }

const nextKept = 16

// reaches tells whether a page may be one of the walk.
func (w *walk) reaches(offset int) bool { return reach(w.strides, offset) }

// isFound tells whether every process takes a page to be one of the walk. They heard of the same
// strides, though not in quite the same order: what is among the latest here, none has forgotten.
func (w *walk) isFound(offset int) bool {
	return reach(w.strides[max(0, len(w.strides)-nextKept/2):], offset)
}

func reach(strides []stride, offset int) bool {
	return slices.ContainsFunc(strides, func(s stride) bool { return offset%s.step == s.phase })
}

// expects tells whether a page is the next of the walk.
func (w *walk) expects(offset int) bool {
	return slices.Contains(w.next, offset) || w.others && w.reaches(offset)
}

func (w *walk) over(now time.Time) bool {
	kept := walkTime
	if w.others { // they have read later than they noted
		kept += noteEvery
	}
	return now.Sub(w.last) > kept || now.Sub(w.began) > walkLife
}

// A leg is one page of a walk, as the walk is when it is read.
type leg struct {
	*walk
	edition int64
	held    *reading
	left    bool
	asOf    time.Time
	note    *store.WalkNote // to be made before the page is sent; nil is none
}

// read notes that a page is read, of a list with so many records.
func (ws *walks) read(w *walk, in *inquiry, total int, now time.Time) *leg {
	offset, limit := in.Query.Offset, in.Query.Limit
	w.at, w.last = offset, now
	if at := slices.Index(w.next, offset); at >= 0 {
		w.next = slices.Delete(w.next, at, at+1)
	}
	news := now.Sub(w.noted) >= noteEvery
	if next := offset + limit; next < total {
		w.next = append(w.next[max(0, len(w.next)-nextKept+1):], next)
		if !w.isFound(next) {
			w.stride(stride{limit, next % limit})
			news = true
		}
	}
	l := &leg{w, w.edition, w.held, w.left, w.asOf, nil}
	if news && len(w.strides) > 0 {
		w.noted = now
		s := w.strides[len(w.strides)-1]
		l.note = &store.WalkNote{Process: ws.process, Client: in.Client,
			Question: hex.EncodeToString(in.asked[:]),
			Edition:  w.edition, Step: s.step, Phase: s.phase, Began: w.began, AsOf: w.asOf, Last: now}
	}
	return l
}

func (w *walk) stride(s stride) {
	w.strides = slices.DeleteFunc(w.strides, func(old stride) bool { return old == s })
	w.strides = append(w.strides[max(0, len(w.strides)-nextKept+1):], s)
}

func (ws *walks) time() time.Time {
	if ws.now != nil {
		return ws.now()
	}
	return time.Now()
}

// next is the walk that a page which is not the first belongs to: it begins where another
// page ended, or is the one that was read last, once more. It is nil where there is none: a
// page by itself is of the latest edition. Of several walks it is the one that the page is
// the next of, else the one that was read last; but what was read last of all, and is asked
// once more, is of its own walk, unless the other has gone on since that began.
func (ws *walks) next(in *inquiry) *leg {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now := ws.time()
	var found, latest *walk
	for _, w := range ws.all[walkKey{in.Client, in.asked}] {
		expected := w.expects(in.Query.Offset)
		if w.over(now) || !expected && w.at != in.Query.Offset {
			continue
		}
		if latest == nil || !w.last.Before(latest.last) {
			latest = w
		}
		switch {
		case found == nil, expected && !found.expects(in.Query.Offset),
			expected == found.expects(in.Query.Offset) && !w.last.Before(found.last):
			found = w
		}
	}
	if found == nil {
		return nil
	}
	if latest.at == in.Query.Offset && !found.last.After(latest.began) {
		found = latest
	}
	total := in.Query.Offset + in.Query.Limit + 1 // a page more, for all that is known
	if found.held != nil {
		total = found.held.total
	}
	return ws.read(found, in, total, now)
}

// begins tells whether a page of a list with so many records is the first of several.
func begins(in *inquiry, total int) bool { return in.Query.Offset == 0 && in.Query.Limit < total }

// begin notes the first page of a walk in an edition that was the latest at a time; held is
// nil where the page did not come of one. Ended are the walks that there is no room for.
func (ws *walks) begin(in *inquiry, edition int64, total int, held *reading, asOf time.Time) (l *leg,
	ended int) {
	if !begins(in, total) {
		return nil, 0
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now := ws.time()
	w, made := ws.of(walkKey{in.Client, in.asked}, edition)
	if w.held == nil {
		w.held, w.left = held, w.left && held == nil
	}
	w.began = now
	if asOf.After(w.asOf) {
		w.asOf = asOf
	}
	l = ws.read(w, in, total, now)
	if made {
		ended = ws.sweep(now)
	}
	return l, ended
}

// at is the walk in an edition; nil where there is none.
func (ws *walks) at(key walkKey, edition int64) *walk {
	for _, w := range ws.all[key] {
		if w.edition == edition {
			return w
		}
	}
	return nil
}

// of finds or makes the walk in an edition.
func (ws *walks) of(key walkKey, edition int64) (w *walk, made bool) {
	if w = ws.at(key, edition); w != nil {
		return w, false
	}
	if ws.all == nil {
		ws.all = map[walkKey][]*walk{}
	}
	w = &walk{edition: edition, at: -1}
	ws.all[key] = append(ws.all[key], w)
	return w, true
}

// hold keeps what the pages of a walk are copied of.
func (ws *walks) hold(w *walk, r *reading) (ended int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.held = r
	return ws.sweep(ws.time())
}

// leave notes that the edition of a walk cannot be had any more.
func (ws *walks) leave(w *walk) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.left = true
}

// listened is the last note that was heard.
func (ws *walks) listened() int64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.heard
}

// made notes that a note of this process is the one of a number.
func (ws *walks) made(id int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if id == ws.heard+1 {
		ws.heard = id
	}
}

// hear takes in what processes have noted, up to a last note.
func (ws *walks) hear(notes []store.WalkNote, last int64) (ended int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now := ws.time()
	if last <= ws.heard {
		notes = nil // another request heard them meanwhile, and later ones
	}
	for _, n := range notes {
		key, own := walkKey{client: n.Client}, n.Process == ws.process
		asked, err := hex.DecodeString(n.Question)
		if err != nil || n.Edition < 0 || n.Step <= 0 {
			continue
		}
		copy(key.asked[:], asked)
		if own && ws.at(key, n.Edition) == nil {
			continue // what this one has ended stays so
		}
		w, _ := ws.of(key, n.Edition)
		w.others = w.others || !own
		w.stride(stride{n.Step, n.Phase}) // in the same order in all processes
		w.last, w.began, w.asOf = later(w.last, n.Last), later(w.began, n.Began), later(w.asOf, n.AsOf)
	}
	ws.heard = max(ws.heard, last)
	if len(notes) > 0 {
		ended = ws.sweep(now)
	}
	return ended
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// dusty tells, once a minute, that old notes are to be forgotten: those of pages that were
// read before a time.
func (ws *walks) dusty() (before time.Time, is bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	now := ws.time()
	if is = now.Sub(ws.cleaned) > time.Minute; is {
		ws.cleaned = now
	}
	return now.Add(-walkTime - noteEvery), is
}

// sweep ends the walks that are over, and where there are too many the oldest of the client
// that has most: nobody's walks end by what another one asks. Those that end while their
// readers may still come are counted, and known for a while: a later page of one says that its edition
// was left.
func (ws *walks) sweep(now time.Time) (ended int) {
	for {
		all, live, held := 0, 0, 0
		of, left := map[string]int{}, map[string]int{} // bytes, and as many for a walk that holds none
		shared := map[*collection]bool{}
		for key, some := range ws.all {
			some = slices.DeleteFunc(some, func(w *walk) bool { return w.over(now) })
			if ws.all[key] = some; len(some) == 0 {
				delete(ws.all, key)
			}
			for _, w := range some {
				bytes := 0
				if w.held != nil {
					bytes = 4 * len(w.held.places)
					if c := w.held.collection; !shared[c] {
						shared[c] = true
						bytes += c.own
					}
				}
				all, held = all+1, held+bytes
				if w.left && w.held == nil {
					left[key.client]++
					continue
				}
				live++
				of[key.client] += walksBytes/walksKept + bytes
			}
		}
		crowded, full := live > walksKept, held > walksBytes
		forgets := !crowded && !full
		if forgets {
			if of = left; all <= walksKept+leftKept {
				return ended
			}
		}
		var ends *walk
		var at walkKey
		for key, some := range ws.all {
			for _, w := range some {
				if is := w.left && w.held == nil; is != forgets || !crowded && full && w.held == nil {
					continue
				}
				if more := of[key.client] - of[at.client]; ends == nil || more > 0 ||
					more == 0 && w.last.Before(ends.last) {
					ends, at = w, key
				}
			}
		}
		if !forgets {
			ends.held, ends.left = nil, true
			ended++
			continue
		}
		ws.all[at] = slices.DeleteFunc(ws.all[at], func(w *walk) bool { return w == ends })
	}
}
