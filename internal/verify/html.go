package verify

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollbook/internal/look"
	"rollbook/internal/oneroster"
	"rollbook/internal/words"
)

//go:embed report.html
var reportHTML string

// reportPage is read when a page is written: every start of the program would wait for it.
var reportPage = sync.OnceValue(func() *template.Template {
	return look.New(reportHTML, template.FuncMap{"thousands": words.Thousands, "plural": countOf, "span": span})
})

// WriteHTML writes the report as one page that needs nothing else: no script, no
// font, no network. It reads on a telephone, with a keyboard, aloud, and on
// paper. What it quotes has neither tokens nor secrets. Where many causes would make a page that
// no mail takes, each has less evidence; all of it is in JSON.
func (r *Report) WriteHTML(w io.Writer) error {
	var out bytes.Buffer
	for _, most := range []int{1 << 20, 8, 4, 2, 1} {
		out.Reset()
		if err := reportPage().Execute(&out, r.sheet(most)); err != nil {
			return err
		}
		if out.Len() <= mostPage {
			break
		}
	}
	_, err := out.WriteTo(w)
	return err
}

const mostPage = 300_000 // bytes

// sheet is the report as the template reads it.
type sheet struct {
	*Report
	Profiles  []Profile
	Ready     bool
	Areas     []areaRow
	Tables    []tableMap
	Speed     *speed // nil: no call was answered
	Failed    []findingView
	Advice    []findingView
	Unchecked []gap
	Passed    []passedArea
}

func (r *Report) sheet(most int) sheet {
	p := sheet{Report: r, Speed: r.speed(), Failed: r.findingViews(Failed, most),
		Advice: r.findingViews(Advised, most), Unchecked: r.gaps(), Passed: r.passed()}
	c := r.Counts()
	p.Ready = !r.Broken && c.Failed == 0 && c.Passed+c.Advice >= max(1, c.Unchecked)
	for _, profile := range Profiles {
		if slices.Contains(r.Profiles, profile.Name) {
			p.Profiles = append(p.Profiles, profile)
		}
	}
	p.Areas, p.Tables = r.areaRows(p.Failed, p.Advice), r.tableMaps(firstLinks(p.Failed, p.Advice))
	return p
}

// Verdict is what the run came to, in one sentence. It counts causes, and the paths on
// which they show.
func (r *Report) Verdict() string {
	failed, advice, counts := r.Causes(), r.Findings(Advised), r.Counts()
	paths := map[string]bool{}
	for _, res := range r.Of(Failed) {
		if res.Target != "" {
			paths[res.Target] = true
		}
	}
	switch n := len(failed); {
	case n > 0:
		text := "Not ready: " + plural(n, "cause")
		if len(paths) > 0 {
			text += " on " + plural(len(paths), "path")
		}
		if r.Broken {
			text += " until the run was broken off"
		}
		return text + "."
	case r.Broken:
		return "Broken off before the checks were through; nothing had failed until then."
	case counts.Passed == 0:
		return "Nothing could be checked."
	case counts.Unchecked > counts.Passed+counts.Advice:
		return fmt.Sprintf("What could be checked holds, and most could not: %s of %d.",
			plural(counts.Unchecked, "result"), counts.Unchecked+counts.Passed+counts.Advice)
	case len(advice) == 1:
		return "Every required check holds; 1 piece of advice " + onPaths(advice[0].Results) + "."
	case len(advice) > 1:
		return fmt.Sprintf("Every required check holds; %d pieces of advice.", len(advice))
	}
	return "Every required check holds."
}

// An areaRow is a row of the summary: counts, a bar of 100 units, and where the
// findings of the area begin.
type areaRow struct {
	AreaCount
	Bars []bar
	Link string
}

func (a areaRow) All() int { return a.Passed + a.Failed + a.Advice + a.Unchecked }

// A bar is a piece of a stacked bar, in hundredths of its width.
type bar struct {
	State     string
	At, Width float64
}

func (r *Report) areaRows(findings ...[]findingView) []areaRow {
	var out []areaRow
	for _, a := range r.Areas() {
		row := areaRow{AreaCount: a}
		at, all := 0.0, float64(row.All())
		for _, s := range []State{Failed, Advised, Unchecked, Passed} {
			if n := a.of(s); n > 0 {
				width := 100 * float64(n) / all
				row.Bars = append(row.Bars, bar{mark(s), at, width})
				at += width
			}
		}
		for _, list := range findings {
			for _, f := range list {
				if f.Check.Area() == a.Area && row.Link == "" {
					row.Link = f.ID
				}
			}
		}
		out = append(out, row)
	}
	return out
}

// mark names a state in the page's classes and symbols.
func mark(s State) string { return [...]string{"passed", "failed", "advice", "unchecked"}[s] }

// A tableMap is a table of the standard, or what a reader calls, as a map of routes.
type tableMap struct {
	Name, About string
	Reader      bool
	Tiles       []tile
}

// A tile is a route with the worst that was found on it.
type tile struct {
	RouteRow
	Mark string // as mark; "outside" for a route that no check was run on
	Link string // to the first finding; "" for none
}

// Steps are the path between its slashes: a line may break before each.
func (t tile) Steps() []string { return strings.Split(t.Path[1:], "/") }

// Says is the tile in words.
func (t tile) Says() string {
	var out []string
	for _, s := range []State{Failed, Advised, Passed, Unchecked} {
		if n := t.of(s); n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(out) == 0 {
		return "no check"
	}
	return strings.Join(out, ", ")
}

// tableMaps are the tables of the standard, and before them, in its own order, what each reader
// calls that the run was made for.
func (r *Report) tableMaps(links map[string]string) []tableMap {
	found := map[string]RouteRow{}
	for _, row := range r.Routes() {
		found[row.Method+" "+row.Path] = row
	}
	var readers []tableMap
	tables := []tableMap{{Name: "3.1a", About: "rostering"}, {Name: "3.1b", About: "resources"},
		{Name: "3.1c", About: "gradebook"}, {About: "beyond the tables"}}
	ofPath := map[string][]tile{}
	for _, route := range oneroster.V1p1.Routes {
		t := tile{RouteRow: found[route.Method+" "+route.Path], Mark: "outside", Link: links[target(&route)]}
		t.Method, t.Path, t.Op, t.Table = route.Method, route.Path, route.Op, route.Table
		for _, s := range []State{Unchecked, Passed, Advised, Failed} { // the worst last
			if t.of(s) > 0 {
				t.Mark = mark(s)
			}
		}
		i := slices.IndexFunc(tables, func(m tableMap) bool { return m.Name == route.Table })
		tables[i].Tiles = append(tables[i].Tiles, t)
		ofPath[route.Path] = append(ofPath[route.Path], t)
	}
	for _, p := range Profiles {
		if !slices.Contains(r.Profiles, p.Name) || !strings.HasPrefix(p.About, "Microsoft") {
			continue
		}
		reader := tableMap{About: p.About, Reader: true}
		for _, path := range p.Routes {
			reader.Tiles = append(reader.Tiles, ofPath[path]...)
		}
		readers = append(readers, reader)
	}
	return append(readers, tables...)
}

// A findingView is a finding with its evidence.
type findingView struct {
	ID       string // of the element
	State    string // as mark
	N        int    // which cause of how grave; 0 for advice
	Cause    Cause
	Check    *Check
	On       string   // on how many paths
	Hang     []string // checks that were not judged because of it
	Evidence []evidence
	Likewise []string // paths of which no evidence is shown
}

// An evidence is what was found on one target.
type evidence struct {
	ID       string
	Target   string
	Teaser   string // its first failure
	Open     bool
	Failures []exchange
	More     int
}

// findingViews shows so many failures of each finding at most, of as many paths as there are.
func (r *Report) findingViews(s State, most int) []findingView {
	var out []findingView
	for n, f := range r.causes(s) {
		view := findingView{ID: "check-" + strings.ReplaceAll(f.Check.ID, ".", "-"), State: mark(s),
			Cause: f, Check: f.Check, On: onPaths(f.Results)}
		if s == Failed {
			view.N = n + 1
		}
		for _, h := range (&Report{Results: f.Hang}).Findings(Unchecked) {
			view.Hang = append(view.Hang, h.Check.ID+" "+onPaths(h.Results))
		}
		each := max(1, most/len(f.Results)) // failures of a path
		for i, res := range f.Results {
			if i >= most {
				view.Likewise = append(view.Likewise, res.Target)
				continue
			}
			e := evidence{ID: fmt.Sprintf("%s-%d", view.ID, i+1), Target: res.Target, More: res.More,
				Open: s == Failed && i == 0}
			for n, failure := range res.Failures {
				if n >= each {
					e.More += len(res.Failures) - n
					break
				}
				x := r.exchange(failure)
				x.Again = n > 0 && x.Request == res.Failures[n-1].Request
				e.Failures = append(e.Failures, x)
			}
			if len(e.Failures) > 0 {
				e.Teaser = e.Failures[0].Text
			}
			view.Evidence = append(view.Evidence, e)
		}
		out = append(out, view)
	}
	return out
}

func onPaths(results []Result) string {
	if len(results) == 1 && results[0].Target == "" {
		return "on the service"
	}
	return "on " + plural(len(results), "path")
}

// firstLinks tells for each target the first finding on it, the worst lists
// first.
func firstLinks(lists ...[]findingView) map[string]string {
	out := map[string]string{}
	for _, list := range lists {
		for _, f := range list {
			for _, e := range f.Evidence {
				if out[e.Target] == "" {
					out[e.Target] = e.ID
				}
			}
			for _, target := range f.Likewise {
				if out[target] == "" {
					out[target] = f.ID
				}
			}
		}
	}
	return out
}

// A gap is a check that could not run, and why: each reason with its targets.
type gap struct {
	Check   *Check
	Reasons []reason
}

type reason struct {
	Text    string
	Targets []string
}

func (r *Report) gaps() []gap {
	var out []gap
	for _, f := range (&Report{Results: r.lacking()}).Findings(Unchecked) {
		g := gap{Check: f.Check}
		at := map[string]int{}
		for _, res := range f.Results {
			i, known := at[res.Lacks]
			if !known {
				i = len(g.Reasons)
				at[res.Lacks] = i
				g.Reasons = append(g.Reasons, reason{Text: res.Lacks})
			}
			if res.Target != "" {
				g.Reasons[i].Targets = append(g.Reasons[i].Targets, res.Target)
			}
		}
		out = append(out, g)
	}
	return out
}

// A passedArea lists the checks of an area that hold somewhere.
type passedArea struct {
	Area   string
	Checks []passedCheck
}

type passedCheck struct {
	Check *Check
	N     int // targets on which it holds
	Of    int // targets on which it ran
}

func (r *Report) passed() []passedArea {
	all := map[*Check]int{}
	for _, res := range r.Results {
		all[res.Check]++
	}
	var out []passedArea
	for _, area := range Areas {
		a := passedArea{Area: area}
		for _, f := range r.Findings(Passed) {
			if f.Check.Area() == area {
				a.Checks = append(a.Checks, passedCheck{f.Check, len(f.Results), all[f.Check]})
			}
		}
		if len(a.Checks) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// On says on how many of its targets a check holds.
func (c passedCheck) On() string {
	switch {
	case c.N < c.Of:
		return fmt.Sprintf("%d of %d paths", c.N, c.Of)
	case c.Check.On == Once:
		return ""
	}
	return plural(c.N, "path")
}

// countOf is plural with commas.
func countOf(n int, noun string) string {
	return words.Thousands(n) + strings.TrimPrefix(plural(n, noun), strconv.Itoa(n))
}

// span writes a duration with the digits that matter.
func span(d time.Duration) string {
	switch ms := float64(d.Microseconds()) / 1000; {
	case ms < 1:
		return strconv.FormatFloat(ms, 'g', 2, 64) + " ms"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	case ms < 1000:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	}
	return d.Round(time.Second).String()
}
