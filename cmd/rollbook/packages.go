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

	"rollbook/internal/bulk"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// An importing is one run of the import verb.
type importing struct {
	*cobra.Command
	o        *opened
	p        *bulk.Package
	name     string // of the package
	opt      bulk.Options
	shrink   int // percent
	plan     bool
	asJSON   bool
	problems string // table or csv
}

func importCommand() *cobra.Command {
	in := &importing{}
	encoding, fresh := "", false
	cmd := &cobra.Command{
		Use:   "import PACKAGE",
		Short: "Take in a CSV package, a zip or a folder: OneRoster 1.1, School Data Sync v2.1 or v1",
		Long: `Take in a CSV package, a zip or a folder: OneRoster 1.1 or 1.0, School Data Sync
v2.1 or v1. docs/import.md says what is taken, mended, noted and refused.

--plan tells what would become of it, and changes nothing.

Exit codes: 0 taken in, 1 refused and nothing changed, 2 the command line was
wrong, 4 taken in but for rows or values with problems (--skip-bad).`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.problems != "table" && in.problems != "csv" {
				return usageError{fmt.Errorf("--problems %q is neither table nor csv", in.problems)}
			}
			if in.shrink < 1 || in.shrink > 100 {
				return usageError{fmt.Errorf("--shrink %d: give a number from 1 to 100", in.shrink)}
			}
			if encoding != "" {
				if in.opt.Encoding, err = bulk.Encoding(encoding); err != nil {
					return usageError{fmt.Errorf("--encoding: %w", err)}
				}
			}
			if in.problems == "csv" {
				in.opt.Problems = 1 << 20
			}
			in.Command, in.name = cmd, filepath.Base(args[0])
			if in.p, err = bulk.Open(args[0], in.opt); err != nil {
				return err
			}
			defer in.p.Close()
			if in.o, err = openDistrict(cmd, fresh); err != nil {
				return err
			}
			defer in.o.Close()
			return in.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&in.opt.SkipBad, "skip-bad", false,
		"leave rows and values with problems as they are stored, and take in the rest")
	f.BoolVar(&fresh, "new", false, "make the database where it is missing")
	f.IntVar(&in.shrink, "shrink", 10, "how many in a hundred of a kind a bulk file may retire")
	f.StringVar(&encoding, "encoding", "",
		"what files are written in that are not UTF-8, such as windows-1252 or macintosh")
	f.BoolVar(&in.plan, "plan", false, "tell what would be changed, field by field, and change nothing")
	f.BoolVar(&in.asJSON, "json", false, "print JSON, problems included")
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
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "there is a district at %s\n", o.place)
			return err
		},
	}
}

// stored answers what the check of a package asks of the district.
func (o *opened) stored(ctx context.Context) bulk.Stored {
	return bulk.Stored{
		IDs: func(r *oneroster.Resource, yield func(id string) error) error {
			return o.ActiveIDs(ctx, r, yield)
		},
		Known: func(r *oneroster.Resource, id string) (bool, error) { return o.Known(ctx, r, id) },
		Count: func(r *oneroster.Resource, filter string) (int, error) {
			return o.CountActive(ctx, r, filter)
		},
	}
}

func (in *importing) run(ctx context.Context) error {
	meter := newMeter("checking")
	problems, err := in.p.Check(ctx, in.o.stored(ctx), meter.rows)
	meter.done()
	asCSV := in.problems == "csv" && problems.Total > 0
	if !asCSV {
		for _, n := range in.p.Notes {
			fmt.Fprintln(in.ErrOrStderr(), "note:", n)
		}
	}
	if err != nil {
		return err
	}
	if problems.Total > 0 && (!in.asJSON || !in.opt.SkipBad) {
		if in.asJSON {
			err = json.NewEncoder(in.OutOrStdout()).Encode(problems)
		} else {
			err = in.tell(problems)
		}
		if err != nil {
			return err
		}
	}
	if problems.Total > 0 && !in.opt.SkipBad {
		if asCSV {
			return exitCode(exitFailed)
		}
		return fmt.Errorf("%s: nothing was changed; correct them, or take in the rest with --skip-bad",
			plural(problems.Total, "problem"))
	}
	meter = newMeter("importing")
	rows := 0
	for _, n := range in.p.Rows {
		rows += n
	}
	meter.expect(rows)
	report, err := in.o.Import(store.By(ctx, "import "+in.name), in.p, store.ImportOptions{Progress: meter.rows, Shrink: in.shrink, Closed: true, Plan: in.plan})
	meter.done()
	if err == nil && !in.plan {
		err = in.o.prune(ctx)
	}
	var shrinks *store.ShrinkError
	if errors.As(err, &shrinks) {
		return fmt.Errorf("%w. Was the export whole? If it was, import with --shrink %d", err,
			(100*shrinks.Retired+shrinks.Active-1)/shrinks.Active)
	}
	if err != nil {
		return err
	}
	if err := in.report(report, problems); err != nil {
		return err
	}
	if problems.Total > 0 {
		if !asCSV {
			fmt.Fprintf(in.ErrOrStderr(), "%s: these rows and values were left as they are stored\n",
				plural(problems.Total, "problem"))
		}
		return exitCode(exitPartly)
	}
	return nil
}

// plural counts things: 1 problem, 2 problems.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// tell prints the problems for a person, or as a file for a spreadsheet.
func (in *importing) tell(problems bulk.Problems) error {
	if in.problems == "csv" {
		return problems.WriteCSV(in.ErrOrStderr())
	}
	out := newTable(in.ErrOrStderr())
	out.AppendHeader(table.Row{"where", "column", "what is wrong, and what to do"})
	for _, x := range problems.List {
		out.AppendRow(table.Row{fmt.Sprintf("%s:%d", x.File, x.Row), x.Column, x.Text})
	}
	out.Render()
	if more := problems.Total - len(problems.List); more > 0 {
		fmt.Fprintf(in.ErrOrStderr(), "… and %d more; --problems csv lists all\n", more)
	}
	return nil
}

// report prints what became of the rows of each file: they were added, changed,
// the same or skipped; retired are records that a file lacks or deletes.
func (in *importing) report(report store.Report, problems bulk.Problems) error {
	counts, files := map[string]map[string]int{}, map[string]map[string]int{}
	out := newTable(in.OutOrStdout())
	out.AppendHeader(table.Row{"", "rows", "added", "changed", "same", "skipped", "retired"})
	for _, r := range oneroster.Resources() {
		if c, ok := report.Counts[r]; ok {
			rows, skipped := in.p.Rows[r], in.p.Skipped[r]
			counts[r.Plural] = map[string]int{"added": c.Added, "changed": c.Changed, "same": c.Same,
				"retired": c.Retired}
			files[r.Plural] = map[string]int{"rows": rows, "skipped": skipped}
			out.AppendRow(table.Row{r.Plural, rows, c.Added, c.Changed, c.Same, skipped, c.Retired})
		}
	}
	if in.asJSON {
		return json.NewEncoder(in.OutOrStdout()).Encode(map[string]any{"counts": counts, "files": files,
			"fields":           fieldsOf(report),
			"dateLastModified": report.Stamp, "problems": problems, "notes": in.p.Notes})
	}
	out.Render()
	if in.plan {
		fields := newTable(in.OutOrStdout())
		fields.AppendHeader(table.Row{"of records that stay", "have a value", "get one", "lose it",
			"have another"})
		for _, r := range oneroster.Resources() {
			for _, f := range report.Fields[r] {
				fields.AppendRow(table.Row{r.Plural + "." + f.Field, f.Before, f.Came, f.Went, f.Changed})
			}
		}
		if fields.Length() > 0 {
			fields.Render()
		}
	}
	in.losses(report)
	if in.plan {
		fmt.Fprintln(in.ErrOrStderr(), "this is what would be changed: nothing was")
	}
	return nil
}

// losses says aloud where a tenth of the records that had a value lose it, as where a
// column has another name than last night.
func (in *importing) losses(report store.Report) {
	for _, r := range oneroster.Resources() {
		for _, f := range report.Fields[r] {
			if f.Before >= 20 && 10*f.Went >= f.Before {
				fmt.Fprintf(in.ErrOrStderr(), "note: %d of %s lose %s\n", f.Went, plural(f.Before, r.Name),
					f.Field)
			}
		}
	}
}

// fieldsOf is what a program is told of them: resource and field to counts.
func fieldsOf(report store.Report) map[string]map[string]map[string]int {
	out := map[string]map[string]map[string]int{}
	for r, fields := range report.Fields {
		out[r.Plural] = map[string]map[string]int{}
		for _, f := range fields {
			out[r.Plural][f.Field] = map[string]int{"before": f.Before, "came": f.Came, "went": f.Went,
				"changed": f.Changed}
		}
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
			at, err := asOf(day)
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
