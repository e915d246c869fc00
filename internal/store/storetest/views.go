package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// crowded is a school whose pupils have places of two digits, in another order than their ids, and
// a gradebook of which something is deleted.
func (t *trial) crowded() {
	t.Helper()
	rows := school()
	for i := range 12 {
		rows = append(rows, Rec("user", "sourcedId", fmt.Sprint("p", 90-i), "username", fmt.Sprint("p", i),
			"role", []string{"student", "teacher"}[i%2], "orgs", []string{"o1", "o2"}[i/6], "givenName",
			fmt.Sprint("Given", i%3)))
	}
	rows = append(rows,
		Rec("academicSession", "sourcedId", "q", "title", "Quarter", "type", "gradingPeriod", "parent", "y"),
		Rec("resource", "sourcedId", "r1", "vendorResourceId", "1"),
		Rec("classGroup", "sourcedId", "cg", "title", "Group"))
	t.take(with(with(rows, "class c1", "resources", "r1"), "course co", "resources", "r1")...)
	t.takeDelta(gone("user", "u2"))
	for _, class := range []string{"c1", "c2"} {
		t.put("category", "sourcedId", "k"+class, "title", "x", "metadata",
			oneroster.MetadataOf(map[string]any{"classId": class}))
		t.put("lineItem", "sourcedId", "i"+class, "title", "Quiz", "class", class, "category", "k"+class)
		t.put("result", "sourcedId", "s"+class, "lineItem", "i"+class, "student", "u1", "score", "2.50")
	}
	t.put("category", "sourcedId", "k", "title", "x")
	t.remove("category", "k")
	t.remove("result", "sc2")
}

// within fills in the path of a collection: the school o1, the class c1 and so on.
func within(r *oneroster.Route) string {
	ids := map[string]string{"schools": "o1", "classes": "c1", "terms": "y", "courses": "co",
		"students": "u1", "teachers": "u3", "users": "u1", "lineItems": "ic1"}
	text, above := r.Op, ""
	for part := range strings.SplitSeq(r.Path, "/") {
		if strings.HasPrefix(part, "{") {
			text += " " + ids[above]
		}
		above = part
	}
	return text
}

func idsOf(rows []oneroster.Record) []string {
	ids := []string{}
	for _, rec := range rows {
		ids = append(ids, rec.ID())
	}
	return ids
}

// viewed is what a view has of a selection, by the sourcedIds: those at its places, and those that
// are selected for what they say themselves.
func (t *trial) viewed(sel store.Selection) (placed, alone []string) {
	t.Helper()
	placed, alone = []string{}, []string{}
	selects := t.s.Selects(sel)
	t.must(t.s.View(ctx, func(v *store.View) error {
		at := map[uint32]string{}
		err := v.Since(ctx, sel.Route.Resource, 0, func(place int, values []string) error {
			at[uint32(place)] = values[oneroster.SourcedID]
			if selects != nil && selects(values) {
				alone = append(alone, values[oneroster.SourcedID])
			}
			return nil
		})
		t.must(err)
		places, err := v.Places(ctx, sel)
		for _, place := range places {
			placed = append(placed, at[place])
		}
		return err
	}))
	return placed, alone
}

// since is what a view says of the changes of a resource: how many there are, its last place, and
// each record with its place.
func (t *trial) since(resource string, after int64) (n, last int, changed []string) {
	t.Helper()
	r := oneroster.ByName(resource)
	t.must(t.s.View(ctx, func(v *store.View) (err error) {
		n, err = v.Changed(ctx, r, after)
		t.must(err)
		last, err = v.Last(ctx, r)
		t.must(err)
		return v.Since(ctx, r, after, func(place int, values []string) error {
			changed = append(changed, fmt.Sprintf("%d %q", place, values))
			return nil
		})
	}))
	return n, last, changed
}

// A moment is what a district serves at one change: its records by place, and which places
// selections select.
type moment struct {
	rev     int64
	records map[string]string // by resource and place
	places  map[string]string
}

// selections are all collections, with some filters, each sorted by one of its fields or another.
func (t *trial) selections(yield func(what string, sel store.Selection)) {
	n := 0
	for i := range oneroster.V1p1.Routes {
		r := &oneroster.V1p1.Routes[i]
		if r.Method != "GET" || r.One {
			continue
		}
		for _, filter := range []string{"", "sourcedId>'c1'", "status='tobedeleted'",
			"dateLastModified>='2000-01-01T00:00:00.000Z'"} {
			sel := t.selection(within(r) + " | " + filter)
			for range 2 {
				yield(fmt.Sprintf("%s %s %v %t", within(r), filter, sel.Query.Sort, sel.Query.Desc), sel)
				sel.Query.Sort, sel.Query.Desc = &r.Resource.Fields[n%len(r.Resource.Fields)], n%2 == 0
				n++
			}
		}
	}
}

func (t *trial) moment() (m moment) {
	t.Helper()
	t.must(t.s.View(ctx, func(v *store.View) error {
		m = t.records(v)
		t.selections(func(what string, sel store.Selection) {
			places, err := v.Places(ctx, sel)
			t.must(err)
			m.places[what] = fmt.Sprint(places)
		})
		return nil
	}))
	return m
}

func (t *trial) records(v *store.View) (m moment) {
	t.Helper()
	m = moment{v.Rev, map[string]string{}, map[string]string{}}
	for _, r := range oneroster.Resources() {
		t.must(v.Since(ctx, r, -1, func(place int, values []string) error {
			m.records[fmt.Sprint(r.Plural, place)] = fmt.Sprintf("%q", values)
			return nil
		}))
	}
	return m
}

// earlier is the moment of an earlier change, made of what a view has now.
func (t *trial) earlier(rev int64) (m moment) {
	t.Helper()
	t.must(t.s.View(ctx, func(v *store.View) error {
		m = t.records(v)
		m.rev = rev
		for _, r := range oneroster.Resources() {
			t.must(v.Earlier(ctx, r, rev, func(place int, values []string) error {
				m.records[fmt.Sprint(r.Plural, place)] = fmt.Sprintf("%q", values)
				if values == nil {
					delete(m.records, fmt.Sprint(r.Plural, place))
				}
				return nil
			}))
		}
		t.selections(func(what string, sel store.Selection) {
			places, err := v.PlacesEarlier(ctx, sel, rev)
			t.must(err)
			m.places[what] = fmt.Sprint(places)
		})
		return nil
	}))
	return m
}

var views = []promise{
	{"a view selects what a list serves, and a record by itself where no other has a part", func(t *trial) {
		t.crowded()
		full := 0
		for i := range oneroster.V1p1.Routes {
			r := &oneroster.V1p1.Routes[i]
			if r.Method != "GET" || r.One {
				continue
			}
			for _, filter := range []string{"", "status!='nothing'", "sourcedId>'c1'", "status='tobedeleted'",
				"dateLastModified>='2000-01-01T00:00:00.000Z'"} {
				sel := t.selection(within(r) + " | " + filter)
				rows, _ := List(t.T, t.s, sel)
				listed := idsOf(rows)
				full += min(1, len(listed))
				for _, desc := range []bool{false, true} {
					for _, sort := range []*oneroster.Field{nil, &r.Resource.Fields[oneroster.SourcedID]} {
						sel.Query.Sort, sel.Query.Desc = sort, desc
						rows, _ = List(t.T, t.s, sel)
						placed, alone := t.viewed(sel)
						what := fmt.Sprintf("%s, %s, sorted %t %t", within(r), filter, sort != nil, desc)
						t.equal(what, placed, idsOf(rows))
						if r.Scope.Through != nil || r.Scope.Parent != nil {
							t.equal(what+" tells", t.s.Selects(sel) != nil, false)
						} else {
							t.equal(what+" by itself", alone, listed)
						}
					}
				}
			}
		}
		if full < 100 {
			t.Errorf("only %d selections have records", full)
		}
	}},
	{"a view yields what has changed after a change, as it is served and in the order of the list",
		func(t *trial) {
			t.crowded()
			t.must(t.s.View(ctx, func(v *store.View) error {
				user, org := oneroster.ByName("user"), oneroster.ByName("org")
				t.equal("orgs came with the first change", v.Of(org), int64(1))
				t.equal("and a pupil left with the second", v.Of(org, user), int64(2))
				t.equal("in any order", v.Of(user, org), int64(2))
				t.equal("nothing is of no resource", v.Of(), int64(0))
				return nil
			}))
			last, err := t.s.Versions(ctx, nil)
			t.must(err)
			t.takeDelta(with(school(), "user u3", "givenName", "Theo")[8],
				Rec("user", "sourcedId", "a", "username", "a", "role", "student", "orgs", "o1"),
				with(school(), "user u1", "givenName", "Anne")[6])
			t.put("result", "sourcedId", "sc1", "lineItem", "ic1", "student", "u1", "score", "1.5")
			served := func(op, id string) string { return fmt.Sprintf("%q", t.one(op, id).Values) }
			n, most, changed := t.since("user", last.Rev)
			t.equal("users", changed, []string{"1 " + served("getAllUsers", "u1"),
				"3 " + served("getAllUsers", "u3"), "16 " + served("getAllUsers", "a")})
			t.equal("how many, and the last place", []int{n, most}, []int{3, 16})
			_, _, changed = t.since("result", last.Rev)
			t.equal("results", changed, []string{"1 " + served("getAllResults", "sc1")})
			now, err := t.s.Versions(ctx, nil)
			t.must(err)
			n, most, changed = t.since("user", now.Of(oneroster.ByName("user")))
			t.equal("after the last change", fmt.Sprint(n, most, changed), "0 16 []")
			n, most, _ = t.since("demographics", 0)
			t.equal("demographics", []int{n, most}, []int{1, 1})
			n, most, _ = t.since("classGroup", now.Rev)
			t.equal("no class group since", []int{n, most}, []int{0, 1})
		}},
	{"a view of an empty district has no places, and what its reader says is an error", func(t *trial) {
		placed, _ := t.viewed(t.selection("getAllUsers"))
		n, most, changed := t.since("user", 0)
		t.equal("nothing", fmt.Sprint(placed, n, most, changed), "[] 0 0 []")
		t.take(school()...)
		seen := 0
		err := t.s.View(ctx, func(v *store.View) error {
			return v.Since(ctx, oneroster.ByName("user"), 0, func(int, []string) error {
				seen++
				return errCut
			})
		})
		if !errors.Is(err, errCut) || seen != 1 {
			t.Errorf("%v after %d", err, seen)
		}
	}},
	{"the last changes are told anew where there are others, and asked once of a request", func(t *trial) {
		versions := func(ctx context.Context, last *store.Versions) *store.Versions {
			t.Helper()
			v, err := t.s.Versions(ctx, last)
			t.must(err)
			return v
		}
		version := func(ctx context.Context) int64 {
			t.Helper()
			n, err := t.s.Version(ctx)
			t.must(err)
			return n
		}
		t.put("category", "sourcedId", "k", "title", "x")
		first, book := versions(ctx, nil), version(ctx)
		request, _ := t.s.Asking(ctx)
		if versions(ctx, first) != first || versions(request, first) != first {
			t.Error("what has not changed is read again")
		}
		t.put("category", "sourcedId", "k", "title", "y")
		t.must(t.s.AddClient(ctx, auth.Client{ID: "c", Name: "c"}))
		t.equal("a request sees one moment", []any{versions(request, first) == first, version(request)},
			[]any{true, book})
		next, _ := t.s.Asking(ctx)
		now := versions(next, first)
		t.equal("the next one another", []int64{now.Rev, now.Of(oneroster.ByName("category"))},
			[]int64{first.Rev + 1, first.Rev + 1})
		t.equal("and so does who asks of no request", []any{versions(ctx, first), version(ctx)},
			[]any{now, book + 1})
	}},
	{"who is told that something is done finds it done, whichever process is asked", func(t *trial) {
		other := Open(t.T, t.dsn, store.Options{})
		now, err := t.s.Versions(ctx, nil)
		t.must(err)
		rev, walk := now.Rev, int64(0)
		book, err := t.s.Version(ctx)
		t.must(err)
		ended := make(chan struct{})
		var asked sync.WaitGroup
		asked.Go(func() { // all the time, so that the answer to any other request may be used
			for {
				select {
				case <-ended:
					return
				default:
					request, _ := other.Asking(ctx)
					_, _ = other.Version(request)
				}
			}
		})
		defer asked.Wait()
		defer close(ended)
		for n := range int64(8) {
			t.put("category", "sourcedId", "k", "title", fmt.Sprint(n))
			request, _ := other.Asking(ctx)
			now, err = other.Versions(request, now)
			t.must(err)
			t.equal("after a grade", now.Rev, rev+2*n+1)

			t.take(Rec("org", "sourcedId", "o", "name", fmt.Sprint(n), "type", "school"))
			request, _ = other.Asking(ctx)
			now, err = other.Versions(request, now)
			t.must(err)
			t.equal("after an import", now.Rev, rev+2*n+2)

			t.must(t.s.AddClient(ctx, auth.Client{ID: fmt.Sprint(n), Name: fmt.Sprint(n)}))
			request, _ = other.Asking(ctx)
			version, err := other.Version(request)
			t.must(err)
			t.equal("after a client", version, book+n+1)

			id, err := t.s.NoteWalk(ctx, store.WalkNote{Process: "p", Client: "c", Edition: n})
			t.must(err)
			request, _ = other.Asking(ctx)
			_, walk, err = other.Walks(request, walk)
			t.must(err)
			t.equal("after a first page", walk, id)
		}
	}},
	{"what was asked a moment ago is not asked again where that costs, and told to be of then",
		func(t *trial) {
			s, again := Open(t.T, t.dsn, store.Options{}), false
			for n := 0; n < 1000 && !again; n++ {
				_, err := s.Version(ctx)
				t.must(err)
				before := s.Time()
				request, at := s.Asking(ctx)
				again = at.Before(before)
				t.equal("the moment of a request", s.TimeOf(request), at)
			}
			t.equal("asked before the request", again, t.postgres())
		}},
	{"a view has what was served at an earlier change, as far as the journal goes back", func(t *trial) {
		t.crowded()
		var before []moment
		note := func() { before = append(before, t.moment()) }
		note()
		t.takeDelta(with(school(), "user u3", "givenName", "Theo", "familyName", "")[8],
			Rec("user", "sourcedId", "a", "username", "a", "role", "student", "orgs", "o1"),
			with(school(), "user u1", "givenName", "Anne")[6])
		note()
		t.put("category", "sourcedId", "kc1", "title", "z", "metadata",
			oneroster.MetadataOf(map[string]any{"classId": "c2"}))
		t.put("result", "sourcedId", "sc1", "lineItem", "ic2", "student", "u1", "score", "10")
		t.put("result", "sourcedId", "sx", "lineItem", "ic1", "student", "u1")
		t.remove("lineItem", "ic2")
		note()
		t.takeDelta(gone("enrollment", "e1"), gone("class", "c2"), gone("user", "u1"))
		t.put("category", "sourcedId", "k", "title", "again")
		note()
		t.take(with(school(), "class c1", "title", "Other")...)
		t.put("lineItem", "sourcedId", "ic1", "title", "Quiz", "class", "c1", "category", "kc1")
		for _, was := range before {
			now, what := t.earlier(was.rev), fmt.Sprint("at change ", was.rev)
			t.equal(what, []int{len(now.records), len(now.places)}, []int{len(was.records), len(was.places)})
			for _, maps := range [][2]map[string]string{{now.records, was.records}, {now.places, was.places}} {
				for key := range maps[1] {
					t.equal(what+", "+key, maps[0][key], maps[1][key])
				}
			}
		}
		t.must(t.s.View(ctx, func(v *store.View) error {
			user := oneroster.ByName("user")
			all := func(int, []string) error { return nil }
			if err := v.Earlier(ctx, user, v.Rev+1, all); !errors.Is(err, store.ErrNotEarlier) {
				t.Errorf("a change that is still to come: %v", err)
			}
			return nil
		}))
		t.now = t.now.Add(time.Hour)
		t.must(t.s.Prune(ctx, t.now))
		t.takeDelta(Rec("user", "sourcedId", "b", "username", "b", "role", "student", "orgs", "o1"))
		t.must(t.s.View(ctx, func(v *store.View) error {
			all := func(int, []string) error { return nil }
			for _, r := range oneroster.Resources() {
				wanted := error(nil) // what has not changed since is as it was
				if v.Of(r) > before[0].rev {
					wanted = store.ErrNotEarlier
				}
				if err := v.Earlier(ctx, r, before[0].rev, all); !errors.Is(err, wanted) {
					t.Errorf("what is forgotten of %s: %v", r.Plural, err)
				}
			}
			return nil
		}))
	}},
	{"what a process notes of a walk is heard by all, in order, until nobody needs it", func(t *trial) {
		other, err := store.Open(ctx, t.dsn, store.Options{})
		t.must(err)
		defer other.Close()
		note := func(client string, n int) store.WalkNote {
			return store.WalkNote{Process: "p", Client: client, Question: fmt.Sprint("q", n), Edition: int64(n),
				Step: 7, Phase: 3, Began: t.now, AsOf: t.now.Add(-time.Millisecond),
				Last: t.now.Add(time.Duration(n) * time.Hour)}
		}
		hear := func(after int64) (heard []store.WalkNote, last int64) {
			heard, last, err := other.Walks(ctx, after)
			t.must(err)
			return heard, last
		}
		nothing, last := hear(0)
		t.equal("no walks", []any{len(nothing), last}, []any{0, int64(0)})
		var noted sync.WaitGroup
		for n := range 8 { // at once: no two have one number, and none is passed over
			noted.Go(func() {
				if _, err := t.s.NoteWalk(ctx, note("many", n)); err != nil {
					t.Error(err)
				}
			})
		}
		all := map[string]store.WalkNote{}
		for last < 8 {
			var heard []store.WalkNote
			heard, last = hear(last)
			for _, w := range heard {
				all[w.Question] = w
			}
		}
		noted.Wait()
		for n := range 8 {
			t.equal("what was noted", all[fmt.Sprint("q", n)], note("many", n))
		}
		id, err := t.s.NoteWalk(ctx, note("few", 1))
		t.must(err)
		heard, last := hear(8)
		t.equal("one more", []any{id, last, heard}, []any{int64(9), int64(9), []store.WalkNote{note("few", 1)}})
		t.must(t.s.ForgetWalks(ctx, t.now.Add(3*time.Hour), 3))
		heard, _ = hear(0)
		t.equal("of one client those of late, and the last of all", len(heard), 4)
		for _, w := range heard[:3] {
			t.equal(w.Question+" is of late", w.Last.Before(t.now.Add(3*time.Hour)), false)
		}
		t.must(t.s.ForgetWalks(ctx, t.now.Add(100*time.Hour), 3))
		id, err = t.s.NoteWalk(ctx, note("few", 2))
		t.must(err)
		t.equal("no number comes twice", id, int64(10))
		_, _, err = t.s.Restamp(ctx, store.Moment{}, false)
		t.must(err)
		heard, _ = hear(0)
		for _, w := range heard {
			t.equal("its edition when another copy was put in place", w.Edition, int64(-1))
		}
	}},
	{"two selections have one text where they select the same in the same order", func(t *trial) {
		texts := map[string]string{}
		for _, c := range []struct {
			ask, sort string
			desc      bool
			on        string
			whole     bool
		}{
			{"getAllUsers", "", false, "user", true}, {"getAllUsers", "username", false, "user", false},
			{"getAllUsers", "username", true, "user", false},
			{"getAllUsers | role='student'", "", false, "user", false},
			{"getAllUsers | role='teacher'", "", false, "user", false},
			{"getStudentsForClass c1", "", false, "user enrollment", false},
			{"getStudentsForClass c2", "", false, "user enrollment", false},
			{"getCategoriesForClass c1", "", false, "category class", false},
			{"getAllOrgs", "", false, "org", true}, {"getAllResults", "", false, "result", false},
		} {
			sel := t.selection(c.ask)
			sel.Query.Sort, sel.Query.Desc = sel.Route.Resource.Field(c.sort), c.desc
			text, on, whole, err := t.s.Asked(sel)
			t.must(err)
			var names []string
			for _, r := range on {
				names = append(names, r.Name)
			}
			what := fmt.Sprintf("%s by %s, %t", c.ask, c.sort, c.desc)
			t.equal(what, []any{strings.Join(names, " "), whole}, []any{c.on, c.whole})
			if texts[text] != "" {
				t.Errorf("%s and %s have one text", what, texts[text])
			}
			texts[text] = what
			sel.Query.Limit, sel.Query.Offset = 7, 3
			if again, _, _, err := t.s.Asked(sel); err != nil || again != text {
				t.Errorf("%s: another page has another text: %v", what, err)
			}
		}
	}},
}
