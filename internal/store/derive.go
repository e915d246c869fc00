package store

import (
	"context"
	"sort"
	"strings"

	"rollbook/internal/oneroster"
)

// derive brings a field that other records have a part in up to date, children
// and agents, and moves the time of exactly the records for which it differs.
// Items are sorted by sourcedId, so that equal sets are equal texts. A deleted
// record stays as it was last served, and is nobody's child; as an agent it is
// served only where it is stated.
func (c *change) derive(ctx context.Context, t *table, i int) error {
	f := &t.Fields[i]
	from := f.Inverse
	if f.Symmetric() {
		from = "agentSourcedIds"
	}
	col, source := quote(f.Name), quote(from)
	type link struct{ stated, served string }
	records := map[string]link{}
	others := map[string][]string{}
	err := queryAll(ctx, c.Tx, c.d.sql(`SELECT "sourcedId", `+source+", "+col+" FROM "+
		t.name+` WHERE "status" = $1 AND (`+source+" <> '' OR "+col+" <> '')"),
		[]any{oneroster.Active}, func(scan func(...any) error) error {
			var id string
			var l link
			if err := scan(&id, &l.stated, &l.served); err != nil {
				return err
			}
			records[id] = l
			for _, target := range oneroster.Items(l.stated) {
				others[target] = append(others[target], id)
			}
			return nil
		})
	if err != nil {
		return err
	}
	active := func(id string) bool { _, ok := records[id]; return ok }
	var changed [][2]string
	compare := func(id string, l link) {
		want := others[id]
		if f.Symmetric() {
			want = append(append([]string(nil), want...), oneroster.Items(l.stated)...)
		}
		if text := sortedSet(want); text != l.served {
			changed = append(changed, [2]string{id, text})
		}
	}
	for id, l := range records {
		compare(id, l)
	}
	// Records that are pointed at for the first time have neither text yet.
	var bare []string
	for id := range others {
		if !active(id) {
			bare = append(bare, id)
		}
	}
	if err := c.activeOf(ctx, t, bare, func(id string) { compare(id, link{}) }); err != nil {
		return err
	}
	return c.setDerived(ctx, t, col, changed)
}

// activeOf calls each for those of ids that are stored and active.
func (c *change) activeOf(ctx context.Context, t *table, ids []string, each func(id string)) error {
	for start := 0; start < len(ids); start += 1000 {
		st := &statement{d: c.d}
		text := `SELECT "sourcedId" FROM ` + t.name + ` WHERE "status" = ` + st.arg(oneroster.Active) +
			` AND "sourcedId" IN ` + st.in(ids[start:min(start+1000, len(ids))])
		err := queryAll(ctx, c.Tx, text, st.args, func(scan func(...any) error) error {
			var id string
			if err := scan(&id); err != nil {
				return err
			}
			each(id)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setDerived writes the texts and the change's rev. changed is by sourcedId.
func (c *change) setDerived(ctx context.Context, t *table, col string, changed [][2]string) error {
	if len(changed) == 0 {
		return nil
	}
	c.touched[t] = true
	ids := make([]string, len(changed))
	for i := range changed {
		ids[i] = changed[i][0]
	}
	if err := c.before(ctx, t, ids); err != nil {
		return err
	}
	for start := 0; start < len(changed); start += 1000 {
		st := &statement{d: c.d}
		var rows []string
		for _, p := range changed[start:min(start+1000, len(changed))] {
			rows = append(rows, "("+st.text(p[0])+", "+st.text(p[1])+")")
		}
		text := "WITH derived(id, items) AS (VALUES " + strings.Join(rows, ", ") + ") UPDATE " + t.name +
			" SET " + col + ` = derived.items, "rev" = ` +
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
