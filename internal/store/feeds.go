package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollbook/internal/oneroster"
)

// A FeedKind says what a feed is for.
type FeedKind string

// The kinds of feeds.
const (
	FeedSource FeedKind = "source" // something comes into the district
	FeedNotify FeedKind = "notify" // somebody is told of what happens
	FeedOutlet FeedKind = "outlet" // grades go out of it

	FeedSandbox FeedKind = "sandbox" // it is made up, and lives
)

// A Feed is a standing errand of a district, done in turns: one at a time, in whatever process.
type Feed struct {
	Kind     FeedKind
	Name     string
	Settings string // JSON, as its kind has it; no secret is in it
	Secrets  string // sealed by the district's key; "" is none
	Made     string // TimeLayout
	Memory   string // JSON, as the last turn left it; "" before the first
	Due      string // TimeLayout, when the next turn is; "" is never by itself
	Until    string // TimeLayout, when a turn that has begun is given up; "" while there is none
}

// A RunState is what has become of a turn.
type RunState string

// The states of a run.
const (
	RunRunning RunState = "running"
	RunDone    RunState = "done"
	RunNothing RunState = "nothing" // there was nothing to do
	RunHeld    RunState = "held"    // a person is to decide
	RunRefused RunState = "refused" // what came cannot be used
	RunFailed  RunState = "failed"
	RunBroken  RunState = "broken off" // its process is gone
)

// A Run is what became of a turn of a feed.
type Run struct {
	Kind         FeedKind
	Feed         string
	Turn         int64
	Began, Ended string // TimeLayout; Ended is "" while it runs
	Who          string // who began it: a person, or the service
	State        RunState
	Text         string // what happened, for people; no secret and no name of a pupil is in it
	Publication  int64  // that it brought; 0
}

// runsKept is how many runs of a feed are remembered.
const runsKept = 200

// turnLasts is how long a turn is kept from others when its process tells nothing of itself any more.
// Clocks of machines may differ by less: a turn that is kept for longer than twice that is of a clock that
// was wrong.
const turnLasts = 2 * time.Minute

// Busy tells whether some process has the turn of a feed.
func (f Feed) Busy(now time.Time) bool {
	return f.Until >= oneroster.FormatTime(now) && f.Until <= oneroster.FormatTime(now.Add(2*turnLasts))
}

// ErrTurn: another process has the turn of a feed, or has taken it away.
var ErrTurn = errors.New("another process is at it")

// AddFeed keeps a new feed. A name that its kind has already is an error.
func (s *Store) AddFeed(ctx context.Context, f Feed) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, s.sql(`INSERT INTO "feeds" ("kind", "name", "settings", "secrets",
			"made", "memory", "due", "turn", "until") VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '')
			ON CONFLICT ("kind", "name") DO NOTHING`), string(f.Kind), f.Name, f.Settings, f.Secrets,
			oneroster.FormatTime(s.now()), f.Memory, f.Due)
		if err != nil {
			return err
		}
		if n, _ := done.RowsAffected(); n == 0 {
			return fmt.Errorf("there is a %s %q already: take another name, or remove it first", f.Kind,
				f.Name)
		}
		return s.did(ctx, tx, Act{What: string(f.Kind) + " added", Of: f.Name, After: f.Settings})
	})
}

// RemoveFeed forgets a feed and its runs; ErrNotFound where there is none.
func (s *Store) RemoveFeed(ctx context.Context, kind FeedKind, name string) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		var settings string
		err := tx.QueryRowContext(ctx, s.sql(`DELETE FROM "feeds" WHERE "kind" = $1 AND "name" = $2
			RETURNING "settings"`), string(kind), name).Scan(&settings)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.sql(`DELETE FROM "runs" WHERE "kind" = $1 AND "feed" = $2`),
			string(kind), name); err != nil {
			return err
		}
		if kind == FeedOutlet {
			if _, err := tx.ExecContext(ctx, s.sql(`DELETE FROM "undelivered" WHERE "outlet" = $1`),
				name); err != nil {
				return err
			}
		}
		return s.did(ctx, tx, Act{What: string(kind) + " removed", Of: name, Before: settings})
	})
}

// Feeds are those of a kind, or of all kinds where it is "", by name.
func (s *Store) Feeds(ctx context.Context, kind FeedKind) ([]Feed, error) {
	return s.feeds(ctx, ` WHERE "kind" = $1 OR $1 = '' ORDER BY "kind", "name"`, string(kind))
}

// Feed is one of them; ErrNotFound where there is none of that name.
func (s *Store) Feed(ctx context.Context, kind FeedKind, name string) (Feed, error) {
	return first(s.feeds(ctx, ` WHERE "kind" = $1 AND "name" = $2`, string(kind), name))
}

func (s *Store) feeds(ctx context.Context, where string, args ...any) (out []Feed, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		out = nil
		return queryAll(ctx, tx, s.sql(`SELECT "kind", "name", "settings", "secrets", "made", "memory", "due",
			"until" FROM "feeds"`+where), args, func(scan func(...any) error) error {
			var f Feed
			err := scan(&f.Kind, &f.Name, &f.Settings, &f.Secrets, &f.Made, &f.Memory, &f.Due, &f.Until)
			out = append(out, f)
			return err
		})
	})
	return out, err
}

// Schedule says when the next turn of a feed is; the zero time is never by itself.
func (s *Store) Schedule(ctx context.Context, kind FeedKind, name string, due time.Time) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, s.sql(`UPDATE "feeds" SET "due" = $3 WHERE "kind" = $1 AND "name" = $2`),
			string(kind), name, dueText(due))
		return err
	})
}

func dueText(due time.Time) string {
	if due.IsZero() {
		return ""
	}
	return oneroster.FormatTime(due)
}

// Runs are the latest of a feed, the newest first: limit of them, or all that are remembered when it
// is 0. The name "" is those of all feeds of the kind.
func (s *Store) Runs(ctx context.Context, kind FeedKind, feed string, limit int) (out []Run, err error) {
	if limit == 0 {
		limit = 1 << 30
	}
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		out = nil
		return queryAll(ctx, tx, s.sql(`SELECT "kind", "feed", "turn", "began", "ended", "who", "state", "text",
			"publication" FROM "runs" WHERE "kind" = $1 AND ("feed" = $2 OR $2 = '')
			ORDER BY "began" DESC, "feed", "turn" DESC LIMIT $3`), []any{string(kind), feed, limit},
			func(scan func(...any) error) error {
				var r Run
				err := scan(&r.Kind, &r.Feed, &r.Turn, &r.Began, &r.Ended, &r.Who, &r.State, &r.Text,
					&r.Publication)
				out = append(out, r)
				return err
			})
	})
	return out, err
}

// A Turn is the right to do what a feed is for, which nobody else has until it ends, is given up, or
// nothing was told of it for some minutes.
type Turn struct {
	Feed // as it was when the turn began
	s    *Store
	n    int64
	stop context.CancelFunc
	gone chan struct{}
}

// TakeTurn begins a turn; ErrTurn while another process has it, ErrNotFound where there is no such
// feed. due is when it was due as the caller saw it: where another process has done that turn meanwhile,
// it is ErrTurn; "" is whenever. The context ends, with ErrTurn as its cause, when the turn was taken
// away. End is to be called.
func (s *Store) TakeTurn(ctx context.Context, kind FeedKind, name, due string) (*Turn, context.Context,
	error) {
	t := &Turn{s: s, gone: make(chan struct{})}
	err := s.keep(ctx, func(tx *sql.Tx) error {
		now := oneroster.FormatTime(s.now())
		err := tx.QueryRowContext(ctx, s.sql(`UPDATE "feeds" SET "turn" = "turn" + 1, "until" = $3
			WHERE "kind" = $1 AND "name" = $2 AND ("until" < $4 OR "until" > $6) AND ("due" = $5 OR $5 = '')
			RETURNING "turn", "settings", "secrets", "made", "memory", "due", "until"`), string(kind), name,
			oneroster.FormatTime(s.now().Add(turnLasts)), now, due,
			oneroster.FormatTime(s.now().Add(2*turnLasts))).Scan(&t.n, &t.Settings, &t.Secrets,
			&t.Made,
			&t.Memory, &t.Due, &t.Until)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrTurn
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.sql(`UPDATE "runs" SET "state" = $3, "ended" = $4
			WHERE "kind" = $1 AND "feed" = $2 AND "state" = $5`), string(kind), name, string(RunBroken), now,
			string(RunRunning)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.sql(`DELETE FROM "runs" WHERE "kind" = $1 AND "feed" = $2
			AND "turn" <= $3`), string(kind), name, t.n-runsKept); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.sql(`INSERT INTO "runs" ("kind", "feed", "turn", "began", "ended", "who",
			"state", "text", "publication") VALUES ($1, $2, $3, $4, '', $5, $6, '', 0)`), string(kind), name,
			t.n, now, whoActs(ctx), string(RunRunning))
		return err
	})
	if errors.Is(err, ErrTurn) {
		if _, missing := s.Feed(ctx, kind, name); missing != nil {
			err = missing
		}
	}
	if err != nil {
		return nil, ctx, err
	}
	t.Kind, t.Name = kind, name
	ctx, cancel := context.WithCancelCause(ctx)
	t.stop = func() { cancel(nil) }
	go t.keep(ctx, cancel)
	return t, ctx, nil
}

// keep tells others that somebody is at it, and ends the work where nobody can be told any more.
func (t *Turn) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	defer close(t.gone)
	tick := time.NewTicker(turnLasts / 6)
	defer tick.Stop()
	kept := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := t.set(ctx, `"until" = $4`, oneroster.FormatTime(t.s.now().Add(turnLasts)))
		switch {
		case err == nil:
			kept = time.Now()
		case errors.Is(err, ErrTurn) || time.Since(kept) > turnLasts*2/3:
			cancel(ErrTurn)
			return
		}
	}
}

// set changes the row of the feed while the turn is ours; else ErrTurn.
func (t *Turn) set(ctx context.Context, what string, args ...any) error {
	return t.s.keep(ctx, func(tx *sql.Tx) error { return t.setIn(ctx, tx, what, args...) })
}

func (t *Turn) setIn(ctx context.Context, tx *sql.Tx, what string, args ...any) error {
	// One that was removed and added anew under its name counts its turns from the beginning.
	made := fmt.Sprintf(` AND "made" = $%d`, len(args)+4)
	done, err := tx.ExecContext(ctx, t.s.sql(`UPDATE "feeds" SET `+what+
		` WHERE "kind" = $1 AND "name" = $2 AND "turn" = $3 AND "until" <> ''`+made),
		slices.Concat([]any{string(t.Kind), t.Name, t.n}, args, []any{t.Made})...)
	if err != nil {
		return err
	}
	if n, _ := done.RowsAffected(); n == 0 {
		return ErrTurn
	}
	return nil
}

// Remember keeps Memory, which the feed is to know in its next turn whatever becomes of this one;
// ErrTurn when the turn was taken away. It is also the question whether it still is ours.
func (t *Turn) Remember(ctx context.Context) error { return t.set(ctx, `"memory" = $4`, t.Memory) }

// End ends the turn: what became of it (state, text and publication of the run), and when the next one
// is; Memory is kept. ErrTurn when the turn was taken away: then nothing is kept. It also keeps what
// was done under a context that has ended.
func (t *Turn) End(ctx context.Context, run Run, due time.Time) error {
	t.stop()
	<-t.gone
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnLasts/4)
	defer cancel()
	return t.s.keep(ctx, func(tx *sql.Tx) error {
		if err := t.setIn(ctx, tx, `"memory" = $4, "due" = $5, "until" = ''`, t.Memory, dueText(due)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, t.s.sql(`UPDATE "runs" SET "ended" = $4, "state" = $5, "text" = $6,
			"publication" = $7 WHERE "kind" = $1 AND "feed" = $2 AND "turn" = $3`), string(t.Kind), t.Name, t.n,
			oneroster.FormatTime(t.s.now()), string(run.State), storable(run.Text), run.Publication)
		return err
	})
}

// NextDue is when the next feed of a district is due that is not opened for it, TimeLayout; "" is never.
func NextDue(ctx context.Context, dsn string) (due string, err error) {
	db, _, err := glance(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MIN("due"), '') FROM "feeds" WHERE "due" <> ''`).Scan(&due)
	return due, err
}
