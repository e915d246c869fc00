package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

// dayCommand moves a living demo from the command line, where there is no curl.
func dayCommand() *cobra.Command {
	var days int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "day [URL]",
		Short: "Let school days pass in a demo --live, and tell what they changed",
		Long: `Let school days pass in a demo --live that is running, and tell what they
changed. URL is any that the demo prints; without it, that of its usual port.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			url, err := ofDemo(args, dayPath)
			if err != nil {
				return err
			}
			var m moved
			if err := post(cmd.Context(), fmt.Sprintf("%s?days=%d", url, days), "demo --live",
				&m); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(m)
			}
			m.print(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().IntVar(&days, "days", 1, fmt.Sprintf("how many school days pass, at most %d", maxDays))
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// ofDemo is the address of a path of the demo that args name by any URL which it
// prints.
func ofDemo(args []string, path string) (string, error) {
	if len(args) == 0 {
		return "http://127.0.0.1:8080" + path, nil
	}
	u, err := url.Parse(args[0])
	if err != nil || u.Host == "" || u.Scheme != "http" {
		return "", usageError{fmt.Errorf("%q is not a URL that a demo prints, such as "+
			"http://127.0.0.1:8080", args[0])}
	}
	return "http://" + u.Host + path, nil
}

// post asks a demo of a kind for something and reads its answer.
func post(ctx context.Context, url, kind string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return usageError{err}
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("is a %s running at %s? %w", kind, url, err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, 1<<30))
	if err != nil {
		return err
	}
	var refused refusal
	if a.StatusCode != http.StatusOK {
		if json.Unmarshal(body, &refused) != nil || refused.Error == "" {
			refused.Error = "this is no " + kind
		}
		return fmt.Errorf("%s answered %d: %s", url, a.StatusCode, refused.Error)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s is no %s: %w", url, kind, err)
	}
	return nil
}

// most is how many changes are printed one by one.
const most = 40

func (m moved) print(w io.Writer) {
	out := newTable(w)
	out.AppendHeader(table.Row{"", "what", "sourcedId", "why"})
	for i, c := range m.Changes {
		if i == most {
			break
		}
		out.AppendRow(table.Row{c.Op, c.Resource, c.SourcedID, c.What})
	}
	out.Render()
	if n := len(m.Changes) - most; n > 0 {
		fmt.Fprintf(w, "… and %d more; --json prints all\n", n)
	}
	fmt.Fprintf(w, "day %d, %s: %d added, %d changed, %d retired\n", m.Day, m.Date, m.Added, m.Changed,
		m.Retired)
}
