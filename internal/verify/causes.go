package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
)

// Harm is what a mistake does to who reads, the worst first.
type Harm uint8

const (
	Shut    Harm = iota // nobody comes in
	Wrong               // wrong rows come, or rows come to a stranger, and nobody notices
	Lost                // rows do not come
	Refused             // a request that readers send is refused
	Form                // what comes has not the form of the standard
	Wish                // advice
)

func (h Harm) String() string {
	return [...]string{"cannot connect", "wrong rows", "rows lost", "refused", "form", "advice"}[h]
}

func (h Harm) loses() string {
	return [...]string{
		"no reader gets in: no class and no team is made, and those that are there grow old",
		"readers take what is wrong for right, and are told nothing: people stand in classes that are not " +
			"theirs, or are missing in their own",
		"people and classes that the reader does not get are taken for gone: children vanish from their " +
			"classes, some of them only after a later run",
		"the reader that asks so gives up, or goes without: its run ends in an error, or a part of the " +
			"roster is never read",
		"readers that hold to the standard stumble over it: one skips the record, another ends its run",
		"nothing today: a reader is slower for it, or a person has to look twice",
	}[h]
}

// Loses says what a school loses by a cause.
func (c Cause) Loses() string {
	if c.Harm == Wrong && c.guards() {
		return "whoever asks is served: strangers can read, or write, the names, addresses and grades of children"
	}
	if c.Harm == Wrong && c.Check.writes() {
		return "what a teacher gave stands in the gradebook as something else, or stands there no longer, and " +
			"nobody is told"
	}
	return c.Harm.loses()
}

// Harms says in a word or two what a cause does.
func (c Cause) Harms() string {
	if c.Harm == Wrong && c.guards() {
		return "open doors"
	}
	return c.Harm.String()
}

// guards tells a check that holds a door shut.
func (c Cause) guards() bool {
	return c.Check.Area() == areas["access"] || strings.HasSuffix(c.Check.ID, ".no-token")
}

// opens tells whether somebody got in who must not: a refusal in another form is no open door.
func opens(r Result) bool {
	return slices.ContainsFunc(r.Failures, func(f Failure) bool {
		return f.Request == "" || f.Status/100 == 2 && (f.objects || !strings.HasPrefix(f.Request, "GET "))
	})
}

// A ground is a check whose failure makes others fail that stand on it: they would tell of
// the same mistake once more. Carries names those by their ids, or by what is before the dot.
type ground struct{ check, carries string }

// grounds, each before what stands on it. Where one failed, on the same path or on the list
// that a check works on, what it carries is not judged.
var grounds = []ground{
	{"access.token", "gradesync.jwt"},
	{"error.status", "error.unknown-id error.no-token error.bad-filter"},
	{"access.earlier-token", "access.scheme access.lasting-token route list page link filter sort fields one " +
		"nested data delta error sds SDS gradesync Q put delete"},
	{"access.lasting-token", "put.burst"},
	{"access.signature", "access.timestamp"},
	{"list.one", "list.answer page.at-once route page link filter sort fields nested data delta error sds SDS " +
		"gradesync Q put delete"},
	{"list.answer", "access.no-token access.no-token-single access.no-token-nested route page link filter " +
		"sort fields one nested data delta error sds SDS gradesync Q put delete"},
	{"access.no-token", "access.no-token-single access.no-token-nested access.foreign-token " +
		"access.expired-token access.other-ways access.scope put.no-token"},
	{"access.foreign-token", "access.expired-token access.other-ways access.scope put.scope"},
	{"access.other-ways", "put.no-token put.scope"},
	{"route.redirect", "route.slashes route.letter-case"},
	{"route.unknown-path", "route.method"},
	{"list.wrapper", "filter.no-match filter.unknown-value sort.unknown fields.unknown nested sds gradesync"},
	{"list.content-type", "error error.no-token one.same filter.equal SDS-U08 SDS-E02 SDS-C04 Q"},
	{"data.id", "filter sort fields one nested data delta SDS sds gradesync Q"},
	{"list.total-header", "page.total page.past-end nested.total nested.unknown-parent-empty filter.total " +
		"delta.pages sds.pull sds.pages gradesync.classes"},
	{"page.stable", "route list.view page page.at-once link filter sort fields nested data.resolve delta sds " +
		"SDS Q gradesync"},
	{"page.size", "page.given-twice page.unique page.offset page.total page.default link filter.pages sort fields " +
		"nested.rows nested.total nested.filter sds gradesync"},
	{"page.offset", "list.view page.unique page.total page.default page.past-end link filter.pages sort fields " +
		"nested data.resolve delta sds SDS Q"},
	{"page.unique", "page.total page.default page.past-end list.view nested.rows fields.unknown sort link " +
		"filter.pages nested.total delta.pages sds.pages"},
	{"page.total", "list.view page.default page.past-end link filter.total nested.total " +
		"nested.unknown-parent-empty fields.filter sort.ties sort.unknown delta.pages sds gradesync.classes " +
		"SDS-G06 SDS-E02"},
	{"page.default", "route.extra-parameters route.slashes nested.total"},
	{"link.next", "nested.total link.others link.there gradesync.links"},
	{"link.there", "gradesync.links"},
	{"data.status", "filter.status nested.rows delta sds SDS Q gradesync delete.delta"},
	{"data.modified", "filter.greater filter.less-equal filter.greater-equal filter.less filter.zone " +
		"filter.date-only sort delta SDS Q sds"},
	{"data.types", "filter sort fields nested data.required data.values data.dates data.empty data.resolve " +
		"data.references data.kinds data.href data.children data.agents SDS Q sds gradesync"},
	{"data.values", "data.kinds list.view nested SDS Q filter sds gradesync"},
	{"data.dates", "filter sort fields sds SDS Q"},
	{"data.required", "nested.rows nested.both-parents data.empty SDS Q fields"},
	{"data.empty", "fields SDS"},
	{"data.references", "data.kinds filter.csv-name filter.reference data.resolve data.href SDS Q"},
	{"data.resolve", "filter fields sort nested data.href SDS Q delta.active gradesync"},
	{"data.kinds", "nested filter.reference SDS Q"},
	{"data.children", "fields"},
	{"data.agents", "SDS sds.contacts"},
	{"data.unknown-attributes", "fields"},
	{"delta.future", "filter.greater filter.greater-equal filter.less filter.less-equal filter.zone " +
		"filter.date-only delta"},
	{"list.view", "route.slashes one nested page link filter fields sds gradesync"},
	{"one.answer", "access.no-token-single route.slashes route.escaped-id one.same one.total nested data.href " +
		"error.unknown-id fields.single sds gradesync put.read-back put.burst"},
	{"access.no-token-single", "access.no-token-nested put.no-token put.scope"},
	{"one.same", "fields.single filter.equal filter.contains put.read-back put.delta"},
	{"filter.encoding", "filter link.query fields.filter nested delta sds gradesync"},
	{"filter.equal", "link.query filter fields.filter nested delta sds gradesync SDS Q"},
	{"filter.id", "filter nested fields.filter put delete"},
	{"filter.status", "link.query delta.active delta.deleted nested sds put delete"},
	{"filter.no-match", "page.past-end filter nested.filter nested.both-parents nested.unknown-parent " +
		"nested.unknown-parent-empty delta"},
	{"filter.unknown-value", "filter.total nested.filter delta.deleted"},
	{"filter.apostrophe", "filter nested.filter delta sds"},
	{"filter.not-equal", "filter nested.filter"},
	{"filter.contains", "filter.percent filter.underscore filter.equals-in-value sds"},
	{"filter.percent", "filter.underscore"},
	{"filter.and", "filter.or filter.and-in-value nested.filter filter.unknown-field filter.unreadable " +
		"delta.active delta.deleted sds gradesync filter.lower-case"},
	{"filter.or", "filter.and-in-value nested.filter"},
	{"filter.reference", "filter.csv-name"},
	{"filter.greater", "filter.greater-equal filter.less filter.less-equal filter.number filter.zone " +
		"filter.date-only delta sds put delete"},
	{"filter.greater-equal", "filter.zone filter.date-only"},
	{"filter.less", "filter.less-equal filter.date-only"},
	{"delta.later", "filter.zone delta put.delta delete.delta"},
	{"filter.pages", "filter.total nested.filter link.query fields.filter delta.pages sds"},
	{"filter.total", "delta.pages sds link.others"},
	{"filter.unreadable", "filter.unknown-field filter.sql error.bad-filter"},
	{"filter.unknown-field", "filter.sql error.bad-filter"},
	{"sort.ascending", "sort link.query"},
	{"error.no-token", "error.bad-filter"},
	{"sort.descending", "sort.ties sort.nested link.query"},
	{"fields.list", "fields.filter fields.single fields.nested fields.blank link.query"},
	{"fields.filter", "link.query"},
	{"link.query", "link.others"},
	{"error.unknown-id", "one.view one.letter-case gradesync.absent"},
	{"nested.rows", "nested fields.nested sort.nested gradesync sds"},
	{"nested.unknown-parent", "nested.unknown-parent-empty"},
	{"nested.total", "nested.unknown-parent-empty gradesync"},
	{"delta.deleted", "delta sds SDS Q"},
	{"put.create", "put delete"},
	{"put.path-id", "put.malformed"},
	{"put.malformed", "put.unknown-reference"},
	{"put.read-back", "put.listed put.long-texts put.score-status put.id-case put.replace put.minimal " +
		"put.extra-credit put.same-ids delete"},
	{"put.replace", "put.delta put.score-status delete.again"},
	{"put.listed", "put.id-case put.delta put.minimal put.score-status delete.delta"},
	{"put.id-case", "delete"},
	{"put.delta", "delete.delta"},
	{"delete.gone", "put delete"},
	{"delete.unknown", "put.no-token put.scope"},
	{"put.burst", "put delete"},
}

func init() { grounds = append(grounds, dropping()...) }

// dropping are the rules for which School Data Sync drops a record: what leads to it leads nowhere
// then, which is another rule.
func dropping() (out []ground) {
	const astray = "SDS-G06 SDS-E02 SDS-C04 SDS-U06 Q"
	for _, rule := range rules() {
		if rule.Severity == quality.Error && !slices.Contains(strings.Fields(astray), rule.ID) {
			out = append(out, ground{rule.ID, astray})
		}
	}
	return out
}

// A Cause is one mistake of a provider: a check that failed for no failure of another, with
// the paths on which it did, and what was not judged because of it.
type Cause struct {
	Finding
	Harm Harm
	Hang []Result
}

// Title says what is wrong.
func (c Cause) Title() string {
	switch c.shows() {
	case breaks:
		return "The server breaks on " + c.asked() + ", where this must hold: " + c.Check.Title
	case forbidden:
		return "The token may not read " + c.Targets()
	case unserved:
		if len(c.Results) > 1 {
			return c.Targets() + " are not served"
		}
		return c.Targets() + " is not served"
	}
	return c.Check.Title
}

// Fix is what to change.
func (c Cause) Fix() string {
	switch c.shows() {
	case breaks:
		return "Look the request up in the server's log. " + c.Check.Fix
	case forbidden:
		return "Grant the client the scopes that open these paths (roster.readonly, or those of the " +
			"gradebook); " + "a provider whose readers send no scope grants all that the client may have."
	}
	return c.Check.Fix
}

type showing uint8

const (
	fails     showing = iota
	breaks            // 5xx, or no whole answer
	forbidden         // 403
	unserved          // 404 where a list is
)

// shows tells by the answers that came how a cause shows.
func (c Cause) shows() showing {
	all := func(is func(f Failure) bool) bool {
		return !slices.ContainsFunc(c.Results, func(r Result) bool {
			return len(r.Failures) == 0 || !is(r.Failures[0])
		})
	}
	lists := c.Check.ID == "list.answer" || c.Check.ID == "nested.rows"
	switch {
	case all(func(f Failure) bool { return f.Request != "" && (f.Status == 0 || f.Status >= 500) }):
		return breaks
	case lists && all(func(f Failure) bool { return f.Status == http.StatusForbidden }):
		return forbidden
	case lists && all(func(f Failure) bool { return f.Status == http.StatusNotFound }):
		return unserved
	}
	return fails
}

// asked is the request of the first failure, below the base.
func (c Cause) asked() string {
	method, at, _ := strings.Cut(c.first().Request, " ")
	at, _, _ = strings.Cut(at, " with ")
	if _, below, ok := strings.Cut(at, oneroster.V1p1.Base); ok {
		at = below
	}
	return method + " " + at
}

// aloof are checks that stand on none but those that name them: what is wrong elsewhere does not lead
// them astray.
var aloof = []string{"error.no-token", "gradesync.jwt", "page.at-once", "sds.base-url"}

// holds tells whether a check stands on the ground.
func (g ground) holds(id string) bool {
	return g.check != id && slices.ContainsFunc(strings.Fields(g.carries),
		func(word string) bool { return word == id || word == kind(id) && !slices.Contains(aloof, id) })
}

// judgeCauses finds out which failures only tell of another one: they become not checked,
// because of it.
func judgeCauses(results []Result) {
	failed := map[string][]*Result{} // by check
	var order []string
	for i := range results {
		r := &results[i]
		if r.State != Failed && r.State != Advised {
			continue
		}
		if failed[r.Check.ID] == nil {
			order = append(order, r.Check.ID)
		}
		failed[r.Check.ID] = append(failed[r.Check.ID], r)
	}
	rank := func(id string) int {
		if i := slices.IndexFunc(grounds, func(g ground) bool { return g.check == id }); i >= 0 {
			return i
		}
		return len(grounds)
	}
	slices.SortStableFunc(order, func(a, b string) int { return rank(a) - rank(b) })
	for _, id := range order {
		var echoes, own []*Result
		because := map[*Check]int{}
		for _, r := range failed[id] {
			if r.Because = answered(failed, r); r.Because == nil {
				r.Because = groundOf(failed, r, rank(id))
			}
			if r.Because != nil {
				echoes = append(echoes, r)
				because[r.Because]++
			} else {
				own = append(own, r)
			}
		}
		var most *Check
		for check, n := range because {
			if most == nil || n > because[most] || n == because[most] && check.ID < most.ID {
				most = check
			}
		}
		// Some paths more are no other mistake, unless it is one of data, which is on some.
		if spread := 4; most != nil {
			switch {
			case most.ID == "list.answer": // which paths are not served is clear
				spread = 0
			case most.Area() == areas["data"]:
				spread = 1
			}
			if len(own) > spread*len(echoes) {
				continue
			}
			for _, r := range own {
				r.Because = most
			}
		}
	}
	own := func(r *Result) bool { return r.Because == nil }
	for i := range results {
		r := &results[i]
		for steps := 0; r.Because != nil && !slices.ContainsFunc(failed[r.Because.ID], own); steps++ {
			r.Because = failed[r.Because.ID][0].Because // it is no cause itself
			if steps > len(grounds) {
				r.Because = nil // each hangs on the other: one of them is told
			}
		}
		if r.Because != nil {
			r.State, r.Failures, r.More = Unchecked, nil, 0
			r.Lacks = "it stands on " + r.Because.ID + ", which failed"
		}
	}
}

// answered is the check that tells of the answer for which a check failed, whatever it looked
// for: who may not read one path may not read others, and a server that breaks now and then
// breaks on writes too, which nobody repeats.
func answered(failed map[string][]*Result, r *Result) *Check {
	lists, first := failed["list.answer"], Failure{}
	if len(r.Failures) > 0 {
		first = r.Failures[0]
	}
	unknown := failed["error.unknown-id"]
	switch shaky := failed[steady.ID]; {
	case first.success && len(failed[softly.ID]) > 0 && r.Check.ID != softly.ID:
		return failed[softly.ID][0].Check
	case (first.wanted == http.StatusNotFound || optional(r.Target)) && len(unknown) > 0 &&
		unknown[0].Failures[0].Status == first.Status && r.Check.ID != "error.unknown-id":
		return unknown[0].Check
	case first.Status == http.StatusForbidden && first.As == AsClient && r.Check.ID != "list.answer" &&
		strings.HasPrefix(first.Request, "GET "):
		if slices.ContainsFunc(lists, func(l *Result) bool { return l.Failures[0].Status == http.StatusForbidden }) {
			return lists[0].Check
		}
	case first.cut && r.Check.ID != "list.answer" &&
		slices.ContainsFunc(lists, func(l *Result) bool { return l.Failures[0].cut }):
		return lists[0].Check
	case len(shaky) > 0 && (first.Status >= 500 || first.cut) &&
		!strings.HasPrefix(first.Request, "GET "):
		return shaky[0].Check
	}
	return nil
}

// optional tells of the path of a list that no table of the standard has: it may be unknown.
func optional(path string) bool {
	return slices.ContainsFunc(oneroster.V1p1.Routes, func(r oneroster.Route) bool {
		return r.Path == path && r.Table == ""
	})
}

// groundOf is the check that a failure stands on and that failed where it works; nil where
// there is none. An advice carries advice.
func groundOf(failed map[string][]*Result, r *Result, rank int) *Check {
	for _, g := range grounds[:min(rank, len(grounds))] {
		if len(failed[g.check]) == 0 || !g.holds(r.Check.ID) {
			continue
		}
		for _, other := range failed[g.check] {
			nested := other.Check.Area() == areas["nested"] && r.Check.Area() == areas["nested"] &&
				r.Target != other.Target
			if other.State == Advised && r.State == Failed || nested || other.Because == r.Check ||
				!meet(r.Target, other.Target) {
				continue
			}
			if other.Because != nil {
				return other.Because
			}
			return other.Check
		}
	}
	return nil
}

// meet tells whether a check on one path works with what another one reads: what is of the
// whole service works with everything.
func meet(target, ground string) bool {
	if target == ground || target == "" || ground == "" {
		return true
	}
	_, target, _ = strings.Cut(target, "/") // without the verb
	_, ground, _ = strings.Cut(ground, "/")
	first, _, _ := strings.Cut(target, "/")
	list, _, _ := strings.Cut(ground, "/")
	return first == list || resourceOf(target) == resourceOf(ground)
}

// resourceOf names the resource of a path of the route table.
func resourceOf(path string) string {
	for i := range oneroster.V1p1.Routes {
		if route := &oneroster.V1p1.Routes[i]; route.Path == "/"+path {
			return route.Resource.Name
		}
	}
	return path
}

// harmOf is what the failure of a check does.
func harmOf(c *Check) Harm {
	if c.Advice {
		return Wish
	}
	best, length := Form, -1
	for _, h := range harms {
		for _, word := range strings.Fields(h.checks) {
			if strings.HasPrefix(c.ID, word) && len(word) > length {
				best, length = h.harm, len(word)
			}
		}
	}
	return best
}

// harms are told by the ids of checks, or their beginnings: the longest that fits counts.
var harms = []struct {
	harm   Harm
	checks string
}{
	{Shut, "access.connect access.token access.scheme access.earlier-token"},
	{Wrong, "access filter nested list.view page.unique page.stable page.offset page.at-once one.same one.view one.answer " +
		"fields.filter link.query delta put delete data.resolve data.status data.agents data.children " +
		"error.status"},
	{Lost, "list.answer page link data.id data.modified delta.deleted delta.pages delta.later " +
		"filter.pages list.total-header nested.rows SDS sds gradesync"},
	{Refused, "access.lasting-token route filter.encoding filter.apostrophe filter.comma filter.date-only " +
		"filter.zone filter.csv-name sort page.past-end page.nonsense page.given-twice filter.bad-date put.create " +
		"put.minimal put.burst gradesync.absent gradesync.vendor-header nested.unknown-parent-empty " +
		"error.unknown-id error.steady"},
	{Form, "list.wrapper list.content-type fields error data route.unknown-path Q"},
}

// Causes of what failed, by harm, those first on which most hangs.
func (r *Report) Causes() []Cause { return r.causes(Failed) }

func (r *Report) causes(s State) []Cause {
	var out []Cause
	for _, f := range r.Findings(s) {
		c := Cause{Finding: f, Harm: harmOf(f.Check)}
		if s == Advised {
			c.Harm = Wish
		} else if c.Harm == Wrong && c.shows() == breaks {
			c.Harm = Refused // nothing comes that could be taken for right
		} else if c.Harm == Wrong && c.guards() && !slices.ContainsFunc(c.Results, opens) {
			c.Harm = Form
		}
		for _, res := range r.Results {
			if res.Because == f.Check {
				c.Hang = append(c.Hang, res)
			}
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Cause) int {
		if a.Harm != b.Harm {
			return int(a.Harm) - int(b.Harm)
		}
		return len(b.Hang) - len(a.Hang)
	})
	return out
}

// Since notes which causes are new, gone and the same since an earlier report, which is one
// of report.json. One that was not looked at this time is not called gone.
func (r *Report) Since(earlier []byte) error {
	var before struct {
		URL      string
		Began    string
		Profiles []string
		Causes   []struct{ Cause string }
	}
	if err := json.Unmarshal(earlier, &before); err != nil {
		return fmt.Errorf("not a report of rollbook verify in JSON: %w", err)
	} else if before.Causes == nil || before.Began == "" {
		return errors.New("not a report of rollbook verify in JSON that tells causes")
	}
	var fresh, same, gone, open []string
	now, told, held := map[string]bool{}, map[string]bool{}, map[string]bool{connect.ID: len(r.Rows) > 0}
	for _, res := range r.Of(Passed) {
		held[res.Check.ID] = true
	}
	for _, b := range before.Causes {
		told[b.Cause] = true
	}
	for _, c := range r.Causes() {
		now[c.Check.ID] = true
		if !told[c.Check.ID] {
			fresh = append(fresh, c.Check.ID)
		}
	}
	for _, b := range before.Causes {
		switch {
		case now[b.Cause]:
			same = append(same, b.Cause)
		case held[b.Cause]:
			gone = append(gone, b.Cause)
		default:
			open = append(open, b.Cause)
		}
	}
	text := "since the report of " + before.Began
	if before.URL != r.URL {
		text += " on " + before.URL
	}
	if !slices.Equal(before.Profiles, r.Profiles) {
		text += ", of other profiles (" + strings.Join(before.Profiles, ", ") + ")"
	}
	for _, part := range []struct {
		word string
		ids  []string
	}{{"new", fresh}, {"gone", gone}, {"the same", same}, {"not checked this time", open}} {
		list := strings.Join(part.ids, ", ")
		if list == "" {
			list = "none"
		}
		text += "; " + part.word + ": " + list
	}
	r.Notes = append(r.Notes, text)
	return nil
}
