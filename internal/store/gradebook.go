package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rollbook/internal/oneroster"
)

// Put creates or replaces a gradebook object, fills in what clients leave out
// and returns it as it is stored now; created is true where there was no such
// object or a deleted one. A replacement that changes nothing leaves the
// object's dateLastModified alone. *Refused when the object cannot be kept.
func (s *Store) Put(ctx context.Context, rec oneroster.Record) (out oneroster.Record, created bool,
	err error) {
	t := tables[rec.Resource]
	if !t.Gradebook {
		return out, false, fmt.Errorf("%s are not written one by one", t.Plural)
	}
	values := append([]string(nil), rec.Values...)
	_, err = s.write(ctx, func(c *change) error {
		var err error
		created, err = c.put(ctx, t, append([]string(nil), values...))
		return err
	})
	if err != nil {
		return out, false, err
	}
	out, err = s.object(ctx, t, rec.ID())
	return out, created, err
}

// object reads one record whatever its status.
func (s *Store) object(ctx context.Context, t *table, id string) (oneroster.Record, error) {
	values, into := t.scanner()
	err := s.engine.write.QueryRowContext(ctx,
		s.sql("SELECT "+t.selects+" FROM "+t.name+` t WHERE t."sourcedId" = $1`), id).Scan(into...)
	return oneroster.Record{Resource: t.Resource, Values: values}, err
}

func (c *change) put(ctx context.Context, t *table, values []string) (created bool, err error) {
	id := values[oneroster.SourcedID]
	var seq int64
	var status, hash string
	err = c.QueryRowContext(ctx, c.d.sql(`SELECT "seq", "status", "hash" FROM `+
		t.name+` WHERE "sourcedId" = $1`), id).Scan(&seq, &status, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	fresh := err != nil
	values[oneroster.Status] = oneroster.Active
	rec := oneroster.Record{Resource: t.Resource, Values: values}
	if err := c.fill(ctx, rec); err != nil {
		return false, err
	}
	for _, p := range oneroster.Check(rec) {
		return false, &Refused{p.Field, p.Text}
	}
	oneroster.Complete(rec)
	if err := c.resolve(ctx, rec); err != nil {
		return false, err
	}
	next := row{values: values, seq: seq, hash: t.contentHash(values), fresh: fresh}
	if !fresh && status == oneroster.Active && hash == next.hash {
		return false, errUnchanged
	}
	if fresh {
		if next.seq, err = nextSeq(ctx, c.Tx, t); err != nil {
			return false, err
		}
	}
	return fresh || status != oneroster.Active, c.upsert(ctx, t, []row{next})
}

// fill gives a written object what clients leave out and readers need: Grade
// Sync sends no category, no dueDate and no gradingPeriod.
func (c *change) fill(ctx context.Context, rec oneroster.Record) error {
	now := c.now().UTC()
	missing := func(name, value string) {
		if rec.Get(name) == "" {
			rec.Set(name, value)
		}
	}
	switch rec.Resource.Name {
	case "lineItem":
		missing("assignDate", oneroster.FormatTime(now))
		missing("dueDate", rec.Get("assignDate"))
		missing("resultValueMin", "0")
		missing("resultValueMax", "100")
		if rec.Get("class") == "" {
			return nil // refused by Check
		}
		if rec.Get("category") == "" {
			id, err := c.defaultCategory(ctx, rec.Get("class"), "")
			if err != nil {
				return err
			}
			rec.Set("category", id)
		}
		if rec.Get("gradingPeriod") == "" {
			id, err := c.currentPeriod(ctx, rec.Get("class"), now.Format(oneroster.DateLayout))
			if err != nil {
				return err
			}
			rec.Set("gradingPeriod", id)
		}
	case "result":
		missing("scoreDate", now.Format(oneroster.DateLayout))
		if rec.Get("score") != "" {
			missing("scoreStatus", "fully graded")
		} else {
			missing("scoreStatus", "not submitted")
		}
	}
	return nil
}

// defaultCategory is the category of a line item that names none: one of the
// class's own, else one that belongs to every class, else one made for the
// purpose. It is never the one called except.
func (c *change) defaultCategory(ctx context.Context, class, except string) (string, error) {
	const made = "rollbook-uncategorized"
	st := &statement{d: c.d}
	own := st.member("t", "classId")
	text := `SELECT t."sourcedId" FROM "categories" t WHERE t."status" = ` + st.arg(oneroster.Active) +
		` AND t."sourcedId" <> ` + st.arg(except) +
		" AND (" + own + " = '' OR " + own + " = " + st.arg(class) + ") ORDER BY CASE WHEN " + own +
		` = '' THEN 1 ELSE 0 END, t."seq" LIMIT 1`
	var id string
	err := c.QueryRowContext(ctx, text, st.args...).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	id = made
	if except == made {
		id = made + "-2"
	}
	rec := oneroster.NewRecord(oneroster.ByName("category"))
	rec.Values[oneroster.SourcedID] = id
	rec.Set("title", "Uncategorized")
	if _, err := c.put(ctx, tables[rec.Resource], rec.Values); err != nil && !errors.Is(err, errUnchanged) {
		return "", err
	}
	return id, nil
}

// currentPeriod is the grading period that a line item of a class belongs to on
// a day: one that covers the day, best one under a term of the class; else the
// one that ended last; "" where the district has none.
func (c *change) currentPeriod(ctx context.Context, class, day string) (string, error) {
	text := c.d.sql(`SELECT "sourcedId" FROM "academicSessions"
		WHERE "type" = 'gradingPeriod' AND "status" = $1
		ORDER BY CASE WHEN "startDate" <= $2 AND "endDate" > $2 THEN 0 ELSE 1 END,
			CASE WHEN "parent" IN
				(SELECT "target" FROM "links" WHERE "field" = 'classes.terms' AND "owner" = $3) THEN 0 ELSE 1 END,
			"endDate" DESC, "seq" LIMIT 1`)
	var id string
	err := c.QueryRowContext(ctx, text, oneroster.Active, day, class).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// resolve refuses references to objects that are not there, or that have left: what
// belongs to them went with them.
func (c *change) resolve(ctx context.Context, rec oneroster.Record) error {
	for i := range rec.Resource.Fields {
		f := &rec.Resource.Fields[i]
		id := rec.Values[i]
		if f.Kind != oneroster.Ref || id == "" {
			continue
		}
		to := tables[oneroster.ByName(f.To)]
		var status string
		text := c.d.sql(`SELECT "status" FROM ` + to.name + ` WHERE "sourcedId" = $1`)
		err := c.QueryRowContext(ctx, text, id).Scan(&status)
		switch {
		case errors.Is(err, sql.ErrNoRows) || err == nil && to.Gradebook && status != oneroster.Active:
			return &Refused{f.Name, fmt.Sprintf("there is no %s with the sourcedId %q: send one that "+
				"GET /%s lists",
				to.Resource.Name, id, to.Plural)}
		case err != nil:
			return err
		case status != oneroster.Active:
			return &Refused{f.Name, fmt.Sprintf("the %s %q has left: it takes no more grades",
				to.Resource.Name, id)}
		}
	}
	return nil
}

// Delete marks a gradebook object tobedeleted. The results of a line item go
// with it; the line items of a category move to another one, so that every
// reference still resolves. ErrNotFound when there is no such active object.
func (s *Store) Delete(ctx context.Context, r *oneroster.Resource, id string) error {
	t := tables[r]
	if !t.Gradebook {
		return fmt.Errorf("%s are not deleted one by one", t.Plural)
	}
	_, err := s.write(ctx, func(c *change) error {
		ids, err := c.ids(ctx, t, `"sourcedId" = $2`, id)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return ErrNotFound
		}
		switch r.Name {
		case "lineItem":
			results, err := c.ids(ctx, tables[oneroster.ByName("result")], `"lineItem" = $2`, id)
			if err != nil {
				return err
			}
			if err := c.retire(ctx, tables[oneroster.ByName("result")], results); err != nil {
				return err
			}
		case "category":
			if err := c.recategorize(ctx, id); err != nil {
				return err
			}
		}
		return c.retire(ctx, t, ids)
	})
	return err
}

// ids lists the active records that fulfil a condition on $2.
func (c *change) ids(ctx context.Context, t *table, where, value string) ([]string, error) {
	var ids []string
	err := queryAll(ctx, c.Tx, c.d.sql(`SELECT "sourcedId" FROM `+t.name+` WHERE "status" = $1 AND `+where),
		[]any{oneroster.Active, value}, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	return ids, err
}

// recategorize moves the line items of a category to the default of their class.
func (c *change) recategorize(ctx context.Context, category string) error {
	t := tables[oneroster.ByName("lineItem")]
	ids, err := c.ids(ctx, t, `"category" = $2`, category)
	if err != nil {
		return err
	}
	for _, id := range ids {
		values, into := t.scanner()
		if err := c.QueryRowContext(ctx,
			c.d.sql("SELECT "+t.selects+" FROM "+t.name+` t WHERE t."sourcedId" = $1`),
			id).Scan(into...); err != nil {
			return err
		}
		rec := oneroster.Record{Resource: t.Resource, Values: values}
		to, err := c.defaultCategory(ctx, rec.Get("class"), category)
		if err != nil {
			return err
		}
		rec.Set("category", to)
		if _, err := c.put(ctx, t, values); err != nil && !errors.Is(err, errUnchanged) {
			return err
		}
	}
	return nil
}
