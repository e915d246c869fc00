// Package quality owns what School Data Sync demands of rosters, as data: one
// rule a row, why it is one, and how to fulfil it; what one object must be like; and a
// judge that reads objects as they were served and finds what breaks a rule. It calls
// nobody and stores nothing: who judges brings the objects.
package quality

import (
	"context"
	"fmt"
	"time"

	"rollbook/internal/wire"
)

// Severity says what School Data Sync does about a broken rule.
type Severity uint8

const (
	Catastrophic Severity = iota // the run stops
	Error                        // the record is dropped, and with it what refers to it
	Warning                      // the value is dropped, the record stays
	Advice                       // nothing; somebody should look all the same
)

var severities = [...]string{"catastrophic", "error", "warning", "advice"}

func (s Severity) String() string { return severities[s] }

// A Rule is one demand.
type Rule struct {
	ID        string
	Severity  Severity
	Resources []string // singular names
	Title     string   // what must hold
	Why       string   // whose rule it is, and what School Data Sync does
	Fix       string   // what to change
}

// A Finding is a rule that is broken at one place. Its Rule may be a milder
// copy of the table's: a reference that is required drops the record, one that
// is not drops the value. SourcedID is empty where a whole collection is meant.
type Finding struct {
	Rule                              *Rule
	Resource, SourcedID, Field, Value string
	Text                              string // a sentence: what is wrong here

	// Tests: the tests that Microsoft publishes refuse it, and that School Data Sync
	// itself drops it is told nowhere. It is advice.
	Tests bool
}

// Options of a judgement.
type Options struct {
	Today                     time.Time // zero is now
	MatchStaff, MatchStudents string    // "email" or "username"; "" is email
	CreateUsers               bool      // School Data Sync shall make accounts, not only find them
	Contacts, Demographics    bool      // are switched on

	Kept func(resource string, o wire.Object) // told of every record that is not dropped; may be nil
}

// Each streams the objects of one resource, named in the singular. Objects that
// are not active may be among them; a judge may ask for a resource twice, and keeps
// nothing of an object after its call.
type Each func(resource string, yield func(wire.Object) error) error

// An Outcome is what a judge leaves behind.
type Outcome struct {
	Read, Kept map[string]int // active objects by resource: that came, that were not dropped
	Found      [4]int         // findings by Severity
	Stopped    bool           // something was catastrophic: what came after was not looked at
}

// all are the resources, parents first: a dropped record drops what refers to it.
var all = []string{"org", "academicSession", "course", "class", "user", "demographics", "enrollment"}

// MustHave are the resources that School Data Sync cannot do without.
var MustHave = map[string]bool{"org": true, "academicSession": true, "class": true, "user": true,
	"enrollment": true}

// Judge reads every resource and reports what it finds, parents first. What it
// returns as an error is each's, or the context's.
func Judge(ctx context.Context, opt Options, each Each, report func(Finding)) (Outcome, error) {
	if opt.Today.IsZero() {
		opt.Today = time.Now()
	}
	j := &judge{Options: opt, report: report, known: newKnown(),
		out: Outcome{Read: map[string]int{}, Kept: map[string]int{}}}
	for _, resource := range all {
		if resource == "demographics" && !opt.Demographics {
			continue
		}
		if err := j.collection(ctx, resource, each); err != nil {
			return j.out, err
		}
		if j.out.Found[Catastrophic] > 0 {
			j.out.Stopped = true
			return j.out, nil
		}
	}
	j.zeros()
	return j.out, nil
}

// A judge is one judgement under way.
type judge struct {
	Options
	*known
	report func(Finding)
	out    Outcome
}

// A subject is the object that is being judged.
type subject struct {
	wire.Object
	resource string
	id       string
	dropped  bool
}

// collection judges one resource: a first look where objects lean on others of
// their own kind, then object by object, then the whole.
func (j *judge) collection(ctx context.Context, resource string, each Each) error {
	read := func(do func(*subject)) error {
		n := 0
		return each(resource, func(o wire.Object) error {
			if n++; n%1000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if !o.Deleted() { // a status that is neither active nor this is a finding of its own
				do(&subject{Object: o, resource: resource, id: o.ID()})
			}
			return nil
		})
	}
	kind := kinds[resource]
	if kind.look != nil {
		err := read(func(s *subject) {
			if s.id != "" {
				kind.look(j, s)
			}
		})
		if err != nil {
			return err
		}
	}
	j.stamps = stamps{counts: map[string]int{}}
	err := read(func(s *subject) {
		j.out.Read[resource]++
		for _, check := range everywhere {
			check(j, s)
		}
		if s.id != "" {
			for _, check := range kind.checks {
				check(j, s)
			}
		}
		if !s.dropped {
			j.out.Kept[resource]++
			if kind.keep != nil {
				kind.keep(j, s)
			}
			if j.Options.Kept != nil {
				j.Options.Kept(resource, s.Object)
			}
		}
	})
	if err != nil {
		return err
	}
	if j.out.Read[resource] == 0 && MustHave[resource] {
		j.whole(resource, "SDS-X01", "", "0", "there is no active %s at all", resource)
		return nil
	}
	j.stamps.tell(j, resource)
	if kind.whole != nil {
		kind.whole(j)
	}
	return nil
}

// find reports a rule that s breaks.
func (j *judge) find(s *subject, rule, field, value, format string, args ...any) {
	j.as(ByID(rule).Severity, s, rule, field, value, format, args...)
}

// as reports a rule that s breaks in a way that costs less than the rule does elsewhere.
func (j *judge) as(severity Severity, s *subject, rule, field, value, format string, args ...any) {
	r := ByID(rule)
	if r.Severity != severity {
		milder := *r
		milder.Severity, r = severity, &milder
	}
	j.tell(s, Finding{Rule: r, Field: field, Value: value, Text: fmt.Sprintf(format, args...)})
}

func (j *judge) tell(s *subject, f Finding) {
	if f.Rule.Severity <= Error {
		s.dropped = true
	}
	j.out.Found[f.Rule.Severity]++
	f.Resource, f.SourcedID, f.Value, f.Text = s.resource, s.id, shortened(f.Value, mostQuoted),
		shortened(f.Text, mostSaid)
	j.report(f)
}

// whole reports a rule that a collection breaks.
func (j *judge) whole(resource, rule, field, value, format string, args ...any) {
	j.find(&subject{resource: resource}, rule, field, value, format, args...)
}
