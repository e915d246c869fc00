package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/host"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

func clientCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "client", Short: "Add, list, limit, rotate, hand over and remove clients"}
	cmd.AddCommand(clientAdd(), clientList(), clientRotate(), clientHandover(), clientAllow(), clientBudget(),
		clientRemove())
	return cmd
}

// addClient keeps a new client and returns its id and secret, which is good until the time given.
func (o *opened) addClient(ctx context.Context, name string, scopes []string, oauth1 bool, until expiry) (id,
	secret string, err error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "", "", usageError{errors.New("a client has a name: say what it is for")}
	}
	now := time.Now()
	secret, kept := auth.NewSecret(now, o.Key, oauth1)
	kept.Expires = until.after(now)
	c := auth.Client{ID: auth.NewClientID(name), Name: name, Scopes: scopes, OAuth1: oauth1, Created: now,
		Secrets: []auth.Secret{kept}}
	return c.ID, secret, o.AddClient(ctx, c)
}

// withDistrict opens the district for a verb and closes it after.
func withDistrict(do func(cmd *cobra.Command, args []string, o *opened) error) func(*cobra.Command,
	[]string) error {
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
	_, err := fmt.Fprintf(w, "client id      %s\nclient secret  %s\n\nThe secret is not shown again.\n", id,
		secret)
	return err
}

// readySets are what well-known readers need, by name.
var readySets = map[string][]string{
	"sds": {oneroster.RosterCore, oneroster.Roster},
	"gradesync": {oneroster.RosterCore, oneroster.Roster, oneroster.GradebookRead, oneroster.GradebookPut,
		oneroster.GradebookDel},
	"google": {oneroster.RosterCore, oneroster.Roster, oneroster.GradebookRead, oneroster.GradebookPut,
		oneroster.GradebookDel},
	"canvas":    {oneroster.RosterCore, oneroster.Roster},
	"moodle":    {oneroster.RosterCore, oneroster.Roster},
	"classlink": {oneroster.RosterCore, oneroster.Roster},
	"all":       oneroster.Scopes(),
}

func clientAdd() *cobra.Command {
	var scopes []string
	var purpose string
	var oauth1, asJSON, demographics, flags, link bool
	var until expiry
	var over linked
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a client and print its id and secret, once",
		Long: `Add a client and print its id and secret, once. It may read rosters; more it
may only where that is said: by --for, which has what a reader needs, by
--scopes, --demographics and --flags.

--link prints a link in place of the secret: see rollbook client handover.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			if err := knownScopes(scopes); err != nil {
				return err
			}
			if link {
				if err := over.check(); err != nil {
					return err
				}
			}
			if purpose != "" {
				set, ok := readySets[strings.ToLower(purpose)]
				if !ok {
					return usageError{fmt.Errorf("--for %q: give one of %s", purpose,
						strings.Join(slices.Sorted(maps.Keys(readySets)), ", "))}
				}
				if !cmd.Flags().Changed("scopes") {
					scopes = nil
				}
				scopes = append(scopes, set...)
			}
			if demographics || flags {
				scopes = append(scopes, oneroster.Demographics)
			}
			if flags {
				scopes = append(scopes, oneroster.Flags)
			}
			slices.Sort(scopes)
			id, secret, err := o.addClient(cmd.Context(), args[0], slices.Compact(scopes), oauth1, until)
			if err != nil {
				return err
			}
			if link {
				return over.hand(cmd, o, asJSON, id, secret)
			}
			return credentials(cmd.OutOrStdout(), asJSON, id, secret)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&purpose, "for", "", "what a reader needs: "+
		strings.Join(slices.Sorted(maps.Keys(readySets)), ", "))
	f.StringSliceVar(&scopes, "scopes", []string{oneroster.RosterCore}, "what the client may do at most")
	f.BoolVar(&demographics, "demographics", false, "let the client read demographics")
	f.BoolVar(&flags, "flags", false,
		"let the client read demographics and the flags of users (special education, free lunch)")
	f.BoolVar(&oauth1, "oauth1", false, "let the client sign with OAuth 1.0a too")
	until.flag(cmd)
	f.BoolVar(&link, "link", false, "print a link that shows the secret once; needs --url")
	over.flag(cmd)
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func knownScopes(scopes []string) error {
	for _, s := range scopes {
		if !strings.Contains(" "+strings.Join(oneroster.Scopes(), " ")+" ", " "+s+" ") {
			return usageError{fmt.Errorf("--scopes: %q is not one of %s", s,
				strings.Join(oneroster.Scopes(), ", "))}
		}
	}
	return nil
}

func clientRotate() *cobra.Command {
	var overlap time.Duration
	var asJSON, all, now, signingKey bool
	var until expiry
	one := withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
		c, err := o.named(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		at := time.Now()
		secret, kept := auth.NewSecret(at, o.Key, c.OAuth1)
		kept.Expires = until.after(at)
		if err := o.RotateSecret(cmd.Context(), c.ID, kept, at.Add(overlap)); err != nil {
			return err
		}
		if now {
			if err := o.EndTokens(cmd.Context(), c.ID); err != nil {
				return err
			}
		}
		if err := credentials(cmd.OutOrStdout(), asJSON, c.ID, secret); err != nil || overlap > 0 || now {
			return err
		}
		_, err = fmt.Fprintln(cmd.ErrOrStderr(),
			"note: the old secrets are worth nothing; tokens that were got with them live on for an hour "+
				"at most (--now ends them)")
		return err
	})
	cmd := &cobra.Command{
		Use:   "rotate CLIENT | --all | --signing-key",
		Short: "Give a client a new secret; the old ones go on for the overlap",
		Long: `Give a client a new secret; the old ones go on for the overlap.

--now ends the old secrets and all tokens of the client at once. --signing-key gives the
district another key to sign tokens with: all tokens end within a minute, secrets stay.

--all is for a key file that is lost: take what is left of it away. Every client gets
a new secret, which has to be handed out; all tokens end with the next start of the service; old OAuth 2.0
secrets go on for the overlap, old signatures (OAuth 1.0a) do not.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if overlap < 0 {
				return usageError{fmt.Errorf("--overlap %s: give a time such as 72h, or 0s", overlap)}
			}
			if len(args) > 0 == (all || signingKey) || all && signingKey || now && (all || signingKey) {
				return usageError{errors.New("give one client, by its id or name, or --all, or " +
					"--signing-key")}
			}
			if now {
				if cmd.Flags().Changed("overlap") {
					return usageError{errors.New("--now and --overlap: give one of them")}
				}
				overlap = 0
			}
			if signingKey {
				return withDistrict(func(cmd *cobra.Command, _ []string, o *opened) error {
					if err := o.ForgetSigningKey(cmd.Context()); err != nil {
						return err
					}
					_, err := fmt.Fprintln(cmd.ErrOrStderr(),
						"every token ends within a minute: clients get new ones with the secrets "+
							"that they have")
					return err
				})(cmd, args)
			}
			if all {
				return rotateAll(cmd, overlap, until, asJSON)
			}
			return one(cmd, args)
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "end the old secrets and all tokens of the client at once")
	cmd.Flags().BoolVar(&signingKey, "signing-key", false, "of the district, that tokens are signed with")
	cmd.Flags().BoolVar(&all, "all", false, "of every client, and a new key file where it is lost")
	cmd.Flags().DurationVar(&overlap, "overlap", 72*time.Hour, "how long the old secrets stay valid")
	until.flag(cmd)
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// rotateAll gives every client a new secret under a new key.
func rotateAll(cmd *cobra.Command, overlap time.Duration, until expiry, asJSON bool) error {
	ctx := cmd.Context()
	at, err := placeOf(cmd)
	if err != nil {
		return err
	}
	dsn, file := at.dsn, at.keyFile
	s, err := store.Open(ctx, dsn, store.Options{Existing: true, Throwaway: throwaway})
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := host.OpenKey(ctx, s, dsn, file, note); err != nil {
		var lost *auth.KeyError
		if !errors.As(err, &lost) || lost.Found != "" { // another key is not overwritten
			return err
		}
	}
	if err := s.ForgetSealed(ctx); err != nil {
		return err
	}
	key, err := host.OpenKey(ctx, s, dsn, file, note)
	if err != nil {
		return err
	}
	clients, err := s.Clients(ctx)
	if err != nil {
		return err
	}
	list := []map[string]string{}
	out := newTable(cmd.OutOrStdout())
	out.AppendHeader(table.Row{"client", "name", "new secret"})
	for _, c := range clients {
		now := time.Now()
		secret, kept := auth.NewSecret(now, key, c.OAuth1)
		kept.Expires = until.after(now)
		if err := s.RotateSecret(ctx, c.ID, kept, now.Add(overlap)); err != nil {
			return err
		}
		list = append(list, map[string]string{"clientId": c.ID, "clientSecret": secret})
		out.AppendRow(table.Row{c.ID, c.Name, secret})
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
	}
	out.Render()
	_, err = fmt.Fprintln(cmd.OutOrStdout(),
		"The secrets are not shown again. A service that is running must be started again: its tokens "+
			"have ended.")
	return err
}

// named finds a client by its id, or by its name.
func (o *opened) named(ctx context.Context, name string) (*auth.Client, error) {
	c, err := o.Client(ctx, name)
	if c != nil || err != nil {
		return c, err
	}
	all, err := o.Clients(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if strings.EqualFold(all[i].Name, name) {
			return &all[i], nil
		}
	}
	return nil, unknownClient(name)
}

func unknownClient(id string) error {
	return fmt.Errorf("there is no client %q: rollbook client list shows them", id)
}

func clientRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove CLIENT",
		Short: "Remove a client; its tokens end at once",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			c, err := o.named(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return o.RemoveClient(cmd.Context(), c.ID)
		}),
	}
}
