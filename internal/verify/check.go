package verify

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// areas of checks, by what their ids begin with.
var areas = map[string]string{"access": "access", "route": "routing", "list": "lists", "page": "paging",
	"link": "paging", "filter": "filters", "sort": "sorting", "fields": "fields", "one": "single objects",
	"nested": "nested lists", "data": "data", "delta": "delta", "error": "errors", "sds": "School Data Sync",
	"SDS": "rules of SDS", "Q": "rules of SDS", "gradesync": "Grade Sync", "put": "writing", "delete": "writing"}

// Areas in the order of a report.
var Areas = func() (out []string) {
	for i := range Checks {
		if area := Checks[i].Area(); !slices.Contains(out, area) {
			out = append(out, area)
		}
	}
	return out
}()

// moreMaximum is how many failures of one check on one target are kept whole.
const moreMaximum = 5

// On says what a check runs on.
type On uint8

const (
	Once    On = iota
	Lists      // every collection without a parent: /users, /schools, …
	Wholes     // those of them that are a resource's whole: /users, not /students
	Singles    // every read of one object
	Nesteds    // every collection with a parent in its path
	Puts       // every PUT
)

func (o On) covers(route *oneroster.Route) bool {
	if route.Method != http.MethodGet {
		return o == Puts && route.Method == http.MethodPut
	}
	switch nested := strings.Contains(route.Path, "{"); o {
	case Lists:
		return !nested
	case Wholes:
		return !nested && route.View == (oneroster.View{})
	case Singles:
		return route.One
	case Nesteds:
		return nested && !route.One
	}
	return false
}

// A Check is one thing that must hold.
type Check struct {
	ID       string
	Title    string   // what must hold, as a sentence without its full stop
	Rule     string   // whose rule it is, or who stumbles
	Fix      string   // what to change, for the provider's engineer
	Advice   bool     // a failure is told, and does not fail the provider
	Profiles []string // nil: all of them
	Required []string // by whom: for the profiles of others a failure is advice; nil: by all
	On       On
	Where    func(*oneroster.Route) bool // further choice of routes; nil: all
	OAuth2   bool                        // only where tokens are in use
	OAuth1   bool                        // only where requests are signed
	Run      func(*probe)
	Row      rowCheck // in place of Run
}

// A rowCheck judges each row of a list as it comes, and tells what is wrong with which attribute.
type rowCheck func(r *oneroster.Resource, o wire.Object, wrong func(attribute, what string))

// Checks is the catalogue, in the order of Areas, in which they run.
var Checks = slices.Concat(authChecks, routeChecks, listChecks, pageChecks, filterChecks, sortChecks,
	fieldsChecks, singleChecks, nestedChecks, dataChecks, deltaChecks, errorChecks, sdsChecks, ruleChecks(),
	gradeChecks, writeChecks, []Check{steady, softly, lasting})

// kind is what an id begins with: filter of filter.equal, SDS of SDS-G02.
func kind(id string) string { return id[:strings.IndexAny(id, ".-")] }

// Area names the part of a report that the check is told in.
func (c *Check) Area() string { return areas[kind(c.ID)] }

// writes tells whether a check puts and deletes.
func (c *Check) writes() bool { return c.Area() == areas["put"] }

// A Failure is one way in which a check did not hold.
type Failure struct {
	Text    string // what came, and why that is wrong
	Request string // as a line: GET https://…
	Status  int
	Headers string // those that matter
	Body    string // an excerpt
	As      Identity
	wanted  int  // the status, where one was
	success bool // that the server tells of a failure under a status of success
	objects bool // came
	cut     bool // no answer came, or not all of it
}

// Identity says who asked.
type Identity uint8

const (
	AsClient  Identity = iota
	AsNobody           // without an Authorization header
	AsAnother          // with an Authorization header made for the check
)

func identity(w provider.Who) Identity {
	switch {
	case w.Nobody:
		return AsNobody
	case w.Bearer != "" || w.Header != "":
		return AsAnother
	}
	return AsClient
}

// State of a result.
type State uint8

const (
	Passed State = iota
	Failed
	Advised   // failed, and it is only advice
	Unchecked // could not run; neither pass nor fail
)

func (s State) String() string {
	return [...]string{"passed", "failed", "advice", "not checked"}[s]
}

// A Result is what a check found on a target.
type Result struct {
	Check    *Check
	Target   string // a path of the route table, or "" for the service
	State    State
	Failures []Failure // the first of them
	More     int       // how many more there are
	Lacks    string    // why it could not run
	Because  *Check    // that failed, and whose failure this one would only repeat
}

// A probe is a check at work on one target.
type probe struct {
	*run
	check    *Check
	route    *oneroster.Route
	failures []Failure
	more     int
	grave    bool // one of the failures is more than advice
	missing  string
	held     bool             // something was looked at
	wrong    map[string]*flaw // attributes, where rows are judged as they come
}

// fail tells of an answer that is not as it must be; a may be nil.
func (p *probe) fail(a *provider.Answer, format string, args ...any) {
	p.grave = true
	p.advise(a, format, args...)
}

// advise tells of an answer that could be better.
func (p *probe) advise(a *provider.Answer, format string, args ...any) {
	if len(p.failures) == moreMaximum {
		p.more++
		return
	}
	p.failures = append(p.failures, p.failure(a, fmt.Sprintf(format, args...)))
}

// lacks tells why the check, or a part of it, cannot run: what the data lacks, or what went before.
func (p *probe) lacks(format string, args ...any) {
	if p.missing == "" {
		p.missing = p.sealed(fmt.Sprintf(format, args...), nil)
	}
}

// left ends a check, as Fatal ends a test: there is nothing more to look at.
type left struct{}

// leave ends the check with what it lacks, fatal with an answer that is not as it must be.
func (p *probe) leave(format string, args ...any) {
	p.lacks(format, args...)
	panic(left{})
}

func (p *probe) fatal(a *provider.Answer, format string, args ...any) {
	p.fail(a, format, args...)
	panic(left{})
}

// wants tells of an answer whose status is none of these, the first of which is meant; must ends the
// check there. unbroken wants any but a server's failure.
func (p *probe) wants(a *provider.Answer, statuses ...int) bool {
	if a.Err != nil {
		p.fail(a, "no answer: %v", a.Err)
	} else if !slices.Contains(statuses, a.Status) {
		p.fail(a, "answered %d; %d was expected", a.Status, statuses[0])
		p.failures[len(p.failures)-1].wanted = statuses[0]
	} else {
		return true
	}
	return false
}

func (p *probe) must(a *provider.Answer, statuses ...int) {
	if !p.wants(a, statuses...) {
		panic(left{})
	}
}

func (p *probe) unbroken(a *provider.Answer) {
	if a.Err != nil {
		p.fatal(a, "no answer: %v", a.Err)
	}
	if a.Status >= http.StatusInternalServerError {
		p.fatal(a, "answered %d", a.Status)
	}
}

// success are the statuses of what was done; a created object is told by 201.
var success = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// result is what the probe has come to.
func (p *probe) result() Result {
	out := Result{Check: p.check, Failures: p.failures, More: p.more}
	if p.route != nil {
		out.Target = target(p.route)
	}
	if kind(p.check.ID) == "delete" {
		out.Target = strings.Replace(out.Target, http.MethodPut, http.MethodDelete, 1)
	}
	switch {
	case len(p.failures) > 0 && (p.check.Advice || !p.grave || !p.asked(p.check.Required)):
		out.State = Advised
	case len(p.failures) > 0:
		out.State = Failed
	case p.missing != "" && !p.held:
		out.State, out.Lacks = Unchecked, p.missing
	}
	return out
}

// target is how results name a route.
func target(route *oneroster.Route) string {
	if route.Method == http.MethodGet {
		return route.Path
	}
	return route.Method + " " + route.Path
}

// ok says that something was looked at, so that what another part of the check
// lacked does not make the whole unchecked.
func (p *probe) ok() { p.held = true }

// call makes a call for this check and keeps its time. A provider that is busy
// (429, 503) is given the time that it asks for: it has not answered yet.
func (p *probe) call(c provider.Call) *provider.Answer {
	a, _ := p.p.Patient(p.ctx, c) // a.Err says the same
	spent, read := p.p.Forget(a), c.Method == "" || c.Method == http.MethodGet
	if cut := p.cut(a); spent || read && (cut || a.Status >= 500 && !a.Busy()) {
		// What passes is one mistake of its own, and not one of whatever check met it.
		again, _ := p.p.Patient(p.ctx, c)
		if again.Err == nil && again.Status < 500 && !(spent && again.Status == http.StatusUnauthorized) {
			p.passing = append(p.passing, a)
			a = again
		}
	}
	if soft(a) && len(p.soft) < moreMaximum {
		p.soft = append(p.soft, a)
	}
	if a.Busy() {
		p.note("%s was still busy (%d) when it had been asked %d times", a.Line(), a.Status, p.p.Tries)
	}
	op := "other"
	if p.route != nil && (c.Method == p.route.Method || p.route.Method == http.MethodGet) {
		op = p.route.Op
	} else if p.route != nil && c.Method == http.MethodDelete {
		op = strings.Replace(p.route.Op, "put", "delete", 1)
	}
	if a.Status != 0 {
		p.calls = append(p.calls, Timing{Op: op, Took: a.Took, Status: a.Status, Bytes: len(a.Body)})
	}
	return a
}

// soft tells of an error under a status of success: a body of status information that says failure.
func soft(a *provider.Answer) bool {
	if a.Status/100 != 2 || len(a.Body) > mostQuoted || !bytes.Contains(a.Body, []byte("imsx_")) {
		return false
	}
	o, ok := statusInfo(a)
	return ok && o.Text("imsx_codeMajor") == "failure"
}

// cut tells of a call without a whole answer whose provider is there still. One that does not
// answer any more at all ends the run: else every check that is left would fail.
func (r *run) cut(a *provider.Answer) bool {
	if t, ok := errors.AsType[*provider.Trouble](a.Err); !ok || !t.Passing() {
		return false
	}
	_, err := r.p.Careful(r.ctx, provider.Call{Path: r.door, Query: "limit=1"}, nil)
	if t, ok := errors.AsType[*provider.Trouble](err); ok && t.Passing() && r.ctx.Err() == nil {
		r.gone = fmt.Errorf("the provider went away after %s were answered: %w", plural(len(r.calls), "call"), err)
		r.giveUp(r.gone)
	}
	return r.gone == nil
}

// rememberedBody bounds the answers that checks share: a thousand larger ones
// would fill the memory.
const rememberedBody = 64 << 10

// get reads a path below the base, once for all checks of a run.
func (p *probe) get(path string, query ...string) *provider.Answer {
	return p.raw(path, provider.Query(query...))
}

// raw is get with a query string as it goes over the wire.
func (p *probe) raw(path, query string) *provider.Answer {
	key := path + "?" + query
	if a := p.seen[key]; a != nil {
		return a
	}
	a := p.call(provider.Call{Path: path, Query: query})
	if len(a.Body) < rememberedBody {
		p.seen[key] = a
	}
	return a
}

// page reads a list answer of the route's resource, or of the one named; false with a failure told
// when it is none. list is page, and ends the check there.
func (p *probe) page(a *provider.Answer, of ...string) (wire.Page, bool) {
	var r *oneroster.Resource
	if len(of) > 0 {
		r = oneroster.ByName(of[0])
	} else {
		r = p.route.Resource
	}
	got, err := p.asList(a, r)
	if err != nil {
		p.fail(a, "%v", err)
		return got, false
	}
	p.ok()
	return got, true
}

func (p *probe) list(a *provider.Answer, of ...string) wire.Page {
	got, ok := p.page(a, of...)
	if !ok {
		panic(left{})
	}
	return got
}

// asList reads a list answer of a resource, or says why it is none.
func (r *run) asList(a *provider.Answer, of *oneroster.Resource) (wire.Page, error) {
	if a.Err != nil {
		return wire.Page{}, fmt.Errorf("no answer: %w", a.Err)
	}
	if a.Status != http.StatusOK {
		return wire.Page{}, fmt.Errorf("answered %d where a list was expected", a.Status)
	}
	return a.List(wrappers(of)...)
}

// wrappers are the keys that a list of a resource may come under for the sake
// of the other checks; list.wrapper wants the first.
func wrappers(r *oneroster.Resource) []string {
	out := []string{r.Plural}
	for _, v := range oneroster.V1p1.Routes {
		if v.Resource == r && v.View != (oneroster.View{}) && !strings.Contains(v.Path, "{") {
			out = append(out, strings.TrimPrefix(v.Path, "/"))
		}
	}
	return out
}

// isJSON tells whether an answer says that it is JSON: in any letter case (RFC 9110 §8.3.1), and also
// as a problem+json.
func isJSON(a *provider.Answer) bool {
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") &&
		strings.HasSuffix(kind, "+json"))
}

func brief(text string) string {
	if len(text) > 300 {
		return strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
