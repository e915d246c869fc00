// Package verify holds a OneRoster 1.1 provider, anybody's, to what its readers
// need. The checks are data over the route table: each says what must hold,
// whose rule it is and what to change, and runs on every route or resource that
// it concerns. The package finds ids, terms and a teacher's e-mail by itself,
// and tells what the data lacks where a check cannot run.
package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollbook/internal/aside"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// Options of a run.
type Options struct {
	Profiles []string  // of Profiles; empty is core
	Write    bool      // also PUT and DELETE, and clean up
	Only     []string  // run these checks alone: their ids, or areas of ids (filter, page); empty is all
	MaxRows  int       // of a collection that are read; 0 is MostRows
	Now      time.Time // what today is; zero is the clock's
	Command  string    // as it was given, without secrets; "" where there was none
	Personal bool      // the report names people as they are called, and not by pseudonyms
	// Progress is told before each check how many are done, of how many.
	Progress func(done, all int, area string)
}

// MostRows of a collection are read unless told otherwise: more than a district has, and an end
// of a list that has none.
const MostRows = 2_000_000

// A Profile is a reader whose needs are checked: the routes that it calls, nil
// being all.
type Profile struct {
	Name, About string
	Routes      []string // paths
}

// spares are the lists that a reader can do without, by profile: School Data Sync is told not to
// read them.
var spares = map[string][]string{"sds": {"/courses", "/demographics"},
	"sds-classic": {"/courses", "/schools/{id}/courses"}}

// Profiles, by name. all is every one of them.
var Profiles = []Profile{
	{"core", "OneRoster 1.1: every operation of tables 3.1a, 3.1b and 3.1c", nil},
	{"rostering", "OneRoster 1.1, the rostering service alone: table 3.1a", ofTable("3.1a")},
	{"resources", "OneRoster 1.1, the resources service alone: table 3.1b", ofTable("3.1b")},
	{"gradebook", "OneRoster 1.1, the gradebook service alone: table 3.1c", ofTable("3.1c")},
	{"sds", "Microsoft School Data Sync as it is: district collections of 5,000 rows", []string{
		"/academicSessions", "/academicSessions/{id}", "/orgs", "/orgs/{id}", "/users", "/users/{id}",
		"/classes", "/classes/{id}", "/enrollments",
		"/courses", "/demographics", "/schools", "/schools/{id}", "/students", "/teachers", "/terms",
		"/terms/{id}"}},
	{"sds-classic", "Microsoft School Data Sync (Classic): school by school", []string{
		"/schools", "/schools/{id}", "/academicSessions", "/academicSessions/{id}", "/terms", "/terms/{id}",
		"/classes", "/classes/{id}", "/students", "/students/{id}",
		"/teachers", "/teachers/{id}", "/enrollments", "/courses", "/users", "/schools/{school_id}/terms",
		"/schools/{school_id}/classes", "/schools/{school_id}/enrollments",
		"/schools/{school_id}/students", "/schools/{school_id}/teachers", "/schools/{id}/courses"}},
	{"gradesync", "Microsoft Grade Sync: a teacher's classes, line items and results", []string{
		"/academicSessions", "/gradingPeriods", "/categories", "/teachers", "/teachers/{id}",
		"/teachers/{teacher_id}/classes", "/classes", "/classes/{id}", "/classes/{class_id}/students",
		"/enrollments", "/classGroups", "/classGroups/{id}", "/lineItems", "/lineItems/{id}", "/results",
		"/results/{id}", "/classes/{class_id}/lineItems", "/classes/{class_id}/results",
		"/classes/{class_id}/lineItems/{li_id}/results",
		"/classes/{class_id}/students/{student_id}/results", "/classes/{class_id}/categories"}},
}

// ofTable lists the paths of a table of the standard.
func ofTable(table string) []string {
	var out []string
	for _, route := range oneroster.V1p1.Routes {
		if route.Table == table {
			out = append(out, route.Path)
		}
	}
	return out
}

// KnownProfile tells whether the name is a profile's, or "all".
func KnownProfile(name string) bool {
	return name == "all" || slices.ContainsFunc(Profiles, func(p Profile) bool { return p.Name == name })
}

// Run holds a provider to the checks of the profiles. With an error, that there is no way in
// or that the context ended, comes a report of what there was until then.
func Run(ctx context.Context, p *provider.Provider, opt Options) (*Report, error) {
	if opt.MaxRows == 0 {
		opt.MaxRows = MostRows
	}
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	r := newRun(ctx, p, opt)
	defer r.aside.Close()
	err := r.enter()
	if err == nil && r.routes["/users"] {
		a, _ := r.p.Do(ctx, provider.Call{Path: "/users", Query: "limit=1"}) // whoever reads users tells
		if _, wrong := a.List("users"); errors.Is(wrong, provider.ErrNewer) {
			err = wrong
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			r.shut(&connect, err)
		}
		return r.report(), r.veil.Error(err)
	}
	r.tasks = r.plan()
	r.survey()
	if r.ctx.Err() != nil {
		return r.brokenOff(0)
	}
	for i, t := range r.tasks {
		if opt.Progress != nil {
			opt.Progress(i, len(r.tasks), t.check.Area())
		}
		r.results = append(r.results, r.run(t))
		if r.ctx.Err() != nil {
			return r.brokenOff(i)
		}
	}
	r.cleanUp()
	r.lookAgain()
	if r.ctx.Err() != nil {
		return r.brokenOff(len(r.tasks))
	}
	r.heldUpTo()
	if opt.Progress != nil {
		opt.Progress(len(r.tasks), len(r.tasks), "")
	}
	return r.report(), nil
}

// brokenOff reports of the checks that were through: one that was broken off is no fault of the
// provider's, but that it is gone may be.
func (r *run) brokenOff(through int) (*Report, error) {
	r.results = r.results[:through]
	r.cleanUp()
	r.note("broken off: %d of %d checks were through", through, len(r.tasks))
	if r.gone != nil {
		r.shut(&stays, r.gone)
	}
	return r.report(), r.veil.Error(context.Cause(r.ctx))
}

// shut tells that there is no way in, or none any more.
func (r *run) shut(check *Check, why error) {
	p := &probe{run: r, check: check}
	p.fail(nil, "%v", why)
	r.results = append(r.results, p.result())
}

// run is the state of a verification.
type run struct {
	ctx    context.Context
	giveUp context.CancelCauseFunc
	gone   error // the provider does not answer any more
	p      *provider.Provider
	opt    Options
	face   *oneroster.Face
	veil   *wire.Veil // nil: people are named
	tasks  []task

	profiles map[string]bool
	routes   map[string]bool // paths in scope
	needed   map[string]bool // those that must be served
	began    time.Time
	grant    *provider.Grant // nil with OAuth 1.0a
	door     string          // a list that can be read
	watched  []watch

	lists   map[string]*collection // by path, of collections without a parent
	unread  []*oneroster.Route     // those that are still to be walked
	texts   *texts                 // of the lists
	aside   aside.File             // their pages
	results []Result
	calls   []Timing
	seen    map[string]*provider.Answer   // answers of GETs that the checks share, by query
	written []written                     // objects to remove in the end
	hanging map[*oneroster.Route][]family // what hangs on parents, by nested list
	judged  map[string][]quality.Finding  // what School Data Sync's rules found, by rule; nil until they ran
	notes   []string
	passing []*provider.Answer // that the server broke on, and not when it was asked again
	soft    []*provider.Answer // errors under a status of success, the first of them
}

func newRun(ctx context.Context, p *provider.Provider, opt Options) *run {
	if len(opt.Profiles) == 0 {
		opt.Profiles = []string{"core"}
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	r := &run{ctx: ctx, giveUp: giveUp, p: p, opt: opt, face: oneroster.V1p1, began: time.Now(),
		texts:    newTexts(),
		profiles: map[string]bool{}, routes: map[string]bool{}, needed: map[string]bool{},
		lists: map[string]*collection{}, hanging: map[*oneroster.Route][]family{},
		seen: map[string]*provider.Answer{}}
	if !opt.Personal {
		r.veil = p.Veil()
	}
	for _, profile := range Profiles {
		for _, name := range opt.Profiles {
			if name != profile.Name && name != "all" {
				continue
			}
			r.profiles[profile.Name] = true
			for _, route := range r.face.Routes {
				if profile.Routes == nil && route.Table != "" || slices.Contains(profile.Routes, route.Path) {
					r.routes[route.Path] = true
					r.needed[route.Path] = r.needed[route.Path] || route.Table != "" &&
						!slices.Contains(spares[profile.Name], route.Path)
				}
			}
		}
	}
	return r
}

// connect is what all checks stand on.
var connect = Check{ID: "access.connect", Title: "A reader gets a token, and reads a first list",
	Rule: ruleREST + "; every reader", Fix: "See to the address, the certificate, the client's id, secret " +
		"and scopes, and the path of the service, as the failure says."}

var stays = Check{ID: connect.ID, Title: "The provider is there until the run ends", Rule: connect.Rule,
	Fix: "See why it ended or cannot be reached: its log, its memory, what restarts it, the network. Then run again."}

// enter finds out whether there is a way in at all.
func (r *run) enter() error {
	if r.p.OAuth1 {
		return r.firstRead()
	}
	a, err := r.p.RequestToken(r.ctx, provider.TokenRequest{Client: r.p.Client, Secret: r.p.Secret,
		Scope: r.p.Scope})
	if err != nil {
		return fmt.Errorf("no token from %s: %w", r.p.TokenURL, err)
	}
	g, err := provider.Granted(a)
	if err != nil {
		return err
	}
	r.grant = &g
	if r.p.Scope != "" && (r.profiles["sds"] || r.profiles["sds-classic"] || r.profiles["gradesync"]) {
		r.note("School Data Sync and Grade Sync ask for no scope, and this run for %q: that they would be let "+
			"in is not shown; run without --scope too", r.p.Scope)
	}
	r.seen["token"] = a
	return r.firstRead()
}

// firstRead tells a provider from a server of another kind before a thousand
// checks do. A provider of one service alone (the gradebook, say) answers one
// of the lists.
func (r *run) firstRead() error {
	var first error
	for _, path := range []string{"/orgs", "/users", "/classes", "/academicSessions", "/categories",
		"/lineItems", "/results"} {
		a, err := r.p.Do(r.ctx, provider.Call{Path: path, Query: "limit=1"})
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", a.Line(), err)
		case a.Status >= 300 && a.Status < 400:
			return fmt.Errorf("%s: redirected (%d) to %s: readers lose their credentials on the way; give "+
				"the address where the service answers", a.Line(), a.Status, a.Header.Get("Location"))
		}
		if _, err = a.Members(); err == nil && a.Status == http.StatusOK {
			r.door = path
			return nil
		}
		if err == nil {
			err = errors.New(a.Excerpt())
		}
		if a.Signed != "" && a.Status == http.StatusUnauthorized {
			err = fmt.Errorf("%w; the base string that was signed is %s", err, a.Signed)
		}
		if first == nil {
			first = fmt.Errorf("%s: answered %d, %w: is this the base URL of a OneRoster 1.1 service "+
				"(…%s), and may this client read?", a.Line(), a.Status, err, r.face.Base)
		}
	}
	return first
}

// A task is one check on one target.
type task struct {
	check *Check
	route *oneroster.Route // nil: once
}

// plan lists what to run: the checks of the profiles on the routes in scope.
func (r *run) plan() []task {
	var out []task
	for i := range Checks {
		c := &Checks[i]
		if !r.wants(c) {
			continue
		}
		if c.On == Once {
			out = append(out, task{c, nil})
			continue
		}
		for n := range r.face.Routes {
			route := &r.face.Routes[n]
			if r.routes[route.Path] && c.On.covers(route) && (c.Where == nil || c.Where(route)) {
				out = append(out, task{c, route})
			}
		}
	}
	return out
}

func (r *run) wants(c *Check) bool {
	return (len(r.opt.Only) == 0 || named(c, r.opt.Only)) && (r.opt.Write || !c.writes()) &&
		!(c.OAuth2 && r.p.OAuth1) && !(c.OAuth1 && !r.p.OAuth1) && r.asked(c.Profiles)
}

// asked tells whether one of these profiles was chosen: any, where they are nil.
func (r *run) asked(profiles []string) bool {
	return len(profiles) == 0 || slices.ContainsFunc(profiles,
		func(name string) bool { return r.profiles[name] })
}

// Refuse tells why options leave nothing to run: the checks that Only names are
// of other profiles, need Write or the other kind of authentication. It calls
// nobody.
func Refuse(p *provider.Provider, opt Options) error {
	for _, word := range opt.Only {
		one := opt
		one.Only = []string{word}
		r := newRun(context.Background(), p, one)
		if len(r.plan()) > 0 {
			continue
		}
		for i := range Checks {
			switch c := &Checks[i]; {
			case !named(c, one.Only):
			case len(c.Profiles) > 0 && !r.asked(c.Profiles):
				return fmt.Errorf("the check %s is of the profile %s: add --profile %s", word,
					strings.Join(c.Profiles, " or "), c.Profiles[0])
			case c.writes() && !opt.Write:
				return fmt.Errorf("the check %s writes: add --write", word)
			case c.OAuth1 && !p.OAuth1:
				return fmt.Errorf("the check %s is of signed requests: add --oauth1", word)
			case c.OAuth2 && p.OAuth1:
				return fmt.Errorf("the check %s is of tokens: leave --oauth1 out", word)
			}
		}
		return fmt.Errorf("the check %s looks at no path of the profile: add --profile all", word)
	}
	return nil
}

// named tells whether a list of ids has the check's, or what is before its dot.
func named(c *Check, list []string) bool {
	return slices.Contains(list, c.ID) || slices.Contains(list, kind(c.ID))
}

// KnownCheck tells whether a word of Options.Only names any check.
func KnownCheck(word string) bool {
	return slices.ContainsFunc(Checks, func(c Check) bool { return named(&c, []string{word}) })
}

// run runs one task. A mistake of ours in one check must not take the others along: it is a result
// that says so.
func (r *run) run(t task) (out Result) {
	p := &probe{run: r, check: t.check, route: t.route}
	defer func() { out = p.result() }()
	defer p.broke()
	if t.route != nil && !r.needed[t.route.Path] && !p.served() {
		p.leave("there is no %s, which is optional", t.route.Path)
	}
	if t.check.Row != nil {
		p.rowByRow()
	} else {
		t.check.Run(p)
	}
	return out
}

// broke, deferred, tells that a check panicked, unless it has left.
func (p *probe) broke() {
	if broken := recover(); broken != nil && broken != (left{}) {
		p.lacks("this check broke (%v): a mistake of the verifier, please report it", broken)
	}
}

// served tells whether what need not be there is.
func (p *probe) served() bool {
	if !Nesteds.covers(p.route) {
		c := p.reading("/" + p.route.Segments[0])
		return c == nil || !c.spare
	}
	for _, vars := range p.candidates() {
		return !notServed(p.get(fill(p.route.Path, vars)))
	}
	return true
}

// notServed tells of a path that there is not, or not for this client.
func notServed(a *provider.Answer) bool {
	return a.Status == http.StatusNotFound || a.Status == http.StatusForbidden
}

// A watch knows how many rows of a list are newer than a stamp: as many as now,
// unless the list changes. They need not be none: a list may hide deleted rows.
type watch struct {
	path, since string
	newer       int
}

// watch begins to watch a list, if it can be filtered at all.
func (r *run) watch(path, since string) {
	if n := r.newer(path, since); n >= 0 {
		r.watched = append(r.watched, watch{path, since, n})
	}
}

// watchUnread watches a list that was not read yet, from the newest row that it tells of. Where it
// cannot sort that is any row, and less is noticed.
func (r *run) watchUnread(route *oneroster.Route) {
	if !r.watches(route) {
		return
	}
	query := provider.Query("limit", "1", "sort", "dateLastModified", "orderBy", "desc")
	a, err := r.p.Patient(r.ctx, provider.Call{Path: route.Path, Query: query})
	if err != nil || a.Status != http.StatusOK {
		return
	}
	if page, err := a.List(wrappers(route.Resource)...); err == nil && len(page.Objects) > 0 {
		r.watch(route.Path, page.Objects[0].Text("dateLastModified"))
	}
}

// watches tells whether a list is to be watched: not one that the run itself writes to.
func (r *run) watches(route *oneroster.Route) bool {
	return Wholes.covers(route) && !(r.opt.Write && route.Resource.Gradebook)
}

// watchLists watches the lists that were read, from the newest row that came.
func (r *run) watchLists() {
	for _, path := range slices.Sorted(maps.Keys(r.lists)) {
		c := r.lists[path]
		if !r.watches(c.route) || !c.usable() || !c.whole {
			continue
		}
		newest := ""
		for _, rec := range c.records() {
			newest = max(newest, rec.Values[oneroster.Modified])
		}
		if newest != "" {
			r.watch(path, newest)
		}
	}
}

// changed are the lists that changed since they are watched.
func (r *run) changed() (out []string) {
	for _, w := range r.watched {
		if n := r.newer(w.path, w.since); n >= 0 && n != w.newer && !slices.Contains(out, w.path) {
			out = append(out, w.path)
		}
	}
	return out
}

const mostLooks = 3 // at what fails, while lists change

// lookAgain repeats what failed where lists changed meanwhile, with all lists read anew: a row that was
// read a while ago says little about what comes now. What was written, and what single rows say, stays
// as it was judged.
func (r *run) lookAgain() {
	again := func(i int) bool {
		res := r.results[i]
		return (res.State == Failed || res.State == Advised) && res.Check.Run != nil && !res.Check.writes()
	}
	var moved []string
	then := ""
	for look := 1; r.ctx.Err() == nil; look++ {
		changed := r.changed()
		moved = append(moved, changed...)
		var failed []int
		for i := range r.results {
			if again(i) {
				failed = append(failed, i)
			}
		}
		if len(changed) == 0 || len(failed) == 0 {
			break
		} else if look == mostLooks {
			then = ", and goes on to: verify a provider that stands still, or run again"
			break
		}
		then = ": what failed was looked at again, with all lists read anew"
		r.lists, r.hanging, r.judged, r.watched = map[string]*collection{}, map[*oneroster.Route][]family{}, nil,
			nil
		r.seen = map[string]*provider.Answer{"token": r.seen["token"]}
		r.survey()
		for _, i := range failed {
			if res := r.run(r.tasks[i]); r.ctx.Err() == nil {
				r.results[i] = res
			}
		}
	}
	slices.Sort(moved)
	for _, path := range slices.Compact(moved) {
		r.note("%s changed while it was checked%s", path, then)
	}
}

// heldUpTo tells up to which limit pages could be looked at: a provider that cuts them at a
// thousand does not show it where no list has so many.
func (r *run) heldUpTo() {
	limit := 5000
	if r.profiles["gradesync"] {
		limit = 7000
	}
	most := ""
	for path, c := range r.lists {
		if n := c.count; c.broken == nil && (most == "" || n > r.lists[most].count ||
			n == r.lists[most].count && path < most) {
			most = path
		}
	}
	if most == "" || len(r.opt.Only) > 0 {
		return
	}
	if n := r.lists[most].count; n < limit {
		r.note("pages were looked at up to %s, which is all of %s, the longest list: readers ask for %d, and that "+
			"a page is cut between these does not show", plural(n, "row"), most, limit)
	}
}

// newer counts the rows of a list that are newer than a stamp; -1 when it does
// not tell.
func (r *run) newer(path, since string) int {
	query := provider.Query("limit", "1", "filter", "dateLastModified>"+provider.Quote(since))
	a, err := r.p.Patient(r.ctx, provider.Call{Path: path, Query: query})
	if err != nil || a.Status != http.StatusOK {
		return -1
	}
	return a.Total()
}

func (r *run) note(format string, args ...any) {
	if text := r.sealed(fmt.Sprintf(format, args...), nil); !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
