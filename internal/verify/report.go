package verify

import (
	"encoding/xml"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"rollbook/internal/oneroster"
)

// A Timing is one call: which operation, how long until its last byte.
type Timing struct {
	Op     string
	Took   time.Duration
	Status int
	Bytes  int
}

// A Report is what a run found.
type Report struct {
	URL      string
	Version  string // of the program that made it
	Command  string // "": not of a command line
	Personal bool   // people are named
	Profiles []string
	Write    bool
	OAuth1   bool // requests were signed, not opened by a token
	Broken   bool // off: the run was ended before the checks were through
	Began    time.Time
	Took     time.Duration
	Results  []Result
	Calls    []Timing
	Rows     map[string]int // by path, that were read
	Notes    []string
}

func (r *run) report() *Report {
	judgeCauses(r.results)
	out := &Report{URL: r.p.URL, Version: r.p.Version, Command: r.sealed(r.opt.Command, nil),
		Personal: r.opt.Personal, Write: r.opt.Write, OAuth1: r.p.OAuth1, Broken: r.ctx.Err() != nil,
		Began: r.began.UTC(),
		Took:  time.Since(r.began), Results: r.results, Calls: r.calls, Rows: map[string]int{}, Notes: r.notes}
	for _, p := range Profiles {
		if r.profiles[p.Name] {
			out.Profiles = append(out.Profiles, p.Name)
		}
	}
	for path, c := range r.lists {
		out.Rows[path] = c.count
	}
	return out
}

// Counts are how many results are in each state.
type Counts struct{ Passed, Failed, Advice, Unchecked int }

// of is one of the counts.
func (c *Counts) of(s State) int { return *c.at(s) }

func (c *Counts) at(s State) *int { return [...]*int{&c.Passed, &c.Failed, &c.Advice, &c.Unchecked}[s] }

func (c *Counts) add(s State) { *c.at(s)++ }

// Counts of all results.
func (r *Report) Counts() Counts {
	var c Counts
	for _, res := range r.Results {
		c.add(res.State)
	}
	return c
}

// An AreaCount is an area with what it came to.
type AreaCount struct {
	Area string
	Counts
}

// Areas that were checked, in order.
func (r *Report) Areas() []AreaCount {
	var out []AreaCount
	for _, area := range Areas {
		c := AreaCount{Area: area}
		for _, res := range r.Results {
			if res.Check.Area() == area {
				c.add(res.State)
			}
		}
		if c.Counts != (Counts{}) {
			out = append(out, c)
		}
	}
	return out
}

// Of lists the results in a state.
func (r *Report) Of(s State) []Result {
	var out []Result
	for _, res := range r.Results {
		if res.State == s {
			out = append(out, res)
		}
	}
	return out
}

// A Finding is one check that failed, with every target on which it did: one
// mistake of a provider shows on many paths.
type Finding struct {
	Check   *Check
	Results []Result
}

// Targets names the paths, the first few of many.
func (f Finding) Targets() string { return few(f.paths()) }

func (f Finding) paths() []string {
	out := []string{}
	for _, r := range f.Results {
		if r.Target != "" {
			out = append(out, r.Target)
		}
	}
	return out
}

// first is the first failure that came; the zero Failure where none was kept.
func (f Finding) first() Failure {
	for _, r := range f.Results {
		if len(r.Failures) > 0 {
			return r.Failures[0]
		}
	}
	return Failure{}
}

// Findings groups the results in a state by check.
func (r *Report) Findings(s State) []Finding {
	var out []Finding
	at := map[*Check]int{}
	for _, res := range r.Of(s) {
		i, known := at[res.Check]
		if !known {
			i = len(out)
			at[res.Check] = i
			out = append(out, Finding{Check: res.Check})
		}
		out[i].Results = append(out[i].Results, res)
	}
	return out
}

// A RouteRow is a route of the table with what was found on it.
type RouteRow struct {
	Method, Path, Op, Table string
	Counts
	Calls       int
	Median, Max time.Duration
}

// Routes that are part of the profiles, with their results and times.
func (r *Report) Routes() []RouteRow {
	times := map[string][]time.Duration{}
	for _, t := range r.Calls {
		times[t.Op] = append(times[t.Op], t.Took)
	}
	var out []RouteRow
	for _, route := range oneroster.V1p1.Routes {
		row := RouteRow{Method: route.Method, Path: route.Path, Op: route.Op, Table: route.Table}
		for _, res := range r.Results {
			if res.Target == target(&route) {
				row.add(res.State)
			}
		}
		ts := times[route.Op]
		sort.Slice(ts, func(i, j int) bool { return ts[i] < ts[j] })
		if row.Calls = len(ts); row.Calls > 0 {
			row.Median, row.Max = ts[len(ts)/2], ts[len(ts)-1]
		}
		if row.Calls > 0 || row.Counts != (Counts{}) {
			out = append(out, row)
		}
	}
	return out
}

// JSON is the report as data for programs.
func (r *Report) JSON() map[string]any {
	c := r.Counts()
	results := []map[string]any{}
	for _, res := range r.Results {
		m := map[string]any{"check": res.Check.ID, "area": res.Check.Area(), "target": res.Target,
			"state": res.State.String()}
		if res.State != Passed {
			m["title"], m["rule"], m["fix"], m["advice"] = res.Check.Title, res.Check.Rule, res.Check.Fix,
				res.Check.Advice
		}
		if res.Lacks != "" {
			m["lacks"] = res.Lacks
		}
		if res.Because != nil {
			m["because"] = res.Because.ID
		}
		if len(res.Failures) > 0 {
			var failures []map[string]any
			for _, f := range res.Failures {
				failures = append(failures, map[string]any{"text": f.Text, "request": f.Request,
					"status": f.Status, "headers": f.Headers, "body": f.Body})
			}
			m["failures"], m["more"] = failures, res.More
		}
		results = append(results, m)
	}
	routes := []map[string]any{}
	for _, row := range r.Routes() {
		routes = append(routes, map[string]any{"method": row.Method, "path": row.Path, "operation": row.Op,
			"passed": row.Passed, "failed": row.Failed, "advice": row.Advice,
			"notChecked": row.Unchecked, "calls": row.Calls, "medianMs": ms(row.Median),
			"maxMs": ms(row.Max)})
	}
	causes := []map[string]any{}
	for _, cause := range r.Causes() {
		f := cause.first()
		causes = append(causes, map[string]any{"cause": cause.Check.ID, "title": cause.Title(),
			"harm": cause.Harms(), "loses": cause.Loses(), "paths": cause.paths(), "text": f.Text,
			"request": f.Request, "status": f.Status, "body": f.Body, "rule": cause.Check.Rule,
			"fix": cause.Fix(), "hang": len(cause.Hang)})
	}
	return map[string]any{"url": r.URL, "version": r.Version, "command": r.Command, "personal": r.Personal,
		"profiles": r.Profiles, "write": r.Write, "causes": causes,
		"began": r.Began.Format(time.RFC3339), "seconds": r.Took.Seconds(),
		"passed": c.Passed, "failed": c.Failed, "advice": c.Advice, "notChecked": c.Unchecked,
		"ok": c.Failed == 0 && !r.Broken, "brokenOff": r.Broken, "rows": r.Rows, "notes": r.Notes,
		"results": results, "routes": routes}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// junit is the format that build servers read.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Skipped *junitSkipped `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

// WriteJUnit writes the report as JUnit XML: a suite for each area. Advice is no
// failure there either.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: r.Verdict()}
	for _, area := range r.Areas() {
		s := junitSuite{Name: area.Area}
		for _, res := range r.Results {
			if res.Check.Area() != area.Area {
				continue
			}
			c := junitCase{Class: area.Area, Name: strings.TrimSpace(res.Check.ID + " " + res.Target)}
			s.Tests++
			switch res.State {
			case Failed:
				s.Failures++
				c.Failure = &junitFailure{Message: clean(res.Check.Title), Text: clean(describe(res))}
			case Unchecked:
				s.Skipped++
				c.Skipped = &junitSkipped{Message: clean(res.Lacks)}
			case Advised:
				c.Out = clean("advice: " + describe(res))
			}
			s.Cases = append(s.Cases, c)
		}
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	return enc.Encode(all)
}

// clean leaves out what XML 1.0 cannot hold.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == 0xFFFE || c == 0xFFFF {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "�"))
}

// describe writes a failed result as paragraphs: each failure with its
// request, then whose rule, then what to change.
func describe(res Result) string {
	var b strings.Builder
	for _, f := range res.Failures {
		fmt.Fprintln(&b, f.Text)
		f.write(&b, "  ")
	}
	if res.More > 0 {
		fmt.Fprintf(&b, "and %d more like it\n", res.More)
	}
	fmt.Fprintf(&b, "  rule    %s\n  change  %s\n", res.Check.Rule, res.Check.Fix)
	return b.String()
}

// write tells what was asked, and what came.
func (f Failure) write(w io.Writer, indent string) {
	if f.Request != "" {
		fmt.Fprintf(w, "%sasked   %s\n", indent, f.Request)
	}
	if f.Status != 0 {
		fmt.Fprintf(w, "%scame    %d %s\n", indent, f.Status, f.Body)
	}
	if f.Headers != "" {
		fmt.Fprintf(w, "%s        %s\n", indent, strings.ReplaceAll(f.Headers, "\n", "\n        "+indent))
	}
}
