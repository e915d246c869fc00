package gradesync

import (
	"context"
	"fmt"
	"net/http"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// readBack reads every object by its id and in the lists of its class, and
// compares what was sent in this run with what is read.
func (r *run) readBack(ctx context.Context) {
	items, grades := r.receipt.Items, r.receipt.grades()
	itemRead, markRead := make([]wire.Object, len(items)), make([]wire.Object, len(grades))
	each(len(items), gentle, func(i int) { itemRead[i] = r.again(ctx, &items[i].Entry); r.step() })
	each(len(grades), gentle, func(i int) { markRead[i] = r.again(ctx, &grades[i].Entry); r.step() })
	// A student of two classes of a group has one result, sent for both of them:
	// the last write wins, and which one that is nobody can say.
	versions := map[string][]*Grade{}
	for _, g := range grades {
		versions[g.ID] = append(versions[g.ID], g)
	}
	for i, it := range items {
		it.compare("", itemRead[i])
	}
	for i, g := range grades {
		switch {
		case !stands(versions[g.ID], markRead[i]):
			g.compare("", markRead[i])
		case g.Status == Unchanged:
			g.Notes = nil // it is the other version that is there
		}
	}
	r.readLists(ctx, itemRead, markRead)
}

// stands tells whether what is read is one of several versions of a result.
func stands(versions []*Grade, read wire.Object) bool {
	for _, g := range versions {
		if len(versions) > 1 && read != nil && len(differences(g.of, g.wanted, read)) == 0 {
			return true
		}
	}
	return false
}

// again reads one object; nil when that failed, or it failed before.
func (r *run) again(ctx context.Context, e *Entry) wire.Object {
	if e.Status == Failed {
		return nil
	}
	a, err := r.call(ctx, provider.Call{Path: e.path()})
	var o wire.Object
	switch {
	case err != nil:
	case a.Status == http.StatusNotFound:
		err = fmt.Errorf("%s: the %s was taken and is not there: 404", a.Line(), e.of.Name)
	default:
		if err = refused(a); err == nil {
			if o, _, err = a.One(e.of.Wrapper()); err != nil {
				err = fmt.Errorf("%s: %w", a.Line(), err)
			}
		}
	}
	if err != nil {
		e.fail("reading back: %v", err)
		return nil
	}
	return o
}

// compare fails an object that was sent in this run and is read otherwise.
func (e *Entry) compare(where string, read wire.Object) {
	if !e.sent || e.Status == Failed || read == nil {
		return
	}
	for _, d := range differences(e.of, e.wanted, read) {
		e.fail("%s%s", where, d.say("sent", "read"))
	}
}

// readLists looks for every object in the list that readers find it in.
func (r *run) readLists(ctx context.Context, itemRead, markRead []wire.Object) {
	items := r.receipt.Items
	inClass := map[string]map[string]wire.Object{} // nil: it could not be read
	for i, it := range items {
		if itemRead[i] == nil || itemRead[i].RefID("class") != it.Class { // somebody moved it
			continue
		}
		path := "/classes/" + oneroster.EscapeID(it.Class) + "/lineItems"
		listed, known := inClass[it.Class]
		if !known {
			var err error
			if listed, err = r.whole(ctx, path, "lineItems"); err != nil {
				it.fail("%v", err)
			}
			inClass[it.Class] = listed
		}
		if listed != nil {
			it.listed("GET "+path, listed)
		}
	}
	first := make([]int, len(items)) // position of an item's first result
	n := 0
	for i, it := range items {
		first[i] = n
		n += len(it.Grades)
	}
	each(len(items), gentle, func(i int) {
		it := items[i]
		if itemRead[i] == nil || len(it.Grades) == 0 {
			return
		}
		path := it.resultsPath()
		listed, err := r.whole(ctx, path, "results")
		if err != nil {
			it.fail("%v", err)
			return
		}
		for j, g := range it.Grades {
			read := markRead[first[i]+j]
			if read != nil && read.RefID("lineItem") == it.ID {
				g.listed("GET "+path, listed)
			}
		}
	})
}

// listed fails an object that a list lacks, or shows otherwise than it was sent.
func (e *Entry) listed(path string, list map[string]wire.Object) {
	o, ok := list[e.ID]
	if !ok {
		e.fail("%s does not list it", path)
		return
	}
	e.compare(path+": ", o)
}

// mostListed bounds a list of a class that does not end.
const mostListed = 1_000_000

// whole reads a list to its end, page by page: this is our check, not a call of
// the real client. A 404 is an empty list.
func (r *run) whole(ctx context.Context, path, wrapper string) (map[string]wire.Object, error) {
	out := map[string]wire.Object{}
	way := wire.Walk{Limit: 7000, Most: mostListed}
	for last := false; !last; {
		query := provider.Query("limit", "7000")
		if way.Offset > 0 {
			query = provider.Query("limit", "7000", "offset", fmt.Sprint(way.Offset))
		}
		a, err := r.call(ctx, provider.Call{Path: path, Query: query})
		if err != nil {
			return nil, err
		}
		if a.Status == http.StatusNotFound {
			return out, nil
		}
		if err := refused(a); err != nil {
			return nil, err
		}
		page, err := a.List(wrapper)
		if err == nil {
			last, err = way.Next(page)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Line(), err)
		}
		for _, o := range page.Objects {
			out[o.ID()] = o
		}
	}
	return out, nil
}
