// Package gradebook is the rules of what clients write: what is filled in that they leave out and readers
// need, and what cannot be kept. It asks the district by three questions, and writes nothing.
package gradebook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollbook/internal/oneroster"
)

// A Refused write breaks a rule of the gradebook: it names an unknown class, lacks a required field, …. Its
// text can be shown to the client.
type Refused struct {
	Field string
	Text  string
}

func (e *Refused) Error() string { return e.Field + ": " + e.Text }

// A District answers what the rules ask, as of the change that writes.
type District interface {
	// Category is that of a line item of a class which names none, and whether it is there already.
	Category(ctx context.Context, class, except string) (id string, there bool, err error)
	// Period is the grading period that a line item of a class belongs to on a day; "" where there is none.
	Period(ctx context.Context, class, day string) (id string, err error)
	// Statuses are those of objects, by their ids; those that are not there are left out.
	Statuses(ctx context.Context, r *oneroster.Resource, ids []string) (map[string]string, error)
}

// An Entry is an object that is to be written.
type Entry struct {
	oneroster.Record        // as it will be kept
	Make             string // sourcedId of a category that is made with it, "" where none is
	Refused          *Refused
}

// Complete makes entries what is to be kept of them, or refuses them. An error is one of the district.
func Complete(ctx context.Context, d District, entries []*Entry, now time.Time) error {
	for _, e := range entries {
		e.Values[oneroster.Status] = oneroster.Active
		if err := e.fill(ctx, d, now.UTC()); err != nil {
			return err
		}
		if problems := oneroster.Check(e.Record); len(problems) > 0 {
			e.Refused = &Refused{problems[0].Field, problems[0].Text}
		}
		oneroster.Complete(e.Record)
	}
	return refer(ctx, d, entries)
}

// fill gives an entry what clients leave out and readers need: Grade Sync sends no category, no dueDate and
// no gradingPeriod.
func (e *Entry) fill(ctx context.Context, d District, now time.Time) error {
	missing := func(name, value string) {
		if e.Get(name) == "" {
			e.Set(name, value)
		}
	}
	switch e.Resource.Name {
	case "lineItem":
		missing("assignDate", oneroster.FormatTime(now))
		missing("dueDate", e.Get("assignDate"))
		missing("resultValueMin", "0")
		missing("resultValueMax", "100")
		if e.Get("class") == "" {
			return nil // refused by Check
		}
		if e.Get("category") == "" {
			id, there, err := d.Category(ctx, e.Get("class"), "")
			if err != nil {
				return err
			}
			if e.Set("category", id); !there {
				e.Make = id
			}
		}
		if e.Get("gradingPeriod") == "" {
			id, err := d.Period(ctx, e.Get("class"), now.Format(oneroster.DateLayout))
			if err != nil {
				return err
			}
			e.Set("gradingPeriod", id)
		}
	case "result":
		missing("scoreDate", now.Format(oneroster.DateLayout))
		if e.Get("score") != "" {
			missing("scoreStatus", "fully graded")
		} else {
			missing("scoreStatus", "not submitted")
		}
	}
	return nil
}

// refer refuses references to objects that are not there, or that have left: what belongs to them went with
// them. All entries are of one resource.
func refer(ctx context.Context, d District, entries []*Entry) error {
	if len(entries) == 0 {
		return nil
	}
	for i, f := range entries[0].Resource.Fields {
		if f.Kind != oneroster.Ref {
			continue
		}
		to, asked := oneroster.ByName(f.To), map[string]bool{}
		for _, e := range entries {
			if id := e.Values[i]; id != "" && id != e.Make {
				asked[id] = true
			}
		}
		status, err := d.Statuses(ctx, to, slices.Sorted(maps.Keys(asked)))
		if err != nil {
			return err
		}
		for _, e := range entries {
			id := e.Values[i]
			is, there := status[id]
			switch {
			case e.Refused != nil || !asked[id] || is == oneroster.Active:
			case !there || to.Gradebook:
				e.Refused = &Refused{f.Name, fmt.Sprintf("there is no %s with the sourcedId %q: send one that "+
					"GET /%s lists", to.Name, id, to.Plural)}
			default:
				e.Refused = &Refused{f.Name, fmt.Sprintf("the %s %q has left: it takes no more grades", to.Name, id)}
			}
		}
	}
	return nil
}
