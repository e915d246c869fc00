package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxRow bounds one row of a file, in bytes.
const maxRow = 1 << 20

// A notCSV is a row whose quotes do not match. The rows around it can be read.
type notCSV struct{ text string }

func (e *notCSV) Error() string { return e.text }

// A rowReader reads CSV (RFC 4180) row by row. Lines end with CR LF, LF or CR. A row
// with wrong quotes is told as such, and reading goes on with the next line.
type rowReader struct {
	r     *bufio.Reader
	comma byte
	line  int      // of the last line read, 1 is the first
	ahead [][]byte // lines that were read and given back
	whole bool     // the last line had its end
	raw   string   // the first line of the row
	cells []string
}

func newRowReader(r io.Reader) *rowReader {
	return &rowReader{r: bufio.NewReaderSize(r, 1<<16), comma: ',', whole: true}
}

// readLine returns the next line without its end; io.EOF behind the last.
func (c *rowReader) readLine() ([]byte, error) {
	if len(c.ahead) > 0 {
		line := c.ahead[0]
		c.ahead = c.ahead[1:]
		c.line++
		return line, nil
	}
	var line []byte
	for {
		part, err := c.r.Peek(max(1, c.r.Buffered()))
		if len(part) == 0 {
			if err == io.EOF && len(line) > 0 {
				c.whole = false
				c.line++
				return line, nil
			}
			return nil, err
		}
		end := bytes.IndexAny(part, "\r\n")
		if end < 0 {
			line = append(line, part...)
			_, _ = c.r.Discard(len(part))
			if len(line) > maxRow {
				return nil, fmt.Errorf("line %d is longer than %d bytes: this is no file of rows", c.line+1, maxRow)
			}
			continue
		}
		line = append(line, part[:end]...)
		cr := part[end] == '\r'
		_, _ = c.r.Discard(end + 1)
		if next, err := c.r.Peek(1); cr && err == nil && next[0] == '\n' {
			_, _ = c.r.Discard(1)
		}
		c.line++
		c.whole = true
		return line, nil
	}
}

// read returns the cells of the next row, valid until the next call, and the line
// that it begins on. A blank line is a row of one empty cell.
func (c *rowReader) read() (cells []string, line int, err error) {
	text, err := c.readLine()
	if err != nil {
		return nil, 0, err
	}
	line = c.line
	c.raw = string(text)
	var more [][]byte // the further lines of the row
	for {
		open, bad := c.split(string(text))
		if bad == "" && !open {
			return c.cells, line, nil
		}
		if open {
			next, err := c.readLine()
			switch {
			case err == nil && len(text)+len(next) <= maxRow:
				more = append(more, next)
				text = append(append(text[:len(text):len(text)], '\n'), next...)
				continue
			case err == nil:
				more = append(more, next)
				bad = fmt.Sprintf("a quote opens in this row and is not closed within %d bytes", maxRow)
			case errors.Is(err, io.EOF):
				bad = "a quote opens in this row and is not closed up to the end of the file"
			default:
				return nil, line, err
			}
		}
		// The lines behind are rows of their own.
		c.ahead = append(more, c.ahead...)
		c.line = line
		c.lenient(c.raw)
		return c.cells, line, &notCSV{bad + `: put a value that holds quotes in quotes, and write each quote inside it twice`}
	}
}

// split cuts a row at its separators; open tells that a quoted cell goes on, bad
// what is wrong with the quotes.
func (c *rowReader) split(text string) (open bool, bad string) {
	c.cells = c.cells[:0]
	for {
		if text == "" || text[0] != '"' {
			cell, rest, more := strings.Cut(text, string(c.comma))
			if strings.IndexByte(cell, '"') >= 0 {
				bad = "a quote stands inside a value that is not in quotes"
			}
			c.cells = append(c.cells, cell)
			if !more {
				return false, bad
			}
			text = rest
			continue
		}
		at, twice := 1, false
		for {
			end := strings.IndexByte(text[at:], '"')
			if end < 0 {
				return true, ""
			}
			at += end + 1
			if at < len(text) && text[at] == '"' {
				at++
				twice = true
				continue
			}
			break
		}
		cell := text[1 : at-1]
		if twice {
			cell = strings.ReplaceAll(cell, `""`, `"`)
		}
		c.cells = append(c.cells, cell)
		rest := strings.TrimLeft(text[at:], " ")
		if rest == "" {
			return false, bad
		}
		if rest[0] != c.comma {
			return false, "text follows behind the quote that closes a value"
		}
		text = rest[1:]
	}
}

// lenient cuts a row that is not CSV, so that it can be told whose it is.
func (c *rowReader) lenient(text string) {
	c.cells = c.cells[:0]
	for _, cell := range strings.Split(text, string(c.comma)) {
		c.cells = append(c.cells, strings.Trim(cell, `"`))
	}
}
