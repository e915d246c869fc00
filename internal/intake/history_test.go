package intake_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// half is a source without every second user and what hangs on them.
type half struct{ oneroster.Source }

func (h half) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	n, gone := 0, map[string]bool{}
	return h.Source.Records(ctx, func(r oneroster.Row) error {
		switch r.Resource.Name {
		case "user":
			if n++; n%2 == 0 {
				gone[r.ID()] = true
				return nil
			}
			r.Values = slices.Clone(r.Values)
			r.Set("agents", "")
		case "demographics":
			if gone[r.ID()] {
				return nil
			}
		case "enrollment", "result":
			if gone[r.Get("user")] || gone[r.Get("student")] {
				return nil
			}
		}
		return yield(r)
	})
}

// A history is a district through publications of every kind, and a reader who follows
// it by deltas alone.
type history struct {
	*testing.T
	ctx    context.Context
	s      *store.Store
	in     *intake.Intake
	now    time.Time
	rng    *rand.Rand
	life   *sandbox.Life
	reader map[string]string
	latest map[string]string
	past   []moment
}

// A moment is a state of the district, and the publication that left it (0: a client).
type moment struct {
	at          time.Time
	publication int64
	rev         int64
	all         map[string]string // every record, deleted too, with its time
}

var lists = []string{"getAllOrgs", "getAllAcademicSessions", "getAllCourses", "getAllClasses", "getAllUsers",
	"getAllDemographics", "getAllEnrollments", "getAllCategories", "getAllLineItems", "getAllResults"}

func (h *history) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// everything reads all records with their times.
func (h *history) everything(read func(func(each func(*oneroster.Resource,
	func(oneroster.Record) error) error) error) error) map[string]string {
	h.Helper()
	out := map[string]string{}
	h.must(read(func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		for _, r := range oneroster.Resources() {
			err := each(r, func(rec oneroster.Record) error {
				out[r.Name+" "+rec.ID()] = strings.Join(rec.Values, "|")
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return out
}

func (h *history) present() map[string]string {
	return h.everything(func(do func(func(*oneroster.Resource,
		func(oneroster.Record) error) error) error) error {
		return h.s.Snapshot(h.ctx, do)
	})
}

// follow lets the reader ask for what is new, and holds what it has to what there is; it
// remembers the state.
func (h *history) follow(what string, publication int64) {
	h.Helper()
	all := h.present()
	for _, op := range lists {
		route := storetest.Route(op)
		f, err := query.ParseFilter(route.Resource,
			"dateLastModified>'"+max(h.latest[op], "2000-01-01T00:00:00.000Z")+"'")
		h.must(err)
		rows, _ := storetest.List(h.T, h.s, store.Selection{Route: route, Query: query.Query{Filter: f}})
		for _, rec := range rows {
			h.reader[rec.Resource.Name+" "+rec.ID()] = strings.Join(rec.Values, "|")
			h.latest[op] = max(h.latest[op], rec.Get("dateLastModified"))
		}
	}
	for key, text := range all {
		name, _, _ := strings.Cut(key, " ")
		if name != "resource" && name != "classGroup" && h.reader[key] != text {
			h.Fatalf("%s: of %s the reader has\n%s\nand there is\n%s", what, key, h.reader[key], text)
		}
	}
	if open := dangling(all); open != "" {
		h.Fatalf("%s: %s", what, open)
	}
	m, err := h.s.Moment(h.ctx)
	h.must(err)
	h.past = append(h.past, moment{h.now, publication, m.Rev, all})
	h.now = h.now.Add(time.Duration(1+h.rng.IntN(90)) * time.Minute)
}

// dangling names an active record that refers to one that is not.
func dangling(all map[string]string) string {
	active := func(key string) bool { return strings.Contains(all[key], "|"+oneroster.Active+"|") }
	for key, text := range all {
		if !active(key) {
			continue
		}
		name, id, _ := strings.Cut(key, " ")
		values := strings.Split(text, "|")
		if name == "demographics" && !active("user "+id) {
			return key + " has no user"
		}
		for i, f := range oneroster.ByName(name).Fields {
			for _, id := range oneroster.Items(values[i]) {
				if f.To != "" && !active(f.To+" "+id) {
					return fmt.Sprintf("%s refers to %s %s by its %s", key, f.To, id, f.Name)
				}
			}
		}
	}
	return ""
}

// content is a state without times, and without who is deleted.
func content(all map[string]string) map[string]string {
	out := map[string]string{}
	for key, text := range all {
		values := strings.Split(text, "|")
		if values[oneroster.Status] == oneroster.Active {
			values[oneroster.Modified] = ""
			out[key] = strings.Join(values, "|")
		}
	}
	return out
}

func (h *history) offer(src oneroster.Source) (id int64, held bool) {
	h.Helper()
	id, err := h.s.Arrive(h.ctx, "night", "somebody")
	h.must(err)
	_, held, _, err = h.in.Offer(h.ctx, id, intake.Offer{Source: src, Cause: "import night"})
	h.must(err)
	return id, held
}

func (h *history) state(id int64, want store.State) {
	h.Helper()
	p, err := h.s.Publication(h.ctx, id)
	h.must(err)
	if p.State != want {
		h.Fatalf("publication %d is %s, not %s", id, p.State, want)
	}
}

// badNight offers half of the pupils: it is held, and nothing changes until somebody
// decides.
func (h *history) badNight() {
	before := h.present()
	src := half{h.life}
	id, held := h.offer(src)
	h.state(id, store.StateHeld)
	if now := h.present(); !held || !maps.Equal(now, before) {
		h.Fatalf("publication %d: held is %v, and %d records of %d", id, held, len(now), len(before))
	}
	switch h.rng.IntN(3) {
	case 0:
		h.must(h.in.Discard(h.ctx, id, "cut"))
		h.state(id, store.StateDiscarded)
		h.follow("discard", 0)
	case 1:
		_, _, err := h.in.Release(h.ctx, id, intake.Offer{Source: src, Cause: "import night"}, "it is right")
		h.must(err)
		h.state(id, store.StatePublished)
		h.follow("publish of what was held", id)
		h.rollback(h.past[len(h.past)-2], false)
	default: // the next night ends it
		next, held := h.offer(h.life)
		if held {
			h.Fatal("an ordinary night after a held one is held")
		}
		h.state(id, store.StateSuperseded)
		h.follow("the next night", next)
	}
}

// back rolls back to a state, and back again.
func (h *history) back(to moment) {
	h.Helper()
	from := h.past[len(h.past)-1]
	h.rollback(to, true)
	h.rollback(from, false)
}

// rollback makes the district what it was; what clients wrote since stays.
func (h *history) rollback(to moment, wrote bool) {
	h.Helper()
	id, err := h.s.Arrive(h.ctx, "rollback", "somebody")
	h.must(err)
	o := intake.Offer{Back: to.rev, Cause: "rollback"}
	_, held, _, err := h.in.Offer(h.ctx, id, o)
	h.must(err)
	if held {
		_, _, err = h.in.Release(h.ctx, id, o, "it is meant")
		h.must(err)
	}
	h.follow("rollback", id)
	got, want := content(h.past[len(h.past)-1].all), content(to.all)
	if wrote {
		got, want = rosters(got), rosters(want)
	}
	for key := range want {
		if got[key] != want[key] {
			h.Fatalf("rollback to %d: %s is\n%s\nand was\n%s", to.rev, key, got[key], want[key])
		}
	}
	if len(got) != len(want) {
		h.Fatalf("rollback to %d: %d records, not %d", to.rev, len(got), len(want))
	}
}

func rosters(all map[string]string) map[string]string {
	maps.DeleteFunc(all, func(key, _ string) bool {
		name, _, _ := strings.Cut(key, " ")
		return oneroster.ByName(name).Gradebook
	})
	return all
}

func (h *history) put() {
	var pupils, items []string
	for key := range content(h.past[len(h.past)-1].all) {
		if strings.HasPrefix(key, "user stu") {
			pupils = append(pupils, strings.Fields(key)[1])
		} else if strings.HasPrefix(key, "lineItem ") {
			items = append(items, strings.Fields(key)[1])
		}
	}
	slices.Sort(pupils)
	slices.Sort(items)
	rec := storetest.Rec("result", "sourcedId", fmt.Sprint("r", h.rng.IntN(20)), "lineItem",
		items[h.rng.IntN(len(items))], "student", pupils[h.rng.IntN(len(pupils))], "score",
		fmt.Sprint(h.rng.IntN(9)))
	_, _, err := h.s.Put(store.By(h.ctx, "client x"), rec)
	h.must(err)
	h.follow("PUT", 0)
}

// Whatever is published, held, discarded, superseded and rolled back: a reader of deltas
// has what there is, nothing refers to what is gone, and every state can be had again.
func TestHistoryOfPublications(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		h := &history{T: t, ctx: t.Context(), now: time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC),
			rng: rand.New(rand.NewPCG(8, 3)), reader: map[string]string{}, latest: map[string]string{}}
		h.s = storetest.Open(t, dsn, store.Options{Now: func() time.Time { return h.now }})
		h.life = sandbox.NewLife(sandbox.Options{Students: 60, Seed: 5, Today: h.now})
		steps := 40
		if strings.HasPrefix(dsn, "postgres") {
			steps = 14
		}
		for step := range steps {
			h.in = &intake.Intake{Store: h.s, Who: "somebody", Zone: time.UTC, Today: h.now}
			switch n := h.rng.IntN(10); {
			case step < 2 || n < 4:
				h.now = h.now.Add(20 * time.Hour)
				h.life.Step()
				id, held := h.offer(h.life)
				if held { // the school year ends
					_, _, err := h.in.Release(h.ctx, id, intake.Offer{Source: h.life,
						Cause: "import night"}, "new year")
					h.must(err)
				}
				h.follow("a night", id)
			case n < 6:
				h.badNight()
			case n < 8:
				h.put()
			default:
				h.back(h.past[h.rng.IntN(len(h.past))])
			}
		}
		for i, m := range h.past {
			then := h.everything(func(do func(func(*oneroster.Resource,
				func(oneroster.Record) error) error) error) error {
				return h.s.AsOf(h.ctx, m.at, do)
			})
			if !maps.Equal(then, m.all) {
				t.Fatalf("as of step %d of %d it is another district", i, len(h.past))
			}
		}
	})
}
