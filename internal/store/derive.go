package store

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"

	"rollbook/internal/oneroster"
)

// derive finds the records for which a plan changes a field that other records have a
// part in, children and agents: theirs is the time that moves with it, and nobody
// else's. Items are sorted by sourcedId, so that equal sets are equal texts. A deleted
// record is nobody's child; as an agent it is served only where it is stated.
func (p *Plan) derive(ctx context.Context, t *table) error {
	part := p.parts[t]
	if part.empty() {
		return nil
	}
	part.derived = map[int]map[string]string{}
	for _, i := range t.derived {
		part.derived[i] = map[string]string{}
		others, from := map[string][]string{}, t.Index(t.Fields[i].Inverse)
		err := p.after(ctx, t, func(values []string, stated string) error {
			id := values[oneroster.SourcedID]
			if !t.Fields[i].Symmetric() {
				stated = values[from]
			}
			targets := oneroster.Items(strings.Clone(stated)) // and not all of their row
			if len(targets) > 0 {
				id = strings.Clone(id)
			}
			for _, target := range targets {
				others[target] = append(others[target], id)
				if t.Fields[i].Symmetric() {
					others[id] = append(others[id], target)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = p.after(ctx, t, func(values []string, _ string) error {
			id := values[oneroster.SourcedID]
			if items := sortedSet(others[id]); items != values[i] {
				part.derived[i][strings.Clone(id)] = items
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setDerived writes a derived field and the change's rev.
func (c *change) setDerived(ctx context.Context, t *table, i int, items map[string]string) error {
	if len(items) == 0 {
		return nil
	}
	c.touched[t] = true
	ids := slices.Sorted(maps.Keys(items))
	for batch := range slices.Chunk(ids, 1000) {
		if _, err := c.before(ctx, t, batch); err != nil {
			return err
		}
		st := &statement{d: c.d}
		var rows []string
		for _, id := range batch {
			rows = append(rows, "("+st.text(id)+", "+st.text(items[id])+")")
		}
		text := "WITH derived(id, items) AS (VALUES " + strings.Join(rows, ", ") + ") UPDATE " + t.name +
			" SET " + quote(t.Fields[i].Name) + ` = derived.items, "rev" = ` +
			st.arg(c.rev) + ` FROM derived WHERE derived.id = ` + t.name + `."sourcedId"`
		if _, err := c.ExecContext(ctx, text, st.args...); err != nil {
			return err
		}
	}
	return nil
}

func sortedSet(ids []string) string {
	sort.Strings(ids)
	out := ids[:0]
	for i, id := range ids {
		if i == 0 || id != ids[i-1] {
			out = append(out, id)
		}
	}
	return oneroster.Join(out...)
}
