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
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// A package tells the check of its files.
var _ intake.Package = (*bulk.Package)(nil)

// An importing is one run of the import verb.
type importing struct {
	*cobra.Command
	o        *opened
	in       *intake.Intake
	p        *bulk.Package
	checked  *intake.Checked
	path     string // of the package
	id       int64  // of the publication; 0 with --plan
	opt      bulk.Options
	how      intake.CheckOptions
	encoding string
	shrink   int // percent; 0 is as the district is set
	plan     bool
	on       string // day to rehearse
	asJSON   bool
	problems string // table or csv
	kept     bool   // the package, whole
}

func importCommand() *cobra.Command {
	in := &importing{}
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
			if in.on != "" && !in.plan {
				return usageError{errors.New("--on rehearses a day: give --plan as well")}
			}
			if in.encoding != "" {
				if in.opt.Encoding, err = bulk.Encoding(in.encoding); err != nil {
					return usageError{fmt.Errorf("--encoding: %w", err)}
				}
			}
			if in.problems == "csv" {
				in.how.Problems = 1 << 20
			}
			in.Command, in.path = cmd, args[0]
			if _, err := os.Stat(in.path); err != nil {
				return err
			}
			if in.o, err = openDistrict(cmd, fresh); err != nil {
				return err
			}
			defer in.o.Close()
			if in.in, err = in.o.intake(cmd.Context()); err != nil {
				return err
			}
			if in.on != "" {
				if in.in.Today, err = time.ParseInLocation(oneroster.DateLayout, in.on,
					in.in.Zone); err != nil {
					return usageError{fmt.Errorf("--on %q: write a day such as 2027-08-01", in.on)}
				}
			}
			if in.shrink > 0 {
				in.in.Limits["guard-loss"] = in.shrink
			}
			return in.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&in.how.SkipBad, "skip-bad", false,
		"leave rows and values with problems as they are stored, and take in the rest")
	f.BoolVar(&fresh, "new", false, "make the database where it is missing")
	f.IntVar(&in.shrink, "shrink", 0,
		"how many in a hundred of a kind may be retired this time, instead of the setting guard-loss")
	f.StringVar(&in.encoding, "encoding", "",
		"what files are written in that are not UTF-8, such as windows-1252 or macintosh")
	f.BoolVar(&in.plan, "plan", false, "tell what would be changed, field by field, and change nothing")
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
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "there is a district at %s\n", o.place)
			return err
		},
	}
}

// stored answers what the check of a package asks of the district.
func (o *opened) stored(ctx context.Context) intake.Stored {
	return intake.Stored{
		IDs: func(r *oneroster.Resource, yield func(id string) error) error {
			return o.ActiveIDs(ctx, r, yield)
		},
		Known: func(r *oneroster.Resource, id string) (bool, error) { return o.Known(ctx, r, id) },
		Count: func(r *oneroster.Resource, filter string) (int, error) {
			return o.CountActive(ctx, r, filter)
		},
	}
}

func (in *importing) run(ctx context.Context) (err error) {
	// Most of an import's memory is rows that go at once: collected half as often, it takes a
	// seventh less CPU, and up to a fifth more memory.
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(200))
	}
	if !in.plan {
		if in.id, err = in.o.arrive(ctx, in.path); err != nil {
			return in.refuse(ctx, in.id, intake.Document{}, err)
		}
		in.kept = true
	}
	id := in.id
	offer, problems, err := in.check(ctx)
	if in.p != nil {
		defer in.p.Close()
	}
	if in.checked != nil {
		defer in.checked.Close()
	}
	if err != nil {
		return in.refuse(ctx, id, offer.Found, err)
	}
	meter := newMeter("importing")
	in.in.Progress = meter.phase
	var doc intake.Document
	held, stamp := false, ""
	if in.plan {
		doc, err = in.in.Plan(ctx, offer, nil)
	} else {
		doc, held, stamp, err = in.in.Offer(ctx, id, offer)
	}
	meter.done()
	if err != nil {
		return in.refuse(ctx, id, doc, err)
	}
	if !in.plan {
		in.o.prune(ctx, in.ErrOrStderr())
	}
	if err := in.report(doc, problems, id, held, stamp); err != nil {
		return err
	}
	switch {
	case held:
		return exitCode(exitHeld)
	case problems.Total > 0:
		if in.problems == "table" {
			fmt.Fprintf(in.ErrOrStderr(), "%s: these rows and values were left as they are stored\n",
				plural(problems.Total, "problem"))
		}
		return exitCode(exitPartly)
	}
	return nil
}

// refuse notes why a package cannot be used, and tells it on.
func (in *importing) refuse(ctx context.Context, id int64, doc intake.Document, why error) error {
	out := failure{why, map[string]any{}}
	if doc.Problems != nil {
		out.members["problems"] = doc.Problems
	}
	if in.p != nil {
		out.members["notes"] = in.notes()
	}
	if id == 0 || errors.As(why, new(*store.StateError)) { // another one was published meanwhile
		return out
	}
	out.members["publication"], out.members["state"] = id, store.StateRefused
	if doc.Error = reasonOf(ctx, why); in.kept && !in.asJSON && in.problems != "csv" && doc.Error != interrupted {
		fmt.Fprintf(in.ErrOrStderr(), "note: the package is kept as publication %d, refused\n", id)
	}
	out.error = errors.Join(why, in.in.Refuse(ctx, id, doc))
	return out
}

// interrupted is why a publication was given up whose process was told to end.
const interrupted = "it was interrupted"

// reasonOf is an error as it is kept with a publication.
func reasonOf(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil:
		return interrupted
	case errors.As(err, new(exitCode)):
		return "it has problems"
	}
	return err.Error()
}

// check reads the package, and makes an offer of it.
func (in *importing) check(ctx context.Context) (offer intake.Offer, problems intake.Problems, err error) {
	offer.Found.Reading = map[string]string{"skip-bad": fmt.Sprint(in.how.SkipBad), "encoding": in.encoding}
	if in.p, err = bulk.Open(in.path, in.opt); err != nil {
		return offer, problems, err
	}
	meter := newMeter("checking")
	in.how.Progress = meter.rows
	in.checked, err = intake.Check(ctx, in.p, in.o.stored(ctx), in.how)
	meter.done()
	if problems = in.checked.Problems; in.problems != "csv" || problems.Total == 0 {
		for _, n := range in.notes() {
			fmt.Fprintln(in.ErrOrStderr(), "note:", plainly(n))
		}
	}
	if err != nil {
		return offer, problems, err
	}
	offerOf(&offer, in.p, in.checked)
	offer.Cause = cause(in.id, filepath.Base(in.path))
	if problems.Total > 0 {
		offer.Found.Problems, err = json.Marshal(problems)
	}
	if err == nil && problems.Total > 0 && !in.asJSON {
		err = in.tell(problems)
	}
	if err == nil && problems.Total > 0 && !in.how.SkipBad {
		if in.problems == "csv" && !in.asJSON {
			return offer, problems, exitCode(exitFailed)
		}
		err = fmt.Errorf("%s: nothing was changed; correct them, or take in the rest with --skip-bad",
			plural(problems.Total, "problem"))
	}
	return offer, problems, err
}

// offerOf fills in what is offered of a package.
func offerOf(offer *intake.Offer, p *bulk.Package, checked *intake.Checked) {
	for _, n := range checked.Rows {
		offer.Rows += n
	}
	offer.Source, offer.Partial, offer.Format = checked, p.Tells(), p.Format()
	offer.Columns, offer.Unread = p.Columns(checked.Modes())
}

// notes are what was noticed while the package was read, and checked.
func (in *importing) notes() []string {
	if in.checked == nil {
		return in.p.Notes
	}
	return slices.Concat(in.p.Notes, in.checked.Notes)
}

// plural counts things: 1 problem, 2 problems.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// tell prints the problems for a person, or as a file for a spreadsheet.
func (in *importing) tell(problems intake.Problems) error {
	if in.problems == "csv" {
		return problems.WriteCSV(in.ErrOrStderr())
	}
	tabulate(in.ErrOrStderr(), problems)
	return nil
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
func (in *importing) report(doc intake.Document, problems intake.Problems, id int64, held bool,
	stamp string) error {
	files := map[string]map[string]int{}
	out := newTable(in.OutOrStdout())
	out.AppendHeader(table.Row{"", "rows", "added", "changed", "same", "skipped", "retired"})
	for _, r := range oneroster.Resources() {
		if c, ok := doc.Counts[r.Plural]; ok {
			rows, skipped := in.checked.Rows[r], in.checked.Skipped[r]
			files[r.Plural] = map[string]int{"rows": rows, "skipped": skipped}
			out.AppendRow(table.Row{r.Plural, rows, c["added"], c["changed"], c["same"], skipped,
				c["retired"]})
		}
	}
	state := store.StatePublished
	switch {
	case in.plan:
		state = statePlanned
	case held:
		state = store.StateHeld
	}
	if in.asJSON {
		out := outcomeOf(id, state, doc, stamp)
		out["files"], out["problems"], out["notes"] = files, problems, in.notes()
		return json.NewEncoder(in.OutOrStdout()).Encode(out)
	}
	out.Render()
	if in.plan || held {
		tellFields(in.OutOrStdout(), doc)
	}
	tellWorthALook(in.ErrOrStderr(), doc)
	switch {
	case held:
		tellHeld(in.ErrOrStderr(), doc, id)
	case in.plan && len(doc.Objections) > 0:
		tellObjections(in.ErrOrStderr(), doc, "this would be held")
		fallthrough
	case in.plan:
		fmt.Fprintln(in.ErrOrStderr(), "this is what would be changed: nothing was")
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
