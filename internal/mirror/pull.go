package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// A Cursor is where one path of the pull under way stands.
type Cursor struct {
	Path      string // of the collection: /users, /schools/s1/users
	Resource  *oneroster.Resource
	Filter    string // that it is read with; "" begins a new one
	Offset    int    // of the next page
	Walk      int    // how often it was begun anew
	Began     string // the provider's clock at the first answer of all walks; "" when it tells none
	Asked     string // our clock before the first request of all walks
	WalkBegan string // the provider's at the first answer of this walk
	WalkAsked string // ours before the first request of this walk
	Greatest  string // greatest dateLastModified that came, those of the future left out
	Total     int    // X-Total-Count of the latest page; -1 when there was none
	Moved     bool   // X-Total-Count was another before in this walk
	Mark      string // where the next delta begins, once it is done
	Done      bool
}

const cursorColumns = "filter, offset, walk, began, asked, greatest, walkbegan, walkasked, total, moved, " +
	"mark, done"

// columns are where the values of cursorColumns stand.
func (c *Cursor) columns() []any {
	return []any{&c.Filter, &c.Offset, &c.Walk, &c.Began, &c.Asked, &c.Greatest, &c.WalkBegan, &c.WalkAsked,
		&c.Total, &c.Moved, &c.Mark, &c.Done}
}

// Resume makes the pull with this key (kind, page size) the one under way. It
// returns true when it goes on with what an earlier run gathered; what was
// gathered under another key is thrown away.
func (m *Mirror) Resume(ctx context.Context, key string) (resumed bool, err error) {
	err = m.write(ctx, func(tx *sql.Tx) error {
		was, err := fact(ctx, tx, "pull key")
		if err != nil || was == key {
			resumed = was == key
			return err
		}
		if was != "" {
			if err := m.discard(ctx, tx); err != nil {
				return err
			}
		}
		n, err := fact(ctx, tx, "pull")
		if err != nil {
			return err
		}
		number, _ := strconv.Atoi(n) // "" begins at 0
		if err := setFact(ctx, tx, "pull", strconv.Itoa(number+1)); err != nil {
			return err
		}
		return setFact(ctx, tx, "pull key", key)
	})
	return resumed, err
}

// Pending is the key of a pull that an earlier run left unfinished, or "".
func (m *Mirror) Pending(ctx context.Context) (key string, err error) {
	err = read(m.db.QueryRowContext(ctx, "SELECT value FROM facts WHERE name = 'pull key'"), &key)
	return key, err
}

// Discard throws away what the pull under way gathered.
func (m *Mirror) Discard(ctx context.Context) error {
	return m.write(ctx, func(tx *sql.Tx) error { return m.discard(ctx, tx) })
}

func (m *Mirror) discard(ctx context.Context, tx *sql.Tx) error {
	for _, r := range collections() {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table(r)+" WHERE pull = "+
			gathering+" AND pull NOT IN (SELECT pull FROM live)"); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM cursors"); err != nil {
		return err
	}
	return setFact(ctx, tx, "pull key", "")
}

// gathering is the number of the pull under way.
const gathering = "(SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'pull')"

// liveOf is the number of the pull that the mirror shows of a collection, the first argument.
const liveOf = "(SELECT pull FROM live WHERE collection = ?1)"

// Cursor is where a path stands; one that was not begun has no filter.
func (m *Mirror) Cursor(ctx context.Context, path string, r *oneroster.Resource) (Cursor, error) {
	c := Cursor{Path: path, Resource: r, Total: -1}
	err := read(m.db.QueryRowContext(ctx, "SELECT "+cursorColumns+" FROM cursors WHERE path = ?", path),
		c.columns()...)
	return c, err
}

// Nameless begins the key of an object without a sourcedId.
const Nameless = "\x01"

// Twin stands in the key of an object whose sourcedId another one has, behind
// that id.
const Twin = "\x02"

// IsID tells whether the key of an object is its sourcedId, by which a provider can be asked for it.
func IsID(key string) bool { return !strings.HasPrefix(key, Nameless) && !strings.Contains(key, Twin) }

// Gather keeps a page of the pull under way, and where it goes on, in one
// transaction. Objects without a sourcedId are kept under their place, and of
// those that share one both: a judge wants to see them. An object that comes
// again on a later page is kept beside the first when apart says so, and it is
// not the same one as before, which a list that moves gives twice.
func (m *Mirror) Gather(ctx context.Context, c Cursor, first int, objects []wire.Object, apart bool) error {
	return m.write(ctx, func(tx *sql.Tx) error {
		if len(objects) == 0 {
			return setCursor(ctx, tx, c)
		}
		var pull int64
		if err := tx.QueryRowContext(ctx, "SELECT "+gathering).Scan(&pull); err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, "INSERT INTO "+table(c.Resource)+
			" (pull, id, status, modified, body, walk) VALUES (?, ?, ?, ?, ?, ?) "+
			"ON CONFLICT (pull, id) DO UPDATE SET status = excluded.status, modified = excluded.modified, "+
			"body = excluded.body, walk = excluded.walk")
		if err != nil {
			return err
		}
		defer insert.Close()
		another, err := tx.PrepareContext(ctx, "SELECT body <> ? FROM "+table(c.Resource)+
			" WHERE pull = ? AND id = ? AND walk = ?")
		if err != nil {
			return err
		}
		defer another.Close()
		onPage := map[string]bool{}
		for i, o := range objects {
			id, body := o.ID(), o.Canonical()
			if id == "" {
				id = fmt.Sprint(Nameless, first+i)
			}
			key := id
			for n := 1; ; n++ {
				taken := onPage[key]
				if !taken && apart {
					err := read(another.QueryRowContext(ctx, body, pull, key, c.Walk), &taken)
					if err != nil {
						return err
					}
				}
				if !taken {
					break
				}
				key = fmt.Sprint(id, Twin, n)
			}
			onPage[key] = true
			status := o.Text("status")
			if o.Deleted() { // in whatever letters
				status = oneroster.ToBeDeleted
			}
			if _, err := insert.ExecContext(ctx, pull, key, status, o.Text("dateLastModified"), body,
				c.Walk); err != nil {
				return err
			}
		}
		return setCursor(ctx, tx, c)
	})
}

func setCursor(ctx context.Context, tx *sql.Tx, c Cursor) error {
	columns := c.columns()
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO cursors (path, collection, "+cursorColumns+
		") VALUES (?, ?"+strings.Repeat(", ?", len(columns))+")",
		append([]any{c.Path, c.Resource.Plural}, columns...)...)
	return err
}

// Again begins a walk anew; clean throws away what earlier walks gathered.
func (m *Mirror) Again(ctx context.Context, c Cursor, clean bool) error {
	if !clean {
		return m.write(ctx, func(tx *sql.Tx) error { return setCursor(ctx, tx, c) })
	}
	return m.drop(ctx, c, "TRUE")
}

// Settle ends the walks of a path that holds a whole collection. Of one that
// held still only what the last walk brought is kept; of one that did not, what
// any brought, but nothing twice.
func (m *Mirror) Settle(ctx context.Context, c Cursor, still bool) error {
	if still {
		return m.drop(ctx, c, "walk <> ?", c.Walk)
	}
	return m.drop(ctx, c, "instr(id, '"+Twin+"') > 0")
}

// drop throws away some of what was gathered of a collection.
func (m *Mirror) drop(ctx context.Context, c Cursor, which string, args ...any) error {
	return m.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			"DELETE FROM "+table(c.Resource)+" WHERE pull = "+gathering+" AND "+which, args...)
		if err != nil {
			return err
		}
		return setCursor(ctx, tx, c)
	})
}

// WalkedSince counts the objects that a walk of the pull under way brought, and those
// of them whose dateLastModified is later than a stamp, or is it.
func (m *Mirror) WalkedSince(ctx context.Context, c Cursor, stamp string) (rows, since int, err error) {
	err = m.db.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(modified >= ?), 0) FROM "+
		table(c.Resource)+" WHERE pull = "+gathering+" AND walk = ?", stamp, c.Walk).Scan(&rows, &since)
	return rows, since, err
}

// Named counts the different ids of the pull under way, whichever walk brought them.
func (m *Mirror) Named(ctx context.Context, r *oneroster.Resource) (n int, err error) {
	err = m.db.QueryRowContext(ctx, "SELECT count(*) FROM "+table(r)+" WHERE pull = "+gathering+
		" AND instr(id, '"+Twin+"') = 0").Scan(&n)
	return n, err
}

// Gathered counts the objects of the pull under way, and those of them that are
// active.
func (m *Mirror) Gathered(ctx context.Context, r *oneroster.Resource) (rows, active int, err error) {
	err = m.db.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(status <> 'tobedeleted'), 0) FROM "+
		table(r)+" WHERE pull = "+gathering).Scan(&rows, &active)
	return rows, active, err
}

// Active counts the active objects that the mirror shows.
func (m *Mirror) Active(ctx context.Context, r *oneroster.Resource) (n int, err error) {
	err = m.db.QueryRowContext(ctx, "SELECT count(*) FROM "+table(r)+" WHERE pull = "+
		liveOf+" AND status <> 'tobedeleted'", r.Plural).Scan(&n)
	return n, err
}

// Watermark is where the next delta of a collection begins; "" when it has never
// been read whole, or the provider told no time.
func (m *Mirror) Watermark(ctx context.Context, r *oneroster.Resource) (mark string, err error) {
	err = read(m.db.QueryRowContext(ctx, "SELECT watermark FROM live WHERE collection = ?", r.Plural), &mark)
	return mark, err
}

// A Gathering is one collection that is about to become the mirror.
type Gathering struct {
	Resource  *oneroster.Resource
	Delta     bool   // what came is added to the mirror; else it replaces it
	Watermark string // of the next delta
}

// Change counts what a pull did to a collection of the mirror.
type Change struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Same    int `json:"same"`
	Retired int `json:"retired"`
}

// Publish makes the pull under way the mirror, all collections at once.
func (m *Mirror) Publish(ctx context.Context, of []Gathering) (map[*oneroster.Resource]Change, error) {
	out := map[*oneroster.Resource]Change{}
	return out, m.write(ctx, func(tx *sql.Tx) error {
		for _, g := range of {
			var err error
			if out[g.Resource], err = compare(ctx, tx, g); err != nil {
				return err
			}
			if err := publish(ctx, tx, g); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM cursors"); err != nil {
			return err
		}
		return setFact(ctx, tx, "pull key", "")
	})
}

// Compare counts what publishing a collection would do.
func (m *Mirror) Compare(ctx context.Context, g Gathering) (Change, error) {
	return compare(ctx, m.db, g)
}

// asked is the file, or a transaction of it.
type asked interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func compare(ctx context.Context, in asked, g Gathering) (Change, error) {
	var c Change
	name := table(g.Resource)
	err := in.QueryRowContext(ctx, `SELECT
		coalesce(sum(n.status <> 'tobedeleted' AND (o.id IS NULL OR o.status = 'tobedeleted')), 0),
		coalesce(sum(n.status <> 'tobedeleted' AND o.status <> 'tobedeleted' AND n.body <> o.body), 0),
		coalesce(sum(o.id IS NOT NULL AND n.body = o.body), 0),
		coalesce(sum(n.status = 'tobedeleted' AND o.status <> 'tobedeleted'), 0)
		FROM `+name+` n LEFT JOIN `+name+` o ON o.id = n.id AND o.pull = `+liveOf+`
		WHERE n.pull = `+gathering, g.Resource.Plural).
		Scan(&c.Added, &c.Changed, &c.Same, &c.Retired)
	if err != nil || g.Delta {
		return c, err
	}
	var gone int
	err = in.QueryRowContext(ctx, `SELECT count(*)
		FROM `+name+` o LEFT JOIN `+name+` n ON n.id = o.id AND n.pull = `+gathering+`
		WHERE o.pull = `+liveOf+` AND o.status <> 'tobedeleted' AND n.id IS NULL`,
		g.Resource.Plural).Scan(&gone)
	c.Retired += gone
	return c, err
}

func publish(ctx context.Context, tx *sql.Tx, g Gathering) error {
	name, live := table(g.Resource), gathering
	text := "DELETE FROM " + name + " WHERE pull <> " + gathering + ";"
	if g.Delta {
		live = liveOf
		// Of an id that two had, the delta tells which still do.
		text = `DELETE FROM ` + name + ` WHERE pull = ` + liveOf + ` AND instr(id, '` + Twin +
			`') > 0 AND substr(id, 1, instr(id, '` + Twin + `') - 1) IN (SELECT id FROM ` + name +
			` WHERE pull = ` + gathering + `);
			INSERT INTO ` + name + ` (pull, id, status, modified, body) SELECT ` + liveOf +
			`, id, status, modified, body FROM ` + name + ` WHERE pull = ` + gathering +
			` ON CONFLICT (pull, id) DO UPDATE
			SET status = excluded.status, modified = excluded.modified, body = excluded.body;
			DELETE FROM ` + name + ` WHERE pull <> ` + liveOf + `;`
	}
	_, err := tx.ExecContext(ctx, text+"INSERT INTO live VALUES (?1, "+live+
		", ?2) ON CONFLICT DO UPDATE SET pull = excluded.pull, watermark = excluded.watermark",
		g.Resource.Plural, g.Watermark)
	return err
}
