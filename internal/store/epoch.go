package store

import (
	"context"
	"fmt"

	"rollbook/internal/oneroster"
)

// Restamp begins a new epoch of the delta clock, after an older copy of the database
// was put in place: every record is stamped anew, later than the wall clock was at
// any time that a reader has passed, so that a delta brings all that there is. What
// only the lost days had cannot be told by it. It returns how many records there are
// and their stamp.
func (s *Store) Restamp(ctx context.Context) (records int, stamp string, err error) {
	stamp, err = s.write(ctx, func(c *change) error {
		records = 0
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
