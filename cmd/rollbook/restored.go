package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"rollbook/internal/oneroster"
)

func restoredCommand() *cobra.Command {
	var asJSON bool
	var after string
	cmd := &cobra.Command{
		Use:   "restored",
		Short: "Tell the district that an older copy of its database was put in place",
		Long: `Tell the district that an older copy of its database was put in place.

Readers that pull by delta have passed the time of that copy: what it holds would
not come to them again. Every record is stamped anew, so that the next delta brings
all of them. Records that only the lost days had are in no delta: readers keep them
until they pull whole.

The stamp is this machine's time. Where a clock was ahead in the lost days, readers have
passed a later one: give the latest dateLastModified that they have seen by --after.`,
		Args: cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			if after != "" {
				at, _, err := oneroster.ParseInstant(after)
				if err != nil {
					return usageError{fmt.Errorf("--after: %w", err)}
				}
				after = oneroster.FormatTime(at)
			}
			n, stamp, err := o.Restamp(cmd.Context(), after)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"records": n, "dateLastModified": stamp})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), `%d records of %s are stamped anew: %s

The next delta of every reader brings all of them. What was added after the copy was
made is in no delta: let every reader pull whole once (School Data Sync: reset the
sync; rollbook sync sds --full), and import the last packages again.
`, n, o.place, stamp)
			return err
		}),
	}
	cmd.Flags().StringVar(&after, "after", "", "the latest dateLastModified that a reader has seen, where clocks were wrong")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
