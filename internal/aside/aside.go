// Package aside keeps what is more than memory should hold in a file that nobody else
// sees, and that goes when the program does. It knows pieces of bytes; who puts them aside
// knows what they mean.
package aside

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
)

// A File keeps pieces: the last of them in memory, so that a few make no file. The zero
// File is empty. It is not safe for concurrent use.
type File struct {
	file *os.File
	name string
	end  int64  // of what was put, in the file and in buf
	buf  []byte // the last of it, not written yet

	near   []byte // what was read of the file last: pieces are mostly asked for in order
	nearAt int64  // where that begins
}

// nearBytes is how much is read at a time: some forty pieces. More would cost where they are
// asked for in no order.
const nearBytes = 16 << 10

// Put keeps what fill appends to its argument, less than 4 GiB, and tells where. Its error
// is that of the disk.
func (f *File) Put(fill func([]byte) []byte) (at int64, err error) {
	at = f.end
	start := len(f.buf)
	f.buf = fill(append(f.buf, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(f.buf[start:], uint32(len(f.buf)-start-4))
	f.end += int64(len(f.buf) - start)
	if len(f.buf) < 1<<20 {
		return at, nil
	}
	return at, f.flush()
}

func (f *File) flush() error {
	if f.file == nil {
		made, err := os.CreateTemp("", "rollbook-aside-*")
		if err != nil {
			return err
		}
		f.file, f.name = made, made.Name()
		_ = os.Remove(f.name) // Windows keeps it until Close
	}
	_, err := f.file.Write(f.buf)
	f.buf = f.buf[:0]
	return err
}

// Get reads the piece at a place, and tells where the next one begins. It is valid until
// the next call.
func (f *File) Get(at int64) (piece []byte, next int64, err error) {
	head, err := f.read(at, 4)
	if err != nil {
		return nil, at, err
	}
	n := int64(binary.LittleEndian.Uint32(head))
	piece, err = f.read(at+4, n)
	return piece, at + 4 + n, err
}

// End is where the next piece will be put.
func (f *File) End() int64 { return f.end }

// read returns n bytes from a place on, valid until the next call.
func (f *File) read(at, n int64) ([]byte, error) {
	inMemory := f.end - int64(len(f.buf))
	if at >= inMemory {
		return f.buf[at-inMemory:][:n], nil
	}
	if from := at - f.nearAt; from >= 0 && from+n <= int64(len(f.near)) {
		return f.near[from:][:n], nil
	}
	f.near = slices.Grow(f.near[:0], int(max(n, nearBytes)))[:min(max(n, nearBytes), inMemory-at)]
	f.nearAt = at
	if _, err := f.file.ReadAt(f.near, at); err != nil {
		f.near = nil
		return nil, fmt.Errorf("what was put aside cannot be read: %w", err)
	}
	return f.near[:n], nil
}

// Close forgets what was put aside.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	_ = os.Remove(f.name)
	f.file = nil
	return err
}

// AppendTexts appends texts so that Texts finds them again.
func AppendTexts(buf []byte, texts ...string) []byte {
	for _, text := range texts {
		buf = append(binary.AppendUvarint(buf, uint64(len(text))), text...)
	}
	return buf
}

// Texts appends the texts that are there, which share its memory, to out; false where it is
// damaged.
func Texts(text string, out []string) ([]string, bool) {
	for len(text) > 0 {
		length, n := uint64(text[0]), 1
		if length >= 0x80 { // else it is one byte, which most are
			var head [binary.MaxVarintLen64]byte
			length, n = binary.Uvarint(head[:copy(head[:], text)])
		}
		if n <= 0 || uint64(len(text)-n) < length {
			return nil, false
		}
		out = append(out, text[n:n+int(length)])
		text = text[n+int(length):]
	}
	return out, true
}
