// Package intake checks a source of records, and judges what a publication would do to
// a district before it is published: who would be retired, which fields would be emptied, whether ids
// would name other people, what School Data Sync would drop. It compares the
// district as readers are served it with the district as they would be, and knows
// neither the file that brings it nor the store that holds it.
package intake

import (
	"context"
	"time"

	"rollbook/internal/oneroster"
)

// A Comparison is a district as it is served, and as it would be. Records are
// valid during the call only.
type Comparison interface {
	// Before and After yield the active records of a resource.
	Before(ctx context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error
	After(ctx context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error
	// Differences yields every record that would differ, resource by resource in
	// the order of oneroster.Resources: before is the zero Record where it is
	// added or comes back, after where it is retired.
	Differences(ctx context.Context, yield func(before, after oneroster.Record) error) error
	// Imported is how many active records of a resource earlier imports brought.
	Imported(r *oneroster.Resource) int
	// Without are active records that would be left without one that they need.
	Without() []Without
}

// Without are active records whose Field would lead nowhere. It is an alias
// so that who makes it need not import this package.
type Without = struct {
	Resource *oneroster.Resource
	Field    string
	IDs      []string // their sourcedIds
}

// Context is what a judgement needs to know beside the district.
type Context struct {
	Today   time.Time
	Day     DayKind
	Closing map[string]bool // sourcedIds of schools whose closing is announced
	Back    bool            // what comes was there before
	Files   Files
}

// Files are the columns of a package by the name of the file, now and last time, and
// those that are there now and not read; Last is nil where that is not known. Format and
// LastFormat are what the packages were written for; "" is not known.
type Files struct {
	Now, Last, Unread  map[string][]string
	Format, LastFormat string
	// Distance counts the letters to change to make b of a; nil is not looked at.
	Distance func(a, b string) int
}

// A Verdict is what a publication would do, and what speaks against it. Its lists
// are ordered the same way each time.
type Verdict struct {
	Objections []Objection `json:"objections"`
	Resources  []Change    `json:"resources"`
	Fields     []Field     `json:"fields"`
	Falls      []Fall      `json:"falls"`
	Examples   []Example   `json:"examples"`
	Findings   []Finding   `json:"findings"`
	Notes      []string    `json:"notes"` // near a limit, or worth a look
}

// An Objection holds a publication. Text is a sentence of what would happen to
// whom. Where the guard has a limit, Count of Of is more than Limit percent.
type Objection struct {
	Guard    string `json:"guard"`
	Resource string `json:"resource,omitempty"` // its plural
	Text     string `json:"text"`
	Count    int    `json:"count,omitempty"`
	Of       int    `json:"of,omitempty"`
	Limit    int    `json:"limit,omitempty"`
}

// A Change is what would become of a resource that differs: Active records now,
// of which Same stay as they are.
type Change struct {
	Resource string `json:"resource"`
	Active   int    `json:"active"`
	Added    int    `json:"added"`
	Changed  int    `json:"changed"`
	Same     int    `json:"same"`
	Retired  int    `json:"retired"`
}

// A Field that would differ in records that stay: how many of all have a value
// now, and how many values come, go and become others.
type Field struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Before   int    `json:"before"`
	Came     int    `json:"came"`
	Went     int    `json:"went"`
	Changed  int    `json:"changed"`
}

// A Fall is a school, or a grade, of which fewer enrollments would be left.
type Fall struct {
	By     string `json:"by"` // school or grade
	ID     string `json:"id"`
	Name   string `json:"name"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

// An Example is one record that would be hit. Field is empty where it is retired,
// and Before is then whom or what it names.
type Example struct {
	Guard    string `json:"guard"`
	Resource string `json:"resource"`
	ID       string `json:"sourcedId"`
	Field    string `json:"field,omitempty"`
	Before   string `json:"before"`
	After    string `json:"after,omitempty"`
}

// A Finding is what School Data Sync would say by one rule: New of it is not there
// today, Known is; First are examples of the new ones.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity string   `json:"severity"`
	Resource string   `json:"resource"`
	Title    string   `json:"title"`
	New      int      `json:"new"`
	Known    int      `json:"known"`
	First    []string `json:"first"`
}

// A judgement is one verdict on its way.
type judgement struct {
	Context
	Comparison
	limits  Limits
	verdict Verdict

	changes map[*oneroster.Resource]*Change
	groups  map[group]*tally
	fields  map[kind]*fields
	closed  map[uint64]bool // records that belong to schools that close, by key
	shown   map[Example]int
	now     side
	then    side
	hands   *hands
	swaps   *swaps
	rounds  *rounds
	returns *returns
	twice   *twice
	joins   *joins
	growth  *growth
	regrade string // one who would be in another grade
	along   *along
	before  sds
	after   sds
	marks   map[uint64]uint8 // what School Data Sync makes of records, by hash
	active  map[string]int   // of those that it takes today: that are there afterwards
	stay    map[string]int   // and that it takes then
}

// Judge tells what a publication would do. Its error is the Comparison's.
func Judge(ctx context.Context, c Comparison, limits Limits, x Context) (Verdict, error) {
	j := &judgement{Context: x, Comparison: c, limits: limits,
		changes: map[*oneroster.Resource]*Change{}, groups: map[group]*tally{}, fields: map[kind]*fields{},
		shown: map[Example]int{}, closed: map[uint64]bool{}, hands: newHands(), swaps: newSwaps(),
		rounds: newRounds(), returns: newReturns(), twice: newTwice(), joins: newJoins(),
		growth: newGrowth(), along: newAlong(),
		marks: map[uint64]uint8{}, active: map[string]int{}, stay: map[string]int{},
		verdict: Verdict{[]Objection{}, []Change{}, []Field{}, []Fall{}, []Example{}, []Finding{},
			[]string{}}}
	j.now = side{j: j, read: c.Before, isNow: true}
	j.then = side{j: j, read: c.After}
	roster, err := j.count(ctx)
	if err != nil || len(j.changes) == 0 { // a night without changes costs nothing
		return j.verdict, err
	}
	if err := j.read(ctx, roster); err != nil {
		return j.verdict, err
	}
	if err := c.Differences(ctx, j.differ); err != nil {
		return j.verdict, err
	}
	j.guardColumns()
	j.guardCalendar()
	j.guardEmpty()
	j.guardWithout()
	j.guardLoss()
	j.guardDisabled()
	j.guardEnded()
	j.guardChange()
	j.guardEmptied()
	j.guardGarbled()
	j.guardHands()
	j.guardTitles()
	j.guardSwaps()
	j.guardReturns()
	j.guardGrowth()
	j.guardTwice()
	j.guardJoins()
	j.guardFalls()
	j.guardMoves()
	if roster {
		j.guardSDS()
	}
	j.tell()
	return j.verdict, nil
}

// count goes over the differences for how many there are, and tells whether any
// is of the roster, not of the gradebook.
func (j *judgement) count(ctx context.Context) (roster bool, err error) {
	err = j.Differences(ctx, func(before, after oneroster.Record) error {
		r := before.Resource
		if r == nil {
			r = after.Resource
		}
		ch := j.changes[r]
		if ch == nil {
			ch = &Change{Resource: r.Plural}
			j.changes[r] = ch
			roster = roster || !r.Gradebook
		}
		// Whose results those are that are another's is in the roster.
		roster = roster || r.Name == "result" && before.Values != nil && after.Values != nil &&
			another(before, after, "student")
		switch {
		case before.Values == nil:
			ch.Added++
		case after.Values == nil:
			ch.Retired++
		default:
			ch.Changed++
		}
		return nil
	})
	return roster, err
}

// read looks at the district as it is and as it would be, once each, and judges
// both as School Data Sync does. Of the gradebook only what differs is read.
func (j *judgement) read(ctx context.Context, roster bool) error {
	for _, s := range []*side{&j.now, &j.then} {
		s.begin()
		if roster {
			found := &j.before
			if !s.isNow {
				found = &j.after
			}
			if err := j.judgeSDS(ctx, s, found); err != nil {
				return err
			}
		}
		for _, r := range oneroster.Resources() {
			if roster && !r.Gradebook || s.isNow && j.changes[r] != nil {
				if err := s.each(ctx, r, nil); err != nil {
					return err
				}
			}
		}
	}
	for r, ch := range j.changes {
		ch.Active = j.now.total[r]
		ch.Same = ch.Active - ch.Changed - ch.Retired
	}
	return nil
}
