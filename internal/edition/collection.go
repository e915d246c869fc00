package edition

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

const (
	// chunkRows is how many records share a chunk: what a change of one record copies.
	chunkRows = 64
	// A collection is rendered anew, and not followed, where more than an eighth of it and
	// some has changed. It is rendered anew in the background, and followed until that is done,
	// where what was followed holds so much memory, in so many pieces, up to four times that.
	followedRows     = 2000
	followedBytes    = 16 << 20
	followedSegments = 4096
)

// A rendering is one resource as some readers are served it.
type rendering struct {
	resource *oneroster.Resource
	base     string // absolute URL that references are made with
	veiled   bool   // without the flags of users
}

// render makes the function that appends the JSON of a record.
func (r rendering) render() func(dst []byte, values []string) []byte {
	out := oneroster.NewWriter(r.resource, r.base, nil)
	return func(dst []byte, values []string) []byte {
		if r.veiled {
			oneroster.Veil(r.resource, values)
		}
		return out.Append(dst, values)
	}
}

// A collection is one resource of an edition: the JSON of every record, by its place in the
// list. It is never changed: follow makes the next one, which shares all that is the same.
type collection struct {
	version  int64 // the last change in it
	chunks   []*chunk
	spans    []span // of the chunks
	segments []*segment
	rows     int // that are there
	last     int // the greatest place
	loose    int // bytes of segments that are held in memory
	own      int // bytes of chunks of an earlier collection, that no later one has
	stamps   []string
	ids      *ids

	before  int64    // version of the collection that this one follows; 0 is none
	changes []change // since then, by place
}

// A change is a record that is not as it was: its place, and what it is now.
type change struct {
	place  uint32
	values []string
}

// A chunk tells where the JSON of places n×chunkRows and on lies.
type chunk struct {
	at   [chunkRows]uint64 // segment and offset
	size [chunkRows]uint32 // 0 where there is no record
	// Twice the number of its dateLastModified among the collection's stamps, which begin at 1, and 1
	// more where it is not active; 0 where there is no record.
	stamp [chunkRows]uint32
}

// A span is between what the stamps of a chunk lie, or have lain: most chunks are passed over by it where a
// reader asks for what has changed since. They are apart from the chunks, since a look at each would cost
// more than the rows that are found.
type span struct{ least, most uint32 }

// A segment is JSON of records, with a comma after each.
type segment struct {
	text []byte
}

const offsetBits = 40

func (c *collection) body(place int) (segment, offset, size int) {
	part := c.chunks[place/chunkRows]
	at := part.at[place%chunkRows]
	return int(at >> offsetBits), int(at & (1<<offsetBits - 1)), int(part.size[place%chunkRows])
}

// set notes where the record of a place lies; owned are the chunks that may be written.
func (c *collection) set(owned map[int]bool, place, segment, offset, size int, stamp uint32) {
	for len(c.chunks) <= place/chunkRows {
		owned[len(c.chunks)] = true
		c.chunks, c.spans = append(c.chunks, &chunk{}), append(c.spans, span{})
	}
	part, row := c.chunk(owned, place), place%chunkRows
	if part.size[row] == 0 {
		c.rows++
	}
	part.at[row] = uint64(segment)<<offsetBits | uint64(offset)
	part.size[row], part.stamp[row] = uint32(size), stamp
	between := &c.spans[place/chunkRows]
	if between.most == 0 {
		between.least = stamp
	}
	between.least, between.most = min(between.least, stamp), max(between.most, stamp)
	c.last = max(c.last, place)
}

// stamping makes the function that gives the stamp of a record, as a chunk has it. Records that were
// changed together have one.
func (c *collection) stamping() func(values []string) uint32 {
	c.stamps = slices.Clip(c.stamps)
	numbers := make(map[string]uint32, len(c.stamps))
	for n, text := range c.stamps {
		numbers[text] = uint32(n) + 1
	}
	return func(values []string) uint32 {
		n, known := numbers[values[oneroster.Modified]]
		if !known {
			text := strings.Clone(values[oneroster.Modified])
			c.stamps = append(c.stamps, text)
			n = uint32(len(c.stamps))
			numbers[text] = n
		}
		if values[oneroster.Status] != oneroster.Active {
			return 2*n + 1
		}
		return 2 * n
	}
}

// stamped are the places of the records that are selected by nothing but their status and
// dateLastModified.
func (c *collection) stamped(r *oneroster.Resource, selects func(values []string) bool) []uint32 {
	taken := make([]bool, 2*len(c.stamps)+2)
	below := make([]uint32, len(taken)+1) // how many of those before are taken
	for n, text := range c.stamps {
		values := oneroster.NewRecord(r).Values
		for deleted, status := range []string{oneroster.Active, oneroster.ToBeDeleted} {
			values[oneroster.Modified], values[oneroster.Status] = text, status
			taken[2*(n+1)+deleted] = selects(values)
		}
	}
	for n, is := range taken {
		if below[n+1] = below[n]; is {
			below[n+1]++
		}
	}
	each := func(yield func(place int)) {
		for n, part := range c.chunks {
			if between := c.spans[n]; below[between.most+1] == below[between.least] {
				continue
			}
			for i, stamp := range &part.stamp {
				if taken[stamp] {
					yield(n*chunkRows + i)
				}
			}
		}
	}
	count := 0
	each(func(int) { count++ })
	out := make([]uint32, 0, count)
	each(func(place int) { out = append(out, uint32(place)) })
	return out
}

// unset notes that there is no record at a place.
func (c *collection) unset(owned map[int]bool, place int) {
	part := c.chunk(owned, place)
	if part.size[place%chunkRows] > 0 {
		c.rows--
	}
	part.size[place%chunkRows], part.stamp[place%chunkRows] = 0, 0
}

// chunk is the one of a place, that may be written.
func (c *collection) chunk(owned map[int]bool, place int) *chunk {
	n := place / chunkRows
	if !owned[n] {
		own := *c.chunks[n]
		c.chunks[n], owned[n] = &own, true
	}
	return c.chunks[n]
}

// build renders a whole resource into a file that nobody else sees.
func build(ctx context.Context, view *store.View, r rendering) (*collection, error) {
	c, owned := &collection{version: view.Of(r.resource), ids: &ids{}}, map[int]bool{}
	return c, c.write(r, owned, func(put func(place int, values []string) error) error {
		return view.Since(ctx, r.resource, -1, put)
	})
}

// write renders the records that are put into a file that nobody else sees, which is the next
// segment.
func (c *collection) write(r rendering, owned map[int]bool,
	records func(put func(place int, values []string) error) error) error {
	file, err := os.CreateTemp("", "rollbook-edition-*")
	if err != nil {
		return fmt.Errorf("an edition cannot be made: %w", err)
	}
	_ = os.Remove(file.Name()) // a process that is killed leaves nothing
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name()) // Windows keeps it until close
	}()
	out := bufio.NewWriterSize(file, 1<<20)
	render, stamp, buf, end := r.render(), c.stamping(), []byte(nil), 0
	err = records(func(place int, values []string) error {
		buf = append(render(buf[:0], values), ',')
		c.set(owned, place, len(c.segments), end, len(buf)-1, stamp(values))
		end += len(buf)
		_, err := out.Write(buf)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("an edition cannot be made: %w", err)
	}
	text, err := mapped(file, end)
	if err != nil {
		return fmt.Errorf("an edition cannot be mapped: %w", err)
	}
	c.segments = append(slices.Clip(c.segments), text)
	return nil
}

// earlier makes the collection as it was at an earlier rev, of the one that is in a view:
// what has changed since is put back.
func (c *collection) earlier(ctx context.Context, view *store.View, r rendering, rev int64) (*collection,
	error) {
	was, owned := *c, map[int]bool{}
	was.version, was.before, was.changes = rev, 0, nil
	was.chunks, was.spans = slices.Clone(c.chunks), slices.Clone(c.spans)
	err := was.write(r, owned, func(put func(place int, values []string) error) error {
		return view.Earlier(ctx, r.resource, rev, func(place int, values []string) error {
			if values != nil {
				return put(place, values)
			}
			was.unset(owned, place)
			return nil
		})
	})
	for was.last > 0 && was.chunks[was.last/chunkRows].size[was.last%chunkRows] == 0 {
		was.last--
	}
	was.own = len(owned) * int(unsafe.Sizeof(chunk{}))
	return &was, err
}

// follow makes the collection as it is in a later view; nil where it is better built. loose is what
// one may hold in memory that is not heavy.
func (c *collection) follow(ctx context.Context, view *store.View, r rendering, loose int) (*collection,
	error) {
	changed, err := view.Changed(ctx, r.resource, c.version)
	if err != nil {
		return nil, err
	}
	if changed > followedRows+c.rows/8 || c.loose > 4*loose || len(c.segments) > 4*followedSegments {
		return nil, nil
	}
	next := *c
	next.version, next.before = view.Of(r.resource), c.version
	next.changes = make([]change, 0, changed)
	next.chunks, next.spans = slices.Clone(c.chunks), slices.Clone(c.spans)
	render, stamp, owned, text := r.render(), next.stamping(), map[int]bool{}, []byte(nil)
	err = view.Since(ctx, r.resource, c.version, func(place int, values []string) error {
		next.changes = append(next.changes, change{uint32(place), slices.Clone(values)})
		from := len(text)
		text = append(render(text, values), ',')
		next.set(owned, place, len(c.segments), from, len(text)-from-1, stamp(values))
		return nil
	})
	if err != nil {
		return nil, err
	}
	next.segments = append(slices.Clip(c.segments), &segment{text})
	next.loose += len(text)
	return &next, nil
}

// heavy tells whether the collection is to be rendered anew for what it holds in memory.
func (c *collection) heavy(loose int) bool {
	return c.loose > loose || len(c.segments) > followedSegments
}

// all are the places of every record in their order; nil where they are 1, 2, 3, ….
func (c *collection) all() []uint32 {
	if c.rows == c.last {
		return nil
	}
	out := make([]uint32, 0, c.rows)
	for n, part := range c.chunks {
		for i, size := range part.size {
			if size > 0 {
				out = append(out, uint32(n*chunkRows+i))
			}
		}
	}
	return out
}
