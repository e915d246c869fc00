package notify_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/feed"
	"rollbook/internal/notify"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// A desk has a district, its clock, and a program that writes down what it is told.
type desk struct {
	*testing.T
	s     *store.Store
	k     *notify.Notifiers
	now   time.Time
	key   *auth.Key
	book  string // file that the program writes to
	feeds *feed.Feeds
}

func newDesk(t *testing.T, dsn string, s notify.Settings) *desk {
	t.Helper()
	d := &desk{T: t, now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), book: filepath.Join(t.TempDir(),
		"book")}
	d.s = storetest.Open(t, dsn, store.Options{Now: func() time.Time { return d.now }})
	var err error
	if d.key, err = auth.ParseKey(auth.NewKeyText()); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return d.now }
	d.k = &notify.Notifiers{Store: d.s, Key: d.key, Now: now,
		Zone: func(context.Context) (*time.Location, error) { return zone, nil }}
	d.feeds = &feed.Feeds{Store: d.s, Now: now, Kinds: map[store.FeedKind]feed.Kind{store.FeedNotify: d.k}}
	s.Command = []string{"/bin/sh", "-c", `if test -e "$0.once"; then
		mv "$0.once" "$0.then"; elif test -e "$0.then"; then rm "$0.then"; exit 1; fi
		cat >> "$0"; echo >> "$0"`, d.book}
	if s.On == nil {
		for _, e := range notify.Events {
			if e.Usual {
				s.On = append(s.On, e.Name)
			}
		}
	}
	f, err := s.Feed("office", nil, d.key, d.now, 0)
	if err == nil {
		err = d.s.AddFeed(t.Context(), f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// after lets time pass, and returns the subjects of what is told then.
func (d *desk) after(pass time.Duration) (subjects []string, whole string) {
	d.Helper()
	d.now = d.now.Add(pass)
	f, err := d.s.Feed(d.Context(), store.FeedNotify, "office")
	if err != nil {
		d.Fatal(err)
	}
	_ = os.Remove(d.book)
	wanted, err := d.k.Wanted(d.Context(), f)
	if err != nil {
		d.Fatal(err)
	}
	if !wanted {
		return nil, ""
	}
	if _, err := d.feeds.Run(d.Context(), store.FeedNotify, "office"); err != nil {
		d.Fatal(err)
	}
	text, err := os.ReadFile(d.book)
	if err != nil {
		d.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var m notify.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			d.Fatalf("%v: %s", err, line)
		}
		subjects = append(subjects, m.Kind+": "+m.Subject)
	}
	return subjects, string(text)
}

func (d *desk) want(pass time.Duration, want ...string) (whole string) {
	d.Helper()
	got, whole := d.after(pass)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		d.Errorf("after %s, %s:\n%s\nnot\n%s", pass, d.now, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return whole
}

// publication brings one, which gets a state.
func (d *desk) publication(name string, state store.State, verdict string) int64 {
	d.Helper()
	id, err := d.s.Arrive(d.Context(), name, "Anna Adminsson")
	if err == nil && verdict != "" {
		err = d.s.SetVerdict(d.Context(), id, []byte(verdict))
	}
	if err == nil && state != store.StatePlanning {
		err = d.s.Decide(d.Context(), id, state, []store.State{store.StatePlanning}, "Anna Adminsson", "")
	}
	if err != nil {
		d.Fatal(err)
	}
	return id
}

const verdict = `{"objections":[{"guard":"loss","resource":"users","text":"Zoë Secretname would go",
"count":51,"of":100}],
"examples":[{"guard":"loss","resource":"users","sourcedId":"stu-7","before":"Zoë Secretname"}]}`

// Trouble is told at once and once, again when it goes on for long, and when it is over; nothing is told
// twice, and nobody's name.
func TestTroubleIsToldOnce(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		d := newDesk(t, dsn, notify.Settings{District: "Springfield", IDs: true})
		d.want(time.Minute)
		d.publication("Zoë Secretname.zip", store.StatePlanning, "")
		d.want(time.Minute)
		held := d.publication("Zoë Secretname.zip", store.StateHeld, verdict)
		whole := d.want(time.Minute, "trouble: Springfield: Publication 2 is held: 51 of 100 users would "+
			"go (loss). Readers are served what they were served before.")
		if !strings.Contains(whole, `"stu-7"`) || !strings.Contains(whole, "rollbook publications show 2") {
			t.Error(whole)
		}
		d.want(time.Minute)
		d.want(23*time.Hour, "trouble: Springfield: Publication 1 came more than an hour ago and nothing "+
			"has become of it: its process may have been ended.")
		d.want(time.Hour, "reminder: Springfield: Still, since 2026-11-02 02:03: Publication 2 is held: "+
			"51 of 100 users would go (loss). Readers are served wha…")
		d.want(time.Hour)
		if err := d.s.Decide(t.Context(), held, store.StateDiscarded, []store.State{store.StateHeld},
			"Anna Adminsson", "Zoë Secretname stays"); err != nil {
			t.Fatal(err)
		}
		d.want(time.Minute, "over: Springfield: Publication 2 is discarded now.")
		if err := d.s.Decide(t.Context(), 1, store.StateSuperseded, []store.State{store.StatePlanning}, "",
			""); err != nil {
			t.Fatal(err)
		}
		d.want(time.Minute, "over: Springfield: Publication 1 is superseded now.")
		d.publication("fine.zip", store.StatePublished, "")
		d.want(time.Minute) // nobody asked for that
		for range 9 {
			d.publication("Zoë Secretname.zip", store.StateRefused,
				`{"error":"users.csv:3: \"Zoë Secretname\""}`)
		}
		whole = d.want(time.Minute, "trouble: Springfield: This happened 9 times, the last: Publication 12 "+
			"is refused: its package cannot be used, and nothing was chang…")
		if strings.Contains(whole, "Secretname") {
			t.Error(whole)
		}
		d.want(time.Minute)
	})
}

// What a person lets through is told to who wants to know what is published; without --ids no id of a
// person leaves, and nothing of what files and people are called.
func TestPublishedByAPerson(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{On: []string{"published", "held", "refused"},
		Short: "spring"})
	id := d.publication("Zoë Secretname.zip", store.StateHeld, verdict)
	whole := d.want(time.Minute, "trouble: Rollbook: Publication 1 is held: 51 of 100 users would go "+
		"(loss). Readers are served what they were served before.")
	if !strings.Contains(whole, "rollbook --district spring publications show 1, then rollbook --district "+
		"spring publish 1") {
		t.Error(whole)
	}
	d.publication("b.zip", store.StatePublished, "")
	d.publication("c.zip", store.StateRefused, `{"error":"users.csv:3: \"Zoë Secretname\""}`)
	more := d.want(time.Minute, "trouble: Rollbook: Publication 3 is refused: its package cannot be used, "+
		"and nothing was changed, and 1 more")
	if err := d.s.Decide(t.Context(), id, store.StatePublished, []store.State{store.StateHeld},
		"Anna Adminsson", "Zoë Secretname may go"); err != nil {
		t.Fatal(err)
	}
	last := d.want(time.Minute, "news: Rollbook: Publication 1 is published: 0 added, 0 changed, 0 retired.",
		"over: Rollbook: Publication 1 is published now.")
	d.want(time.Minute)
	for _, marker := range []string{"Secretname", "stu-7", "Adminsson"} {
		if strings.Contains(whole+more+last, marker) {
			t.Errorf("%s: %s", marker, whole+more+last)
		}
	}
}

// source adds one to a district, and tells how its turns end.
func (d *desk) source() (run func(state store.RunState)) {
	d.Helper()
	if err := d.s.AddFeed(d.Context(), store.Feed{Kind: store.FeedSource, Name: "sis", Settings: "{}",
		Due: oneroster.FormatTime(d.now)}); err != nil {
		d.Fatal(err)
	}
	return func(state store.RunState) {
		d.Helper()
		turn, _, err := d.s.TakeTurn(d.Context(), store.FeedSource, "sis", "")
		if err == nil {
			err = turn.End(d.Context(), store.Run{State: state, Text: "Zoë Secretname"}, d.now)
		}
		if err != nil {
			d.Fatal(err)
		}
	}
}

// One that fails now and then is told of once, and is over when it has gone well for an hour; one whose
// file stays the same brings nothing, and a publication is what it brings.
func TestSources(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{})
	run := d.source()
	run(store.RunNothing)
	d.want(time.Hour)
	run(store.RunFailed)
	first := d.want(time.Minute, "trouble: Rollbook: The source sis fails.")
	for range 3 {
		run(store.RunDone)
		d.want(15 * time.Minute)
		run(store.RunFailed)
		d.want(15 * time.Minute)
	}
	run(store.RunDone)
	d.want(time.Hour, "over: Rollbook: The source sis works again.")
	run(store.RunFailed)
	if again := d.want(time.Minute, "trouble: Rollbook: The source sis fails."); first[:30] == again[:30] {
		t.Errorf("other trouble has the same id: %s", again)
	}
	run(store.RunNothing)
	d.want(time.Hour, "over: Rollbook: The source sis works again.")
	run(store.RunBroken) // a service was started anew
	d.want(time.Minute)
	run(store.RunBroken)
	d.want(time.Minute, "trouble: Rollbook: The source sis fails.")
	run(store.RunNothing)
	d.want(2*time.Hour, "over: Rollbook: The source sis works again.")
	run(store.RunBroken)
	d.want(time.Minute)
	d.want(10*time.Minute, "trouble: Rollbook: The source sis fails.") // and has no other turn
	run(store.RunNothing)
	d.want(time.Hour, "over: Rollbook: The source sis works again.")
	d.want(20*time.Hour, "trouble: Rollbook: The source sis has brought nothing for more than 26 hours.")
	run(store.RunNothing)
	d.want(time.Hour)
	if _, err := d.s.Arrive(t.Context(), "a.zip", "source sis"); err != nil {
		t.Fatal(err)
	}
	d.want(time.Minute, "over: Rollbook: The source sis has brought something again.")
	run(store.RunFailed)
	d.want(time.Minute, "trouble: Rollbook: The source sis fails.")
	if err := d.s.RemoveFeed(t.Context(), store.FeedSource, "sis"); err != nil {
		t.Fatal(err)
	}
	d.want(time.Minute, "over: Rollbook: It is there no more: The source sis fails.")
}

// A reader that comes each day, and then does not, is missed until it comes again; one that came once is
// not. A delta without a row is a visit, a token alone is none.
func TestReaders(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{Remind: "240h"})
	d.now = d.now.Truncate(time.Hour)
	for _, c := range []string{"sds", "once"} {
		if err := d.s.AddClient(t.Context(), auth.Client{ID: c, Name: c, Created: d.now}); err != nil {
			t.Fatal(err)
		}
	}
	visit := func(client, op string) {
		t.Helper()
		if err := d.s.Note(t.Context(), store.Heard{Calls: []*store.Calls{{Client: client, Op: op,
			Hour: d.now, Calls: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	visit("once", "getAllUsers")
	for range 4 {
		visit("sds", "getAllUsers")
		d.want(24 * time.Hour)
	}
	d.want(4*time.Hour, "trouble: Rollbook: The reader sds has not come for more than 26 hours.")
	visit("sds", "token")
	d.want(time.Hour)
	d.want(241*time.Hour, "reminder: Rollbook: Still, since 2026-11-06 06:00: The reader sds has not come "+
		"for more than 26 hours.")
	d.want(200 * time.Hour) // its visits are forgotten, the trouble is not
	visit("sds", "getAllUsers")
	d.want(20*time.Minute, "over: Rollbook: The reader sds has come again.")
}

// One digest a day tells what was published; trouble is told at once all the same.
func TestDigest(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{On: []string{"published", "held"},
		Digest: feed.Schedule{At: []string{"07:00"}}}) // 13:00 UTC
	d.want(time.Hour)
	d.publication("a.zip", store.StatePublished, "")
	d.publication("b.zip", store.StateHeld, verdict)
	d.want(time.Hour, "trouble: Rollbook: Publication 2 is held: 51 of 100 users would go (loss). "+
		"Readers are served what they were served before.")
	d.want(2*time.Hour + 59*time.Minute)
	d.want(time.Minute, "digest: Rollbook: 1 publication published: 0 added, 0 changed, 0 retired; 1 held; "+
		"one trouble goes on.")
	d.want(time.Minute)
	d.want(20 * time.Hour)
	d.want(4*time.Hour, "reminder: Rollbook: Still, since 2026-11-02 04:00: Publication 2 is held: "+
		"51 of 100 users would go (loss). Readers are served wha…",
		"digest: Rollbook: Nothing was published; one trouble goes on.")
}

// What cannot be sent waits, ever longer, and is told later in one; a message that was sent before a crash
// has the ID that it has when it is sent again.
func TestWhatCannotBeSentWaits(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{})
	if err := os.Mkdir(d.book, 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	d.publication("a.zip", store.StateRefused, "")
	due := func() time.Duration {
		t.Helper()
		_, err := d.feeds.Run(t.Context(), store.FeedNotify, "office")
		if err == nil {
			t.Fatal("it was sent")
		}
		f, err := d.s.Feed(t.Context(), store.FeedNotify, "office")
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(oneroster.TimeLayout, f.Due)
		return at.Sub(d.now)
	}
	if got := []time.Duration{due(), due(), due()}; got[0] != time.Minute || got[1] != 2*time.Minute ||
		got[2] != 4*time.Minute {
		t.Errorf("pauses %v", got)
	}
	d.publication("b.zip", store.StateRefused, "")
	first := d.want(0, "trouble: Rollbook: Publication 1 is refused: its package cannot be used, and "+
		"nothing was changed, and 1 more")
	// What was sent is not sent again for the sake of what could not be.
	run := d.source()
	run(store.RunFailed)
	d.want(time.Minute, "trouble: Rollbook: The source sis fails.")
	if err := d.s.RemoveFeed(t.Context(), store.FeedSource, "sis"); err != nil {
		t.Fatal(err)
	}
	d.publication("c.zip", store.StateRefused, "")
	_ = os.Remove(d.book)
	if err := os.WriteFile(d.book+".once", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.feeds.Run(t.Context(), store.FeedNotify, "office"); err == nil {
		t.Fatal("both were sent")
	}
	d.want(0, "over: Rollbook: It is there no more: The source sis fails.")
	// A process that was killed before it could remember says the same again, and nobody else does.
	ids := func(d *desk) string {
		t.Helper()
		d.publication("d.zip", store.StateRefused, "")
		f, err := d.s.Feed(t.Context(), store.FeedNotify, "office")
		if err != nil {
			t.Fatal(err)
		}
		_, one := d.after(time.Minute)
		turn, _, err := d.s.TakeTurn(t.Context(), store.FeedNotify, "office", "")
		if err == nil {
			turn.Memory = f.Memory
			err = turn.End(t.Context(), store.Run{}, d.now)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, two := d.after(0)
		if one == "" || one[:30] != two[:30] {
			t.Errorf("%s\n%s", one, two)
		}
		return one[:30]
	}
	other := newDesk(t, storetest.SQLite(t), notify.Settings{})
	other.publication("a.zip", store.StateRefused, "")
	_, theirs := other.after(time.Minute)
	if mine := ids(d); mine == ids(other) || theirs[:30] == first[:30] {
		t.Error("two districts have one id")
	}
}
