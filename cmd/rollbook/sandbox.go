package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/bulk"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// maxDays bounds how far a made-up district moves at a time.
const maxDays = 400

func sandboxCommand() *cobra.Command {
	var opt sandbox.Options
	var start string
	d := &days{}
	cmd := &cobra.Command{
		Use: "sandbox FILE.zip | DIR --days N",
		Short: "Write a made-up district as a OneRoster 1.1 CSV package, or one package for each day " +
			"of its life",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := madeUp(cmd, start, &opt); err != nil {
				return err
			}
			if cmd.Flags().Changed("days") {
				d.dir, d.life = args[0], sandbox.NewLife(opt)
				return d.run(cmd)
			}
			if d.delta || d.asJSON {
				return usageError{errors.New("--delta and --json tell of days: say how many with --days")}
			}
			made := sandbox.New(opt)
			return sayPackage(cmd.ErrOrStderr(), args[0], func(r *oneroster.Resource,
				yield func(oneroster.Record) error) error {
				return made.Each(cmd.Context(), r, yield)
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&opt.Students, "students", 1000, "how many students to make up")
	f.Int64Var(&opt.Seed, "seed", 1, "another seed, other people")
	f.StringVar(&start, "start", "", "the first day, such as 2026-09-01 (default: today)")
	f.IntVar(&d.n, "days", 0, fmt.Sprintf("let it live so many school days, at most %d: a folder with a "+
		"package for each", maxDays))
	f.BoolVar(&d.delta, "delta", false, "with --days: also a delta package for each day")
	f.BoolVar(&d.asJSON, "json", false, "with --days: print JSON")
	return cmd
}

// madeUp checks what the command line says of a made-up district, and sets its
// first day; without one it is today.
func madeUp(cmd *cobra.Command, start string, opt *sandbox.Options) (err error) {
	switch {
	case opt.Students < 1 || opt.Students > sandbox.MostStudents:
		return usageError{fmt.Errorf("--students %d: give a number from 1 to %d", opt.Students,
			sandbox.MostStudents)}
	case opt.Students < sandbox.LeastStudents:
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %d students are the least that make a district\n",
			sandbox.LeastStudents)
	}
	if start == "" {
		return nil
	}
	if opt.Today, err = time.Parse(oneroster.DateLayout, start); err != nil {
		return usageError{fmt.Errorf("--start %q is not a date: write it as 2026-09-01", start)}
	}
	if y := opt.Today.Year(); y < 1900 || y > 2100 {
		return usageError{fmt.Errorf("--start %s: give a day of the years 1900 to 2100", start)}
	}
	return nil
}

// days is a life on its way into a folder.
type days struct {
	dir    string
	life   *sandbox.Life
	n      int
	delta  bool
	asJSON bool
	meter  *meter
	rows   int
}

// A dayCount is a day by its numbers.
type dayCount struct {
	Day     int    `json:"day"`
	Date    string `json:"date"`
	Added   int    `json:"added"`
	Changed int    `json:"changed"`
	Retired int    `json:"retired"`
}

func countDay(l *sandbox.Life, changes []sandbox.Change) dayCount {
	n := map[string]int{}
	for _, c := range changes {
		n[c.Op]++
	}
	return dayCount{l.Day(), l.Date(), n[sandbox.Added], n[sandbox.Changed], n[sandbox.Retired]}
}

func (d *days) run(cmd *cobra.Command) error {
	if d.n < 1 || d.n > maxDays {
		return usageError{fmt.Errorf("--days %d: give a number from 1 to %d", d.n, maxDays)}
	}
	if strings.EqualFold(filepath.Ext(d.dir), ".zip") {
		return usageError{fmt.Errorf("%s: --days writes many packages: name a folder for them", d.dir)}
	}
	// The packages are moved to their place when all are whole: half a life would
	// be taken for one.
	place := d.dir
	if err := emptyFolder(place); err != nil {
		return err
	}
	defer os.Remove(place) // where nothing came into it
	var err error
	if d.dir, err = os.MkdirTemp(place, unfinished); err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	d.meter = newMeter("writing")
	var counts []dayCount
	err = writeWhole(filepath.Join(d.dir, "changes.csv"), func(w io.Writer) (err error) {
		counts, err = d.write(cmd.Context(), w)
		return err
	})
	d.meter.done()
	if err == nil {
		err = moveAll(d.dir, place)
	}
	if err != nil {
		return err
	}
	return tellDays(cmd.OutOrStdout(), counts, d.asJSON)
}

// unfinished is the name of the folder that packages are written to at first.
const unfinished = ".days-*"

// moveAll moves the files of one folder to another.
func moveAll(from, to string) error {
	files, err := os.ReadDir(from)
	for _, f := range files {
		err = errors.Join(err, os.Rename(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())))
	}
	return err
}

// emptyFolder makes sure of an empty folder: packages of two lives in one would
// be mistaken for one. What a killed run left unfinished goes.
func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(dir, unfinished))
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(name))
	}
	if err != nil {
		return err
	}
	found, err := os.ReadDir(dir)
	if err == nil && len(found) > 0 {
		return fmt.Errorf("%s is not empty, it holds %s: name a new folder, or empty this one", dir,
			found[0].Name())
	}
	return err
}

// write writes the package of each day, and what changes to w.
func (d *days) write(ctx context.Context, w io.Writer) ([]dayCount, error) {
	log := bulk.NewCSV(w)
	if err := log.Write([]string{"day", "date", "change", "resource", "sourcedId", "what"}); err != nil {
		return nil, err
	}
	if err := writePackage(d.name(""), d.each(ctx)); err != nil {
		return nil, err
	}
	d.meter.expect(d.rows * (d.n + 1)) // about: the district hardly grows
	var counts []dayCount
	for range d.n {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		changes := d.life.Step()
		counts = append(counts, countDay(d.life, changes))
		for _, c := range changes {
			if err := log.Write([]string{strconv.Itoa(c.Day), c.Date, c.Op, c.Resource, c.SourcedID,
				c.What}); err != nil {
				return nil, err
			}
		}
		if err := writePackage(d.name(""), d.each(ctx)); err != nil {
			return nil, err
		}
		if d.delta {
			err := writeWhole(d.name("-delta"), func(w io.Writer) error {
				_, err := bulk.WriteDelta(w, d.life.Changed, d.life.Date()+"T00:00:00.000Z")
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	log.Flush()
	return counts, log.Error()
}

// name of a package of the current day; names sort as days do.
func (d *days) name(kind string) string {
	width := max(2, len(strconv.Itoa(d.n)))
	return filepath.Join(d.dir, fmt.Sprintf("day-%0*d%s.zip", width, d.life.Day(), kind))
}

// each yields the records of the current day and counts them.
func (d *days) each(ctx context.Context) bulk.Each {
	return func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
		return d.life.Each(ctx, r, func(rec oneroster.Record) error {
			if d.rows++; d.rows%1000 == 0 {
				d.meter.rows(d.rows)
			}
			return yield(rec)
		})
	}
}

func tellDays(w io.Writer, counts []dayCount, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"days": counts})
	}
	out := newTable(w)
	out.AppendHeader(table.Row{"day", "date", "added", "changed", "retired"})
	for _, c := range counts {
		out.AppendRow(table.Row{c.Day, c.Date, c.Added, c.Changed, c.Retired})
	}
	out.Render()
	return nil
}
