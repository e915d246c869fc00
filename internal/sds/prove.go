package sds

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// A Proof is the comparison of the mirror, which the deltas made, with another
// full pull.
type Proof struct {
	Compared    int          `json:"compared"` // rows that the full pull brought
	Settled     int          `json:"settled"`  // differences that a second look did not find
	Rounds      int          `json:"rounds"`
	Differences []Difference `json:"differences"`
	Unsettled   int          `json:"unsettled"` // differences beyond those that are looked at one by one
}

// A Difference is a member of an object that the mirror has otherwise than the
// provider. Field is empty where one of the two lacks the object.
type Difference struct {
	Resource  string `json:"resource"`
	SourcedID string `json:"sourcedId"`
	Field     string `json:"field"`
	Mirror    string `json:"mirror"`
	Provider  string `json:"provider"`
}

func (d Difference) String() string {
	what := d.Resource + " " + d.SourcedID
	if d.Field != "" {
		what += ", " + d.Field
	}
	return fmt.Sprintf("%s: the mirror has %s, the provider has %s", what, d.Mirror, d.Provider)
}

const (
	proofRounds   = 3
	mostSettled   = 200 // of a collection, looked at one by one
	absent        = "nothing"
	deletedObject = "it as tobedeleted"
)

type candidate struct {
	resource *oneroster.Resource
	id       string
}

// prove brings the mirror up to date by a delta, reads everything anew, and
// compares. A provider may have moved between the two: what differs is settled
// by another delta and a look at that object.
func (r *run) prove(ctx context.Context) (*Proof, error) {
	if err := r.update(ctx, false); err != nil {
		return nil, err
	}
	p := &Proof{Differences: []Difference{}}
	open, err := r.compare(ctx, p)
	if err != nil {
		return nil, err
	}
	for len(open) > 0 && p.Rounds < proofRounds {
		p.Rounds++
		if err := r.update(ctx, false); err != nil {
			return nil, err
		}
		var left []candidate
		p.Differences = []Difference{}
		for _, c := range open {
			found, err := r.differences(ctx, c)
			if err != nil {
				return nil, err
			}
			if len(found) > 0 {
				left = append(left, c)
				p.Differences = append(p.Differences, found...)
			}
		}
		p.Settled += len(open) - len(left)
		open = left
	}
	return p, nil
}

// compare reads everything anew, beside the mirror, and returns what differs.
func (r *run) compare(ctx context.Context, p *Proof) ([]candidate, error) {
	if err := r.Mirror.Discard(ctx); err != nil {
		return nil, err
	}
	if _, err := r.Mirror.Resume(ctx, r.pullKey("proof")); err != nil {
		return nil, err
	}
	if err := r.gather(ctx, nil); err != nil {
		return nil, err
	}
	var out []candidate
	for _, res := range r.resources() {
		n, _, err := r.Mirror.Gathered(ctx, res)
		if err != nil {
			return nil, err
		}
		p.Compared += n
		ids, all, err := r.Mirror.Differ(ctx, res, mostSettled)
		if err != nil {
			return nil, err
		}
		p.Unsettled += all - len(ids)
		for _, id := range ids {
			if mirror.IsID(id) { // else SDS-G01 tells
				out = append(out, candidate{res, id})
			}
		}
	}
	return out, r.Mirror.Discard(ctx)
}

// differences asks the provider for one object and holds it against the mirror.
func (r *run) differences(ctx context.Context, c candidate) ([]Difference, error) {
	mine, err := r.Mirror.One(ctx, c.resource, c.id)
	if err != nil {
		return nil, err
	}
	var theirs wire.Object
	a, err := r.Provider.Careful(ctx, provider.Call{Path: "/" + c.resource.Plural + "/" +
		oneroster.EscapeID(c.id)}, func(a *provider.Answer) (err error) {
		theirs, _, err = a.One(c.resource.Wrapper(), c.resource.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if a.Status == http.StatusNotFound {
		theirs = nil
	}
	out := differ(c, mine, theirs)
	for i, d := range out {
		out[i].Mirror = r.veil.Member(d.Field, d.Mirror, c.resource)
		out[i].Provider = r.veil.Member(d.Field, d.Provider, c.resource)
	}
	return out, nil
}

func isGone(o wire.Object) bool { return o == nil || o.Deleted() }

func state(o wire.Object) string {
	switch {
	case o == nil:
		return absent
	case isGone(o):
		return deletedObject
	}
	return "it"
}

func differ(c candidate, mine, theirs wire.Object) []Difference {
	d := Difference{Resource: c.resource.Name, SourcedID: c.id}
	if isGone(mine) || isGone(theirs) {
		if isGone(mine) && isGone(theirs) {
			return nil
		}
		d.Mirror, d.Provider = state(mine), state(theirs)
		return []Difference{d}
	}
	var out []Difference
	for _, m := range wire.Differ(mine, theirs) {
		d.Field, d.Mirror, d.Provider = m.Name, cmp.Or(m.One, absent), cmp.Or(m.Other, absent)
		out = append(out, d)
	}
	return out
}
