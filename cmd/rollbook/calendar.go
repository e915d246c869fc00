package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

func calendarCommand() *cobra.Command {
	var school string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "calendar [freeze A..B | adds-only A..B | rollover DATE | closing --school S DATE | remove N]",
		Short: "Announce days on which the district changes in another way than every night",
		Long: `Announce days on which the district changes in another way than every night:

  freeze 2027-06-10..2027-08-20     readers are served, every publication is held
  adds-only 2027-09-01..2027-09-14  a publication that retires anything is held
  rollover 2027-08-01               the school year changes, or a half-year: that day's
                                    guards are wide
  closing --school S 2027-06-30     what belongs to a school that closes may go, from
                                    14 days before to 14 days after

Days are those of the district's time zone (rollbook settings time-zone). Without an
argument it lists what is announced. A rollover is rehearsed with
"rollbook import PACKAGE --plan --on 2027-08-01".`,
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			ctx := cmd.Context()
			c, err := o.Calendar(ctx)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if c, err = o.announce(ctx, c, args, school); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(append([]intake.Entry{}, c...))
			}
			if len(c) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing is announced")
				return err
			}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"", "what", "from", "to", "school"})
			for i, e := range c {
				out.AppendRow(table.Row{i + 1, e.Verb, e.From.Format(time.DateOnly),
					e.To.Format(time.DateOnly), e.School})
			}
			out.Render()
			return nil
		}),
	}
	cmd.Flags().StringVar(&school, "school", "", "with closing: sourcedId of the school")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// announce changes the calendar as a person says it, and keeps it.
func (o *opened) announce(ctx context.Context, c intake.Calendar, args []string,
	school string) (intake.Calendar,
	error) {
	if args[0] == "remove" {
		if len(args) != 2 {
			return c, usageError{fmt.Errorf("say which entry to remove, by its number: rollbook " +
				"calendar remove 2")}
		}
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 1 || n > len(c) {
			return c, usageError{fmt.Errorf("%q is no number of an entry: rollbook calendar lists them",
				args[1])}
		}
		c = slices.Delete(c, n-1, n)
	} else {
		if args[0] == "closing" && school != "" {
			args = slices.Insert(args, 1, school)
		}
		e, err := intake.ParseEntry(strings.Join(args, " "))
		if err != nil {
			return c, usageError{err}
		}
		if e.School != "" {
			quoted := strings.ReplaceAll(e.School, "'", "''")
			n, err := o.CountActive(ctx, oneroster.ByName("org"), "sourcedId='"+quoted+"' AND type='school'")
			if err != nil || n == 0 {
				return c, errors.Join(err, usageError{fmt.Errorf("there is no school with the sourcedId %q: "+
					"nothing was announced", e.School)})
			}
		}
		c = c.With(e)
	}
	return c, o.Announce(ctx, c)
}
