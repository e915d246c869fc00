package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
)

// A Setting is kept in the district's database as text.
type Setting struct {
	Name, Default string
	Right         func(text string) error // tells what to write instead
	What          string
}

// Names of settings.
const (
	JournalDays  = "journal-days"
	PackagesKept = "packages"
	TimeZone     = "time-zone"

	calendar = "calendar" // has a verb of its own
)

// Settings are all that a person sets.
var Settings = func() []Setting {
	out := []Setting{
		{JournalDays, "400", whole(1, 36500), "how many days back history, rollback and export --as-of go"},
		{PackagesKept, "30", whole(1, 10000), "how many packages are kept; those that are held always are"},
		{TimeZone, "Local", zone, "whose midnight begins a day of the calendar, such as America/Chicago; " +
			"Local is the zone of the machine that imports"},
	}
	for _, s := range intake.Settings {
		right := percent
		if s.Most != 100 {
			right = whole(s.Least, s.Most)
		}
		out = append(out, Setting{s.Name, strconv.Itoa(s.Default), right, s.What})
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
		return errors.New("write a percentage as a whole number from 0 to 100, such as 10; 100 switches " +
			"the " +
			"guard off")
	}
	return nil
}

func zone(text string) error {
	if _, err := time.LoadLocation(text); err != nil || text == "" {
		return errors.New("write a name of the time zone database, such as America/Chicago or " +
			"Europe/Berlin, or Local for the zone of the machine that imports")
	}
	return nil
}

// Value is what the district is set to.
func (d *District) Value(ctx context.Context, name string) (string, error) {
	text, err := d.Setting(ctx, name)
	if err != nil || text != "" {
		return text, err
	}
	for _, s := range Settings {
		if s.Name == name {
			return s.Default, nil
		}
	}
	return "", fmt.Errorf("there is no setting %q", name)
}

// Number is a setting that is a number.
func (d *District) Number(ctx context.Context, name string) (int, error) {
	text, err := d.Value(ctx, name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// Zone is the time zone that the district's days are of.
func (d *District) Zone(ctx context.Context) (*time.Location, error) {
	name, err := d.Value(ctx, TimeZone)
	if err != nil {
		return nil, err
	}
	return time.LoadLocation(name)
}

// Calendar is what the district has announced.
func (d *District) Calendar(ctx context.Context) (c intake.Calendar, err error) {
	text, err := d.Setting(ctx, calendar)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &c)
	}
	return c, err
}

// Announce keeps another calendar.
func (d *District) Announce(ctx context.Context, c intake.Calendar) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return d.Set(ctx, calendar, string(text))
}

// Intake is what brings packages into the district, as it is set; who decides what is decided by hand.
func (d *District) Intake(ctx context.Context, who string) (in *intake.Intake, err error) {
	in = &intake.Intake{Store: d.Store, Who: who, Limits: intake.Limits{}, Distance: bulk.Distance}
	for _, s := range intake.Settings {
		if in.Limits[s.Name], err = d.Number(ctx, s.Name); err != nil {
			return nil, err
		}
	}
	if in.Zone, err = d.Zone(ctx); err == nil {
		in.Calendar, err = d.Calendar(ctx)
	}
	return in, err
}

// Tidy lets the journal and the packages forget what is older than the district is set to.
func (d *District) Tidy(ctx context.Context) error {
	days, err := d.Number(ctx, JournalDays)
	if err == nil {
		err = d.Prune(ctx, time.Now().AddDate(0, 0, -days))
	}
	n := 0
	if err == nil {
		n, err = d.Number(ctx, PackagesKept)
	}
	if err == nil {
		err = d.PrunePackages(ctx, n)
	}
	if err != nil {
		return fmt.Errorf("old packages and changes are still kept, until the next import: %w", err)
	}
	return nil
}
