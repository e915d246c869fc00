package store

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"rollbook/internal/oneroster"
)

// A FieldChange tells of the records that are active before an import and after it
// how many get a value of a field, lose it, or have another.
type FieldChange struct {
	Field               string
	Before              int // records that had a value before
	Came, Went, Changed int
}

// fieldChanges compares what this change found with what it leaves.
func (c *change) fieldChanges(ctx context.Context) (map[*oneroster.Resource][]FieldChange, error) {
	out := map[*oneroster.Resource][]FieldChange{}
	for _, r := range oneroster.Resources() {
		t := tables[r]
		counts := make([]FieldChange, len(t.Fields))
		moved := false
		err := c.found(ctx, t, func(before map[string][]string) error {
			return c.stored(ctx, t, before, func(now []string) {
				was := before[now[oneroster.SourcedID]]
				if was[oneroster.Status] != oneroster.Active || now[oneroster.Status] != oneroster.Active {
					return
				}
				moved = true
				for i := range counts {
					n := &counts[i]
					if was[i] != "" {
						n.Before++
					}
					switch {
					case was[i] == now[i]:
					case was[i] == "":
						n.Came++
					case now[i] == "":
						n.Went++
					default:
						n.Changed++
					}
				}
			})
		})
		if err != nil {
			return nil, err
		}
		if !moved {
			continue
		}
		for i, n := range counts {
			if i == oneroster.Modified || n.Came+n.Went+n.Changed == 0 {
				continue
			}
			rest, err := c.untouched(ctx, t, i)
			if err != nil {
				return nil, err
			}
			n.Field, n.Before = t.Fields[i].Name, n.Before+rest
			out[r] = append(out[r], n)
		}
	}
	return out, nil
}

// found yields what this change found of a table, some hundred records at a time.
func (c *change) found(ctx context.Context, t *table, yield func(before map[string][]string) error) error {
	var packed [][]byte
	text := c.d.sql(`SELECT "records" FROM "journal" WHERE "rev" = $1 AND "resource" = $2`)
	err := queryAll(ctx, c.Tx, text, []any{c.rev, t.Plural}, func(scan func(...any) error) error {
		var piece []byte
		err := scan(&piece)
		packed = append(packed, piece)
		return err
	})
	if err != nil {
		return err
	}
	pieces := func(piece [][]string) error {
		before := map[string][]string{}
		for _, row := range piece {
			before[row[1+oneroster.SourcedID]] = row[1:]
		}
		return yield(before)
	}
	for _, raw := range packed {
		piece, err := unpack(raw)
		if err != nil {
			return err
		}
		if err := pieces(piece); err != nil {
			return err
		}
	}
	return pieces(c.journal.of[t])
}

// unpack reads a piece of the journal: for each record the rev that it had, then its
// values.
func unpack(raw []byte) (piece [][]string, err error) {
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err == nil {
		err = json.Unmarshal(plain, &piece)
	}
	if err != nil {
		return nil, fmt.Errorf("the journal is damaged: %w", err)
	}
	return piece, nil
}

// stored yields what is stored of the records of some ids; values are valid only
// during the call.
func (c *change) stored(ctx context.Context, t *table, of map[string][]string,
	yield func(values []string)) error {
	ids := make([]string, 0, len(of))
	for id := range of {
		ids = append(ids, id)
	}
	for batch := range slices.Chunk(ids, 1000) {
		st := &statement{d: c.d}
		text := "SELECT " + t.unstamped + " FROM " + t.name + ` t WHERE t."sourcedId" IN ` + st.in(batch)
		rows, err := c.QueryContext(ctx, text, st.args...)
		if err != nil {
			return err
		}
		err = t.scan(rows, func(values []string) error {
			yield(values)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// untouched counts the active records with a value in a field that this change left
// alone.
func (c *change) untouched(ctx context.Context, t *table, i int) (n int, err error) {
	col := "t." + quote(t.Fields[i].Name)
	has := col + " <> ''"
	if t.Fields[i].Kind == oneroster.Number {
		has = col + " IS NOT NULL"
	}
	text := c.d.sql("SELECT COUNT(*) FROM " + t.name + ` t WHERE t."status" = $1 AND t."rev" <> $2 AND ` +
		has)
	err = c.QueryRowContext(ctx, text, oneroster.Active, c.rev).Scan(&n)
	return n, err
}
