package storetest

import (
	"errors"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

var gradebook = []promise{
	{"a written object has what readers need and clients leave out", func(t *trial) {
		period := func(id, parent, start, end string) oneroster.Record {
			return Rec("academicSession", "sourcedId", id, "title", id, "type", "gradingPeriod", "startDate",
				start, "endDate", end, "schoolYear", "2027", "parent", parent)
		}
		t.take(append(school(), period("past", "y", "2026-01-01", "2026-06-01"), period("other", "z",
			"2026-08-01", "2027-01-01"),
			period("now", "y", "2026-08-01", "2027-01-01"), period("ended", "y", "2026-08-01",
				"2026-09-01"),
			period("last", "y", "2027-01-01", "2027-03-01"), period("other last", "z", "2027-01-01",
				"2027-05-01"))...)
		i := t.put("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c1")
		for field, want := range map[string]string{"assignDate": "2026-09-01T08:00:00.000Z",
			"dueDate": "2026-09-01T08:00:00.000Z", "resultValueMin": "0", "resultValueMax": "100",
			"category": "rollbook-uncategorized", "gradingPeriod": "now", "status": "active"} {
			t.equal("line item "+field, i.Get(field), want)
		}
		t.equal("the category", t.one("getAllCategories", "rollbook-uncategorized").Get("title"),
			"Uncategorized")
		r := t.put("result", "sourcedId", "r", "lineItem", "i", "student", "u1", "score", "5")
		t.equal("result", r.Get("scoreDate")+" "+r.Get("scoreStatus"), "2026-09-01 fully graded")
		r = t.put("result", "sourcedId", "r", "lineItem", "i", "student", "u1")
		t.equal("result without score", r.Get("score")+" "+r.Get("scoreStatus"), "0 not submitted")
		for day, want := range map[string]string{"2027-02-28": "last", "2027-03-01": "other last",
			"2027-06-01": "last"} {
			var err error
			t.now, err = time.Parse(oneroster.DateLayout, day) // a period's last day is past
			t.must(err)
			i := t.put("lineItem", "sourcedId", "on "+day, "title", "Quiz", "class", "c1")
			t.equal(day, i.Get("gradingPeriod"), want)
		}
	}},
	{"a line item without category gets its class's own, else one of all classes", func(t *trial) {
		t.take(school()...)
		t.put("category", "sourcedId", "other", "title", "x", "metadata", `{"classId":"c2"}`)
		t.put("category", "sourcedId", "all", "title", "x")
		t.put("category", "sourcedId", "own", "title", "x", "metadata", `{"classId":"c1"}`)
		for _, c := range []struct{ class, want string }{{"c1", "own"}, {"c2", "other"}} {
			t.equal(c.class, t.put("lineItem", "sourcedId", "i"+c.class, "title", "Quiz", "class",
				c.class).Get("category"), c.want)
		}
		t.remove("category", "own")
		t.equal("after its own", t.one("getAllLineItems", "ic1").Get("category"), "all")
		t.remove("category", "all")
		t.equal("after the last", t.one("getAllLineItems", "ic1").Get("category"), "rollbook-uncategorized")
		t.remove("category", "rollbook-uncategorized")
		t.equal("after that", t.one("getAllLineItems", "ic1").Get("category"), "rollbook-uncategorized-2")
		t.equal("the other's", t.one("getAllLineItems", "ic2").Get("category"), "other")
	}},
	{"a write that breaks a rule is refused, says which, and changes nothing", func(t *trial) {
		t.take(school()...)
		t.put("category", "sourcedId", "k", "title", "x")
		t.put("category", "sourcedId", "gone", "title", "x")
		t.put("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c1", "category", "k")
		t.put("lineItem", "sourcedId", "gone", "title", "Quiz", "class", "c1", "category", "k")
		t.put("result", "sourcedId", "r", "lineItem", "gone", "student", "u1", "score", "5")
		t.remove("lineItem", "gone")
		t.remove("category", "gone")
		before := t.everything()
		for _, c := range []struct {
			resource, field string
			pairs           []string
		}{
			{"category", "title", nil}, {"category", "title", []string{"title", " "}},
			{"lineItem", "title", []string{"class", "c1"}}, {"lineItem", "class", []string{"title", "Quiz"}},
			{"lineItem", "class", []string{"title", "Quiz", "class", "nosuch"}}, {"lineItem", "class",
				[]string{"title", "Quiz", "class", "C1"}},
			{"lineItem", "category", []string{"title", "Quiz", "class", "c1", "category", "nosuch"}},
			{"lineItem", "category", []string{"title", "Quiz", "class", "c1", "category", "gone"}},
			{"lineItem", "gradingPeriod", []string{"title", "Quiz", "class", "c1", "gradingPeriod",
				"nosuch"}},
			{"result", "lineItem", []string{"student", "u1"}}, {"result", "student", []string{"lineItem",
				"i"}},
			{"result", "lineItem", []string{"lineItem", "nosuch", "student", "u1"}}, {"result", "lineItem",
				[]string{"lineItem", "gone", "student", "u1"}},
			{"result", "student", []string{"lineItem", "i", "student", "nosuch"}}, {"result", "scoreStatus",
				[]string{"lineItem", "i", "student", "u1", "scoreStatus", "fully graded"}},
		} {
			for _, id := range []string{"new", "i", "k", "r"} {
				_, _, err := t.s.Put(ctx, Rec(c.resource, append([]string{"sourcedId", id}, c.pairs...)...))
				var bad *store.Refused
				if !errors.As(err, &bad) || bad.Field != c.field {
					t.Errorf("%s %q: %v", c.resource, c.pairs, err)
				}
			}
		}
		t.equal("the district", t.everything(), before)
		_, _, err := t.s.Put(ctx, Rec("user", "sourcedId", "u1", "username", "x"))
		t.refused("a user", before, err, "not written one by one")
		t.refused("a user", before, t.s.Delete(ctx, oneroster.ByName("user"), "u1"), "not deleted one by one")
		for _, id := range []string{"nosuch", "gone", "I"} {
			if err := t.s.Delete(ctx, oneroster.ByName("lineItem"), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("delete %s: %v", id, err)
			}
		}
		t.equal("the district", t.everything(), before)
	}},
	{"who has left takes no more grades", func(t *trial) {
		t.take(school()...)
		t.put("lineItem", "sourcedId", "i", "title", "Quiz", "class", "c2")
		t.take(without(school(), "user u1", "class c1")...)
		before := t.everything()
		for _, rec := range []oneroster.Record{Rec("lineItem", "sourcedId", "i2", "title", "Quiz", "class", "c1"),
			Rec("result", "sourcedId", "r", "lineItem", "i", "student", "u1", "score", "5")} {
			_, _, err := t.s.Put(ctx, rec)
			t.refused(rec.Resource.Name, before, err, "has left: it takes no more grades")
		}
	}},
	{"a PUT replaces the whole object", func(t *trial) {
		t.put("category", "sourcedId", "k", "title", "x", "metadata", `{"a":"1"}`)
		out, created, err := t.s.Put(ctx, Rec("category", "sourcedId", "k", "title", "y"))
		t.must(err)
		t.equal("created", created, false)
		t.equal("metadata", out.Get("title")+out.Get("metadata"), "y")
		t.equal("found by it", t.ids("getAllCategories | metadata.a='1'"), "")
		_, created, err = t.s.Put(ctx, Rec("category", "sourcedId", "K", "title", "y"))
		t.must(err)
		t.equal("created", created, true)
	}},
	{"results go with their line item, and theirs alone", func(t *trial) {
		t.take(school()...)
		for _, id := range []string{"1", "2"} {
			t.put("lineItem", "sourcedId", "i"+id, "title", "Quiz", "class", "c1")
			t.put("result", "sourcedId", "r"+id, "lineItem", "i"+id, "student", "u1", "score", "5")
		}
		t.tick(time.Hour)
		t.remove("lineItem", "i1")
		t.equal("results", t.ids("getAllResults"), "r2")
		told := t.rows("getAllResults | dateLastModified>='2026-09-01T09:00:00.000Z'")
		if len(told) != 1 || told[0].ID() != "r1" || told[0].Get("status") != oneroster.ToBeDeleted ||
			strings.TrimSpace(told[0].Get("comment")) != "" {
			t.Errorf("told: %v", told)
		}
		t.put("lineItem", "sourcedId", "i1", "title", "Quiz", "class", "c1")
		t.equal("results of one that is made again", t.ids("getAllResults"), "r2")
	}},
}
