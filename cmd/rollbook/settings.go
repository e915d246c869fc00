package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/intake"
)

// A setting is kept in the district's database as text.
type setting struct {
	name, def string
	right     func(text string) error // tells what to write instead
	what      string
}

// Names of settings.
const (
	journalDays  = "journal-days"
	packagesKept = "packages"
	timeZone     = "time-zone"
)

var settings = func() []setting {
	out := []setting{
		{journalDays, "400", whole(1, 36500), "how many days back history, rollback and export --as-of go"},
		{packagesKept, "30", whole(1, 10000), "how many packages are kept; those that are held always are"},
		{timeZone, "Local", zone, "whose midnight begins a day of the calendar, such as America/Chicago; " +
			"Local is the zone of the machine that imports"},
	}
	for _, s := range intake.Settings {
		right := percent
		if s.Most != 100 {
			right = whole(s.Least, s.Most)
		}
		out = append(out, setting{s.Name, strconv.Itoa(s.Default), right, s.What})
	}
	return out
}()

func whole(least, most int) func(string) error {
	return func(text string) error {
		if n, err := strconv.Atoi(text); err != nil || n < least || n > most {
			return fmt.Errorf("write a whole number from %d to %d", least, most)
		}
		return nil
	}
}

func percent(text string) error {
	if whole(0, 100)(text) != nil {
		return errors.New("write a percentage as a whole number from 0 to 100, such as 10; 100 " +
			"switches the " +
			"guard off")
	}
	return nil
}

func zone(text string) error {
	if _, err := time.LoadLocation(text); err != nil || text == "" {
		return errors.New("write a name of the time zone database, such as America/Chicago or " +
			"Europe/Berlin, " +
			"or Local for the zone of the machine that imports")
	}
	return nil
}

func settingsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "settings [NAME [VALUE]]",
		Short: "Show or change what the district is set to",
		Long: `Show or change what the district is set to. What is set is kept in its database, and
holds for every machine that imports into it.

  rollbook settings                            all of them
  rollbook settings time-zone America/Chicago
  rollbook settings guard-loss 20              hold when more than 20 percent would be retired

A guard of percent is switched off by 100, guard-growth by 100000, guard-columns by 0.`,
		Args: cobra.MaximumNArgs(2),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			ctx := cmd.Context()
			shown := settings
			if len(args) > 0 {
				shown = nil
				for _, s := range settings {
					if s.name == args[0] {
						shown = append(shown, s)
					}
				}
				if shown == nil {
					return usageError{fmt.Errorf("there is no setting %q: rollbook settings shows all",
						args[0])}
				}
			}
			if len(args) == 2 {
				if err := shown[0].right(args[1]); err != nil {
					return usageError{fmt.Errorf("%s %q: %w", args[0], args[1], err)}
				}
				if err := o.Set(ctx, args[0], args[1]); err != nil {
					return err
				}
			}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"setting", "value", "default", "what it is"})
			values := map[string]any{}
			for _, s := range shown {
				value, err := o.setting(ctx, s.name)
				if err != nil {
					return err
				}
				values[s.name] = value
				if n, err := strconv.Atoi(value); err == nil {
					values[s.name] = n
				}
				out.AppendRow(table.Row{s.name, value, s.def, s.what})
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(values)
			}
			out.Render()
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// setting is what the district is set to.
func (o *opened) setting(ctx context.Context, name string) (string, error) {
	text, err := o.Setting(ctx, name)
	if err != nil || text != "" {
		return text, err
	}
	for _, s := range settings {
		if s.name == name {
			return s.def, nil
		}
	}
	return "", fmt.Errorf("there is no setting %q", name)
}

// count is a setting that is a number.
func (o *opened) count(ctx context.Context, name string) (int, error) {
	text, err := o.setting(ctx, name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// prune lets the journal and the packages forget what is older than the district is
// set to. That it fails is noted: what was published before is published.
func (o *opened) prune(ctx context.Context, w io.Writer) {
	days, err := o.count(ctx, journalDays)
	if err == nil {
		err = o.Prune(ctx, time.Now().AddDate(0, 0, -days))
	}
	n := 0
	if err == nil {
		n, err = o.count(ctx, packagesKept)
	}
	if err == nil {
		err = o.PrunePackages(ctx, n)
	}
	if err != nil {
		fmt.Fprintf(w, "note: old packages and changes are still kept, until the next import: %v\n", err)
	}
}
