package sandbox

import (
	"context"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// An overlay is a district with what has become of it: it holds the records that
// differ from the computed district, and of the current day also those that
// were there before.
type overlay struct {
	*District
	layers map[*oneroster.Resource]*layer
	links  map[link][]string // sourcedIds of records that were added, by what they refer to
}

// A layer is one resource of an overlay.
type layer struct {
	computed bool                        // a record that is not held is as the district computes it
	held     map[string]oneroster.Record // what differs; a record without values has left
	added    []string                    // those that the district does not compute, as they came
	today    map[string]*touch
	order    []string // of today
}

// A touch is what a day did to a record.
type touch struct {
	before oneroster.Record // without values: it was not there
	what   []string
	child  bool // its children are others than before
}

type link struct{ field, owner string }

// indexed are the references that are looked up from their other end.
var indexed = map[string][]string{"class": {"school"}, "user": {"orgs"}, "enrollment": {"class", "user"},
	"lineItem": {"class"}, "result": {"lineItem", "student"}}

// newOverlay holds the small resources whole from the beginning, and computes
// those that grow with the district.
func newOverlay(d *District) *overlay {
	o := &overlay{District: d, layers: map[*oneroster.Resource]*layer{}, links: map[link][]string{}}
	for _, r := range oneroster.Resources() {
		y := &layer{held: map[string]oneroster.Record{}}
		o.layers[r] = y
		switch r.Name {
		case "class", "user", "demographics", "enrollment", "lineItem", "result":
			y.computed = true
			continue
		}
		_ = d.part(r.Name)(func(rec oneroster.Record) error { // it fails only where its caller does
			y.held[rec.ID()] = rec
			y.added = append(y.added, rec.ID())
			return nil
		})
	}
	o.newDay()
	return o
}

func (o *overlay) newDay() {
	for _, y := range o.layers {
		y.today, y.order = map[string]*touch{}, nil
	}
}

func there(r oneroster.Record) bool { return r.Values != nil }

// get finds a record that is there today. It must not be written to.
func (o *overlay) get(resource, id string) (oneroster.Record, bool) {
	r := oneroster.ByName(resource)
	y := o.layers[r]
	if rec, ok := y.held[id]; ok {
		return rec, there(rec)
	}
	if !y.computed {
		return oneroster.Record{}, false
	}
	return o.find(r, id)
}

// linked finds the records that refer to an owner, the district's first.
func (o *overlay) linked(resource, field, owner string) (out []oneroster.Record) {
	r := oneroster.ByName(resource)
	ids := o.links[link{resource + "." + field, owner}]
	if o.layers[r].computed {
		ids = append(o.District.linked(r, field, owner), ids...)
	}
	for _, id := range ids {
		if rec, ok := o.get(resource, id); ok {
			out = append(out, rec)
		}
	}
	return out
}

// touched notes a record as it was this morning.
func (o *overlay) touched(r *oneroster.Resource, id string) *touch {
	if t := o.layers[r].today[id]; t != nil {
		return t
	}
	before, _ := o.get(r.Name, id)
	return o.layers[r].touch(id, before)
}

// touch is touched for a record that get, or Each, has just given.
func (o *overlay) touch(rec oneroster.Record) *touch {
	y := o.layers[rec.Resource]
	if t := y.today[rec.ID()]; t != nil {
		return t
	}
	return y.touch(rec.ID(), rec)
}

func (y *layer) touch(id string, before oneroster.Record) *touch {
	t := &touch{before: before}
	y.today[id] = t
	y.order = append(y.order, id)
	return t
}

func (t *touch) says(what string) {
	if !slices.Contains(t.what, what) {
		t.what = append(t.what, what)
	}
}

// add puts in a record that is new.
func (o *overlay) add(rec oneroster.Record, what string) {
	r := rec.Resource
	o.touched(r, rec.ID()).says(what)
	y := o.layers[r]
	y.held[rec.ID()] = rec
	y.added = append(y.added, rec.ID())
	for _, field := range indexed[r.Name] {
		if r.Name == "user" && rec.Get("role") != "teacher" {
			continue
		}
		at := link{r.Name + "." + field, rec.Get(field)}
		o.links[at] = append(o.links[at], rec.ID())
	}
}

// edit changes fields of a record, name, value, name, value, …, and returns it.
func (o *overlay) edit(rec oneroster.Record, what string, pairs ...string) oneroster.Record {
	next := oneroster.Record{Resource: rec.Resource, Values: slices.Clone(rec.Values)}
	for i := 0; i < len(pairs); i += 2 {
		next.Set(pairs[i], pairs[i+1])
	}
	o.touched(rec.Resource, rec.ID()).says(what)
	o.layers[rec.Resource].held[rec.ID()] = next
	return next
}

// leave takes a record out.
func (o *overlay) leave(rec oneroster.Record, what string) {
	o.touched(rec.Resource, rec.ID()).says(what)
	y := o.layers[rec.Resource]
	if _, computed := o.find(rec.Resource, rec.ID()); computed && y.computed {
		y.held[rec.ID()] = oneroster.Record{}
	} else {
		delete(y.held, rec.ID())
	}
}

// leaveAll takes every record of a resource out; from now on nothing of it is
// computed.
func (o *overlay) leaveAll(resource string, what func(oneroster.Record) string) {
	y := o.layers[oneroster.ByName(resource)]
	for _, rec := range o.all(resource) {
		o.touch(rec).says(what(rec))
	}
	y.computed, y.held, y.added = false, map[string]oneroster.Record{}, nil
	for at := range o.links {
		if strings.HasPrefix(at.field, resource+".") {
			delete(o.links, at)
		}
	}
}

// all gathers the records of a resource.
func (o *overlay) all(resource string) (out []oneroster.Record) {
	_ = o.Each(context.Background(), oneroster.ByName(resource), func(rec oneroster.Record) error {
		out = append(out, rec)
		return nil
	})
	return out
}

// Each yields the records of one resource as they are today.
func (o *overlay) Each(ctx context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	y := o.layers[r]
	if y.computed {
		err := o.District.Each(ctx, r, func(rec oneroster.Record) error {
			if now, ok := y.held[rec.ID()]; !ok {
				return yield(rec)
			} else if there(now) {
				return yield(now)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range y.added {
		if rec, ok := y.held[id]; ok {
			if err := yield(rec); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// Records yields the district as it is today, parents first.
func (o *overlay) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	for _, r := range oneroster.Resources() {
		err := o.Each(ctx, r, func(rec oneroster.Record) error { return yield(oneroster.Row{Record: rec}) })
		if err != nil {
			return err
		}
	}
	return nil
}
