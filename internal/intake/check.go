package intake

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// Stored is what a check asks of the district that a source is for. What is
// deleted does not count as there.
type Stored struct {
	// IDs yields the sourcedId of every active record.
	IDs func(r *oneroster.Resource, yield func(id string) error) error
	// Known tells whether there is such a record, deleted or not.
	Known func(r *oneroster.Resource, id string) (bool, error)
	// Count counts the active records that a filter selects; "" selects all.
	Count func(r *oneroster.Resource, filter string) (int, error)
}

// CheckOptions say what is done about what is wrong.
type CheckOptions struct {
	// SkipBad lets Records leave out rows that are wrong, instead of refusing.
	SkipBad bool
	// Problems is how many problems of each column of a file are kept, that many of one kind
	// hide no other; 0 is 1,000.
	Problems int
	// Progress is told of rows that are read; may be nil.
	Progress func(rows int)
}

// A Package is a source made of files, which says of them what records do not.
type Package interface {
	oneroster.Source
	// Apart is what it holds beside its records.
	Apart() (oneroster.Apart, error)
	// File names the file that records of a resource are looked for in, and what one is
	// called there; "" where the standard's name is meant.
	File(r *oneroster.Resource) (name, called string)
	// Column is what a column of ours is called in a file.
	Column(file, column string) string
	// Blame tells what is wrong where a required field is empty that another file fills:
	// the field to tell of, and what is told; "" where that field refers to nothing.
	// The row may follow from a file without rows instead. Where nothing else is to
	// blame it returns the field itself.
	Blame(row oneroster.Row, field string) (other, text string, follows bool)
}

// loose is a source that is no package of files.
type loose struct{ oneroster.Source }

func (loose) Apart() (oneroster.Apart, error)                        { return oneroster.Apart{}, nil }
func (loose) File(r *oneroster.Resource) (_, _ string)               { return r.Plural, "" }
func (loose) Column(_, column string) string                         { return column }
func (loose) Blame(_ oneroster.Row, f string) (string, string, bool) { return f, "", false }

// Check reads a source whole and tells what is wrong with it: cells, rows that lack what
// is required, ids that are there twice, references to objects that are neither in the
// source nor, where it does not carry all of them, stored. What only follows from a row
// that is wrong is one line with a count. Ids are held as hashes; rows are not held.
// The source is read once; its rows are put aside, and looked at as long as rows are found
// wrong because of others.
// With an error comes what was found until then.
func Check(ctx context.Context, src oneroster.Source, stored Stored, opt CheckOptions) (*Checked, error) {
	out := &Checked{src: &once{Source: src}, skipBad: opt.SkipBad, modes: maps.Clone(src.Modes()),
		bad: map[line]bool{}, spoilt: map[line][]spoilt{},
		Rows: map[*oneroster.Resource]int{}, Skipped: map[*oneroster.Resource]int{}}
	c := &checker{out: out, stored: stored, opt: opt,
		ids:   map[*oneroster.Resource]map[idHash]standing{},
		known: map[*oneroster.Resource]map[idHash]bool{}, told: map[cell]int{},
		follow: map[string]*follows{}, lacking: map[cell]*lacking{},
		empties: map[*oneroster.Resource]bool{}, parents: map[string]string{}, schools: map[idHash]idHash{},
		twice: map[line][]*oneroster.Resource{}, odd: map[string]*oddity{}}
	if c.opt.Problems == 0 {
		c.opt.Problems = 1000
	}
	var is bool
	if c.pack, is = src.(Package); !is {
		c.pack = loose{src}
	}
	if err := c.beside(); err != nil {
		return out, err
	}
	for c.pass = 0; c.pass < 2 || c.found; c.pass++ {
		c.found = false
		if err := out.each(ctx, c.row); err != nil {
			return out, err
		}
		if c.pass == 0 {
			if err := c.without(); err != nil {
				return out, err
			}
		}
	}
	if err := c.links(); err != nil {
		return out, err
	}
	c.cycles()
	for _, key := range slices.Sorted(maps.Keys(c.odd)) {
		o := c.odd[key]
		out.note(fmt.Sprintf("%s (%d, the first in %s:%d)", key, o.n, o.first.file, o.first.n))
	}
	c.consequences()
	return out, c.sum(ctx)
}

// standing is what is known of an id in the source.
type standing uint8

const (
	there  standing = 1 + iota
	broken          // its row cannot be used
	going           // the source deletes it
)

type checker struct {
	out     *Checked
	pack    Package
	apart   oneroster.Apart
	stored  Stored
	opt     CheckOptions
	ids     map[*oneroster.Resource]map[idHash]standing
	known   map[*oneroster.Resource]map[idHash]bool // active in the district
	read    int
	pass    int
	found   bool         // this pass found a row wrong because of another
	told    map[cell]int // problems
	follow  map[string]*follows
	lacking map[cell]*lacking

	twice   map[line][]*oneroster.Resource // records whose id stands for an earlier line
	empties map[*oneroster.Resource]bool   // whose file has no rows: references to them follow from that
	parents map[string]string              // "org/" or "academicSession/" and sourcedId to that of the parent
	schools map[idHash]idHash              // class to school
	odd     map[string]*oddity             // what is noted, not refused
}

type idHash [16]byte

func hashID(id string) idHash {
	sum := sha256.Sum256([]byte(id))
	return idHash(sum[:16])
}

// follows counts the references of one file to rows that cannot be used.
type follows struct {
	n     int
	first Problem
	mild  int
}

type oddity struct {
	n     int
	first line
}

// beside tells what is wrong with what is no record, and with parts that have no rows.
func (c *checker) beside() (err error) {
	if c.apart, err = c.pack.Apart(); err != nil {
		return err
	}
	for _, row := range c.apart.Rows {
		for _, w := range row.Wrong {
			c.tell(Problem{row.File, row.Line, w.Column, w.Value, w.Text, w.Mild, false})
		}
	}
	c.out.stuck = c.apart.Stuck
	for _, loss := range c.apart.Losses {
		if _, err := c.empty(loss, "export it again"); err != nil {
			return err
		}
	}
	return nil
}

// wrong tells of a cell, or of the row.
func (c *checker) wrong(row oneroster.Row, at line, w oneroster.Wrong) {
	x := Problem{at.file, at.n, w.Column, w.Value, w.Text, w.Mild, false}
	if !w.Mild {
		c.spoil(row.Resource, at, row.ID(), x)
		return
	}
	c.out.spoilt[at] = append(c.out.spoilt[at], spoilt{of: row.Resource, field: w.Field})
	c.tell(x)
}

// spoil tells of a row that cannot be used.
func (c *checker) spoil(r *oneroster.Resource, at line, id string, x Problem) {
	c.drop(r, at, id)
	c.tell(x)
}

// drop takes a row for unusable. Without its id nobody can tell whom it stands for.
func (c *checker) drop(r *oneroster.Resource, at line, id string) {
	if !c.out.bad[at] {
		c.out.bad[at] = true
		c.out.Skipped[r]++
		c.found = true
	}
	if id == "" && c.out.modes[r] == oneroster.Bulk && c.out.stuck == nil {
		c.out.stuck = fmt.Errorf("%s:%d cannot be skipped: its sourcedId cannot be read, and whoever it "+
			"stands for would be retired", at.file, at.n)
	}
}

func (c *checker) tell(x Problem) {
	x.Column = c.pack.Column(x.File, x.Column)
	c.out.Problems.Total++
	kind := cell{x.File, x.Column}
	if c.told[kind]++; c.told[kind] <= c.opt.Problems {
		c.out.Problems.List = append(c.out.Problems.List, x)
	}
}

func (c *checker) note(text string, at line) {
	if c.odd[text] == nil {
		c.odd[text] = &oddity{first: at}
	}
	c.odd[text].n++
}

func (c *checker) row(row oneroster.Row, at line) error {
	if c.read++; c.opt.Progress != nil && c.read%1000 == 0 {
		c.opt.Progress(c.read)
	}
	if c.pass == 0 {
		c.out.Rows[row.Resource]++
		for _, w := range row.Wrong {
			c.wrong(row, at, w)
		}
		c.alone(row, at)
		return nil
	}
	if c.out.bad[at] {
		if id := hashID(row.ID()); c.ids[row.Resource][id] == there && !slices.Contains(c.twice[at],
			row.Resource) {
			c.ids[row.Resource][id] = broken // a later record of its line cannot be used
			c.found = true
		}
		return nil
	}
	if row.Values[oneroster.Status] == oneroster.ToBeDeleted {
		return nil
	}
	return c.references(row, at)
}

// alone looks at a row by itself.
func (c *checker) alone(row oneroster.Row, at line) {
	r, id := row.Resource, row.ID()
	status := row.Values[oneroster.Status]
	if c.out.modes[r] == oneroster.Delta && status == "" && !c.out.bad[at] {
		c.spoil(r, at, id, Problem{at.file, at.n, "status", "",
			"is empty in a delta file: write active or tobedeleted", false, false})
	}
	if id == "" || status != oneroster.ToBeDeleted {
		for _, p := range oneroster.Check(row.Record) {
			if !c.out.bad[at] {
				c.lacks(row, at, p)
			}
		}
	}
	if id == "" {
		return
	}
	ids := c.ids[r]
	if ids == nil {
		ids = map[idHash]standing{}
		c.ids[r] = ids
	}
	h := hashID(id)
	switch {
	case ids[h] != 0:
		c.twice[at] = append(c.twice[at], r)
		if c.out.bad[at] { // it makes several records, and was told of one
			return
		}
		text := fmt.Sprintf("%q is there twice in this file: keep one row", id)
		c.spoil(r, at, id, Problem{at.file, at.n, "sourcedId", id, text, false, false})
	case status == oneroster.ToBeDeleted:
		ids[h] = going
	case c.out.bad[at]:
		ids[h] = broken
	default:
		ids[h] = there
		c.oddities(row, at)
	}
}

// lacks tells of a field that keeps a row from being used, or of what is to blame for it.
func (c *checker) lacks(row oneroster.Row, at line, p oneroster.Problem) {
	r := row.Resource
	field, text, follows := c.pack.Blame(row, p.Field)
	switch f := r.Field(field); {
	case field == p.Field:
		text = p.Text
	case text == "":
		to := oneroster.ByName(f.To)
		text, follows = c.missing(to, row.Get(field)), c.empties[to]
	}
	if follows {
		c.hangs(at, Problem{File: at.file, Row: at.n}, true)
		c.drop(r, at, row.ID())
		return
	}
	c.spoil(r, at, row.ID(), Problem{at.file, at.n, r.Field(field).Column(), row.Get(field), text, false, false})
}

// oddities are noted: what may be meant, and hardly is.
func (c *checker) oddities(row oneroster.Row, at line) {
	name := row.Resource.Name
	switch name {
	case "org", "academicSession":
		if parent := row.Get("parent"); parent != "" {
			c.parents[name+"/"+row.ID()] = name + "/" + parent
		}
		if start, end := row.Get("startDate"), row.Get("endDate"); name == "academicSession" &&
			start != "" && end != "" && end <= start {
			c.note(at.file+": sessions end before they start", at)
		}
	case "class":
		c.schools[hashID(row.ID())] = hashID(row.Get("school"))
	case "enrollment":
		if school, ok := c.schools[hashID(row.Get("class"))]; ok && school != hashID(row.Get("school")) {
			c.note(at.file+": the school of enrollments is not that of their class", at)
		}
		if start, end := row.Get("beginDate"), row.Get("endDate"); start != "" && end != "" && end < start {
			c.note(at.file+": enrollments end before they begin", at)
		}
	}
}

// cycles notes parents that lead back to where they began.
func (c *checker) cycles() {
	done := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(c.parents)) {
		on := map[string]bool{}
		for at := id; at != "" && !done[at]; at = c.parents[at] {
			if on[at] {
				name, own, _ := strings.Cut(at, "/")
				c.out.note(fmt.Sprintf("the parents of the %s %q lead back to it: correct parentSourcedId",
					name, own))
				break
			}
			on[at] = true
		}
		for at := range on {
			done[at] = true
		}
	}
}

// without judges bulk files that have no rows.
func (c *checker) without() error {
	for _, r := range oneroster.Resources() {
		if c.out.modes[r] != oneroster.Bulk || c.out.Rows[r] > 0 {
			continue
		}
		name, _ := c.pack.File(r)
		passed, err := c.empty(oneroster.Loss{Of: r, What: "active " + r.Name, File: name},
			"leave the file out, or export it again")
		if err != nil {
			return err
		}
		if passed {
			delete(c.out.modes, r)
		}
	}
	return nil
}

// empty judges a part without rows: where some are stored of it, it would retire them
// all. Else it is passed over.
func (c *checker) empty(loss oneroster.Loss, fix string) (passed bool, err error) {
	n, but := 0, 0
	if c.stored.Count != nil {
		if n, err = c.stored.Count(loss.Of, loss.Filter); err != nil {
			return false, err
		}
		if n > 0 && loss.But != "" {
			if but, err = c.stored.Count(loss.Of, loss.But); err != nil {
				return false, err
			}
		}
	}
	if n -= but; n == 0 {
		if !loss.Missing {
			c.out.note(loss.File + " has no rows and was passed over")
		}
		return true, nil
	}
	text := fmt.Sprintf("there is not one row in this file, which would retire %s: %s", plural(n, loss.What),
		fix)
	c.out.stuck = fmt.Errorf("%s: %s", loss.File, text)
	if loss.Missing {
		text = fmt.Sprintf("is not in the package, which would retire %s: add the file", plural(n, loss.What))
		c.out.stuck = fmt.Errorf("%s %s", loss.File, text)
	}
	c.tell(Problem{loss.File, 1, "", "", text, false, false})
	c.empties[loss.Of] = loss.Filter == ""
	return false, nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
