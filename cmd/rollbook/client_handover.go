package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/rest"
)

// An expiry is when a secret ends: after a while, or on a day; the zero value is never.
type expiry struct {
	text  string
	while time.Duration
	day   time.Time
}

func (e *expiry) flag(cmd *cobra.Command) {
	cmd.Flags().Var(e, "expires", "when the secret ends: 365d, 72h, or the first day without it, such as "+
		"2027-08-01 (UTC); never by default")
}

func (e *expiry) String() string { return e.text }
func (e *expiry) Type() string   { return "time" }

// Set reads what --expires says.
func (e *expiry) Set(text string) error {
	*e = expiry{text: text}
	day, err := time.Parse(time.DateOnly, text)
	if err == nil && day.After(time.Now()) {
		e.day = day
		return nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		e.while = time.Duration(min(n, 36500)) * 24 * time.Hour
	} else {
		e.while, err = time.ParseDuration(text)
	}
	if err != nil || e.while <= 0 {
		return errors.New("give a time to come, such as 365d, 72h or 2027-08-01")
	}
	return nil
}

// after is when a secret ends that is made now.
func (e expiry) after(now time.Time) time.Time {
	if e.while > 0 {
		return now.Add(e.while)
	}
	return e.day
}

// linked is how a secret is handed over by a link.
type linked struct{ url string }

func (l *linked) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.url, "url", "", "public base URL of the service, for the link")
}

// check tells what is wrong with the URL, before there is a secret.
func (l *linked) check() error {
	if l.url == "" {
		return usageError{errors.New("a link needs the public base URL of the service: --url " +
			"https://roster.example.org")}
	}
	u, err := publicURL(l.url)
	if err != nil {
		return err
	}
	if u.Scheme != "https" && !loopback(net.JoinHostPort(u.Hostname(), "0")) {
		return usageError{fmt.Errorf("--url %s: others on the way would read the secret: give an https:// "+
			"URL",
			l.url)}
	}
	l.url = strings.TrimRight(u.String(), "/")
	return nil
}

// hand puts a secret behind a link, and prints that.
func (l *linked) hand(cmd *cobra.Command, o *opened, asJSON bool, id, secret string) error {
	token, h := auth.NewHandover(id, secret, time.Now())
	if err := o.KeepHandover(cmd.Context(), h); err != nil {
		return err
	}
	link := l.url + below(l.url, o.Entry) + rest.HandoverPath(token)
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"clientId": id, "link": link,
			"expires": at(h.Expires)})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), `client id  %s
link       %s

Whoever opens it first is shown the secret, and nobody after; until %s UTC.
rollbook client list tells when it was opened, and from where.
`, id, link, minute(at(h.Expires)))
	return err
}

func clientHandover() *cobra.Command {
	var overlap time.Duration
	var asJSON bool
	var until expiry
	var over linked
	cmd := &cobra.Command{
		Use:   "handover CLIENT --url https://HOST",
		Short: "Give a client a new secret by a link that can be opened once",
		Long: `Give a client a new secret by a link that can be opened once, within a week. It is a page
of the service (serve), which shows the id and the secret when its button is pressed:
who looks at links beforehand, as mail programs do, opens nothing. Nobody is told
the secret in another way, and the database does not have it.

The old secrets go on for the overlap. A link that was made before and waits to be
opened ends.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if overlap < 0 {
				return usageError{fmt.Errorf("--overlap %s: give a time such as 240h, or 0s", overlap)}
			}
			if err := over.check(); err != nil {
				return err
			}
			return withDistrict(func(cmd *cobra.Command, args []string, o *opened) error {
				c, err := o.named(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				now := time.Now()
				secret, kept := auth.NewSecret(now, o.Key, c.OAuth1)
				kept.Expires = until.after(now)
				if err := o.RotateSecret(cmd.Context(), c.ID, kept, now.Add(overlap)); err != nil {
					return err
				}
				return over.hand(cmd, o, asJSON, c.ID, secret)
			})(cmd, args)
		},
	}
	over.flag(cmd)
	cmd.Flags().DurationVar(&overlap, "overlap", auth.HandoverLife+72*time.Hour,
		"how long the old secrets stay valid: the week of the link, and three days")
	until.flag(cmd)
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}
