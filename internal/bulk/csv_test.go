package bulk

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// readers hand a text out in pieces.
var readers = map[string]func(io.Reader) io.Reader{
	"whole":        func(r io.Reader) io.Reader { return r },
	"byte by byte": iotest.OneByteReader,
	"in halves":    iotest.HalfReader,
	"with its end": iotest.DataErrReader,
}

// A csvRow is what a reader tells of one.
type csvRow struct {
	line  int
	cells []string
	wrong string
}

// rowsOf reads a text to its end.
func rowsOf(t *testing.T, r io.Reader, sep, end byte) (rows []csvRow, whole bool) {
	t.Helper()
	c := newRowReader(r, end)
	c.sep = sep
	for {
		line, cells, err := c.next()
		var bad notCSV
		switch {
		case err == io.EOF:
			return rows, c.whole
		case errors.As(err, &bad):
			rows = append(rows, csvRow{line, append([]string{}, cells...), bad.Error()})
		case err != nil:
			t.Fatal(err)
		default:
			rows = append(rows, csvRow{line, append([]string{}, cells...), ""})
		}
	}
}

// Rows that were written by the rules are read as they were, however their text comes: cells
// with and without quotes, blanks before and after those, ends of lines and empty lines.
func TestRowsAreReadAsTheyWereWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	for range 2000 {
		sep, end := pick(",", ";", "\t"), pick("\n", "\r\n", "\r")
		var want []csvRow
		var text strings.Builder
		line, last := 1, rng.IntN(2) == 0
		n := 1 + rng.IntN(4)
		for i := range n {
			row := csvRow{line: line}
			for j := range 1 + rng.IntN(4) {
				if j > 0 {
					text.WriteString(sep)
				}
				cell := ""
				for range rng.IntN(4) {
					cell += pick("a", "ü", " ", ",", ";", "\t", `"`, "\n", "\r\n", "b")
				}
				if strings.ContainsAny(cell, "\",;\t\r\n") || rng.IntN(3) == 0 {
					text.WriteString(pick("", " ", "  ") + `"` + strings.ReplaceAll(cell, `"`, `""`) + `"` +
						pick("", " ", "  "))
				} else {
					text.WriteString(cell)
				}
				row.cells = append(row.cells, cell)
				line += strings.Count(cell, end[len(end)-1:])
			}
			want = append(want, row)
			if i < n-1 || last {
				text.WriteString(end)
				line++
			}
		}
		if !last && text.Len() > 0 && strings.HasSuffix(text.String(), end) || text.Len() == 0 ||
			!last && reflect.DeepEqual(want[n-1].cells, []string{""}) {
			continue // a last row of nothing is none
		}
		for how, of := range readers {
			got, whole := rowsOf(t, of(strings.NewReader(text.String())), sep[0], end[len(end)-1])
			if !reflect.DeepEqual(got, want) || whole != last {
				t.Fatalf("%q, %s: %v, whole is %v\nnot %v, %v", text.String(), how, got, whole, want, last)
			}
		}
	}
}

// A row that is not CSV is told with its line, and those around it are read.
func TestRowsThatAreNotCSV(t *testing.T) {
	inside, after, open := "a quote stands inside a cell", "the quote that opens on this line ends",
		"a quote opens on this line and is not closed before the end"
	for _, c := range []struct {
		text string
		want []csvRow
	}{
		{"a,b\nc,d\"e\nf,g\n", []csvRow{{1, []string{"a", "b"}, ""}, {2, []string{"c"}, inside},
			{3, []string{"f", "g"}, ""}}},
		{"a\"b,c\nd\n", []csvRow{{1, []string{"a\"b", "c"}, inside}, {2, []string{"d"}, ""}}},
		{"a,\"b\"c,d\r\ne\r\n", []csvRow{{1, []string{"a"}, after}, {2, []string{"e"}, ""}}},
		{"a,\"b\"\rc\nd\n", []csvRow{{1, []string{"a"}, after}, {2, []string{"d"}, ""}}},
		{"a,\"b\nc,d\n", []csvRow{{1, []string{"a"}, open}, {2, []string{"c", "d"}, ""}}},
		{"\"a\nb\",\"c\nd\n", []csvRow{{2, []string{"a\nb"}, open}, {3, []string{"d"}, ""}}},
		{"a,\"b\"\n\nc\n", []csvRow{{1, []string{"a", "b"}, ""}, {2, []string{""}, ""}, {3, []string{"c"}, ""}}},
		{strings.Repeat("a", 4*maxRow) + "\nb\n", []csvRow{{1, []string{strings.Repeat("a", 4*maxRow)},
			"the row is longer"}, {2, []string{"b"}, ""}}},
		{"a,\"" + strings.Repeat("b", 4*maxRow) + "\nc\n", []csvRow{{1, []string{"a"},
			"a quote opens on this line and is not closed within"}, {2, []string{"c"}, ""}}},
	} {
		for how, of := range readers {
			if len(c.text) > maxRow && how != "whole" {
				continue
			}
			got, _ := rowsOf(t, of(strings.NewReader(c.text)), ',', '\n')
			same := len(got) == len(c.want)
			for i := 0; same && i < len(got); i++ {
				same = got[i].line == c.want[i].line && strings.HasPrefix(got[i].wrong, c.want[i].wrong) &&
					(got[i].wrong == "") == (c.want[i].wrong == "") &&
					strings.HasPrefix(strings.Join(c.want[i].cells, "|"), strings.Join(got[i].cells, "|"))
			}
			if !same {
				t.Errorf("%.40q, %s: %.300s", c.text, how, fmt.Sprint(got))
			}
		}
	}
}

// A reader that fails ends the rows with its error, and one that gives nothing is not asked
// for ever.
func TestRowsOfABrokenReader(t *testing.T) {
	broken := errors.New("broken")
	for want, r := range map[error]io.Reader{
		broken:           io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)),
		io.ErrNoProgress: io.MultiReader(strings.NewReader("a\nb"), nothing{}),
	} {
		c := newRowReader(r, '\n')
		if _, cells, err := c.next(); err != nil || len(cells) != 1 || cells[0] != "a" {
			t.Errorf("%q, %v", cells, err)
		}
		if _, _, err := c.next(); !errors.Is(err, want) {
			t.Errorf("%v, not %v", err, want)
		}
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }
