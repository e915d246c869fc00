package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/bench"
	"rollbook/internal/oneroster"
)

// A benchmark is one run of the bench verb.
type benchmark struct {
	connection
	opt    bench.Options
	asJSON bool
}

func benchCommand() *cobra.Command {
	b := &benchmark{}
	cmd := &cobra.Command{
		Use:   "bench URL",
		Short: "Measure what a OneRoster 1.1 provider, anybody's, costs who reads it",
		Long: `Bench reads a collection of a provider in every way that its readers do, one
request after the other over one connection: pages at the start, in the middle and
at the end, filtered and sorted, compressed; a filter that nobody has asked; one
object; what has changed; all of it. It prints the time that each took by this
machine's clock, and how many times the first page that was. It writes nothing.

  rollbook bench https://host/ims/oneroster/v1p1 --token-url https://host/token --client ID

It ends after two minutes or 400 requests, and says what it left out.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return b.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	b.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&b.opt.Collection, "collection", "enrollments", "the collection to read")
	f.IntSliceVar(&b.opt.Limits, "limits", []int{100, 5000}, "rows of a page; several with commas")
	f.IntVar(&b.opt.Rounds, "rounds", 5, "how often each thing is asked")
	f.IntVar(&b.opt.Requests, "requests", 400, "how many requests are made at most")
	f.DurationVar(&b.opt.Time, "time", 2*time.Minute, "after which time no further one is made")
	f.BoolVar(&b.asJSON, "json", false, "print the report as JSON; times in milliseconds")
	return cmd
}

func (b *benchmark) check() error {
	if !slices.ContainsFunc(oneroster.Resources(), func(r *oneroster.Resource) bool {
		return r.Plural == b.opt.Collection
	}) {
		return usageError{fmt.Errorf("--collection %q is none of the standard's: enrollments, users, …",
			b.opt.Collection)}
	}
	for flag, n := range map[string]int{"--rounds": b.opt.Rounds, "--requests": b.opt.Requests,
		"--time": int(b.opt.Time), "--limits": slices.Min(append(b.opt.Limits, len(b.opt.Limits)))} {
		if n < 1 {
			return usageError{fmt.Errorf("%s: give numbers from 1 up", flag)}
		}
	}
	return nil
}

func (b *benchmark) run(ctx context.Context, out io.Writer, at string) error {
	if err := b.check(); err != nil {
		return err
	}
	p, err := b.open(at)
	if err != nil {
		return err
	}
	meter := newMeter("requests")
	b.opt.Progress = func(n int) { meter.step(n, b.opt.Requests, "") }
	report, err := bench.Run(ctx, p, b.opt)
	meter.done()
	if err != nil && len(report.Lines) == 0 {
		return err
	}
	if b.asJSON {
		if wrong := json.NewEncoder(out).Encode(report); err == nil {
			err = wrong
		}
		return err
	}
	writeBench(out, report)
	return err
}

// writeBench writes a report for people.
func writeBench(out io.Writer, report *bench.Report) {
	host := report.URL
	if u, err := url.Parse(report.URL); err == nil {
		host = u.Host
	}
	fmt.Fprintf(out, "%s: %d %s\n", host, report.Total, report.Collection)
	t := newTable(out)
	t.AppendHeader(table.Row{"work", "asked", "rows", "KB", "ms", "least … most", "× first page"})
	for _, l := range report.Lines {
		work := l.Work
		if l.Place != "" {
			work += " at the " + l.Place
		}
		if l.Coding == "gzip" {
			work += ", gzip"
		}
		if l.Calls > 1 {
			work += fmt.Sprintf(", %d requests", l.Calls)
		}
		against := ""
		if l.Against != nil {
			against = fmt.Sprintf("%.2f", l.Against.Median)
		}
		asked := cmp.Or(l.Query, "all")
		if len(asked) > 40 {
			asked = asked[:39] + "…"
		}
		t.AppendRow(table.Row{work, asked, l.Rows, (l.Bytes + 999) / 1000,
			fmt.Sprintf("%.1f", l.Took.Median),
			fmt.Sprintf("%.1f … %.1f", l.Took.Least, l.Took.Most), against})
	}
	t.Render()
	fmt.Fprintf(out, "%d requests, %.1f MB, %.1f s; medians by this machine's clock, of %s\n",
		report.Requests, float64(report.Bytes)/1e6, report.Took/1000, rounds(report.Lines))
	if report.LeftOut != "" {
		fmt.Fprintln(out, "the rest is left out:", report.LeftOut)
	}
}

// rounds is of how many rounds the medians are.
func rounds(lines []*bench.Line) string {
	least, most := 0, 0
	for i, l := range lines {
		if l.Work == "walk" {
			continue
		}
		if i == 0 || l.Took.Of < least {
			least = l.Took.Of
		}
		most = max(most, l.Took.Of)
	}
	if least == most {
		return fmt.Sprint(most)
	}
	return fmt.Sprintf("%d to %d", least, most)
}
