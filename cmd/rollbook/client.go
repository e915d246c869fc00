package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

func clientCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "client", Short: "Add, list, rotate and remove clients"}
	cmd.AddCommand(clientAdd(), clientList(), clientRotate(), clientRemove())
	return cmd
}

// addClient keeps a new client and returns its id and secret.
func (o *opened) addClient(ctx context.Context, name string, scopes []string, oauth1 bool) (id, secret string, err error) {
	now := time.Now()
	secret, kept := auth.NewSecret(now, o.key, oauth1)
	c := auth.Client{ID: auth.NewClientID(name), Name: name, Scopes: scopes, OAuth1: oauth1, Created: now, Secrets: []auth.Secret{kept}}
	return c.ID, secret, o.AddClient(ctx, c)
}

// withDistrict opens the district for a verb and closes it after.
func withDistrict(do func(cmd *cobra.Command, args []string, o *opened) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		o, err := openDistrict(cmd, false)
		if err != nil {
			return err
		}
		defer o.Close()
		return do(cmd, args, o)
	}
}

// credentials prints an id and a secret, the only time that it is shown.
func credentials(w io.Writer, asJSON bool, id, secret string) error {
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]string{"clientId": id, "clientSecret": secret})
	}
	_, err := fmt.Fprintf(w, "client id      %s\nclient secret  %s\n\nThe secret is not shown again.\n", id, secret)
	return err
}

func clientAdd() *cobra.Command {
	var scopes []string
	var oauth1, asJSON bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a client and print its id and secret, once",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			if err := knownScopes(scopes); err != nil {
				return err
			}
			id, secret, err := o.addClient(cmd.Context(), args[0], scopes, oauth1)
			if err != nil {
				return err
			}
			return credentials(cmd.OutOrStdout(), asJSON, id, secret)
		}),
	}
	cmd.Flags().StringSliceVar(&scopes, "scopes", oneroster.Scopes(), "what the client may do at most")
	cmd.Flags().BoolVar(&oauth1, "oauth1", false, "let the client sign with OAuth 1.0a too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func knownScopes(scopes []string) error {
	for _, s := range scopes {
		if !strings.Contains(" "+strings.Join(oneroster.Scopes(), " ")+" ", " "+s+" ") {
			return usageError{fmt.Errorf("--scopes: %q is not one of %s", s, strings.Join(oneroster.Scopes(), ", "))}
		}
	}
	return nil
}

func clientList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clients",
		Args:  cobra.NoArgs,
		RunE: withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
			clients, err := o.Clients(cmd.Context())
			if err != nil {
				return err
			}
			out := table.NewWriter()
			out.SetOutputMirror(cmd.OutOrStdout())
			out.AppendHeader(table.Row{"id", "name", "oauth1", "secrets", "scopes"})
			list := []map[string]any{}
			for _, c := range clients {
				list = append(list, map[string]any{"id": c.ID, "name": c.Name, "oauth1": c.OAuth1, "secrets": len(c.Secrets), "scopes": c.Scopes})
				out.AppendRow(table.Row{c.ID, c.Name, c.OAuth1, len(c.Secrets), strings.Join(c.Scopes, "\n")})
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			out.Render()
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func clientRotate() *cobra.Command {
	var overlap time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a client a new secret; the old ones go on for the overlap",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			c, err := o.Client(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c == nil {
				return unknownClient(args[0])
			}
			now := time.Now()
			secret, kept := auth.NewSecret(now, o.key, c.OAuth1)
			if err := o.RotateSecret(cmd.Context(), c.ID, kept, now.Add(overlap)); err != nil {
				return err
			}
			return credentials(cmd.OutOrStdout(), asJSON, c.ID, secret)
		}),
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 72*time.Hour, "how long the old secrets stay valid")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func unknownClient(id string) error {
	return fmt.Errorf("there is no client %q: rollbook client list shows them", id)
}

func clientRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a client; its tokens end at once",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			err := o.RemoveClient(cmd.Context(), args[0])
			if errors.Is(err, store.ErrNotFound) {
				return unknownClient(args[0])
			}
			return err
		}),
	}
}
