package edition

import (
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A reading is what a question selects in one edition. It is never changed.
type reading struct {
	*collection
	places  []uint32 // in the order of the answer; nil is every place in order, from 1 on
	total   int
	version int64 // the last change in what the question hangs on
	blocks  blocks
}

func (d *District) newReading(c *collection, places []uint32, version int64) *reading {
	r := &reading{collection: c, places: places, total: len(places), version: version}
	if places == nil {
		r.total = c.rows
	}
	r.blocks.shelf = &d.shelf
	return r
}

// with are the places of a reading in the order of the list after some changes.
func (r *reading) with(changes []change, selects func(values []string) bool) []uint32 {
	out, rest := make([]uint32, 0, len(r.places)), r.places
	for _, c := range changes {
		at, there := slices.BinarySearch(rest, c.place)
		out, rest = append(out, rest[:at]...), rest[at:]
		if there {
			rest = rest[1:]
		}
		if selects(c.values) {
			out = append(out, c.place)
		}
	}
	return append(out, rest...)
}

// runs yields the JSON of the records from one number on to another, with a comma between
// two and none at the end: as few and as long pieces as they lie.
func (r *reading) runs(from, to int, yield func([]byte) error) error {
	var text []byte // of the segment of the run
	segment, start, end := -1, 0, 0
	for n := from; n < to; n++ {
		place := n + 1
		if r.places != nil {
			place = int(r.places[n])
		}
		in, at, size := r.body(place)
		if in == segment && at == end+1 {
			end = at + size
			continue
		}
		if segment >= 0 { // with the comma that stands behind each
			if err := yield(text[start : end+1]); err != nil {
				return err
			}
		}
		segment, start, end = in, at, at+size
		text = r.segments[in].text
	}
	var err error
	if segment >= 0 {
		err = yield(text[start:end])
	}
	runtime.KeepAlive(r)
	return err
}

// page is a page of a reading.
func (r *reading) page(ask *Ask) *Page {
	q := &ask.Query
	from := min(q.Offset, r.total)
	to := min(from+q.Limit, r.total)
	p := &Page{Total: r.total, Rows: to - from, Edition: r.version}
	begin := `{"` + ask.Route.Resource.Plural + `":[`
	switch {
	case q.Fields != nil:
		keep := newProjection(q.Fields)
		p.Send = func(end string, write func([]byte) error) error {
			out := gather{write: write}
			out.text(begin)
			for n := from; n < to; n++ {
				err := r.runs(n, n+1, func(body []byte) error {
					if n > from {
						out.buf = append(out.buf, ',')
					}
					out.buf = keep.append(out.buf, body)
					return out.flush(gatherBytes)
				})
				if err != nil {
					return err
				}
			}
			out.text(end)
			return out.flush(0)
		}
	case ask.Gzip && to-from >= blockRows:
		p.Encoding = "gzip"
		p.Send = func(end string, write func([]byte) error) error {
			return r.gzip(begin, end, from, to, write)
		}
	default:
		p.Send = func(end string, write func([]byte) error) error {
			out := gather{write: write}
			out.text(begin)
			err := r.runs(from, to, out.piece)
			if err != nil {
				return err
			}
			out.text(end)
			return out.flush(0)
		}
		p.size = func(end string) int {
			size := len(begin) + len(end)
			_ = r.runs(from, to, func(run []byte) error { size += len(run); return nil })
			return size
		}
	}
	return p
}

// A Page is one page of a list on its way.
type Page struct {
	Total    int    // records that the question selects, on all pages
	Rows     int    // of this page
	Edition  int64  // the last change (rev) in what the question hangs on
	Encoding string // Content-Encoding; "" is none
	// AsOf is a time at which the page was what there is; the zero time is now.
	AsOf time.Time
	// Left is the edition that the reader's walk was in, where that cannot be had any more
	// and the page is of the latest; 0 where all is as it should be.
	Left int64
	// Send writes {"users":[…, and what ends it.
	Send func(end string, write func([]byte) error) error

	size  func(end string) int
	close func()
}

// Size is how many bytes Send writes, "" where that is not known.
func (p *Page) Size(end string) string {
	if p.size == nil {
		return ""
	}
	return strconv.Itoa(p.size(end))
}

// Close gives back what the page holds.
func (p *Page) Close() {
	if p.close != nil {
		p.close()
	}
}

// gatherBytes is how much is gathered of small pieces, which a reader who lets them wait holds, and
// sentBytes how much of a large one is sent at a time.
const (
	gatherBytes = 64 << 10
	sentBytes   = 256 << 10
)

// A gather writes pieces: small ones together, large ones as they lie, with no memory of
// their own held while a reader lets them wait.
type gather struct {
	write func([]byte) error
	buf   []byte
	whole *[]byte // buf's memory, to be given back
}

var gathers = sync.Pool{New: func() any { b := make([]byte, 0, gatherBytes); return &b }}

func (g *gather) room() {
	if g.whole == nil {
		g.whole = gathers.Get().(*[]byte)
		g.buf = (*g.whole)[:0]
	}
}

func (g *gather) text(s string) {
	g.room()
	g.buf = append(g.buf, s...)
}

func (g *gather) piece(b []byte) error {
	for len(b) > 0 {
		if len(b) >= gatherBytes {
			if err := g.flush(0); err != nil {
				return err
			}
			n := min(len(b), sentBytes)
			if err := g.write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
			continue
		}
		g.room()
		n := min(len(b), max(0, gatherBytes-len(g.buf))) // texts may have filled it, and more
		g.buf, b = append(g.buf, b[:n]...), b[n:]
		if err := g.flush(gatherBytes); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what was gathered where it is as much as that; 0 is the end.
func (g *gather) flush(most int) error {
	if len(g.buf) < most {
		return nil
	}
	var err error
	if len(g.buf) > 0 {
		err = g.write(g.buf)
		g.buf = g.buf[:0]
	}
	if most == 0 && g.whole != nil {
		gathers.Put(g.whole)
		g.whole, g.buf = nil, nil
	}
	return err
}
