package edition

import (
	"context"
	"errors"
	"time"
	"weak"

	"rollbook/internal/store"
)

// earlierRows is how many records may have changed since an earlier edition that is made once
// more: what they were is looked for in memory.
const earlierRows = 250_000

var (
	errNoEdition = errors.New("no edition can be made")
	errTooMuch   = errors.New("too much has changed since")
)

// leg is the walk that a page which is not the first belongs to, whichever process served its
// first one; nil where it is a page by itself. The others know of it then.
func (d *District) leg(ctx context.Context, in *inquiry) (*leg, error) {
	if err := d.hear(ctx); err != nil {
		return nil, err
	}
	l := d.walks.next(in)
	return l, d.tell(ctx, l)
}

// hear takes in what other processes have noted of walks.
func (d *District) hear(ctx context.Context) error {
	notes, last, err := d.store.Walks(ctx, d.walks.listened())
	if err == nil {
		d.crowded(d.walks.hear(notes, last))
	}
	return err
}

// tell makes the note of a page, before it is sent: the next one may be asked of another
// process. Where that fails pages are served all the same.
func (d *District) tell(ctx context.Context, l *leg) error {
	if l == nil || l.note == nil {
		return nil
	}
	id, err := d.store.NoteWalk(ctx, *l.note)
	if err == nil {
		d.walks.made(id)
		if before, dusty := d.walks.dusty(); dusty {
			err = d.store.ForgetWalks(ctx, before, walksKept)
		}
	}
	if err != nil && ctx.Err() == nil {
		d.opt.Log.Warn("walks", "problem", "other processes do not hear of them", "error", err)
	}
	return ctx.Err()
}

// crowded tells the log that walks have ended for want of room.
func (d *District) crowded(ended int) {
	if ended > 0 {
		d.opt.Log.Warn("walks", "problem", "there are too many: some ended", "ended", ended)
	}
}

// walkOn is a page of a walk. Where its edition cannot be had any more it is one of the latest,
// and says so.
func (d *District) walkOn(ctx context.Context, in *inquiry, l *leg) (p *Page, err error) {
	switch r := l.held; {
	case l.left:
	case r != nil:
		p = r.page(in.Ask)
	default:
		p, err = d.takeUp(ctx, in, l)
	}
	if why := left(err); why != nil {
		d.walks.leave(l.walk)
		d.opt.Log.Warn("walk", "client", in.Client, "resource", in.resource.Plural, "edition", l.edition,
			"problem", "its edition cannot be had any more: what is served is the latest", "reason", why)
		err = nil
	}
	if p == nil && err == nil {
		if p, _, err = d.present(ctx, in); err == nil && p.Edition != l.edition {
			p.Left = l.edition
		}
	}
	if err == nil {
		p.AsOf = l.asOf
	}
	return p, err
}

// left is why an edition cannot be had any more; nil where the error is another one.
func left(err error) error {
	for _, why := range []error{errNoEdition, errTooMuch, store.ErrNotEarlier} {
		if errors.Is(err, why) {
			return why
		}
	}
	return nil
}

// takeUp is the first page of a walk here: others have served those before it, or it began when
// there was no edition yet.
func (d *District) takeUp(ctx context.Context, in *inquiry, l *leg) (*Page, error) {
	versions, err := d.versions(ctx)
	if err != nil {
		return nil, err
	}
	if versions.Of(in.on...) == l.edition {
		p, r, err := d.present(ctx, in)
		if err != nil {
			return nil, err
		}
		if p.Edition == l.edition {
			if r != nil {
				d.crowded(d.walks.hold(l.walk, r))
			}
			return p, nil
		}
		p.Close() // it was overtaken meanwhile
	}
	r, err := d.earlier(ctx, in, l.edition)
	if err != nil {
		return nil, err
	}
	d.crowded(d.walks.hold(l.walk, r))
	return r.page(in.Ask), nil
}

// earlier is what a question selected in an earlier edition, which is made once more.
func (d *District) earlier(ctx context.Context, in *inquiry, rev int64) (r *reading, err error) {
	give, ok := d.turns.take(in.Client, ctx.Done())
	if !ok {
		return nil, ctx.Err()
	}
	defer give()
	h := d.holder(in.rendering)
	for h != nil && r == nil && err == nil {
		err = d.view(ctx, h, in.on, func(view *store.View, c *collection) (err error) {
			r, err = d.back(ctx, h, view, c, in, rev)
			return err
		})
		made := h.building.Load()
		switch {
		case r != nil || err != nil:
		case made != nil:
			select {
			case <-*made:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case time.Since(time.Unix(h.failed.Load(), 0)) < buildAgain:
			return nil, errNoEdition
		}
	}
	if h == nil {
		err = errNoEdition
	}
	return r, err
}

// back goes back from a view, and the collection as of it.
func (d *District) back(ctx context.Context, h *holder, view *store.View, c *collection, in *inquiry,
	rev int64) (*reading, error) {
	changed := 0
	for _, r := range in.on {
		n, err := view.Changed(ctx, r, rev)
		if err != nil {
			return nil, err
		}
		changed += n
	}
	if changed > earlierRows {
		return nil, errTooMuch
	}
	if c.version > rev {
		was, err := h.earlier(ctx, view, c, rev)
		if err != nil {
			return nil, err
		}
		c = was
	}
	if in.whole {
		return d.newReading(c, c.all(), rev), nil
	}
	places, err := view.PlacesEarlier(ctx, in.Selection, rev)
	return d.newReading(c, places, rev), err
}

// earlier is the collection as it was at an earlier rev: walks in one edition share it.
func (h *holder) earlier(ctx context.Context, view *store.View, c *collection, rev int64) (*collection,
	error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.was[rev].Value(); was != nil {
		return was, nil
	}
	was, err := c.earlier(ctx, view, h.rendering, rev)
	if err != nil {
		return nil, err
	}
	for rev, one := range h.was {
		if one.Value() == nil {
			delete(h.was, rev)
		}
	}
	if h.was == nil {
		h.was = map[int64]weak.Pointer[collection]{}
	}
	h.was[rev] = weak.Make(was)
	return was, nil
}
