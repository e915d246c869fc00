package sandbox

import (
	"context"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// What a day does to a record.
const (
	Added   = "added"
	Changed = "changed"
	Retired = "retired"
)

// A Change is what a day did to one record as readers are served it.
type Change struct {
	Day       int    `json:"day"`
	Date      string `json:"date"` // YYYY-MM-DD
	Op        string `json:"change"`
	Resource  string `json:"resource"` // its plural, as in paths and file names
	SourcedID string `json:"sourcedId"`
	What      string `json:"what"` // for people: "Ada Brown moved to Oak Hill Middle School"
}

// parents notes the records whose children are others than this morning: those
// that a child of today points at now, or did.
func (o *overlay) parents() {
	for _, name := range []string{"org", "academicSession"} {
		r := oneroster.ByName(name)
		y := o.layers[r]
		for _, id := range slices.Clone(y.order) {
			before, now := y.today[id].before, y.held[id]
			var was, is string
			if there(before) {
				was = before.Get("parent")
			}
			if there(now) {
				is = now.Get("parent")
			}
			if was == is {
				continue
			}
			for _, parent := range []string{was, is} {
				if parent == "" {
					continue
				}
				t := o.touched(r, parent)
				if _, stays := o.get(name, parent); stays && there(t.before) {
					t.child = true
					t.says(strings.Join(y.today[id].what, "; "))
				}
			}
		}
	}
}

// changes are the records that are served otherwise than this morning. Links
// between agents need no look at the other side: a Life states both.
func (o *overlay) changes(day int, date string) (out []Change) {
	o.parents()
	for _, r := range oneroster.Resources() {
		y := o.layers[r]
		kept := y.order[:0]
		for _, id := range y.order {
			t := y.today[id]
			now, _ := o.get(r.Name, id)
			c := Change{Day: day, Date: date, Resource: r.Plural, SourcedID: id}
			switch {
			case there(t.before) && !there(now):
				c.Op, c.What = Retired, t.what[len(t.what)-1]
			case !there(t.before) && there(now):
				c.Op, c.What = Added, t.what[0]
			case there(now) && (t.child || !slices.Equal(t.before.Values, now.Values)):
				c.Op, c.What = Changed, strings.Join(t.what, "; ")
			default:
				delete(y.today, id)
				continue
			}
			kept = append(kept, id)
			out = append(out, c)
		}
		y.order = kept
	}
	return out
}

// Changed yields the records of a resource that the last day changed, as they
// were and as they are; the zero Record is one that was not, or is not, there.
func (o *overlay) Changed(r *oneroster.Resource, yield func(before, after oneroster.Record) error) error {
	y := o.layers[r]
	for _, id := range y.order {
		now, _ := o.get(r.Name, id)
		if err := yield(y.today[id].before, now); err != nil {
			return err
		}
	}
	return nil
}

// Delta is the last day by itself: a source of what it changed.
func (l *Life) Delta() oneroster.Source { return delta{l} }

type delta struct{ l *Life }

func (d delta) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := map[*oneroster.Resource]oneroster.Mode{}
	for r, y := range d.l.layers {
		if len(y.order) > 0 {
			out[r] = oneroster.Delta
		}
	}
	return out
}

func (d delta) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	for _, r := range oneroster.Resources() {
		err := d.l.Changed(r, func(before, after oneroster.Record) error {
			if !there(after) {
				after = oneroster.Record{Resource: r, Values: slices.Clone(before.Values)}
				after.Values[oneroster.Status] = oneroster.ToBeDeleted
			}
			return yield(oneroster.Row{Record: after})
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
