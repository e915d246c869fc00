package store

import (
	"container/list"
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"sync"

	"rollbook/internal/oneroster"
)

const (
	// every so many rows a boundary is kept, so that no page skips more.
	boundaryEvery = 1000
	// sets up to this size are sorted whole: an index on the filter beats a walk
	// in the order of the list.
	smallSet = 5000
	// keptSets bounds the cache; a set of a million rows has a thousand boundaries.
	keptSets = 256
)

// A set is what one condition selects in one order, at one version of the data:
// how many rows, and where every thousandth lies, so that every page costs the
// same and a total is counted once.
type set struct {
	key        string
	version    int64
	total      int
	boundaries []boundary
}

// A boundary is the place of row n×boundaryEvery: its sort value and its seq.
type boundary struct {
	value any
	seq   int64
}

// pageCache keeps the sets that were read last.
type pageCache struct {
	mu   sync.Mutex
	sets map[string]*list.Element
	used *list.List
	// making are the keys of the sets that a reader is at work on.
	making map[string]chan struct{}
}

func newPageCache() *pageCache {
	return &pageCache{sets: map[string]*list.Element{}, used: list.New(), making: map[string]chan struct{}{}}
}

func (c *pageCache) get(key string, version int64) (set, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.sets[key]
	if !ok || e.Value.(set).version != version {
		return set{}, false
	}
	c.used.MoveToFront(e)
	return e.Value.(set), true
}

func (c *pageCache) put(s set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.sets[s.key]; ok {
		e.Value = s
		c.used.MoveToFront(e)
		return
	}
	c.sets[s.key] = c.used.PushFront(s)
	if c.used.Len() > keptSets {
		last := c.used.Back()
		delete(c.sets, last.Value.(set).key)
		c.used.Remove(last)
	}
}

// make waits for the turn to make the set of a key; done ends it.
func (c *pageCache) make(ctx context.Context, key string) (done func(), err error) {
	for {
		c.mu.Lock()
		other := c.making[key]
		if other == nil {
			mine := make(chan struct{})
			c.making[key] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.making, key)
				c.mu.Unlock()
				close(mine)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A page is the statement that reads it, and the total of its set.
type page struct {
	sql   string
	args  []any
	total int
	rev   int64 // the last change in what the route selects from
}

// page prepares the read of one page in the snapshot of tx, which is at some versions.
func (s *Store) page(ctx context.Context, tx *sql.Tx, at *Versions, t *table, sel Selection) (page, error) {
	st := &statement{d: s.dialect}
	where, err := st.where(t, sel)
	if err != nil {
		return page{}, err
	}
	version := at.Of(resourcesOf(sel.Route)...)
	order := t.sortKey(sel)
	skip := sel.Query.Offset
	key := setKey(t, where, st.args, order, sel.Query.Desc)
	found, ok := s.pages.get(key, version)
	if !ok || skip >= boundaryEvery && skip < found.total && found.boundaries == nil {
		// One reader makes a set; those that come meanwhile wait for it.
		done, err := s.pages.make(ctx, key)
		if err != nil {
			return page{}, err
		}
		defer done()
		found, ok = s.pages.get(key, version)
	}
	if !ok {
		found = set{key: key, version: version}
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t.name+" t WHERE "+where,
			st.args...).Scan(&found.total); err != nil {
			return page{}, err
		}
	}
	if skip >= boundaryEvery && skip < found.total && found.boundaries == nil {
		if found.boundaries, err = s.boundaries(ctx, tx, t, where, st.args, order,
			sel.Query.Desc); err != nil {
			return page{}, err
		}
	}
	s.pages.put(found)

	if n := skip / boundaryEvery; n > 0 && n < len(found.boundaries) {
		where = st.from(where, found.boundaries[n], order, sel.Query.Desc)
		skip -= n * boundaryEvery
	}
	text := "SELECT " + t.selects + " FROM " + t.name + " t WHERE " + where +
		" ORDER BY " + orderBy(order, sel.Query.Desc, where != always && found.total <= smallSet) +
		" LIMIT " + strconv.Itoa(sel.Query.Limit)
	if skip > 0 {
		text += " OFFSET " + strconv.Itoa(skip)
	}
	return page{sql: text, args: st.args, total: found.total, rev: version}, nil
}

// sortKey is the expression that a list is sorted by, "" for the default order.
func (t *table) sortKey(sel Selection) string {
	f := sel.Query.Sort
	switch {
	case f == nil || f.Kind == oneroster.Metadata:
		return ""
	case f.Name == "dateLastModified":
		return `t."rev"`
	case f.Kind == oneroster.Number: // absent first
		return "COALESCE(t." + quote(f.Name) + ", -1.7976931348623157e308)"
	}
	return "t." + quote(f.Name)
}

// orderBy ends with seq, so that no two rows are equal. whole keeps the engine
// from walking the table in the order of seq to save a sort.
func orderBy(key string, desc, whole bool) string {
	seq := `t."seq"`
	if whole {
		seq = `t."seq" + 0`
	}
	switch {
	case key == "":
		return seq // orderBy without sort says nothing
	case desc:
		return key + " DESC, " + seq
	}
	return key + ", " + seq
}

func setKey(t *table, where string, args []any, order string, desc bool) string {
	return fmt.Sprintf("%s\x00%s\x00%q\x00%s\x00%t", t.name, where, args, order, desc)
}

// boundaries finds the place of every thousandth row in one scan.
func (s *Store) boundaries(ctx context.Context, tx *sql.Tx, t *table, where string, args []any,
	order string, desc bool) ([]boundary, error) {
	value := order
	if value == "" {
		value = `t."seq"`
	}
	rows, err := tx.QueryContext(ctx, `SELECT v, q FROM (SELECT `+
		value+` AS v, t."seq" AS q, row_number() OVER (ORDER BY `+orderBy(order, desc, false)+
		`) AS n FROM `+t.name+" t WHERE "+where+") numbered WHERE n % "+strconv.Itoa(boundaryEvery)+
		" = 1 ORDER BY n", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []boundary
	for rows.Next() {
		var b boundary
		if err := rows.Scan(&b.value, &b.seq); err != nil {
			return nil, err
		}
		if raw, ok := b.value.([]byte); ok {
			b.value = string(raw)
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// from narrows a condition to the rows from a boundary on.
func (st *statement) from(where string, b boundary, order string, desc bool) string {
	seq := `t."seq" >= ` + st.arg(b.seq)
	if order == "" {
		return where + " AND " + seq
	}
	value := st.arg(b.value)
	if _, number := b.value.(float64); number {
		value = "CAST(" + value + " AS DOUBLE PRECISION)"
	}
	beyond := " > "
	if desc {
		beyond = " < "
	}
	return where + " AND (" + order + beyond + value + " OR " + order + " = " + value + " AND " + seq + ")"
}
