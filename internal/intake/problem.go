package intake

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"rollbook/internal/words"
)

// A Problem is one thing wrong with a row, or one line for all that follows from
// such things.
type Problem struct {
	File   string `json:"file"`
	Row    int    `json:"row"` // line of the file; the header is 1
	Column string `json:"column"`
	Value  string `json:"value"`
	Text   string `json:"text"` // what is wrong, and what to do
	// Value alone: the row can be used without it, and what is stored of it stays.
	Mild bool `json:"mild"`
	// Lack: it refers to what another file lacks. Many of them are one line of Problems.Lacks.
	Lack bool `json:"lack,omitempty"`
}

func (p Problem) String() string {
	if p.Column == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Row, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Row, p.Column, p.Text)
}

// Problems are the first that were found in each column of a file, and how many there are in
// all.
type Problems struct {
	List  []Problem `json:"problems"`
	Total int       `json:"total"`
	Lacks []Lack    `json:"lacks,omitempty"`
}

// WriteCSV writes the problems as a CSV file with a header, safe to open in a
// spreadsheet: a cell that it would take for a formula begins with an apostrophe.
func (p Problems) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"file", "row", "column", "value", "problem"}}
	for _, x := range p.List {
		rows = append(rows, []string{words.Cell(x.File), strconv.Itoa(x.Row), words.Cell(x.Column),
			words.Cell(x.Value), words.Cell(x.Text)})
	}
	return c.WriteAll(rows)
}
