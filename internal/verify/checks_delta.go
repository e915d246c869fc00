package verify

import (
	"net/http"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

var deltaChecks = []Check{
	{ID: "delta.later", On: Wholes,
		Title: "dateLastModified>'T' brings the rows that changed after T, and only them",
		Rule:  ruleSDS + " (SDS-A07): the second pull asks so",
		Fix:   "Compare instants strictly; let dateLastModified move when, and only when, the row does.",
		Run: func(p *probe) {
			c, stamps := p.stamps()
			p.filtered(c, stamped(">", before(stamps[0])), stamped(">", stamps[len(stamps)/2]))
		}},
	{ID: "delta.pages", On: Wholes, Title: "A delta in pages brings every changed row once",
		Rule: ruleSDS + ": a delta is paged like any pull",
		Fix:  "Filter first, order by a unique key, then page.", Run: func(p *probe) {
			c, stamps := p.stamps()
			since := stamped(">", before(stamps[0]))
			p.pulls(c, provider.Escape(since.filter), c.part(4), since)
		}},
	{ID: "delta.nothing", On: Wholes, Title: "After the latest change there is nothing",
		Rule: ruleSDS + " (SDS-A07)", Fix: "Let nothing be modified after its own dateLastModified.",
		Run: func(p *probe) {
			p.collection()
			p.empty("dateLastModified>'2999-01-01T00:00:00.000Z'")
		}},
	{ID: "delta.active", On: Wholes,
		Title: "status='active' AND dateLastModified>'T' combines the two",
		Rule:  ruleSDS + ", published calls", Fix: "Read both conditions.", Run: func(p *probe) {
			c, stamps := p.stamps()
			p.filtered(c, active.and(stamped(">", before(stamps[len(stamps)-1]))))
		}},
	{ID: "delta.deleted", On: Wholes,
		Title: "Deleted rows are shown as tobedeleted, and are part of the delta",
		Rule:  ruleREST + ", status; a reader that is not told keeps the pupil in the class",
		Fix: "Keep deleted rows with status tobedeleted and the time of their deletion, and show them " +
			"to delta reads.", Run: checkDeleted},
	{ID: "delta.constant", On: Wholes, Advice: true,
		Title: "dateLastModified tells rows apart",
		Rule: ruleSDS + " (SDS-G04): one time on most rows is the time of an export, and every delta is " +
			"a full pull", Fix: "Stamp a row when its content changes. Fine after a first import; look " +
			"again after the next.", Run: func(p *probe) {
			c := p.collection()
			if c.count < 10 {
				p.leave("ten rows are needed")
			}
			count := map[uint32]int{}
			for n := range c.count {
				stamp := c.value(n, oneroster.Modified)
				if count[stamp]++; stamp != 0 && count[stamp] == c.count/2+1 {
					p.fail(nil, "more than half of %d rows have %s", c.count, c.texts.all[stamp])
				}
			}
		}},
	{ID: "delta.future", On: Wholes, Title: "dateLastModified is not in the future",
		Rule: ruleSDS + " (SDS-G04): a reader that remembers it misses what comes",
		Fix:  "Use the server's clock, in UTC.", Run: func(p *probe) {
			c, stamps := p.stamps()
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
	p.collection()
	a := p.filter("status='tobedeleted'")
	if a.Status == http.StatusNotFound {
		p.leave("status='tobedeleted' is answered 404 (filter.no-match)")
	}
	got := p.list(a)
	if len(got.Objects) == 0 {
		p.held = false
		p.leave("no row is deleted: remove one in the source and run again")
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
		delta := p.filter(stamped(">", before(stamp)).and(exactly("sourcedId", o.ID())).filter)
		if rows, ok := p.page(delta); ok && len(rows.Objects) == 0 {
			p.fail(delta, "%s was deleted at %s and is not in the delta since", o.ID(), stamp)
		}
	}
}
