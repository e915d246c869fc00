// Package notify tells people what happens to a district: by e-mail, to a web service, or by a command.
// What is told has counts and no names: of pupils nothing leaves but ids, where somebody asks for them.
package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/feed"
	"rollbook/internal/store"
)

// Settings of a notifier: of what it tells, when, and by which way.
type Settings struct {
	District string   `json:"district,omitempty"` // as messages name it
	Short    string   `json:"short,omitempty"`    // its name for verbs, where it is one of several
	On       []string `json:"on"`                 // events, of Events
	// Digest is when one message a day tells all that has happened; trouble is told at once all the same.
	Digest       feed.Schedule `json:"digest,omitzero"`
	SilentSource string        `json:"silentSource,omitempty"` // how long one may bring nothing
	SilentReader string        `json:"silentReader,omitempty"`
	Remind       string        `json:"remind,omitempty"` // how often trouble that goes on is told again
	IDs          bool          `json:"ids,omitempty"`    // sourcedIds may be told
	Mail         *Mail         `json:"mail,omitempty"`
	Webhook      *Webhook      `json:"webhook,omitempty"`
	Command      []string      `json:"command,omitempty"` // program and arguments, no shell
}

// An Event can be told, and is unless somebody says otherwise where it is usual.
type Event struct {
	Name, What string
	Usual      bool
}

// Events are all that there are.
var Events = []Event{
	{"published", "a publication was published", false},
	{"held", "a publication is held: a person is to decide", true},
	{"refused", "a package cannot be used", true},
	{"failed", "a source or an outlet fails", true},
	{"silent-source", "a source has brought nothing for long", true},
	{"silent-reader", "a reader that used to come has not come for long", true},
}

// Secrets of a notifier, by what they are for.
type Secrets = feed.Secrets

// What a secret is for.
const (
	Password = "password" // of a mail server
	Sign     = "sign"     // of the signature of a webhook
	URL      = "url"      // of a webhook: those of chats have a token in them
)

// A Way is how a message goes out.
type Way interface {
	// Send sends it, and tells what the other side said.
	Send(ctx context.Context, m *Message) (said string, err error)
}

// Way makes the way of the settings, and tells what of them cannot be meant.
func (s Settings) Way(secrets Secrets) (Way, error) {
	for _, on := range s.On {
		if !slices.ContainsFunc(Events, func(e Event) bool { return e.Name == on }) {
			return nil, fmt.Errorf("--on %q: give some of %s", on, EventNames())
		}
	}
	for flag, text := range map[string]string{"--silent-source": s.SilentSource,
		"--silent-reader": s.SilentReader, "--remind": s.Remind} {
		if d, err := time.ParseDuration(text); text != "" && (err != nil || d < time.Minute) {
			return nil, fmt.Errorf("%s %q: write a span such as 26h", flag, text)
		}
	}
	if err := s.Digest.Check(); err != nil {
		return nil, fmt.Errorf("--digest: %w", err)
	}
	var ways []Way
	var errs error
	add := func(w Way, err error) { ways, errs = append(ways, w), errors.Join(errs, err) }
	if s.Mail != nil {
		add(s.Mail.way(secrets))
	}
	if s.Webhook != nil {
		add(s.Webhook.way(secrets))
	}
	if len(s.Command) > 0 {
		add(command(s.Command), nil)
	}
	if errs == nil && len(ways) != 1 {
		errs = errors.New("say how to tell: one of --smtp, --webhook and --command")
	}
	if errs != nil {
		return nil, errs
	}
	return ways[0], nil
}

// EventNames are those of Events.
func EventNames() string {
	var names []string
	for _, e := range Events {
		names = append(names, e.Name)
	}
	return strings.Join(names, ", ")
}

// Where is the way, for people.
func (s Settings) Where() string {
	switch {
	case s.Mail != nil:
		return "mail to " + strings.Join(s.Mail.To, ", ")
	case s.Webhook != nil:
		return s.Webhook.Kind + " at " + s.Webhook.Host
	case len(s.Command) > 0:
		return "command " + s.Command[0]
	}
	return ""
}

// When is what is told and when, for people.
func (s Settings) When() string {
	text := strings.Join(s.On, ", ")
	if len(s.Digest.At) > 0 {
		text += "; all " + s.Digest.String()
	}
	return text
}

// remind is how often trouble that goes on is told again.
func (s Settings) remind() time.Duration { return span(s.Remind, 24*time.Hour) }

func span(text string, usual time.Duration) time.Duration {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d
	}
	return usual
}

// Open reads the settings of a feed, and its secrets.
func Open(f store.Feed, key *auth.Key) (s Settings, secrets Secrets, err error) {
	secrets, err = feed.Read(f, key, &s)
	return s, secrets, err
}

// Feed makes the feed of a notifier. What has happened before a time is not told.
func (s Settings) Feed(name string, secrets Secrets, key *auth.Key, now time.Time, last int64) (store.Feed,
	error) {
	return feed.New(store.FeedNotify, name, s, secrets, memory{Last: last, Digest: now, Begun: now}, now, key)
}

// memory is what a notifier has told.
type memory struct {
	Begun    time.Time          `json:"begun"`
	Sent     int                `json:"sent"`               // messages
	Last     int64              `json:"last"`               // publication whose fate was told, the latest
	Waits    []int64            `json:"waits,omitempty"`    // earlier ones that were held or being planned
	Troubles map[string]trouble `json:"troubles,omitempty"` // that go on, by their key
	Digest   time.Time          `json:"digest"`             // when it was sent last
	Failed   int                `json:"failed,omitempty"`   // turns in a row that could not send
}

// A trouble goes on until it is over.
type trouble struct {
	Since time.Time `json:"since"`
	Told  time.Time `json:"told"`
	Text  string    `json:"text"`
	Over  string    `json:"over,omitempty"` // what is told when it is over
	// Publication that is held or being planned; 0.
	Publication int64 `json:"publication,omitempty"`
}

// Notifiers are the feeds that tell of a district.
type Notifiers struct {
	Store *store.Store
	Key   *auth.Key
	Zone  func(context.Context) (*time.Location, error)
	Now   func() time.Time // nil is time.Now

	read readings
}

var _ feed.Kind = (*Notifiers)(nil)

func (k *Notifiers) now() time.Time {
	if k.Now == nil {
		return time.Now().UTC()
	}
	return k.Now().UTC()
}

const (
	lookEvery = 30 * time.Second
	longest   = time.Hour // between tries of what cannot be sent
)

// Next is soon: whether there is something to tell is Wanted's to say.
func (k *Notifiers) Next(f store.Feed, after time.Time) time.Time {
	m, err := remembered(f)
	switch {
	case err != nil:
		return after.Add(longest)
	case m.Failed == 0:
		return after.Add(lookEvery)
	}
	return after.Add(min(time.Minute<<min(m.Failed-1, 10), longest))
}

// Wanted tells whether there is something to tell.
func (k *Notifiers) Wanted(ctx context.Context, f store.Feed) (bool, error) {
	s, _, err := Open(f, k.Key)
	m, damaged := remembered(f)
	if err != nil || damaged != nil {
		return true, nil // the turn tells why
	}
	messages, err := k.news(ctx, s, f.Name, m)
	return len(messages) > 0, err
}

// Do tells what there is to tell. What could not be sent is told the next time, with what came since.
func (k *Notifiers) Do(ctx context.Context, turn *store.Turn) (run store.Run, err error) {
	m, err := remembered(turn.Feed)
	if err != nil {
		return run, err
	}
	failed := m.Failed
	m.Failed = 0
	if run, err = k.tell(ctx, turn, &m); err != nil {
		m.Failed = failed + 1
	}
	return run, errors.Join(err, keep(turn, m))
}

func (k *Notifiers) tell(ctx context.Context, turn *store.Turn, m *memory) (run store.Run, err error) {
	s, secrets, err := Open(turn.Feed, k.Key)
	if err != nil {
		return run, err
	}
	way, err := s.Way(secrets)
	if err != nil {
		return run, err
	}
	messages, err := k.news(ctx, s, turn.Name, *m)
	if err != nil {
		return run, err
	}
	run = store.Run{State: store.RunNothing, Text: "there is nothing to tell"}
	for i, one := range messages {
		if err := turn.Remember(ctx); err != nil { // nobody else is at it
			return store.Run{}, err
		}
		said, err := way.Send(ctx, one.Message)
		said = cmp.Or(said, "it was taken")
		if err != nil {
			return store.Run{}, secrets.Hide(err)
		}
		m.Sent++
		one.remember(m)
		if err := keep(turn, *m); err != nil {
			return store.Run{}, err
		}
		if i == 0 {
			run = store.Run{Text: fmt.Sprintf("told: %s (%s)", one.Subject, secrets.Hidden(said))}
		}
	}
	return run, nil
}

// remembered is what a notifier has told.
func remembered(f store.Feed) (m memory, err error) {
	if err = json.Unmarshal([]byte(f.Memory), &m); err != nil {
		return m, fmt.Errorf("what was told is not known any more: remove the notifier, and add it anew: %w",
			err)
	}
	if m.Troubles == nil {
		m.Troubles = map[string]trouble{}
	}
	return m, nil
}

func keep(turn *store.Turn, m memory) error {
	text, err := json.Marshal(m)
	turn.Memory = string(text)
	return err
}

// Test sends a message that says that it is a test, and tells what the other side said.
func Test(ctx context.Context, f store.Feed, key *auth.Key, now time.Time) (string, error) {
	s, secrets, err := Open(f, key)
	if err != nil {
		return "", err
	}
	way, err := s.Way(secrets)
	if err != nil {
		return "", err
	}
	m := &Message{Kind: "test", District: s.District, At: now.UTC(),
		ID: fmt.Sprintf("test-%d", now.UnixNano()), Subject: s.titled("this is a test, nothing has happened"),
		Lines: []Line{{Event: "test", Text: "Rollbook can reach you by this way."}}}
	said, err := way.Send(ctx, m)
	if err != nil {
		return "", secrets.Hide(err)
	}
	return cmp.Or(secrets.Hidden(said), "it was taken"), nil
}
