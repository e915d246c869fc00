package bulk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

type idHash [16]byte

func hashID(id string) idHash {
	sum := sha256.Sum256([]byte(id))
	return idHash(sum[:16])
}

// Stored is what a check asks of the district that a package is for. What is
// deleted does not count as there.
type Stored struct {
	// IDs yields the sourcedId of every active record.
	IDs func(r *oneroster.Resource, yield func(id string) error) error
	// Known tells whether there is such a record, deleted or not.
	Known func(r *oneroster.Resource, id string) (bool, error)
	// Count counts the active records that a filter selects; "" selects all.
	Count func(r *oneroster.Resource, filter string) (int, error)
}

// Check reads the whole package and tells what is wrong with it: cells, rows
// that lack what is required, ids that are there twice, references to objects
// that are neither in the package nor, where the package does not carry all of
// them, stored. What only follows from a row that is wrong is one line with a
// count. Ids are held as hashes; rows are not held. Every row is read twice, and
// again as long as rows are found wrong because of others; progress, when set, is
// told of all.
func (p *Package) Check(ctx context.Context, stored Stored, progress func(rows int)) (Problems, error) {
	c := &checker{p: p, stored: stored, progress: progress,
		ids:   map[*oneroster.Resource]map[idHash]standing{},
		known: map[*oneroster.Resource]map[idHash]bool{}, perFile: map[string]int{},
		follow:  map[string]*follows{},
		empties: map[*oneroster.Resource]bool{}, parents: map[string]string{}, schools: map[idHash]idHash{},
		twice: map[place][]*oneroster.Resource{}, odd: map[string]*oddity{}}
	if p.sds != nil { // its files were read on opening: what is wrong with them comes first
		if err := p.sds.missing(c); err != nil {
			return c.problems, err
		}
	}
	for c.pass = 0; c.pass < 2 || c.found; c.pass++ {
		c.found = false
		if err := p.each(ctx, c.wrong, c.row); err != nil {
			return c.problems, err
		}
		if c.pass == 0 {
			if err := c.files(); err != nil {
				return c.problems, err
			}
		}
	}
	if err := c.links(); err != nil {
		return c.problems, err
	}
	c.cycles()
	for _, key := range sortedKeys(c.odd) {
		o := c.odd[key]
		p.note(fmt.Sprintf("%s (%d, the first in %s:%d)", key, o.n, o.first.file, o.first.line))
	}
	c.consequences()
	p.checked = true
	return c.problems, nil
}

// standing is what is known of an id in the package.
type standing uint8

const (
	there  standing = 1 + iota
	broken          // its row cannot be used
	going           // the package deletes it
)

type checker struct {
	p        *Package
	stored   Stored
	ids      map[*oneroster.Resource]map[idHash]standing
	known    map[*oneroster.Resource]map[idHash]bool // active in the district
	read     int
	progress func(int)
	pass     int
	found    bool // this pass found a row wrong because of another
	problems Problems
	perFile  map[string]int
	follow   map[string]*follows

	twice   map[place][]*oneroster.Resource // records whose id stands for an earlier line
	empties map[*oneroster.Resource]bool    // whose file has no rows: references to them follow from that
	parents map[string]string               // "org/" or "academicSession/" and sourcedId to that of the parent
	schools map[idHash]idHash               // class to school
	odd     map[string]*oddity              // what is noted, not refused
}

// follows counts the references of one file to rows that cannot be used.
type follows struct {
	n     int
	first Problem
	mild  int
}

type oddity struct {
	n     int
	first place
}

// wrong is told of cells, in every pass; the first counts.
func (c *checker) wrong(r *oneroster.Resource, at place, id string, field int, column, value, text string) {
	if c.pass > 0 {
		return
	}
	f := &r.Fields[field]
	if field > oneroster.Modified && !f.Required {
		c.p.spoilt[at] = append(c.p.spoilt[at], spoilt{of: r, field: field})
		c.tell(Problem{at.file, at.line, column, value, text, true})
		return
	}
	c.spoil(r, at, id, Problem{at.file, at.line, column, value, text, false})
}

// spoil tells of a row that cannot be used.
func (c *checker) spoil(r *oneroster.Resource, at place, id string, x Problem) {
	c.drop(r, at, id)
	c.tell(x)
}

// drop takes a row for unusable. Without its id nobody can tell whom it stands for.
func (c *checker) drop(r *oneroster.Resource, at place, id string) {
	if !c.p.bad[at] {
		c.p.bad[at] = true
		c.p.Skipped[r]++
		c.found = true
	}
	if id == "" && c.p.files[r].mode == oneroster.Bulk && c.p.stuck == nil {
		c.p.stuck = fmt.Errorf("%s:%d cannot be skipped: its sourcedId cannot be read, and whoever it "+
			"stands for would be retired", at.file, at.line)
	}
}

func (c *checker) tell(x Problem) {
	x.Column = c.p.theirs(x.File, x.Column)
	c.problems.Total++
	if c.perFile[x.File]++; c.perFile[x.File] <= c.p.keep {
		c.problems.List = append(c.problems.List, x)
	}
}

func (c *checker) note(text string, at place) {
	if c.odd[text] == nil {
		c.odd[text] = &oddity{first: at}
	}
	c.odd[text].n++
}

func (c *checker) row(row oneroster.Row) error {
	if c.read++; c.progress != nil && c.read%1000 == 0 {
		c.progress(c.read)
	}
	at := place{row.File, row.Line}
	if c.pass == 0 {
		c.p.Rows[row.Resource]++
		c.alone(row, at)
		return nil
	}
	if c.p.bad[at] {
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
func (c *checker) alone(row oneroster.Row, at place) {
	r, id := row.Resource, row.ID()
	delta := c.p.files[r].mode == oneroster.Delta
	status := row.Values[oneroster.Status]
	if delta && status == "" && !c.p.bad[at] {
		c.spoil(r, at, id, Problem{at.file, at.line, "status", "",
			"is empty in a delta file: write active or tobedeleted", false})
	}
	if id == "" || status != oneroster.ToBeDeleted {
		for _, p := range oneroster.Check(row.Record) {
			if !c.p.bad[at] {
				if class := row.Get("class"); c.p.sds != nil && r.Name == "enrollment" &&
					p.Field == "school" && class != "" {
					section := oneroster.ByName("class") // its school is the enrollment's
					if c.empties[section] {
						c.hangs(at, Problem{File: at.file, Row: at.line}, true)
						c.drop(r, at, id)
						continue
					}
					p.Field, p.Text = "class", fmt.Sprintf("there is no %s %q in %s: add it, or "+
						"correct this id",
						c.p.called(section), class, c.p.fileOf(section))
				}
				if c.p.sds != nil && c.p.sds.version == "v2.1" && at.file == "users.csv" &&
					(p.Field == "role" || p.Field == "orgs") {
					if c.p.sds.found["roles.csv"] != nil && len(c.p.sds.read["roles.csv"]) == 0 {
						c.hangs(at, Problem{File: at.file, Row: at.line}, true)
						c.drop(r, at, id)
						continue
					}
					p.Field, p.Text = "sourcedId",
						fmt.Sprintf("%q has no row in roles.csv that says its role and org: add one", id)
				}
				c.spoil(r, at, id, Problem{at.file, at.line, r.Field(p.Field).Column(), row.Get(p.Field),
					p.Text, false})
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
		if c.p.bad[at] { // it makes several records, and was told of one
			return
		}
		text := fmt.Sprintf("%q is there twice in this file: keep one row", id)
		c.spoil(r, at, id, Problem{at.file, at.line, "sourcedId", id, text, false})
	case status == oneroster.ToBeDeleted:
		ids[h] = going
	case c.p.bad[at]:
		ids[h] = broken
	default:
		ids[h] = there
		c.oddities(row, at)
	}
}

// oddities are noted: what may be meant, and hardly is.
func (c *checker) oddities(row oneroster.Row, at place) {
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
	for _, id := range sortedKeys(c.parents) {
		on := map[string]bool{}
		for at := id; at != "" && !done[at]; at = c.parents[at] {
			if on[at] {
				name, own, _ := strings.Cut(at, "/")
				c.p.note(fmt.Sprintf("the parents of the %s %q lead back to it: correct parentSourcedId",
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

// files judges files that have no rows, and those that should not be there.
func (c *checker) files() error {
	for _, r := range oneroster.Resources() {
		f := c.p.files[r]
		if f == nil || f.mode != oneroster.Bulk || c.p.Rows[r] > 0 || f.made != nil {
			continue
		}
		if err := c.empty(f.name, r, "", func() { delete(c.p.files, r) }); err != nil {
			return err
		}
	}
	for _, f := range c.p.absent {
		rows := 0
		if err := c.p.rows(f, func([]string) error { return nil },
			func(int, []string, error) error { rows++; return nil }); err != nil {
			return err
		}
		if rows > 0 {
			text := fmt.Sprintf("manifest.csv says that this file is absent, and it has %s: correct "+
				"the manifest", plural(rows, "row"))
			c.tell(Problem{f.name, 1, "", "", text, false})
			c.p.stuck = fmt.Errorf("%s: %s", f.name, text)
			continue
		}
		c.p.note(f.name + " has no rows, and manifest.csv says that it is absent: it was passed over")
	}
	return nil
}

// empty judges a source of records that has none: where some are stored that a
// filter selects, it would retire them all.
func (c *checker) empty(name string, r *oneroster.Resource, filter string, pass func()) error {
	n := 0
	if c.stored.Count != nil {
		var err error
		if n, err = c.stored.Count(r, filter); err != nil {
			return err
		}
	}
	if n == 0 {
		c.p.note(name + " has no rows and was passed over")
		pass()
		return nil
	}
	text := fmt.Sprintf("there is not one row in this file, which would retire %s: leave the file out, or "+
		"export it again", plural(n, "active "+r.Name))
	c.tell(Problem{name, 1, "", "", text, false})
	c.p.stuck = fmt.Errorf("%s: %s", name, text)
	c.empties[r] = true
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// links judges the rows of link files at their own place.
func (c *checker) links() error {
	for _, x := range c.p.linkProblems {
		c.tell(x)
	}
	resource := oneroster.ByName("resource")
	for _, r := range oneroster.Resources() {
		f := c.p.links[r]
		if f == nil {
			continue
		}
		var found []Problem
		for id, x := range c.p.resources[r] {
			// In a delta a link changes the row of its class, which must be there.
			state := c.ids[r][hashID(id)]
			if state == going {
				continue // its links go with it
			}
			if state != there && state != broken {
				text := fmt.Sprintf("there is no %s with the sourcedId %q: add it to %s.csv, or "+
					"correct this id", r.Name, id, r.Plural)
				if f.mode == oneroster.Delta {
					text = fmt.Sprintf("%q has no row in %s.csv that can be used: in a delta, add the row "+
						"of each %s whose resources change", id, r.Plural, r.Name)
				}
				found = append(found, Problem{f.name, x.line, r.Name + "SourcedId", id, text, false})
				continue
			}
			for _, row := range x.rows {
				if _, ok, err := c.is(resource, row.target); err != nil {
					return err
				} else if !ok {
					text := fmt.Sprintf("there is no resource with the sourcedId %q: add it to "+
						"resources.csv, or correct this id", row.target)
					found = append(found, Problem{f.name, row.line, "resourceSourcedId", row.target, text,
						false})
				}
			}
		}
		slices.SortFunc(found, func(a, b Problem) int { return a.Row - b.Row })
		for _, x := range found {
			c.p.linkProblems = append(c.p.linkProblems, x)
			if x.Column == "resourceSourcedId" &&
				(c.empties[resource] || c.ids[resource][hashID(x.Value)] == broken) {
				c.hangs(place{x.File, x.Row}, x, false)
			} else {
				c.tell(x)
			}
			for _, owner := range c.p.resources[r] {
				owner.came = slices.DeleteFunc(owner.came,
					func(id string) bool { return id == x.Value && x.Column == "resourceSourcedId" })
			}
		}
	}
	return nil
}

func (c *checker) references(row oneroster.Row, at place) error {
	r := row.Resource
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.To == "" || f.Derived() || row.Values[i] == "" || f.Name == "resources" {
			continue
		}
		items := oneroster.Items(row.Values[i])
		left := len(items)
		for _, id := range items {
			cause, ok, err := c.is(oneroster.ByName(f.To), id)
			if err != nil {
				return err
			}
			if !ok && cause != broken {
				if ok, err = c.outlives(r, oneroster.ByName(f.To), id); err != nil {
					return err
				}
				if ok {
					c.note(at.file+": the class or pupil of gradebook objects has left: they are left out",
						at)
				}
			}
			if ok {
				continue
			}
			left--
			last := f.Required && (f.Kind == oneroster.Ref || left == 0)
			c.dangling(row, at, i, f, id, cause, last)
		}
	}
	if r.Name == "demographics" {
		f := &oneroster.Field{Name: "sourcedId", To: "user", CSV: "sourcedId"}
		cause, ok, err := c.is(oneroster.ByName("user"), row.ID())
		if err != nil {
			return err
		}
		if !ok {
			c.dangling(row, at, oneroster.SourcedID, f, row.ID(), cause, true)
		}
	}
	return nil
}

// dangling handles a reference that leads nowhere. needed tells that the row
// cannot do without it; cause is 0 where nothing else is to blame.
func (c *checker) dangling(row oneroster.Row, at place, field int, f *oneroster.Field, id string,
	cause standing, needed bool) {
	item := spoilt{row.Resource, field, id}
	if !needed {
		if slices.Contains(c.p.spoilt[at], item) {
			return
		}
		c.p.spoilt[at] = append(c.p.spoilt[at], item)
	}
	to := oneroster.ByName(f.To)
	x := Problem{File: at.file, Row: at.line, Column: f.Column(), Value: id, Mild: !needed}
	if cause == 0 && c.empties[to] {
		cause = broken
	}
	switch cause {
	case broken:
		c.hangs(at, x, needed)
	case going:
		x.Text = fmt.Sprintf("the %s %q is tobedeleted in this package: delete what refers to it too",
			c.p.called(to), id)
		c.tell(x)
	default:
		x.Text = fmt.Sprintf("there is no %s with the sourcedId %q: add it to %s, or correct this id",
			to.Name, id, c.p.fileOf(to))
		if c.p.sds != nil {
			x.Text = fmt.Sprintf("there is no %s %q in %s: add it, or correct this id", c.p.called(to), id,
				c.p.fileOf(to))
		}
		c.tell(x)
	}
	if needed {
		if ids := c.ids[row.Resource]; ids != nil {
			ids[hashID(row.ID())] = broken // rows that refer to this one are wrong too
		}
		c.drop(row.Resource, at, row.ID())
	}
}

// outlives tells of a gradebook object whose class or pupil has left: that is no problem of
// the row, which is left out.
func (c *checker) outlives(r, to *oneroster.Resource, id string) (bool, error) {
	if !r.Gradebook || to.Gradebook || c.stored.Known == nil {
		return false, nil
	}
	return c.stored.Known(to, id)
}

// hangs counts a row that only follows from another problem.
func (c *checker) hangs(at place, x Problem, needed bool) {
	if c.follow[at.file] == nil {
		c.follow[at.file] = &follows{first: x}
	}
	if needed {
		c.follow[at.file].n++
	} else {
		c.follow[at.file].mild++
	}
}

// is tells whether an object is there to be referred to; if not, what became of it
// in the package. A bulk file may refer only to what comes with it, where that
// comes at all. Of a row that cannot be used what is stored stays.
func (c *checker) is(to *oneroster.Resource, id string) (standing, bool, error) {
	h := hashID(id)
	state := c.ids[to][h]
	if state == there || state == going {
		return state, state == there, nil
	}
	if f := c.p.files[to]; state == 0 && f != nil && f.mode == oneroster.Bulk || c.stored.IDs == nil {
		return state, false, nil
	}
	known := c.known[to]
	if known == nil {
		known = map[idHash]bool{}
		c.known[to] = known
		if err := c.stored.IDs(to, func(id string) error {
			known[hashID(id)] = true
			return nil
		}); err != nil {
			return 0, false, err
		}
	}
	return state, known[h], nil
}

// consequences tells what hangs on rows that cannot be used, in one line.
func (c *checker) consequences() {
	if len(c.follow) == 0 {
		return
	}
	var parts []string
	first, all, needed := Problem{}, 0, 0
	for _, file := range sortedKeys(c.follow) {
		f := c.follow[file]
		if all == 0 {
			first = f.first
		}
		all, needed = all+f.n+f.mild, needed+f.n
		parts = append(parts, fmt.Sprintf("%d in %s", f.n+f.mild, file))
	}
	text := fmt.Sprintf("%s to rows that cannot be used (%s), this one and others: they follow from the "+
		"problems above",
		plural(all, "reference"), strings.Join(parts, ", "))
	c.tell(Problem{first.File, first.Row, "", "", text, needed == 0})
}

// Records yields the rows that are right. Without skipBad a package with errors
// yields nothing; with it, wrong rows are yielded as such, so that a typing
// error does not retire a pupil, and values that cannot be used stay as they are
// stored.
func (p *Package) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	if !p.checked {
		return errors.New("bulk: Records before Check")
	}
	if p.stuck != nil {
		return p.stuck
	}
	n := len(p.bad) + len(p.spoilt) + len(p.linkProblems)
	if p.sds != nil {
		n += len(p.sds.problems)
	}
	if n > 0 && !p.skipBad {
		return fmt.Errorf("%d rows are wrong", n)
	}
	return p.each(ctx, func(*oneroster.Resource, place, string, int, string, string, string) {},
		func(row oneroster.Row) error {
			at := place{row.File, row.Line}
			row.Skip = p.bad[at]
			for _, s := range p.spoilt[at] {
				if s.of != row.Resource { // the line makes several records
					continue
				}
				items := slices.DeleteFunc(oneroster.Items(row.Values[s.field]),
					func(item string) bool { return item == s.item })
				if row.Values[s.field] = oneroster.Join(items...); s.item == "" || len(items) == 0 {
					row.Keep = append(row.Keep, s.field)
				}
			}
			return yield(row)
		})
}
