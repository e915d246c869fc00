package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

// A setting is kept in the district's database; all of them are whole numbers.
type setting struct {
	name        string
	def         int
	least, most int
	what        string
}

var journalDays = setting{"journal-days", 400, 1, 36500, "how many days back history and export --as-of go"}

var packagesKept = setting{"packages", 30, 1, 10000, "how many packages are kept, beside those that are held"}

var settings = []setting{journalDays, packagesKept}

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
				s := shown[0]
				n, err := strconv.Atoi(args[1])
				if err != nil || n < s.least || n > s.most {
					return usageError{fmt.Errorf("%s %q: give a number from %d to %d", s.name, args[1],
						s.least, s.most)}
				}
				if err := o.Set(ctx, s.name, args[1]); err != nil {
					return err
				}
			}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"setting", "value", "default", "what it is"})
			values := map[string]int{}
			for _, s := range shown {
				n, err := o.setting(ctx, s)
				if err != nil {
					return err
				}
				values[s.name] = n
				out.AppendRow(table.Row{s.name, n, s.def, s.what})
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
func (o *opened) setting(ctx context.Context, s setting) (int, error) {
	text, err := o.Setting(ctx, s.name)
	if err != nil || text == "" {
		return s.def, err
	}
	return strconv.Atoi(text)
}

// prune lets the journal forget what is older than the district is set to, and lets go
// of packages that are more.
func (o *opened) prune(ctx context.Context) error {
	days, err := o.setting(ctx, journalDays)
	if err != nil {
		return err
	}
	if err := o.Prune(ctx, time.Now().AddDate(0, 0, -days)); err != nil {
		return err
	}
	packages, err := o.setting(ctx, packagesKept)
	if err != nil {
		return err
	}
	return o.PrunePackages(ctx, packages)
}
