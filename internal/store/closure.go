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
	return fmt.Sprintf("%s: %d of %d active records would be retired, more than %d in a hundred: nothing was changed",
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
				all = append(all, fmt.Sprintf("it deletes %s that %d active %s need (the first is %q, by its %s): bring %s.csv up to date in the same package",
					to.Plural, len(ids), r.Plural, ids[0], f.Column(), r.Plural))
			}
		}
	}
	if len(all) > 0 {
		return &danglingError{strings.Join(all, "; ")}
	}
	return nil
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
	return c.list(ctx, `SELECT t."sourcedId" FROM `+t.name+` t WHERE t."status" = $1 AND `+ref+` IN (SELECT x."sourcedId" FROM `+
		to.name+` x WHERE x."rev" = $2 AND x."status" = $3) ORDER BY t."seq"`, oneroster.Active, c.rev, oneroster.ToBeDeleted)
}

// bereft are the active records of whose list of references, which this transaction
// deleted one of, no other is active.
func (c *change) bereft(ctx context.Context, t *table, field string, to *table) ([]string, error) {
	if !c.touched[to] {
		return nil, nil
	}
	return c.list(ctx, `SELECT t."sourcedId" FROM `+t.name+` t WHERE t."status" = $1 AND t."sourcedId" IN (SELECT l."owner" FROM "links" l JOIN `+
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
