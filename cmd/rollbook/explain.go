package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/explain"
	"rollbook/internal/oneroster"
	"rollbook/internal/words"
)

func explainCommand() *cobra.Command {
	var client, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain users/ID | E-MAIL | NAME [CLASS]",
		Short: "Tell why a reader lacks a record: what it read and when, and what changed since",
		Long: `Tell why a reader lacks a record, or has it: what is served of it, what each client
read of it and when, what changed it and by whom, and what School Data Sync says of it and
of all that it leans on. The first sentence is the reason.

A person may be named by an e-mail address, a username or a name; with the sourcedId of a
class only what has to do with that class counts. Any other record is named as
enrollments/ID, classes/ID and so on.

Exit codes: 0 it was told, 1 there is no such record.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			ctx := cmd.Context()
			var asked explain.Asked
			var err error
			if asked.Resource, asked.ID, err = o.find(ctx, args[0]); err != nil {
				return err
			}
			if len(args) > 1 {
				asked.Class = strings.TrimPrefix(args[1], "classes/")
				if asked.Resource.Name != "user" {
					return usageError{errors.New("a class is given beside a person only")}
				}
			}
			if client != "" {
				clients, err := o.Clients(ctx)
				if err != nil {
					return err
				}
				c, err := namedClient(clients, client)
				if err != nil {
					return err
				}
				asked.Client = c.ID
			}
			if at != "" {
				if asked.At, err = momentOf("--at", at); err != nil {
					return err
				}
			}
			x := explain.Explainer{Store: o.Store, Said: o.Said}
			answer, err := x.Explain(ctx, asked)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(answer)
			}
			tellAnswer(cmd.OutOrStdout(), answer)
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVar(&client, "client", "", "what this client read, by its id or name; the one that read last")
	f.StringVar(&at, "at", "", "as things were then: a day such as 2026-10-01, which means its end, or a "+
		"time")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func tellAnswer(w io.Writer, a *explain.Answer) {
	fmt.Fprintf(w, "%s\n", a.Sentence)
	for _, text := range a.Served {
		fmt.Fprintf(w, "\n%s", text)
	}
	fmt.Fprintln(w)
	if len(a.Clients) > 1 { // of the first the first sentence tells
		out := newTable(w)
		out.AppendHeader(table.Row{"other clients", "pull", "what they know"})
		for _, c := range a.Clients[1:] {
			pull := ""
			if c.Pull > 0 {
				pull = fmt.Sprint(c.Pull)
			}
			out.AppendRow(table.Row{c.Name, pull, c.Text})
		}
		out.Render()
	}
	if len(a.Changes) > 0 {
		out := newTable(w)
		out.AppendHeader(table.Row{"changed", "record", "what", "by"})
		for _, c := range a.Changes {
			at, _, _ := oneroster.ParseInstant(c.At)
			out.AppendRow(table.Row{words.When(at), c.Resource + "/" + c.SourcedID, c.Text, c.By})
		}
		out.Render()
	}
	if len(a.Rules) > 0 {
		out := newTable(w)
		out.AppendHeader(table.Row{"School Data Sync", "", "record", "what it says", "what to do"})
		for _, r := range a.Rules {
			out.AppendRow(table.Row{r.Rule, r.Severity, r.Resource + "/" + r.SourcedID, r.Text, r.Fix})
		}
		out.Render()
	}
}
