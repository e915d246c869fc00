package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

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
changed. URL is the one that the demo prints; without it, that of its usual port.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			url := "http://127.0.0.1:8080" + dayPath
			if len(args) > 0 {
				url = args[0]
			}
			m, err := moveDays(cmd.Context(), url, days)
			if err != nil {
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

func moveDays(ctx context.Context, url string, days int) (m moved, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s?days=%d", url, days), nil)
	if err != nil {
		return m, usageError{err}
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return m, fmt.Errorf("is a demo --live running at %s? %w", url, err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, 1<<30))
	if err != nil {
		return m, err
	}
	var refused refusal
	if a.StatusCode != http.StatusOK {
		if json.Unmarshal(body, &refused) != nil || refused.Error == "" {
			refused.Error = "this is no demo --live"
		}
		return m, fmt.Errorf("%s answered %d: %s", url, a.StatusCode, refused.Error)
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("%s is no demo --live: %w", url, err)
	}
	return m, nil
}

// most is how many changes are printed one by one.
const most = 40

func (m moved) print(w io.Writer) {
	out := table.NewWriter()
	out.SetOutputMirror(w)
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
	fmt.Fprintf(w, "day %d, %s: %d added, %d changed, %d retired\n", m.Day, m.Date, m.Added, m.Changed, m.Retired)
}
