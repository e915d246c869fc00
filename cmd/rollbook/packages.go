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
	skipBad  bool
	asJSON   bool
	problems string // table or csv
}

func importCommand() *cobra.Command {
	in := &importing{}
	cmd := &cobra.Command{
		Use:   "import PACKAGE",
		Short: "Take in a CSV package, a zip or a folder: OneRoster 1.1, School Data Sync v2.1 or v1",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) (err error) {
			if in.problems != "table" && in.problems != "csv" {
				return usageError{fmt.Errorf("--problems %q is neither table nor csv", in.problems)}
			}
			in.Command, in.o = cmd, o
			if in.p, err = bulk.Open(args[0], in.skipBad); err != nil {
				return err
			}
			defer in.p.Close()
			return in.run(cmd.Context())
		}),
	}
	cmd.Flags().BoolVar(&in.skipBad, "skip-bad", false, "leave rows with problems as they are stored, and take in the rest")
	cmd.Flags().BoolVar(&in.asJSON, "json", false, "print JSON, problems included")
	cmd.Flags().StringVar(&in.problems, "problems", "table", "how problems are printed on the error output: table or csv")
	return cmd
}

func (in *importing) run(ctx context.Context) error {
	known := func(r *oneroster.Resource, id string) (bool, error) { return in.o.Known(ctx, r, id) }
	meter := newMeter("checking")
	problems, err := in.p.Check(ctx, known, meter.rows)
	meter.done()
	if err != nil {
		return err
	}
	for _, n := range in.p.Notes {
		fmt.Fprintln(in.ErrOrStderr(), "note:", n)
	}
	if problems.Total > 0 && !in.skipBad {
		if in.asJSON {
			err = json.NewEncoder(in.OutOrStdout()).Encode(problems)
		} else {
			err = in.tell(problems)
		}
		return errors.Join(err, fmt.Errorf("%d problems: nothing was changed; correct them, or take in the rest with --skip-bad", problems.Total))
	}
	if problems.Total > 0 {
		if !in.asJSON {
			if err := in.tell(problems); err != nil {
				return err
			}
		}
		fmt.Fprintf(in.ErrOrStderr(), "%d problems: their rows are left out, and what is stored of them stays\n", problems.Total)
	}
	meter = newMeter("importing")
	meter.expect(in.p.Rows)
	report, err := in.o.Import(ctx, in.p, store.ImportOptions{Progress: meter.rows})
	meter.done()
	if err != nil {
		return err
	}
	return tellReport(in.OutOrStdout(), report, problems, in.asJSON)
}

// tell prints the problems for a person, or as a file for a spreadsheet.
func (in *importing) tell(problems bulk.Problems) error {
	if in.problems == "csv" {
		return problems.WriteCSV(in.ErrOrStderr())
	}
	out := table.NewWriter()
	out.SetOutputMirror(in.ErrOrStderr())
	out.AppendHeader(table.Row{"where", "column", "what is wrong, and what to do"})
	for _, x := range problems.List {
		out.AppendRow(table.Row{fmt.Sprintf("%s:%d", x.File, x.Row), x.Column, x.Text})
	}
	out.Render()
	if more := problems.Total - len(problems.List); more > 0 {
		fmt.Fprintf(in.ErrOrStderr(), "… and %d more\n", more)
	}
	return nil
}

func tellReport(w io.Writer, report store.Report, problems bulk.Problems, asJSON bool) error {
	counts := map[string]map[string]int{}
	out := table.NewWriter()
	out.SetOutputMirror(w)
	out.AppendHeader(table.Row{"", "added", "changed", "same", "retired"})
	for _, r := range oneroster.Resources() {
		if c, ok := report.Counts[r]; ok {
			counts[r.Plural] = map[string]int{"added": c.Added, "changed": c.Changed, "same": c.Same, "retired": c.Retired}
			out.AppendRow(table.Row{r.Plural, c.Added, c.Changed, c.Same, c.Retired})
		}
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"counts": counts, "dateLastModified": report.Stamp, "problems": problems})
	}
	out.Render()
	return nil
}

func exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export FILE.zip",
		Short: "Write what is stored as a OneRoster 1.1 CSV package",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			return o.Snapshot(cmd.Context(), func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
				return writePackage(args[0], each)
			})
		}),
	}
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
