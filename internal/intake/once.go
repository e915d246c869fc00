package intake

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"rollbook/internal/aside"
	"rollbook/internal/oneroster"
)

// A once is a source that is read once: what it yields is put aside for the next time, since
// text costs several times as much to read. What was checked is what is taken in, though
// its files may change meanwhile.
type once struct {
	oneroster.Source
	rows  aside.File
	whole bool
	files []string
}

// odd is what few rows have beside their values.
type odd struct {
	Wrong []oneroster.Wrong
	Keep  []int
	Edits []oneroster.Edit
}

const (
	isOdd = 1 << iota
	isSkipped
)

func (o *once) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	if o.whole {
		return o.again(ctx, yield)
	}
	_ = o.rows.Close() // it was left in the middle
	o.rows, o.files = aside.File{}, nil
	numbers, files := map[*oneroster.Resource]int{}, map[string]int{}
	for n, r := range oneroster.Resources() {
		numbers[r] = n
	}
	err := o.Source.Records(ctx, func(row oneroster.Row) error {
		file, known := files[row.File]
		if !known {
			file = len(o.files)
			files[row.File] = file
			o.files = append(o.files, row.File)
		}
		if err := o.keep(row, numbers[row.Resource], file); err != nil {
			return err
		}
		return yield(row)
	})
	o.whole = err == nil
	return err
}

func (o *once) keep(row oneroster.Row, resource, file int) error {
	flags, more := uint64(0), ""
	if row.Skip {
		flags |= isSkipped
	}
	if len(row.Wrong)+len(row.Keep)+len(row.Edits) > 0 {
		text, err := json.Marshal(odd{row.Wrong, row.Keep, row.Edits})
		if err != nil {
			return err
		}
		flags, more = flags|isOdd, string(text)
	}
	_, err := o.rows.Put(func(buf []byte) []byte {
		for _, n := range []uint64{uint64(resource), uint64(file), uint64(row.Line), flags} {
			buf = binary.AppendUvarint(buf, n)
		}
		if flags&isOdd != 0 {
			buf = aside.AppendTexts(buf, more)
		}
		return aside.AppendTexts(buf, row.Values...)
	})
	if err != nil {
		return fmt.Errorf("a package cannot be put aside: %w", err)
	}
	return nil
}

// again yields what was put aside.
func (o *once) again(ctx context.Context, yield func(oneroster.Row) error) error {
	damaged := errors.New("a package that was put aside is damaged")
	all := oneroster.Resources()
	for at := int64(0); at < o.rows.End(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, next, err := o.rows.Get(at)
		if err != nil {
			return err
		}
		at = next
		var head [4]uint64 // resource, file, line, flags
		for i := range head {
			var n int
			if head[i], n = binary.Uvarint(raw); n <= 0 {
				return damaged
			}
			raw = raw[n:]
		}
		texts, whole := aside.Texts(string(raw), make([]string, 0, 24))
		if !whole || head[0] >= uint64(len(all)) || head[1] >= uint64(len(o.files)) {
			return damaged
		}
		row := oneroster.Row{File: o.files[head[1]], Line: int(head[2]), Skip: head[3]&isSkipped != 0}
		if head[3]&isOdd != 0 {
			var more odd
			if len(texts) == 0 || json.Unmarshal([]byte(texts[0]), &more) != nil {
				return damaged
			}
			row.Wrong, row.Keep, row.Edits, texts = more.Wrong, more.Keep, more.Edits, texts[1:]
		}
		row.Record = oneroster.Record{Resource: all[head[0]], Values: slices.Clip(texts)}
		if len(texts) != len(row.Resource.Fields) {
			return damaged
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}
