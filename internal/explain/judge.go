package explain

import (
	"context"
	"slices"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// judge finds what School Data Sync says of the record and of what it leans on. The others in its
// classes, and who shares its addresses, are looked at with it; what is wrong with those is theirs.
// The past is not judged.
func (q *inquiry) judge(ctx context.Context) error {
	if !q.At.IsZero() {
		return nil
	}
	seen, err := q.beside(ctx)
	if err != nil {
		return err
	}
	mine := map[string]bool{}
	for _, l := range q.concerned() {
		mine[l.r.Name+"/"+l.ID] = true
	}
	each := func(resource string, yield func(wire.Object) error) error {
		all := seen[oneroster.ByName(resource)]
		ids := make([]string, 0, len(all))
		for id := range all {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, id := range ids {
			o := wire.Object{}
			o.Set(all[id])
			if err := yield(o); err != nil {
				return err
			}
		}
		return nil
	}
	_, err = quality.Judge(ctx, quality.Options{Today: q.now}, each, func(f quality.Finding) {
		if f.SourcedID != "" && mine[f.Resource+"/"+f.SourcedID] {
			q.broken = append(q.broken, f)
		}
	})
	slices.SortStableFunc(q.broken, func(a, b quality.Finding) int {
		return int(a.Rule.Severity) - int(b.Rule.Severity)
	})
	return err
}

// beside are the records that the judge is to look at: those that are concerned, and those that
// their rules look at too.
func (q *inquiry) beside(ctx context.Context) (map[*oneroster.Resource]map[string]oneroster.Record, error) {
	seen := map[*oneroster.Resource]map[string]oneroster.Record{}
	add := func(recs ...oneroster.Record) {
		for _, rec := range recs {
			if seen[rec.Resource] == nil {
				seen[rec.Resource] = map[string]oneroster.Record{}
			}
			seen[rec.Resource][rec.ID()] = rec
		}
	}
	var classes []string
	for _, l := range q.concerned() {
		add(l.Now().Record)
		if l.r.Name == "class" {
			classes = append(classes, l.ID)
		}
	}
	user, enrollment := oneroster.ByName("user"), oneroster.ByName("enrollment")
	others, err := q.Having(ctx, enrollment, "class", classes...)
	if err != nil {
		return nil, err
	}
	var people []string
	for _, e := range others {
		people = append(people, e.Get("user"))
	}
	beside, err := q.Having(ctx, user, "sourcedId", people...)
	if err != nil {
		return nil, err
	}
	if l := q.subject; l.r == user {
		agents, err := q.Having(ctx, user, "sourcedId", oneroster.Items(l.get("agents"))...)
		if err != nil {
			return nil, err
		}
		add(agents...)
	}
	add(others...)
	add(beside...)
	for _, field := range []string{"email", "username"} {
		if l := q.subject; l.r == user && l.get(field) != "" {
			same, err := q.Having(ctx, user, field, l.get(field))
			if err != nil {
				return nil, err
			}
			add(same...)
		}
	}
	for _, r := range oneroster.Resources() { // those that are few, whole: others lean on them
		if r.Name == "org" || r.Name == "academicSession" || r.Name == "course" {
			if err := q.whole(ctx, r, add); err != nil {
				return nil, err
			}
		}
	}
	return seen, nil
}

func (q *inquiry) whole(ctx context.Context, r *oneroster.Resource, add func(...oneroster.Record)) error {
	return q.Snapshot(ctx, func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		return each(r, func(rec oneroster.Record) error {
			rec.Values = slices.Clone(rec.Values)
			add(rec)
			return nil
		})
	})
}

// concerned are the record and what it leans on: of what has left nothing.
func (q *inquiry) concerned() []*life {
	out := []*life{q.subject}
	for _, e := range q.there() {
		out = append(out, e)
		for _, field := range []string{"class", "school"} {
			if g := q.ground(e, field); g != nil {
				out = append(out, g)
			}
		}
		if c := q.ground(e, "class"); c != nil {
			out = append(out, q.refs(c, "terms")...)
			out = append(out, q.refs(c, "school")...)
		}
	}
	if q.subject.r.Name != "user" {
		for _, f := range q.subject.r.Fields {
			if f.Inverse == "" && f.To != "" {
				out = append(out, q.refs(q.subject, f.Name)...)
			}
		}
	} else {
		out = append(out, q.refs(q.subject, "orgs")...)
	}
	return out
}

// refs are what a field of a record points at.
func (q *inquiry) refs(l *life, field string) (out []*life) {
	f := l.r.Field(field)
	to := oneroster.ByName(f.To)
	for _, id := range oneroster.Items(l.get(field)) {
		if g := q.grounds[to.Plural+"/"+id]; g != nil {
			out = append(out, g)
		}
	}
	return out
}

// dropped is what makes School Data Sync drop a record; nil where it takes it.
func (q *inquiry) dropped(l *life) *quality.Finding {
	for i, f := range q.broken {
		if f.Resource == l.r.Name && f.SourcedID == l.ID && f.Rule.Severity <= quality.Error && !f.Tests {
			return &q.broken[i]
		}
	}
	return nil
}
