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
		if _, err := c.put(ctx, t, append([]string(nil), r.Values...)); err != nil {
			return err
		}
		return c.published(ctx, id, n, "ann", "it is right")
	})
}
