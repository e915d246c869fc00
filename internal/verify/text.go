package verify

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// WriteText writes the report for a terminal: whose it is; how many causes there are; each, the worst
// first, with what a school loses by it, what was asked, what came, whose rule it breaks, what
// to change, and what hangs on it; then advice, then what could not be checked, then the table
// by area and the sum.
func (r *Report) WriteText(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "%s on %s, by rollbook %s\n", r.URL, r.Began.Format(onDay), r.Version)
	if r.Command != "" {
		fmt.Fprintf(w, "  %s\n", r.Command)
	}
	fmt.Fprintln(w)
	causes := r.Causes()
	if len(causes) > 0 {
		fmt.Fprintf(w, "%s, the worst first:\n", plural(len(causes), "cause"))
	}
	for i, c := range causes {
		fmt.Fprintf(w, "%4d  %-14s  %s%s\n", i+1, c.Harms(), c.Check.ID, c.weight())
	}
	if len(causes) > 0 {
		fmt.Fprintln(w)
	}
	for i, c := range causes {
		writeCause(w, fmt.Sprintf("CAUSE %d", i+1), c, shown)
	}
	for _, c := range r.causes(Advised) {
		writeCause(w, "ADVICE", c, 1)
	}
	writeLacks(w, r.lacking())
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	fmt.Fprintln(w, areaHeader)
	for _, a := range r.Areas() {
		fmt.Fprintln(w, a)
	}
	fmt.Fprintf(w, "\n%s\n", r.Verdict())
	c := r.Counts()
	fmt.Fprintf(w, "Of results: %d passed, %d failed, %d advice, %d not checked; %s in %s", c.Passed, c.Failed,
		c.Advice, c.Unchecked, plural(len(r.Calls), "call"), r.Took.Round(100*time.Millisecond))
	if v := r.speed(); v != nil {
		fmt.Fprintf(w, ", half of them within %s, the slowest %s", rounded(v.Median), rounded(v.Slowest))
	}
	fmt.Fprintln(w)
	return w.Flush()
}

const onDay = "2 January 2006, 15:04 UTC"

func rounded(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}

// shown is on how many paths a cause is shown: the page and the JSON have all.
const shown = 3

// weight says on how many paths a cause shows, and what hangs on it.
func (c Cause) weight() string {
	text := " (" + onPaths(c.Results)
	if n := len(c.Hang); n > 0 {
		text += "; " + plural(n, "result") + " of other checks hang on it"
	}
	return text + ")"
}

func writeCause(w io.Writer, word string, c Cause, targets int) {
	f := c.Finding
	fmt.Fprintf(w, "%s  %s: %s\n", word, f.Check.ID, c.Title())
	if c.Harm != Wish {
		fmt.Fprintf(w, "        %s: %s\n", c.Harms(), c.Loses())
	}
	for i, res := range f.Results {
		if i == targets {
			fmt.Fprintf(w, "        likewise on %s\n", Finding{f.Check, f.Results[i:]}.Targets())
			break
		}
		failure := res.Failures[0]
		at := ""
		if res.Target != "" {
			at = res.Target + ": "
		}
		fmt.Fprintf(w, "        %s%s\n", at, failure.Text)
		failure.write(w, "          ")
		further := res.Failures[1:]
		for f.Check.Row != nil && len(further) > 0 { // an attribute each
			fmt.Fprintf(w, "        %s%s\n", at, further[0].Text)
			further = further[1:]
		}
		if more := len(further) + res.More; more > 0 {
			fmt.Fprintf(w, "          and %d more like it\n", more)
		}
	}
	fmt.Fprintf(w, "        rule    %s\n        change  %s\n", f.Check.Rule, c.Fix())
	if hang := (&Report{Results: c.Hang}).Findings(Unchecked); len(hang) > 0 {
		var ids []string
		for _, h := range hang {
			ids = append(ids, h.Check.ID)
		}
		fmt.Fprintf(w, "        not judged because of it: %s\n", few(ids))
	}
	fmt.Fprintln(w)
}

// lacking is what was not checked for what the data lacks, and for no cause.
func (r *Report) lacking() []Result {
	return slices.DeleteFunc(r.Of(Unchecked), func(res Result) bool { return res.Because != nil })
}

// writeLacks tells what the data lacks, each reason once with its checks and
// paths.
func writeLacks(w io.Writer, results []Result) {
	if len(results) == 0 {
		return
	}
	fmt.Fprintln(w, "NOT CHECKED, for what the data lacks:")
	var order []string
	checks, targets := map[string][]string{}, map[string][]string{}
	for _, res := range results {
		if checks[res.Lacks] == nil {
			order = append(order, res.Lacks)
		}
		if !slices.Contains(checks[res.Lacks], res.Check.ID) {
			checks[res.Lacks] = append(checks[res.Lacks], res.Check.ID)
		}
		if res.Target != "" && !slices.Contains(targets[res.Lacks], res.Target) {
			targets[res.Lacks] = append(targets[res.Lacks], res.Target)
		}
	}
	for _, why := range order {
		fmt.Fprintf(w, "        %s: %s", few(checks[why]), why)
		if len(targets[why]) > 0 {
			fmt.Fprintf(w, " (%s)", few(targets[why]))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// few lists the first of many.
func few(items []string) string {
	if len(items) > 6 {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:6], ", "), len(items)-6)
	}
	return strings.Join(items, ", ")
}

// areaHeader is the head of the table by area, whose rows are AreaCount.String.
var areaHeader = fmt.Sprintf("%-18s %8s %8s %8s %12s", "", "passed", "failed", "advice", "not checked")

func (a AreaCount) String() string {
	return fmt.Sprintf("%-18s %8d %8d %8d %12d", a.Area, a.Passed, a.Failed, a.Advice, a.Unchecked)
}
