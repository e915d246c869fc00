package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/provider"
)

// A connection is what the command line says of somebody's provider.
type connection struct {
	provider.Config
	caFile  string
	retries bool // --tries is one of the flags
}

// flags adds what a verb that reads a provider with care needs.
func (c *connection) flags(cmd *cobra.Command) {
	c.identity(cmd)
	c.retries = true
	f := cmd.Flags()
	f.StringVar(&c.Scope, "scope", "", "scope to ask for; none by default, as Microsoft's clients do")
	f.IntVar(&c.Tries, "tries", 5, "how often a call that fails in passing is made at most")
	f.DurationVar(&c.Wait, "wait", time.Second, "before the second try; doubled for each further one")
}

// identity adds what every verb that calls a provider needs. The secret is better
// given by ROLLBOOK_SECRET: other users of a machine see its command lines.
func (c *connection) identity(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.TokenURL, "token-url", "", "OAuth 2.0 token endpoint")
	f.StringVar(&c.Client, "client", "", "client id, or consumer key")
	f.StringVar(&c.Secret, "secret", "",
		"client secret; the environment keeps it out of the list of processes")
	f.BoolVar(&c.OAuth1, "oauth1", false, "sign with OAuth 1.0a instead of asking for a token")
	f.StringVar(&c.Digest, "signature", "HMAC-SHA256", "how OAuth 1.0a signs: HMAC-SHA256 or HMAC-SHA1")
	f.StringVar(&c.caFile, "ca", "", "PEM file of an authority to trust beside the system's")
	f.DurationVar(&c.Timeout, "timeout", 100*time.Second, "how long one call may take")
}

// veiled is what is noted of a provider, with people under pseudonyms unless they are to be named.
func veiled(p *provider.Provider, personal bool, note func(string)) func(string) {
	if personal {
		return note
	}
	veil := p.Veil()
	return func(text string) { note(veil.Text(text, nil)) }
}

// personalFlag adds what people are named by in what a verb tells.
func personalFlag(cmd *cobra.Command, personal *bool) {
	cmd.Flags().BoolVar(personal, "personal", false,
		"name people as they are called: by default names, addresses and the like are pseudonyms")
}

// elsewhere adds to a failure where the service is, if the base URL only lacks its path. One that
// is of another version is the command line's fault.
func elsewhere(ctx context.Context, p *provider.Provider, err error) error {
	if errors.Is(err, provider.ErrNewer) {
		return usageError{provider.ErrNewer}
	}
	var trouble *provider.Trouble
	if err == nil || ctx.Err() != nil || errors.As(err, &trouble) && trouble.Kind < provider.Refused {
		return err
	}
	if at := p.Elsewhere(ctx); at != "" {
		return fmt.Errorf("%w; a OneRoster service answers at %s: give that URL", err, at)
	}
	return err
}

// open makes the provider at a base URL.
func (c *connection) open(url string) (*provider.Provider, error) {
	c.URL, c.Version = url, version()
	if c.Digest != "HMAC-SHA256" && c.Digest != "HMAC-SHA1" {
		return nil, usageError{fmt.Errorf("--signature %q is neither HMAC-SHA256 nor HMAC-SHA1", c.Digest)}
	}
	for flag, wrong := range map[string]bool{"--timeout": c.Timeout <= 0, "--wait": c.Wait < 0,
		"--tries": c.Tries < 0 || c.Tries == 0 && c.retries} {
		if wrong {
			return nil, usageError{fmt.Errorf("%s: give more than nothing", flag)}
		}
	}
	if c.caFile != "" {
		var err error
		if c.CA, err = os.ReadFile(c.caFile); err != nil {
			return nil, usageError{err}
		}
	}
	log.SetOutput(io.Discard) // net/http tells there what a provider does wrong; it is told here as an answer
	p, err := provider.New(c.Config)
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}
