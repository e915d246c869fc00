package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/host"
	"rollbook/internal/support"
)

func supportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "support", Short: "Gather what who helps needs to know"}
	cmd.AddCommand(supportBundle())
	return cmd
}

func supportBundle() *cobra.Command {
	var client, since string
	cmd := &cobra.Command{
		Use: "bundle FILE.zip",
		Short: "Write what somebody else's engineer needs to know of one client's reads, and of nobody's " +
			"name",
		Long: `Write what somebody else's engineer needs to know: the version, the health, what the client
read and what was refused or failed by its request id, what was published, what the service
answers itself, and what School Data Sync says of it. report.md in it is the first page.

No name, address or id of the district stands in it: each is a mark that is the same all over
the bundle. Read it before you send it all the same.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) (err error) {
			ctx, now := cmd.Context(), time.Now()
			clients, err := o.Clients(ctx)
			if err != nil {
				return err
			}
			if client == "" && len(clients) != 1 {
				return usageError{errors.New("say whose reads it is about: --client, by its id or name")}
			}
			of := support.Of{Store: o.Store, Now: now, Version: version(), Engine: "SQLite",
				Settings: map[string]string{}}
			if client == "" {
				client = clients[0].ID
			}
			if of.Client, err = namedClient(clients, client); err != nil {
				return err
			}
			if of.Since, err = sinceOf(since, now); err != nil {
				return err
			}
			if dsn, _ := cmd.Flags().GetString("db"); host.IsPostgres(dsn) {
				of.Engine = "PostgreSQL"
			}
			for _, s := range host.Settings {
				if of.Settings[s.Name], err = o.Value(ctx, s.Name); err != nil {
					return err
				}
			}
			if problem, err := o.ClockProblem(ctx); err != nil {
				return err
			} else if problem != "" {
				of.Health = append(of.Health, problem)
			}
			out, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s is there already: give another name", args[0])
			}
			if err != nil {
				return err
			}
			meter := newMeter("gathering")
			bundle, err := support.Gather(ctx, of)
			meter.done()
			if err == nil {
				err = bundle.Write(out)
			}
			if err = errors.Join(err, out.Close()); err != nil {
				return errors.Join(err, os.Remove(args[0]))
			}
			for _, sentence := range bundle.Verdict() {
				fmt.Fprintln(cmd.ErrOrStderr(), sentence)
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%s: report.md is its first page; the client is %s "+
				"there\n", args[0],
				bundle.Client.Mark)
			return err
		}),
	}
	cmd.Flags().StringVar(&client, "client", "", "whose reads it is about, by its id or name")
	cmd.Flags().StringVar(&since, "since", "24h", "how far back: 24h, 7d, a day such as 2026-10-01, or a "+
		"time")
	return cmd
}
