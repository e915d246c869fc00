package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
)

// An aside holds the rows that a plan is to write, in a file that goes when the plan
// does: a first import of a large district is more than memory should hold.
type aside struct {
	file *os.File
	name string
	end  int64  // of what was put, in the file and in buf
	buf  []byte // the last of it, not written yet

	near   []byte // what was read of the file last: rows are mostly asked for in order
	nearAt int64  // where that begins
}

// nearBytes is how much is read at a time: some forty rows. More would cost where rows
// are asked for in no order.
const nearBytes = 16 << 10

// put keeps a row, and tells where.
func (a *aside) put(r *row) (at int64, err error) {
	at = a.end
	start := len(a.buf)
	a.buf = append(a.buf, 0, 0, 0, 0)
	flags := byte(0)
	if r.imported {
		flags |= 1
	}
	if r.fresh {
		flags |= 2
	}
	a.buf = append(binary.AppendVarint(a.buf, r.seq), flags)
	for _, text := range append([]string{r.hash, r.stated}, r.values...) {
		a.buf = append(binary.AppendUvarint(a.buf, uint64(len(text))), text...)
	}
	binary.LittleEndian.PutUint32(a.buf[start:], uint32(len(a.buf)-start-4))
	a.end += int64(len(a.buf) - start)
	if len(a.buf) < 1<<20 {
		return at, nil
	}
	return at, a.flush()
}

func (a *aside) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	if a.file == nil {
		f, err := os.CreateTemp("", "rollbook-plan-*")
		if err != nil {
			return fmt.Errorf("a plan cannot be put aside: %w", err)
		}
		a.file, a.name = f, f.Name()
		_ = os.Remove(a.name) // Windows keeps it until close
	}
	if _, err := a.file.Write(a.buf); err != nil {
		return fmt.Errorf("a plan cannot be put aside: %w", err)
	}
	a.buf = a.buf[:0]
	return nil
}

// get reads the row at a place.
func (a *aside) get(at int64) (*row, error) {
	head, err := a.read(at, 4)
	if err != nil {
		return nil, err
	}
	raw, err := a.read(at+4, int64(binary.LittleEndian.Uint32(head)))
	if err != nil {
		return nil, err
	}
	return unpackRow(raw)
}

// read returns n bytes from a place on, valid until the next call.
func (a *aside) read(at, n int64) ([]byte, error) {
	inMemory := a.end - int64(len(a.buf))
	if at >= inMemory {
		return a.buf[at-inMemory:][:n], nil
	}
	if from := at - a.nearAt; from >= 0 && from+n <= int64(len(a.near)) {
		return a.near[from:][:n], nil
	}
	a.near = slices.Grow(a.near[:0], int(max(n, nearBytes)))[:min(max(n, nearBytes), inMemory-at)]
	a.nearAt = at
	if _, err := a.file.ReadAt(a.near, at); err != nil {
		a.near = nil
		return nil, fmt.Errorf("a plan that was put aside cannot be read: %w", err)
	}
	return a.near[:n], nil
}

func unpackRow(raw []byte) (*row, error) {
	r := &row{}
	seq, n := binary.Varint(raw)
	if n <= 0 || n >= len(raw) {
		return nil, errors.New("a plan that was put aside is damaged")
	}
	r.seq, r.imported, r.fresh = seq, raw[n]&1 != 0, raw[n]&2 != 0
	text := string(raw[n+1:]) // the values share it
	for len(text) > 0 {
		length, n := uvarint(text)
		if n <= 0 || uint64(len(text)-n) < length {
			return nil, errors.New("a plan that was put aside is damaged")
		}
		r.values = append(r.values, text[n:n+int(length)])
		text = text[n+int(length):]
	}
	r.hash, r.stated, r.values = r.values[0], r.values[1], r.values[2:]
	return r, nil
}

func uvarint(text string) (uint64, int) {
	var head [binary.MaxVarintLen64]byte
	return binary.Uvarint(head[:copy(head[:], text)])
}

func (a *aside) close() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	_ = os.Remove(a.name)
	a.file = nil
	return err
}
