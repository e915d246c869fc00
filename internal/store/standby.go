package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"rollbook/internal/oneroster"
)

// A standby is a copy of the district that follows it, a streaming standby of PostgreSQL:
// what is served is read from it while it keeps up. How far it has come is asked in every
// snapshot that is read from it, so that nobody is served an earlier state than the last
// change of it; a standby that fails, or stays behind, is left alone until it is well again.
type standby struct {
	db    *sql.DB
	dsn   string
	log   *slog.Logger
	known atomic.Pointer[Versions] // of the primary

	stop func() // watching
	done chan struct{}

	mu      sync.Mutex
	problem string          // why it is left alone; "" while it is read from
	inUse   context.Context // ends when it is left alone: reads that wait for it are made elsewhere
	leave   context.CancelFunc
}

const (
	// standbyEvery is how often it is looked whether a standby is well.
	standbyEvery = time.Second
	// standbyTime is how long a standby may take for a session, and to say how far it is.
	standbyTime = time.Second
)

// ErrStandby: the standby failed in the middle of a read, which is to be begun again, under
// FromPrimary.
var ErrStandby = errors.New("the standby failed")

var (
	// errElsewhere: nothing was read, the standby is not there or not far enough.
	errElsewhere = errors.New("not from the standby")
	errSilent    = errors.New("it does not answer within " + standbyTime.String())
)

type fromPrimary struct{}

// FromPrimary lets what is read under a context be read from no standby.
func FromPrimary(ctx context.Context) context.Context {
	return context.WithValue(ctx, fromPrimary{}, true)
}

// openStandby begins to read from a standby, whether it is there yet or not.
func (s *Store) openStandby(ctx context.Context, dsn string, log *slog.Logger) error {
	if s.name != postgresDialect.name || !isPostgres(dsn) {
		return errors.New("a standby to read from is one of PostgreSQL: give postgres:// URLs for both")
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("standby: %w", withoutPassword(err, dsn))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = standbyTime
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	b := &standby{db: sessions(config), dsn: dsn, log: log, done: make(chan struct{})}
	b.db.SetMaxOpenConns(16)
	b.db.SetMaxIdleConns(8)
	b.inUse, b.leave = context.WithCancel(context.Background())
	s.standby = b
	ahead, _ := s.lookAtStandby(ctx, 0)
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(b.done)
		look := time.NewTicker(standbyEvery)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			ahead, _ = s.lookAtStandby(ctx, ahead)
		}
	}()
	return nil
}

func (b *standby) close() error {
	b.stop()
	<-b.done
	b.leave()
	return b.db.Close()
}

// lookAtStandby looks whether the standby is a copy of this district that has come as far as
// the district was at the last look. It returns how far that is now.
func (s *Store) lookAtStandby(ctx context.Context, before int64) (now int64, err error) {
	ends := ctx
	ctx, cancel := context.WithTimeout(ctx, standbyTime)
	defer cancel()
	var rev int64
	var stamp, known string
	gone := s.standby.db.QueryRowContext(ctx, `SELECT "rev", "stamp" FROM "clock" WHERE "id" = 1`).Scan(&rev,
		&stamp)
	if ctx.Err() == nil {
		err = s.engine.book.QueryRowContext(ctx, `SELECT c."rev", COALESCE(r."stamp", '') FROM "clock" c
			LEFT JOIN "revs" r ON r."rev" = $1 WHERE c."id" = 1`, rev).Scan(&now, &known)
		if err != nil {
			return before, err // whoever reads is told by the primary itself
		}
	}
	switch {
	case ends.Err() != nil:
		return before, ends.Err()
	case ctx.Err() != nil:
		s.standby.set(errSilent.Error())
	case gone != nil:
		s.standby.set("it cannot be asked: " + withoutPassword(gone, s.standby.dsn).Error())
	case stamp != known:
		s.standby.set("it is no copy of this district")
	case rev < before:
		s.standby.set(fmt.Sprintf("it is behind: %d of %d changes", rev, now))
	default:
		s.standby.set("")
	}
	return max(now, before), nil
}

// set notes why the standby is left alone, "" that it is read from.
func (b *standby) set(problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.problem
	b.problem = problem
	switch {
	case was == "" && problem != "":
		b.leave()
		b.log.Warn("standby", "problem", problem, "reads", "primary")
	case was != "" && problem == "":
		b.inUse, b.leave = context.WithCancel(context.Background())
		b.log.Info("standby", "reads", "standby")
	}
}

// StandbyProblem says in a sentence why nothing is read from the standby, "" where something
// is, or there is none.
func (s *Store) StandbyProblem() string {
	if s.standby == nil {
		return ""
	}
	s.standby.mu.Lock()
	defer s.standby.mu.Unlock()
	return s.standby.problem
}

// reading runs do in a transaction that sees one state of the district, at least as late as
// the last change of some resources, or of any where none is named, that the request knows
// of: of the standby where that has come so far. Where the standby ends in between it is
// ErrStandby, and what do did is void.
func (s *Store) reading(ctx context.Context, of []*oneroster.Resource,
	do func(tx *sql.Tx, at *Versions) error) error {
	err := s.fromStandby(ctx, of, do)
	if !errors.Is(err, errElsewhere) {
		return err
	}
	return s.snapshot(ctx, func(tx *sql.Tx) error {
		at, err := versionsOf(ctx, tx)
		if err != nil {
			return err
		}
		return do(tx, at)
	})
}

// fromStandby is reading without the primary: errElsewhere where do was not run.
func (s *Store) fromStandby(asked context.Context, of []*oneroster.Resource,
	do func(tx *sql.Tx, at *Versions) error) error {
	b := s.standby
	if b == nil || asked.Value(fromPrimary{}) != nil {
		return errElsewhere
	}
	b.mu.Lock()
	inUse := b.inUse
	b.mu.Unlock()
	if inUse.Err() != nil {
		return errElsewhere
	}
	now, err := s.Versions(asked, b.known.Load())
	if err != nil {
		return err
	}
	b.known.Store(now)
	last := now.Rev
	if len(of) > 0 {
		last = now.Of(of...)
	}
	ctx, stop := context.WithCancelCause(asked)
	defer stop(nil)
	defer context.AfterFunc(inUse, func() { stop(errElsewhere) })()
	conn, err := b.db.Conn(ctx)
	if err == nil {
		defer conn.Close()
		silent := time.AfterFunc(standbyTime, func() { stop(errSilent) })
		var tx *sql.Tx
		var at *Versions
		if tx, err = conn.BeginTx(ctx, s.reads); err == nil {
			defer tx.Rollback()
			at, err = versionsOf(ctx, tx)
		}
		silent.Stop()
		switch {
		case err == nil && at.Rev < last:
			return errElsewhere
		case err == nil:
			err = do(tx, at)
			// A transaction that can be ended in good order has not failed: do has.
			if err == nil || asked.Err() != nil || tx.Commit() == nil {
				return err
			}
			err = fmt.Errorf("%w: %w", ErrStandby, err)
		}
	}
	switch why := context.Cause(ctx); {
	case asked.Err() != nil:
		return asked.Err()
	case why == errSilent:
		b.set(why.Error())
	case why == nil:
		b.set("it failed: " + withoutPassword(err, b.dsn).Error())
	} // else it is left alone already
	if errors.Is(err, ErrStandby) {
		return err
	}
	return errElsewhere
}
