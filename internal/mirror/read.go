package mirror

import (
	"context"
	"database/sql"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// Each streams the active objects that the mirror shows, by their ids.
func (m *Mirror) Each(ctx context.Context, r *oneroster.Resource, yield func(wire.Object) error) error {
	var body sql.RawBytes
	for err := range rows(m.db.QueryContext(ctx, "SELECT body FROM "+table(r)+" WHERE pull = "+
		liveOf+" AND status <> 'tobedeleted' ORDER BY id", r.Plural))(&body) {
		var o wire.Object
		if err == nil {
			o, err = object(body)
		}
		if err == nil {
			err = yield(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func object(body []byte) (wire.Object, error) {
	v, err := wire.Decode(body)
	o, _ := v.(map[string]any)
	return o, err
}

// One is an object that the mirror shows, deleted or not; nil when there is none.
func (m *Mirror) One(ctx context.Context, r *oneroster.Resource, id string) (wire.Object, error) {
	var body []byte
	err := read(m.db.QueryRowContext(ctx, "SELECT body FROM "+table(r)+" WHERE pull = "+liveOf+" AND id = ?",
		r.Plural, id), &body)
	if err != nil || body == nil {
		return nil, err
	}
	return object(body)
}

// Differ lists up to most ids of active objects that the mirror shows otherwise
// than the pull under way gathered them, or that only one of the two has; n is
// how many there are.
func (m *Mirror) Differ(ctx context.Context, r *oneroster.Resource, most int) (ids []string, n int,
	err error) {
	name := table(r)
	var id string
	for err := range rows(m.db.QueryContext(ctx, `SELECT o.id FROM `+name+` o
		LEFT JOIN `+name+` n ON n.id = o.id AND n.pull = `+gathering+` AND n.status <> 'tobedeleted'
		WHERE o.pull = `+liveOf+` AND o.status <> 'tobedeleted' AND (n.id IS NULL OR n.body <> o.body)
		UNION ALL SELECT n.id FROM `+name+` n
		LEFT JOIN `+name+` o ON o.id = n.id AND o.pull = `+liveOf+` AND o.status <> 'tobedeleted'
		WHERE n.pull = `+gathering+` AND n.status <> 'tobedeleted' AND o.id IS NULL ORDER BY 1`,
		r.Plural))(&id) {
		if err != nil {
			return nil, 0, err
		}
		if n++; n <= most {
			ids = append(ids, id)
		}
	}
	return ids, n, nil
}

// GatheredIDs are the ids of the objects of the pull under way.
func (m *Mirror) GatheredIDs(ctx context.Context, r *oneroster.Resource) ([]string, error) {
	return texts(m.db.QueryContext(ctx, "SELECT id FROM "+table(r)+" WHERE pull = "+gathering+" ORDER BY id"))
}

// texts reads rows of one text each.
func texts(answer *sql.Rows, err error) (out []string, _ error) {
	var text string
	for err := range rows(answer, err)(&text) {
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// Walked tells with which dateLastModified a walk of the pull under way brought the
// objects of these ids: several where objects share one, nothing for one that did not come.
func (m *Mirror) Walked(ctx context.Context, c Cursor, ids []string) (map[string][]string, error) {
	var pull int64
	if err := m.db.QueryRowContext(ctx, "SELECT "+gathering).Scan(&pull); err != nil {
		return nil, err
	}
	// One range of the index, for the id and its twins: an OR alone can make SQLite read the whole
	// pull.
	of, err := m.db.PrepareContext(ctx, "SELECT modified FROM "+table(c.Resource)+
		" WHERE pull = ?1 AND id >= ?2 AND id < ?2 || ?3 || ':' AND (id = ?2 OR id > ?2 || ?3) AND walk = ?4")
	if err != nil {
		return nil, err
	}
	defer of.Close()
	out := make(map[string][]string, len(ids))
	for _, id := range ids {
		stamps, err := texts(of.QueryContext(ctx, pull, id, Twin, c.Walk))
		if err != nil {
			return nil, err
		}
		if len(stamps) > 0 {
			out[id] = stamps
		}
	}
	return out, nil
}

// Shows tells whether the mirror shows an object with this dateLastModified, to
// the millisecond.
func (m *Mirror) Shows(ctx context.Context, r *oneroster.Resource, stamp string) (there bool, err error) {
	upTo := strings.TrimSuffix(stamp, "Z")
	err = m.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+table(r)+" WHERE pull = "+
		liveOf+" AND modified >= ? AND modified < ? || '~')", r.Plural, upTo, upTo).Scan(&there)
	return there, err
}
