package intake

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// An Intake brings packages into one district: each is planned, judged, and published
// or held.
type Intake struct {
	*store.Store
	Who      string // decides what is decided by hand
	Limits   Limits
	Calendar Calendar
	Zone     *time.Location               // of the district
	Today    time.Time                    // a day to rehearse; zero is now
	Progress func(what string, n, of int) // records that are read, or judged; may be nil
	Distance func(a, b string) int        // of names, as Files has it
}

// An Offer is what is brought to be published: a source, or the way back.
type Offer struct {
	Source  oneroster.Source    // nil for a way back
	Back    int64               // the change (rev) to go back to
	Cause   string              // for the journal: "import night.zip"
	Rows    int                 // of the source
	Columns map[string][]string // that are read, by file; nil is not looked at
	Unread  map[string][]string // that are there as well
	Format  string              // what it was written for, as Files has it
	// Partial: the source says itself which files it has, so that none is missing.
	Partial bool
	Found   Document // what is known of it already

	id int64 // of the publication; 0 where none has arrived
}

// A Document is what was found of a publication, as it is kept and told.
type Document struct {
	Verdict
	// Counts are by resource: added, changed, same, retired, with.
	Counts   map[string]map[string]int `json:"counts,omitempty"`
	Problems json.RawMessage           `json:"problems,omitempty"`
	Error    string                    `json:"error,omitempty"`    // why it was refused
	Reading  map[string]string         `json:"reading,omitempty"`  // flags that its package was read with
	Columns  map[string][]string       `json:"columns,omitempty"`  // by file
	Format   string                    `json:"format,omitempty"`   // as Files has it
	Back     int64                     `json:"back,omitempty"`     // the publication to go back to
	Contents string                    `json:"contents,omitempty"` // a sum of the records of its package
}

// Plan tells what an offer would do, and lets look, when it is not nil, at it; nothing
// is changed.
func (in *Intake) Plan(ctx context.Context, o Offer, look func(*store.Plan) error) (Document, error) {
	plan, doc, err := in.plan(ctx, o, look)
	if plan != nil {
		err = errors.Join(err, plan.Close())
	}
	return doc, err
}

func (in *Intake) plan(ctx context.Context, o Offer, look func(*store.Plan) error) (*store.Plan, Document,
	error) {
	doc := o.Found
	last, err := in.last(ctx)
	if err != nil {
		return nil, doc, err
	}
	x := Context{Today: in.today(), Back: o.Source == nil,
		Files: Files{Now: maps.Clone(o.Columns), Last: last.Columns, Unread: o.Unread,
			Format: o.Format, LastFormat: last.Format, Distance: in.Distance}}
	if o.Source == nil || o.Columns == nil {
		x.Files.Now, x.Files.Last, x.Files.Format = last.Columns, nil, last.Format
	}
	for name, columns := range last.Columns {
		if _, is := x.Files.Now[name]; !is && o.Partial && o.Format == last.Format {
			x.Files.Now[name] = columns
		}
	}
	doc.Columns, doc.Format = x.Files.Now, x.Files.Format
	x.Day, x.Closing = in.Calendar.On(x.Today, in.Zone)
	src := &digested{Source: o.Source}
	judge := func(p *store.Plan) (err error) {
		doc.Counts = map[string]map[string]int{}
		for r, c := range p.Counts {
			n := map[string]int{"added": c.Added, "changed": c.Changed, "same": c.Same,
				"retired": c.Retired + c.With}
			if c.With > 0 {
				n["with"] = c.With // of them with what they belong to
			}
			doc.Counts[r.Plural] = n
		}
		if doc.Verdict, err = Judge(ctx, in.counted(p, o.Rows), in.Limits, x); err == nil {
			doc.Contents = src.String()
			err = in.guardAgain(ctx, &doc)
		}
		if err == nil && o.Source != nil {
			err = in.noteGap(ctx, o, &doc)
		}
		if err == nil && look != nil {
			err = look(p)
		}
		return err
	}
	var plan *store.Plan
	if o.Source == nil {
		plan, err = in.PlanRollback(ctx, o.Back, judge)
	} else {
		opt := store.ImportOptions{Closed: true}
		if in.Progress != nil {
			opt.Progress = func(n int) { in.Progress("reading", n, o.Rows) }
		}
		plan, err = in.Store.Plan(ctx, src, opt, judge)
	}
	return plan, doc, err
}

// counted tells Progress of the records that a judge reads: twice what is there.
func (in *Intake) counted(p *store.Plan, rows int) Comparison {
	if in.Progress == nil {
		return p
	}
	c := &counting{Plan: p, tell: in.Progress, of: rows}
	for _, r := range oneroster.Resources() {
		c.of += p.Imported(r)
	}
	return c
}

type counting struct {
	*store.Plan
	tell  func(what string, n, of int)
	n, of int
}

func (c *counting) count(yield func(oneroster.Record) error) func(oneroster.Record) error {
	return func(rec oneroster.Record) error {
		if c.n++; c.n%1000 == 0 {
			c.tell("judging", c.n, max(c.of, c.n))
		}
		return yield(rec)
	}
}

func (c *counting) Before(ctx context.Context, r *oneroster.Resource,
	yield func(oneroster.Record) error) error {
	return c.Plan.Before(ctx, r, c.count(yield))
}

func (c *counting) After(ctx context.Context, r *oneroster.Resource,
	yield func(oneroster.Record) error) error {
	return c.Plan.After(ctx, r, c.count(yield))
}

func (in *Intake) today() time.Time {
	if in.Today.IsZero() {
		return time.Now().In(in.Zone)
	}
	return in.Today
}

// last is what was found of the package that was published last; nothing where none was.
func (in *Intake) last(ctx context.Context) (Document, error) {
	last, err := in.LastPublished(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return Document{}, nil
	}
	if err != nil {
		return Document{}, err
	}
	return in.Document(ctx, last.ID)
}

// Document is what was found of a publication.
func (in *Intake) Document(ctx context.Context, id int64) (doc Document, err error) {
	text, err := in.Store.Verdict(ctx, id)
	if err == nil && text != nil {
		err = json.Unmarshal(text, &doc)
	}
	return doc, err
}

// note writes down what was found of a publication.
func (in *Intake) note(ctx context.Context, id int64, doc Document) error {
	text, err := json.Marshal(doc)
	if err == nil {
		err = in.SetVerdict(ctx, id, text)
	}
	return err
}

// Refuse ends a publication that cannot be used, or was interrupted: it is done though
// ctx has ended. doc says why.
func (in *Intake) Refuse(ctx context.Context, id int64, doc Document) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	// What is found of one that was published after all stays as it is.
	err := in.Decide(ctx, id, store.StateRefused, []store.State{store.StatePlanning}, "", "")
	if err != nil {
		return err
	}
	return in.note(ctx, id, doc)
}

// Offer publishes a publication that has arrived, unless a guard objects: then it is
// held, and held is true. stamp is the dateLastModified of what it changed.
func (in *Intake) Offer(ctx context.Context, id int64, o Offer) (doc Document, held bool, stamp string,
	err error) {
	o.id = id
	doc, stamp, err = in.publish(ctx, o, store.Decision{ID: id, Rows: o.Rows},
		func(doc Document) (bool, error) {
			if len(doc.Objections) == 0 {
				return true, nil
			}
			held = true
			return false, in.Decide(ctx, id, store.StateHeld, []store.State{store.StatePlanning}, "", "")
		})
	return doc, held, stamp, err
}

// Release publishes a publication that is held, whatever the guards say. It is planned
// against the district as it is by now.
func (in *Intake) Release(ctx context.Context, id int64, o Offer, reason string) (doc Document,
	stamp string, err error) {
	o.id = id
	d := store.Decision{ID: id, Rows: o.Rows, Who: in.Who, Reason: reason}
	return in.publish(ctx, o, d, func(Document) (bool, error) { return true, nil })
}

// publish plans an offer as often as others come between, and publishes it if may says
// so.
func (in *Intake) publish(ctx context.Context, o Offer, d store.Decision,
	may func(Document) (bool, error)) (doc Document, stamp string, err error) {
	err = store.Again(func() error {
		plan, found, err := in.plan(ctx, o, nil)
		if plan != nil {
			defer plan.Close()
		}
		if doc = found; err != nil {
			return err
		}
		if err := in.note(ctx, d.ID, doc); err != nil {
			return err
		}
		if yes, err := may(doc); !yes || err != nil {
			return err
		}
		stamp, err = in.Store.Publish(store.By(ctx, o.Cause), plan, &d)
		return err
	})
	return doc, stamp, err
}

// Discard throws a publication away that is held.
func (in *Intake) Discard(ctx context.Context, id int64, reason string) error {
	return in.Decide(ctx, id, store.StateDiscarded, []store.State{store.StateHeld}, in.Who, reason)
}
