package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/auth"
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
		feedTest(store.FeedNotify, "Send a message that says that it is a test, and tell what the other side "+
			"said", testNotifier), feedRemove(store.FeedNotify))
	return cmd
}

func notifyRow(o *opened, f store.Feed) (where, when string, err error) {
	s, _, err := notify.Open(f, o.Key)
	return s.Where(), s.When(), err
}

// A notifier is what a person says of one: its settings, and what they are made of.
type notifier struct {
	notify.Settings
	mail                notify.Mail
	hook                notify.Webhook
	webhook, ca, digest string
}

func notifyAdd() *cobra.Command {
	var n notifier
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
		RunE: addFeed(func(cmd *cobra.Command, name string, o *opened) (f store.Feed, told string, err error) {
			secrets, err := n.ways(cmd)
			if err != nil {
				return f, "", err
			}
			n.complete(o)
			if _, err := n.Way(secrets); err != nil {
				return f, "", usageError{err}
			}
			latest, err := o.Publications(cmd.Context(), 1)
			if err != nil {
				return f, "", err
			}
			last := int64(0)
			if len(latest) > 0 {
				last = latest[0].ID
			}
			f, err = n.Feed(name, secrets, o.Key, time.Now().UTC(), last)
			return f, fmt.Sprintf("notifier %s: %s; told: %s", name, plainly(n.Where()), n.When()), err
		}),
	}
	n.flags(cmd)
	return cmd
}

func (n *notifier) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&n.mail.URL, "smtp", "",
		"smtp://user@host:587 (STARTTLS), smtps://user@host:465, or smtp+plain://localhost:25")
	f.StringVar(&n.mail.From, "from", "", "with --smtp: address that messages come from")
	f.StringSliceVar(&n.mail.To, "to", nil, "with --smtp: addresses that they go to")
	f.StringVar(&n.webhook, "webhook", "", "https:// URL that messages are posted to")
	f.StringVar(&n.hook.Kind, "body", "json", "with --webhook: json, slack or teams")
	f.StringSliceVar(&n.Command, "command", nil,
		"program, and its arguments after commas, that gets them as JSON")
	f.StringVar(&n.ca, "ca", "", "PEM file of an authority to trust beside the system's")
	f.StringSliceVar(&n.On, "on", nil, "events that are told (default: all but published)")
	f.StringVar(&n.digest, "digest", "",
		"time of the day, such as 07:00, for one message of all that has happened")
	f.StringVar(&n.SilentSource, "silent-source", "26h", "how long a source may bring nothing")
	f.StringVar(&n.SilentReader, "silent-reader", "26h", "how long a reader that used to come may stay away")
	f.StringVar(&n.Remind, "remind", "24h", "how often trouble that goes on is told again")
	f.BoolVar(&n.IDs, "ids", false, "sourcedIds of examples may be told")
	f.StringVar(&n.District, "title", "",
		"name of the district in subjects (default: as \"rollbook district add\" has it)")
}

// ways puts into settings how it tells. Secrets are in the environment, or who sits at the terminal has them.
func (n *notifier) ways(cmd *cobra.Command) (notify.Secrets, error) {
	if err := readFiles(&n.ca); err != nil {
		return nil, err
	}
	secrets := notify.Secrets{}
	if text := os.Getenv("ROLLBOOK_SIGN"); text != "" {
		secrets[notify.Sign] = text
	}
	if n.webhook != "" {
		secrets[notify.URL], n.hook.Host, n.hook.CA = n.webhook, hostOf(n.webhook), n.ca
		n.Webhook = &n.hook
	}
	if n.mail.URL != "" {
		n.mail.CA = n.ca
		n.Mail = &n.mail
	}
	u, err := url.Parse(n.mail.URL)
	if err != nil || u.User.Username() == "" {
		return secrets, nil // Way says what is wrong with the URL
	}
	secrets[notify.Password] = os.Getenv("ROLLBOOK_PASSWORD")
	if secrets[notify.Password] == "" {
		secrets[notify.Password], err = askSecret(cmd, "password at "+u.Host)
	}
	return secrets, err
}

// complete puts into settings what is usual where nothing was said.
func (n *notifier) complete(o *opened) {
	if len(n.On) == 0 {
		for _, e := range notify.Events {
			if e.Usual {
				n.On = append(n.On, e.Name)
			}
		}
	}
	n.Short, n.District = o.Entry.ID, cmp.Or(n.District, o.Entry.Title, o.Entry.ID)
	if n.digest != "" {
		n.Digest.At = []string{n.digest}
	}
}

func testNotifier(ctx context.Context, f store.Feed, key *auth.Key) (string, error) {
	said, err := notify.Test(ctx, f, key, time.Now())
	if err != nil {
		err = errors.Join(errors.New("nothing was sent"), err)
	}
	return said, err
}
