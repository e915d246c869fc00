package feed

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
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
	in := json.NewDecoder(strings.NewReader(f.Settings))
	in.DisallowUnknownFields() // what a later version has added may say that less is to be taken
	if err = in.Decode(settings); err == nil && f.Secrets != "" {
		var text string
		if text, err = key.Open(f.Secrets); err == nil {
			err = json.Unmarshal([]byte(text), &secrets)
		}
	}
	if err != nil && strings.Contains(err.Error(), "unknown field") {
		err = fmt.Errorf("its settings are of another version of Rollbook (%w): use that one, or remove it and "+
			"add it anew", err)
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
	for _, part := range s.spellings() {
		text = strings.ReplaceAll(text, part, "[secret]")
	}
	return text
}

// spellings are how the secrets may come back, the longest first, since one may be a part of another.
func (s Secrets) spellings() (out []string) {
	for _, secret := range s {
		all := []string{secret}
		if u, err := url.Parse(secret); err == nil && u.Host != "" { // whose path a server may repeat
			all = append(all, u.RequestURI(), u.Path, u.RawQuery)
		} else if values, err := url.ParseQuery(secret); err == nil && strings.Contains(secret, "=") {
			for _, v := range values { // of a query with a token in it, which a server may have decoded
				if len(v[0]) > 5 { // a year, or a version, stands in many texts
					all = append(all, v...)
				}
			}
		}
		for _, part := range all {
			if len(part) > 3 {
				out = append(out, part, url.QueryEscape(part), url.PathEscape(part),
					strings.TrimPrefix(url.UserPassword("", part).String(), ":"))
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(out)
}

// Hide is an error whose text is Hidden.
func (s Secrets) Hide(err error) error {
	if text := s.Hidden(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}
