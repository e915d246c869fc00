package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/sds"
	"rollbook/internal/words"
)

// An sdsSync is one run of the verb.
type sdsSync struct {
	*cobra.Command
	connection
	sds.Options
	mirrorFile, results, directory string
	failOn                         string // errors, warnings or ""
	asJSON, history                bool
}

func sdsCommand() *cobra.Command {
	s := &sdsSync{}
	cmd := &cobra.Command{
		Use:   "sds URL",
		Short: "Pull a provider as School Data Sync does, judge what came, and say how the run went",
		Long: `Pulls the collections of the provider at URL as School Data Sync does: whole the
first time, by dateLastModified the next. A mirror keeps what came; what breaks a
rule of School Data Sync is in the result file. A run that was stopped goes on
where it was. docs/sync-sds.md tells the rules.

Exit codes: 0 the run completed, be it with errors or warnings in the data; 1 it
failed, --prove found a difference, or the data has what --fail-on names; 2 the
command line was wrong.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.Command = cmd
			if err := s.check(); err != nil {
				return err
			}
			return s.run(cmd.Context(), args[0])
		},
	}
	s.connection.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.mirrorFile, "mirror", "sds-mirror.db",
		"SQLite file that keeps what came; one for each provider")
	f.StringVar(&s.results, "results", "", "result file, CSV (default: sds-results.csv beside the mirror)")
	f.BoolVar(&s.Full, "full", false, "read everything, though a delta would do")
	f.BoolVar(&s.Classic, "classic", false, "read school by school, as School Data Sync (Classic) does")
	f.IntVar(&s.Limit, "limit", 5000, "rows of a page")
	f.IntVar(&s.Rows, "rows", 10_000_000,
		"rows of a collection that are read at most: what does not end is given up")
	f.BoolVar(&s.Courses, "courses", true, "read courses")
	f.BoolVar(&s.Demographics, "demographics", false, "read demographics")
	f.BoolVar(&s.Contacts, "contacts", false, "judge and count parents, guardians and relatives")
	f.IntVar(&s.Shrink, "shrink", 10,
		"percent that a collection may be smaller than before; 100 allows all but an empty one")
	f.StringVar(&s.directory, "directory", "",
		"CSV export of the users of Entra or Microsoft 365, to match people with")
	f.StringVar(&s.MatchStaff, "match-staff", "email", "how staff are matched: email or username")
	f.StringVar(&s.MatchStudents, "match-students", "email", "how students are matched: email or username")
	f.BoolVar(&s.CreateUsers, "create-users", false, "judge as if accounts were to be made, not only found")
	f.BoolVar(&s.Prove, "prove", false, "read everything anew and show that mirror and delta equal it")
	f.StringVar(&s.failOn, "fail-on", "", "exit with 1 where the data has errors, or warnings too")
	personalFlag(cmd, &s.Personal)
	f.BoolVar(&s.asJSON, "json", false, "print JSON")
	f.BoolVar(&s.history, "history", false, "print the last 14 runs of the mirror, and call nobody")
	return cmd
}

func (s *sdsSync) check() error {
	for flag, v := range map[string]string{"match-staff": s.MatchStaff, "match-students": s.MatchStudents} {
		if v != "email" && v != "username" {
			return usageError{fmt.Errorf("--%s %q is neither email nor username", flag, v)}
		}
	}
	switch {
	case s.Limit < 1:
		return usageError{fmt.Errorf("--limit %d: a page has at least one row", s.Limit)}
	case s.Rows < 1:
		return usageError{fmt.Errorf("--rows %d: give a number from 1 up", s.Rows)}
	case s.Shrink < 0 || s.Shrink > 100:
		return usageError{fmt.Errorf("--shrink %d is no percentage", s.Shrink)}
	case s.failOn != "" && s.failOn != "errors" && s.failOn != "warnings":
		return usageError{fmt.Errorf("--fail-on %q is neither errors nor warnings", s.failOn)}
	case s.Classic && s.Prove:
		return usageError{errors.New("--prove compares with a delta, and --classic makes none: leave one " +
			"of them out")}
	}
	if s.directory == "" {
		return nil
	}
	var err error
	if s.Directory, err = sds.ReadDirectory(s.directory); err != nil {
		return usageError{err}
	}
	return nil
}

func (s *sdsSync) run(ctx context.Context, url string) (err error) {
	if s.history {
		return s.tellHistory(ctx, url)
	}
	meter := newMeter("reading")
	s.Options.Note = func(text string) { meter.line(s.ErrOrStderr(), "note: "+plainly(text)) }
	s.Options.Progress = meter.phase
	if s.Provider, err = s.open(url); err != nil {
		return err
	}
	s.Provider.Note = veiled(s.Provider, s.Personal, s.Options.Note)
	if s.Mirror, err = mirror.Open(ctx, s.mirrorFile, url, s.way()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Mirror.Close()) }()
	if s.results == "" {
		s.results = filepath.Join(filepath.Dir(s.mirrorFile), "sds-results.csv")
	}
	results, err := sds.NewResults(s.results)
	if err != nil {
		return err
	}
	s.Found = results.Add
	report, err := sds.Run(ctx, s.Options)
	meter.done()
	if err == nil || report.Stopped != "" {
		err = results.Close()
	} else {
		err = errors.Join(err, results.Discard())
	}
	if err == nil {
		return errors.Join(s.tell(report), s.verdict(report))
	}
	if ctx.Err() != nil {
		s.Options.Note("the mirror holds no half of a pull, and the next run goes on from here")
		return context.Canceled
	}
	next := "the next run goes on from here"
	var contradiction *sds.Contradiction
	if errors.As(err, &contradiction) {
		next = "the next run reads that collection anew"
	}
	if !s.Personal {
		err = s.Provider.Veil().Error(err)
	}
	if s.asJSON {
		report.Error = err.Error()
		err = errors.Join(err, s.tell(report))
	}
	err = fmt.Errorf("the run failed: %w; the mirror holds no half of a pull, and %s", err, next)
	return elsewhere(ctx, s.Provider, err)
}

// way is how the mirror is read.
func (s *sdsSync) way() string {
	if s.Classic {
		return "classic"
	}
	return "current"
}

// verdict is the error that a report deserves.
func (s *sdsSync) verdict(r sds.Report) error {
	if r.Stopped != "" {
		return fmt.Errorf("the run was stopped: %s", r.Stopped)
	}
	if p := r.Proof; p != nil && len(p.Differences)+p.Unsettled > 0 {
		return fmt.Errorf("mirror and delta do not equal a full pull: %s",
			words.Count(len(p.Differences)+p.Unsettled, "difference"))
	}
	if c := r.Counts; s.failOn != "" && c.Errors > 0 || s.failOn == "warnings" && c.Warnings+c.ByTests > 0 {
		return fmt.Errorf("--fail-on %s: %s, %s, %s of Microsoft's tests alone", s.failOn,
			words.Count(c.Errors, "error"), words.Count(c.Warnings, "warning"), words.Count(c.ByTests, "finding"))
	}
	return nil
}

func (s *sdsSync) tell(r sds.Report) error {
	w := s.OutOrStdout()
	if s.asJSON {
		return json.NewEncoder(w).Encode(struct {
			sds.Report
			Results string `json:"results"`
		}{r, s.results})
	}
	out := newTable(w)
	out.AppendHeader(table.Row{"", "read", "rows", "added", "changed", "same", "retired"})
	for _, res := range oneroster.Resources() {
		if c, ok := r.Collections[res.Plural]; ok {
			how := "delta"
			if c.Full {
				how = "whole"
			}
			out.AppendRow(table.Row{res.Plural, how, c.Rows, c.Added, c.Changed, c.Same, c.Retired})
		}
	}
	out.Render()
	if r.Stopped == "" {
		s.tellCounts(r.Counts)
		tellCosts(w, r.Costs)
	}
	if p := r.Proof; p != nil {
		settled := ""
		if p.Settled > 0 {
			settled = fmt.Sprintf("; %s at first, and none at a second look", words.Count(p.Settled, "difference"))
		}
		fmt.Fprintf(w, "proof: %s read anew; %s%s\n", words.Count(p.Compared, "row"),
			words.Count(len(p.Differences)+p.Unsettled, "difference"), settled)
		for _, d := range p.Differences {
			fmt.Fprintln(w, " ", plainly(d.String()))
		}
		if p.Unsettled > 0 {
			fmt.Fprintf(w, "  … and %d more objects\n", p.Unsettled)
		}
	}
	_, err := fmt.Fprintf(w, "%s, %s, %.1f s; every finding is in %s\n", r.Kind, r.Status, r.Seconds,
		s.results)
	return err
}

func (s *sdsSync) tellCounts(c sds.Counts) {
	out := newTable(s.OutOrStdout())
	out.AppendHeader(table.Row{"School Data Sync would hold", ""})
	matched, unmatched := any(c.Matched), any(c.Unmatched)
	if s.Directory == nil {
		matched, unmatched = "not done", "not done"
	}
	out.AppendRows([]table.Row{{"organizations", c.Organizations}, {"people", c.People}, {"staff", c.Staff},
		{"students", c.Students}, {"contacts", c.Contacts},
		{"classes", c.Classes}, {"memberships", c.Memberships}, {"matched", matched},
		{"unmatched", unmatched}, {"errors (drop their record)", c.Errors},
		{"warnings (drop their value)", c.Warnings}})
	if c.ByTests > 0 {
		out.AppendRow(table.Row{"refused by Microsoft's tests alone", c.ByTests})
	}
	out.Render()
}

// mostCosts is how many rules a screen shows.
const mostCosts = 5

// tellCosts prints the rules that cost most: how often, what is lost, what to do.
func tellCosts(w io.Writer, costs []sds.Cost) {
	for i, c := range costs {
		if i == mostCosts {
			fmt.Fprintf(w, "… and %d more in the result file\n", len(costs)-i)
			break
		}
		what := c.Severity
		if c.ByTests {
			what = "tests"
		}
		often := words.Thousands(c.Count) + " times"
		if c.Count == 1 {
			often = "once"
		}
		fmt.Fprintf(w, "%s %s, %s: %s\n    lost: %s\n    do:   %s\n    e.g.  %s\n", c.Rule, what, often,
			c.Title, c.Loses, c.Fix, plainly(c.First))
	}
}

// shown is how many runs School Data Sync shows.
const shown = 14

func (s *sdsSync) tellHistory(ctx context.Context, url string) error {
	if _, err := os.Stat(s.mirrorFile); err != nil {
		return fmt.Errorf("there is no mirror yet: %w", err)
	}
	m, err := mirror.Open(ctx, s.mirrorFile, url, s.way())
	if err != nil {
		return err
	}
	defer m.Close()
	runs, err := m.Runs(ctx, shown)
	if err != nil {
		return err
	}
	if s.asJSON {
		return json.NewEncoder(s.OutOrStdout()).Encode(runs)
	}
	out := newTable(s.OutOrStdout())
	out.AppendHeader(table.Row{"began", "ended", "kind", "status", "people", "classes", "memberships",
		"errors", "warnings"})
	for _, r := range runs {
		var c sds.Counts
		if err := json.Unmarshal(r.Counts, &c); err != nil {
			return err
		}
		out.AppendRow(table.Row{r.Began, r.Ended, r.Kind, r.Status, c.People, c.Classes, c.Memberships,
			c.Errors, c.Warnings})
	}
	out.Render()
	return nil
}
