package host

import (
	"context"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// nextDue is when the next of the feeds is due, and when there may be something to do for one. What is due
// and was not done while the district was open had nothing to do, or could not be looked at.
func (i *instance) nextDue(ctx context.Context) (seen string, due time.Time) {
	all, err := i.d.Store.Feeds(ctx, "")
	if err != nil {
		return "", due // it is looked at again soon
	}
	now := time.Now()
	for _, f := range all {
		at, err := time.Parse(oneroster.TimeLayout, f.Due) // "" is never
		kind := i.feeds[f.Kind]
		if err != nil || kind == nil {
			continue
		}
		if seen == "" || f.Due < seen {
			seen = f.Due
		}
		switch next := kind.Next(f, now); {
		case at.After(now):
		case now.Sub(i.began) < turnTime || f.Busy(now):
			at = now // it has not had its turn yet
		case next.IsZero() || next.After(now.Add(lookAgain)):
			at = now.Add(lookAgain)
		default:
			at = next
		}
		if !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return seen, due
}

func (o *Owner) openDue() {
	o.mu.Lock()
	var due []*owned
	for _, k := range o.kept {
		if k.now == nil && !k.due.IsZero() && !k.due.After(time.Now()) {
			k.due = time.Time{} // until it is closed
			due = append(due, k)
		}
	}
	o.mu.Unlock()
	for _, k := range due {
		if i, err := o.take(o.ctx, k); err == nil {
			o.give(i)
		}
	}
}

// lookForFeeds looks, at the start and now and then, when the next feed of each district that is closed
// is due: another process may have added some.
func (o *Owner) lookForFeeds() {
	tick := time.NewTicker(feedsEvery)
	defer tick.Stop()
	for {
		o.mu.Lock()
		var closed []*owned
		for _, k := range o.kept {
			if k.now == nil {
				closed = append(closed, k)
			}
		}
		o.mu.Unlock()
		for _, k := range closed {
			if o.ctx.Err() != nil {
				return
			}
			dsn, _, err := o.house.At(k.id)
			if err != nil {
				continue
			}
			seen, err := store.NextDue(o.ctx, dsn)
			if due, wrong := time.Parse(oneroster.TimeLayout, seen); err == nil && wrong == nil {
				o.mu.Lock()
				if k.now == nil && k.seen != seen {
					k.seen, k.due = seen, due
				}
				o.mu.Unlock()
			}
		}
		select {
		case <-o.ctx.Done():
			return
		case <-tick.C:
		}
	}
}
