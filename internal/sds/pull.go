package sds

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

// A source is one list that a pull reads.
type source struct {
	path     string
	key      string // of its cursor
	resource *oneroster.Resource
	filter   string
	wrappers []string
	whole    bool // the only source of its resource
}

// resources are those that a run reads, in its order.
func (r *run) resources() []*oneroster.Resource {
	names := []string{"academicSession", "org", "user", "class", "enrollment"}
	if r.Courses {
		names = append(names, "course")
	}
	if r.Demographics {
		names = append(names, "demographics")
	}
	var out []*oneroster.Resource
	for _, n := range names {
		out = append(out, oneroster.ByName(n))
	}
	return out
}

const isActive = "status='active'"

// optional names what to leave out where a provider lacks a collection.
var optional = map[string]string{"course": "--courses=false", "demographics": "--demographics=false"}

// gather reads every collection into the pull under way; modes says which are
// read whole.
func (r *run) gather(ctx context.Context, modes map[*oneroster.Resource]bool) error {
	r.rows, r.total = 0, map[string]int{}
	if r.Classic {
		return r.bySchool(ctx)
	}
	for _, res := range r.resources() {
		if modes[res] { // as many as before, as long as the provider has not said
			n, err := r.Mirror.Active(ctx, res)
			if err != nil {
				return err
			}
			r.total["/"+res.Plural] = n
		}
	}
	for _, res := range r.resources() {
		filter := isActive
		if !modes[res] {
			mark, err := r.Mirror.Watermark(ctx, res)
			if err != nil {
				return err
			}
			filter = "dateLastModified>" + provider.Quote(mark)
		}
		if err := r.read(ctx, source{"/" + res.Plural, "/" + res.Plural, res, filter, []string{res.Plural}, true}); err != nil {
			return err
		}
	}
	return nil
}

// encode writes a filter into a query string as the requests do that Microsoft
// publishes: quotes, spaces and signs of comparison encoded, the rest as it is.
var encode = strings.NewReplacer("%", "%25", "'", "%27", " ", "%20", "<", "%3C", ">", "%3E", "&", "%26", "+", "%2B", "#", "%23").Replace

// walks bounds how often a collection is walked that changes meanwhile.
const walks = 3

// read walks one list to its end, and again as long as it does not hold still.
func (r *run) read(ctx context.Context, s source) error {
	c, err := r.Mirror.Cursor(ctx, s.key, s.resource)
	if err != nil || c.Done {
		return err
	}
	w := &walk{run: r, source: s, c: c}
	if c.Filter != s.filter || !s.whole {
		// A nested list is short: it is begun anew rather than remembered.
		w.c.Filter, w.c.Offset, w.c.Walk = s.filter, 0, 0
	}
	for {
		if err := w.pages(ctx); err != nil {
			return err
		}
		verdict, have, err := w.settle(ctx)
		if err != nil {
			return err
		}
		switch {
		case verdict == still:
			return w.finish(ctx)
		case w.c.Walk+1 < walks:
		case verdict == moved && have >= w.c.Total:
			r.note("%s changed each of the %d times that it was read; what slipped through comes with a run of --full", s.path, walks)
			return w.finish(ctx)
		default:
			fresh := mirror.Cursor{Path: s.key, Resource: s.resource, Filter: s.filter, Total: -1}
			if err := r.Mirror.Again(ctx, fresh, s.whole); err != nil {
				return err
			}
			return fmt.Errorf("%s says by X-Total-Count that it has %d rows, and gave %d with %d different ids: rows are left out, an id is given twice, or the count is not of all rows; nothing was changed", s.path, w.c.Total, w.c.Offset, have)
		}
		w.c.Walk, w.c.Offset, w.c.WalkBegan = w.c.Walk+1, 0, ""
		// What moved is gathered over the earlier walks, so that a row which slipped
		// through one is there from another; what merely contradicts itself is not.
		if err := r.Mirror.Again(ctx, w.c, s.whole && verdict == wrong); err != nil {
			return err
		}
	}
}

// A walk is one way through a list.
type walk struct {
	*run
	source
	c     mirror.Cursor
	seen  map[string]string // dateLastModified by id, of a nested list
	fresh int               // rows of a nested list that are newer than the walk
	top   string            // id of the first row of the page before
}

func (w *walk) pages(ctx context.Context) error {
	w.seen, w.fresh, w.top = map[string]string{}, 0, ""
	for {
		query := fmt.Sprintf("offset=%d&limit=%d&filter=%s", w.c.Offset, w.Limit, encode(w.filter))
		page, a, err := w.Provider.List(ctx, w.path, query, w.wrappers...)
		if err != nil && optional[w.resource.Name] != "" && (a.Status == http.StatusNotFound || a.Status == http.StatusForbidden) {
			return fmt.Errorf("%w; a provider without them is read with %s", err, optional[w.resource.Name])
		}
		if err != nil {
			return err
		}
		if w.c.Offset == 0 {
			w.c.WalkBegan = clock(a)
			if w.c.Walk == 0 {
				w.c.Began = w.c.WalkBegan
			}
		}
		first := w.c.Offset
		if page.Total >= 0 && first > 2*(page.Total+w.Limit) {
			return fmt.Errorf("%s: X-Total-Count is %d, and the pages do not end: given up", a.Line(), page.Total)
		}
		if len(page.Objects) > 0 {
			top := page.Objects[0].ID()
			if first > 0 && top == w.top && top != "" {
				return fmt.Errorf("%s: two pages begin with the same row %q: the provider pays no heed to offset", a.Line(), top)
			}
			w.top = top
		}
		for _, o := range page.Objects {
			stamp := stampOf(o)
			w.c.Greatest = max(w.c.Greatest, stamp)
			if !w.whole {
				w.seen[o.ID()] = o.Text("dateLastModified")
				if w.c.WalkBegan != "" && stamp > w.c.WalkBegan {
					w.fresh++
				}
			}
		}
		n := len(page.Objects)
		w.c.Offset, w.c.Total = first+n, page.Total
		if err := w.Mirror.Gather(ctx, w.c, first, page.Objects); err != nil {
			return err
		}
		w.came(n, page.Total)
		// A short page is the end, unless the provider says that there is more: then
		// it gives fewer rows a page than were asked for.
		if n == 0 || n < w.Limit && w.c.Offset >= page.Total {
			return nil
		}
	}
}

// came counts rows, for the report and for who waits.
func (w *walk) came(n, total int) {
	w.rows += n
	if !w.proving {
		c := w.report.Collections[w.resource.Plural]
		c.Rows += n
		w.report.Collections[w.resource.Plural] = c
	}
	w.total[w.key] = max(total, w.c.Offset)
	sum := 0
	for _, t := range w.total {
		sum += t
	}
	w.Progress("reading", w.rows, max(sum, w.rows))
}

// How a list held still while it was read.
type verdict uint8

const (
	still verdict = iota
	moved         // rows changed meanwhile
	wrong         // nothing changed, and the number of rows is not what the provider says
)

// settle compares what came with what the provider says it has, and asks
// whether rows changed while several pages were read: a row that is retired then
// moves all later ones up by one, and one of them slips between two pages.
func (w *walk) settle(ctx context.Context) (v verdict, have int, err error) {
	if have, err = w.distinct(ctx); err != nil {
		return still, have, err
	}
	counted := w.c.Total >= 0
	if !counted {
		w.note("%s has no X-Total-Count: whether all rows came cannot be told", w.path)
	}
	if !strings.Contains(w.filter, isActive) { // a delta only grows
		if counted && have < w.c.Total {
			return wrong, have, nil
		}
		return still, have, nil
	}
	if w.c.Offset > w.Limit && w.c.WalkBegan != "" {
		changed, err := w.changed(ctx)
		if err != nil || changed {
			return moved, have, err
		}
	}
	// Over earlier walks more may have been gathered; this one brought what it says.
	if counted && (have < w.c.Total || w.c.Offset != w.c.Total) {
		return wrong, have, nil
	}
	return still, have, nil
}

// changed tells whether rows are newer than the walk that it did not bring as
// they are. The clock is the provider's own, in whole seconds: rows of the same
// second that were there before are among those that the walk brought.
func (w *walk) changed(ctx context.Context) (bool, error) {
	filter := encode("dateLastModified>" + provider.Quote(w.c.WalkBegan))
	page, _, err := w.Provider.List(ctx, w.path, "limit=1&filter="+filter, w.wrappers...)
	if err != nil {
		return false, err
	}
	newer, fresh := max(page.Total, len(page.Objects)), w.fresh
	if newer == 0 {
		return false, nil
	}
	if w.whole {
		if fresh, err = w.Mirror.GatheredSince(ctx, w.resource, w.c.WalkBegan); err != nil {
			return false, err
		}
	}
	if newer != fresh {
		return true, nil
	}
	// As many as it brought; but one that is as new may have changed once more.
	for offset := 0; offset < newer; {
		page, _, err := w.Provider.List(ctx, w.path, fmt.Sprintf("offset=%d&limit=%d&filter=%s", offset, w.Limit, filter), w.wrappers...)
		if err != nil || len(page.Objects) == 0 {
			return true, err
		}
		for _, o := range page.Objects {
			stamp := w.seen[o.ID()]
			if w.whole {
				if stamp, err = w.Mirror.GatheredStamp(ctx, w.resource, o.ID()); err != nil {
					return false, err
				}
			}
			if stamp != o.Text("dateLastModified") {
				return true, nil
			}
		}
		offset += len(page.Objects)
	}
	return false, nil
}

// distinct counts the different ids that came.
func (w *walk) distinct(ctx context.Context) (int, error) {
	if !w.whole {
		return len(w.seen), nil
	}
	n, _, err := w.Mirror.Gathered(ctx, w.resource)
	return n, err
}

func (w *walk) finish(ctx context.Context) error {
	w.c.Done = true
	return w.Mirror.Again(ctx, w.c, false)
}

// clock is the provider's time, which is what its stamps are made of; ours may
// go wrong by hours. "" when the answer tells none.
func clock(a *provider.Answer) string {
	t, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return ""
	}
	return t.UTC().Format(mirror.Stamp)
}

// stampOf reads a dateLastModified of any precision; "" when it is none.
func stampOf(o provider.Object) string {
	t, err := time.Parse(time.RFC3339Nano, o.Text("dateLastModified"))
	if err != nil {
		return ""
	}
	return t.UTC().Format(mirror.Stamp)
}

// watermark is where the next delta of a collection begins: the lesser of the
// provider's clock when the pull began, less a second, and the greatest stamp
// that came. The clock alone would miss rows whose stamps are made by another,
// slower one (a database behind the web server), or are written before they can
// be read. The greatest stamp alone would miss a row that changed after its page
// was read, when a row of a later page changed after it. The second is what the
// Date header cuts off. "" when there is neither: then the next pull is full.
func (r *run) watermark(ctx context.Context, res *oneroster.Resource) (string, error) {
	if r.Classic {
		return "", nil
	}
	c, err := r.Mirror.Cursor(ctx, "/"+res.Plural, res)
	if err != nil {
		return "", err
	}
	before, err := r.Mirror.Watermark(ctx, res)
	if err != nil {
		return "", err
	}
	greatest := max(c.Greatest, before)
	at, err := time.Parse(mirror.Stamp, c.Began)
	if err != nil {
		return greatest, nil // a provider that tells no time
	}
	began := at.Add(-time.Second).Format(mirror.Stamp)
	if greatest == "" {
		return began, nil // an empty collection
	}
	return min(began, greatest), nil
}
