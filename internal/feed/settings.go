package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/store"
)

// Secrets of a feed, by what they are for. In the district they lie sealed.
type Secrets map[string]string

// New makes a feed of its settings, its secrets and what it knows at first, which are kept as JSON; "" is
// nothing. due is when its first turn is; zero is never by itself.
func New(kind store.FeedKind, name string, settings any, secrets Secrets, memory any, due time.Time,
	key *auth.Key) (f store.Feed, err error) {
	f = store.Feed{Kind: kind, Name: name}
	if !due.IsZero() {
		f.Due = oneroster.FormatTime(due)
	}
	text := func(v any) string {
		out, wrong := json.Marshal(v)
		err = errors.Join(err, wrong)
		return string(out)
	}
	if f.Settings = text(settings); memory != "" {
		f.Memory = text(memory)
	}
	if len(secrets) > 0 {
		f.Secrets = key.Seal(text(secrets))
	}
	return f, err
}

// Read reads the settings of a feed, and its secrets.
func Read(f store.Feed, key *auth.Key, settings any) (secrets Secrets, err error) {
	if err = json.Unmarshal([]byte(f.Settings), settings); err == nil && f.Secrets != "" {
		var text string
		if text, err = key.Open(f.Secrets); err == nil {
			err = json.Unmarshal([]byte(text), &secrets)
		}
	}
	if err != nil {
		err = fmt.Errorf("%s %q: %w", f.Kind, f.Name, err)
	}
	return secrets, err
}

// Hidden is a text from outside without the secrets, which a server may have echoed, and without what a
// terminal obeys.
func (s Secrets) Hidden(text string) string {
	text = provider.Signs(text)
	for _, secret := range s {
		all := []string{secret}
		if u, err := url.Parse(secret); err == nil && u.Host != "" { // whose path a server may repeat
			all = append(all, u.RequestURI(), u.Path, u.RawQuery)
		}
		for _, part := range all {
			if len(part) > 3 {
				text = strings.ReplaceAll(text, part, "[secret]")
			}
		}
	}
	return text
}

// Hide is an error whose text is Hidden.
func (s Secrets) Hide(err error) error {
	if text := s.Hidden(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}
