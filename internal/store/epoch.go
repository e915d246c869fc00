package store

import (
	"context"
	"fmt"

	"rollbook/internal/oneroster"
)

// Restamp begins a new epoch of the delta clock, after an older copy of the database
// was put in place: every record is stamped anew, with the wall clock, and later than
// after (of TimeLayout, "" for none), so that the delta of a reader who has passed
// neither brings all that there is. What only the lost days had cannot be told by it.
// It returns how many records there are and their stamp.
func (s *Store) Restamp(ctx context.Context, after string) (records int, stamp string, err error) {
	stamp, err = s.write(ctx, func(c *change) error {
		records = 0
		c.last = max(c.last, after)
		for _, r := range oneroster.Resources() {
			t := tables[r]
			done, err := c.ExecContext(ctx, s.sql("UPDATE "+t.name+` SET "rev" = $1`), c.rev)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			if err != nil {
				return err
			}
			records += int(n)
			c.touched[t] = true
		}
		return nil
	})
	if err != nil {
		return 0, "", fmt.Errorf("database: %w", err)
	}
	return records, stamp, nil
}
