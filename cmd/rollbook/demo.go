package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
)

// A greeting is what a newcomer needs to try the demo.
type greeting struct {
	BaseURL      string `json:"baseUrl"`
	TokenURL     string `json:"tokenUrl"`
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
	TeacherEmail string `json:"teacherEmail"`
	SchoolYear   string `json:"schoolYear"`
	School       string `json:"school"`
	ClassGroup   string `json:"classGroup"`
}

func demoCommand() *cobra.Command {
	var addr string
	var opt sandbox.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Serve a made-up district, with nothing to set up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dsn, _ := cmd.Flags().GetString("db")
			if !cmd.Flags().Changed("db") {
				dir, err := os.MkdirTemp("", "rollbook-demo-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(dir)
				dsn = filepath.Join(dir, "demo.db")
			}
			keyFile, _ := cmd.Flags().GetString("key-file")
			o, err := openAt(cmd.Context(), dsn, keyFile)
			if err != nil {
				return err
			}
			defer o.Close()
			return demo(cmd.Context(), cmd.OutOrStdout(), o, sandbox.New(opt), addr, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&addr, "addr", "127.0.0.1:8080", "address to listen on; the next free port when it is taken")
	f.IntVar(&opt.Students, "students", 1000, "how many students to make up")
	f.Int64Var(&opt.Seed, "seed", 1, "another seed, other people")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

func demo(ctx context.Context, out io.Writer, o *opened, d *sandbox.District, addr string, asJSON bool) error {
	if err := onlyMadeUp(ctx, o); err != nil {
		return err
	}
	if _, err := o.Import(ctx, d, store.ImportOptions{}); err != nil {
		return err
	}
	id, secret, err := o.addClient(ctx, "demo", oneroster.Scopes(), true)
	if err != nil {
		return err
	}
	gate, err := o.gate(ctx)
	if err != nil {
		return err
	}
	l, err := listenNear(addr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server := rest.NewServer(rest.New(rest.Config{Store: o.Store, Gate: gate, Face: oneroster.V1p1, Log: log}))
	host, facts := "http://"+l.Addr().String(), d.Facts()
	g := greeting{host + oneroster.V1p1.Base, host + "/token", id, secret, facts.TeacherEmail, facts.SchoolYear, facts.School, facts.ClassGroup}
	if asJSON {
		err = json.NewEncoder(out).Encode(g)
	} else {
		err = g.print(out)
	}
	if err != nil {
		return err
	}
	return serveUntilDone(ctx, server, l)
}

// onlyMadeUp keeps the demo out of a real district, all of which its import
// would retire.
func onlyMadeUp(ctx context.Context, o *opened) error {
	empty, err := o.Empty(ctx)
	if err != nil || empty {
		return err
	}
	for name, id := range map[string]string{"org": "dst-1", "user": "a1", "classGroup": "grp-1"} {
		if known, err := o.Known(ctx, oneroster.ByName(name), id); err != nil || !known {
			return errors.Join(err, errors.New("this database holds a district that is not made up: serve it with rollbook serve, or give the demo another --db"))
		}
	}
	return nil
}

func (g greeting) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `A made-up district is being served. Ctrl-C ends it.

  base URL       %s
  token URL      %s
  client id      %s
  client secret  %s
  a teacher      %s

Paste this to get a token, and the first page:

  TOKEN=$(curl -s -u '%s:%s' -d grant_type=client_credentials %s | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s -H "Authorization: Bearer $TOKEN" '%s/users?limit=3'

`, g.BaseURL, g.TokenURL, g.ClientID, g.ClientSecret, g.TeacherEmail, g.ClientID, g.ClientSecret, g.TokenURL, g.BaseURL)
	return err
}

// listenNear takes the address, or one of the ports after it.
func listenNear(addr string) (net.Listener, error) {
	if !loopback(addr) {
		return nil, usageError{fmt.Errorf("--addr %s: the demo speaks plain HTTP and serves this machine only: use 127.0.0.1:PORT", addr)}
	}
	host, port, _ := net.SplitHostPort(addr)
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, usageError{fmt.Errorf("--addr %s: %w", addr, err)}
	}
	l, err := net.Listen("tcp", addr)
	for i := 1; err != nil && n > 0 && i < 50; i++ {
		l, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n+i)))
	}
	return l, err
}
