// Package outlet takes home what clients have written into the gradebook: to the school's own system, as
// files, to another OneRoster provider, or by SQL. It tells what changed since the last delivery that was
// confirmed: a crash repeats at worst, and loses nothing.
package outlet

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
	"rollbook/internal/oneroster"
	"rollbook/internal/source"
	"rollbook/internal/store"
)

// Settings of an outlet: where to, and when.
type Settings struct {
	feed.Schedule           // zero is after a quiet minute
	Folder        string    `json:"folder,omitempty"`
	SFTP          *SFTP     `json:"sftp,omitempty"`
	Provider      *Provider `json:"oneroster,omitempty"`
	SQL           *SQL      `json:"sql,omitempty"`
}

// A Delivery is what goes out at a time: of each resource the records as they are now, parents first.
type Delivery struct {
	From     int64  // the change after which they were changed
	Modified string // the time of the last of them, TimeLayout
	Put      []store.Grade
	Deleted  []store.Grade // children first
}

// A Place is where deliveries go.
type Place interface {
	// Test looks whether it can be reached; nothing is written.
	Test(ctx context.Context) (told string, err error)
	// Deliver gives a delivery, or gives it again, and tells what of it could not be delivered. With an
	// error all of it is given again; the other side may have taken some.
	Deliver(ctx context.Context, d *Delivery) ([]store.Undelivered, error)
}

// Place makes the place of the settings, and tells what of them cannot be meant.
func (s Settings) Place(secrets source.Secrets) (Place, error) {
	var places []Place
	var errs error
	add := func(p Place, err error) { places, errs = append(places, p), errors.Join(errs, err) }
	if s.Folder != "" {
		add(newFolder(s.Folder))
	}
	if s.SFTP != nil {
		add(s.SFTP.place(secrets))
	}
	if s.Provider != nil {
		add(s.Provider.place(secrets))
	}
	if s.SQL != nil {
		add(s.SQL.place(secrets))
	}
	if errs == nil && len(places) != 1 {
		errs = errors.New("say where grades go: one of --folder, --sftp, --oneroster and --sql")
	}
	if errs = errors.Join(errs, s.Check()); errs != nil {
		return nil, errs
	}
	return places[0], nil
}

// Where is the place, for people.
func (s Settings) Where() string {
	switch {
	case s.Folder != "":
		return s.Folder
	case s.SFTP != nil:
		return s.SFTP.URL
	case s.Provider != nil:
		return "OneRoster " + s.Provider.URL
	case s.SQL != nil:
		return "SQL " + (&source.SQL{URL: s.SQL.URL}).At()
	}
	return ""
}

// When is when it delivers, for people.
func (s Settings) When() string {
	if s.Schedule.String() == "by hand" {
		return "after a quiet minute"
	}
	return s.Schedule.String()
}

// Open reads the settings of a feed, and its secrets.
func Open(f store.Feed, key *auth.Key) (s Settings, secrets feed.Secrets, err error) {
	secrets, err = feed.Read(f, key, &s)
	return s, secrets, err
}

// Feed makes the feed of an outlet, which delivers what is changed after a change (rev).
func (s Settings) Feed(name string, secrets feed.Secrets, key *auth.Key, now time.Time,
	rev int64) (store.Feed, error) {
	return feed.New(store.FeedOutlet, name, s, secrets, Memory{Rev: rev}, now, key)
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

// Memory is what an outlet has delivered.
type Memory struct {
	Rev    int64     `json:"rev"`              // of the last change whose delivery was confirmed
	Last   time.Time `json:"last,omitzero"`    // when something was delivered last
	Sent   int       `json:"sent,omitempty"`   // records, since it was added
	Failed int       `json:"failed,omitempty"` // turns in a row
}

// Known is what an outlet has delivered; the zero Memory where nothing is known.
func Known(f store.Feed) (m Memory) {
	_ = json.Unmarshal([]byte(f.Memory), &m) // "" is nothing
	return m
}

// Bounds of an outlet.
const (
	lookEvery   = 15 * time.Second
	quietTime   = time.Minute      // nothing is written for so long before a delivery
	waitsAtMost = 10 * time.Minute // however much is written
	batch       = 2000             // results of one delivery
	wordsKept   = 200
	longest     = time.Hour // between tries
)

// Outlets are the feeds that take grades home.
type Outlets struct {
	Store *store.Store
	Key   *auth.Key
	Zone  func(context.Context) (*time.Location, error)
	Now   func() time.Time // nil is time.Now
	// Again offers once more what was refused.
	Again bool
}

var _ feed.Kind = (*Outlets)(nil)

func (k *Outlets) now() time.Time {
	if k.Now == nil {
		return time.Now().UTC()
	}
	return k.Now().UTC()
}

// Next is as the schedule says, or soon: what is to be done then is Wanted's to say.
func (k *Outlets) Next(f store.Feed, after time.Time) time.Time {
	var s Settings
	m := Known(f)
	if m.Failed > 0 {
		return after.Add(min(30*time.Second<<min(m.Failed-1, 10), longest))
	}
	zone, err := k.Zone(context.Background())
	if err != nil || json.Unmarshal([]byte(f.Settings), &s) != nil {
		return after.Add(longest) // the turn tells why
	}
	if next := s.Next(after, zone); !next.IsZero() {
		return next
	}
	return after.Add(lookEvery)
}

// Wanted tells whether there is something to deliver, and nobody has written for a while.
func (k *Outlets) Wanted(ctx context.Context, f store.Feed) (bool, error) {
	s, _, err := Open(f, k.Key)
	if err != nil {
		return true, nil // the turn tells why
	}
	m := Known(f)
	if m.Failed > 0 { // what could not be delivered is offered again, also when nobody writes any more
		return true, nil
	}
	w, err := k.Store.GradesWaiting(ctx, m.Rev)
	if err != nil || len(w.Count) == 0 {
		return false, err
	}
	now := k.now()
	return s.When() != "after a quiet minute" || now.Sub(w.Last) >= quietTime ||
		w.Last.After(now.Add(quietTime)) || // the clock was put back: that time may be years ahead
		now.Sub(w.First) >= waitsAtMost, nil
}

// Do delivers what has changed since the last delivery that was confirmed.
func (k *Outlets) Do(ctx context.Context, turn *store.Turn) (run store.Run, err error) {
	m := Known(turn.Feed)
	failed := m.Failed
	m.Failed = 0
	if run, err = k.deliver(ctx, turn, &m); err != nil {
		m.Failed = failed + 1
	}
	return run, errors.Join(err, keep(turn, m))
}

func keep(turn *store.Turn, m Memory) error {
	text, err := json.Marshal(m)
	turn.Memory = string(text)
	return err
}

func (k *Outlets) deliver(ctx context.Context, turn *store.Turn, m *Memory) (run store.Run, err error) {
	s, secrets, err := Open(turn.Feed, k.Key)
	if err != nil {
		return run, err
	}
	place, err := s.Place(secrets)
	if err != nil {
		return run, err
	}
	sent, refused := 0, 0
	var personal []string // what the other side may repeat, and neither runs nor logs are to have
	for again, done := k.Again, false; !done; again = false {
		var d *Delivery
		var upto int64
		if d, upto, done, err = k.next(ctx, turn.Name, *m, again); err != nil {
			return run, err
		}
		if len(d.Put)+len(d.Deleted) == 0 {
			m.Rev = max(m.Rev, upto)
			break
		}
		if err := turn.Remember(ctx); err != nil { // nobody else is at it
			return run, err
		}
		personal = append(personal, d.personal()...)
		no, err := place.Deliver(ctx, d)
		if err != nil {
			return run, without(personal, secrets.Hide(err))
		}
		for i := range no {
			no[i].Words = short(secrets.Hidden(no[i].Words))
		}
		taken := len(d.Put) + len(d.Deleted) - len(no)
		m.Rev, m.Last, m.Sent = max(m.Rev, upto), k.now(), m.Sent+taken
		sent, refused = sent+taken, refused+len(no)
		err = errors.Join(keep(turn, *m), turn.Delivered(ctx, slices.Concat(d.Put, d.Deleted), no))
		if err != nil {
			return run, err
		}
	}
	passing, n, err := k.Store.Undelivered(ctx, turn.Name, store.UndeliveredOf{Passing: true, Limit: 1})
	switch {
	case err != nil:
		return run, err
	case n > 0:
		return run, without(personal, fmt.Errorf("delivered %d, and %d could not be delivered now, such as %s: %s",
			sent, n, passing[0].Key(), passing[0].Words))
	case sent+refused == 0:
		return store.Run{State: store.RunNothing, Text: "there is nothing to deliver"}, nil
	}
	run.Text = fmt.Sprintf("delivered %d", sent)
	if refused > 0 {
		run.State = store.RunRefused
		run.Text += fmt.Sprintf(", refused %d: rollbook outlet status %s tells why", refused, turn.Name)
	}
	return run, nil
}

// personal is what of a delivery describes people, such as a teacher's comment.
func (d *Delivery) personal() (out []string) {
	for _, g := range d.Put {
		for i, f := range g.Resource.Fields {
			if f.Personal && len(g.Values[i]) > 3 {
				out = append(out, g.Values[i])
			}
		}
	}
	return out
}

// without is an error whose text has no such values.
func without(personal []string, err error) error {
	text := err.Error()
	for _, value := range personal {
		text = strings.ReplaceAll(text, value, "…")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// next is the next delivery, and the change up to which it delivers all; done where nothing is left then.
func (k *Outlets) next(ctx context.Context, outlet string, m Memory, again bool) (d *Delivery, upto int64,
	done bool, err error) {
	d = &Delivery{From: m.Rev}
	found, upto, err := k.Store.Grades(ctx, m.Rev, batch)
	if err != nil {
		return d, upto, false, err
	}
	// A delivery ends where one of the resources has more: what was changed later comes with the next.
	done = true
	for _, all := range found {
		if n := len(all); n >= batch && all[n-1].Rev < upto {
			upto, done = all[n-1].Rev, false
		}
	}
	seen := map[string]bool{}
	add := func(g store.Grade) {
		key := g.Resource.Plural + "/" + g.ID()
		if seen[key] || g.Rev > upto && !again {
			return
		}
		seen[key] = true
		d.Modified = max(d.Modified, g.Values[oneroster.Modified])
		if g.Values[oneroster.Status] == oneroster.Active {
			d.Put = append(d.Put, g)
		} else {
			d.Deleted = append(d.Deleted, g)
		}
	}
	for _, r := range oneroster.Resources() {
		for _, g := range found[r] {
			add(g)
		}
	}
	if err := k.along(ctx, outlet, again, d, add); err != nil {
		return d, upto, false, err
	}
	order := func(a, b store.Grade) int {
		return cmp.Or(cmp.Compare(rank(a.Resource), rank(b.Resource)), cmp.Compare(a.Rev, b.Rev))
	}
	slices.SortStableFunc(d.Put, order)
	slices.SortStableFunc(d.Deleted, func(a, b store.Grade) int { return order(b, a) })
	return d, upto, done, nil
}

func rank(r *oneroster.Resource) int { return slices.Index(oneroster.Resources(), r) }

// along adds what others hang on: the lineItem of a result and the category of a lineItem that are changed
// later themselves, what was refused and is to be offered again, and the results of a lineItem that is.
func (k *Outlets) along(ctx context.Context, outlet string, again bool, d *Delivery,
	add func(store.Grade)) error {
	once := func(of store.UndeliveredOf) error {
		ids := map[string][]string{}
		not, _, err := k.Store.Undelivered(ctx, outlet, of)
		if err != nil {
			return err
		}
		for _, u := range not {
			ids[u.Resource] = append(ids[u.Resource], u.ID)
		}
		for _, r := range oneroster.Resources() {
			found, err := k.Store.GradesNow(ctx, r, ids[r.Plural])
			if err != nil {
				return err
			}
			for _, g := range found {
				g.Rev = 0 // whenever it was changed
				add(g)
			}
		}
		return nil
	}
	if err := once(store.UndeliveredOf{Passing: !again}); err != nil {
		return err
	}
	for from := 0; from < len(d.Put); { // what hangs on something may itself be hung on
		var offered []string
		for _, g := range d.Put[from:] {
			if g.Resource.Name != "result" {
				offered = append(offered, g.Resource.Plural+"/"+g.ID())
			}
		}
		if from = len(d.Put); offered == nil {
			break
		}
		if err := once(store.UndeliveredOf{On: offered}); err != nil {
			return err
		}
	}
	for _, step := range []struct{ of, field, to string }{{"result", "lineItem", "lineItem"}, {"lineItem",
		"category", "category"}} {
		var later []string
		for _, g := range d.Put {
			if g.Resource.Name == step.of {
				later = append(later, g.Get(step.field))
			}
		}
		slices.Sort(later)
		found, err := k.Store.GradesNow(ctx, oneroster.ByName(step.to), slices.Compact(later))
		if err != nil {
			return err
		}
		for _, g := range found {
			if g.Rev > d.From && g.Values[oneroster.Status] == oneroster.Active {
				g.Rev = 0
				add(g)
			}
		}
	}
	return nil
}

// short bounds what is kept of another's words.
func short(text string) string {
	if r := []rune(text); len(r) > wordsKept {
		return string(r[:wordsKept-1]) + "…"
	}
	return text
}
