package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/wire"
)

// A provider may cut pages, count or not, link or not, or pay no heed to offset: the walk
// brings all rows of each, asks no more often than it must, and ends.
func TestWalk(t *testing.T) {
	type provider struct {
		rows, cut     int // rows that it has, and gives at most
		counts, links bool
		heedless      bool // of offset
		unnamed       bool // rows have no id
		endless       bool // ever new rows, and a count that is not true
		empty         int  // pages behind the first that have no rows, and say that more follow
		always        bool // there is a next page, it says, behind the last one too
	}
	for _, c := range []struct {
		name  string
		of    provider
		most  int
		calls int
		err   string
	}{
		{"whole in one", provider{rows: 7, cut: 10, counts: true}, 0, 1, ""},
		{"a full page may not be all", provider{rows: 10, cut: 10, counts: true}, 0, 2, ""},
		{"nothing", provider{cut: 10, counts: true}, 0, 1, ""},
		{"pages that are filtered each by itself", provider{rows: 15, cut: 10, links: true, empty: 2}, 0, 4, ""},
		{"a next page for ever", provider{rows: 15, cut: 10, links: true, always: true}, 0, 13, ""},
		{"cut, counted", provider{rows: 7, cut: 3, counts: true}, 0, 3, ""},
		{"cut, linked", provider{rows: 7, cut: 3, links: true}, 0, 3, ""},
		{"cut, and says nothing", provider{rows: 7, cut: 3}, 0, 4, ""},
		{"short, and says nothing", provider{rows: 7, cut: 10}, 0, 2, ""},
		{"all at once each time", provider{rows: 7, cut: 10, heedless: true}, 0, 2, ""},
		{"the first page each time", provider{rows: 7, cut: 3, counts: true, heedless: true}, 0, 2,
			`begin with the same row "0": the provider pays no heed to offset`},
		{"the first full page each time", provider{rows: 70, cut: 10, heedless: true}, 0, 2,
			"no heed to offset"},
		{"the first page each time, of rows without ids", provider{rows: 3, cut: 3, heedless: true, unnamed: true},
			0, 2, ""},
		{"no end, by its own count", provider{cut: 10, endless: true, counts: true}, 0, 8,
			"X-Total-Count is 20, and 70 rows have come"},
		{"no end", provider{cut: 10, endless: true}, 95, 10,
			"100 rows have come, more follow, and 95 are read at most"},
		{"more than are wanted", provider{rows: 96, cut: 10, counts: true}, 95, 1,
			"X-Total-Count is 96, and 95"},
		{"as many as are read", provider{rows: 95, cut: 10, counts: true}, 95, 10, ""},
	} {
		w, calls := wire.Walk{Limit: 10, Most: c.most}, 0
		var got []string
		failed := ""
		for last := false; !last; {
			page, at := wire.Page{Total: -1}, w.Offset
			if c.of.heedless {
				at = 0
			}
			if first := c.of.cut; c.of.empty > 0 && at >= first { // so many rows are left out
				if at -= 10 * c.of.empty; at < first {
					at = c.of.rows
				}
			}
			for i := at; (i < c.of.rows || c.of.endless) && i < at+c.of.cut; i++ {
				key := "sourcedId"
				if c.of.unnamed {
					key = "name"
				}
				page.Objects = append(page.Objects, wire.Object{key: fmt.Sprint(i)})
			}
			if c.of.counts {
				page.Total = max(c.of.rows, map[bool]int{true: 20}[c.of.endless])
			}
			page.Linked, page.More = c.of.links, c.of.links && (at+c.of.cut < c.of.rows ||
				w.Offset/10 <= c.of.empty && c.of.empty > 0 || c.of.always)
			var err error
			before := w.Offset
			last, err = w.Next(page)
			if calls++; err != nil {
				failed = err.Error()
				break
			}
			if w.Offset > before {
				for _, o := range page.Objects {
					got = append(got, o.ID())
				}
			}
			if calls > 20 {
				t.Fatalf("%s does not end", c.name)
			}
		}
		if calls != c.calls || !strings.Contains(failed, c.err) || c.err == "" && (failed != "" ||
			len(got) != c.of.rows) {
			t.Errorf("%s: %d calls brought %d rows: %s", c.name, calls, len(got), failed)
		}
	}
}
