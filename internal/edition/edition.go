// Package edition serves the lists of a district from editions: what was served at one
// moment, rendered once, from which pages are copied and not made. The database stays the
// only truth: an edition is made of it in the background when it is first asked for,
// follows it, and can be thrown away at any moment. What there is no edition of is read
// from the database.
package edition

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

const (
	// idle is how long a collection that nobody reads is kept.
	idle = 30 * time.Minute
	// listTime is how long the database may take for one page, waiting included.
	listTime = time.Minute
	// basesKept is how many addresses of a service are rendered for; a list for another
	// one is read from the database.
	basesKept = 3
	// soonRows is what District.soon is.
	soonRows = 20000
	// buildAgain is how long a collection that could not be made is left alone.
	buildAgain = time.Minute
)

// Options of a district.
type Options struct {
	Log *slog.Logger
	// Memory is how many bytes all lists that are read from the database may hold on
	// their way; what is beyond lies in temporary files. 0 is 64 MiB.
	Memory int64
	// Plain makes no editions: every list is read from the database.
	Plain bool
}

// A District serves lists. It is safe for concurrent use.
type District struct {
	store *store.Store
	opt   Options
	known atomic.Pointer[store.Versions]

	mu          sync.Mutex
	collections map[rendering]*holder
	bases       map[string]bool
	swept       time.Time

	questions questions
	walks     walks
	shelf     shelf // of compressed blocks
	spooled   budget
	turns     turns
	soon      int        // up to how many records a collection is made while its reader waits
	loose     int        // bytes of what was followed that a collection may hold and not be heavy
	builds    sync.Mutex // of others one at a time
	ctx       context.Context
	stop      context.CancelFunc
	work      sync.WaitGroup
}

// A holder has the latest collection of a rendering.
type holder struct {
	rendering
	now      atomic.Pointer[collection]
	asked    atomic.Int64                  // when it was, Unix seconds
	turn     chan struct{}                 // of who brings it up to date
	building atomic.Pointer[chan struct{}] // is closed when it is made; nil where it is not
	failed   atomic.Int64                  // when it could not be made, Unix seconds

	mu  sync.Mutex
	was map[int64]weak.Pointer[collection] // earlier ones, that walks went back to, by rev
}

// New makes the district of a store.
func New(s *store.Store, opt Options) *District {
	d := &District{store: s, opt: opt, collections: map[rendering]*holder{}, bases: map[string]bool{}}
	d.spooled.most = opt.Memory
	if opt.Memory == 0 {
		d.spooled.most = spoolMemory
	}
	if d.opt.Log == nil {
		d.opt.Log = slog.New(slog.DiscardHandler)
	}
	d.soon, d.loose = soonRows, followedBytes
	d.walks.process = rand.Text()
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// Close ends what is made in the background. It comes before the store's.
func (d *District) Close() {
	d.stop()
	d.work.Wait()
}

// An Ask is what a reader asks of a collection.
type Ask struct {
	store.Selection
	Client string // that asks: its walks stay in one edition
	Base   string // absolute URL of the service, which references are made with
	Veiled bool   // the reader may not see the flags of users
	Gzip   bool   // the reader takes gzip
}

// List reads one page. What it returns holds no connection to the database.
func (d *District) List(ctx context.Context, ask Ask) (*Page, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	p, err := d.list(ctx, ask)
	if errors.Is(err, store.ErrStandby) {
		p, err = d.list(store.FromPrimary(ctx), ask)
	}
	return p, err
}

func (d *District) list(ctx context.Context, ask Ask) (*Page, error) {
	if d.opt.Plain {
		return d.spool(ctx, &ask)
	}
	asOf := d.store.TimeOf(ctx) // before the last change is asked
	in, err := d.inquire(&ask)
	if err != nil {
		return nil, err
	}
	if ask.Query.Offset > 0 {
		l, err := d.leg(ctx, in)
		if err != nil {
			return nil, err
		}
		if l != nil {
			return d.walkOn(ctx, in, l)
		}
	}
	p, r, err := d.present(ctx, in)
	if err == nil && begins(in, p.Total) {
		err = d.hear(ctx) // what is noted is the last of what all know
	}
	if err == nil {
		l, ended := d.walks.begin(in, p.Edition, p.Total, r, asOf)
		d.crowded(ended)
		err = d.tell(ctx, l)
	}
	if err != nil && p != nil {
		p.Close()
	}
	return p, err
}

// present is a page of the latest edition, and what that selects; nil where there is none yet,
// and the page is read from the database.
func (d *District) present(ctx context.Context, in *inquiry) (p *Page, r *reading, err error) {
	versions, err := d.versions(ctx)
	if err == nil {
		r, err = d.latest(ctx, in, versions)
	}
	switch {
	case err != nil:
		return nil, nil, err
	case r != nil:
		return r.page(in.Ask), r, nil
	}
	p, err = d.spool(ctx, in.Ask)
	return p, nil, err
}

// latest is what a question selects in the latest edition; nil where there is none yet.
func (d *District) latest(ctx context.Context, in *inquiry, versions *store.Versions) (*reading, error) {
	h := d.holder(in.rendering)
	if h == nil {
		return nil, nil
	}
	q := d.questions.of(in.questionKey)
	r := q.answered()
	if r != nil && r.version >= versions.Of(in.on...) {
		return r, nil
	}
	give, ok := d.turns.take(in.Client, ctx.Done())
	if !ok {
		return nil, ctx.Err()
	}
	defer give()
	return q.answer(ctx, versions.Of(in.on...), func(last *reading) (*reading, error) {
		return d.find(ctx, h, versions, in, last)
	})
}

// find answers a question that was not asked of this edition before: by what has changed
// since its last answer, by the stamps of all where it asks for nothing else, as deltas do, else by
// the database. It is nil where there is no edition yet.
func (d *District) find(ctx context.Context, h *holder, versions *store.Versions, in *inquiry,
	last *reading) (r *reading, err error) {
	c, err := d.current(ctx, h, versions)
	if c == nil || err != nil {
		return nil, err
	}
	if in.whole {
		return d.newReading(c, c.all(), c.version), nil
	}
	if last != nil && last.collection.version == c.before && in.Query.Sort == nil {
		if selects := d.store.Selects(in.Selection); selects != nil {
			return d.newReading(c, last.with(c.changes, selects), c.version), nil
		}
	}
	if selects := d.store.ByStamps(in.Selection); selects != nil {
		return d.newReading(c, c.stamped(h.resource, selects), c.version), nil
	}
	err = d.view(ctx, h, in.on, func(view *store.View, c *collection) error {
		// What is selected and what is served are of one state.
		places, err := view.Places(ctx, in.Selection)
		if err == nil {
			r = d.newReading(c, places, view.Of(in.on...))
		}
		return err
	})
	return r, err
}

// versions are the last changes, asked at every request: an edition that has been
// overtaken would break the delta clock.
func (d *District) versions(ctx context.Context) (*store.Versions, error) {
	last := d.known.Load()
	now, err := d.store.Versions(ctx, last)
	if err == nil && now != last {
		d.known.Store(now)
	}
	return now, err
}

// holder has the collection of a rendering; nil where there are too many.
func (d *District) holder(r rendering) *holder {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, h := d.walks.time(), d.collections[r]
	if h != nil {
		h.asked.Store(now.Unix())
	}
	if now.Sub(d.swept) > time.Minute {
		d.sweep(now)
	}
	if h != nil {
		return h
	}
	if !d.bases[r.base] && len(d.bases) == basesKept {
		return nil
	}
	d.bases[r.base] = true
	h = &holder{rendering: r, turn: make(chan struct{}, 1)}
	h.asked.Store(now.Unix())
	d.collections[r] = h
	return h
}

// made is the holder of a rendering that readers of lists have asked for; nil where there is none.
func (d *District) made(r rendering) *holder {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.collections[r]
	if h != nil {
		h.asked.Store(d.walks.time().Unix())
	}
	return h
}

// sweep forgets the collections that nobody reads, and the addresses that nobody asks at.
func (d *District) sweep(now time.Time) {
	d.swept = now
	clear(d.bases)
	for key, h := range d.collections {
		if now.Sub(time.Unix(h.asked.Load(), 0)) > idle {
			delete(d.collections, key)
			d.questions.forget(key)
			continue
		}
		d.bases[key.base] = true
	}
}

// current is the collection as of some versions or later; nil where it is still to be
// made, which begins with this.
func (d *District) current(ctx context.Context, h *holder, versions *store.Versions) (*collection, error) {
	c := h.now.Load()
	if c != nil && c.version >= versions.Of(h.resource) {
		return c, nil
	}
	if c == nil && h.building.Load() != nil {
		return nil, nil
	}
	c = nil
	err := d.view(ctx, h, []*oneroster.Resource{h.resource}, func(_ *store.View, now *collection) error {
		c = now
		return nil
	})
	return c, err
}

// view lets do look at a state of the district, not before the last change of some resources,
// and at the collection as of it, where that is there. The turn comes first: nobody's view is
// overtaken while it waits, and who waits holds no connection.
func (d *District) view(ctx context.Context, h *holder, of []*oneroster.Resource,
	do func(*store.View, *collection) error) error {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-h.turn })
	defer leave()
	err := d.store.View(ctx, func(view *store.View) error {
		c, err := d.followed(ctx, h, view)
		leave()
		if c == nil || err != nil {
			return err
		}
		return do(view, c)
	}, of...)
	return d.unmade(ctx, h, err)
}

// followed brings the collection up to a view; nil where it is to be made anew. It is called
// in turn.
func (d *District) followed(ctx context.Context, h *holder, view *store.View) (*collection, error) {
	c := h.now.Load()
	if c != nil && c.version >= view.Of(h.resource) {
		if c.version > view.Of(h.resource) { // it was made meanwhile, of a later view
			c = nil
		}
		return c, nil
	}
	if c != nil {
		next, err := c.follow(ctx, view, h.rendering, d.loose)
		if err != nil {
			return nil, err
		}
		h.now.Store(next)
		if next != nil {
			if next.heavy(d.loose) && h.mayBuild() {
				d.build(h) // meanwhile this one serves, and is followed further
			}
			return next, nil
		}
	}
	if !h.mayBuild() {
		return nil, nil
	}
	last, err := view.Last(ctx, h.resource)
	switch {
	case err != nil:
		return nil, err
	case last <= d.soon:
		c, err := d.make(ctx, h, view)
		if err == nil {
			d.put(h, c)
		}
		return c, err
	}
	d.build(h)
	return nil, nil
}

// build makes a collection in the background.
func (d *District) build(h *holder) {
	made := make(chan struct{})
	if d.ctx.Err() != nil || !h.building.CompareAndSwap(nil, &made) {
		return
	}
	d.work.Go(func() {
		defer close(made)
		defer h.building.Store(nil)
		d.builds.Lock()
		defer d.builds.Unlock()
		ctx := d.ctx
		var c *collection
		build := func(view *store.View) (err error) {
			c, err = d.make(ctx, h, view)
			return err
		}
		err := d.store.View(ctx, build, h.resource)
		if errors.Is(err, store.ErrStandby) {
			ctx = store.FromPrimary(ctx)
			err = d.store.View(ctx, build, h.resource)
		}
		if err == nil {
			h.turn <- struct{}{} // nobody follows the one before meanwhile
			d.put(h, c)
			<-h.turn
		}
		_ = d.unmade(ctx, h, err) // what it leaves is of a district that is closed, or of its database
	})
}

// make makes a collection; where that fails it is notMade.
func (d *District) make(ctx context.Context, h *holder, view *store.View) (*collection, error) {
	began := time.Now()
	c, err := build(ctx, view, h.rendering)
	if err != nil {
		return nil, &notMade{err}
	}
	d.opt.Log.Info("edition", "resource", h.resource.Plural, "rows", c.rows, "edition", c.version, "ms",
		time.Since(began).Milliseconds())
	return c, nil
}

// put lets readers have a collection that was made; it is called in turn.
func (d *District) put(h *holder, c *collection) {
	h.now.Store(c)
	d.questions.forget(h.rendering) // they hold the one before
}

// mayBuild tells whether a collection may be made, which failed lately or did not.
func (h *holder) mayBuild() bool { return time.Since(time.Unix(h.failed.Load(), 0)) >= buildAgain }

// notMade is why a collection could not be made.
type notMade struct{ error }

func (e *notMade) Unwrap() error { return e.error }

// unmade tells the log why a collection could not be made, and leaves it alone for a while:
// it is no error for its readers, who are served from the database.
func (d *District) unmade(ctx context.Context, h *holder, err error) error {
	var why *notMade
	if ctx.Err() != nil || !errors.As(err, &why) || errors.Is(err, store.ErrStandby) {
		return err
	}
	h.failed.Store(time.Now().Unix())
	if !errors.Is(err, errors.ErrUnsupported) {
		d.opt.Log.Error("edition", "resource", h.resource.Plural, "error", why.error)
	}
	return nil
}
