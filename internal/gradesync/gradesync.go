// Package gradesync behaves towards a OneRoster 1.1 provider as Microsoft's
// Grade Sync does when a teacher returns marked work: the token that it insists
// on, the rosters that it reads, the line items and results that it writes all
// at once. It then reads back what it wrote, and can take it away again. The
// grades are made up and depend on the options only, so that a second run finds
// its own work.
package gradesync

import (
	"cmp"
	"context"
	"sync"

	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// Options of a run. The same options make the same ids and scores.
type Options struct {
	Teacher     string // e-mail address or username
	Class       string // sourcedId of one of her classes; "" is her first active one
	Group       string // sourcedId of a class group, instead of a class
	Assignments int
	Seed        int64 // another seed, other ids and scores
	Force       bool  // overwrite what is there
	Personal    bool  // the receipt names people as they are called, and not by pseudonyms

	Today    string                // YYYY-MM-DD, decides the grading period
	Progress func(done, total int) // told as objects are written and read; one call at a time
}

// gentle is how many calls of our own are under way at once. Those that stand
// for the real client's have no bound, as its have none.
const gentle = 8

// A run is one sync under way.
type run struct {
	Options
	p       *provider.Provider
	receipt *Receipt
	veil    *wire.Veil // nil: people are named
	clean   bool       // look for what was made, wherever it may be

	lock  sync.Mutex // guards the rest
	done  int
	total int
}

// Sync reads the rosters, writes what is not there yet and reads everything
// back. err means that it ended before anything was written; what failed later
// is in the receipt.
func Sync(ctx context.Context, p *provider.Provider, opt Options) (*Receipt, error) {
	r, err := begin(ctx, p, opt, false)
	if err != nil {
		return nil, err
	}
	r.write(ctx)
	r.readBack(ctx)
	return r.sum(), ctx.Err()
}

// begin gets the token, reads the rosters and plans the grades.
func begin(ctx context.Context, p *provider.Provider, opt Options, clean bool) (*run, error) {
	r := &run{Options: opt, p: p, receipt: &Receipt{Warnings: []string{}}, clean: clean}
	if !r.Personal {
		r.veil = p.Veil()
	}
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	found, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	r.receipt.Items = r.plan(found)
	return r, nil
}

// call makes one call, once: Grade Sync tries nothing again, a 401 included.
func (r *run) call(ctx context.Context, c provider.Call) (*provider.Answer, error) {
	a, err := r.p.Do(ctx, c)
	return a, a.In(err)
}

// refused tells why an answer is no success, and nil for any 2xx but a web page.
func refused(a *provider.Answer) error {
	err := provider.Judge(a)
	switch {
	case err == nil && a.Status/100 != 2:
		err = a.Refusal()
	case a.Status/100 == 2 && a.Status > 201:
		err = nil
	}
	return a.In(err)
}

// each does something with every one of a list, width of them at a time; 0 is all at
// once. It returns when all are done.
func each[T any](list []T, width int, do func(T)) {
	var all sync.WaitGroup
	free := make(chan struct{}, cmp.Or(width, len(list)))
	for _, v := range list {
		free <- struct{}{}
		all.Go(func() {
			do(v)
			<-free
		})
	}
	all.Wait()
}

// all does something with every object that has not failed yet, notes what fails, and tells
// of each that is done.
func (r *run) all(ctx context.Context, list []*Entry, width int, do func(context.Context, *Entry) error) {
	each(list, width, func(e *Entry) {
		if e.Status != Failed {
			if err := do(ctx, e); err != nil && ctx.Err() == nil {
				e.fail("%v", err)
			} else if err != nil {
				e.fail("interrupted: whether it was taken is not known")
			}
		}
		r.lock.Lock()
		defer r.lock.Unlock()
		r.done++
		if r.Progress != nil {
			r.Progress(r.done, r.total)
		}
	})
}
