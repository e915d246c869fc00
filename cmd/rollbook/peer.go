package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rollbook/internal/feed"
	"rollbook/internal/source"
)

// A peer is what the command line says of who is at the other end of a source or an outlet.
type peer struct {
	folder, sftp, hostKey, identity, https, user, sql, database, timeout, ca string
	trust                                                                    bool
	service                                                                  source.Service
}

// flags adds those that sources and outlets have; what is the file of --sql.
func (p *peer) flags(cmd *cobra.Command, what string) {
	f := cmd.Flags()
	f.StringVar(&p.sftp, "sftp", "", "sftp://user@host/folder of an SFTP server")
	f.StringVar(&p.hostKey, "host-key", "", "with --sftp: fingerprint of the server's key, SHA256:…")
	f.BoolVar(&p.trust, "trust-host-key", false, "with --sftp: take the key that the server shows now")
	f.StringVar(&p.identity, "identity", "", "with --sftp: file of a private key")
	f.StringVar(&p.service.URL, "oneroster", "", "base URL of another OneRoster 1.1 provider")
	f.StringVar(&p.service.TokenURL, "token-url", "", "with --oneroster: OAuth 2.0 token endpoint")
	f.StringVar(&p.service.Client, "client", "", "with --oneroster: client id, or consumer key")
	f.StringVar(&p.service.Scope, "scope", "", "with --oneroster: scope to ask for")
	f.BoolVar(&p.service.OAuth1, "oauth1", false, "with --oneroster: sign with OAuth 1.0a")
	f.StringVar(&p.sql, "sql", "", what)
	f.StringVar(&p.database, "database", "",
		"with --sql: postgres://, mysql:// or sqlserver:// URL, without password")
	f.StringVar(&p.timeout, "query-time", "", "with --sql: how long it may take, such as 5m")
	f.StringVar(&p.ca, "ca", "", "PEM file of an authority to trust beside the system's")
}

// read reads the files that are named.
func (p *peer) read() error {
	err := readFiles(&p.sql, &p.ca, &p.identity)
	p.service.CA = p.ca
	return err
}

// readFiles puts the text of the files that are named in place of their names.
func readFiles(names ...*string) error {
	for _, file := range names {
		if *file == "" {
			continue
		}
		text, err := os.ReadFile(*file)
		if err != nil {
			return usageError{err}
		}
		*file = string(text)
	}
	return nil
}

// secrets are those that it needs: from the environment, or from who sits at the terminal.
func (p *peer) secrets(cmd *cobra.Command) (feed.Secrets, error) {
	out := feed.Secrets{}
	for name, text := range map[string]string{source.Password: os.Getenv("ROLLBOOK_PASSWORD"),
		source.Bearer: os.Getenv("ROLLBOOK_BEARER"), source.Passphrase: os.Getenv("ROLLBOOK_PASSPHRASE"),
		source.PrivateKey: p.identity} {
		if text != "" {
			out[name] = text
		}
	}
	asks := ""
	switch {
	case out[source.Password] != "" || out[source.Bearer] != "" || out[source.PrivateKey] != "":
	case p.sftp != "":
		asks = "password at " + hostOf(p.sftp)
	case p.https != "" && p.user != "":
		asks = "password of " + p.user
	case p.service.URL != "":
		asks = "secret of client " + p.service.Client
	case p.sql != "":
		asks = "password at " + hostOf(p.database)
	}
	if asks == "" {
		return out, nil
	}
	text, err := askSecret(cmd, asks)
	if text != "" {
		out[source.Password] = text
	}
	return out, err
}

// A tester looks whether a place can be used, and tells what is there.
type tester interface {
	Test(ctx context.Context) (string, error)
}

// tested looks at the place that make makes, and tells what is there. A host that nobody has vouched for is
// taken on trust where that is asked for.
func (p *peer) tested(cmd *cobra.Command, secrets feed.Secrets, make func() (tester, error)) (told string,
	err error) {
	place, err := make()
	if err != nil {
		return "", usageError{err}
	}
	told, err = place.Test(cmd.Context())
	if unknown := new(source.UnknownHost); errors.As(err, &unknown) && p.trust {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s has the key %s: taken on trust\n", unknown.Host,
			unknown.Fingerprint)
		p.hostKey, p.trust = unknown.Fingerprint, false
		return p.tested(cmd, secrets, make)
	}
	if err != nil {
		return "", fmt.Errorf("%w; nothing was added", secrets.Hide(err))
	}
	return secrets.Hidden(told), nil
}

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the server"
	}
	return u.Host
}

// askSecret asks who sits at the terminal, and nobody where there is none.
func askSecret(cmd *cobra.Command, what string) (string, error) {
	if isatty.IsTerminal(os.Stdin.Fd()) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", what)
		text, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(text), err
	}
	if in, ok := cmd.InOrStdin().(*os.File); !ok || in != os.Stdin {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	}
	return "", nil
}
