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
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
)

func importCommand() *cobra.Command {
	var skipBad, asJSON bool
	cmd := &cobra.Command{
		Use:   "import PACKAGE",
		Short: "Take in a CSV package, a zip or a folder: OneRoster 1.1, School Data Sync v2.1 or v1",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			p, err := bulk.Open(args[0], skipBad)
			if err != nil {
				return err
			}
			defer p.Close()
			problems, err := p.Check(cmd.Context(), func(r *oneroster.Resource, id string) (bool, error) { return o.Known(cmd.Context(), r, id) })
			if err != nil {
				return err
			}
			tellProblems(cmd, p, problems, asJSON)
			if problems.Total > 0 && skipBad {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d problems: their rows are left out, and what is stored of them stays\n", problems.Total)
			}
			if problems.Total > 0 && !skipBad {
				return fmt.Errorf("%d problems: nothing was changed; correct them, or take in the rest with --skip-bad", problems.Total)
			}
			report, err := o.Import(cmd.Context(), p, store.ImportOptions{})
			if err != nil {
				return err
			}
			return tellReport(cmd.OutOrStdout(), report, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&skipBad, "skip-bad", false, "leave out rows with problems and take in the rest")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func tellProblems(cmd *cobra.Command, p *bulk.Package, problems bulk.Problems, asJSON bool) {
	for _, n := range p.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", n)
	}
	if problems.Total == 0 {
		return
	}
	if asJSON {
		fmt.Fprintln(cmd.OutOrStdout(), string(problems.JSON()))
		return
	}
	for _, x := range problems.List {
		fmt.Fprintln(cmd.ErrOrStderr(), x)
	}
	if more := problems.Total - len(problems.List); more > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "… and %d more\n", more)
	}
}

func tellReport(w io.Writer, report store.Report, asJSON bool) error {
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
		return json.NewEncoder(w).Encode(map[string]any{"counts": counts, "dateLastModified": report.Stamp})
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

func sandboxCommand() *cobra.Command {
	var opt sandbox.Options
	cmd := &cobra.Command{
		Use:   "sandbox FILE.zip",
		Short: "Write a made-up district as a OneRoster 1.1 CSV package",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := sandbox.New(opt)
			return writePackage(args[0], func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
				return only(cmd.Context(), d, r, yield)
			})
		},
	}
	cmd.Flags().IntVar(&opt.Students, "students", 1000, "how many students to make up")
	cmd.Flags().Int64Var(&opt.Seed, "seed", 1, "another seed, other people")
	return cmd
}

// only reads the records of one resource out of a source.
func only(ctx context.Context, src oneroster.Source, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	return src.Records(ctx, func(row oneroster.Row) error {
		if row.Resource != r {
			return nil
		}
		return yield(row.Record)
	})
}

// writePackage writes a zip beside its final place and moves it there when it
// is whole.
func writePackage(name string, each bulk.Each) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".package-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = bulk.Write(tmp, each)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
