package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// actor is who acts by a verb, for the audit: a person at a machine, or the service itself.
func actor(cmd *cobra.Command) string {
	who := whoami()
	if cmd.Name() == "serve" || cmd.Name() == "demo" {
		who = "service"
	}
	if host, err := os.Hostname(); err == nil {
		who += "@" + host
	}
	return who
}

func auditCommand() *cobra.Command {
	var since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List who did what to the district, when, and how it was before and after",
		Long: `List who did what to the district, when, and how it was before and after: clients and
their secrets, settings and the calendar, publications, keys, backups, the schema. No
secret is in it. What readers read is not, nor what clients write into the gradebook,
which "rollbook history" tells.

No verb changes what is listed or takes it away; "rollbook audit verify" finds who does.`,
		Args: cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			var from time.Time
			if since != "" {
				var err error
				if from, err = sinceTime(since, time.Now()); err != nil {
					return usageError{err}
				}
			}
			acts, err := o.Acts(cmd.Context(), from)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(append([]store.Act{}, acts...))
			}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"", "when", "who", "what", "of", "before", "after"})
			for _, a := range acts {
				out.AppendRow(table.Row{a.ID, a.At, a.Who, a.What, a.Of, a.Before, a.After})
			}
			out.Render()
			return nil
		}),
	}
	cmd.Flags().StringVar(&since, "since", "",
		"only those from a day such as 2026-10-01 on, from a time, or of the last so long, such as 24h")
	jsonFlag(cmd, &asJSON, "print JSON")
	cmd.AddCommand(auditVerify())
	return cmd
}

// sinceTime reads a time ago, a time, or the day that it begins.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if day, err := time.ParseInLocation(oneroster.DateLayout, text, time.Local); err == nil {
		return day, nil
	}
	at, _, err := oneroster.ParseInstant(text)
	if err != nil {
		return at, fmt.Errorf("--since %q: write a day such as 2026-10-01, a time, or how long ago, 24h",
			text)
	}
	return at, nil
}

func auditVerify() *cobra.Command {
	var hash string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Tell whether what the audit lists is what was written, else exit with 1",
		Long: `Tell whether what the audit lists is what was written, else exit with 1: each act has a
hash over what it says and the hash before it, so that one that is changed, taken away
or put between is found.

Who may write into the database could write all of it anew, hashes and all. Against
that note the hash that this tells, outside: --hash finds whether it is still there.`,
		Args: cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			last, err := o.VerifyActs(cmd.Context(), hash)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s as written; the last of %s has the hash %s\n",
				plural(int(last.ID), "act"), last.At, last.Hash)
			return err
		}),
	}
	cmd.Flags().StringVar(&hash, "hash", "", "one that was noted earlier: it must be there")
	return cmd
}
