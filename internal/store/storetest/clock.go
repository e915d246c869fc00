package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
)

var clock = []promise{
	{"a change gets its time when it is done, not when it began", func(t *trial) {
		report := t.report(source{map[string]oneroster.Mode{"org": oneroster.Bulk},
			func(yield func(oneroster.Row) error) error {
				err := yield(oneroster.Row{Record: Rec("org", "sourcedId", "o1", "name", "School", "type",
					"school")})
				t.tick(40 * time.Second)
				return err
			}}, store.ImportOptions{})
		t.equal("the import says", report.Stamp, "2026-09-01T08:00:40.000Z")
		t.equal("the record says", t.stamp("getAllOrgs", "o1"), "2026-09-01T08:00:40.000Z")
	}},
	{"times are in milliseconds, rise and are never the same, also while the clock stands or goes back",
		func(t *trial) {
			t.tick(1999 * time.Microsecond)
			var stamps []string
			for i, back := range []time.Duration{0, 0, -time.Hour, 0, 2 * time.Hour} {
				t.tick(back)
				stamps = append(stamps, t.put("category", "sourcedId", fmt.Sprint("k", 9-i), "title",
					"x").Get("dateLastModified"))
			}
			t.equal("times", stamps, []string{"2026-09-01T08:00:00.001Z", "2026-09-01T08:00:00.002Z",
				"2026-09-01T08:00:00.003Z",
				"2026-09-01T08:00:00.004Z", "2026-09-01T09:00:00.001Z"})
			sel := t.selection("getAllCategories")
			sel.Query.Sort = sel.Route.Resource.Field("dateLastModified")
			for _, sel.Query.Desc = range []bool{false, true} {
				rows, _ := List(t.T, t.s, sel)
				for i, r := range rows {
					if sel.Query.Desc {
						i = len(rows) - 1 - i
					}
					t.equal(r.ID(), r.Get("dateLastModified"), stamps[i])
				}
			}
			for i, at := range stamps {
				t.equal("later than "+at, len(t.rows("getAllCategories | dateLastModified>'"+at+"'")),
					len(stamps)-1-i)
			}
		}},
	{"a clock that is behind the last change, or off the server's, is told", func(t *trial) {
		t.now = time.Now()
		told := func(what, want string) {
			t.Helper()
			text, err := t.s.ClockProblem(ctx)
			t.must(err)
			if (text == "") != (want == "") || !strings.Contains(text, want) {
				t.Errorf("%s: %q, not %q", what, text, want)
			}
		}
		off := ""
		if t.postgres() {
			off = "off the database server's"
		}
		told("empty", "")
		t.put("category", "sourcedId", "k", "title", "x")
		t.tick(-55 * time.Second)
		told("a little back", "")
		t.tick(-time.Hour)
		told("an hour back", "is stamped 1h0m55s ahead of this machine's clock")
		t.tick(2 * time.Hour)
		told("an hour on", off)
	}},
	{"a district that is older than what was seen of it is not written to", func(t *trial) {
		t.put("category", "sourcedId", "k1", "title", "x")
		t.put("category", "sourcedId", "k2", "title", "x")
		t.byHand(`UPDATE "clock" SET "rev" = 1`)
		if _, _, err := t.s.Put(ctx, Rec("category", "sourcedId", "k3", "title", "x")); !errors.Is(err,
			store.ErrMoved) {
			t.Errorf("a write: %v", err)
		}
		t.byHand(`UPDATE "clock" SET "rev" = 100`)
		if err := t.s.Ping(ctx); !errors.Is(err, store.ErrMoved) {
			t.Errorf("from then on: %v", err)
		}
	}},
	{"relations of dateLastModified take in or leave out what has that very time", func(t *trial) {
		for _, id := range []string{"k1", "k2", "k3"} {
			t.put("category", "sourcedId", id, "title", id)
			t.tick(time.Second)
		}
		for filter, want := range map[string]string{
			">'2026-09-01T08:00:01.000Z'": "k3", ">='2026-09-01T08:00:01.000Z'": "k2 k3",
			"<'2026-09-01T08:00:01.000Z'": "k1", "<='2026-09-01T08:00:01.000Z'": "k1 k2",
			"='2026-09-01T08:00:01.000Z'": "k2", "!='2026-09-01T08:00:01.000Z'": "k1 k3",
			"~'08:00:01.000z'": "k2", ">='2026-09-01T08:00:01.001Z'": "k3",
			"<='2026-09-01T08:00:00.999Z'": "k1",
			">'2026-09-01'":                "k1 k2 k3", "<'2026-09-01'": "",
			">='2026-09-01T10:00:02+02:00'": "k3",
			"=''":                           "",
		} {
			t.equal(filter, t.ids("getAllCategories | dateLastModified"+filter), want)
		}
	}},
	{"a package that says nothing new moves no time", func(t *trial) {
		t.take(school()...)
		before := t.everything()
		t.tick(time.Hour)
		report := t.take(school()...)
		t.equal("stamp", report.Stamp, "")
		for r, c := range report.Counts {
			t.equal(r.Plural, store.Counts{Same: c.Same}, c)
		}
		t.equal("the district", t.everything(), before)
		t.takeDelta(school()...)
		t.equal("the district after a delta", t.everything(), before)
	}},
	{"a change moves the time of what differs and of nothing else", func(t *trial) {
		t.take(school()...)
		before := t.everything()
		t.tick(time.Hour)
		t.take(with(school(), "user u2", "email", "b@x.example")...)
		moved := 0
		for i, now := range t.everything() {
			if now != before[i] {
				moved++
				if !strings.Contains(now, "b@x.example") || !strings.Contains(now, "09:00:00") {
					t.Errorf("moved: %s", now)
				}
			}
		}
		t.equal("moved", moved, 1)
	}},
	{"the time that a source gives a record is not looked at", func(t *trial) {
		t.take(school()...)
		before := t.everything()
		t.take(with(school(), "user u1", "dateLastModified", "2026-08-31T08:00:00.000Z")...)
		t.equal("the district", t.everything(), before)
	}},
	{"a PUT that changes nothing moves no time", func(t *trial) {
		t.take(school()...)
		t.put("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c1", "assignDate",
			"2026-09-01T00:00:00.000Z")
		before := t.everything()
		t.tick(time.Hour)
		_, created, err := t.s.Put(ctx, Rec("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c1",
			"assignDate", "2026-09-01T00:00:00.000Z"))
		t.must(err)
		t.equal("created", created, false)
		t.equal("the district", t.everything(), before)
	}},
	{"an object that comes back as it was has a new time", func(t *trial) {
		t.take(school()...)
		t.put("category", "sourcedId", "k", "title", "x")
		t.remove("category", "k")
		t.take(without(school(), "user u2")...)
		t.tick(time.Hour)
		out, created, err := t.s.Put(ctx, Rec("category", "sourcedId", "k", "title", "x"))
		t.must(err)
		t.equal("created", created, true)
		t.equal("of the object", out.Get("dateLastModified"), "2026-09-01T09:00:00.000Z")
		report := t.take(school()...)
		t.equal("users", report.Counts[oneroster.ByName("user")], store.Counts{Changed: 1, Same: 2})
		t.equal("of the user", t.stamp("getAllUsers", "u2"), report.Stamp)
	}},
	{"a restored copy stamps everything anew, after what readers have seen", func(t *trial) {
		t.take(school()...)
		t.take(without(school(), "user u2")...)
		all := len(t.everything())
		for _, c := range []struct {
			after, want string
			rev         int64
			now         bool
		}{
			{"", "2026-09-02T08:00:00.000Z", 0, false},
			{"2026-12-24T00:00:00.000Z", "2026-12-24T00:00:00.001Z", 0, false},
			{"2026-01-01T00:00:00.000Z", "2026-12-24T00:00:00.002Z", 1000, false},
			{"", "2026-12-24T00:00:00.003Z", 0, false},
			{"", "2026-09-02T08:00:00.000Z", 0, true},
		} {
			t.now = time.Date(2026, 9, 2, 8, 0, 0, 0, time.UTC)
			since := max(t.stamp("getAllUsers", "u1"), t.stamp("getAllUsers", "u2"))
			delta := "getAllUsers | dateLastModified>'" + since + "'"
			t.equal("the delta before", t.ids(delta), "")
			n, stamp, err := t.s.Restamp(ctx, store.Moment{Rev: c.rev, Stamp: c.after}, c.now)
			t.must(err)
			m, err := t.s.Moment(ctx)
			t.must(err)
			t.equal("the clock", m.Stamp, c.want)
			if m.Rev <= c.rev {
				t.Errorf("rev %d was seen, and %d is given", c.rev, m.Rev)
			}
			if c.now { // whoever has passed the present reads whole
				delta = "getAllUsers"
			}
			t.equal("records", n, all)
			t.equal("stamp", stamp, c.want)
			t.equal("the delta", t.ids(delta), "u1 u2 u3")
			for _, rec := range t.everything() {
				if !strings.Contains(rec, c.want) {
					t.Errorf("not anew: %s", rec)
				}
			}
		}
	}},
}

// page is rows from offset on, in the order of a field.
func page(t *trial, text, sorted string, desc bool, limit, offset int) (ids string, total int) {
	t.Helper()
	sel := t.selection(text)
	sel.Query = query.Query{Filter: sel.Query.Filter, Sort: sel.Route.Resource.Field(sorted), Desc: desc,
		Limit: limit, Offset: offset}
	rows, total := List(t.T, t.s, sel)
	var out []string
	for _, r := range rows {
		out = append(out, r.ID())
	}
	return strings.Join(out, " "), total
}
