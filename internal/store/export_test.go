package store

import (
	"context"

	"rollbook/internal/oneroster"
)

// PublishObject publishes a publication together with one gradebook object, in one
// change.
func (s *Store) PublishObject(ctx context.Context, id int64, r oneroster.Record, n Tally) (string, error) {
	t := tables[r.Resource]
	return s.write(ctx, func(c *change) error {
		if err := c.put(ctx, t, []*put{{table: t, values: r.Values}}); err != nil {
			return err
		}
		return c.published(ctx, id, n, "ann", "it is right")
	})
}

// HoldPuts lets puts wait until release; waiting is how many do.
func (s *Store) HoldPuts() (waiting func() int, release func()) {
	s.queue.turn <- struct{}{}
	return func() int {
		s.queue.mu.Lock()
		defer s.queue.mu.Unlock()
		return len(s.queue.waiting)
	}, func() { <-s.queue.turn }
}
