package outlet_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/feed"
	"rollbook/internal/oneroster"
	"rollbook/internal/outlet"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/source"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) {
	outlet.SetFirstWait(time.Millisecond)
	storetest.Main(m)
}

// roster is what grades are about: a class with so many pupils.
func roster(pupils int) storetest.Package {
	rows := []oneroster.Record{storetest.Rec("org", "sourcedId", "s1", "name", "School", "type", "school"),
		storetest.Rec("academicSession", "sourcedId", "t1", "title", "Term", "type", "term", "startDate",
			"2026-08-01", "endDate", "2027-07-01", "schoolYear", "2027"),
		storetest.Rec("course", "sourcedId", "k1", "title", "Maths", "org", "s1"),
		storetest.Rec("class", "sourcedId", "c1", "title", "Maths 1", "classType", "scheduled", "course",
			"k1", "school", "s1", "terms", "t1")}
	for n := range pupils {
		id := fmt.Sprintf("p%d", n)
		rows = append(rows, storetest.Rec("user", "sourcedId", id, "enabledUser", "true", "role", "student",
			"username", id, "givenName", "Given", "familyName", "Family", "orgs", "s1"))
	}
	for n := range pupils {
		rows = append(rows, storetest.Rec("enrollment", "sourcedId", fmt.Sprintf("e%d", n), "user",
			fmt.Sprintf("p%d", n), "class", "c1", "school", "s1", "role", "student"))
	}
	return storetest.Bulk(rows...)
}

// A desk has a district whose grades go home, with its clock.
type desk struct {
	*testing.T
	s    *store.Store
	k    *outlet.Outlets
	key  *auth.Key
	now  time.Time
	feed *feed.Feeds
}

func newDesk(t *testing.T, dsn string, s outlet.Settings, secrets source.Secrets) *desk {
	t.Helper()
	d := &desk{T: t, now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), key: resttest.Key(t)}
	now := func() time.Time { return d.now }
	d.s = storetest.Open(t, dsn, store.Options{Now: now})
	if _, err := d.s.Import(t.Context(), roster(30), store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	d.k = &outlet.Outlets{Store: d.s, Key: d.key, Now: now,
		Zone: func(context.Context) (*time.Location, error) { return time.UTC, nil }}
	d.feed = &feed.Feeds{Store: d.s, Now: now, Kinds: map[store.FeedKind]feed.Kind{store.FeedOutlet: d.k}}
	f, err := s.Feed("home", secrets, d.key, d.now, 0)
	if err == nil {
		err = d.s.AddFeed(t.Context(), f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) put(resource string, pairs ...string) {
	d.Helper()
	d.now = d.now.Add(time.Millisecond)
	ctx := store.By(d.Context(), "client gradesync")
	if _, _, err := d.s.Put(ctx, storetest.Rec(resource, pairs...)); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) remove(resource, id string) {
	d.Helper()
	d.now = d.now.Add(time.Millisecond)
	if err := d.s.Delete(store.By(d.Context(), "client gradesync"), oneroster.ByName(resource),
		id); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) item(id string) {
	d.put("lineItem", "sourcedId", id, "title", "Test "+id, "class", "c1")
}

func (d *desk) score(item string, pupil, score int) {
	d.put("result", "sourcedId", fmt.Sprintf("%s-p%d", item, pupil), "lineItem", item, "student",
		fmt.Sprintf("p%d", pupil), "score", fmt.Sprint(score))
}

// deliver does a turn, and tells what became of it.
func (d *desk) deliver() (string, error) {
	d.Helper()
	run, err := d.feed.Run(d.Context(), store.FeedOutlet, "home")
	return string(run.State) + ": " + run.Text, err
}

func (d *desk) want(want string) {
	d.Helper()
	if got, err := d.deliver(); got != want || err != nil {
		d.Errorf("%s %v, not %s", got, err, want)
	}
}

func (d *desk) stored() store.Feed {
	d.Helper()
	f, err := d.s.Feed(d.Context(), store.FeedOutlet, "home")
	if err != nil {
		d.Fatal(err)
	}
	return f
}

// not is what could not be delivered, by its key.
func (d *desk) not() map[string]store.Undelivered {
	d.Helper()
	all, _, err := d.s.Undelivered(d.Context(), "home", store.UndeliveredOf{})
	if err != nil {
		d.Fatal(err)
	}
	out := map[string]store.Undelivered{}
	for _, u := range all {
		out[u.Key()] = u
	}
	return out
}

// gradebook is what a district has of it, without stamps.
func gradebook(t *testing.T, s *store.Store) string {
	t.Helper()
	var out []string
	err := s.Snapshot(t.Context(), func(each func(*oneroster.Resource,
		func(oneroster.Record) error) error) error {
		for _, r := range oneroster.Resources() {
			if !r.Gradebook {
				continue
			}
			if err := each(r, func(rec oneroster.Record) error {
				if values := slices.Clone(rec.Values); values[oneroster.Status] == oneroster.Active {
					values[oneroster.Modified] = ""
					out = append(out, fmt.Sprintf("%s %q", r.Plural, values))
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// home is the school's own system: another district that is served, by something that may spoil it.
type home struct {
	*store.Store
	settings outlet.Settings
	secrets  source.Secrets
	mu       sync.Mutex
	scores   map[string][]int // as they were written, by result
	spoil    func(r *http.Request) string
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{Store: storetest.Open(t, storetest.SQLite(t), store.Options{}), scores: map[string][]int{}}
	if _, err := h.Import(t.Context(), roster(30), store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	key := resttest.Key(t)
	secret := resttest.Admit(t, h.Store, key, auth.Client{ID: "rollbook"})
	service := resttest.Service(t, h.Store, key)
	url := resttest.Listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		how := ""
		if h.spoil != nil {
			how = h.spoil(r)
		}
		switch how {
		case "drop":
			panic(http.ErrAbortHandler)
		case "fail":
			w.WriteHeader(http.StatusInternalServerError)
			return
		case "forbid":
			w.WriteHeader(http.StatusForbidden)
			return
		case "busy":
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		a := httptest.NewRecorder()
		service.ServeHTTP(a, r)
		if id, is := strings.CutPrefix(r.URL.Path, oneroster.V1p1.Base+"/results/"); is &&
			r.Method == http.MethodPut && a.Code < 300 {
			h.mu.Lock()
			_, after, _ := strings.Cut(string(body), `"score":`)
			score, _, _ := strings.Cut(strings.ReplaceAll(after, "}", ","), ",")
			n, _ := strconv.Atoi(strings.Trim(score, `"`))
			h.scores[id] = append(h.scores[id], n)
			h.mu.Unlock()
		}
		if how == "lost" { // it was done, and nobody hears of it
			panic(http.ErrAbortHandler)
		}
		for name, values := range a.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(a.Code)
		_, _ = w.Write(a.Body.Bytes())
	}))
	h.secrets = source.Secrets{source.Password: secret}
	h.settings = outlet.Settings{Provider: &outlet.Provider{Service: source.Service{
		URL: url + oneroster.V1p1.Base, TokenURL: url + "/token", Client: "rollbook"}}}
	return h
}

// While the other side fails half of the time, hears what nobody is told of, or is down for an hour, grades
// are written; in the end both sides have the same, and no older score was written over a newer one.
func TestGradesGoHome(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		writes, _ := strconv.Atoi(os.Getenv("ROLLBOOK_GRADES"))
		if writes == 0 {
			writes = 600
		}
		h := newHome(t)
		d := newDesk(t, dsn, h.settings, h.secrets)
		rng, down := rand.New(rand.NewPCG(7, 7)), false
		h.spoil = func(r *http.Request) string {
			h.mu.Lock()
			defer h.mu.Unlock()
			if down {
				return "drop"
			}
			return []string{"", "", "", "", "drop", "fail", "busy", "lost"}[rng.IntN(8)]
		}
		r := rand.New(rand.NewPCG(1, 2))
		items, scores, turns, failed := 0, map[string]int{}, 0, 0
		for n := range writes {
			switch what := r.IntN(40); {
			case items == 0 || what == 0:
				items++
				d.item(fmt.Sprintf("l%d", items))
			case what == 1 && items > 2:
				id := fmt.Sprintf("l%d", 1+r.IntN(items-1))
				if got, err := d.s.GradesNow(t.Context(), oneroster.ByName("lineItem"),
					[]string{id}); err == nil && got[0].Values[oneroster.Status] == oneroster.Active {
					d.remove("lineItem", id)
				}
			default:
				id := fmt.Sprintf("l%d", 1+r.IntN(items))
				got, err := d.s.GradesNow(t.Context(), oneroster.ByName("lineItem"), []string{id})
				if err != nil || got[0].Values[oneroster.Status] != oneroster.Active {
					continue
				}
				pupil := r.IntN(30)
				key := fmt.Sprintf("%s-p%d", id, pupil)
				scores[key]++
				d.score(id, pupil, scores[key])
			}
			if n%50 == 0 {
				h.mu.Lock()
				down = n%200 == 100 // for an hour, by the clock of the district
				h.mu.Unlock()
				before := d.now
				for d.now.Sub(before) < time.Hour {
					turns++
					if _, err := d.deliver(); err != nil {
						failed++
					} else if !down {
						break
					}
					due, _ := time.Parse(oneroster.TimeLayout, d.stored().Due)
					d.now = due
				}
			}
		}
		h.mu.Lock()
		down, h.spoil = false, nil
		h.mu.Unlock()
		for range 3 {
			if _, err := d.deliver(); err != nil {
				t.Fatal(err)
			}
		}
		if one, other := gradebook(t, d.s), gradebook(t, h.Store); one != other || len(one) < 1000 {
			t.Errorf("they differ: %d and %d bytes\n%s\n%s", len(one), len(other), one, other)
		}
		repeated := 0
		for id, all := range h.scores {
			if !slices.IsSorted(all) {
				t.Errorf("%s was written as %v", id, all)
			}
			repeated += len(all) - len(slices.Compact(all))
		}
		if failed == 0 || repeated == 0 {
			t.Errorf("%d turns failed, %d scores were written again: nothing was tried", failed, repeated)
		}
		if not := d.not(); len(not) > 0 {
			t.Errorf("refused: %v", not)
		}
		t.Logf("%d writes, %d turns of which %d failed, %d scores written again", writes, turns, failed,
			repeated)
	})
}

// What is refused is kept with the words of the other side, stops nothing else, and is offered again when it
// changes, with what hangs on it.
func TestRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	d := newDesk(t, storetest.SQLite(t), h.settings, h.secrets)
	h.spoil = func(r *http.Request) string {
		if strings.Contains(r.URL.Path, "bad") {
			r.URL.Path = strings.Replace(r.URL.Path, "/lineItems/", "/nothing/", 1)
		}
		return ""
	}
	d.item("good")
	d.item("bad")
	d.score("good", 1, 10)
	d.score("bad", 1, 20)
	d.want("refused: delivered 3, refused 2: rollbook outlet status home tells why")
	not := d.not()
	if len(not) != 2 || not["results/bad-p1"].On != "lineItems/bad" || not["lineItems/bad"].Words == "" {
		t.Errorf("%+v", not)
	}
	d.want("nothing: there is nothing to deliver")
	d.score("good", 1, 11)
	d.want("done: delivered 1")
	h.spoil = nil
	d.put("lineItem", "sourcedId", "bad", "title", "Better", "class", "c1")
	d.want("done: delivered 2")
	if one, other := gradebook(t, d.s), gradebook(t, h.Store); one != other {
		t.Errorf("they differ:\n%s\n%s", one, other)
	}
	// One that fails in passing, and what is refused for the lack of it, come the next time.
	h.spoil = func(r *http.Request) string {
		if strings.Contains(r.URL.Path, "/lineItems/late") {
			return "fail"
		}
		return ""
	}
	d.item("late")
	d.score("late", 1, 5)
	if got, err := d.deliver(); err == nil || !strings.Contains(err.Error(), "1 could not be delivered now") {
		t.Errorf("%s %v", got, err)
	}
	if is, err := d.k.Wanted(t.Context(), d.stored()); !is || err != nil {
		t.Errorf("what failed in passing is not offered again: %v", err)
	}
	h.spoil = nil
	d.want("done: delivered 2")
	// One record that the client may not write stops no other; a client that may write none is a failure.
	h.spoil = func(r *http.Request) string {
		if strings.Contains(r.URL.Path, "/results/good-p2") {
			return "forbid"
		}
		return ""
	}
	for n := range 30 { // pupils 20 to 29 among them
		d.score("good", n, 40)
	}
	d.want("refused: delivered 19, refused 11: rollbook outlet status home tells why")
	h.spoil = func(r *http.Request) string {
		if r.Method == http.MethodPut {
			return "forbid"
		}
		return ""
	}
	for n := range 30 {
		d.score("good", n, 41)
	}
	if got, err := d.deliver(); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("%s %v", got, err)
	}
	h.spoil = nil
	d.want("done: delivered 30")
	// Settings that cannot be read fail with growing pauses too.
	right := d.k.Key
	d.k.Key = resttest.Key(t)
	for _, pause := range []time.Duration{30 * time.Second, time.Minute} {
		_, err := d.deliver()
		if due, _ := time.Parse(oneroster.TimeLayout, d.stored().Due); err == nil || due.Sub(d.now) != pause {
			t.Errorf("after %v a pause of %s, not %s", err, due.Sub(d.now), pause)
		}
	}
	d.k.Key = right
	d.want("nothing: there is nothing to deliver")
	h.spoil = func(*http.Request) string { return "fail" }
	d.score("good", 1, 12)
	var pauses []time.Duration
	for range 9 {
		if _, err := d.deliver(); err == nil || strings.Contains(err.Error(), h.secrets[source.Password]) {
			t.Fatal(err)
		}
		due, _ := time.Parse(oneroster.TimeLayout, d.stored().Due)
		pauses = append(pauses, due.Sub(d.now))
		d.now = due
	}
	if pauses[0] != 30*time.Second || pauses[1] != time.Minute || pauses[8] != time.Hour {
		t.Errorf("pauses %v", pauses)
	}
	h.spoil = nil
	d.want("done: delivered 1")
}

// After a quiet minute, or ten minutes of writing; what a publication brings is not taken home.
func TestWhen(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		d := newDesk(t, dsn, outlet.Settings{Folder: t.TempDir()}, nil)
		wanted := func(want bool, pass time.Duration) {
			t.Helper()
			d.now = d.now.Add(pass)
			if is, err := d.k.Wanted(t.Context(), d.stored()); is != want || err != nil {
				t.Errorf("at %s: wanted %v, %v", d.now, is, err)
			}
		}
		wanted(false, time.Hour)
		d.item("l1")
		wanted(false, 59*time.Second)
		wanted(true, time.Second)
		d.want("done: delivered 2")
		wanted(false, time.Hour)
		for range 19 {
			d.score("l1", 1, int(d.now.Unix()%100))
			wanted(false, 30*time.Second)
		}
		d.score("l1", 2, 7)
		wanted(true, 30*time.Second)
		d.want("done: delivered 2")
		if _, err := d.s.Import(store.By(t.Context(), "publication 7, night.zip"),
			storetest.Bulk(storetest.Rec("result",
				"sourcedId", "l1-p1", "lineItem", "l1", "student", "p1", "score", "99", "scoreStatus",
				"fully graded",
				"scoreDate", "2026-11-02")), store.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		wanted(false, time.Hour)
		w, err := d.s.GradesWaiting(t.Context(), outlet.Known(d.stored()).Rev)
		if err != nil || len(w.Count) != 0 {
			t.Errorf("%+v %v", w, err)
		}
		d.want("nothing: there is nothing to deliver")
		d.score("l1", 3, 8)
		wanted(true, -48*time.Hour) // the clock was put back
	})
}
