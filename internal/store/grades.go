package store

import (
	"context"
	"database/sql"
	"time"

	"rollbook/internal/oneroster"
)

// clientCause begins the cause of a change that a client made over REST.
const clientCause = "client "

// Waiting is what clients have written of the gradebook since a change.
type Waiting struct {
	Count       map[string]int // of records, by the plural of their resource
	First, Last time.Time      // when they wrote first and last since then; zero where nothing waits
}

// GradesWaiting counts what clients have written of the gradebook after a change (rev).
func (s *Store) GradesWaiting(ctx context.Context, after int64) (out Waiting, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		out = Waiting{Count: map[string]int{}}
		var first, last sql.NullString
		err := tx.QueryRowContext(ctx, s.sql(`SELECT MIN("stamp"), MAX("stamp") FROM "causes"
			WHERE "rev" > $1 AND "cause" LIKE '`+clientCause+`%'`), after).Scan(&first, &last)
		if err != nil || !first.Valid {
			return err
		}
		for _, r := range gradebookResources() {
			var n int
			if err := tx.QueryRowContext(ctx, s.sql(`SELECT COUNT(*)`+gradesOf(r)), after).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				out.Count[r.Plural] = n
			}
		}
		if len(out.Count) == 0 {
			return nil
		}
		if out.First, err = time.Parse(oneroster.TimeLayout, first.String); err == nil {
			out.Last, err = time.Parse(oneroster.TimeLayout, last.String)
		}
		return err
	})
	return out, err
}

// gradebookResources are those that clients write, parents first.
func gradebookResources() (out []*oneroster.Resource) {
	for _, r := range oneroster.Resources() {
		if r.Gradebook {
			out = append(out, r)
		}
	}
	return out
}

// gradesOf are the records of a gradebook resource that clients have written, or deleted, after a change;
// what a publication has brought since is not among them, and is not looked at either.
func gradesOf(r *oneroster.Resource) string {
	return ` FROM ` + tables[r].name + ` t WHERE t."rev" IN (SELECT c."rev" FROM "causes" c
		WHERE c."rev" > $1 AND c."cause" LIKE '` + clientCause + `%')`
}

// A Grade is a record of the gradebook as it is now, and the change (rev) that made it so.
type Grade struct {
	oneroster.Record
	Rev int64
}

// Grades are the records of the gradebook that clients have written, or deleted, after a change (rev), all
// of one state of the district: of each resource by their changes, parents first, most of one at most. A
// change is there whole or not at all. upto is the last change of that state.
func (s *Store) Grades(ctx context.Context, after int64, most int) (out map[*oneroster.Resource][]Grade,
	upto int64,
	err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		out = map[*oneroster.Resource][]Grade{}
		if err := tx.QueryRowContext(ctx, `SELECT "rev" FROM "clock" WHERE "id" = 1`).Scan(&upto); err != nil {
			return err
		}
		for _, r := range gradebookResources() {
			t := tables[r]
			rows, err := tx.QueryContext(ctx, s.sql(`SELECT t."rev", `+t.selects+gradesOf(r)+
				` ORDER BY t."rev", t."seq"`), after)
			if err != nil {
				return err
			}
			all, err := t.grades(rows, most)
			if err != nil {
				return err
			}
			out[r] = all
		}
		return nil
	})
	return out, upto, err
}

// grades reads rows until there are enough, to the end of a change.
func (t *table) grades(rows *sql.Rows, most int) (out []Grade, err error) {
	defer rows.Close()
	var rev int64
	values, into := t.scanner()
	into = append([]any{&rev}, into...)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if n := len(out); n >= most && out[n-1].Rev != rev {
			return out, nil
		}
		out = append(out, Grade{oneroster.Record{Resource: t.Resource, Values: append([]string{}, values...)},
			rev})
	}
	return out, rows.Err()
}

// GradesNow are records of a gradebook resource as they are now, by their ids; those that are not there are
// left out.
func (s *Store) GradesNow(ctx context.Context, r *oneroster.Resource, ids []string) (out []Grade, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		out = nil
		t := tables[r]
		for _, id := range ids {
			rows, err := tx.QueryContext(ctx, s.sql(`SELECT t."rev", `+t.selects+` FROM `+t.name+
				` t WHERE t."sourcedId" = $1`), askable(id))
			if err != nil {
				return err
			}
			one, err := t.grades(rows, 1)
			if err != nil {
				return err
			}
			out = append(out, one...)
		}
		return nil
	})
	return out, err
}
