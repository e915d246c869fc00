package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/feed"
	"rollbook/internal/source"
	"rollbook/internal/store"
)

func sourceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "source",
		Short: "Let the district be fed by itself: from a folder, SFTP, HTTPS, another provider, or SQL",
		Long: `Let the district be fed by itself. A source is a place and a schedule; "rollbook serve"
fetches from it when it is due, and "rollbook source run NAME" at once, for cron. What comes goes the way of
"rollbook import": it is kept, checked, planned, judged, and published or held. docs/feeds.md takes you through.`,
	}
	cmd.AddCommand(sourceAdd(), feedList(store.FeedSource, sourceRow), feedShow(store.FeedSource), sourceRun(),
		feedTest(store.FeedSource, "Look whether it can be read, and tell what is there; nothing is taken",
			source.Test), feedRemove(store.FeedSource), sourceInit())
	return cmd
}

// scheduleFlags are those by which a person says when.
func scheduleFlags(cmd *cobra.Command, s *feed.Schedule) {
	f := cmd.Flags()
	f.StringSliceVar(&s.At, "at", nil, "times of the day, such as 02:30, in the district's time zone")
	f.StringVar(&s.Every, "every", "", "how often, such as 15m")
	f.StringVar(&s.Cron, "cron", "",
		"five fields of cron, such as \"30 2 * * 1-5\", in the district's time zone")
}

func sourceAdd() *cobra.Command {
	var s source.Settings
	var p peer
	var drop source.Drop
	var reads source.Provider
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a source",
		Long: `Add a source.

  rollbook source add nightly --folder /srv/drop --at 02:30
  rollbook source add nightly --folder '/srv/drop/*.zip' --every 15m --done
  rollbook source add sis --sftp sftp://rollbook@files.example/export --identity ~/.ssh/id_ed25519 \
      --host-key SHA256:… --at 02:30
  rollbook source add sis --https https://sis.example/export.zip --user rollbook --at 02:30,12:00
  rollbook source add sis --oneroster https://sis.example/ims/oneroster/v1p1 \
      --token-url https://sis.example/token --client rollbook --cron "30 2 * * 1-5"
  rollbook source add sis --sql queries.sql --database postgres://reader@db.example/sis --at 02:30

Passwords, client secrets and passphrases are asked for on a terminal, or taken from
ROLLBOOK_PASSWORD, ROLLBOOK_BEARER and ROLLBOOK_PASSPHRASE; they are sealed with the key file and
never shown. The place is looked at before the source is added.`,
		Args: cobra.ExactArgs(1),
		RunE: addFeed(func(cmd *cobra.Command, name string, o *opened) (f store.Feed, told string, err error) {
			if err := p.read(); err != nil {
				return f, "", err
			}
			secrets, err := p.secrets(cmd)
			if err != nil {
				return f, "", err
			}
			told, err = p.tested(cmd, secrets, func() (tester, error) {
				placeOfSource(&s, p, drop, reads, secrets)
				return s.Place(secrets)
			})
			if err != nil {
				return f, "", err
			}
			zone, err := o.Zone(cmd.Context())
			if err != nil {
				return f, "", err
			}
			f, err = s.Feed(name, secrets, o.Key, time.Now(), zone)
			return f, fmt.Sprintf("source %s: %s; %s", name, plainly(told), dueOf(f, s.Schedule)), err
		}),
	}
	p.flags(cmd, "file of queries; rollbook source init sql writes one to begin with")
	f := cmd.Flags()
	f.StringVar(&p.folder, "folder", "",
		"whole path of a folder, a file, or a pattern such as /srv/drop/*.zip")
	f.BoolVar(&drop.Done, "done", false, "take a file only when NAME.done lies beside it")
	f.StringVar(&p.https, "https", "", "https:// URL of a zip")
	f.StringVar(&p.user, "user", "", "with --https: user of a password")
	f.StringSliceVar(&reads.Without, "without", nil,
		"with --oneroster: lists that are not read, such as results")
	f.BoolVar(&reads.Delta, "delta", false,
		"with --oneroster: read only what has changed, and all once a day")
	f.IntVar(&reads.Limit, "page", 0, "with --oneroster: rows a page (default 5000)")
	f.BoolVar(&s.SkipBad, "skip-bad", false, "leave rows and values with problems as they are stored")
	f.StringVar(&s.Encoding, "encoding", "",
		"what files are written in that are not UTF-8, such as windows-1252")
	scheduleFlags(cmd, &s.Schedule)
	return cmd
}

// addFeed adds the feed that make makes of what was given, and says what it has told of it.
func addFeed(make func(cmd *cobra.Command, name string, o *opened) (f store.Feed, told string,
	err error)) func(*cobra.Command, []string) error {
	return withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
		if !isFeedName.MatchString(args[0]) {
			return usageError{fmt.Errorf("%q is no name: use small letters, digits and -, at most 40",
				args[0])}
		}
		f, told, err := make(cmd, args[0], o)
		if err == nil {
			err = o.AddFeed(cmd.Context(), f)
		}
		if err == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), told)
		}
		return err
	})
}

var isFeedName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// placeOfSource puts into settings where packages come from.
func placeOfSource(s *source.Settings, p peer, drop source.Drop, reads source.Provider,
	secrets feed.Secrets) {
	if p.folder != "" {
		s.Folder = &source.Folder{Path: p.folder, Drop: drop}
	}
	if p.sftp != "" {
		s.SFTP = &source.SFTP{URL: p.sftp, HostKey: p.hostKey, Drop: drop}
	}
	if p.https != "" {
		s.HTTPS = &source.HTTPS{URL: p.https, User: p.user, CA: p.ca}
		if query := s.HTTPS.Hide(); query != "" {
			secrets[source.Query] = query
		}
	}
	if p.service.URL != "" {
		reads.Service = p.service
		s.Provider = &reads
	}
	if p.sql != "" {
		s.SQL = &source.SQL{URL: p.database, Queries: p.sql, Timeout: p.timeout}
	}
}

// dueOf says when a feed is due.
func dueOf(f store.Feed, s feed.Schedule) string {
	if f.Due == "" {
		return "it is done by hand: rollbook " + string(f.Kind) + " run " + f.Name
	}
	return s.String() + ", next " + localTime(f.Due)
}

// feedList lists the feeds of a kind.
func feedList(kind store.FeedKind,
	row func(*opened, store.Feed) (where, when string, err error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List them, with what became of each last",
		Args:  cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			feeds, err := o.Store.Feeds(cmd.Context(), kind)
			if err != nil {
				return err
			}
			list := []map[string]any{}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"name", "where", "when", "next", "last", "state", "what"})
			for _, f := range feeds {
				where, when, err := row(o, f)
				if err != nil {
					where = err.Error()
				}
				runs, err := o.Runs(cmd.Context(), kind, f.Name, 1)
				if err != nil {
					return err
				}
				run := store.Run{}
				if len(runs) > 0 {
					run = runs[0]
				}
				out.AppendRow(table.Row{f.Name, where, when, localTime(f.Due), localTime(run.Began),
					string(run.State), run.Text})
				list = append(list, map[string]any{"name": f.Name, "where": where, "when": when, "due": f.Due,
					"added": f.Made, "last": runOf(run)})
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			if len(feeds) == 0 {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "there is no %s: rollbook %s add\n", kind, kind)
				return err
			}
			out.Render()
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// runOf is a run as programs are told of it; nil where there was none.
func runOf(r store.Run) map[string]any {
	if r.Began == "" {
		return nil
	}
	out := map[string]any{"began": r.Began, "ended": r.Ended, "who": r.Who, "state": r.State, "text": r.Text}
	if r.Publication > 0 {
		out["publication"] = r.Publication
	}
	return out
}

func sourceRow(o *opened, f store.Feed) (where, when string, err error) {
	s, _, err := source.Open(f, o.Key)
	return s.Where(), s.Schedule.String(), err
}

// feedShow tells what became of a feed's turns.
func feedShow(kind store.FeedKind) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Tell what became of it, the latest first",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			f, err := o.feed(cmd.Context(), kind, args[0])
			if err != nil {
				return err
			}
			runs, err := o.Runs(cmd.Context(), kind, f.Name, 30)
			if err != nil {
				return err
			}
			list := []map[string]any{}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"began", "ended", "by", "state", "what"})
			for _, r := range runs {
				out.AppendRow(table.Row{localTime(r.Began), localTime(r.Ended), r.Who, string(r.State), r.Text})
				list = append(list, runOf(r))
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"name": f.Name, "due": f.Due,
					"settings": json.RawMessage(f.Settings), "runs": list})
			}
			if len(runs) == 0 {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s has not run yet\n", kind, f.Name)
				return err
			}
			out.Render()
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// feed finds one by the name that a person writes.
func (o *opened) feed(ctx context.Context, kind store.FeedKind, name string) (store.Feed, error) {
	f, err := o.Feed(ctx, kind, name)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("there is no %s %q: rollbook %s list", kind, name, kind)
	}
	return f, err
}

func feedRemove(kind store.FeedKind) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove it, with its secrets and what is remembered of its runs",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			if _, err := o.feed(cmd.Context(), kind, args[0]); err != nil {
				return err
			}
			if err := o.RemoveFeed(cmd.Context(), kind, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s %s is removed\n", kind, args[0])
			return err
		}),
	}
}

func sourceRun() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Fetch from it now, and take in what is new",
		Long: `Fetch from it now, and take in what is new.

Exit codes: 0 published, or there was nothing new; 1 it could not be fetched, or was refused, and nothing
was changed; 3 held and nothing was changed.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			return o.runFeed(cmd, o.Feeds(slog.New(slog.DiscardHandler)), store.FeedSource, args[0], asJSON)
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// runFeed does a turn of a feed, and tells what became of it.
func (o *opened) runFeed(cmd *cobra.Command, feeds *feed.Feeds, kind store.FeedKind, name string,
	asJSON bool) error {
	if _, err := o.feed(cmd.Context(), kind, name); err != nil {
		return err
	}
	run, err := feeds.Run(cmd.Context(), kind, name)
	if errors.Is(err, store.ErrTurn) {
		return fmt.Errorf("%s %s: %w; rollbook %[1]s show %[2]s tells what becomes of it", kind, name, err)
	}
	if err != nil {
		return failure{err, map[string]any{"state": run.State}}
	}
	if asJSON {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"state": run.State, "text": run.Text,
			"publication": run.Publication})
	} else {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), plainly(run.Text))
	}
	switch {
	case err != nil:
		return err
	case run.State == store.RunHeld:
		return exitCode(exitHeld)
	case run.State == store.RunRefused && kind == store.FeedOutlet:
		return exitCode(exitPartly)
	case run.State == store.RunRefused || run.State == store.RunFailed:
		return exitCode(exitFailed)
	}
	return nil
}

// feedTest tries a feed, and tells what test has told.
func feedTest(kind store.FeedKind, short string,
	test func(context.Context, store.Feed, *auth.Key) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			f, err := o.feed(cmd.Context(), kind, args[0])
			if err != nil {
				return err
			}
			told, err := test(cmd.Context(), f, o.Key)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), plainly(told))
			return err
		}),
	}
}

func sourceInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init sql",
		Short: "Write a file of queries to begin with, to the standard output",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "sql" {
				return usageError{fmt.Errorf("%q: there is a file to begin with for sql alone", args[0])}
			}
			_, err := io.WriteString(cmd.OutOrStdout(), source.SQLFile())
			return err
		},
	}
}
