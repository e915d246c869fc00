package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// An aside holds the rows that a plan is to write, in a file that goes when the plan
// does: a first import of a large district is more than memory should hold.
type aside struct {
	file *os.File
	name string
	end  int64  // of what was put, in the file and in buf
	buf  []byte // the last of it, not written yet
}

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
	var raw []byte
	if inMemory := a.end - int64(len(a.buf)); at >= inMemory {
		raw = a.buf[at-inMemory:]
		raw = raw[4 : 4+binary.LittleEndian.Uint32(raw)]
	} else {
		var head [512]byte // most rows are shorter
		n, err := a.file.ReadAt(head[:min(512, inMemory-at)], at)
		if n < 4 {
			return nil, fmt.Errorf("a plan that was put aside cannot be read: %w", err)
		}
		raw = make([]byte, binary.LittleEndian.Uint32(head[:]))
		if have := copy(raw, head[4:n]); have < len(raw) {
			if _, err := a.file.ReadAt(raw[have:], at+4+int64(have)); err != nil {
				return nil, fmt.Errorf("a plan that was put aside cannot be read: %w", err)
			}
		}
	}
	return unpackRow(raw)
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
