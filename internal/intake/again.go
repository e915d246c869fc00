package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// A digested source is a source that is summed up while it is read: by its records,
// not by its bytes or their order, since the same export may be packed or sorted anew.
type digested struct {
	oneroster.Source
	sum  [sha256.Size]byte
	rows int
}

func (d *digested) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	d.sum, d.rows = [sha256.Size]byte{}, 0
	var text []byte
	return d.Source.Records(ctx, func(r oneroster.Row) error {
		text = append(text[:0], r.Resource.Name...)
		for _, value := range r.Values {
			text = append(append(text, oneroster.PartSep...), value...)
		}
		for i, b := range sha256.Sum256(text) {
			d.sum[i] ^= b // in any order; no two have the same sourcedId
		}
		d.rows++
		return yield(r)
	})
}

// String is the sum; "" of no records.
func (d *digested) String() string {
	if d.rows == 0 {
		return ""
	}
	return hex.EncodeToString(d.sum[:])
}

// guardAgain holds a package that was published before, and not last: an old export,
// however it is packed. One that changes a handful of the rosters is noted: who came and
// left again, or was away and is back, leaves a small district just as it was.
func (in *Intake) guardAgain(ctx context.Context, doc *Document) error {
	n := 0
	for _, c := range doc.Resources {
		if !oneroster.ByName(c.Resource).Gradebook {
			n += c.Added + c.Changed + c.Retired
		}
	}
	if doc.Contents == "" || n == 0 || in.Limits.of("guard-again") == 0 {
		return nil
	}
	list, err := in.Publications(ctx, 0)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(p store.Publication) bool { return p.State != store.StatePublished })
	for i, p := range list {
		old, err := in.Document(ctx, p.ID)
		if err != nil {
			return err
		}
		if old.Contents != doc.Contents {
			continue
		}
		text := fmt.Sprintf("it is the package of publication %d, of %s, again, record by record: another one "+
			"was published since; if it is wanted, rollbook rollback %d brings it back",
			p.ID, p.At[:len(time.DateOnly)], p.ID)
		switch {
		case i == 0:
		case n <= five:
			doc.Notes = append(doc.Notes, text)
		default:
			doc.Objections = append(doc.Objections, Objection{Guard: "again", Text: text})
		}
		return nil
	}
	return nil
}
