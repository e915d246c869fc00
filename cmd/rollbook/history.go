package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

func historyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "history users/ID | E-MAIL | NAME",
		Short: "Tell what became of a record, when and by whom",
		Long: `Tell what became of a record, when and by whom: each state that readers were
served, as the fields that differ from the one before. A person may be named by an
e-mail address, a username or a name. What is kept goes back 400 days, or as long as
"rollbook settings journal-days" says.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			r, id, err := o.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			versions, err := o.History(cmd.Context(), r, id)
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("there is no %s %q, and there was none", r.Name, id)
			}
			if err != nil {
				return err
			}
			changes := changesOf(versions)
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"resource": r.Plural,
					"sourcedId": id, "changes": changes})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s/%s\n", r.Plural, id)
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"when", "by", "field", "before", "after"})
			for _, c := range changes {
				when, who := c.When, c.By
				for _, f := range c.Fields {
					out.AppendRow(table.Row{when, who, f.Field, f.Before, f.After})
					when, who = "", ""
				}
			}
			out.Render()
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// A recordChange is what one change did to a record.
type recordChange struct {
	When   string        `json:"dateLastModified"`
	By     string        `json:"by"`
	Fields []fieldChange `json:"fields"`
}

type fieldChange struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// changesOf tells each version as what differs from the one before; the first is told
// whole.
func changesOf(versions []store.Version) []recordChange {
	out := []recordChange{}
	var was oneroster.Record
	for _, v := range versions {
		c := recordChange{v.Stamp, v.Cause, []fieldChange{}}
		for i, f := range v.Record.Resource.Fields {
			before := ""
			if was.Resource != nil {
				before = was.Values[i]
			}
			if after := v.Record.Values[i]; i != oneroster.Modified && i != oneroster.SourcedID &&
				before != after {
				c.Fields = append(c.Fields, fieldChange{f.Name, oneroster.Spelled(before), oneroster.Spelled(after)})
			}
		}
		if len(c.Fields) == 0 { // a new epoch of the clock
			c.Fields = append(c.Fields, fieldChange{"dateLastModified", was.Values[oneroster.Modified],
				v.Stamp})
		}
		out, was = append(out, c), v.Record
	}
	return out
}

// find finds the record that a person names: by resource and sourcedId, or a person
// by an e-mail address, a username or a name.
func (o *opened) find(ctx context.Context, what string) (*oneroster.Resource, string, error) {
	users := oneroster.ByName("user")
	if plural, id, ok := strings.Cut(what, "/"); ok {
		for _, r := range oneroster.Resources() {
			if strings.EqualFold(r.Plural, plural) || strings.EqualFold(r.Name, plural) {
				return r, id, nil
			}
		}
		return nil, "", usageError{fmt.Errorf("%q is no kind of record: write users/ID, enrollments/ID, …",
			plural)}
	}
	var found []string
	err := o.Snapshot(ctx, func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		return each(users, func(rec oneroster.Record) error {
			for _, name := range []string{rec.ID(), rec.Get("email"), rec.Get("username"),
				rec.Get("givenName") + " " + rec.Get("familyName")} {
				if strings.EqualFold(name, strings.TrimSpace(what)) {
					found = append(found, rec.ID())
					break
				}
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return nil, "", err
	case len(found) == 0:
		return nil, "", fmt.Errorf("there is nobody of the e-mail address, username or name %q: who has "+
			"left keeps the name only; else write users/ID", what)
	case len(found) > 1:
		return nil, "", fmt.Errorf("%q is %d people: write one of users/%s", what, len(found),
			strings.Join(found[:min(len(found), 10)], ", users/"))
	}
	return users, found[0], nil
}

// momentOf reads what a flag says: a day, which means its end in this machine's time zone, or a
// time.
func momentOf(flag, text string) (time.Time, error) {
	if day, err := time.ParseInLocation(oneroster.DateLayout, text, time.Local); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Millisecond), nil
	}
	at, dateOnly, err := oneroster.ParseInstant(text)
	if err != nil || dateOnly {
		return at, usageError{fmt.Errorf("%s %q: write a day such as 2026-10-01, or a time such as "+
			"2026-10-01T06:00:00Z", flag, text)}
	}
	return at, nil
}
