package intake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// noteGap notes what came since the last publication and was not published, where a delta
// package follows: it holds its own changes alone. One that never came leaves no trace:
// the manifest of OneRoster has neither a date nor a number.
func (in *Intake) noteGap(ctx context.Context, o Offer, doc *Document) error {
	if !slices.Contains(slices.Collect(maps.Values(o.Source.Modes())), oneroster.Delta) {
		return nil
	}
	list, err := in.Publications(ctx, 0)
	for _, p := range list {
		switch {
		case p.State == store.StatePublished:
			return err
		case p.ID == o.id || p.State == store.StatePlanning || p.Bytes == 0: // itself, or no package
			continue
		}
		doc.Notes = append(doc.Notes,
			fmt.Sprintf("this is a delta package, and publication %d, of %s, is %s: "+
				"what that one changes will be missing, unless a package that has it follows", p.ID,
				p.At[:len(time.DateOnly)], p.State))
	}
	return err
}
