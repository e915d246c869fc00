package sds

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// A source is one list that a pull reads.
type source struct {
	path     string
	resource *oneroster.Resource
	filter   string
	whole    bool // the only source of its resource
}

// wrappers are the keys that the list may come under.
func (s source) wrappers() []string {
	return slices.Compact([]string{path.Base(s.path), s.resource.Plural})
}

// key is that of its cursor: one path may be read with several filters.
func (s source) key() string {
	if s.whole {
		return s.path
	}
	return s.path + " " + s.filter
}

// fresh is a cursor before its first page.
func (s source) fresh(walk int) mirror.Cursor {
	return mirror.Cursor{Path: s.key(), Resource: s.resource, Filter: s.filter, Walk: walk, Total: -1}
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

// gather reads every collection into the pull under way.
func (r *run) gather(ctx context.Context, from marks) error {
	r.rows, r.expected, r.total, r.from, r.lists = 0, 0, map[string]int{}, from, 0
	if r.Classic {
		return r.bySchool(ctx)
	}
	var lists []source
	for _, res := range r.resources() {
		s := source{"/" + res.Plural, res, isActive, true}
		if mark := from[res]; mark != "" {
			s.filter = "dateLastModified>" + provider.Quote(mark)
		} else { // as many as before, as long as the provider has not said
			n, err := r.Mirror.Active(ctx, res)
			if err != nil {
				return err
			}
			r.expect(s.path, n)
		}
		lists = append(lists, s)
	}
	return r.readAll(ctx, lists)
}

func (r *run) readAll(ctx context.Context, lists []source) error {
	for _, s := range lists {
		if err := r.read(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// encode writes a filter into a query string as the requests do that Microsoft
// publishes: quotes, spaces and signs of comparison encoded, the rest as it is.
var encode = strings.NewReplacer("%", "%25", "'", "%27", " ", "%20", "<", "%3C", ">", "%3E", "&", "%26",
	"+", "%2B", "#", "%23").Replace

// walks bounds how often a collection is walked that changes meanwhile.
const walks = 3

// read walks one list to its end, and again as long as it does not hold still.
func (r *run) read(ctx context.Context, s source) error {
	base := r.lists * walks // lists of one resource have walks of their own
	r.lists++
	c, err := r.Mirror.Cursor(ctx, s.key(), s.resource)
	if err != nil {
		return err
	}
	if c.Done {
		n, _, err := r.Mirror.Gathered(ctx, s.resource)
		if s.whole {
			r.brought(s.resource, n)
		}
		return err
	}
	w := &walk{run: r, source: s, c: c, base: base}
	if c.Filter != s.filter {
		w.c = s.fresh(base)
	}
	for {
		if err := w.pages(ctx); err != nil {
			return err
		}
		verdict, have, err := w.settle(ctx)
		if err != nil {
			return err
		}
		w.unsure = false
		if verdict == moved && s.whole { // what slipped through one walk came with another
			came := have
			if have, err = r.Mirror.Named(ctx, s.resource); err != nil {
				return err
			}
			w.unsure = came < w.c.Total
		}
		switch {
		case verdict == still, verdict == moved && !w.shrinks() && have >= w.c.Total:
			return w.finish(ctx, verdict, have)
		case w.c.Walk+1 < base+walks:
		case verdict == moved && have >= w.c.Total:
			how := "a run of --full"
			if w.unsure { // one that is gone may have been counted for one that slipped through
				how = "the next run, which reads it whole"
			}
			r.note("%s changed each of the %d times that it was read; what slipped through comes with %s", s.path, walks,
				how)
			return w.finish(ctx, verdict, have)
		default:
			if err := r.Mirror.Again(ctx, s.fresh(base), s.whole); err != nil {
				return err
			}
			if verdict == moved {
				return &Contradiction{fmt.Sprintf("%s changed each of the %d times that it was read, and all of them "+
					"together brought %d of %d rows: nothing was changed; run again when less is written there",
					s.path, walks, have, w.c.Total)}
			}
			return &Contradiction{fmt.Sprintf("%s says by X-Total-Count that it has %d rows, and gave %d "+
				"with %d different ids: rows are left out, rows are given on two pages, or the count is "+
				"not of all rows; nothing was changed", s.path, w.c.Total, w.c.Offset, have)}
		}
		w.c.Walk, w.c.Offset, w.c.WalkBegan, w.c.WalkAsked, w.c.Moved = w.c.Walk+1, 0, "", "", false
		// What moved is gathered over the earlier walks, so that a row which slipped
		// through one is there from another; what merely contradicts itself is not.
		if err := r.Mirror.Again(ctx, w.c, s.whole && verdict == wrong); err != nil {
			return err
		}
	}
}

// A Contradiction is a list that does not hold what it says, however often it is
// read: the next run begins it anew.
type Contradiction struct{ text string }

func (c *Contradiction) Error() string { return c.text }

// A walk is one way through a list.
type walk struct {
	*run
	source
	c    mirror.Cursor
	base int // number of the first walk

	several bool // pages brought rows
	told    bool // that the filter is passed over
	unsure  bool // the rows are those of several walks together
}

// shrinks tells whether rows can leave the list. Those of a delta cannot: what
// is retired is in it too.
func (w *walk) shrinks() bool { return strings.Contains(w.filter, isActive) }

func (w *walk) pages(ctx context.Context) error {
	w.several = w.c.Offset > 0
	way := wire.Walk{Limit: w.Limit, Most: w.Rows, Offset: w.c.Offset}
	for last := false; !last; {
		if w.c.Offset == 0 {
			w.c.WalkAsked = oneroster.FormatTime(time.Now())
		}
		page, a, err := w.list(ctx, w.c.Offset, w.filter)
		if err != nil && optional[w.resource.Name] != "" && (a.Status == http.StatusNotFound ||
			a.Status == http.StatusForbidden) {
			return fmt.Errorf("%w; a provider without them is read with %s", err, optional[w.resource.Name])
		}
		if err != nil {
			return err
		}
		last, err = way.Next(page)
		if errors.Is(err, wire.ErrMost) {
			err = fmt.Errorf("%w; --rows allows more", err)
		}
		if err != nil {
			return a.In(err)
		}
		if !last && len(page.Objects) == 0 {
			w.note("%s: the page at offset %d has no rows, and links to a next one: is the filter applied after paging? "+
				"Rows may be missing", w.path, w.c.Offset)
		}
		if last && way.Offset == w.c.Offset && len(page.Objects) > 0 {
			return nil // the same page once more
		}
		if err := w.page(ctx, page, a, way.Offset); err != nil {
			return err
		}
	}
	return nil
}

// list asks for a page.
func (w *walk) list(ctx context.Context, offset int, filter string) (wire.Page, *provider.Answer, error) {
	return w.Provider.List(ctx, w.path,
		fmt.Sprintf("offset=%d&limit=%d&filter=%s", offset, w.Limit, encode(filter)), w.wrappers()...)
}

// page takes one page; next is the offset of the one behind it.
func (w *walk) page(ctx context.Context, page wire.Page, a *provider.Answer, next int) error {
	first, n := w.c.Offset, len(page.Objects)
	if first == 0 {
		w.c.WalkBegan = clock(a)
		if w.c.Walk == w.base {
			w.c.Began, w.c.Asked = w.c.WalkBegan, w.c.WalkAsked
		}
	} else if w.c.Total >= 0 && page.Total >= 0 && page.Total != w.c.Total {
		w.c.Moved = true
	}
	now := clock(a)
	for _, o := range page.Objects {
		stamp := stampOf(o)
		if now == "" || stamp[:min(len(stamp), seconds)] <= now[:seconds] {
			w.c.Greatest = max(w.c.Greatest, stamp)
		}
		if !w.told && !w.selects(o, stamp) {
			w.told = true
			w.note("%s: %s came, which the filter %s does not select: the provider pays no heed to it, and what it "+
				"leaves out of its lists, as deleted rows, is never told of", w.path, o.ID(), w.filter)
		}
	}
	w.several = w.several || first > 0 && n > 0
	if first == 0 || page.Total >= 0 { // some count on the first page alone
		w.c.Total = page.Total
	}
	w.c.Offset = next
	if err := w.Mirror.Gather(ctx, w.c, first, page.Objects, w.whole && w.shrinks()); err != nil {
		return err
	}
	w.rows += n
	w.expect(w.key(), max(page.Total, w.c.Offset))
	w.Progress("reading", w.rows, max(w.expected, w.rows))
	return nil
}

// selects tells whether the filter of the list selects an object. A stamp that cannot be read is
// another matter, and one that is cut off to the second may be a second early.
func (w *walk) selects(o wire.Object, stamp string) bool {
	if w.shrinks() {
		return !o.Deleted()
	}
	since, _ := strings.CutPrefix(w.filter, "dateLastModified>")
	return stamp == "" || stamp > earlier(strings.Trim(since, "'"), time.Second)
}

// seconds is how much of a stamp a Date header tells.
const seconds = len("2006-01-02T15:04:05")

// expect says how many rows a list will have brought.
func (r *run) expect(key string, rows int) {
	r.expected += rows - r.total[key]
	r.total[key] = rows
}

// brought adds rows of a list to the report.
func (r *run) brought(res *oneroster.Resource, rows int) {
	if r.proving {
		return
	}
	c := r.report.Collections[res.Plural]
	c.Rows, c.Full = c.Rows+rows, r.from[res] == ""
	r.report.Collections[res.Plural] = c
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
	if have, _, err = w.Mirror.WalkedSince(ctx, w.c, ""); err != nil {
		return still, have, err
	}
	counted := w.c.Total >= 0
	if !counted && !w.silent { // nearly always all lists are not
		w.silent = true
		w.note("%s has no X-Total-Count in digits, and other lists may lack it too: whether all rows came cannot be "+
			"told", w.path)
	}
	if !w.shrinks() && counted && have < w.c.Total {
		changed, err := w.changed(ctx)
		if err != nil || !changed {
			return wrong, have, err
		}
		return moved, have, nil
	}
	if w.c.Moved && w.shrinks() {
		return moved, have, nil
	}
	if w.several {
		changed, err := w.changed(ctx)
		if err != nil || changed {
			return moved, have, err
		}
	}
	if w.shrinks() && counted && (have < w.c.Total || w.c.Offset != w.c.Total) {
		return wrong, have, nil
	}
	return still, have, nil
}

// changed tells whether rows changed between the pages of a walk: whether the
// provider has any, as late as the walk or later, otherwise than they came.
func (w *walk) changed(ctx context.Context) (bool, error) {
	from, err := w.probed(ctx)
	if err != nil || from == "" {
		return false, err
	}
	if !w.shrinks() { // no row slips through, and what changed once more comes with the next delta
		known, err := w.Mirror.Shows(ctx, w.resource, w.c.Greatest)
		return from < w.c.Greatest && !known, err
	}
	filter := strings.Replace(w.filter, isActive, "dateLastModified>"+provider.Quote(from), 1)
	page, _, err := w.Provider.List(ctx, w.path, "limit=1&filter="+encode(filter), w.wrappers()...)
	if t, ok := errors.AsType[*provider.Trouble](err); ok && !t.Passing() && ctx.Err() == nil {
		w.note("%s cannot be asked what changed while it was read, which School Data Sync does not ask: %v",
			w.path, err)
		return false, nil
	}
	if err != nil || len(page.Objects) == 0 { // whatever it counts
		return false, err
	}
	way := wire.Walk{Limit: w.Limit, Most: w.Rows}
	for last := false; !last; {
		if page, _, err = w.list(ctx, way.Offset, filter); err != nil {
			return false, err
		}
		if last, err = way.Next(page); err != nil {
			return true, nil // they move
		}
		if as, err := w.asTheyCame(ctx, page.Objects); err != nil || !as {
			return !as, err
		}
	}
	// Fewer than there were: they move. Where the walk itself had fewer, the count is not of all rows.
	return way.Offset < page.Total && w.c.Offset == w.c.Total, nil
}

// asTheyCame tells whether the walk brought rows as the provider has them now. One
// that is not active need not have come.
func (w *walk) asTheyCame(ctx context.Context, rows []wire.Object) (bool, error) {
	ids := make([]string, len(rows))
	for i, o := range rows {
		ids[i] = o.ID()
	}
	came, err := w.Mirror.Walked(ctx, w.c, ids)
	if err != nil {
		return false, err
	}
	for _, o := range rows {
		stamps := came[o.ID()]
		if len(stamps) > 1 && slices.Max(stamps) != slices.Min(stamps) {
			return false, nil // it changed between two pages, and stands on both
		}
		if o.ID() != "" && !slices.Contains(stamps, o.Text("dateLastModified")) &&
			(len(stamps) > 0 || o.Text("status") == oneroster.Active) {
			return false, nil
		}
	}
	return true, nil
}

const (
	// mostLag is how far stamps may be behind the Date header: a database that
	// writes local time as UTC is 14 hours off at most.
	mostLag = 15 * time.Hour
	// slack is what two clocks that tell whole seconds can be apart.
	slack = 2 * time.Second
	// settled is how old the latest change is of a provider where no batch is under
	// way that gives all its rows one stamp.
	settled = 10 * time.Minute
	// few rows of one stamp may come at every delta.
	few = 100
)

// floor is what the clock that makes the stamps showed at the least when a walk
// began: the greatest stamp that came, less the time since then. How far that
// clock is behind the Date header need not be known.
func (w *walk) floor(asked, began string) string {
	lag := slack
	if since, err := time.Parse(oneroster.TimeLayout, asked); err == nil {
		lag += max(0, time.Since(since))
	}
	at, latest := earlier(w.c.Greatest, lag), earlier(began, slack)
	if at != "" {
		at = max(at, earlier(began, mostLag))
	}
	return lesser(at, latest)
}

// earlier is a stamp of so much before; "" of none.
func earlier(stamp string, by time.Duration) string {
	t, err := time.Parse(oneroster.TimeLayout, stamp)
	if err != nil {
		return ""
	}
	return oneroster.FormatTime(t.Add(-by))
}

// probed is the stamp behind which changes of the walk are looked for.
func (w *walk) probed(ctx context.Context) (string, error) {
	from := w.floor(w.c.WalkAsked, w.c.WalkBegan)
	if from >= w.c.Greatest || !older(w.c.Greatest, w.c.WalkBegan) {
		return from, nil
	}
	// The stamp of an import that is over, on more rows than one page has: to read
	// them all again would tell nothing.
	_, rows, err := w.Mirror.WalkedSince(ctx, w.c, w.c.Greatest)
	if err != nil {
		return "", err
	}
	if rows > w.Limit {
		from = w.c.Greatest
	}
	return from, nil
}

// older tells whether a stamp is of a change that the provider is done with.
func older(stamp, clock string) bool { return stamp < earlier(clock, settled) }

// finish ends the walks of a list.
func (w *walk) finish(ctx context.Context, v verdict, have int) (err error) {
	if times := w.c.Walk - w.base + 1; times > 1 && v == still {
		w.note("%s was read %d times, since it did not hold still", w.path, times)
	}
	w.brought(w.resource, have)
	w.c.Done = true
	if !w.whole {
		return w.Mirror.Again(ctx, w.c, false)
	}
	if w.c.Mark, err = w.mark(ctx, v); err != nil {
		return err
	}
	if w.unsure && w.shrinks() {
		w.c.Mark = ""
	}
	return w.Mirror.Settle(ctx, w.c, v == still || !w.shrinks())
}

// mark is where the next delta of a collection begins: the lesser of the
// provider's clock when the pull began, less a second, and the greatest stamp
// that came. The clock alone would miss rows whose stamps are made by another,
// slower one (a database behind the web server), or are written before they can
// be read. The greatest stamp alone would miss a row that changed after its page
// was read, when a row of a later page changed after it: where that is so, the
// delta begins with the walks. The second is what the Date header cuts off. More
// rows of the greatest stamp may come as long as a batch is under way, which
// gives all its rows the time of its start: then the delta begins before it. ""
// when there is neither clock nor stamp: then the next pull is full.
func (w *walk) mark(ctx context.Context, v verdict) (string, error) {
	before, err := w.Mirror.Watermark(ctx, w.resource)
	if err != nil {
		return "", err
	}
	mark := max(w.c.Greatest, before)
	if at := earlier(w.c.Greatest, time.Millisecond); at != "" && w.c.Greatest >= before {
		_, rows, err := w.Mirror.WalkedSince(ctx, w.c, w.c.Greatest)
		if err != nil {
			return "", err
		}
		if rows <= few || !older(w.c.Greatest, w.c.Began) {
			mark = at
		}
	}
	if v != still {
		mark = lesser(mark, w.floor(w.c.Asked, w.c.Began))
	}
	return lesser(mark, earlier(w.c.Began, time.Second)), nil
}

// lesser of two stamps, of which either may be missing.
func lesser(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return min(a, b)
}

// clock is the provider's time, which is what its stamps are made of; ours may
// go wrong by hours. "" when the answer tells none.
func clock(a *provider.Answer) string {
	t, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return ""
	}
	return oneroster.FormatTime(t)
}

// stampOf reads a dateLastModified of any precision; "" when it is none.
func stampOf(o wire.Object) string {
	t, day, err := oneroster.ParseInstant(o.Text("dateLastModified"))
	if err != nil || day {
		return ""
	}
	return oneroster.FormatTime(t)
}
