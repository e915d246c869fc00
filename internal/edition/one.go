package edition

import (
	"bytes"
	"context"
	"hash/maphash"
	"runtime"
	"runtime/debug"
	"sync"

	"rollbook/internal/oneroster"
)

// opening is what the JSON of a record begins with; its sourcedId follows.
const opening = `{"sourcedId":`

// ids find the place of a record by its sourcedId, as JSON. A record keeps its place: a collection
// and those that follow it share them.
type ids struct {
	mu    sync.RWMutex
	seed  maphash.Seed
	table []uint32 // places, by the hash of their id or after it; 0 is none
	n     int
	upTo  int // the greatest place
}

// One appends the JSON of one record to dst, all of it or the fields that are selected, as it is
// in the latest edition. It is false where it is not there, or where there is no edition of it as
// of now: the database tells then. Nothing is made for it.
func (d *District) One(ctx context.Context, dst []byte, ask Ask) (_ []byte, found bool) {
	h := d.made(rendering{ask.Route.Resource, ask.Base, ask.Veiled})
	if h == nil || d.opt.Plain {
		return dst, false
	}
	c := h.now.Load()
	if c == nil {
		return dst, false
	}
	versions, err := d.versions(ctx)
	if err != nil || c.version < versions.Of(h.resource) {
		return dst, false
	}
	// A disk that fails beneath a mapped file ends this answer, and not the service.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer runtime.KeepAlive(c)
	body := c.find(oneroster.AppendString(nil, ask.Vars["id"]))
	if v := ask.Route.View; body == nil || v.Field != "" && textOf(body, v.Field) != v.Value ||
		ask.Route.Resource.Gradebook && textOf(body, "status") != oneroster.Active {
		return dst, false
	}
	if fields := ask.Query.Fields; fields != nil {
		return newProjection(fields).append(dst, body), true
	}
	return append(dst, body...), true
}

// textOf is the value of a member, where that is a text.
func textOf(body []byte, name string) string {
	quoted := projection{name: true}.append(nil, body)
	begin := `{"` + name + `":"`
	if !bytes.HasPrefix(quoted, []byte(begin)) {
		return ""
	}
	return string(bytes.TrimSuffix(quoted[len(begin):], []byte(`"}`)))
}

// record is the JSON of the record of a place, nil where there is none.
func (c *collection) record(place int) []byte {
	if place > c.last {
		return nil
	}
	n, offset, size := c.body(place)
	if size == 0 {
		return nil
	}
	return c.segments[n].text[offset : offset+size]
}

// find is the JSON of a record by its id, nil where it is not known.
func (c *collection) find(id []byte) []byte {
	x := c.ids
	if c.last == 0 || !x.know(c) {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	for i := x.slot(id); x.table[i] != 0; i = (i + 1) % len(x.table) {
		if body := c.record(int(x.table[i])); bytes.Equal(idOf(body), id) {
			return body
		}
	}
	return nil
}

// idOf is the sourcedId in the JSON of a record.
func idOf(body []byte) []byte {
	if !bytes.HasPrefix(body, []byte(opening)) {
		return nil
	}
	return body[len(opening):afterText(body, len(opening))]
}

func (x *ids) slot(id []byte) int { return int(maphash.Bytes(x.seed, id) % uint64(len(x.table))) }

// know takes the records of a collection that came since. It is false while somebody else does.
func (x *ids) know(c *collection) bool {
	x.mu.RLock()
	upTo := x.upTo
	x.mu.RUnlock()
	if upTo >= c.last {
		return true
	}
	if !x.mu.TryLock() {
		return false
	}
	defer x.mu.Unlock()
	if all := x.n + c.last - x.upTo; 2*all > len(x.table) {
		old := x.table
		x.seed, x.table, x.n = maphash.MakeSeed(), make([]uint32, 3*all), 0
		for _, place := range old {
			if place > 0 {
				x.add(c, int(place))
			}
		}
	}
	for ; x.upTo < c.last; x.upTo++ {
		x.add(c, x.upTo+1)
	}
	return true
}

func (x *ids) add(c *collection, place int) {
	id := idOf(c.record(place))
	if id == nil {
		return
	}
	i := x.slot(id)
	for x.table[i] != 0 {
		i = (i + 1) % len(x.table)
	}
	x.table[i], x.n = uint32(place), x.n+1
}
