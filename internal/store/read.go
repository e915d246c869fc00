package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// List streams one page from one snapshot. head is called once, before any row,
// with the number of records that the filter selects on all pages, and the last change
// (rev) in what they are selected from; then row once a record, with canonical values
// in the order of Resource.Fields, valid only
// during the call. An error of either ends the list and is returned. ErrStandby: it is to be
// begun again under FromPrimary.
func (s *Store) List(ctx context.Context, sel Selection, head func(total int, rev int64) error,
	row func(values []string) error) error {
	t := tables[sel.Route.Resource]
	return s.reading(ctx, resourcesOf(sel.Route), func(tx *sql.Tx, at *Versions) error {
		p, err := s.page(ctx, tx, at, t, sel)
		if err != nil {
			return err
		}
		if err := head(p.total, p.rev); err != nil {
			return err
		}
		if sel.Query.Offset >= p.total {
			return nil
		}
		rows, err := tx.QueryContext(ctx, p.sql, p.args...)
		if err != nil {
			return err
		}
		return t.scan(rows, row)
	})
}

// scan hands every row on and closes the rows.
func (t *table) scan(rows *sql.Rows, row func(values []string) error) error {
	defer rows.Close()
	values, into := t.scanner()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanner makes a row to scan into again and again.
func (t *table) scanner() (values []string, into []any) {
	values = make([]string, len(t.Fields))
	into = make([]any, len(t.Fields))
	for i := range t.Fields {
		if t.Fields[i].Kind == oneroster.Number {
			into[i] = (*numberText)(&values[i])
		} else {
			into[i] = &values[i]
		}
	}
	return values, into
}

// numberText scans a nullable number as its canonical text.
type numberText string

func (n *numberText) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*n = ""
	case float64:
		*n = numberText(oneroster.FormatNumber(v))
	case int64:
		*n = numberText(oneroster.FormatNumber(float64(v)))
	default:
		return fmt.Errorf("a number is stored as %T", v)
	}
	return nil
}

// Get reads the object whose id is the last path variable. ErrNotFound when it
// does not exist, is not part of the route's view, or is a deleted gradebook
// object.
func (s *Store) Get(ctx context.Context, sel Selection) (oneroster.Record, error) {
	t := tables[sel.Route.Resource]
	st := &statement{d: s.dialect}
	where := `t."sourcedId" = ` + st.arg(sel.Vars["id"])
	if v := sel.Route.View; v.Field != "" {
		where += " AND t." + quote(v.Field) + " = " + st.arg(v.Value)
	}
	if t.Gradebook {
		where += ` AND t."status" = ` + st.arg(oneroster.Active)
	}
	values, into := t.scanner()
	text := "SELECT " + t.selects + " FROM " + t.name + " t WHERE " + where
	err := s.fromStandby(ctx, []*oneroster.Resource{t.Resource}, func(tx *sql.Tx, _ *Versions) error {
		return tx.QueryRowContext(ctx, text, st.args...).Scan(into...)
	})
	if errors.Is(err, errElsewhere) || errors.Is(err, ErrStandby) {
		err = s.readRow(ctx, text, st.args...).Scan(into...)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return oneroster.Record{}, ErrNotFound
	}
	return oneroster.Record{Resource: t.Resource, Values: values}, err
}

// Known tells whether a record of this id is stored, deleted or not.
func (s *Store) Known(ctx context.Context, r *oneroster.Resource, id string) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx,
		s.sql(`SELECT COUNT(*) FROM `+tables[r].name+` WHERE "sourcedId" = $1`), id).Scan(&n)
	return n > 0, err
}

// ActiveIDs yields the sourcedId of every active record of a resource.
func (s *Store) ActiveIDs(ctx context.Context, r *oneroster.Resource, yield func(id string) error) error {
	return s.snapshot(ctx, func(tx *sql.Tx) error {
		text := s.sql(`SELECT "sourcedId" FROM ` + tables[r].name + ` WHERE "status" = $1`)
		return queryAll(ctx, tx, text, []any{oneroster.Active}, func(scan func(...any) error) error {
			var id string
			if err := scan(&id); err != nil {
				return err
			}
			return yield(id)
		})
	})
}

// CountActive counts the active records of a resource that a filter selects.
func (s *Store) CountActive(ctx context.Context, r *oneroster.Resource, filter string) (n int, err error) {
	expr, err := query.ParseFilter(r, filter)
	if err != nil {
		return 0, err
	}
	active := query.Expr{Op: query.Compare, Field: r.Field("status"), Text: oneroster.Active}
	st := &statement{d: s.dialect}
	where, err := st.expr(tables[r], query.Expr{Op: query.And, Args: []query.Expr{active, expr}})
	if err != nil {
		return 0, err
	}
	err = s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+tables[r].name+" t WHERE "+where,
		st.args...).Scan(&n)
	return n, err
}

// Counts returns how many active records each resource holds.
func (s *Store) Counts(ctx context.Context) (map[*oneroster.Resource]int, error) {
	out := map[*oneroster.Resource]int{}
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		for r, t := range tables {
			var n int
			if err := tx.QueryRowContext(ctx, s.sql(`SELECT COUNT(*) FROM `+t.name+` WHERE "status" = $1`),
				oneroster.Active).Scan(&n); err != nil {
				return err
			}
			out[r] = n
		}
		return nil
	})
	return out, err
}

// Snapshot lets do read every record of the district, deleted ones included,
// from one state of it: each(resource, yield) as often as it likes. What yield
// is given is its own to keep.
func (s *Store) Snapshot(ctx context.Context,
	do func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error) error {
	return s.snapshot(ctx, func(tx *sql.Tx) error {
		return do(func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
			t := tables[r]
			rows, err := tx.QueryContext(ctx, "SELECT "+t.selects+" FROM "+t.name+` t ORDER BY t."seq"`)
			if err != nil {
				return err
			}
			return t.scan(rows, func(values []string) error {
				return yield(oneroster.Record{Resource: r, Values: append([]string(nil), values...)})
			})
		})
	})
}
