package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/notify"
	"rollbook/internal/store"
)

func notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Let somebody be told of what happens: by e-mail, a webhook, or a command",
		Long: `Let somebody be told of what happens to the district: that a publication is held or refused,
that a source fails or has brought nothing for long, that a reader does not come any more. "rollbook serve"
looks twice a minute. Messages have counts and no names. docs/feeds.md takes you through.`,
	}
	cmd.AddCommand(notifyAdd(), feedList(store.FeedNotify, notifyRow), feedShow(store.FeedNotify),
		notifyTest(),
		feedRemove(store.FeedNotify))
	return cmd
}

func notifyRow(o *opened, f store.Feed) (where, when string, err error) {
	s, _, err := notify.Open(f, o.Key)
	return s.Where(), s.When(), err
}

func notifyAdd() *cobra.Command {
	var s notify.Settings
	var mail notify.Mail
	var hook notify.Webhook
	var to, usual []string
	var webhook, ca, digest string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add somebody who is to be told",
		Long: `Add somebody who is to be told.

  rollbook notify add office --smtp smtp://rollbook@mail.example:587 --from rollbook@district.example \
      --to office@district.example
  rollbook notify add chat --webhook https://hooks.slack.com/services/… --body slack
  rollbook notify add pager --webhook https://ops.example/rollbook --on held,failed
  rollbook notify add script --command /usr/local/bin/told

Events: ` + notify.EventNames() + `.
The password of a mail server is asked for on a terminal, or taken from ROLLBOOK_PASSWORD; what signs the
body of a webhook from ROLLBOOK_SIGN. Both, and the URL of a webhook, are sealed with the key file and
never shown. "rollbook notify test NAME" sends a message that says that it is a test.`,
		Args: cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			if err := feedName(args[0]); err != nil {
				return err
			}
			if ca != "" {
				text, err := os.ReadFile(ca)
				if err != nil {
					return usageError{err}
				}
				ca = string(text)
			}
			secrets := notify.Secrets{}
			if text := os.Getenv("ROLLBOOK_SIGN"); text != "" {
				secrets[notify.Sign] = text
			}
			if webhook != "" {
				secrets[notify.URL], hook.Host, hook.CA = webhook, hostOf(webhook), ca
				s.Webhook = &hook
			}
			if mail.URL != "" {
				mail.To, mail.CA = to, ca
				s.Mail = &mail
				if u, err := url.Parse(mail.URL); err == nil && u.User.Username() != "" {
					if secrets[notify.Password] = os.Getenv("ROLLBOOK_PASSWORD"); secrets[notify.Password] == "" {
						if secrets[notify.Password], err = askSecret(cmd, "password at "+u.Host); err != nil {
							return err
						}
					}
				}
			}
			if s.On = usual; len(usual) == 0 {
				for _, e := range notify.Events {
					if e.Usual {
						s.On = append(s.On, e.Name)
					}
				}
			}
			s.Short, s.District = o.Entry.ID, cmp.Or(s.District, o.Entry.Title, o.Entry.ID)
			if digest != "" {
				s.Digest.At = []string{digest}
			}
			if _, err := s.Way(secrets); err != nil {
				return usageError{err}
			}
			last := int64(0)
			latest, err := o.Publications(cmd.Context(), 1)
			if err != nil {
				return err
			}
			if len(latest) > 0 {
				last = latest[0].ID
			}
			f, err := s.Feed(args[0], secrets, o.Key, time.Now().UTC(), last)
			if err == nil {
				err = o.AddFeed(cmd.Context(), f)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "notifier %s: %s; told: %s\n", args[0],
				plainly(s.Where()), s.When())
			return err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&mail.URL, "smtp", "", "smtp://user@host:587 (STARTTLS), smtps://user@host:465, or "+
		"smtp+plain://localhost:25")
	f.StringVar(&mail.From, "from", "", "with --smtp: address that messages come from")
	f.StringSliceVar(&to, "to", nil, "with --smtp: addresses that they go to")
	f.StringVar(&webhook, "webhook", "", "https:// URL that messages are posted to")
	f.StringVar(&hook.Kind, "body", "json", "with --webhook: json, slack or teams")
	f.StringSliceVar(&s.Command, "command", nil, "program, and its arguments after commas, that gets them "+
		"as JSON")
	f.StringVar(&ca, "ca", "", "PEM file of an authority to trust beside the system's")
	f.StringSliceVar(&usual, "on", nil, "events that are told (default: all but published)")
	f.StringVar(&digest, "digest", "", "time of the day, such as 07:00, for one message of all that has "+
		"happened")
	f.StringVar(&s.SilentSource, "silent-source", "26h", "how long a source may bring nothing")
	f.StringVar(&s.SilentReader, "silent-reader", "26h", "how long a reader that used to come may stay away")
	f.StringVar(&s.Remind, "remind", "24h", "how often trouble that goes on is told again")
	f.BoolVar(&s.IDs, "ids", false, "sourcedIds of examples may be told")
	f.StringVar(&s.District, "title", "", "name of the district in subjects (default: as "+
		"\"rollbook district add\" has it)")
	return cmd
}

func notifyTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Send a message that says that it is a test, and tell what the other side said",
		Args:  cobra.ExactArgs(1),
		RunE: withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
			f, err := o.feed(cmd.Context(), store.FeedNotify, args[0])
			if err != nil {
				return err
			}
			said, err := notify.Test(cmd.Context(), f, o.Key, time.Now())
			if err != nil {
				return errors.Join(errors.New("nothing was sent"), err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), plainly(said))
			return err
		}),
	}
}
