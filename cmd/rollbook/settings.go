package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"rollbook/internal/host"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

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
			shown := host.Settings
			if len(args) > 0 {
				shown = nil
				for _, s := range host.Settings {
					if s.Name == args[0] {
						shown = append(shown, s)
					}
				}
				if shown == nil {
					return usageError{fmt.Errorf("there is no setting %q: rollbook settings shows all",
						args[0])}
				}
			}
			if len(args) == 2 {
				if err := shown[0].Right(args[1]); err != nil {
					return usageError{fmt.Errorf("%s %q: %w", args[0], args[1], err)}
				}
				if err := o.Set(ctx, args[0], args[1]); err != nil {
					return err
				}
				if args[0] == host.TimeZone {
					if err := o.Reschedule(ctx, time.Now()); err != nil {
						return err
					}
				}
			}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"setting", "value", "default", "what it is"})
			values := map[string]any{}
			for _, s := range shown {
				value, err := o.Value(ctx, s.Name)
				if err != nil {
					return err
				}
				values[s.Name] = value
				if n, err := strconv.Atoi(value); err == nil {
					values[s.Name] = n
				}
				out.AppendRow(table.Row{s.Name, value, s.Default, s.What})
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
