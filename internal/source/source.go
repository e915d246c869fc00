// Package source brings packages from where a district's files are: a folder, an SFTP or HTTPS server,
// another OneRoster provider, or a database by SQL. It fetches, and leaves what is in a package to who
// takes it in.
package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/feed"
	"rollbook/internal/store"
)

// A Place is where packages come from.
type Place interface {
	// Test looks whether it can be read, and tells what is there.
	Test(ctx context.Context) (told string, err error)
	// Fetch brings what is there into an empty folder. memory is what the fetch before left.
	Fetch(ctx context.Context, dir string, memory json.RawMessage) (Fetched, error)
}

// Fetched is what came.
type Fetched struct {
	Path    string // of the package, a zip or a folder; "" where there is nothing new
	Name    string // of the package, for people
	Memory  any    // for the next fetch, as JSON; small
	Nothing string // why there is nothing new
	Notes   []string
}

// Settings of a source: when it is asked, one place, and how its packages are read.
type Settings struct {
	feed.Schedule
	Folder   *Folder   `json:"folder,omitempty"`
	SFTP     *SFTP     `json:"sftp,omitempty"`
	HTTPS    *HTTPS    `json:"https,omitempty"`
	Provider *Provider `json:"oneroster,omitempty"`
	SQL      *SQL      `json:"sql,omitempty"`
	Encoding string    `json:"encoding,omitempty"` // of files that are not UTF-8
	SkipBad  bool      `json:"skipBad,omitempty"`  // rows with problems are left out
}

// Secrets of a source, by what they are for.
type Secrets = feed.Secrets

// What a secret is for.
const (
	Password   = "password"   // of a user, a client or a database
	Bearer     = "bearer"     // a token
	Query      = "query"      // of a URL, which has a token in it
	PrivateKey = "key"        // PEM, of SSH
	Passphrase = "passphrase" // of that
)

// Place makes the place of the settings, and tells what of them cannot be meant.
func (s Settings) Place(secrets Secrets) (Place, error) {
	var places []Place
	add := func(p Place, err error) error { places = append(places, p); return err }
	var err error
	if s.Folder != nil {
		err = errors.Join(err, add(s.Folder.place()))
	}
	if s.SFTP != nil {
		err = errors.Join(err, add(s.SFTP.place(secrets)))
	}
	if s.HTTPS != nil {
		err = errors.Join(err, add(s.HTTPS.place(secrets)))
	}
	if s.Provider != nil {
		err = errors.Join(err, add(s.Provider.place(secrets)))
	}
	if s.SQL != nil {
		err = errors.Join(err, add(s.SQL.place(secrets)))
	}
	if err == nil && len(places) != 1 {
		err = errors.New("say where the files are: one of --folder, --sftp, --https, --oneroster and --sql")
	}
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return nil, err
	}
	return places[0], nil
}

// Where is the place, for people.
func (s Settings) Where() string {
	switch {
	case s.Folder != nil:
		return s.Folder.Path
	case s.SFTP != nil:
		return s.SFTP.URL
	case s.HTTPS != nil:
		return s.HTTPS.URL
	case s.Provider != nil:
		return "OneRoster " + s.Provider.URL
	case s.SQL != nil:
		return "SQL " + s.SQL.At()
	}
	return ""
}

// Open reads the settings of a feed, and its secrets.
func Open(f store.Feed, key *auth.Key) (s Settings, secrets Secrets, err error) {
	secrets, err = feed.Read(f, key, &s)
	return s, secrets, err
}

// Feed makes the feed of a source. Its first turn is due after a time.
func (s Settings) Feed(name string, secrets Secrets, key *auth.Key, after time.Time,
	zone *time.Location) (store.Feed, error) {
	return feed.New(store.FeedSource, name, s, secrets, "", s.Next(after, zone), key)
}

// Test looks at the place of a feed.
func Test(ctx context.Context, f store.Feed, key *auth.Key) (string, error) {
	s, secrets, err := Open(f, key)
	if err != nil {
		return "", err
	}
	place, err := s.Place(secrets)
	if err != nil {
		return "", err
	}
	told, err := place.Test(ctx)
	if err != nil {
		return "", secrets.Hide(err)
	}
	return told, nil
}

// A Package is what came, on its way into the district.
type Package struct {
	Fetched
	Source   string
	Settings Settings
}

// Sources are the feeds that bring packages into a district.
type Sources struct {
	Key  *auth.Key
	Zone func(context.Context) (*time.Location, error) // of the district
	// Take takes a package in, and tells what became of it. An error is one of the district's: of the
	// package it is a state.
	Take func(ctx context.Context, p Package) (store.Run, error)
}

var _ feed.Kind = (*Sources)(nil)

// memory is what a source knows of its last turn.
type memory struct {
	Place  json.RawMessage `json:"place,omitempty"`
	Failed int             `json:"failed,omitempty"` // turns in a row that could not fetch
}

// Fetches that fail are tried again the same night, a few times, before the schedule goes on.
const (
	triesAgain = 4
	firstPause = 2 * time.Minute // doubled for each further one
)

// Next is when a source is to be asked: as its schedule says, or a little later where it failed.
func (k *Sources) Next(f store.Feed, after time.Time) time.Time {
	var s Settings
	var m memory
	zone, err := k.Zone(context.Background())
	if err != nil || json.Unmarshal([]byte(f.Settings), &s) != nil {
		return after.Add(time.Hour) // the turn tells why
	}
	next := s.Next(after, zone)
	if f.Memory != "" && json.Unmarshal([]byte(f.Memory), &m) == nil && m.Failed > 0 &&
		m.Failed <= triesAgain {
		if again := after.Add(firstPause << (m.Failed - 1)); !next.IsZero() && again.Before(next) {
			return again
		}
	}
	return next
}

// Wanted tells whether there is something to look at.
func (k *Sources) Wanted(ctx context.Context, f store.Feed) (bool, error) {
	s, secrets, err := Open(f, k.Key)
	if err != nil {
		return true, nil // the turn tells why
	}
	p, err := s.Place(secrets)
	looks, ok := p.(interface {
		wanted(memory json.RawMessage) bool
	})
	if err != nil || !ok {
		return true, nil
	}
	var m memory
	_ = json.Unmarshal([]byte(f.Memory), &m) // "" is none
	return m.Failed > 0 || looks.wanted(m.Place), nil
}

// Do fetches what is there, and takes it in.
func (k *Sources) Do(ctx context.Context, turn *store.Turn) (run store.Run, err error) {
	var m memory
	if turn.Memory != "" {
		_ = json.Unmarshal([]byte(turn.Memory), &m) // of another program: begins anew
	}
	remember := func() {
		if text, wrong := json.Marshal(m); wrong == nil {
			turn.Memory = string(text)
		}
	}
	s, secrets, err := Open(turn.Feed, k.Key)
	if err != nil {
		return run, err
	}
	place, err := s.Place(secrets)
	if err != nil {
		return run, err
	}
	sweep()
	dir, err := os.MkdirTemp("", folderName)
	if err != nil {
		return run, err
	}
	defer os.RemoveAll(dir)
	got, err := fetch(ctx, place, dir, m.Place)
	if err != nil {
		m.Failed++
		remember()
		return run, secrets.Hide(err)
	}
	m.Failed = 0
	if got.Path == "" {
		remember()
		return store.Run{State: store.RunNothing, Text: got.Nothing}, nil
	}
	if err := turn.Remember(ctx); err != nil { // nobody else is at it
		return run, err
	}
	run, err = k.Take(ctx, Package{got, turn.Name, s})
	if err != nil {
		m.Failed++
		remember()
		return run, secrets.Hide(err)
	}
	m.Place, err = json.Marshal(got.Memory)
	remember()
	return run, err
}

// fetchTime is how long a fetch may take; tests set it.
var fetchTime = 12 * time.Hour

// fetch bounds a fetch: a peer that sends a byte now and then would have the turn for good.
func fetch(ctx context.Context, p Place, dir string, memory json.RawMessage) (got Fetched, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	if got, err = p.Fetch(ctx, dir, memory); err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it was given up after %s: %w", fetchTime, err)
	}
	return got, err
}

// folderName begins the names of the folders that packages are fetched into.
const folderName = "rollbook-source-"

// sweep removes such folders that a killed program left a day ago or longer.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), folderName+"*")) // the pattern is right
	for _, dir := range left {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() &&
			time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(dir) // another user's stays
		}
	}
}
