package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/bulk"
	"rollbook/internal/host"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// An importing is one run of the import verb.
type importing struct {
	*host.Import
	cmd      *cobra.Command
	shrink   int    // percent; 0 is as the district is set
	on       string // day to rehearse
	asJSON   bool
	problems string // table or csv
}

func importCommand() *cobra.Command {
	in := &importing{Import: &host.Import{}}
	fresh := false
	cmd := &cobra.Command{
		Use:   "import PACKAGE",
		Short: "Take in a CSV package, a zip or a folder: OneRoster 1.1, School Data Sync v2.1 or v1",
		Long: `Take in a CSV package, a zip or a folder: OneRoster 1.1 or 1.0, School Data Sync
v2.1 or v1. docs/import.md says what is taken, mended, noted and refused.

What it would do to readers is looked at first. Where that looks like a mistake (half
of the pupils gone, e-mail addresses lost, ids that name other people) it is held: the
district stays as it is until "rollbook publish N" or "rollbook discard N".
docs/nightly.md tells how to import each night, and what each message means.

--plan tells what would become of it, and changes nothing.

Exit codes: 0 published, 1 refused and nothing changed, 2 the command line was
wrong, 3 held and nothing changed, 4 published but for rows or values with problems
(--skip-bad).`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.problems != "table" && in.problems != "csv" {
				return usageError{fmt.Errorf("--problems %q is neither table nor csv", in.problems)}
			}
			if cmd.Flags().Changed("shrink") && (in.shrink < 1 || in.shrink > 100) {
				return usageError{fmt.Errorf("--shrink %d: give a number from 1 to 100", in.shrink)}
			}
			if in.on != "" && !in.Only {
				return usageError{errors.New("--on rehearses a day: give --plan as well")}
			}
			if in.Encoding != "" {
				if in.Options.Encoding, err = bulk.Encoding(in.Encoding); err != nil {
					return usageError{fmt.Errorf("--encoding: %w", err)}
				}
			}
			if in.problems == "csv" {
				in.How.Problems = 1 << 20
			}
			in.cmd, in.Path = cmd, args[0]
			if _, err := os.Stat(in.Path); err != nil {
				return err
			}
			o, err := openDistrict(cmd, fresh)
			if err != nil {
				return err
			}
			defer o.Close()
			in.District = o.District
			if in.In, err = o.Intake(cmd.Context(), whoami()); err != nil {
				return err
			}
			if in.on != "" {
				if in.In.Today, err = time.ParseInLocation(oneroster.DateLayout, in.on,
					in.In.Zone); err != nil {
					return usageError{fmt.Errorf("--on %q: write a day such as 2027-08-01", in.on)}
				}
			}
			if in.shrink > 0 {
				in.In.Limits["guard-loss"] = in.shrink
			}
			return in.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&in.How.SkipBad, "skip-bad", false,
		"leave rows and values with problems as they are stored, and take in the rest")
	f.BoolVar(&fresh, "new", false, "make the database where it is missing")
	f.IntVar(&in.shrink, "shrink", 0,
		"how many in a hundred of a kind may be retired this time, instead of the setting guard-loss")
	f.StringVar(&in.Encoding, "encoding", "",
		"what files are written in that are not UTF-8, such as windows-1252 or macintosh")
	f.BoolVar(&in.Only, "plan", false, "tell what would be changed, field by field, and change nothing")
	f.StringVar(&in.on, "on", "", "with --plan: judge it as on a day such as 2027-08-01")
	jsonFlag(cmd, &in.asJSON, "print JSON, problems included")
	f.StringVar(&in.problems, "problems", "table",
		"how problems are printed on the error output: table or csv")
	return cmd
}

func initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make an empty district at --db",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := openDistrict(cmd, true)
			if err != nil {
				return err
			}
			defer o.Close()
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "there is a district at %s\n", o.Place)
			return err
		},
	}
}

func (in *importing) run(ctx context.Context) error {
	// Most of an import's memory is rows that go at once: collected half as often, it takes a
	// seventh less CPU, and up to a fifth more memory.
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(200))
	}
	checking, planning := newMeter("checking"), newMeter("importing")
	in.How.Progress, in.In.Progress = checking.rows, planning.phase
	in.Looked = func(err error) error {
		checking.done()
		*planning = *newMeter("importing") // its time begins now
		return in.looked(err)
	}
	err := in.Run(ctx)
	planning.done()
	defer in.Close()
	if err != nil {
		return in.failed(err)
	}
	if in.Untidy != nil {
		note(in.Untidy.Error())
	}
	if err := in.report(); err != nil {
		return err
	}
	switch {
	case in.Held:
		return exitCode(exitHeld)
	case in.Problems.Total > 0:
		if in.problems == "table" {
			fmt.Fprintf(in.cmd.ErrOrStderr(), "%s: these rows and values were left as they are stored\n",
				plural(in.Problems.Total, "problem"))
		}
		return exitCode(exitPartly)
	}
	return nil
}

// failed tells on why a package cannot be used.
func (in *importing) failed(why error) error {
	members := map[string]any{}
	if in.Document.Problems != nil {
		members["problems"] = in.Document.Problems
	}
	if in.Package != nil {
		members["notes"] = in.notes()
	}
	if in.Document.Error != "" {
		members["publication"], members["state"] = in.ID, store.StateRefused
		if in.Kept && !in.asJSON && in.problems != "csv" && in.Document.Error != host.Interrupted {
			fmt.Fprintf(in.cmd.ErrOrStderr(), "note: the package is kept as publication %d, refused\n", in.ID)
		}
	}
	if errors.As(why, new(*host.ProblemsError)) && in.problems == "csv" && !in.asJSON {
		why = exitCode(exitFailed) // all has been said
	}
	return failure{why, members}
}

// looked tells what the check of the package has found.
func (in *importing) looked(err error) error {
	if in.problems != "csv" || in.Problems.Total == 0 {
		for _, n := range in.notes() {
			fmt.Fprintln(in.cmd.ErrOrStderr(), "note:", plainly(n))
		}
	}
	switch {
	case err != nil || in.Problems.Total == 0 || in.asJSON:
		return nil
	case in.problems == "csv":
		return in.Problems.WriteCSV(in.cmd.ErrOrStderr())
	}
	tabulate(in.cmd.ErrOrStderr(), in.Problems)
	return nil
}

// notes are what was noticed while the package was read, and checked.
func (in *importing) notes() []string {
	if in.Checked == nil {
		return in.Package.Notes
	}
	return slices.Concat(in.Package.Notes, in.Checked.Notes)
}

// tidy forgets what is old; that it cannot is noted, for what was published before is published.
func (o *opened) tidy(cmd *cobra.Command) {
	if err := o.Tidy(cmd.Context()); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", err)
	}
}

// plural counts things: 1 problem, 2 problems.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func tabulate(w io.Writer, problems intake.Problems) {
	out := newTable(w)
	out.AppendHeader(table.Row{"where", "column", "what is wrong, and what to do"})
	for _, x := range problems.Lacks {
		out.AppendRow(table.Row{fmt.Sprintf("%s:%d", x.File, x.Row), x.Column, x.Text})
	}
	told := problems.Told()
	for _, x := range told {
		out.AppendRow(table.Row{fmt.Sprintf("%s:%d", x.File, x.Row), x.Column, x.Text})
	}
	out.Render()
	more := problems.Total - len(told)
	for _, x := range problems.Lacks {
		more -= x.References
	}
	if more > 0 {
		fmt.Fprintf(w, "… and %d more; rollbook import --problems csv lists all\n", more)
	} else if len(problems.Lacks) > 0 {
		fmt.Fprintln(w, "rollbook import --problems csv lists each row")
	}
}

// statePlanned is told of a plan that was only looked at.
const statePlanned store.State = "planned"

// report prints what became of the rows of each file, or would: they were added,
// changed, the same or skipped; retired are records that a file lacks or deletes, and
// what went with them.
func (in *importing) report() error {
	doc := in.Document
	files := map[string]map[string]int{}
	out := newTable(in.cmd.OutOrStdout())
	out.AppendHeader(table.Row{"", "rows", "added", "changed", "same", "skipped", "retired"})
	for _, r := range oneroster.Resources() {
		if c, ok := doc.Counts[r.Plural]; ok {
			rows, skipped := in.Checked.Rows[r], in.Checked.Skipped[r]
			files[r.Plural] = map[string]int{"rows": rows, "skipped": skipped}
			out.AppendRow(table.Row{r.Plural, rows, c["added"], c["changed"], c["same"], skipped,
				c["retired"]})
		}
	}
	state := store.StatePublished
	switch {
	case in.Only:
		state = statePlanned
	case in.Held:
		state = store.StateHeld
	}
	if in.asJSON {
		out := outcomeOf(in.ID, state, doc, in.Stamp)
		out["files"], out["problems"], out["notes"] = files, in.Problems, in.notes()
		return json.NewEncoder(in.cmd.OutOrStdout()).Encode(out)
	}
	out.Render()
	if in.Only || in.Held {
		tellFields(in.cmd.OutOrStdout(), doc)
	}
	tellWorthALook(in.cmd.ErrOrStderr(), doc)
	switch {
	case in.Held:
		tellHeld(in.cmd.ErrOrStderr(), doc, in.ID)
	case in.Only && len(doc.Objections) > 0:
		tellObjections(in.cmd.ErrOrStderr(), doc, "this would be held")
		fallthrough
	case in.Only:
		fmt.Fprintln(in.cmd.ErrOrStderr(), "this is what would be changed: nothing was")
	}
	return nil
}

// fieldsOf is what a program is told of them: resource and field to counts.
func fieldsOf(doc intake.Document) map[string]map[string]map[string]int {
	out := map[string]map[string]map[string]int{}
	for _, f := range doc.Fields {
		if out[f.Resource] == nil {
			out[f.Resource] = map[string]map[string]int{}
		}
		out[f.Resource][f.Field] = map[string]int{"before": f.Before, "came": f.Came, "went": f.Went,
			"changed": f.Changed}
	}
	return out
}

func exportCommand() *cobra.Command {
	var day string
	cmd := &cobra.Command{
		Use:   "export FILE.zip",
		Short: "Write what is stored, or was, as a OneRoster 1.1 CSV package",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			write := func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
				return sayPackage(cmd.ErrOrStderr(), args[0], each)
			}
			if day == "" {
				return o.Snapshot(cmd.Context(), write)
			}
			at, err := momentOf("--as-of", day)
			if err != nil {
				return err
			}
			return o.AsOf(cmd.Context(), at, write)
		}),
	}
	cmd.Flags().StringVar(&day, "as-of", "",
		"the district as it was at the end of a day such as 2026-10-01, or at a time")
	return cmd
}

// sayPackage writes a package and says what it wrote.
func sayPackage(w io.Writer, name string, each bulk.Each) error {
	n := 0
	err := writePackage(name, func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
		return each(r, func(rec oneroster.Record) error {
			n++
			return yield(rec)
		})
	})
	if err == nil {
		_, err = fmt.Fprintf(w, "%s in %s\n", plural(n, "record"), name)
	}
	return err
}

func writePackage(name string, each bulk.Each) error {
	return writeWhole(name, func(w io.Writer) error {
		_, err := bulk.Write(w, each)
		return err
	})
}

// writeWhole writes a file beside its final place and moves it there when it is
// whole.
func writeWhole(name string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".package-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err = errors.Join(write(tmp), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
