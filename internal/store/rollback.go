package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"rollbook/internal/oneroster"
)

// PlanRollback is Plan for the district as a change (rev) left it: what publications
// have changed since is undone, what clients have written since stays. *NotKept when
// the journal does not go back to it.
func (s *Store) PlanRollback(ctx context.Context, rev int64, judge func(*Plan) error) (*Plan, error) {
	return s.plan(ctx, ImportOptions{Closed: true}, judge, func(p *Plan) error {
		var first int64
		var begins string
		err := p.tx.QueryRowContext(ctx, `SELECT "rev", "stamp" FROM "causes" ORDER BY "rev" LIMIT 1`).
			Scan(&first, &begins)
		if err == nil && rev < first {
			err = &NotKept{begins}
		}
		if err != nil {
			return err
		}
		byClient, err := s.byClients(ctx, p.tx, rev)
		if err != nil {
			return err
		}
		for _, r := range oneroster.Resources() {
			p.modes[r] = oneroster.Delta
			if err := p.undo(ctx, tables[r], rev, byClient); err != nil {
				return fmt.Errorf("%s: %w", r.Plural, err)
			}
			if err := p.close(ctx, tables[r]); err != nil {
				return err
			}
		}
		return nil
	})
}

// byClients are the changes after a rev that clients made.
func (s *Store) byClients(ctx context.Context, tx *sql.Tx, rev int64) (map[int64]bool, error) {
	out := map[int64]bool{}
	text := s.sql(`SELECT "rev" FROM "causes" WHERE "rev" > $1 AND "cause" LIKE 'client %'`)
	err := queryAll(ctx, tx, text, []any{rev}, func(scan func(...any) error) error {
		var rev int64
		err := scan(&rev)
		out[rev] = true
		return err
	})
	return out, err
}

// undo plans what one table loses and gets back.
func (p *Plan) undo(ctx context.Context, t *table, rev int64, byClient map[int64]bool) error {
	states := map[string][]version{} // what a record was since the rev, the earliest first
	err := versions(ctx, p.tx, p.s.engine, t, rev, func(v version) error {
		id := v.values[oneroster.SourcedID]
		states[id] = append(states[id], v)
		return nil
	})
	if err != nil {
		return err
	}
	var changed []string
	text := p.s.sql(`SELECT t."sourcedId" FROM ` + t.name + ` t WHERE t."rev" > $1 ORDER BY t."seq"`)
	err = queryAll(ctx, p.tx, text, []any{rev}, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		changed = append(changed, id)
		return err
	})
	if err != nil {
		return err
	}
	part, count := p.parts[t], Counts{}
	for ids := range slices.Chunk(changed, 500) {
		stored, err := p.storedOf(ctx, t, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			now := stored[id]
			// Whether an import brought the last does not count: what is as it is now is not written.
			last := version{origin: origin{rev: now.rev, stated: now.stated}, values: now.values}
			then := wanted(append(states[id], last), rev, byClient)
			switch {
			case then == nil || then.values[oneroster.Status] != oneroster.Active:
				if now.active() {
					count.Retired++
					part.retire(id)
				}
				continue
			}
			next := t.rowOf(then, now)
			switch {
			case !now.active() || next.hash != t.contentHash(now.values):
				count.Changed++
				if err := p.write(part, next); err != nil {
					return err
				}
			case next.stated != now.stated:
				part.restated[id] = next.stated
			default:
				count.Same++
			}
		}
	}
	if count != (Counts{}) {
		p.Counts[t.Resource] = count
	}
	return nil
}

// wanted is the last state that a client made, or else the one at a rev; nil where
// there was none.
func wanted(states []version, rev int64, byClient map[int64]bool) (then *version) {
	for i := range states {
		if i == 0 && states[i].rev <= rev || byClient[states[i].rev] {
			then = &states[i]
		}
	}
	return then
}

// rowOf makes the row that a record was, in the place of the one that is stored.
func (t *table) rowOf(then *version, now *row) *row {
	r := &row{values: slices.Clone(then.values), seq: now.seq, imported: now.imported, stated: then.stated}
	if then.imported >= 0 {
		r.imported = then.imported == 1
	}
	for _, i := range t.derived {
		if t.Fields[i].Symmetric() && then.imported < 0 { // it was not kept; this is no less
			r.stated = r.values[i]
		}
		r.values[i] = ""
	}
	r.hash = t.contentHash(r.values)
	return r
}
