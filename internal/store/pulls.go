package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Pull is one walk of one client through one list with one question, from its first page on.
type Pull struct {
	ID       int64  // in the order in which they began, as far as one process knows
	Client   string // by its id
	Op       string // of the route table
	List     string // path of the list without the base, its ids escaped
	Question string // the query as it came but for limit and offset; cut to QuestionKept bytes by the store

	Began, Last               time.Time     // when its first and its last page were asked
	FirstEdition, LastEdition int64         // changes (revs) that its first and its last page were as of
	Limit                     int           // the largest that was asked
	Total                     int           // rows of the list as its last page said; -1 where none was answered
	Begun                     bool          // its first page was answered
	Pages, Rows               int           // that were answered whole
	Bytes                     int64         // before compression
	Twice                     int           // rows that were answered more than once
	Beyond                    int           // pages after the end of the list
	Failed                    int           // pages that were refused, or whose answer broke off
	Reason                    string        // of the last of them
	Took                      time.Duration // all answers together
	Read                      Ranges        // rows that were answered
}

// QuestionKept is how many bytes of a question are kept. It is known by all of it.
const QuestionKept = 2000

// WalkEnds is how long a client may take for its next page: one that takes longer begins anew.
const WalkEnds = time.Hour

// mostRanges bounds what is kept of a client that reads here and there.
const mostRanges = 500

// Whole tells whether every row of the list was read.
func (p *Pull) Whole() bool {
	return p.Begun && p.Total >= 0 && len(p.Read.Missing(p.Total)) == 0
}

// GoesOn tells whether what was seen later, or by another process, is more of this pull.
func (p *Pull) GoesOn(more *Pull) bool {
	switch {
	case p.Client != more.Client || p.List != more.List || p.Question != more.Question,
		more.Began.Sub(p.Last) > WalkEnds, p.Began.Sub(more.Last) > WalkEnds, len(p.Read) > mostRanges:
		return false
	case p.Begun && more.Begun:
		return false
	case p.Whole() && more.Began.Sub(p.Last) > 5*time.Second && more.Beyond == 0:
		return false // a page of the next one, whose first was answered elsewhere
	}
	return true
}

// atOnce is how long a client that reads one list several times at once may leave one of these
// walks alone.
const atOnce = 5 * time.Minute

// Continued finds which of some pulls of one question, the latest last, more goes on with: of
// several walks at once the one that lacks it. It is nil where none is.
func Continued(all []*Pull, more *Pull) (latest *Pull) {
	for i := len(all) - 1; i >= max(0, len(all)-mostAtOnce); i-- {
		p := all[i]
		if !p.GoesOn(more) {
			continue
		}
		if latest == nil {
			latest = p
		}
		if !p.Read.Overlap(more.Read) && more.Began.Sub(p.Last) < atOnce {
			return p
		}
	}
	return latest
}

// mostAtOnce are told apart.
const mostAtOnce = 4

// Add puts more of a pull to it.
func (p *Pull) Add(more *Pull) {
	if more.Began.Before(p.Began) {
		p.Began = more.Began
		if more.FirstEdition > 0 {
			p.FirstEdition = more.FirstEdition
		}
	}
	if p.FirstEdition == 0 {
		p.FirstEdition = more.FirstEdition
	}
	if !more.Last.Before(p.Last) {
		p.Last = more.Last
		if more.Total >= 0 {
			p.Total, p.LastEdition = more.Total, more.LastEdition
		}
		if more.Failed > 0 {
			p.Reason = more.Reason
		}
	}
	if p.Total < 0 {
		p.Total, p.LastEdition = more.Total, more.LastEdition
	}
	p.Limit, p.Begun = max(p.Limit, more.Limit), p.Begun || more.Begun
	p.Pages, p.Rows, p.Bytes = p.Pages+more.Pages, p.Rows+more.Rows, p.Bytes+more.Bytes
	p.Beyond, p.Failed, p.Took = p.Beyond+more.Beyond, p.Failed+more.Failed, p.Took+more.Took
	p.Twice += more.Twice
	for _, r := range more.Read {
		p.Twice += p.Read.Add(r.From, r.To)
	}
}

// A Range is rows of a list, from one number up to before another.
type Range struct{ From, To int }

// Ranges are rows of a list: apart from each other, and in their order.
type Ranges []Range

// Add adds rows, and tells how many of them there were already.
func (s *Ranges) Add(from, to int) (known int) {
	if from >= to {
		return 0
	}
	first := 0
	for first < len(*s) && (*s)[first].To < from {
		first++
	}
	last, whole := first, Range{from, to}
	for last < len(*s) && (*s)[last].From <= to {
		r := (*s)[last]
		known += max(0, min(r.To, to)-max(r.From, from))
		whole = Range{min(whole.From, r.From), max(whole.To, r.To)}
		last++
	}
	*s = slices.Replace(*s, first, last, whole)
	return known
}

// Missing are the rows that are not there of the first so many.
func (s Ranges) Missing(total int) (out Ranges) {
	at := 0
	for _, r := range s {
		if r.From > at && at < total {
			out = append(out, Range{at, min(r.From, total)})
		}
		at = max(at, r.To)
	}
	if at < total {
		out = append(out, Range{at, total})
	}
	return out
}

// Overlap tells whether some rows are among others too.
func (s Ranges) Overlap(other Ranges) bool {
	for _, r := range s {
		for _, o := range other {
			if r.From < o.To && o.From < r.To {
				return true
			}
		}
	}
	return false
}

// Rows is how many they are.
func (s Ranges) Rows() (n int) {
	for _, r := range s {
		n += r.To - r.From
	}
	return n
}

// Has tells whether a row is among them.
func (s Ranges) Has(row int) bool {
	return slices.ContainsFunc(s, func(r Range) bool { return r.From <= row && row < r.To })
}

// String is how the database keeps it: 0-5000,10000-15000.
func (s Ranges) String() string {
	parts := make([]string, len(s))
	for i, r := range s {
		parts[i] = fmt.Sprintf("%d-%d", r.From, r.To)
	}
	return strings.Join(parts, ",")
}

func parseRanges(text string) (out Ranges, err error) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, _ := strings.Cut(part, "-")
		r := Range{}
		if text == "" {
			return nil, nil
		}
		if r.From, err = strconv.Atoi(from); err == nil {
			r.To, err = strconv.Atoi(to)
		}
		if err != nil {
			return nil, fmt.Errorf("a pull is damaged: rows %q", text)
		}
		out = append(out, r)
	}
	return out, nil
}

// Calls are how often a client called an operation in an hour, and what became of that.
type Calls struct {
	Client string // by its id; "" where the service knows no such client
	Op     string
	Hour   time.Time

	Calls, Refused, Failed, Aborted int // all, and those answered with 4xx and 5xx, and that broke off
	Rows                            int
	Bytes                           int64
	Took                            time.Duration
	Reason                          string // of the last that was refused
}

// Add puts more of the same hour to it.
func (c *Calls) Add(more *Calls) {
	c.Calls, c.Refused, c.Failed = c.Calls+more.Calls, c.Refused+more.Refused, c.Failed+more.Failed
	c.Aborted, c.Rows, c.Bytes = c.Aborted+more.Aborted, c.Rows+more.Rows, c.Bytes+more.Bytes
	c.Took += more.Took
	if more.Reason != "" {
		c.Reason = more.Reason
	}
}

// A Failure is a call of a client that was refused, failed or broke off.
type Failure struct {
	At      time.Time
	Request string // X-Request-Id of its answer
	Client  string // by its id
	Op      string
	Status  int // 200 where the answer broke off
	Reason  string
	Took    time.Duration
}

// Heard is what a process heard of clients: pulls and calls in part, failures one by one.
type Heard struct {
	Pulls    []*Pull
	Calls    []*Calls
	Failures []Failure // those of strangers are not kept
}

// Note puts what a process heard to what is known, in one transaction: it is put together rightly
// whichever processes answered.
func (s *Store) Note(ctx context.Context, heard Heard) error {
	pulls := heard.Pulls
	return s.keep(ctx, func(tx *sql.Tx) error {
		n := &noting{s.dialect, tx, map[string]bool{}}
		var last int64
		text := s.sql(`UPDATE "ledger" SET "pulls" = "pulls" + $1 WHERE "id" = 1 RETURNING "pulls"`)
		err := tx.QueryRowContext(ctx, text, len(pulls)).Scan(&last)
		for i, p := range pulls {
			if err == nil {
				err = n.pull(ctx, p, last-int64(len(pulls)-1-i))
			}
		}
		for _, c := range heard.Calls {
			if err == nil {
				err = n.calls(ctx, c)
			}
		}
		for _, f := range heard.Failures {
			if err == nil {
				err = n.failure(ctx, f)
			}
		}
		return err
	})
}

// noting is one transaction that notes pulls.
type noting struct {
	*dialect
	*sql.Tx
	known map[string]bool // who is a client of ours, of those that were looked for
}

// ours tells whether there is such a client.
func (n *noting) ours(ctx context.Context, client string) (bool, error) {
	if _, looked := n.known[client]; looked {
		return n.known[client], nil
	}
	var found int
	text := n.sql(`SELECT COUNT(*) FROM "clients" WHERE "id" = $1`)
	err := n.QueryRowContext(ctx, text, client).Scan(&found)
	n.known[client] = found > 0
	return found > 0, err
}

func (n *noting) failure(ctx context.Context, f Failure) error {
	client := storable(f.Client)
	if ours, err := n.ours(ctx, client); err != nil || !ours {
		return err
	}
	_, err := n.ExecContext(ctx, n.sql(`INSERT INTO "failures" ("at", "request", "client", "op", "status", "reason",
		"micros") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT ("at", "request") DO NOTHING`), stampText(f.At),
		storable(f.Request), client, f.Op, f.Status, storable(f.Reason), f.Took.Microseconds())
	return err
}

const pullColumns = `"id", "client", "op", "list", "question", "began", "last", "firstEdition", "lastEdition",
	"limit", "total", "begun", "pages", "rows", "bytes", "twice", "beyond", "failed", "reason", "micros",
	"read"`

// pull puts what was seen of a pull to the last one of the same client, list and question, or
// makes a new one of it.
func (n *noting) pull(ctx context.Context, seen *Pull, id int64) error {
	sum := sha256.Sum256([]byte(seen.Question))
	hash := base64.RawURLEncoding.EncodeToString(sum[:])
	kept := *seen
	kept.ID, kept.Read = id, slices.Clone(seen.Read)
	kept.Client, kept.List, kept.Reason = storable(seen.Client), storable(seen.List), storable(seen.Reason)
	kept.Question = storable(cut(seen.Question, QuestionKept))
	text := n.sql(`SELECT ` + pullColumns + ` FROM "pulls"
		WHERE "client" = $1 AND "list" = $2 AND "hash" = $3 ORDER BY "id" DESC LIMIT $4`)
	var all []*Pull
	err := queryAll(ctx, n.Tx, text, []any{kept.Client, kept.List, hash, mostAtOnce},
		func(scan func(...any) error) error {
			p, err := scanPull(scan)
			all = append([]*Pull{&p}, all...)
			return err
		})
	if err != nil {
		return err
	}
	if last := Continued(all, &kept); last != nil {
		last.Add(&kept)
		kept = *last
	}
	begun := 0
	if kept.Begun {
		begun = 1
	}
	_, err = n.ExecContext(ctx, n.sql(`INSERT INTO "pulls" ("hash", `+pullColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
			$21, $22)
		ON CONFLICT ("id") DO UPDATE SET "began" = excluded."began", "last" = excluded."last",
		"firstEdition" = excluded."firstEdition", "lastEdition" = excluded."lastEdition",
		"limit" = excluded."limit", "total" = excluded."total", "begun" = excluded."begun",
		"pages" = excluded."pages", "rows" = excluded."rows", "bytes" = excluded."bytes",
		"twice" = excluded."twice", "beyond" = excluded."beyond", "failed" = excluded."failed",
		"reason" = excluded."reason", "micros" = excluded."micros", "read" = excluded."read"`),
		hash, kept.ID, kept.Client, kept.Op, kept.List, kept.Question, stampText(kept.Began),
		stampText(kept.Last), kept.FirstEdition, kept.LastEdition, kept.Limit, kept.Total, begun, kept.Pages,
		kept.Rows, kept.Bytes, kept.Twice, kept.Beyond, kept.Failed, kept.Reason, kept.Took.Microseconds(),
		kept.Read.String())
	return err
}

// cut is what a text begins with, at most so many bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

func scanPull(scan func(...any) error) (p Pull, err error) {
	var began, last, read string
	var begun, micros int64
	err = scan(&p.ID, &p.Client, &p.Op, &p.List, &p.Question, &began, &last, &p.FirstEdition, &p.LastEdition,
		&p.Limit, &p.Total, &begun, &p.Pages, &p.Rows, &p.Bytes, &p.Twice, &p.Beyond, &p.Failed, &p.Reason,
		&micros, &read)
	if err != nil {
		return p, err
	}
	p.Began, p.Last, p.Begun = stampTime(began), stampTime(last), begun == 1
	p.Took = time.Duration(micros) * time.Microsecond
	p.Read, err = parseRanges(read)
	return p, err
}

// calls adds to an hour. Who is none of ours has no name in it: strangers write what they like.
func (n *noting) calls(ctx context.Context, c *Calls) error {
	client := storable(c.Client)
	ours, err := n.ours(ctx, client)
	if err != nil {
		return err
	}
	if !ours {
		client = ""
	}
	_, err = n.ExecContext(ctx, n.sql(`INSERT INTO "calls" ("client", "op", "hour", "calls", "refused",
		"failed", "aborted", "rows", "bytes", "micros", "reason") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT ("client", "op", "hour") DO UPDATE SET "calls" = "calls"."calls" + excluded."calls",
		"refused" = "calls"."refused" + excluded."refused", "failed" = "calls"."failed" + excluded."failed",
		"aborted" = "calls"."aborted" + excluded."aborted", "rows" = "calls"."rows" + excluded."rows",
		"bytes" = "calls"."bytes" + excluded."bytes", "micros" = "calls"."micros" + excluded."micros",
		"reason" = CASE WHEN excluded."reason" = '' THEN "calls"."reason" ELSE excluded."reason" END`),
		client, c.Op, stampText(c.Hour), c.Calls, c.Refused, c.Failed, c.Aborted, c.Rows, c.Bytes,
		c.Took.Microseconds(), storable(c.Reason))
	return err
}

// PullsOf chooses pulls.
type PullsOf struct {
	Client string    // by its id; "" is all
	Since  time.Time // read a page at this time or later
	Until  time.Time // began before; the zero time is no bound
	List   string    // "" is all
	Limit  int       // the latest so many; 0 is all
}

// Pulls are what clients have read, the latest first.
func (s *Store) Pulls(ctx context.Context, of PullsOf) (pulls []Pull, err error) {
	st := &statement{d: s.dialect}
	where := ` WHERE "last" >= ` + st.arg(stampText(of.Since))
	if of.Client != "" {
		where += ` AND "client" = ` + st.arg(askable(of.Client))
	}
	if !of.Until.IsZero() {
		where += ` AND "began" < ` + st.arg(stampText(of.Until))
	}
	if of.List != "" {
		where += ` AND "list" = ` + st.arg(askable(of.List))
	}
	where += ` ORDER BY "began" DESC, "id" DESC`
	if of.Limit > 0 {
		where += ` LIMIT ` + st.arg(of.Limit)
	}
	return s.pulls(ctx, where, st.args...)
}

// Pull is one of them; ErrNotFound when there is none of that number.
func (s *Store) Pull(ctx context.Context, id int64) (Pull, error) {
	return first(s.pulls(ctx, ` WHERE "id" = $1`, id))
}

func (s *Store) pulls(ctx context.Context, where string, args ...any) (pulls []Pull, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		text := s.sql(`SELECT ` + pullColumns + ` FROM "pulls"` + where)
		return queryAll(ctx, tx, text, args, func(scan func(...any) error) error {
			p, err := scanPull(scan)
			pulls = append(pulls, p)
			return err
		})
	})
	return pulls, err
}

// CallsSince are the calls of each hour from a time on, the earliest first; of one client, or of
// all where it is "".
func (s *Store) CallsSince(ctx context.Context, client string, since time.Time) (out []Calls, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		text := s.sql(`SELECT "client", "op", "hour", "calls", "refused", "failed", "aborted", "rows",
			"bytes", "micros", "reason" FROM "calls" WHERE "hour" >= $1 AND ("client" = $2 OR $2 = '')
			ORDER BY "hour", "client", "op"`)
		args := []any{stampText(since.Truncate(time.Hour)), askable(client)}
		return queryAll(ctx, tx, text, args, func(scan func(...any) error) error {
			var c Calls
			var hour string
			var micros int64
			err := scan(&c.Client, &c.Op, &hour, &c.Calls, &c.Refused, &c.Failed, &c.Aborted, &c.Rows,
				&c.Bytes,
				&micros, &c.Reason)
			c.Hour, c.Took = stampTime(hour), time.Duration(micros)*time.Microsecond
			out = append(out, c)
			return err
		})
	})
	return out, err
}

// Failures are those of a client, or of all where it is "", from a time on: the latest so many, the
// latest first.
func (s *Store) Failures(ctx context.Context, client string, since time.Time, most int) (out []Failure,
	err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		text := s.sql(`SELECT "at", "request", "client", "op", "status", "reason", "micros" FROM "failures"
			WHERE "at" >= $1 AND ("client" = $2 OR $2 = '') ORDER BY "at" DESC, "request" LIMIT $3`)
		args := []any{stampText(since), askable(client), most}
		return queryAll(ctx, tx, text, args, func(scan func(...any) error) error {
			var f Failure
			var at string
			var micros int64
			err := scan(&at, &f.Request, &f.Client, &f.Op, &f.Status, &f.Reason, &micros)
			f.At, f.Took = stampTime(at), time.Duration(micros)*time.Microsecond
			out = append(out, f)
			return err
		})
	})
	return out, err
}

// ForgetPulls forgets pulls and calls of before a time, of each client all but its latest pulls
// so many, and of failures all but the latest so many.
func (s *Store) ForgetPulls(ctx context.Context, before time.Time, most int) error {
	return s.keep(ctx, func(tx *sql.Tx) error {
		for _, text := range []string{`DELETE FROM "pulls" WHERE "last" < $1`,
			`DELETE FROM "calls" WHERE "hour" < $1`} {
			if _, err := tx.ExecContext(ctx, s.sql(text), stampText(before)); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, s.sql(`DELETE FROM "pulls" WHERE "id" IN (SELECT "id" FROM
			(SELECT "id", row_number() OVER (PARTITION BY "client" ORDER BY "id" DESC) AS n FROM "pulls") p
			WHERE n > $1)`), most)
		if err == nil {
			_, err = tx.ExecContext(ctx, s.sql(`DELETE FROM "failures" WHERE "at" < (SELECT MIN("at") FROM
				(SELECT "at" FROM "failures" ORDER BY "at" DESC LIMIT $1) f)`), most)
		}
		return err
	})
}
