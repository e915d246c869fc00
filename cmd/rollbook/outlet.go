package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/oneroster"
	"rollbook/internal/outlet"
	"rollbook/internal/store"
)

func outletCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "outlet",
		Short: "Let grades go home: what clients write into the gradebook, to the school's own system",
		Long: `Let grades go home: what clients write into the gradebook, such as Grade Sync, goes to the
school's own system as files, by PUT and DELETE to another OneRoster provider, or by SQL. "rollbook serve"
delivers after a quiet minute, or by a schedule; "rollbook outlet run NAME" at once.
docs/grades-home.md takes you through.`,
	}
	cmd.AddCommand(outletAdd(), feedList(store.FeedOutlet, outletRow), outletStatus(), outletRun(),
		outletTest(),
		feedShow(store.FeedOutlet), feedRemove(store.FeedOutlet))
	return cmd
}

func outletRow(o *opened, f store.Feed) (where, when string, err error) {
	s, _, err := outlet.Open(f, o.Key)
	return s.Where(), s.When(), err
}

func outletAdd() *cobra.Command {
	var s outlet.Settings
	var p peer
	var from string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a place that grades go to",
		Long: `Add a place that grades go to.

  rollbook outlet add sis --folder /srv/grades
  rollbook outlet add sis --sftp sftp://rollbook@files.example/grades --host-key SHA256:… \
      --identity ~/.ssh/id_ed25519 --at 18:00
  rollbook outlet add sis --oneroster https://sis.example/ims/oneroster/v1p1 \
      --token-url https://sis.example/token --client rollbook
  rollbook outlet add sis --sql grades.sql --database postgres://writer@db.example/sis

What was written before it was added is not delivered, unless --from beginning says so. Passwords and
client secrets are asked for on a terminal, or taken from ROLLBOOK_PASSWORD and ROLLBOOK_PASSPHRASE; they
are sealed with the key file and never shown.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			ctx := cmd.Context()
			if err := feedName(args[0]); err != nil {
				return err
			}
			if from != "now" && from != "beginning" {
				return usageError{fmt.Errorf("--from %q is neither now nor beginning", from)}
			}
			if err := p.read(); err != nil {
				return err
			}
			secrets, err := p.secrets(cmd)
			if err != nil {
				return err
			}
			told, err := p.tested(cmd, secrets, func() (tester, error) {
				placeOfOutlet(&s, p)
				return s.Place(secrets)
			})
			if err != nil {
				return err
			}
			rev := int64(0)
			if from == "now" {
				m, err := o.Moment(ctx)
				if err != nil {
					return err
				}
				rev = m.Rev
			}
			f, err := s.Feed(args[0], secrets, o.Key, time.Now().UTC(), rev)
			if err == nil {
				err = o.AddFeed(ctx, f)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "outlet %s: %s; %s\n", args[0], plainly(told), s.When())
			return err
		}),
	}
	p.flags(cmd, "file of statements: docs/grades-home.md has one")
	f := cmd.Flags()
	f.StringVar(&s.Folder, "folder", "", "whole path of a folder that packages are put into")
	f.StringVar(&from, "from", "now",
		"what is delivered first: what is written from now on, or from the beginning")
	scheduleFlags(cmd, &s.Schedule)
	return cmd
}

// placeOfOutlet puts into settings where grades go.
func placeOfOutlet(s *outlet.Settings, p peer) {
	if p.sftp != "" {
		s.SFTP = &outlet.SFTP{URL: p.sftp, HostKey: p.hostKey}
	}
	if p.service.URL != "" {
		s.Provider = &outlet.Provider{Service: p.service}
	}
	if p.sql != "" {
		s.SQL = &outlet.SQL{URL: p.database, Statements: p.sql, Timeout: p.timeout}
	}
}

// shownRefused is how many refusals are told.
const shownRefused = 100

func outletStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Tell what waits and since when, and what was refused and why",
		Args:  cobra.MaximumNArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			ctx := cmd.Context()
			feeds, err := o.Store.Feeds(ctx, store.FeedOutlet)
			if err == nil && len(args) > 0 {
				var f store.Feed
				f, err = o.feed(ctx, store.FeedOutlet, args[0])
				feeds = []store.Feed{f}
			}
			if err != nil {
				return err
			}
			list := []map[string]any{}
			for _, f := range feeds {
				m := outlet.Known(f)
				w, err := o.GradesWaiting(ctx, m.Rev)
				if err != nil {
					return err
				}
				not, all, err := o.Undelivered(ctx, f.Name, store.UndeliveredOf{Limit: shownRefused})
				if err != nil {
					return err
				}
				refused := []map[string]any{}
				for _, u := range not {
					refused = append(refused, map[string]any{"resource": u.Resource, "sourcedId": u.ID,
						"words": u.Words, "at": oneroster.FormatTime(u.At), "again": u.Passing})
				}
				since := ""
				if !w.First.IsZero() {
					since = oneroster.FormatTime(w.First)
				}
				last := ""
				if !m.Last.IsZero() {
					last = oneroster.FormatTime(m.Last)
				}
				list = append(list, map[string]any{"name": f.Name, "waiting": w.Count, "since": since,
					"delivered": m.Sent, "last": last, "refused": refused, "refusedMore": all - len(refused)})
				if asJSON {
					continue
				}
				out := newTable(cmd.OutOrStdout())
				out.AppendHeader(table.Row{f.Name, "waits", "since"})
				for _, name := range []string{"categories", "lineItems", "results"} {
					row := table.Row{name, w.Count[name], ""}
					if w.Count[name] > 0 {
						row[2] = localTime(since)
					}
					out.AppendRow(row)
				}
				out.Render()
				fmt.Fprintf(cmd.OutOrStdout(), "delivered: %d", m.Sent)
				if last != "" {
					fmt.Fprintf(cmd.OutOrStdout(), ", last %s", localTime(last))
				}
				fmt.Fprintln(cmd.OutOrStdout())
				if len(refused) == 0 {
					continue
				}
				out = newTable(cmd.OutOrStdout())
				out.AppendHeader(table.Row{"refused", "when", "why"})
				for _, u := range not {
					out.AppendRow(table.Row{u.Key(), localTime(oneroster.FormatTime(u.At)), u.Words})
				}
				out.Render()
				if all > len(not) {
					fmt.Fprintf(cmd.OutOrStdout(), "… and %d more\n", all-len(not))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "they are offered again when they change, and by rollbook "+
					"outlet run %s "+
					"--refused\n", f.Name)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			if len(feeds) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "there is no outlet: rollbook outlet add")
				return err
			}
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func outletRun() *cobra.Command {
	var asJSON, again bool
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Deliver now what waits",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			feeds := o.Feeds(slog.New(slog.DiscardHandler))
			if again {
				feeds.Kinds[store.FeedOutlet].(*outlet.Outlets).Again = true
			}
			return o.runFeed(cmd, feeds, store.FeedOutlet, args[0], asJSON)
		}),
	}
	cmd.Flags().BoolVar(&again, "refused", false, "offer once more what was refused")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func outletTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Look whether it can be reached; nothing is written",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			f, err := o.feed(cmd.Context(), store.FeedOutlet, args[0])
			if err != nil {
				return err
			}
			told, err := outlet.Test(cmd.Context(), f, o.Key)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), plainly(told))
			return err
		}),
	}
}
