package store

import (
	"context"
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
)

// A ShrinkError is a bulk file that would retire more than was allowed.
type ShrinkError struct {
	Resource        *oneroster.Resource
	Retired, Active int
	Allowed         int // percent
}

func (e *ShrinkError) Error() string {
	return fmt.Sprintf("%s: %d of %d active records would be retired, more than %d in a hundred: nothing "+
		"was changed",
		e.Resource.Plural, e.Retired, e.Active, e.Allowed)
}

// smallResource is how many records a resource has at least for its shrinking to
// say anything.
const smallResource = 20

// shrinks tells of a bulk file that would retire too much.
func (in *importer) shrinks(active, gone int) error {
	if in.shrink == 0 || active < smallResource || 100*gone <= in.shrink*active {
		return nil
	}
	return &ShrinkError{in.table.Resource, gone, active, in.shrink}
}

// close holds what the import leaves behind to closure: no active record needs one
// that the import deleted. Demographics go with their user; any other record must
// come with the package. Gradebook objects outlive their class.
func (in *importer) close(ctx context.Context) error {
	demographics, users := tables[oneroster.ByName("demographics")], tables[oneroster.ByName("user")]
	orphans, err := in.orphans(ctx, demographics, "t.\"sourcedId\"", users)
	if err == nil {
		err = in.retire(ctx, demographics, orphans)
	}
	if err != nil {
		return err
	}
	var all []string
	for _, r := range oneroster.Resources() {
		t := tables[r]
		for i := range r.Fields {
			f := &r.Fields[i]
			if f.To == "" || f.Derived() || !f.Required || r.Gradebook {
				continue
			}
			to := tables[oneroster.ByName(f.To)]
			var ids []string
			if f.Kind == oneroster.Ref {
				ids, err = in.orphans(ctx, t, "t."+quote(f.Name), to)
			} else {
				ids, err = in.bereft(ctx, t, t.field(i), to)
			}
			if err != nil {
				return err
			}
			if len(ids) > 0 {
				all = append(all, fmt.Sprintf("it deletes %s that active %s need (%d of them, the first "+
					"is %q, by its %s): bring %s.csv up to date in the same package",
					to.Plural, r.Plural, len(ids), ids[0], f.Column(), r.Plural))
			}
		}
	}
	if len(all) > 0 {
		return &danglingError{strings.Join(all, "; ")}
	}
	return in.clear(ctx)
}

// clear takes references to what the import deleted out of active records that can
// do without. Their hash is emptied, so that a package that states them again is a
// change. In the gradebook results go with their line item, and line items move to
// another category, as where one is deleted by itself.
func (in *importer) clear(ctx context.Context) error {
	for _, r := range oneroster.Resources() {
		t := tables[r]
		for i := range r.Fields {
			f := &r.Fields[i]
			if f.To == "" || f.Derived() || f.Symmetric() || f.Required && f.Kind == oneroster.Ref {
				continue
			}
			to := tables[oneroster.ByName(f.To)]
			if !in.touched[to] {
				continue
			}
			gone := `SELECT x."sourcedId" FROM ` + to.name + ` x WHERE x."rev" = $2 AND x."status" = $3`
			from := `t.` + quote(f.Name) + ` IN (` + gone + `)`
			args := []any{oneroster.Active, in.rev, oneroster.ToBeDeleted}
			if f.Kind == oneroster.Refs {
				from = `t."sourcedId" IN (SELECT l."owner" FROM "links" l WHERE l."field" = $4 AND l."target" IN (` + gone + `))`
				args = append(args, t.field(i))
			}
			ids, err := in.list(ctx, `SELECT t."sourcedId" FROM `+t.name+` t WHERE t."status" = $1 AND `+
				from, args...)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := in.clearOne(ctx, t, i, id, to); err != nil {
					return err
				}
			}
		}
	}
	items, results := tables[oneroster.ByName("lineItem")], tables[oneroster.ByName("result")]
	orphans, err := in.orphans(ctx, results, `t."lineItem"`, items)
	if err == nil {
		err = in.retire(ctx, results, orphans)
	}
	if err != nil || !in.touched[tables[oneroster.ByName("category")]] {
		return err
	}
	gone, err := in.list(ctx, `SELECT "sourcedId" FROM "categories" WHERE "rev" = $1 AND "status" = $2`,
		in.rev, oneroster.ToBeDeleted)
	for _, category := range gone {
		if err == nil {
			err = in.recategorize(ctx, category)
		}
	}
	return err
}

// clearOne takes what is deleted out of one reference or list of references.
func (in *importer) clearOne(ctx context.Context, t *table, field int, id string, to *table) error {
	if err := in.before(ctx, t, []string{id}); err != nil {
		return err
	}
	col := quote(t.Fields[field].Name)
	var value string
	if err := in.QueryRowContext(ctx, in.d.sql("SELECT "+col+" FROM "+t.name+` WHERE "sourcedId" = $1`),
		id).Scan(&value); err != nil {
		return err
	}
	var kept []string
	for _, item := range oneroster.Items(value) {
		n := 0
		text := in.d.sql("SELECT COUNT(*) FROM " + to.name +
			` WHERE "sourcedId" = $1 AND "status" = $2 AND "rev" = $3`)
		if err := in.QueryRowContext(ctx, text, item, oneroster.ToBeDeleted, in.rev).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			kept = append(kept, item)
			continue
		}
		if t.Fields[field].Kind == oneroster.Refs {
			if err := in.exec(ctx, `DELETE FROM "links" WHERE "field" = $1 AND "owner" = $2 AND "target" = $3`, t.field(field), id, item); err != nil {
				return err
			}
		}
	}
	in.touched[t] = true
	return in.exec(ctx, "UPDATE "+t.name+" SET "+
		col+` = $1, "hash" = '', "rev" = $2 WHERE "sourcedId" = $3`, oneroster.Join(kept...), in.rev, id)
}

type danglingError struct{ text string }

func (e *danglingError) Error() string {
	return "the package would leave records that refer to nothing: " + e.text
}

// orphans are the active records whose reference, an expression, is to a record
// that this transaction deleted.
func (c *change) orphans(ctx context.Context, t *table, ref string, to *table) ([]string, error) {
	if !c.touched[to] {
		return nil, nil
	}
	return c.list(ctx, `SELECT t."sourcedId" FROM `+t.name+` t WHERE t."status" = $1 AND `+
		ref+` IN (SELECT x."sourcedId" FROM `+
		to.name+` x WHERE x."rev" = $2 AND x."status" = $3) ORDER BY t."seq"`, oneroster.Active, c.rev,
		oneroster.ToBeDeleted)
}

// bereft are the active records of whose list of references, which this transaction
// deleted one of, no other is active.
func (c *change) bereft(ctx context.Context, t *table, field string, to *table) ([]string, error) {
	if !c.touched[to] {
		return nil, nil
	}
	return c.list(ctx, `SELECT t."sourcedId" FROM `+
		t.name+` t WHERE t."status" = $1 AND t."sourcedId" IN (SELECT l."owner" FROM "links" l JOIN `+
		to.name+` x ON x."sourcedId" = l."target" WHERE l."field" = $4 AND x."rev" = $2 AND x."status" = $3) AND NOT EXISTS (SELECT 1 FROM "links" l JOIN `+
		to.name+` x ON x."sourcedId" = l."target" WHERE l."field" = $4 AND l."owner" = t."sourcedId" AND x."status" = $1) ORDER BY t."seq"`,
		oneroster.Active, c.rev, oneroster.ToBeDeleted, field)
}

func (c *change) list(ctx context.Context, text string, args ...any) (ids []string, err error) {
	err = queryAll(ctx, c.Tx, c.d.sql(text), args, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}
