package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// ErrNotEarlier: an earlier state of a resource cannot be had from a view: the journal has
// forgotten it, or it is of a district that another copy was put in the place of.
var ErrNotEarlier = errors.New("the journal does not go back to it")

// Earlier yields each record of a resource that was changed after a rev: its place, and its
// values as they were served at that rev, nil where it was not there yet. They come in no
// order, and are the caller's to keep. ErrNotEarlier where that cannot be known.
func (v *View) Earlier(ctx context.Context, r *oneroster.Resource, rev int64,
	yield func(place int, values []string) error) error {
	var first int64 // what was changed up to this is forgotten
	err := v.tx.QueryRowContext(ctx, `SELECT COALESCE(MIN("rev"), 0) FROM "causes"`).Scan(&first)
	if err != nil {
		return err
	}
	if rev > v.Rev {
		return ErrNotEarlier
	}
	type placed struct {
		place int
		rev   int64
	}
	changed := map[string]placed{}
	text := v.s.sql(`SELECT "sourcedId", "seq", "rev" FROM ` + tables[r].name + ` WHERE "rev" > $1`)
	err = queryAll(ctx, v.tx, text, []any{rev}, func(scan func(...any) error) error {
		var id string
		var at placed
		err := scan(&id, &at.place, &at.rev)
		changed[id] = at
		return err
	})
	if err != nil {
		return err
	}
	was := func(at placed, made int64, values []string) error {
		switch {
		case made <= rev:
			return yield(at.place, values)
		case made <= first: // by what is forgotten
			return ErrNotEarlier
		}
		return yield(at.place, nil)
	}
	err = versions(ctx, v.tx, v.s.engine, tables[r], max(rev, first), func(old version) error {
		id := old.values[oneroster.SourcedID]
		at, ok := changed[id] // the first that ended after rev is what there was at rev
		if !ok {
			return nil
		}
		delete(changed, id)
		return was(at, old.rev, old.values)
	})
	for _, at := range changed { // nothing was there before
		if err == nil {
			err = was(at, at.rev, nil)
		}
	}
	return err
}

// PlacesEarlier is Places at an earlier rev of all resources that the selection hangs on.
// ErrNotEarlier where that cannot be known. Where other records have a part in what is
// selected every record is looked at.
func (v *View) PlacesEarlier(ctx context.Context, sel Selection, rev int64) ([]uint32, error) {
	t := tables[sel.Route.Resource]
	list := sorted{field: sel.Query.Sort, desc: sel.Query.Desc}
	selects := v.s.Selects(sel)
	if selects == nil {
		connected, err := v.connected(ctx, sel, rev)
		if err != nil {
			return nil, err
		}
		err = v.eachEarlier(ctx, t.Resource, rev, func(place int, values []string) error {
			rec := oneroster.Record{Resource: t.Resource, Values: values}
			if connected(rec) && selectsAlone(sel, rec) {
				list.add(place, values[list.at(t)])
			}
			return nil
		})
		return list.places(), err
	}
	changed := map[int]bool{}
	err := v.Earlier(ctx, t.Resource, rev, func(place int, values []string) error {
		changed[place] = true
		if values != nil && selects(values) {
			list.add(place, values[list.at(t)])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if list.field == nil { // the others as they are now
		now, err := v.Places(ctx, sel)
		for _, place := range now {
			if !changed[int(place)] {
				list.add(int(place), "")
			}
		}
		return list.places(), err
	}
	st := &statement{d: v.s.dialect}
	where, err := st.where(t, sel)
	if err != nil {
		return nil, err
	}
	key := t.column(list.at(t))
	err = queryAll(ctx, v.tx, `SELECT t."seq", `+key+" FROM "+t.name+" t WHERE "+where, st.args,
		func(scan func(...any) error) error {
			var place int
			var value string
			into := any(&value)
			if list.field.Kind == oneroster.Number {
				into = (*numberText)(&value)
			}
			err := scan(&place, into)
			if !changed[place] {
				list.add(place, value)
			}
			return err
		})
	return list.places(), err
}

// eachEarlier yields every record of a resource as it was at an earlier rev. Values are
// valid only during the call.
func (v *View) eachEarlier(ctx context.Context, r *oneroster.Resource, rev int64,
	yield func(place int, values []string) error) error {
	changed := map[int]bool{}
	err := v.Earlier(ctx, r, rev, func(place int, values []string) error {
		changed[place] = true
		if values == nil {
			return nil
		}
		return yield(place, values)
	})
	if err != nil {
		return err
	}
	return v.Since(ctx, r, -1, func(place int, values []string) error {
		if changed[place] {
			return nil
		}
		return yield(place, values)
	})
}

// connected makes the function that tells whether a record was connected to the path at an
// earlier rev, as the condition of statement.through and of the parent does now.
func (v *View) connected(ctx context.Context, sel Selection, rev int64) (func(oneroster.Record) bool, error) {
	through, parent := sel.Route.Scope.Through, sel.Route.Scope.Parent
	if parent != nil {
		there := false
		err := v.eachEarlier(ctx, oneroster.ByName(parent.Resource), rev, func(_ int, values []string) error {
			there = there || values[oneroster.SourcedID] == sel.Vars[parent.Var]
			return nil
		})
		if err != nil || !there {
			return func(oneroster.Record) bool { return false }, err
		}
	}
	if through == nil {
		return func(oneroster.Record) bool { return true }, nil
	}
	x, linked := oneroster.ByName(through.Resource), map[string]bool{}
	err := v.eachEarlier(ctx, x, rev, func(_ int, values []string) error {
		rec := oneroster.Record{Resource: x, Values: values}
		for _, m := range through.Match {
			if !matches(rec, m, sel.Vars) {
				return nil
			}
		}
		if rec.Get("status") != oneroster.Active && !(shown(sel) && x.Gradebook) {
			return nil
		}
		if link := rec.Get(through.Link); x.Field(through.Link).Kind != oneroster.Refs {
			linked[strings.Clone(link)] = true
		} else {
			for _, id := range oneroster.Items(link) {
				linked[strings.Clone(id)] = true
			}
		}
		return nil
	})
	return func(rec oneroster.Record) bool { return linked[rec.Get(through.Own)] }, err
}

// sorted are places in the order of a list.
type sorted struct {
	field *oneroster.Field // nil is the order of the places
	desc  bool
	rows  []sortedRow
}

type sortedRow struct {
	place uint32
	key   string
}

// at is the position of the field that is sorted by.
func (s *sorted) at(t *table) int {
	if s.field == nil {
		return oneroster.SourcedID // is not looked at
	}
	return t.Index(s.field.Name)
}

func (s *sorted) add(place int, key string) {
	if s.field == nil || s.field.Kind == oneroster.Metadata { // table.sortKey
		key = ""
	}
	s.rows = append(s.rows, sortedRow{uint32(place), strings.Clone(key)})
}

func (s *sorted) places() []uint32 {
	slices.SortFunc(s.rows, func(a, b sortedRow) int {
		order := strings.Compare(a.key, b.key)
		if s.field != nil && s.field.Kind == oneroster.Number {
			order = cmp.Compare(numberKey(a.key), numberKey(b.key))
		}
		if s.desc {
			order = -order
		}
		if order == 0 {
			order = cmp.Compare(a.place, b.place)
		}
		return order
	})
	out := make([]uint32, len(s.rows))
	for i, row := range s.rows {
		out[i] = row.place
	}
	return out
}

// numberKey is the number that a text of one is sorted as: an absent one comes first.
func numberKey(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return -1.7976931348623157e308
	}
	return n
}

// column reads a field of the table as t.
func (t *table) column(field int) string {
	if field == oneroster.Modified {
		return stampColumn
	}
	return fmt.Sprint("t.", quote(t.Fields[field].Name))
}
