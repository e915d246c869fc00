package onboarding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rollbook/internal/gradesync"
	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/sds"
	"rollbook/internal/verify"
)

// A Programme is what somebody is let in to.
type Programme struct {
	Name, Title string
	steps       []string // that a run makes, in order
}

// Programmes of Microsoft.
var Programmes = []Programme{
	{"sds", "School Data Sync", []string{"verify-sds", fullSync, deltaProof}},
	{"gradesync", "Grade Sync", []string{"verify-gradesync", fullSync, gradeSync}},
}

// Steps that a run makes, beside one of verification for each programme.
const (
	verifying  = "verify-" // and the name of a profile
	fullSync   = "full"
	deltaProof = "delta"
	gradeSync  = "grades"
)

// Options of a run.
type Options struct {
	Provider *provider.Provider
	Command  string // as it was given, without secrets
	Teacher  string // whose grades are written: an e-mail address or a username
	Personal bool   // the evidence names people as they are called, and not by pseudonyms
	Again    bool   // also what is done already

	Progress func(what string, done, total int)
	Note     func(string) // a sentence for who waits
}

// Run makes the steps of a programme that are not done, in their order. What is wrong with the
// provider is in the lines; err is a step that could not be made, or that nobody could get in.
func (f *Folder) Run(ctx context.Context, programme Programme, opt Options) error {
	p := opt.Provider
	if err := f.begin(record{Programme: programme.Name, URL: p.URL, TokenURL: p.TokenURL, Client: p.Client,
		Command: opt.Command}); err != nil {
		return err
	}
	for _, step := range programme.steps {
		if !opt.Again && f.stands(step) {
			opt.Note(step + " is done already; --again makes it anew")
			continue
		}
		if step == deltaProof && !f.stands(fullSync) {
			continue // there is nothing that a delta could begin with
		}
		r := record{Step: step, Command: opt.Command, URL: p.URL, Client: p.Client,
			Found: map[string]Finding{}}
		err := f.make(ctx, &r, opt)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(r.Found) > 0 {
			err = errors.Join(err, f.add(r))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// make makes one step. What the provider does wrong is in what is found, and no error, but where
// nobody gets in: the next steps need not be tried then.
func (f *Folder) make(ctx context.Context, r *record, opt Options) error {
	switch r.Step {
	case fullSync, deltaProof:
		return f.sync(ctx, r, opt)
	case gradeSync:
		return f.grade(ctx, r, opt)
	}
	return f.verify(ctx, r, opt)
}

// stands tells whether every line of a step is done.
func (f *Folder) stands(step string) bool {
	for _, l := range f.stepLines(step) {
		if l.State != Done {
			return false
		}
	}
	return true
}

// folder is where the evidence of a step goes, which no later run touches.
func (f *Folder) folder(name string) string {
	return name + "/" + f.now.Format("2006-01-02T150405.000Z")
}

func (f *Folder) verify(ctx context.Context, r *record, opt Options) error {
	profile := strings.TrimPrefix(r.Step, verifying)
	report, err := verify.Run(ctx, opt.Provider, verify.Options{Profiles: []string{profile},
		Write: profile == "gradesync", Now: f.now, Command: opt.Command, Personal: opt.Personal,
		Progress: func(done, all int, area string) { opt.Progress(area, done, all) }})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	dir := f.folder("verify") + "-" + profile
	if wrong := errors.Join(f.keep(r, dir+"/report.html", report.WriteHTML),
		f.keepJSON(r, dir+"/report.json", report.JSON())); wrong != nil {
		return wrong
	}
	r.Found = judged(profile, report)
	if err != nil {
		r.Found[service] = Finding{Failed, err.Error(), "see that the URLs, the client and its secret are " +
			"right, then run it again"}
	}
	return err
}

// service is the line of what concerns no path.
const service = "service"

// judged are the lines of a verification: one of each route of the profile.
func judged(profile string, report *verify.Report) map[string]Finding {
	type tally struct {
		passed, unchecked int
		lacks             string
		worst             *verify.Cause
	}
	of := map[string]*tally{}
	all := append([]string{service}, targets(profile)...)
	for _, target := range all {
		of[target] = &tally{}
	}
	at := func(res verify.Result) *tally {
		if t := of[cmp.Or(res.Target, service)]; t != nil {
			return t
		}
		return &tally{} // of a route that is no line
	}
	for _, res := range report.Results {
		switch t := at(res); res.State {
		case verify.Passed, verify.Advised:
			t.passed++
		case verify.Unchecked:
			t.unchecked++
			t.lacks = res.Lacks
			if res.Because != nil {
				t.lacks = res.Because.ID + " fails"
			}
		}
	}
	for _, c := range report.Causes() { // the worst first
		for _, res := range c.Results {
			if t := at(res); t.worst == nil {
				t.worst = &c
			}
		}
	}
	found := map[string]Finding{}
	for _, target := range all {
		switch t := of[target]; {
		case t.worst != nil:
			found[target] = Finding{Failed, t.worst.Check.ID + ": " + t.worst.Title(), t.worst.Fix()}
		case t.passed+t.unchecked == 0:
			found[target] = Finding{Missing, "not checked", "run it again"}
		case t.unchecked > t.passed:
			found[target] = Finding{Missing, fmt.Sprintf("%d checks hold, and %d could not be made: %s",
				t.passed, t.unchecked, t.lacks), "give the district what it lacks, or correct the cause; " +
				"then run it again"}
		default:
			found[target] = Finding{State: Done, Says: fmt.Sprintf("%d checks hold", t.passed)}
		}
	}
	return found
}

// targets are the routes of a profile as results name them.
func targets(profile string) []string {
	var out []string
	for _, p := range verify.Profiles {
		if p.Name != profile {
			continue
		}
		for _, route := range oneroster.V1p1.Routes {
			for _, path := range p.Routes {
				switch {
				case route.Path != path:
				case route.Method == "GET":
					out = append(out, path)
				case route.Method == "PUT" && profile == "gradesync": // and what is made is deleted
					out = append(out, route.Method+" "+path)
				}
			}
		}
	}
	return out
}

// mirror opens what is kept of a service. It lies beside the folder: it holds children's names, and
// is not sent on. Another service has another one.
func (f *Folder) mirror(ctx context.Context, name string, opt Options) (*mirror.Mirror, error) {
	at, err := filepath.Abs(f.Path)
	if err == nil {
		at += ".mirrors"
		err = os.MkdirAll(at, 0o700)
	}
	if err != nil {
		return nil, err
	}
	return mirror.Open(ctx, filepath.Join(at, name+"-"+sum([]byte(opt.Provider.URL))[:8]+".db"),
		opt.Provider.URL, "current")
}

// pulled pulls a service as School Data Sync does, with what it offers. A full pull is as good as a
// first one: the district may be smaller than before.
func (f *Folder) pulled(ctx context.Context, m *mirror.Mirror, opt Options, full, prove bool) (sds.Report,
	error) {
	shrink := 10
	if full {
		shrink = 100
	}
	report, err := sds.Run(ctx, sds.Options{Provider: opt.Provider, Mirror: m, Full: full, Prove: prove,
		Courses: f.offers("/courses", true), Demographics: f.offers("/demographics", false), Shrink: shrink,
		MatchStaff: "email", MatchStudents: "email", Personal: opt.Personal, Note: opt.Note,
		Progress: opt.Progress})
	if !opt.Personal {
		err = opt.Provider.Veil().Error(err)
	}
	return report, err
}

// complete judges a pull.
func complete(r sds.Report, err error) Finding {
	const again = ", then run it again"
	switch {
	case r.Stopped != "":
		return Finding{Failed, "stopped: " + r.Stopped, "serve what is missing" + again}
	case err != nil:
		return Finding{Failed, "the run failed: " + err.Error(), "correct what that says" + again}
	case r.Counts.Errors > 0 && len(r.Costs) > 0:
		c := r.Costs[0]
		return Finding{Failed, fmt.Sprintf("%d findings drop records, such as of %s: %s (%s)",
			r.Counts.Errors, c.Rule, c.Title, c.First), c.Fix + again}
	}
	rows := 0
	for _, c := range r.Collections {
		rows += c.Rows
	}
	added, changed, retired := moved(r)
	says := fmt.Sprintf("%s, %s: %d rows came; %d objects added, %d changed, %d retired", r.Kind, r.Status,
		rows, added, changed, retired)
	if r.Counts.Warnings > 0 {
		says += fmt.Sprintf("; %d warnings", r.Counts.Warnings)
	}
	return Finding{State: Done, Says: says}
}

// moved is what a pull did to the objects of a mirror.
func moved(r sds.Report) (added, changed, retired int) {
	for _, c := range r.Collections {
		added, changed, retired = added+c.Added, changed+c.Changed, retired+c.Retired
	}
	return added, changed, retired
}

func (f *Folder) sync(ctx context.Context, r *record, opt Options) error {
	m, err := f.mirror(ctx, "sync", opt)
	if err != nil {
		return err
	}
	report, err := f.pulled(ctx, m, opt, r.Step == fullSync, r.Step == deltaProof)
	if wrong := m.Close(); wrong != nil || ctx.Err() != nil {
		return errors.Join(wrong, ctx.Err())
	}
	r.Found[r.Step] = complete(report, err)
	if r.Step == deltaProof {
		r.Found[r.Step] = proven(r.Found[r.Step], report)
	}
	return f.keepJSON(r, f.folder("sync")+"-"+r.Step+"/receipt.json", report)
}

// proven judges a delta with its proof. One that had nothing to tell proves nothing yet.
func proven(found Finding, r sds.Report) Finding {
	p := r.Proof
	if p == nil {
		return found
	}
	if n := len(p.Differences) + p.Unsettled; n > 0 {
		says := fmt.Sprintf("the deltas leave %d differences to another full read", n)
		if len(p.Differences) > 0 {
			says += ", such as " + p.Differences[0].String()
		}
		return Finding{Failed, says, "stamp each object when, and only when, what is served of it changes; " +
			"serve what was removed as tobedeleted; then run it again"}
	}
	added, changed, retired := moved(r)
	says := fmt.Sprintf("%d objects added, %d changed, %d retired; %d rows read anew, no difference", added,
		changed, retired, p.Compared)
	if r.Kind != "delta" || added+changed+retired == 0 {
		return Finding{Missing, says + "; but nothing had changed since the pull before: of deltas it " +
			"shows nothing yet", "change a record, add one and remove one, or wait a day; then run it again"}
	}
	return Finding{State: Done, Says: says}
}

// grade writes a teacher's grades, writes them again, and takes them away.
func (f *Folder) grade(ctx context.Context, r *record, opt Options) error {
	how := gradesync.Options{Teacher: opt.Teacher, Assignments: 3, Seed: 1, Personal: opt.Personal,
		Today:    f.now.Format(time.DateOnly),
		Progress: func(done, total int) { opt.Progress("gradebook", done, total) }}
	// What a run that was killed left is taken away first.
	_, err := gradesync.Clean(ctx, opt.Provider, how)
	dir := f.folder("grades")
	for _, part := range gradeParts {
		if err != nil {
			break
		}
		var receipt *gradesync.Receipt
		if receipt, err = part.do(ctx, opt.Provider, how); receipt == nil {
			break
		}
		if wrong := f.keepJSON(r, dir+"/"+part.id+".json", receipt); wrong != nil {
			return wrong
		}
		r.Found[part.id] = part.judge(receipt)
	}
	if ctx.Err() != nil || err == nil {
		return ctx.Err()
	}
	if !opt.Personal {
		err = opt.Provider.Veil().Error(err, opt.Teacher)
	}
	for _, part := range gradeParts {
		if _, known := r.Found[part.id]; !known {
			r.Found[part.id] = Finding{Failed, "the run failed: " + err.Error(),
				"correct what that says, then run it again"}
		}
	}
	return nil
}

// A gradePart is a run of grades with what must come of it.
type gradePart struct {
	id, asks string
	do       func(context.Context, *provider.Provider, gradesync.Options) (*gradesync.Receipt, error)
	want     gradesync.Status // the only one that is right
}

var gradeParts = []gradePart{
	{"written", "A teacher's grades are written as Grade Sync does, and read back as they were sent",
		gradesync.Sync, gradesync.Created},
	{"unchanged", "The same grades once more: nothing is written twice", gradesync.Sync,
		gradesync.Unchanged},
	{"removed", "What was written can be deleted, and is in no list then", gradesync.Clean,
		gradesync.Removed},
}

func (g gradePart) judge(r *gradesync.Receipt) Finding {
	right, other, why := 0, 0, ""
	for _, totals := range []map[gradesync.Status]int{r.Totals.Items, r.Totals.Results} {
		for status, n := range totals {
			if status == g.want {
				right += n
			} else {
				other += n
			}
		}
	}
	for _, it := range r.Items {
		entries := []gradesync.Entry{it.Entry}
		for _, grade := range it.Grades {
			entries = append(entries, grade.Entry)
		}
		for _, e := range entries {
			if e.Status != g.want && why == "" {
				why = fmt.Sprintf("%s is %s", e.ID, e.Status)
				if len(e.Notes) > 0 {
					why += ": " + e.Notes[0]
				}
			}
		}
	}
	if other > 0 || right == 0 {
		return Finding{Failed, fmt.Sprintf("%d line items and results are %s, %d are not; %s", right,
			g.want, other, why), "look the object up in the receipt, and its call in the service's log; " +
			"then run it again"}
	}
	says := fmt.Sprintf("%d line items and %d results %s", r.Totals.Items[g.want],
		r.Totals.Results[g.want], g.want)
	for _, w := range r.Warnings {
		says += "; " + w
	}
	return Finding{State: Done, Says: says}
}
