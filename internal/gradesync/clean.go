package gradesync

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// Clean removes what Sync makes with the same options, results first, and looks
// whether it is gone. Results of students who have left the class since are
// found in the line item's list. A line item that holds somebody else's results
// stays: most providers would delete them with it.
func Clean(ctx context.Context, p *provider.Provider, opt Options) (*Receipt, error) {
	r, err := begin(ctx, p, opt, true)
	if err != nil {
		return nil, err
	}
	r.whereMade(ctx)
	each(r.receipt.Items, gentle, func(it *Item) { r.gather(ctx, it) })
	items, grades := r.receipt.entries()
	r.total = 2 * (len(items) + len(grades))
	r.all(ctx, grades, gentle, r.remove)
	r.all(ctx, items, gentle, r.remove)
	r.all(ctx, grades, gentle, r.absent)
	r.all(ctx, items, gentle, r.absent)
	everything := func(*Entry, string, string) bool { return true }
	r.lists(ctx, everything, func(e *Entry, path string, list map[string]wire.Object) {
		if _, there := list[e.ID]; there && e.Status != Failed {
			e.fail("%s lists it after it was deleted", path)
		}
	})
	return r.sum(), ctx.Err()
}

// whereMade leaves out the classes in which nothing was made: which of a
// teacher's classes is the first may have changed since.
func (r *run) whereMade(ctx context.Context) {
	items, made, some := r.receipt.Items, map[string]bool{}, false
	each(items, gentle, func(it *Item) {
		a, err := r.call(ctx, provider.Call{Path: it.path()})
		if err != nil || a.Status != http.StatusNotFound { // there, or it cannot be read
			r.lock.Lock()
			defer r.lock.Unlock()
			made[it.Class], some = true, true
		}
	})
	if !some {
		r.warn("nothing was found that these options make: give --class, --seed and --assignments " +
			"as they were")
		if len(items) > 0 {
			made[items[0].Class] = true
		}
	}
	r.receipt.Items = slices.DeleteFunc(items, func(it *Item) bool { return !made[it.Class] })
}

// gather adds the results of students who have left, and keeps a line item that
// holds results that were not made here.
func (r *run) gather(ctx context.Context, it *Item) {
	listed, err := r.whole(ctx, it.resultsPath(), "results")
	if err != nil {
		it.fail("%v", err)
		return
	}
	known := map[string]bool{}
	for _, g := range it.Grades {
		known[g.ID] = true
	}
	foreign := 0
	for id, o := range listed {
		student := o.RefID("student")
		switch {
		case known[id], o.Deleted(), o.RefID("lineItem") != it.ID:
		case id == r.resultID(it.Class, it.Assignment, student):
			it.Grades = append(it.Grades, &Grade{Entry: Entry{ID: id, of: oneroster.ByName("result")},
				Student: Person{ID: student}})
		default:
			foreign++
		}
	}
	if foreign > 0 {
		it.fail("not removed: it holds %d results that this did not make, and they would go with it", foreign)
	}
}

func (it *Item) resultsPath() string {
	return "/classes/" + oneroster.EscapeID(it.Class) + "/lineItems/" + oneroster.EscapeID(it.ID) + "/results"
}

// remove deletes one object; one that is not there is as good.
func (r *run) remove(ctx context.Context, e *Entry) error {
	a, err := r.call(ctx, provider.Call{Method: http.MethodDelete, Path: e.path()})
	r.timed(a)
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusNotFound:
		e.Status = Gone
	case a.Status == http.StatusOK, a.Status == http.StatusNoContent:
		e.Status = Removed
	case a.Status/100 == 2:
		return a.In(fmt.Errorf("answered %d: a deletion is answered with 204", a.Status))
	default:
		return refused(a)
	}
	return nil
}

// absent checks that an object cannot be read any more.
func (r *run) absent(ctx context.Context, e *Entry) error {
	a, err := r.call(ctx, provider.Call{Path: e.path()})
	if err == nil && a.Status != http.StatusNotFound {
		err = a.In(fmt.Errorf("answered %d after it was deleted, not 404", a.Status))
	}
	return err
}
