package edition

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// blockRows is how many records are compressed together: every usual page is made of
// whole blocks.
const blockRows = 100

// A budget is what may be held in memory of one kind.
type budget struct {
	held atomic.Int64
	most int64
}

// take tells whether there is room for so many bytes more; give gives them back.
func (b *budget) take(bytes int) bool {
	if b.held.Add(int64(bytes)) <= b.most {
		return true
	}
	b.give(bytes)
	return false
}

func (b *budget) give(bytes int) { b.held.Add(-int64(bytes)) }

// A block is some records, deflated up to a byte's end, so that blocks in a row are one
// stream (RFC 1951).
type block struct {
	deflated []byte
	sum      uint32 // CRC-32 of the text
	shift    uint32 // multiplies the sum of what stands before
	size     int    // of the text
}

// blocks are those of a reading that somebody has asked for.
type blocks struct {
	shelf *shelf
	once  sync.Once
	kept  []atomic.Pointer[block]
	place *place
}

// block is the nth whole block of a reading; it is good as long as the reading is.
func (r *reading) block(n int) (*block, error) {
	b := &r.blocks
	b.once.Do(func() {
		b.kept, b.place = make([]atomic.Pointer[block], r.total/blockRows), &place{shelf: b.shelf}
		runtime.AddCleanup(r, (*place).leave, b.place)
	})
	if found := b.kept[n].Load(); found != nil {
		return found, nil
	}
	made, err := r.deflate(n*blockRows, (n+1)*blockRows)
	if err != nil {
		return made, err
	}
	if kept := b.place.put(made.deflated); kept != nil {
		made.deflated = kept
		b.kept[n].Store(made)
	}
	return made, nil
}

type deflater struct {
	*flate.Writer
	out bytes.Buffer
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.Writer, _ = flate.NewWriter(&d.out, 1) // only another level can be wrong
	return d
}}

// deflate compresses the records from one number on to another.
func (r *reading) deflate(from, to int) (*block, error) {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.Reset(&d.out)
	b := &block{}
	err := r.runs(from, to, func(run []byte) error {
		b.sum = crc32.Update(b.sum, crc32.IEEETable, run)
		b.size += len(run)
		_, err := d.Write(run)
		return err
	})
	if err == nil {
		err = d.Flush()
	}
	b.deflated, b.shift = bytes.Clone(d.out.Bytes()), shiftOf(b.size)
	return b, err
}

// gzip writes the records from one number on to another, between two texts, as one gzip
// member (RFC 1952).
func (r *reading) gzip(begin, end string, from, to int, write func([]byte) error) error {
	out := gather{write: write}
	sum, size := uint32(0), 0
	stored := func(last byte, text string) {
		out.room()
		out.buf = append(out.buf, last)
		out.buf = binary.LittleEndian.AppendUint16(out.buf, uint16(len(text)))
		out.buf = binary.LittleEndian.AppendUint16(out.buf, ^uint16(len(text)))
		out.buf = append(out.buf, text...)
		sum, size = crc32.Update(sum, crc32.IEEETable, []byte(text)), size+len(text)
	}
	out.text("\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff")
	stored(0, begin)
	for n := from; n < to; {
		if n > from {
			stored(0, ",")
		}
		upto := min(to, (n/blockRows+1)*blockRows)
		one := r.deflate
		if upto-n == blockRows {
			one = func(from, _ int) (*block, error) { return r.block(from / blockRows) }
		}
		b, err := one(n, upto)
		if err == nil {
			err = out.piece(b.deflated)
		}
		if err != nil {
			return err
		}
		sum, size = multiply(b.shift, sum)^b.sum, size+b.size
		n = upto
	}
	for ; len(end) > 1<<15; end = end[1<<15:] { // warnings may be long
		stored(0, end[:1<<15])
	}
	stored(1, end)
	out.buf = binary.LittleEndian.AppendUint32(out.buf, sum)
	out.buf = binary.LittleEndian.AppendUint32(out.buf, uint32(size))
	err := out.flush(0)
	runtime.KeepAlive(r)
	return err
}

// multiply multiplies two polynomials modulo that of CRC-32, the highest power last.
func multiply(a, b uint32) (product uint32) {
	for bit := uint32(1 << 31); a != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
			a &^= bit
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
	return product
}

// shiftOf is x to the power of the bits of so many bytes.
func shiftOf(bytes int) uint32 {
	power := uint32(1 << 31) // x⁰
	square := uint32(1 << 23)
	for ; bytes > 0; bytes >>= 1 {
		if bytes&1 != 0 {
			power = multiply(square, power)
		}
		square = multiply(square, square)
	}
	return power
}
