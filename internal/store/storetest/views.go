package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
		first, book, request := versions(ctx, nil), version(ctx), store.Asking(ctx)
		if versions(ctx, first) != first || versions(request, first) != first {
			t.Error("what has not changed is read again")
		}
		t.put("category", "sourcedId", "k", "title", "y")
		t.must(t.s.AddClient(ctx, auth.Client{ID: "c", Name: "c"}))
		t.equal("a request sees one moment", []any{versions(request, first) == first, version(request)},
			[]any{true, book})
		now := versions(store.Asking(ctx), first)
		t.equal("the next one another", []int64{now.Rev, now.Of(oneroster.ByName("category"))},
			[]int64{first.Rev + 1, first.Rev + 1})
		t.equal("and so does who asks of no request", []any{versions(ctx, first), version(ctx)},
			[]any{now, book + 1})
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
