package bulk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"rollbook/internal/oneroster"
)

// A Problem is one thing wrong with a row.
type Problem struct {
	File   string `json:"file"`
	Row    int    `json:"row"` // line of the file; the header is 1
	Column string `json:"column"`
	Value  string `json:"value"`
	Text   string `json:"text"` // what is wrong, and what to do
}

func (p Problem) String() string {
	if p.Column == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Row, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Row, p.Column, p.Text)
}

// Problems are the first that were found, and how many there are in all.
type Problems struct {
	List  []Problem `json:"problems"`
	Total int       `json:"total"`
}

// keptProblems bounds the list.
const keptProblems = 1000

type idHash [16]byte

func hashID(id string) idHash {
	sum := sha256.Sum256([]byte(id))
	return idHash(sum[:16])
}

// Check reads the whole package and tells what is wrong with it: cells, rows
// that lack what is required, ids that are there twice, references to objects
// that are neither in the package nor, where the package does not carry all of
// them, known. Ids are held as hashes; rows are not held.
// Every row is read twice; progress, when set, is told of both.
func (p *Package) Check(ctx context.Context, known func(r *oneroster.Resource, id string) (bool, error), progress func(rows int)) (Problems, error) {
	c := &checker{p: p, known: known, progress: progress, ids: map[*oneroster.Resource]map[idHash]bool{}, rows: map[*oneroster.Resource]int{}}
	for pass := range 2 { // parents and agents may stand after the rows that name them
		c.pass = pass
		if err := p.each(ctx, c.wrong, c.row); err != nil {
			return c.problems, err
		}
	}
	for r, f := range p.files {
		if f.mode == oneroster.Bulk && c.rows[r] == 0 {
			c.tell(f.name, 1, "", "", "there is not one row in this bulk file, which would retire all "+r.Plural+": leave the file out, or export it again")
			p.hollow = true
		}
	}
	c.links()
	p.checked = true
	for _, n := range c.rows {
		p.Rows += n
	}
	return c.problems, nil
}

type checker struct {
	p        *Package
	known    func(r *oneroster.Resource, id string) (bool, error)
	ids      map[*oneroster.Resource]map[idHash]bool
	rows     map[*oneroster.Resource]int
	read     int
	progress func(int)
	pass     int
	problems Problems
}

// wrong is told of cells, in both passes; the first counts.
func (c *checker) wrong(at place, column, value, text string) {
	if c.pass == 0 {
		c.tell(at.file, at.line, column, value, text)
	}
}

func (c *checker) tell(file string, line int, column, value, text string) {
	c.p.bad[place{file, line}] = true
	c.problems.Total++
	if len(c.problems.List) < keptProblems {
		c.problems.List = append(c.problems.List, Problem{file, line, column, value, text})
	}
}

func (c *checker) row(row oneroster.Row) error {
	if c.read++; c.progress != nil && c.read%1000 == 0 {
		c.progress(c.read)
	}
	if c.pass == 0 {
		c.rows[row.Resource]++
		c.alone(row)
		return nil
	}
	if c.p.bad[place{row.File, row.Line}] || row.Values[oneroster.Status] == oneroster.ToBeDeleted {
		return nil
	}
	return c.references(row)
}

// alone looks at a row by itself.
func (c *checker) alone(row oneroster.Row) {
	r := row.Resource
	delta := c.p.files[r].mode == oneroster.Delta
	if delta && row.Values[oneroster.Status] == "" {
		c.tell(row.File, row.Line, "status", "", "is empty in a delta file: write active or tobedeleted")
	}
	if row.ID() == "" || row.Values[oneroster.Status] != oneroster.ToBeDeleted {
		for _, p := range oneroster.Check(row.Record) {
			if !c.p.bad[place{row.File, row.Line}] {
				c.tell(row.File, row.Line, r.Field(p.Field).Column(), row.Get(p.Field), p.Text)
			}
		}
	}
	ids := c.ids[r]
	if ids == nil {
		ids = map[idHash]bool{}
		c.ids[r] = ids
	}
	if h := hashID(row.ID()); row.ID() != "" {
		if ids[h] {
			c.tell(row.File, row.Line, "sourcedId", row.ID(), fmt.Sprintf("%q is there twice in this file: keep one row", row.ID()))
		} else if !c.p.bad[place{row.File, row.Line}] {
			ids[h] = true
		}
	}
}

// links looks for rows of a delta's link files that no class or course goes with:
// they would be lost.
func (c *checker) links() {
	for _, r := range oneroster.Resources() {
		f := c.p.links[r]
		if f == nil || f.mode != oneroster.Delta {
			continue
		}
		var lost []string
		for id := range c.p.resources[r] {
			if !c.ids[r][hashID(id)] {
				lost = append(lost, id)
			}
		}
		line := func(id string) int { return c.p.resources[r][id].line }
		slices.SortFunc(lost, func(a, b string) int { return line(a) - line(b) })
		for _, id := range lost {
			c.tell(f.name, line(id), r.Name+"SourcedId", id, fmt.Sprintf("%q has no row in %s.csv that can be used: in a delta, add the row of each %s whose resources change", id, r.Plural, r.Name))
		}
	}
}

func (c *checker) references(row oneroster.Row) error {
	r := row.Resource
	for _, e := range row.Edits {
		for _, id := range e.Came {
			if err := c.reference(row, &r.Fields[e.Field], id); err != nil {
				return err
			}
		}
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.To == "" || f.Derived() || row.Values[i] == "" {
			continue
		}
		for _, id := range oneroster.Items(row.Values[i]) {
			if err := c.reference(row, f, id); err != nil {
				return err
			}
		}
	}
	if r.Name == "demographics" {
		return c.reference(row, &oneroster.Field{Name: "sourcedId", To: "user", CSV: "sourcedId"}, row.ID())
	}
	return nil
}

func (c *checker) reference(row oneroster.Row, f *oneroster.Field, id string) error {
	to := oneroster.ByName(f.To)
	if c.ids[to][hashID(id)] {
		return nil
	}
	// A bulk file may refer only to what comes with it, where that comes at all.
	stored := c.p.files[to] == nil || c.p.files[to].mode == oneroster.Delta
	if stored && c.known != nil {
		ok, err := c.known(to, id)
		if ok || err != nil {
			return err
		}
	}
	c.tell(row.File, row.Line, f.Column(), id, fmt.Sprintf("there is no %s with the sourcedId %q: add it to %s.csv, or correct this id", to.Name, id, to.Plural))
	delete(c.ids[row.Resource], hashID(row.ID())) // rows that refer to this one are wrong too
	return nil
}

// Records yields the rows that are right. Without skipBad a package with errors
// yields nothing; with it, wrong rows are yielded as such, so that a typing
// error does not retire a pupil.
func (p *Package) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	if !p.checked {
		return errors.New("bulk: Records before Check")
	}
	if p.hollow {
		return errors.New("a bulk file without a row would retire everything of its kind")
	}
	if len(p.bad) > 0 && !p.skipBad {
		return fmt.Errorf("%d rows are wrong", len(p.bad))
	}
	return p.each(ctx, func(place, string, string, string) {}, func(row oneroster.Row) error {
		row.Skip = p.bad[place{row.File, row.Line}]
		return yield(row)
	})
}
