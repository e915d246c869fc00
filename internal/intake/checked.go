package intake

import (
	"context"
	"fmt"
	"slices"

	"rollbook/internal/oneroster"
)

// A Checked is a source that was checked, and the source of what is right in it.
type Checked struct {
	Problems Problems
	// Notes are what was noticed, for people.
	Notes []string
	// Rows is how many rows there are, by resource.
	Rows map[*oneroster.Resource]int
	// Skipped is how many of them cannot be used.
	Skipped map[*oneroster.Resource]int

	src     *once
	modes   map[*oneroster.Resource]oneroster.Mode
	bad     map[line]bool     // rows with errors
	spoilt  map[line][]spoilt // values that cannot be used, of rows that can
	lost    map[string]bool   // resources that links lead to in vain; nil while all links are right
	stuck   error             // why even skipping does not help
	skipBad bool
}

// A line is where a row stands.
type line struct {
	file string
	n    int
}

// spoilt is a value that is left as it is stored: of a list the item.
type spoilt struct {
	of    *oneroster.Resource
	field int
	item  string
}

// Modes tells how each resource is carried; files that were passed over are not.
func (c *Checked) Modes() map[*oneroster.Resource]oneroster.Mode { return c.modes }

// Records yields the rows that are right. Where there are problems it yields nothing,
// unless they are skipped: then wrong rows are yielded as such, so that a typing error
// does not retire a pupil, and values that cannot be used stay as they are stored.
func (c *Checked) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	if c.stuck != nil {
		return c.stuck
	}
	if c.Problems.Total > 0 && !c.skipBad {
		return fmt.Errorf("%s", plural(c.Problems.Total, "problem"))
	}
	return c.each(ctx, func(row oneroster.Row, at line) error {
		row.Skip, row.Wrong = c.bad[at], nil
		if c.lost != nil {
			row = c.relinked(row)
		}
		if len(c.spoilt[at]) > 0 { // the source keeps its own
			row.Values, row.Keep = slices.Clone(row.Values), slices.Clone(row.Keep)
		}
		for _, s := range c.spoilt[at] {
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

// relinked is a row of a source whose links are partly wrong: what is stored of them
// stays, and the good ones come.
func (c *Checked) relinked(row oneroster.Row) oneroster.Row {
	at := row.Resource.Index("resources")
	if at < 0 {
		return row
	}
	came := oneroster.Items(row.Values[at])
	linked := len(came) > 0
	for _, e := range row.Edits {
		came, linked = slices.Clone(e.Came), true
	}
	row.Values, row.Keep, row.Edits = slices.Clone(row.Values), []int{at}, nil
	row.Values[at] = ""
	if linked {
		came = slices.DeleteFunc(came, func(id string) bool { return c.lost[id] })
		row.Edits = []oneroster.Edit{{Field: at, Came: came}}
	}
	return row
}

// each reads the rows and where they stand. Where there are no files, that is by resource
// and number.
func (c *Checked) each(ctx context.Context, yield func(oneroster.Row, line) error) error {
	n := map[*oneroster.Resource]int{}
	return c.src.Records(ctx, func(row oneroster.Row) error {
		at := line{row.File, row.Line}
		if row.File == "" {
			n[row.Resource]++
			at = line{row.Resource.Plural, n[row.Resource]}
		}
		return yield(row, at)
	})
}

// Close forgets the rows: Records cannot be called any more.
func (c *Checked) Close() error { return c.src.rows.Close() }

func (c *Checked) note(text string) { c.Notes = append(c.Notes, text) }
