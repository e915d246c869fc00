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
	at, err = p.aside.Put(func(buf []byte) []byte { return packRow(buf, r) })
	if err != nil {
		err = fmt.Errorf("a plan cannot be put aside: %w", err)
	}
	return at, err
}

// planned reads a row that was put aside, with a time to stand for its own.
func (p *Plan) planned(at int64) (*row, error) {
	raw, _, err := p.aside.Get(at)
	if err != nil {
		return nil, err
	}
	r, err := unpackRow(raw)
	if err == nil {
		r.values[oneroster.Modified] = p.stamp
	}
	return r, err
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
	return aside.AppendTexts(aside.AppendTexts(buf, r.hash, r.stated), r.values...)
}

func unpackRow(raw []byte) (*row, error) {
	seq, n := binary.Varint(raw)
	if n <= 0 || n >= len(raw) {
		return nil, errPacked
	}
	r := &row{seq: seq, imported: raw[n]&1 != 0, fresh: raw[n]&2 != 0}
	texts, whole := aside.Texts(string(raw[n+1:]), make([]string, 0, 24))
	if !whole || len(texts) < 2 {
		return nil, errPacked
	}
	r.hash, r.stated, r.values = texts[0], texts[1], texts[2:]
	return r, nil
}

var errPacked = errors.New("a plan that was put aside is damaged")
