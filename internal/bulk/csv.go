package bulk

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// maxRow is how many bytes a row may have.
const maxRow = 1 << 20

// maxOpen is how many quotes that are never closed are looked for in one file:
// each costs the reading of up to maxRow bytes.
const maxOpen = 200

// A rowReader splits text into rows of cells as RFC 4180 has them. Unlike
// encoding/csv it goes on after a row that is not CSV, says on which line a quote
// opens that is not closed, and holds no more than one row of maxRow bytes.
type rowReader struct {
	r    io.Reader
	sep  byte // between cells
	end  byte // of lines: \n, before which \r is dropped, or \r alone
	buf  []byte
	at   int // of the row's first byte in buf
	line int // of the row's first byte
	open int // quotes that were not closed
	err  error

	whole bool // the last line had its end
	cells []string
	cell  []byte
}

func newRowReader(r io.Reader, end byte) *rowReader {
	return &rowReader{r: r, sep: ',', end: end, line: 1, whole: true}
}

// A notCSV is why a row is not CSV. The cells before the place are right; the rows
// around it can be read.
type notCSV string

func (b notCSV) Error() string { return string(b) }

// fill reads more text behind what is held and tells whether there is more.
func (c *rowReader) fill() bool {
	if c.err != nil {
		return false
	}
	if c.at > 0 {
		c.buf = c.buf[:copy(c.buf, c.buf[c.at:])]
		c.at = 0
	}
	if len(c.buf) == cap(c.buf) {
		grown := make([]byte, len(c.buf), max(1<<16, 2*cap(c.buf)))
		copy(grown, c.buf)
		c.buf = grown
	}
	for range 100 {
		n, err := c.r.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf, c.err = c.buf[:len(c.buf)+n], err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	c.err = io.ErrNoProgress
	return false
}

// byteAt is the n-th byte of the row; false at the end of the text.
func (c *rowReader) byteAt(n int) (byte, bool) {
	for c.at+n >= len(c.buf) {
		if !c.fill() {
			return 0, false
		}
	}
	return c.buf[c.at+n], true
}

// next returns the line that a row begins on and its cells, which hold until the
// next call. A notCSV is that row's alone; io.EOF ends the text.
func (c *rowReader) next() (line int, cells []string, err error) {
	line = c.line
	if _, more := c.byteAt(0); !more {
		if c.err == io.EOF {
			return line, nil, io.EOF
		}
		return line, nil, c.err
	}
	c.cells = c.cells[:0]
	n := 0
	for {
		var done bool
		var opened int
		n, opened, done, err = c.one(n)
		if c.err != nil && c.err != io.EOF {
			return line, nil, c.err
		}
		if bad, is := err.(notCSV); is {
			if len(c.cells) == 0 { // so that it can be told whose row it is
				for _, cell := range strings.Split(c.peek(), string(c.sep)) {
					c.cells = append(c.cells, strings.Trim(cell, "\"\r"))
				}
			}
			if opened >= 0 { // the line of the quote alone is wrong, not what it swallowed
				line = c.line + bytes.Count(c.buf[c.at:c.at+opened], []byte{c.end})
				c.skip(opened)
				if c.open++; c.open > maxOpen {
					return line, nil, fmt.Errorf("%d quotes are not closed: the file is not read further",
						c.open)
				}
			} else {
				c.skip(n)
			}
			return line, c.cells, bad
		}
		if done {
			c.take(n)
			return line, c.cells, nil
		}
	}
}

// peek is the line that comes next, or the beginning of a long one.
func (c *rowReader) peek() string {
	for {
		text := c.buf[c.at:]
		if i := bytes.IndexByte(text, c.end); i >= 0 {
			return string(text[:i])
		}
		if len(text) > 1<<16 || !c.fill() {
			return string(c.buf[c.at:])
		}
	}
}

// take steps over n bytes.
func (c *rowReader) take(n int) {
	c.line += bytes.Count(c.buf[c.at:c.at+n], []byte{c.end})
	c.at += n
}

// skip steps over n bytes and what is left of their line, however long.
func (c *rowReader) skip(n int) {
	c.take(n)
	for {
		if i := bytes.IndexByte(c.buf[c.at:], c.end); i >= 0 {
			c.take(i + 1)
			return
		}
		c.at = len(c.buf)
		if !c.fill() {
			return
		}
	}
}

// one reads a cell that begins n bytes into the row and returns where the next
// one begins; done after the last. With an error, opened is where the quote stands
// that is to blame, or -1.
func (c *rowReader) one(n int) (next, opened int, done bool, err error) {
	start := n
	b, more := c.byteAt(n)
	for more && b == ' ' { // before a quote
		n++
		b, more = c.byteAt(n)
	}
	if more && b == '"' {
		return c.quoted(n)
	}
	for {
		if n > maxRow {
			return n, -1, false, notCSV("the row is longer than 1 MiB: correct its line ends")
		}
		rest := c.buf[c.at+n:]
		i := 0
		for i < len(rest) && rest[i] != c.sep && rest[i] != c.end && rest[i] != '"' {
			i++
		}
		n += i
		if i < len(rest) && rest[i] == '"' {
			return n, -1, false, notCSV(`a quote stands inside a cell that does not begin with one: ` +
				`put the cell in quotes and double those inside it, as in "Ann ""Annie"""`)
		}
		if i < len(rest) {
			text := c.buf[c.at+start : c.at+n]
			done = rest[i] == c.end
			if done && c.end == '\n' {
				text = bytes.TrimSuffix(text, []byte{'\r'})
			}
			c.add(text)
			return n + 1, -1, done, nil
		}
		if !c.fill() {
			c.whole = false
			c.add(bytes.TrimSuffix(c.buf[c.at+start:c.at+n], []byte{'\r'}))
			return n, -1, true, nil
		}
	}
}

// add appends a cell. Many are as in the row before, whose text is taken then.
func (c *rowReader) add(cell []byte) {
	n := len(c.cells)
	if n < cap(c.cells) && c.cells[:n+1][n] == string(cell) {
		c.cells = c.cells[:n+1]
		return
	}
	c.cells = append(c.cells, string(cell))
}

func (c *rowReader) quoted(n int) (next, opened int, done bool, err error) {
	opened = n
	n++
	c.cell = c.cell[:0]
	for {
		b, more := c.byteAt(n)
		switch {
		case !more:
			return n, opened, false, notCSV("a quote opens on this line and is not closed before the end " +
				"of the file: close it")
		case n > maxRow:
			return n, opened, false, notCSV("a quote opens on this line and is not closed within 1 " +
				"MiB: close it")
		case b != '"':
			c.cell = append(c.cell, b)
			n++
			continue
		}
		n++
		b, more = c.byteAt(n)
		if more && b == '"' {
			c.cell = append(c.cell, '"')
			n++
			continue
		}
		for more && b == ' ' {
			n++
			b, more = c.byteAt(n)
		}
		if more && b == '\r' && c.end == '\n' {
			if after, ok := c.byteAt(n + 1); !ok || after == '\n' {
				n++
				b, more = c.byteAt(n)
			}
		}
		if more && b != c.sep && b != c.end {
			return n, opened, false, notCSV("the quote that opens on this line ends before something that " +
				"is no separator: " +
				"close it, and double the quotes inside the cell")
		}
		c.add(c.cell)
		if !more {
			c.whole = false
			return n, -1, true, nil
		}
		return n + 1, -1, b == c.end, nil
	}
}
