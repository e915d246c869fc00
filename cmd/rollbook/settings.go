package main

import (
	"context"
	"encoding/json"
	"fmt"
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
		{timeZone, "Local", zone, "where the district is, such as America/Chicago; Local is this machine's"},
	}
	for _, s := range intake.Settings {
		out = append(out, setting{s.Name, strconv.Itoa(s.Default), whole(s.Least, s.Most), s.What})
	}
	return out
}()

func whole(least, most int) func(string) error {
	return func(text string) error {
		if n, err := strconv.Atoi(text); err != nil || n < least || n > most {
			return fmt.Errorf("give a number from %d to %d", least, most)
		}
		return nil
	}
}

func zone(text string) error {
	if _, err := time.LoadLocation(text); err != nil || text == "" {
		return fmt.Errorf("give a name of the time zone database, such as America/Chicago or Europe/Berlin")
	}
	return nil
}

func settingsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "settings [NAME [VALUE]]",
		Short: "Show or change what the district is set to",
		Args:  cobra.MaximumNArgs(2),
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
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
// set to.
func (o *opened) prune(ctx context.Context) error {
	days, err := o.count(ctx, journalDays)
	if err == nil {
		err = o.Prune(ctx, time.Now().AddDate(0, 0, -days))
	}
	if err != nil {
		return err
	}
	n, err := o.count(ctx, packagesKept)
	if err == nil {
		err = o.PrunePackages(ctx, n)
	}
	return err
}
