package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// pullsAsked is what a person asks of pulls.
type pullsAsked struct {
	client, since string
	limit         int
	asJSON        bool
}

func pullsCommand() *cobra.Command {
	var asked pullsAsked
	cmd := &cobra.Command{
		Use:   "pulls",
		Short: "List what clients have read: each walk through a list, whole or not",
		Long: `List what clients have read: each walk of a client through a list, from its first page
on, whether it came to the end, and what it left out. Below stands what is wrong with how
clients read: one that is late, walks without end, is refused, or whose deltas leave a gap.

Pulls are kept 400 days. What was read in the last five seconds may still be lacking.`,
		Args: cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			return asked.list(cmd, o)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&asked.client, "client", "", "only of this client, by its id or name")
	f.StringVar(&asked.since, "since", "7d", "how far back: 24h, 7d, a day such as 2026-10-01, or a time")
	f.IntVar(&asked.limit, "limit", 50, "the latest so many; 0 is all")
	jsonFlag(cmd, &asked.asJSON, "print JSON")
	cmd.AddCommand(pullsShow())
	return cmd
}

func (p *pullsAsked) list(cmd *cobra.Command, o *opened) error {
	ctx, now := cmd.Context(), time.Now()
	of := store.PullsOf{Limit: p.limit}
	clients, err := o.Clients(ctx)
	if err != nil {
		return err
	}
	if p.client != "" {
		c, err := namedClient(clients, p.client)
		if err != nil {
			return err
		}
		of.Client = c.ID
	}
	if of.Since, err = sinceOf(p.since, now); err != nil {
		return err
	}
	pulls, err := o.Pulls(ctx, of)
	if err != nil {
		return err
	}
	notices, err := o.notices(ctx, of.Client, now)
	if err != nil {
		return err
	}
	names := namesOf(clients)
	if p.asJSON {
		list := make([]map[string]any, len(pulls))
		for i := range pulls {
			list[i] = pullJSON(&pulls[i], names, now)
		}
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"pulls": list, "notices": notices})
	}
	w := cmd.OutOrStdout()
	if len(pulls) == 0 {
		fmt.Fprintf(w, "nobody has read a list since %s\n", words.When(of.Since))
	} else {
		out := newTable(w)
		out.AppendHeader(table.Row{"pull", "client", "when", "list", "rows", "of", "took",
			"what became of it"})
		for i := range pulls {
			one := &pulls[i]
			out.AppendRow(table.Row{strconv.FormatInt(one.ID, 10), names.of(one.Client),
				words.When(one.Began),
				listOf(one), words.Thousands(one.Rows), totalOf(one), words.Lasting(one.Last.Sub(one.Began)),
				ledger.Told(one, now)})
		}
		out.Render()
	}
	tellNotices(w, notices, names)
	return nil
}

// notices are what is wrong with how clients read; of one, or of all where it is "".
func (o *opened) notices(ctx context.Context, client string, now time.Time) ([]ledger.Notice, error) {
	pulls, err := o.Pulls(ctx, store.PullsOf{Client: client, Since: now.Add(-30 * 24 * time.Hour)})
	if err != nil {
		return nil, err
	}
	calls, err := o.CallsSince(ctx, client, now.Add(-25*time.Hour))
	notices := ledger.Notices(pulls, calls, now)
	if notices == nil {
		notices = []ledger.Notice{}
	}
	return notices, err
}

func tellNotices(w io.Writer, notices []ledger.Notice, names clientNames) {
	for _, n := range notices {
		fmt.Fprintf(w, "note: %s %s\n", names.of(n.Client), n.Text)
	}
}

// clientNames are what people call clients, by their ids.
type clientNames map[string]string

func namesOf(clients []auth.Client) clientNames {
	out := clientNames{}
	for _, c := range clients {
		out[c.ID] = c.Name
	}
	return out
}

// of is the name of a client; its id where it was removed.
func (n clientNames) of(id string) string {
	if name := n[id]; name != "" {
		return name
	}
	return id
}

// namedClient finds a client by its id or its name.
func namedClient(clients []auth.Client, text string) (auth.Client, error) {
	var known []string
	for _, c := range clients {
		if c.ID == text || strings.EqualFold(c.Name, text) {
			return c, nil
		}
		known = append(known, fmt.Sprintf("%s (%s)", c.ID, c.Name))
	}
	if len(known) == 0 {
		return auth.Client{}, errors.New("there is no client yet: add one with rollbook client add")
	}
	return auth.Client{}, fmt.Errorf("there is no client %q: there is %s", text, strings.Join(known, ", "))
}

// sinceOf reads how far back somebody wants to look.
func sinceOf(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	if day, err := time.ParseInLocation(oneroster.DateLayout, text, time.Local); err == nil {
		return day, nil
	}
	if at, dateOnly, err := oneroster.ParseInstant(text); err == nil && !dateOnly {
		return at, nil
	}
	return time.Time{}, usageError{fmt.Errorf("--since %q: write 24h, 7d, a day such as 2026-10-01, or a "+
		"time such "+
		"as 2026-10-01T06:00:00Z", text)}
}

// listOf is the list of a pull with its filter, as a person reads it.
func listOf(p *store.Pull) string {
	if p.Question == "" {
		return p.List
	}
	if asked, err := url.QueryUnescape(p.Question); err == nil {
		return p.List + "?" + asked
	}
	return p.List + "?" + p.Question
}

func totalOf(p *store.Pull) string {
	if p.Total < 0 {
		return ""
	}
	return words.Thousands(p.Total)
}

func pullJSON(p *store.Pull, names clientNames, now time.Time) map[string]any {
	missing := p.Read.Missing(max(p.Total, 0))
	if missing == nil {
		missing = store.Ranges{}
	}
	return map[string]any{"pull": p.ID, "client": p.Client, "name": names.of(p.Client), "operation": p.Op,
		"list": p.List, "query": p.Question, "began": p.Began.UTC().Format(time.RFC3339Nano),
		"last": p.Last.UTC().Format(time.RFC3339Nano), "edition": p.LastEdition,
		"firstEdition": p.FirstEdition,
		"limit":        p.Limit, "total": p.Total, "pages": p.Pages, "rows": p.Rows, "bytes": p.Bytes,
		"whole": p.Whole(), "missing": missing, "readTwice": p.Twice, "pagesBeyondTheEnd": p.Beyond,
		"failed": p.Failed, "reason": p.Reason, "milliseconds": p.Took.Milliseconds(),
		"text": "it " + ledger.Told(p, now)}
}

func pullsShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show N",
		Short: "Tell all that is known of one pull",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("%q is no number of a pull", args[0])}
			}
			p, err := o.Pull(cmd.Context(), id)
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("there is no pull %d: rollbook pulls lists them", id)
			}
			if err != nil {
				return err
			}
			clients, err := o.Clients(cmd.Context())
			if err != nil {
				return err
			}
			names, now := namesOf(clients), time.Now()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(pullJSON(&p, names, now))
			}
			return tellPull(cmd.OutOrStdout(), &p, names, now)
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func tellPull(w io.Writer, p *store.Pull, names clientNames, now time.Time) error {
	fmt.Fprintf(w, "pull %d: %s %s, and it %s\n", p.ID, names.of(p.Client), listOf(p), ledger.Told(p, now))
	out := newTable(w)
	for _, row := range [][2]string{
		{"client", fmt.Sprintf("%s (%s)", names.of(p.Client), p.Client)},
		{"operation", p.Op},
		{"first page", words.When(p.Began)},
		{"last page", fmt.Sprintf("%s, after %s", words.When(p.Last), words.Lasting(p.Last.Sub(p.Began)))},
		{"pages", fmt.Sprintf("%s of at most %s rows", words.Thousands(p.Pages), words.Thousands(p.Limit))},
		{"rows", fmt.Sprintf("%s of %s", words.Thousands(p.Rows), totalOf(p))},
		{"bytes", words.Thousands(int(p.Bytes))},
		{"as of", editionsOf(p)},
		{"answers took", p.Took.Round(time.Millisecond).String()},
		{"missing", rangesOf(p.Read.Missing(max(p.Total, 0)))},
		{"read twice", words.Count(p.Twice, "row")},
		{"after the end", words.Count(p.Beyond, "page")},
		{"refused or broken off", strings.TrimSuffix(words.Count(p.Failed, "page")+": "+p.Reason, ": ")},
	} {
		out.AppendRow(table.Row{row[0], row[1]})
	}
	out.Render()
	return nil
}

// editionsOf says what a pull was as of, and whether that changed beneath it.
func editionsOf(p *store.Pull) string {
	if p.FirstEdition == p.LastEdition {
		return fmt.Sprintf("change %d, all pages", p.LastEdition)
	}
	return fmt.Sprintf("change %d at first, change %d at last: the service could not keep to one",
		p.FirstEdition,
		p.LastEdition)
}

func rangesOf(missing store.Ranges) string {
	if len(missing) == 0 {
		return "nothing"
	}
	var parts []string
	for _, r := range missing[:min(len(missing), 10)] {
		parts = append(parts, fmt.Sprintf("rows %s to %s", words.Thousands(r.From+1), words.Thousands(r.To)))
	}
	if len(missing) > 10 {
		parts = append(parts, fmt.Sprintf("%d more pieces", len(missing)-10))
	}
	return strings.Join(parts, ", ")
}
