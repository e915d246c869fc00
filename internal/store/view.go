package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// Versions tell the last change (rev) of a district and of each resource.
type Versions struct {
	Rev int64
	of  map[string]int64
}

// Of is the last change in any of some resources; 0 where there is none.
func (v *Versions) Of(resources ...*oneroster.Resource) (rev int64) {
	for _, r := range resources {
		rev = max(rev, v.of[r.Plural])
	}
	return rev
}

// Versions asks what the last change is. It is asked by every request: where nothing has
// changed since last, that is returned.
func (s *Store) Versions(ctx context.Context, last *Versions) (*Versions, error) {
	if last != nil {
		if now, err := s.last(ctx); err != nil || now.rev == last.Rev {
			return last, err
		}
	}
	return versionsOf(ctx, s.read)
}

// querier is what a pool and a transaction can both do.
type querier interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

func versionsOf(ctx context.Context, from querier) (*Versions, error) {
	out := &Versions{of: map[string]int64{}}
	rows, err := from.QueryContext(ctx, `SELECT c."rev", COALESCE(v."resource", ''), COALESCE(v."rev", 0)
		FROM "clock" c LEFT JOIN "versions" v ON 1 = 1 WHERE c."id" = 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var resource string
		var rev int64
		if err := rows.Scan(&out.Rev, &resource, &rev); err != nil {
			return nil, err
		}
		out.of[resource] = rev
	}
	return out, rows.Err()
}

// Asked tells what a selection asks, without its page and fields: two of one text select
// the same records in the same order. On are the resources that it hangs on; whole says
// that it is all records in the order of the list.
func (s *Store) Asked(sel Selection) (text string, on []*oneroster.Resource, whole bool, err error) {
	t := tables[sel.Route.Resource]
	st := &statement{d: s.dialect}
	where, err := st.where(t, sel)
	order := t.sortKey(sel)
	return setKey(t, where, st.args, order, sel.Query.Desc), resourcesOf(sel.Route),
		where == always && order == "", err
}

// resourcesOf are those whose records decide what a route selects, its own first.
func resourcesOf(r *oneroster.Route) []*oneroster.Resource {
	out := []*oneroster.Resource{r.Resource}
	if th := r.Scope.Through; th != nil {
		out = append(out, oneroster.ByName(th.Resource))
	}
	if p := r.Scope.Parent; p != nil {
		out = append(out, oneroster.ByName(p.Resource))
	}
	return out
}

// A View is one state of the district, for who keeps a copy of what is served.
type View struct {
	*Versions
	s  *Store
	tx *sql.Tx
}

// View lets do look at one state of the district, at least as late as the last change of
// some resources, or of any where none is named. ErrStandby: it ended in between, and is to be
// begun again under FromPrimary.
func (s *Store) View(ctx context.Context, do func(*View) error, of ...*oneroster.Resource) error {
	return s.reading(ctx, of, func(tx *sql.Tx, at *Versions) error { return do(&View{at, s, tx}) })
}

// Changed counts the records of a resource that were changed after a rev.
func (v *View) Changed(ctx context.Context, r *oneroster.Resource, after int64) (n int, err error) {
	err = v.tx.QueryRowContext(ctx, v.s.sql(`SELECT COUNT(*) FROM `+tables[r].name+` WHERE "rev" > $1`),
		after).Scan(&n)
	return n, err
}

// Last is the place (seq) of the last record of a resource; 0 where there is none.
func (v *View) Last(ctx context.Context, r *oneroster.Resource) (place int, err error) {
	err = v.tx.QueryRowContext(ctx, `SELECT COALESCE(MAX("seq"), 0) FROM `+tables[r].name).Scan(&place)
	return place, err
}

// Since yields the records of a resource that were changed after a rev, each with its
// place, in the order of the list. Values are canonical, as List's, and valid only during
// the call.
func (v *View) Since(ctx context.Context, r *oneroster.Resource, after int64,
	yield func(place int, values []string) error) error {
	t := tables[r]
	rows, err := v.tx.QueryContext(ctx, v.s.sql(`SELECT t."seq", `+t.selects+" FROM "+t.name+
		` t WHERE t."rev" > $1 ORDER BY t."seq"`), after)
	if err != nil {
		return err
	}
	defer rows.Close()
	var place int
	values, into := t.scanner()
	into = append([]any{&place}, into...)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := yield(place, values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Places are those of the records that a selection selects, page and fields aside, in its
// order; not nil where there are none.
func (v *View) Places(ctx context.Context, sel Selection) ([]uint32, error) {
	t := tables[sel.Route.Resource]
	st := &statement{d: v.s.dialect}
	where, err := st.where(t, sel)
	if err != nil {
		return nil, err
	}
	// One long text: a row for each place costs more. In the order of the list the places
	// rise, which is quicker seen here.
	order, by := t.sortKey(sel), ""
	if order != "" {
		by = " ORDER BY " + orderBy(order, sel.Query.Desc, false)
	}
	var text sql.NullString
	err = v.tx.QueryRowContext(ctx, `SELECT string_agg(CAST(t."seq" AS TEXT), ','`+by+") FROM "+t.name+
		" t WHERE "+where, st.args...).Scan(&text)
	if err != nil || text.String == "" {
		return []uint32{}, err
	}
	out := make([]uint32, 0, strings.Count(text.String, ",")+1)
	for rest, more := text.String, true; more; {
		var one string
		one, rest, more = strings.Cut(rest, ",")
		n, err := strconv.ParseUint(one, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the place of a record: %w", err)
		}
		out = append(out, uint32(n))
	}
	if order == "" {
		slices.Sort(out)
	}
	return out, nil
}

// Selects makes the function that tells whether a selection selects a record, as Places
// does; nil where other records have a part in that.
func (s *Store) Selects(sel Selection) func(values []string) bool {
	r := sel.Route
	if r.Scope.Through != nil || r.Scope.Parent != nil {
		return nil
	}
	return func(values []string) bool {
		return selectsAlone(sel, oneroster.Record{Resource: r.Resource, Values: values})
	}
}

// ByStamps is Selects of a selection that looks at nothing of a record but its status and
// dateLastModified, in the order of the list; nil where it looks at more.
func (s *Store) ByStamps(sel Selection) func(values []string) bool {
	r := sel.Route
	if r.Nested() || r.View.Field != "" || sel.Query.Sort != nil || !stampsOnly(sel.Query.Filter) {
		return nil
	}
	return s.Selects(sel)
}

func stampsOnly(e query.Expr) bool {
	if e.Field != nil && e.Field.Name != "status" && e.Field.Name != "dateLastModified" {
		return false
	}
	return !slices.ContainsFunc(e.Args, func(arg query.Expr) bool { return !stampsOnly(arg) })
}

// selectsAlone tells whether a selection selects a record, the part of others in that aside.
func selectsAlone(sel Selection, rec oneroster.Record) bool {
	r := sel.Route
	if r.View.Field != "" && rec.Get(r.View.Field) != r.View.Value ||
		r.Resource.Gradebook && !shown(sel) && rec.Get("status") != oneroster.Active {
		return false
	}
	for _, m := range r.Scope.By {
		if !matches(rec, m, sel.Vars) {
			return false
		}
	}
	return query.Match(sel.Query.Filter, rec)
}

// matches is match of a statement, in memory.
func matches(rec oneroster.Record, m oneroster.Match, vars map[string]string) bool {
	want := m.Value
	if m.Var != "" {
		want = vars[m.Var]
	}
	if key, ok := strings.CutPrefix(m.Field, "metadata."); ok {
		members := oneroster.FlattenMetadata(rec.Get("metadata"))
		at := slices.IndexFunc(members, func(p oneroster.Pair) bool { return p.Key == key })
		return at < 0 || members[at].Text == "" || members[at].Text == want
	}
	if rec.Resource.Field(m.Field).Kind == oneroster.Refs {
		return slices.Contains(oneroster.Items(rec.Get(m.Field)), want)
	}
	return rec.Get(m.Field) == want
}
