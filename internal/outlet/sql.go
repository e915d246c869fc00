package outlet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/source"
	"rollbook/internal/store"
)

// SQL is a database that is written by statements of the user's.
type SQL struct {
	URL        string `json:"url"`        // postgres://, mysql://, sqlserver://; the password is a secret
	Statements string `json:"statements"` // each after a line such as -- results put
	Timeout    string `json:"timeout,omitempty"`
}

type database struct {
	*SQL
	driver, dsn string
	statements  map[string]*statement // "results put"
	timeout     time.Duration
}

// A statement has places for values of a record.
type statement struct {
	text   string
	fields []int // of the resource, by place
}

var sectionLine = regexp.MustCompile(`^--\s*([A-Za-z]+)\s+(put|delete)\s*$`)

func (s *SQL) place(secrets source.Secrets) (Place, error) {
	d := &database{SQL: s, statements: map[string]*statement{}, timeout: time.Minute}
	var err error
	if d.driver, d.dsn, err = source.Database(s.URL, secrets[source.Password]); err != nil {
		return nil, err
	}
	if s.Timeout != "" {
		if d.timeout, err = time.ParseDuration(s.Timeout); err != nil || d.timeout < time.Second {
			return nil, fmt.Errorf("--query-time %q: write a span such as 1m", s.Timeout)
		}
	}
	texts, order := map[string]string{}, []string{}
	at := ""
	for n, line := range strings.Split(strings.ReplaceAll(s.Statements, "\r\n", "\n"), "\n") {
		if m := sectionLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			r := resourceOf(m[1])
			if r == nil {
				return nil, fmt.Errorf("--sql: line %d: %s are not graded: give categories, lineItems or "+
					"results", n+1, m[1])
			}
			at = r.Plural + " " + m[2]
			if slices.Contains(order, at) {
				return nil, fmt.Errorf("--sql: line %d: there is a statement for %s already", n+1, at)
			}
			order = append(order, at)
			continue
		}
		if bare := strings.TrimSpace(line); at == "" && bare != "" && !strings.HasPrefix(bare, "--") {
			return nil, fmt.Errorf("--sql: line %d: begin each statement by a line such as -- results put",
				n+1)
		}
		texts[at] += line + "\n"
	}
	for _, at := range order {
		name, _, _ := strings.Cut(at, " ")
		text := strings.TrimRight(strings.TrimSpace(texts[at]), "; \n")
		if text == "" {
			continue
		}
		if d.statements[at], err = parse(text, resourceOf(name), d.driver); err != nil {
			return nil, fmt.Errorf("--sql: %s: %w", at, err)
		}
	}
	if len(d.statements) == 0 {
		return nil, errors.New("--sql: there is no statement: begin each by a line such as -- results put")
	}
	return d, nil
}

func resourceOf(plural string) *oneroster.Resource {
	for _, r := range oneroster.Resources() {
		if r.Gradebook && strings.EqualFold(r.Plural, plural) {
			return r
		}
	}
	return nil
}

// pieces of SQL: what stands in quotes or is a comment is left alone, and so is ::, PostgreSQL's cast.
var pieces = regexp.MustCompile(`'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|(?s:/\*.*?\*/)|::|:[A-Za-z][A-Za-z0-9]*`)

// parse puts the driver's places for :sourcedId and its like.
func parse(text string, r *oneroster.Resource, driver string) (*statement, error) {
	out := &statement{}
	var wrong error
	out.text = pieces.ReplaceAllStringFunc(text, func(piece string) string {
		if piece[0] != ':' || piece == "::" {
			return piece
		}
		at := slices.IndexFunc(r.Fields, func(f oneroster.Field) bool {
			return strings.EqualFold(f.Column(), piece[1:]) || strings.EqualFold(f.Name, piece[1:])
		})
		if at < 0 {
			var names []string
			for i := range r.Fields {
				if name := r.Fields[i].Column(); name != "" {
					names = append(names, ":"+name)
				}
			}
			wrong = errors.Join(wrong, fmt.Errorf("there is no %s; there are %s", piece, strings.Join(names,
				", ")))
			return piece
		}
		out.fields = append(out.fields, at)
		switch driver {
		case "pgx":
			return fmt.Sprintf("$%d", len(out.fields))
		case "sqlserver":
			return fmt.Sprintf("@p%d", len(out.fields))
		}
		return "?"
	})
	return out, wrong
}

func (d *database) open(ctx context.Context) (*sql.DB, error) {
	db, err := sql.Open(d.driver, d.dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	dial, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := db.PingContext(dial); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("%s cannot be reached: %w", (&source.SQL{URL: d.URL}).At(), err)
	}
	return db, nil
}

func (d *database) Test(ctx context.Context) (string, error) {
	db, err := d.open(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("it can be reached; %d statements", len(d.statements)), db.Close()
}

// Deliver runs the statement of each record, all in one transaction. Where that fails they are run one by
// one: a record that the database does not take is refused, and stops no other.
func (d *database) Deliver(ctx context.Context, what *Delivery) (no []store.Undelivered, err error) {
	db, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	type step struct {
		store.Grade
		verb string
	}
	var steps []step
	for _, g := range what.Put {
		steps = append(steps, step{g, "put"})
	}
	for _, g := range what.Deleted {
		steps = append(steps, step{g, "delete"})
	}
	run := func(steps []step) error {
		ctx, cancel := context.WithTimeout(ctx, d.timeout)
		defer cancel()
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		for _, s := range steps {
			st := d.statements[s.Resource.Plural+" "+s.verb]
			if st == nil {
				continue
			}
			args := make([]any, len(st.fields))
			for i, field := range st.fields {
				if v := s.Values[field]; v != "" {
					args[i] = v
				}
			}
			if _, err := tx.ExecContext(ctx, st.text, args...); err != nil {
				return fmt.Errorf("%s %s: %w", s.Resource.Plural, s.verb, err)
			}
		}
		return tx.Commit()
	}
	if err = run(steps); err == nil || ctx.Err() != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	for i, s := range steps {
		wrong := run(steps[i : i+1])
		if wrong == nil {
			continue
		}
		if ctx.Err() != nil {
			return no, ctx.Err()
		}
		if down := db.PingContext(ctx); down != nil {
			return no, errors.Join(wrong, down)
		}
		no = append(no, store.Undelivered{Resource: s.Resource.Plural, ID: s.ID(), On: hangsOn(s.Grade),
			Words: wrong.Error(),
			At:    time.Now().UTC()})
	}
	if len(no) == len(steps) {
		return nil, err // none is taken: the statements are wrong, or the database is
	}
	return no, nil
}
