package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/gradesync"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

func syncGradesCommand() *cobra.Command {
	var at connection
	var opt gradesync.Options
	var clean, asJSON bool
	cmd := &cobra.Command{
		Use:   "grades URL",
		Short: "Write a teacher's grades as Grade Sync does, read them back, and say what became of each",
		Long: `Write a teacher's grades as Microsoft's Grade Sync does, read them back, and
say what became of each.

The grades are made up. The same options make the same ones: a second run
changes nothing, and --clean removes exactly what they made. URL is the base URL
of a provider, such as https://roster.example.org/ims/oneroster/v1p1.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := sound(opt, clean); err != nil {
				return usageError{err}
			}
			at.HTTP1 = true // as .NET's client does unless it is told otherwise
			p, err := at.open(args[0])
			if err != nil {
				return err
			}
			return syncGrades(cmd.Context(), cmd.OutOrStdout(), p, opt, clean, asJSON)
		},
	}
	at.identity(cmd)
	f := cmd.Flags()
	f.StringVar(&opt.Teacher, "teacher", "", "e-mail address or username of the teacher")
	f.StringVar(&opt.Class, "class", "", "sourcedId of one of her classes (default: her first active one)")
	f.StringVar(&opt.Group, "group", "", "sourcedId of a class group, whose classes are graded together")
	f.IntVar(&opt.Assignments, "assignments", 3,
		"how many assignments to write, each with a grade for every student")
	f.Int64Var(&opt.Seed, "seed", 1, "another seed, other ids and scores")
	f.BoolVar(&opt.Force, "force", false, "overwrite what is there, once")
	personalFlag(cmd, &opt.Personal)
	f.BoolVar(&clean, "clean", false, "remove what a run with the same options made, and nothing else")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// sound tells what is wrong with the options themselves.
func sound(opt gradesync.Options, clean bool) error {
	switch {
	case opt.Teacher == "":
		return errors.New("whose grades? give --teacher with an e-mail address or a username")
	case opt.Class != "" && opt.Group != "":
		return errors.New("--class and --group exclude each other")
	case clean && opt.Force:
		return errors.New("--clean and --force exclude each other")
	case opt.Assignments < 1 || opt.Assignments > 200:
		return fmt.Errorf("--assignments %d is not between 1 and 200", opt.Assignments)
	}
	return nil
}

func syncGrades(ctx context.Context, w io.Writer, p *provider.Provider, opt gradesync.Options, clean,
	asJSON bool) error {
	opt.Today = time.Now().Format(oneroster.DateLayout)
	meter := newMeter("gradebook")
	opt.Progress = func(done, total int) {
		meter.phase("gradebook", done, total)
	}
	do := gradesync.Sync
	if clean {
		do = gradesync.Clean
	}
	receipt, err := do(ctx, p, opt)
	meter.done()
	if !opt.Personal {
		err = p.Veil().Error(err, opt.Teacher)
	}
	if receipt == nil {
		return elsewhere(ctx, p, err)
	}
	if asJSON {
		err = errors.Join(err, json.NewEncoder(w).Encode(receipt))
	} else {
		tellGrades(w, receipt)
	}
	if n := receipt.Failures(); n > 0 && err == nil {
		err = fmt.Errorf("%d of the line items and results failed", n)
	}
	return err
}

// tellGrades prints the receipt for a person.
func tellGrades(w io.Writer, r *gradesync.Receipt) {
	fmt.Fprintf(w, "teacher         %s (%s)\n", plainly(r.Teacher.Name), plainly(r.Teacher.ID))
	if r.Chosen != "" {
		fmt.Fprintf(w, "class           %s\n", plainly(r.Chosen))
	}
	if r.GradingPeriod != "" {
		fmt.Fprintf(w, "grading period  %s\n", plainly(r.GradingPeriod))
	}
	for _, text := range r.Warnings {
		fmt.Fprintln(w, "warning:", plainly(text))
	}
	out := newTable(w)
	out.AppendHeader(table.Row{"assignment", "student", "score", "status"})
	for _, it := range r.Items {
		class := it.ClassTitle
		if class == "" {
			class = it.Class
		}
		out.AppendSeparator()
		out.AppendRow(table.Row{it.Title, "class " + class, "", it.Status})
		for _, g := range it.Grades {
			name := g.Student.Name
			if name == "" {
				name = g.Student.ID
			}
			out.AppendRow(table.Row{"", name, oneroster.FormatNumber(g.Score) + " of " +
				strconv.Itoa(it.Max), g.Status})
		}
	}
	out.Render()
	for _, it := range r.Items {
		tellNotes(w, it.Title+", the line item", it.Entry)
		for _, g := range it.Grades {
			tellNotes(w, fmt.Sprintf("%s, %s (%s)", it.Title, g.Student.Name, g.Student.ID), g.Entry)
		}
	}
	fmt.Fprintf(w, "line items: %s\nresults: %s\n", tally(r.Totals.Items), tally(r.Totals.Results))
	if r.Slowest.Call != "" {
		fmt.Fprintf(w, "slowest write: %.0f ms, %s\n", r.Slowest.Milliseconds, plainly(r.Slowest.Call))
	}
}

func tellNotes(w io.Writer, what string, e gradesync.Entry) {
	for _, n := range e.Notes {
		fmt.Fprintf(w, "%s: %s: %s\n", e.Status, plainly(what), plainly(n))
	}
}

// tally writes counts in a fixed order.
func tally(n map[gradesync.Status]int) string {
	var parts []string
	for _, s := range []gradesync.Status{gradesync.Created, gradesync.Unchanged, gradesync.Overwritten,
		gradesync.Removed, gradesync.Gone, gradesync.Failed} {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
