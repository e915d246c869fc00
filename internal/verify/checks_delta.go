package verify

import (
	"net/http"
	"strconv"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

var deltaChecks = []Check{
	{ID: "delta.later", Area: areaDelta, On: Wholes,
		Title: "dateLastModified>'T' brings the rows that changed after T, and only them",
		Rule:  ruleSDS + " (SDS-A07): the second pull asks so",
		Fix:   "Compare instants strictly; let dateLastModified move when, and only when, the row does.",
		Run: func(p *probe) {
			c, stamps, ok := p.stamps()
			if !ok {
				return
			}
			for _, at := range []string{before(stamps[0]), stamps[len(stamps)/2]} {
				later := modified(func(v string) bool { return v > at })
				p.filtered(c, "dateLastModified>"+provider.Quote(at), later, later, "dateLastModified")
			}
		}},
	{ID: "delta.pages", Area: areaDelta, On: Wholes, Title: "A delta in pages brings every changed row once",
		Rule: ruleSDS + ": a delta is paged like any pull",
		Fix:  "Filter first, order by a unique key, then page.", Run: func(p *probe) {
			c, stamps, ok := p.stamps()
			if !ok {
				return
			}
			at := before(stamps[0])
			p.pulls(c, provider.Escape("dateLastModified>"+provider.Quote(at)), c.part(4),
				modified(func(v string) bool { return v > at }))
		}},
	{ID: "delta.nothing", Area: areaDelta, On: Wholes, Title: "After the latest change there is nothing",
		Rule: ruleSDS + " (SDS-A07)", Fix: "Let nothing be modified after its own dateLastModified.",
		Run: func(p *probe) {
			c, ok := p.collection()
			if !ok {
				return
			}
			p.empty(c, "dateLastModified>'2999-01-01T00:00:00.000Z'")
		}},
	{ID: "delta.active", Area: areaDelta, On: Wholes,
		Title: "status='active' AND dateLastModified>'T' combines the two",
		Rule:  ruleSDS + ", published calls", Fix: "Read both conditions.", Run: func(p *probe) {
			c, stamps, ok := p.stamps()
			if !ok {
				return
			}
			at := before(stamps[len(stamps)-1])
			both := func(r oneroster.Record) bool {
				return r.Values[oneroster.Modified] > at && r.Values[oneroster.Status] == oneroster.Active
			}
			p.filtered(c, "status='active' AND dateLastModified>"+provider.Quote(at), both, both, "status",
				"dateLastModified")
		}},
	{ID: "delta.deleted", Area: areaDelta, On: Wholes,
		Title: "Deleted rows are shown as tobedeleted, and are part of the delta",
		Rule:  ruleREST + ", status; a reader that is not told keeps the pupil in the class",
		Fix: "Keep deleted rows with status tobedeleted and the time of their deletion, and show them " +
			"to delta reads.", Run: checkDeleted},
	{ID: "delta.constant", Area: areaDelta, On: Wholes, Advice: true,
		Title: "dateLastModified tells rows apart",
		Rule: ruleSDS + " (SDS-G04): one time on most rows is the time of an export, and every delta is " +
			"a full pull", Fix: "Stamp a row when its content changes. Fine after a first import; look " +
			"again after the next.", Run: func(p *probe) {
			c, ok := p.collection()
			if !ok {
				return
			}
			if c.count < 10 {
				p.lacks("ten rows are needed")
				return
			}
			count := map[string]int{}
			for _, rec := range c.records() {
				if v := rec.Values[oneroster.Modified]; v != "" {
					count[v]++
				}
			}
			for v, n := range count {
				if n > c.count/2 {
					p.fail(nil, "%d of %d rows have %s", n, c.count, v)
				}
			}
		}},
	{ID: "delta.future", Area: areaDelta, On: Wholes, Title: "dateLastModified is not in the future",
		Rule: ruleSDS + " (SDS-G04): a reader that remembers it misses what comes",
		Fix:  "Use the server's clock, in UTC.", Run: func(p *probe) {
			c, stamps, ok := p.stamps()
			if !ok {
				return
			}
			now := time.Now()
			if at, err := http.ParseTime(c.first.Header.Get("Date")); err == nil && at.After(now) {
				now = at
			}
			if last := stamps[len(stamps)-1]; last > oneroster.FormatTime(now.Add(2*time.Minute)) {
				p.fail(c.first, "the latest dateLastModified is %s; the server's clock says %s", last,
					c.first.Header.Get("Date"))
			}
		}},
}

// before is a millisecond earlier.
func before(stamp string) string {
	at, err := time.Parse(oneroster.TimeLayout, stamp)
	if err != nil {
		panic(err) // canonical
	}
	return oneroster.FormatTime(at.Add(-time.Millisecond))
}

func checkDeleted(p *probe) {
	if _, ok := p.collection(); !ok {
		return
	}
	a := p.get(p.route.Path, "limit", strconv.Itoa(pageful), "filter", "status='tobedeleted'")
	if a.Status == http.StatusNotFound {
		p.lacks("status='tobedeleted' is answered 404 (filter.no-match)")
		return
	}
	got, ok := p.list(a, p.route.Resource)
	if !ok {
		return
	}
	if len(got.Objects) == 0 {
		p.held = false
		p.lacks("no row is deleted: remove one in the source and run again")
		return
	}
	for i, o := range got.Objects {
		if o.Text("status") != oneroster.ToBeDeleted {
			p.fail(a, "%s came with status %s", o.ID(), text(o["status"]))
			continue
		}
		stamp := o.Text("dateLastModified")
		if !isTime(stamp) || i >= 3 {
			continue
		}
		delta := p.get(p.route.Path, "limit", strconv.Itoa(pageful), "filter", "dateLastModified>"+
			provider.Quote(before(stamp))+" AND sourcedId="+provider.Quote(o.ID()))
		if rows, ok := p.list(delta, p.route.Resource); ok && len(rows.Objects) == 0 {
			p.fail(delta, "%s was deleted at %s and is not in the delta since", o.ID(), stamp)
		}
	}
}
