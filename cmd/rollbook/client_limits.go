package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/words"
)

func clientAllow() *cobra.Command {
	var anywhere, asJSON bool
	cmd := &cobra.Command{
		Use:   "allow CLIENT [RANGE…]",
		Short: "Say from which addresses a client may come",
		Long: `Say from which addresses a client may come, in place of what was said before; without
any, tell what was said. It holds at once, for tokens and for signatures, in every
process. From elsewhere the client is refused with 403.

  rollbook client allow sds 192.0.2.0/24 2001:db8::/32
  rollbook client allow sds --anywhere

Behind a proxy it is the address that the proxy tells: serve --trust-proxy.`,
		Args: cobra.MinimumNArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			c, err := o.named(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			ranges, err := auth.ParseRanges(args[1:])
			if err != nil {
				return usageError{err}
			}
			if anywhere && len(ranges) > 0 {
				return usageError{errors.New("give ranges, or --anywhere")}
			}
			if anywhere || len(ranges) > 0 {
				if err := o.Limit(cmd.Context(), c.ID, ranges, c.Budget); err != nil {
					return err
				}
				c.Allowed = ranges
			}
			if asJSON {
				texts := []string{}
				for _, r := range c.Allowed {
					texts = append(texts, r.String())
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"id": c.ID, "allowed": texts})
			}
			where := "anywhere"
			if len(c.Allowed) > 0 {
				where = strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Allowed), " ", ", "), "[]")
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s may come from %s\n", c.ID, where)
			return err
		}),
	}
	cmd.Flags().BoolVar(&anywhere, "anywhere", false, "let the client come from any address")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func clientBudget() *cobra.Command {
	var perMinute, atOnce int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "budget CLIENT",
		Short: "Say how much a client may ask",
		Long: fmt.Sprintf(
			`Say how much a client may ask; without a flag, tell what was said. What is beyond it is
refused with 429, and Retry-After says when to come again. It holds at once, and for
each process by itself: two of them take twice as much.

After a pause a client may ask for a whole minute's requests at once; from then on
they come back one by one. Who says nothing, or 0, has the default, which no reader
meets that waits for its answers: %d a minute, %d at once.`, auth.DefaultBudget.PerMinute,
			auth.DefaultBudget.AtOnce),
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			c, err := o.named(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			asked := c.Budget
			for _, f := range []struct {
				name   string
				is, of *int
			}{{"requests-per-minute", &perMinute, &asked.PerMinute}, {"at-once", &atOnce, &asked.AtOnce}} {
				if *f.is < 0 || *f.is > 1e9 {
					return usageError{fmt.Errorf("--%s %d: give a number from 1, or 0 for the default",
						f.name,
						*f.is)}
				}
				if cmd.Flags().Changed(f.name) {
					*f.of = *f.is
				}
			}
			if asked != c.Budget {
				if err := o.Limit(cmd.Context(), c.ID, c.Allowed, asked); err != nil {
					return err
				}
			}
			b := asked.OrDefault()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"id": c.ID,
					"requestsPerMinute": b.PerMinute, "atOnce": b.AtOnce})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: requests a minute %s, at once %s\n", c.ID,
				words.Thousands(b.PerMinute), words.Thousands(b.AtOnce))
			return err
		}),
	}
	cmd.Flags().IntVar(&perMinute, "requests-per-minute", 0,
		"how many requests a client may make in a minute")
	cmd.Flags().IntVar(&atOnce, "at-once", 0, "how many requests of a client are answered at a time")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}
