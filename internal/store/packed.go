package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"rollbook/internal/aside"
	"rollbook/internal/oneroster"
)

// put puts a row aside that a plan is to write: a first import of a large district is more
// than memory should hold.
func (p *Plan) put(r *row) (at int64, err error) {
	return putAside(&p.aside, r)
}

func putAside(f *aside.File, r *row) (at int64, err error) {
	at, err = f.Put(func(buf []byte) []byte { return packRow(buf, r) })
	if err != nil {
		err = fmt.Errorf("a plan cannot be put aside: %w", err)
	}
	return at, err
}

// planned reads a row that was put aside into r, with a time to stand for its own.
func (p *Plan) planned(at int64, r *row) error {
	raw, _, err := p.aside.Get(at)
	if err == nil {
		err = unpackRow(raw, r)
	}
	if err == nil {
		r.values[oneroster.Modified] = p.stamp
	}
	return err
}

func packRow(buf []byte, r *row) []byte {
	flags := byte(0)
	if r.imported {
		flags |= 1
	}
	if r.fresh {
		flags |= 2
	}
	buf = append(binary.AppendVarint(buf, r.seq), flags)
	return aside.AppendTexts(aside.AppendTexts(buf, r.values...), r.hash, r.stated)
}

// unpackRow fills in what packRow keeps, in the memory of the values that were there.
func unpackRow(raw []byte, r *row) error {
	seq, n := binary.Varint(raw)
	if n <= 0 || n >= len(raw) {
		return errPacked
	}
	texts, whole := aside.Texts(string(raw[n+1:]), r.values[:0])
	last := len(texts) - 2
	if !whole || last < 0 {
		return errPacked
	}
	r.seq, r.imported, r.fresh = seq, raw[n]&1 != 0, raw[n]&2 != 0
	r.values, r.hash, r.stated = texts[:last], texts[last], texts[last+1]
	return nil
}

var errPacked = errors.New("a plan that was put aside is damaged")
