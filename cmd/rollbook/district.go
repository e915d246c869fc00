package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/host"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

func districtCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "district",
		Short: "Several districts side by side in one service",
		Long: `Several districts side by side in one service. --db is a folder, in which each is a SQLite
file, or a postgres:// URL, in which each is a schema. Each has its own clients, keys,
settings and clock. Every other verb takes --district NAME.`,
	}
	cmd.AddCommand(districtAdd(), districtList(), districtRemove(), districtMove())
	return cmd
}

// houseOf opens the folder or the database of --db.
func houseOf(cmd *cobra.Command, make bool) (*host.House, error) {
	dsn, _ := cmd.Flags().GetString("db")
	keyFile, _ := cmd.Flags().GetString("key-file")
	if !cmd.Flags().Changed("db") {
		return nil, usageError{errors.New("say where the districts lie: --db FOLDER, or --db postgres://…")}
	}
	h, err := houseAt(cmd.Context(), dsn, keyFile, make)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func houseAt(ctx context.Context, dsn, keyFile string, make bool) (*host.House, error) {
	if make && !host.IsPostgres(dsn) {
		if err := os.MkdirAll(store.Place(dsn), 0o700); err != nil {
			return nil, err
		}
	}
	return host.OpenHouse(ctx, dsn, keyFile)
}

// withHouse opens the house of --db for a verb.
func withHouse(make bool, do func(*cobra.Command, []string, *host.House) error) func(*cobra.Command,
	[]string) error {
	return func(cmd *cobra.Command, args []string) error {
		h, err := houseOf(cmd, make)
		if err != nil {
			return err
		}
		defer h.Close()
		err = do(cmd, args, h)
		if errors.As(err, new(*host.UnknownDistrict)) {
			err = usageError{err}
		}
		return err
	}
}

// ofOne are the options of a district that a verb opens.
func ofOne() host.Options {
	return host.Options{Options: store.Options{Throwaway: throwaway}, Note: note}
}

func districtAdd() *cobra.Command {
	var e host.Entry
	var s host.Sandbox
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a district beside others",
		Long: `Make a district beside others. Its short name is a part of its addresses:
https://HOST/NAME/ims/oneroster/v1p1, https://HOST/NAME/token. With --host it is served at
that host too, as if it were alone there. A service that runs finds it within seconds.

With --sandbox it is a made-up district that lives by itself while it is served: a school
day passes each school night (or as --at, --every or --cron say), and what clients wrote
to its gradebook goes --reset nightly, weekly or never. Its clients stay.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.ID, e.Host = args[0], strings.ToLower(e.Host)
			if err := host.RightID(e.ID); err != nil {
				return usageError{err}
			}
			if len(s.At) == 0 && s.Every == "" && s.Cron == "" {
				s.Cron = "10 3 * * 1-5"
			}
			if err := s.Check(); err != nil {
				return usageError{err}
			}
			return withHouse(true, func(cmd *cobra.Command, args []string, h *host.House) error {
				if e.Title == "" {
					e.Title = e.ID
				}
				d, err := h.Add(cmd.Context(), e, ofOne())
				if err != nil {
					return err
				}
				defer d.Close()
				if e.Sandbox {
					if err := d.Live(cmd.Context(), s); err != nil {
						return err
					}
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s lies at %s\nbase URL   https://HOST/%s%s\n"+
					"token URL  https://HOST/%s/token\n", e.ID, d.Place, e.ID, oneroster.V1p1.Base, e.ID)
				if err == nil && e.Host != "" {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "and also   https://%s%s and /token\n", e.Host,
						oneroster.V1p1.Base)
				}
				return err
			})(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.Title, "name", "", "its name, for people")
	f.StringVar(&e.Host, "host", "", "a host of its own, such as roster.springfield.example")
	f.BoolVar(&e.Sandbox, "sandbox", false, "make a made-up district, which lives by itself")
	f.IntVar(&s.Students, "students", 1000, "with --sandbox: how many students to make up")
	f.Int64Var(&s.Seed, "seed", 1, "with --sandbox: another seed, other people")
	f.StringVar(&s.Reset, "reset", "nightly",
		"with --sandbox: when what clients wrote goes, nightly, weekly or never")
	f.StringSliceVar(&s.At, "at", nil,
		"with --sandbox: times of the day when a school day passes, such as 03:10")
	f.StringVar(&s.Every, "every", "", "with --sandbox: how often one passes, such as 1h")
	f.StringVar(&s.Cron, "cron", "",
		"with --sandbox: the same as five fields of cron (by default 10 3 * * 1-5)")
	return cmd
}

// listedDistrict is a district as district list tells it to a program.
type listedDistrict struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Host        string `json:"host"`
	Sandbox     bool   `json:"sandbox"`
	Place       string `json:"place"`
	Problem     string `json:"problem"` // why it cannot be opened
	Records     int    `json:"records"` // active
	Published   string `json:"published"`
	Publication int    `json:"publications"`
	Held        string `json:"held"` // since when
	Clients     int    `json:"clients"`
}

func districtList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the districts and how they are",
		Args:  cobra.NoArgs,
		RunE: withHouse(false, func(cmd *cobra.Command, _ []string, h *host.House) error {
			entries, err := h.Entries(cmd.Context())
			if err != nil {
				return err
			}
			list := []listedDistrict{}
			for _, e := range entries {
				one, err := lookAt(cmd.Context(), h, e)
				if cmd.Context().Err() != nil {
					return cmd.Context().Err()
				}
				if err != nil {
					one.Problem = err.Error()
				}
				list = append(list, one)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			out := newTable(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"district", "name", "host", "records", "published", "held since",
				"clients"})
			for _, d := range list {
				held := ""
				if d.Held != "" {
					held = minute(d.Held)
				}
				row := table.Row{d.ID, d.Name, d.Host, words.Thousands(d.Records), minute(d.Published), held,
					d.Clients}
				if d.Problem != "" {
					row = table.Row{d.ID, d.Name, d.Host, "?", "", "", ""}
				}
				out.AppendRow(row)
			}
			out.Render()
			for _, d := range list {
				if d.Problem != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "note: %s cannot be opened: %s\n", d.ID,
						plainly(d.Problem))
				}
			}
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// lookAt tells how a district is. One of another version of the program is not touched.
func lookAt(ctx context.Context, h *host.House, e host.Entry) (out listedDistrict, err error) {
	out = listedDistrict{ID: e.ID, Name: e.Title, Host: e.Host, Sandbox: e.Sandbox}
	dsn, keyFile, err := h.At(e.ID)
	if err != nil {
		return out, err
	}
	out.Place = store.Place(dsn)
	ex, err := store.Examine(ctx, dsn)
	if err == nil && ex.Schema != ex.Knows {
		err = fmt.Errorf("its schema is version %d and this program knows %d", ex.Schema, ex.Knows)
	}
	if err == nil {
		_, err = os.Stat(keyFile)
	}
	if err != nil {
		return out, err
	}
	s, err := store.Open(ctx, dsn, store.Options{Existing: true, Throwaway: throwaway, Beside: true})
	if err != nil {
		return out, err
	}
	defer s.Close()
	counts, err := s.Counts(ctx)
	if err != nil {
		return out, err
	}
	for _, n := range counts {
		out.Records += n
	}
	f, err := s.Figures(ctx)
	if err != nil {
		return out, err
	}
	out.Published, out.Held = at(f.Published), at(f.Held)
	for _, n := range f.States {
		out.Publication += n
	}
	clients, err := s.Clients(ctx)
	out.Clients = len(clients)
	return out, err
}

func districtRemove() *cobra.Command {
	var yes, file string
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a district away; a backup of it stays",
		Long: `Take a district away, for good. All that it is is written to a backup first, and its key
beside that; rollbook restore --moves brings it back. It asks for the name again, unless
--yes-remove tells it.`,
		Args: cobra.ExactArgs(1),
		RunE: withHouse(false, func(cmd *cobra.Command, args []string, h *host.House) error {
			e, err := h.Find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if yes == "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "This removes the district %s (%s). Its name again: ", e.ID,
					plainly(e.Title))
				line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // what was read counts
				yes = strings.TrimSpace(line)
			}
			if yes != e.ID {
				return usageError{fmt.Errorf("nothing was removed: the name is %s", e.ID)}
			}
			if file == "" {
				file = e.ID + "-" + time.Now().UTC().Format("20060102-150405") + ".db"
			}
			if file, err = h.Retire(cmd.Context(), e, file, ofOne()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is removed; all that it was is in %s, and its key "+
				"in %s\n", e.ID, file, file+".key")
			return err
		}),
	}
	cmd.Flags().StringVar(&yes, "yes-remove", "", "its name again, for programs")
	cmd.Flags().StringVar(&file, "backup", "", "file for the backup; by default NAME-TIME.db in this folder")
	return cmd
}

func districtMove() *cobra.Command {
	var to, key string
	cmd := &cobra.Command{
		Use:   "move NAME --to FOLDER|postgres://…",
		Short: "Bring a district to another folder or engine",
		Long: `Bring a district to another folder, or into the PostgreSQL database at a URL, with all that
it is: records with their stamps, clients and keys, settings, publications, journal.
Nobody is served it meanwhile, and then where it is: deltas of readers and their
tokens just go on. A move that was broken off is run again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return usageError{errors.New("say where it is to be: --to FOLDER, or --to postgres://…")}
			}
			return withHouse(false, func(cmd *cobra.Command, args []string, h *host.House) error {
				there, err := houseAt(cmd.Context(), to, key, true)
				if err != nil {
					return err
				}
				defer there.Close()
				left, err := h.Move(cmd.Context(), args[0], there, ofOne())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s lies in %s now; deltas go on. What it was lies "+
					"at %s still, and may be removed\n", args[0], there.Place(), left)
				return err
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "folder of districts, or postgres:// URL, that it is brought to")
	cmd.Flags().StringVar(&key, "to-key-file", "",
		"key file of all districts there; by default each has its own")
	return cmd
}
