package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

func restoredCommand() *cobra.Command {
	var asJSON, now bool
	var after string
	cmd := &cobra.Command{
		Use:   "restored",
		Short: "Tell the district that an older copy of its database was put in place",
		Long: `Tell the district that an older copy of its database was put in place.

Readers that pull by delta have passed the time of that copy: what it holds would
not come to them again. Every record is stamped anew, so that the next delta brings
all of them. Records that only the lost days had are in no delta: readers keep them
until they pull whole.

A copy that is older than what this machine has seen is found by itself, by every verb
that opens it. The stamp is this machine's time. Where a clock was ahead in the lost days,
readers have passed a later one: give the latest dateLastModified that they have seen by
--after. A district whose own clock was ahead goes back to the present by --now; readers
have passed that too, and must all pull whole.`,
		Args: cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			if after != "" {
				at, _, err := oneroster.ParseInstant(after)
				if err != nil {
					return usageError{fmt.Errorf("--after: %w", err)}
				}
				after = oneroster.FormatTime(at)
			}
			if now && after != "" {
				return usageError{errors.New("--after and --now: give one of them")}
			}
			if o.Epoch == nil || after > o.Epoch.Stamp || now {
				if err := o.Anew(cmd.Context(), store.Moment{Stamp: after}, now); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"records": o.Epoch.Records,
					"dateLastModified": o.Epoch.Stamp})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", o.Place, o.Epoch)
			return err
		}),
	}
	cmd.Flags().StringVar(&after, "after", "",
		"the latest dateLastModified that a reader has seen, where clocks were wrong")
	cmd.Flags().BoolVar(&now, "now", false,
		"stamp with this machine's time, even where the district's clock is ahead of it")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}
