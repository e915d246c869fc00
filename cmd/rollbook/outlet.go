package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
		feedTest(store.FeedOutlet, "Look whether it can be reached; nothing is written", outlet.Test),
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
		RunE: addFeed(func(cmd *cobra.Command, name string, o *opened) (f store.Feed, told string, err error) {
			if from != "now" && from != "beginning" {
				return f, "", usageError{fmt.Errorf("--from %q is neither now nor beginning", from)}
			}
			if err := p.read(); err != nil {
				return f, "", err
			}
			secrets, err := p.secrets(cmd)
			if err != nil {
				return f, "", err
			}
			told, err = p.tested(cmd, secrets, func() (tester, error) {
				placeOfOutlet(&s, p)
				return s.Place(secrets)
			})
			if err != nil {
				return f, "", err
			}
			rev := int64(0)
			if from == "now" {
				m, err := o.Moment(cmd.Context())
				if err != nil {
					return f, "", err
				}
				rev = m.Rev
			}
			f, err = s.Feed(name, secrets, o.Key, time.Now().UTC(), rev)
			return f, fmt.Sprintf("outlet %s: %s; %s", name, plainly(told), s.When()), err
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
			feeds, err := o.Store.Feeds(cmd.Context(), store.FeedOutlet)
			if err == nil && len(args) > 0 {
				var f store.Feed
				f, err = o.feed(cmd.Context(), store.FeedOutlet, args[0])
				feeds = []store.Feed{f}
			}
			if err != nil {
				return err
			}
			list := []map[string]any{}
			for _, f := range feeds {
				state, err := o.outletState(cmd.Context(), f)
				if err != nil {
					return err
				}
				if list = append(list, state.members()); !asJSON {
					state.show(cmd.OutOrStdout())
				}
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

// outletState is how an outlet stands.
type outletState struct {
	name        string
	sent        int
	since, last string // when what waits was first written, and the last delivery was; "" is never
	waits       map[string]int
	refused     []store.Undelivered // the first of all
	all         int
}

func (o *opened) outletState(ctx context.Context, f store.Feed) (outletState, error) {
	m := outlet.Known(f)
	w, err := o.GradesWaiting(ctx, m.Rev)
	if err != nil {
		return outletState{}, err
	}
	stamp := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return oneroster.FormatTime(at)
	}
	refused, all, err := o.Undelivered(ctx, f.Name, store.UndeliveredOf{Limit: shownRefused})
	return outletState{f.Name, m.Sent, stamp(w.First), stamp(m.Last), w.Count, refused, all}, err
}

// members are the state as programs are told of it.
func (s outletState) members() map[string]any {
	refused := []map[string]any{}
	for _, u := range s.refused {
		refused = append(refused, map[string]any{"resource": u.Resource, "sourcedId": u.ID, "words": u.Words,
			"at": oneroster.FormatTime(u.At), "again": u.Passing})
	}
	return map[string]any{"name": s.name, "waiting": s.waits, "since": s.since, "delivered": s.sent,
		"last": s.last, "refused": refused, "refusedMore": s.all - len(refused)}
}

func (s outletState) show(w io.Writer) {
	out := newTable(w)
	out.AppendHeader(table.Row{s.name, "waits", "since"})
	for _, name := range []string{"categories", "lineItems", "results"} {
		row := table.Row{name, s.waits[name], ""}
		if s.waits[name] > 0 {
			row[2] = localTime(s.since)
		}
		out.AppendRow(row)
	}
	out.Render()
	fmt.Fprintf(w, "delivered: %d", s.sent)
	if s.last != "" {
		fmt.Fprintf(w, ", last %s", localTime(s.last))
	}
	fmt.Fprintln(w)
	if len(s.refused) == 0 {
		return
	}
	out = newTable(w)
	out.AppendHeader(table.Row{"refused", "when", "why"})
	for _, u := range s.refused {
		out.AppendRow(table.Row{u.Key(), localTime(oneroster.FormatTime(u.At)), u.Words})
	}
	out.Render()
	if more := s.all - len(s.refused); more > 0 {
		fmt.Fprintf(w, "… and %d more\n", more)
	}
	fmt.Fprintf(w, "they are offered again when they change, and by rollbook outlet run %s --refused\n", s.name)
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
