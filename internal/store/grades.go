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

// An Undelivered record of the gradebook is one that an outlet could not deliver.
type Undelivered struct {
	Resource string // its plural
	ID       string // its sourcedId
	On       string // key of what it hangs on, as Key makes them; "" is nothing
	Words    string // of the other side
	At       time.Time
	Passing  bool // it failed in passing, and is offered again the next time
}

// Key of the record.
func (u Undelivered) Key() string { return u.Resource + "/" + u.ID }

// UndeliveredOf says which of an outlet are asked for; the zero value is all.
type UndeliveredOf struct {
	Passing bool     // those that failed in passing
	On      []string // or those that hang on something of these keys
	Limit   int      // 0 is no bound
}

// Undelivered are records that an outlet could not deliver, by resource and sourcedId, and how many there
// are in all.
func (s *Store) Undelivered(ctx context.Context, outlet string, of UndeliveredOf) (out []Undelivered, n int,
	err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		out = nil
		st := &statement{d: s.dialect}
		where := ` FROM "undelivered" WHERE "outlet" = ` + st.arg(outlet)
		switch {
		case of.Passing:
			where += ` AND "passing" = 1`
		case of.On != nil:
			where += ` AND "hangsOn" IN ` + st.in(of.On)
		}
		if err := tx.QueryRowContext(ctx, s.sql(`SELECT COUNT(*)`+where), st.args...).Scan(&n); err != nil {
			return err
		}
		text := `SELECT "resource", "sourcedId", "hangsOn", "words", "at", "passing"` + where +
			` ORDER BY "resource", "sourcedId"`
		if of.Limit > 0 {
			text += ` LIMIT ` + st.arg(of.Limit)
		}
		return queryAll(ctx, tx, s.sql(text), st.args, func(scan func(...any) error) error {
			var u Undelivered
			var at string
			var passing int
			err := scan(&u.Resource, &u.ID, &u.On, &u.Words, &at, &passing)
			u.At, u.Passing = stampTime(at), passing == 1
			out = append(out, u)
			return err
		})
	})
	return out, n, err
}

// Delivered keeps what became of a delivery of an outlet, and its Memory, in one: done were taken, or are in
// what could not be delivered. ErrTurn when the turn was taken away: then nothing is kept.
func (t *Turn) Delivered(ctx context.Context, done []Grade, not []Undelivered) error {
	return t.s.keep(ctx, func(tx *sql.Tx) error {
		if err := t.setIn(ctx, tx, `"memory" = $4`, t.Memory); err != nil {
			return err
		}
		for _, g := range done {
			if _, err := tx.ExecContext(ctx, t.s.sql(`DELETE FROM "undelivered" WHERE "outlet" = $1
				AND "resource" = $2 AND "sourcedId" = $3`), t.Name, g.Resource.Plural, g.ID()); err != nil {
				return err
			}
		}
		for _, u := range not {
			passing := 0
			if u.Passing {
				passing = 1
			}
			if _, err := tx.ExecContext(ctx, t.s.sql(`INSERT INTO "undelivered" ("outlet", "resource", "sourcedId",
				"hangsOn", "words", "at", "passing") VALUES ($1, $2, $3, $4, $5, $6, $7)`), t.Name, u.Resource, u.ID,
				u.On, storable(u.Words), stampText(u.At), passing); err != nil {
				return err
			}
		}
		return nil
	})
}
