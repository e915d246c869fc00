package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/words"
)

// A listed client is what people and programs are told of one.
type listed struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	OAuth1    bool           `json:"oauth1"`
	Working   int            `json:"secrets"` // that may be used
	Secrets   []listedSecret `json:"secretList"`
	Scopes    []string       `json:"scopes"`
	Allowed   []netip.Prefix `json:"allowed"` // none: from anywhere
	PerMinute int            `json:"requestsPerMinute"`
	AtOnce    int            `json:"atOnce"`
	Link      *listedLink    `json:"link"`
	Note      string         `json:"note"` // what is to be done about its secrets
}

// times are of RFC 3339; "" is never.
type listedSecret struct {
	ID       string `json:"id"`
	Created  string `json:"created"`
	Expires  string `json:"expires"`
	Expired  bool   `json:"expired"`
	Used     string `json:"used"`
	UsedFrom string `json:"usedFrom"` // "?": it may have been used before that was kept
}

type listedLink struct {
	State      string `json:"state"` // open, opened, ended
	Created    string `json:"created"`
	Expires    string `json:"expires"`
	Opened     string `json:"opened"`
	OpenedFrom string `json:"openedFrom"`
}

func clientList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clients: their secrets, when they were used and end, limits and links",
		Args:  cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			list, err := o.listed(cmd.Context(), time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"id", "name", "secrets", "may", "scopes"})
			for _, c := range list {
				out.AppendRow(table.Row{c.ID, c.Name, c.secrets(), c.may(),
					strings.Join(c.Scopes, "\n")})
			}
			out.Render()
			for _, c := range list {
				if c.Note != "" {
					fmt.Fprintln(cmd.OutOrStdout(), "note:", plainly(c.Note))
				}
			}
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// listed lists every client by id.
func (o *opened) listed(ctx context.Context, now time.Time) ([]listed, error) {
	clients, err := o.Clients(ctx)
	if err != nil {
		return nil, err
	}
	links, err := o.Handovers(ctx)
	if err != nil {
		return nil, err
	}
	out := []listed{}
	for _, c := range clients {
		b := c.Budget.OrDefault()
		l := listed{ID: c.ID, Name: c.Name, OAuth1: c.OAuth1, Scopes: c.Scopes, Allowed: c.Allowed,
			Secrets: []listedSecret{}, PerMinute: b.PerMinute, AtOnce: b.AtOnce}
		if wrong, do := secretNote(c, now); wrong != "" {
			l.Note = wrong + "; " + do
		}
		if l.Allowed == nil {
			l.Allowed = []netip.Prefix{}
		}
		for _, s := range c.Secrets {
			if s.Valid(now) {
				l.Working++
			}
			l.Secrets = append(l.Secrets, listedSecret{ID: s.ID, Created: at(s.Created),
				Expires: at(s.Expires),
				Expired: !s.Valid(now), Used: at(s.Used), UsedFrom: s.From})
		}
		for _, h := range links {
			if h.Client == c.ID {
				l.Link = &listedLink{State: linkState(h, now), Created: at(h.Created), Expires: at(h.Expires),
					Opened: at(h.Opened), OpenedFrom: h.From}
			}
		}
		out = append(out, l)
	}
	return out, nil
}

func linkState(h auth.Handover, now time.Time) string {
	switch {
	case !h.Opened.IsZero():
		return "opened"
	case h.Ended(now):
		return "ended"
	}
	return "open"
}

// at is a time as programs read it, "" for never.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// minute is such a time as people read it.
func minute(at string) string {
	day, rest, ok := strings.Cut(at, "T")
	if !ok {
		return "never"
	}
	return day + " " + rest[:len("15:04")]
}

// secrets tells of each secret when it was made, ends and was used, and of the link to one.
func (l listed) secrets() string {
	var lines []string
	for _, s := range l.Secrets {
		line := "made " + minute(s.Created)
		switch {
		case s.Expired:
			line += ", ended " + minute(s.Expires)
		case s.Expires != "":
			line += ", ends " + minute(s.Expires)
		}
		switch {
		case s.Used != "":
			line += ", used " + minute(s.Used) + " from " + s.UsedFrom
		case s.UsedFrom != "":
			line += ", not known when it was used"
		default:
			line += ", never used"
		}
		lines = append(lines, line)
	}
	if l.Link != nil {
		lines = append(lines, map[string]string{
			"open":   "link waits to be opened until " + minute(l.Link.Expires),
			"opened": "link opened " + minute(l.Link.Opened) + " from " + l.Link.OpenedFrom,
			"ended":  "link ended " + minute(l.Link.Expires) + ", nobody has opened it",
		}[l.Link.State])
	}
	return strings.Join(lines, "\n")
}

// may tells what is said of the client beside its scopes.
func (l listed) may() string {
	var lines []string
	if l.OAuth1 {
		lines = append(lines, "sign (OAuth 1.0a)")
	}
	for _, r := range l.Allowed {
		lines = append(lines, "come from "+r.String())
	}
	if l.PerMinute != auth.DefaultBudget.PerMinute {
		lines = append(lines, "ask "+words.Thousands(l.PerMinute)+" a minute")
	}
	if l.AtOnce != auth.DefaultBudget.AtOnce {
		lines = append(lines, "ask "+words.Thousands(l.AtOnce)+" at once")
	}
	return strings.Join(lines, "\n")
}

// soon is how long before the end of a client's secrets it is told; a secret that was made less
// than handed ago may be on its way to its reader.
const (
	soon   = 30 * 24 * time.Hour
	handed = 24 * time.Hour
)

// secretNote says in a sentence what is wrong with the secrets of a client, and what to do; "" where
// nothing is.
func secretNote(c auth.Client, now time.Time) (wrong, do string) {
	var newest, last, ended, inUse auth.Secret // last: of those that work, the one that ends last
	for _, s := range c.Secrets {
		if s.Created.After(newest.Created) {
			newest = s
		}
		switch {
		case !s.Valid(now):
			if s.Expires.After(ended.Expires) {
				ended = s
			}
			continue
		case last.ID == "" || !last.Expires.IsZero() && (s.Expires.IsZero() || s.Expires.After(last.Expires)):
			last = s
		}
		if !s.Expires.IsZero() && s.Used.After(inUse.Used) {
			inUse = s
		}
	}
	who := c.Name + " (" + c.ID + ")"
	rotate := "rollbook client rotate " + c.ID + " gives it another"
	ends := func(s auth.Secret) string { return minute(at(s.Expires)) + " UTC" }
	switch left := inUse.Expires.Sub(now); {
	case last.ID == "" && ended.ID != "":
		return "the secret of " + who + " has ended, on " + ends(ended) + ": it gets no more tokens",
			rotate + ", rollbook client remove " + c.ID + " removes it"
	case inUse.ID != "" && inUse.ID != newest.ID && newest.Unused() && left < soon &&
		(left < handed || now.Sub(newest.Created) > handed):
		return who + " still uses its old secret, which ends on " + ends(inUse) + ", " +
				daysUntil(inUse.Expires, now) + ", and never used the one made on " +
				minute(at(newest.Created)) +
				" UTC",
			"see that it has the new one; rollbook client handover " + c.ID + " hands over another"
	case last.ID != "" && !last.Expires.IsZero() && last.Expires.Sub(now) < soon:
		return "the secret of " + who + " ends on " + ends(last) + ", " + daysUntil(last.Expires, now),
			rotate + ", while this one goes on for a while"
	}
	return "", ""
}

// daysUntil says how long something has still to go.
func daysUntil(t, now time.Time) string {
	hours := int(t.Sub(now) / time.Hour)
	switch {
	case hours == 0:
		return "in less than an hour"
	case hours < 48:
		return "in " + plural(hours, "hour")
	}
	return "in " + plural(hours/24, "day")
}
