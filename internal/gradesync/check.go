package gradesync

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
	"rollbook/internal/words"
)

// readBack reads every object by its id and in the lists of its class, and
// compares what was sent in this run with what is read.
func (r *run) readBack(ctx context.Context) {
	items, grades := r.receipt.entries()
	r.all(ctx, items, gentle, r.again)
	r.all(ctx, grades, gentle, r.again)
	// A student of two classes of a group has one result, sent for both of them:
	// the last write wins, and which one that is nobody can say.
	versions := map[string][]*Entry{}
	everything := slices.Concat(items, grades)
	for _, e := range everything {
		versions[e.ID] = append(versions[e.ID], e)
	}
	for _, e := range everything {
		switch {
		case !stands(versions[e.ID], e.read):
			e.compare("", e.read)
		case e.Status == Unchanged:
			e.Notes = nil // it is the other version that is there
		}
	}
	found := func(e *Entry, field, holder string) bool { // and nobody has moved it
		return e.read != nil && e.read.RefID(field) == holder
	}
	r.lists(ctx, found, func(e *Entry, path string, list map[string]wire.Object) {
		if o, ok := list[e.ID]; ok {
			e.compare(path+": ", o)
		} else {
			e.fail("%s does not list it", path)
		}
	})
}

// stands tells whether what is read is one of several versions of a result.
func stands(versions []*Entry, read wire.Object) bool {
	return len(versions) > 1 && read != nil && slices.ContainsFunc(versions, func(e *Entry) bool {
		return len(differences(e.of, e.wanted, read)) == 0
	})
}

// again reads one object.
func (r *run) again(ctx context.Context, e *Entry) error {
	a, err := r.call(ctx, provider.Call{Path: e.path()})
	switch {
	case err != nil:
	case a.Status == http.StatusNotFound:
		err = a.In(fmt.Errorf("the %s was taken and is not there: 404", e.of.Name))
	default:
		if err = refused(a); err == nil {
			e.read, _, err = a.One(e.of.Wrapper())
			err = a.In(err)
		}
	}
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	return nil
}

// compare fails an object that was sent in this run and is read otherwise.
func (e *Entry) compare(where string, read wire.Object) {
	if !e.sent || e.Status == Failed || read == nil {
		return
	}
	for _, d := range differences(e.of, e.wanted, read) {
		e.fail("%s%s", where, say(d, "sent", "read"))
	}
}

// lists reads the lists that readers find objects in, of each class and of each
// line item, and shows them with every object that is to be looked for there.
func (r *run) lists(ctx context.Context, wanted func(e *Entry, field, holder string) bool,
	see func(e *Entry, path string, list map[string]wire.Object)) {
	inClass := map[string]map[string]wire.Object{} // nil: it could not be read
	for _, it := range r.receipt.Items {
		if !wanted(&it.Entry, "class", it.Class) {
			continue
		}
		path := "/classes/" + oneroster.EscapeID(it.Class) + "/lineItems"
		list, known := inClass[it.Class]
		if !known {
			var err error
			if list, err = r.whole(ctx, path, "lineItems"); err != nil {
				it.fail("%v", err)
			}
			inClass[it.Class] = list
		}
		if list != nil {
			see(&it.Entry, "GET "+path, list)
		}
	}
	each(r.receipt.Items, gentle, func(it *Item) {
		_, of := (&Receipt{Items: []*Item{it}}).entries()
		of = slices.DeleteFunc(of, func(e *Entry) bool { return !wanted(e, "lineItem", it.ID) })
		if len(of) == 0 {
			return
		}
		list, err := r.whole(ctx, it.resultsPath(), "results")
		if err != nil {
			it.fail("%v", err)
			return
		}
		for _, e := range of {
			see(e, "GET "+it.resultsPath(), list)
		}
		if !r.clean {
			r.doubles(it, list)
		}
	})
}

// doubles warns of results in a line item's list that are of a student whose result is another.
func (r *run) doubles(it *Item, list map[string]wire.Object) {
	graded := map[string]string{} // student to result
	for _, g := range it.Grades {
		graded[g.Student.ID] = g.ID
	}
	var second []string
	for id, o := range list {
		if ours, is := graded[o.RefID("student")]; is && ours != id && !o.Deleted() {
			second = append(second, id)
		}
	}
	if len(second) > 0 {
		r.warn("line item %s holds %s that this did not send, of students whose results it holds, such as %s: does a "+
			"PUT make two?", it.ID, words.Count(len(second), "result"), slices.Min(second))
	}
}

const (
	mostRows   = 7000    // asked for at once
	mostListed = 100_000 // of a list of a class that does not end
)

// whole reads a list to its end, page by page: this is our check, not a call of
// the real client. A 404 is an empty list.
func (r *run) whole(ctx context.Context, path, wrapper string) (map[string]wire.Object, error) {
	out := map[string]wire.Object{}
	way := wire.Walk{Limit: mostRows, Most: mostListed}
	for last := false; !last; {
		query := fmt.Sprintf("limit=%d", mostRows)
		if way.Offset > 0 {
			query += fmt.Sprintf("&offset=%d", way.Offset)
		}
		a, err := r.call(ctx, provider.Call{Path: path, Query: query})
		if err == nil && a.Status == http.StatusNotFound {
			return out, nil
		}
		if err == nil {
			err = refused(a)
		}
		if err != nil {
			return nil, err
		}
		page, err := a.List(wrapper)
		if err == nil {
			last, err = way.Next(page)
		}
		if err != nil {
			return nil, a.In(err)
		}
		for _, o := range page.Objects {
			if _, there := out[o.ID()]; there {
				r.warn("%s lists %s twice", a.Line(), o.ID())
			}
			out[o.ID()] = o
		}
	}
	return out, nil
}
