package intake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// references looks at what a row refers to.
func (c *checker) references(row oneroster.Row, at line) error {
	r := row.Resource
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.To == "" || f.Derived() || row.Values[i] == "" ||
			f.Name == "resources" && len(c.apart.Links) > 0 { // told apart
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
					c.note(at.file+": the class or pupil of gradebook objects is not there any more: they are left out",
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
func (c *checker) dangling(row oneroster.Row, at line, field int, f *oneroster.Field, id string,
	cause standing, needed bool) {
	item := spoilt{row.Resource, field, id}
	if !needed {
		if slices.Contains(c.out.spoilt[at], item) {
			return
		}
		c.out.spoilt[at] = append(c.out.spoilt[at], item)
	}
	to := oneroster.ByName(f.To)
	x := Problem{File: at.file, Row: at.n, Column: f.Column(), Value: id, Mild: !needed}
	if cause == 0 && c.empties[to] {
		cause = broken
	}
	switch cause {
	case broken:
		c.hangs(at, x, needed)
	case going:
		_, called := c.pack.File(to)
		x.Text = fmt.Sprintf("the %s %q is tobedeleted in this package: delete what refers to it too",
			cmp.Or(called, to.Name), id)
		c.tell(x)
	default:
		x.Text, x.Lack = c.missing(to, id), true
		c.lack(row.Resource, field, to, x)
		c.tell(x)
	}
	if needed {
		if ids := c.ids[row.Resource]; ids != nil {
			ids[hashID(row.ID())] = broken // rows that refer to this one are wrong too
		}
		c.drop(row.Resource, at, row.ID())
	}
}

// missing is what is told of a reference to nothing.
func (c *checker) missing(to *oneroster.Resource, id string) string {
	file, called := c.pack.File(to)
	if called != "" {
		return fmt.Sprintf("there is no %s %q in %s: add it, or correct this id", called, id, file)
	}
	return fmt.Sprintf("there is no %s with the sourcedId %q: add it to %s, or correct this id", to.Name, id,
		file)
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
func (c *checker) hangs(at line, x Problem, needed bool) {
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
	if state == 0 && c.out.modes[to] == oneroster.Bulk || c.stored.IDs == nil {
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

// links judges lines that link resources, at their own place.
func (c *checker) links() error {
	resource, told := oneroster.ByName("resource"), map[string]bool{}
	for _, l := range c.apart.Links {
		if l.Wrong != nil {
			c.unlinked(l, *l.Wrong)
			continue
		}
		// In a delta a link changes the row of its class, which must be there.
		state, kind := c.ids[l.Of][hashID(l.Owner)], l.Of.Name
		if key := kind + "/" + l.Owner; state == 0 && !told[key] {
			told[key] = true
			text := fmt.Sprintf("there is no %s with the sourcedId %q: add it to %s.csv, or correct this id",
				kind, l.Owner, l.Of.Plural)
			if c.out.modes[l.Of] == oneroster.Delta {
				text = fmt.Sprintf("%q has no row in %s.csv that can be used: in a delta, add the row "+
					"of each %s whose resources change", l.Owner, l.Of.Plural, kind)
			}
			c.unlinked(l, oneroster.Wrong{Column: kind + "SourcedId", Value: l.Owner, Text: text})
		}
		if state == 0 || state == going || l.Resource == "" { // with its owner its links go
			continue
		}
		cause, ok, err := c.is(resource, l.Resource)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		w := oneroster.Wrong{Column: "resourceSourcedId", Value: l.Resource}
		if cause != broken && !c.empties[resource] {
			w.Text = fmt.Sprintf("there is no resource with the sourcedId %q: add it to resources.csv, "+
				"or correct this id", l.Resource)
		}
		c.unlinked(l, w)
		c.out.lost[l.Resource] = true
	}
	return nil
}

// unlinked tells of a link that is wrong; without a text it follows from another row.
func (c *checker) unlinked(l oneroster.Link, w oneroster.Wrong) {
	if c.out.lost == nil {
		c.out.lost = map[string]bool{}
	}
	x := Problem{l.File, l.Line, w.Column, w.Value, w.Text, false, false}
	if x.Text == "" {
		c.hangs(line{l.File, l.Line}, x, false)
		return
	}
	c.tell(x)
}

// consequences tells what hangs on rows that cannot be used, in one line.
func (c *checker) consequences() {
	if len(c.follow) == 0 {
		return
	}
	var parts []string
	first, all, needed := Problem{}, 0, 0
	for _, file := range slices.Sorted(maps.Keys(c.follow)) {
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
	c.tell(Problem{first.File, first.Row, "", "", text, needed == 0, false})
}
