// Package sds behaves towards a OneRoster provider as Microsoft's School Data
// Sync does: it pulls the collections page by page, the next time only what has
// changed, keeps them in a mirror, judges them by the rules of package quality,
// finds the people in a directory, and tells how the run went. What the rules
// are, and how a mirror keeps its promises, it leaves to those packages.
package sds

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// Options of a run.
type Options struct {
	Provider *provider.Provider
	Mirror   *mirror.Mirror

	Limit                           int  // rows of a page; 0 is 5,000
	Rows                            int  // of a collection, at most; 0 is 10,000,000
	Full                            bool // read everything, though a delta would do
	Classic                         bool // read school by school
	Courses, Demographics, Contacts bool
	Prove                           bool // show that mirror and delta equal another full pull
	Shrink                          int  // a collection may be so many percent smaller than before

	Directory                 *Directory // nil: nobody is matched
	MatchStaff, MatchStudents string     // "email" or "username"
	CreateUsers               bool

	Personal bool // what is told names people as they are called, and not by pseudonyms

	// Each may be nil.
	Found    func(quality.Finding) error        // told of every finding
	Note     func(string)                       // told what a person should know, a sentence each
	Progress func(what string, done, total int) // rows; total grows as collections are begun
}

const (
	standardLimit = 5000       // rows of School Data Sync's pages
	standardRows  = 10_000_000 // more than any district has: what does not end fills no disk
)

// Statuses of a run, as Microsoft names them.
const (
	Completed             = "completed"
	CompletedWithWarnings = "completedWithWarnings"
	CompletedWithErrors   = "completedWithErrors"
	Failed                = "failed"
)

// Kinds of a run.
const (
	fullKind  = "full"
	deltaKind = "delta"
)

// Counts of a run: what School Data Sync would hold afterwards.
type Counts struct {
	Organizations int `json:"organizations"`
	People        int `json:"people"`
	Staff         int `json:"staff"`
	Students      int `json:"students"`
	Contacts      int `json:"contacts"`
	Classes       int `json:"classes"`
	Memberships   int `json:"memberships"`
	Matched       int `json:"matched"`
	Unmatched     int `json:"unmatched"`
	Errors        int `json:"errors"`
	Warnings      int `json:"warnings"`
	ByTests       int `json:"byTests"` // that only the tests that Microsoft publishes refuse
}

// A Cost is what breaks a rule in one way.
type Cost struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	ByTests  bool   `json:"byTests"` // as in Counts
	Count    int    `json:"count"`
	Title    string `json:"title"` // what must hold
	Loses    string `json:"loses"` // what School Data Sync does
	Fix      string `json:"fix"`
	First    string `json:"first"` // an example

	severity quality.Severity
}

// A Collection is what a run did to one of them.
type Collection struct {
	Rows int  `json:"rows"` // that came
	Full bool `json:"full"`
	mirror.Change
}

// A Report is how a run went.
type Report struct {
	Status      string                `json:"status"`
	Kind        string                `json:"kind"`
	Resumed     bool                  `json:"resumed"` // went on where an earlier run had been stopped
	Matching    string                `json:"matching"`
	Seconds     float64               `json:"seconds"`
	Counts      Counts                `json:"counts"`
	Costs       []Cost                `json:"costs"` // the dearest first; without advice
	Collections map[string]Collection `json:"collections"`
	Proof       *Proof                `json:"proof,omitempty"`
	Notes       []string              `json:"notes"`
	Stopped     string                `json:"stopped,omitempty"` // what was catastrophic
	Error       string                `json:"error,omitempty"`   // why a run failed otherwise
}

// catastrophe is a finding that stops a run before the mirror is touched.
type catastrophe struct{ quality.Finding }

func (c catastrophe) Error() string { return c.Rule.ID + ": " + c.Text }

// Run makes one run. The report is worth reading whatever the error says; an
// error is a run that failed, and the mirror shows what it showed before.
func Run(ctx context.Context, opt Options) (Report, error) {
	opt.Limit, opt.Rows = cmp.Or(opt.Limit, standardLimit), cmp.Or(opt.Rows, standardRows)
	if opt.Note == nil {
		opt.Note = func(string) {}
	}
	if opt.Progress == nil {
		opt.Progress = func(string, int, int) {}
	}
	if opt.Found == nil {
		opt.Found = func(quality.Finding) error { return nil }
	}
	r := &run{Options: opt, report: Report{Kind: fullKind, Matching: "not done", Costs: []Cost{},
		Collections: map[string]Collection{}, Notes: []string{}}}
	if !opt.Personal {
		r.veil = opt.Provider.Veil()
	}
	if scope := opt.Provider.Scope; scope != "" {
		r.note("School Data Sync asks for no scope, and this run for %q: that it would be let in is not "+
			"shown; run without --scope", scope)
	}
	began := time.Now()
	number, err := opt.Mirror.Begin(ctx)
	if err != nil {
		return r.report, err
	}
	err = r.all(ctx)
	r.report.Seconds = time.Since(began).Seconds()
	var c catastrophe
	if errors.As(err, &c) {
		r.report.Stopped = c.Error()
		err = errors.Join(err, opt.Found(c.Finding))
	}
	if opt.Directory != nil {
		r.report.Matching = fmt.Sprintf("with %d accounts", opt.Directory.Accounts)
	}
	r.report.Status = r.status(err)
	counts, _ := json.Marshal(r.report.Counts) // numbers only
	// The history is written though the run was interrupted.
	return r.report, errors.Join(err, opt.Mirror.End(context.WithoutCancel(ctx), number, r.report.Kind,
		r.report.Status, string(counts)))
}

// marks are where the deltas of a pull begin; a collection that has none is read whole.
type marks map[*oneroster.Resource]string

// A run under way.
type run struct {
	Options
	veil     *wire.Veil // nil: people are named
	report   Report
	rows     int
	expected int            // the sum of total
	total    map[string]int // X-Total-Count by path
	from     marks          // of the pull under way
	lists    int            // of the pull under way, that were begun
	silent   bool           // it was said that a list has no X-Total-Count
	proving  bool           // what is read is no part of the report
}

func (r *run) all(ctx context.Context) error {
	if err := r.update(ctx, r.Full || r.Classic); err != nil {
		return err
	}
	if r.Prove {
		r.proving = true
		proof, err := r.prove(ctx)
		if err != nil {
			return err
		}
		r.report.Proof = proof
	}
	return r.judge(ctx)
}

// update brings the mirror up to date: by a full pull where full says so or a
// collection was never read, by a delta otherwise, or by going on with what an
// earlier run left.
func (r *run) update(ctx context.Context, full bool) error {
	pending, err := r.Mirror.Pending(ctx)
	if err != nil {
		return err
	}
	full = full || pending == r.pullKey(fullKind)
	kind, from := fullKind, marks{}
	for _, res := range r.resources() {
		mark, err := r.Mirror.Watermark(ctx, res)
		if err != nil {
			return err
		}
		if !full && mark != "" {
			kind, from[res] = deltaKind, mark
		}
	}
	if !r.proving {
		r.report.Kind = kind
	}
	resumed, err := r.Mirror.Resume(ctx, r.pullKey(kind))
	if err != nil {
		return err
	}
	if resumed {
		r.report.Resumed = true
		r.note("going on where the last run was stopped")
	}
	if err := r.gather(ctx, from); err != nil {
		return err
	}
	return r.publish(ctx)
}

// pullKey names a pull: only one of the same kind and pages can go on with it.
func (r *run) pullKey(kind string) string {
	return fmt.Sprintf("%s by %d, contacts %v", kind, r.Limit, r.Contacts && r.Classic)
}

// publish makes what was gathered the mirror, unless that would be a disaster.
func (r *run) publish(ctx context.Context) error {
	var of []mirror.Gathering
	before := map[*oneroster.Resource]int{}
	for _, res := range r.resources() {
		var err error
		if before[res], err = r.Mirror.Active(ctx, res); err != nil {
			return err
		}
		g := mirror.Gathering{Resource: res, Delta: r.from[res] != ""}
		if err := r.plausible(ctx, g, before[res]); err != nil {
			return errors.Join(err, r.Mirror.Discard(ctx))
		}
		if !r.Classic {
			c, err := r.Mirror.Cursor(ctx, "/"+res.Plural, res)
			if err != nil {
				return err
			}
			g.Watermark = c.Mark
		}
		of = append(of, g)
	}
	changes, err := r.Mirror.Publish(ctx, of)
	if err != nil {
		return err
	}
	for res, c := range changes {
		if was := r.report.Collections[res.Plural]; !r.proving {
			was.Change = c
			r.report.Collections[res.Plural] = was
		}
		if r.from[res] != "" && c.Retired*100 > before[res]*r.Shrink {
			// Said outright, row by row: believed, but not in silence.
			r.note("the delta retires %d of the %d %s", c.Retired, before[res], res.Plural)
		}
	}
	return nil
}

// plausible holds what was gathered of a collection, of which the mirror has so many active
// rows, against the mirror (X01). A district without a class, say, is a mistake whoever tells it.
func (r *run) plausible(ctx context.Context, g mirror.Gathering, before int) error {
	must, plural := quality.MustHave[g.Resource.Name], g.Resource.Plural
	disaster := func(now int, format string, args ...any) error {
		return catastrophe{quality.Finding{Rule: quality.ByID("SDS-X01"), Resource: g.Resource.Name,
			Value: fmt.Sprint(now), Text: fmt.Sprintf(format, args...)}}
	}
	if g.Delta {
		if !must || before == 0 {
			return nil
		}
		c, err := r.Mirror.Compare(ctx, g)
		if err != nil || before+c.Added-c.Retired > 0 {
			return err
		}
		return disaster(0, "the delta retires all %d %s: nothing was changed", before, plural)
	}
	_, now, err := r.Mirror.Gathered(ctx, g.Resource)
	switch {
	case err != nil:
		return err
	case now == 0 && before > 0:
		return disaster(now, "%s came empty, and the mirror has %d: nothing was changed", plural, before)
	case now == 0 && must:
		return disaster(now, "%s came empty: nothing was changed", plural)
	case (before-now)*100 > before*r.Shrink:
		return disaster(now, "%s came with %d, and the mirror has %d: more than %d %% fewer, nothing was "+
			"changed; if it is meant, allow it with --shrink", plural, now, before, r.Shrink)
	}
	return nil
}

func (r *run) status(err error) string {
	switch {
	case err != nil || r.report.Stopped != "":
		return Failed
	case r.report.Counts.Errors > 0:
		return CompletedWithErrors
	case r.report.Counts.Warnings > 0:
		return CompletedWithWarnings
	}
	return Completed
}

func (r *run) note(format string, args ...any) {
	text := r.veil.Text(fmt.Sprintf(format, args...), nil)
	if slices.Contains(r.report.Notes, text) {
		return
	}
	r.report.Notes = append(r.report.Notes, text)
	r.Note(text)
}
