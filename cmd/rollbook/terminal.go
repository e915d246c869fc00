package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/mattn/go-isatty"
	"golang.org/x/term"
)

// A grid is a table that fits the terminal it is printed on: the widest columns are
// wrapped.
type grid struct {
	table.Writer
	out    io.Writer
	widths []int
}

func newTable(out io.Writer) *grid {
	g := &grid{Writer: table.NewWriter(), out: out}
	g.SetOutputMirror(out)
	return g
}

func (g *grid) AppendHeader(row table.Row, config ...table.RowConfig) {
	g.measure(row)
	g.Writer.AppendHeader(row, config...)
}

func (g *grid) AppendRow(row table.Row, config ...table.RowConfig) {
	for i, cell := range row {
		if text, ok := cell.(string); ok && !strings.Contains(text, "\n") {
			row[i] = plainly(text)
		}
	}
	g.measure(row)
	g.Writer.AppendRow(row, config...)
}

func (g *grid) AppendRows(rows []table.Row, config ...table.RowConfig) {
	for _, row := range rows {
		g.AppendRow(row, config...)
	}
}

func (g *grid) measure(row table.Row) {
	for len(g.widths) < len(row) {
		g.widths = append(g.widths, 0)
	}
	for i, cell := range row {
		g.widths[i] = max(g.widths[i], text.LongestLineLen(fmt.Sprint(cell)))
	}
}

// narrowest is what a column is wrapped to at least.
const narrowest = 6

func (g *grid) Render() string {
	if width := terminalWidth(g.out); width > 0 {
		g.fit(width)
	}
	return g.Writer.Render()
}

// terminalWidth is how wide the terminal is that is written to, 0 where it is none.
func terminalWidth(out io.Writer) int {
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// fit takes from the widest columns what is too much.
func (g *grid) fit(width int) {
	over := 1 + 3*len(g.widths) - width
	for _, w := range g.widths {
		over += w
	}
	for ; over > 0; over-- {
		widest := 0
		for i, w := range g.widths {
			if w > g.widths[widest] {
				widest = i
			}
		}
		if g.widths[widest] <= narrowest {
			break
		}
		g.widths[widest]--
	}
	var columns []table.ColumnConfig
	for i, w := range g.widths {
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: w,
			WidthMaxEnforcer: text.WrapSoft})
	}
	g.SetColumnConfigs(columns)
}

// newLog writes lines for a person on a terminal, and JSON for a program.
func newLog(w *os.File) *slog.Logger {
	if isatty.IsTerminal(w.Fd()) {
		return slog.New(&lines{w: w})
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

// lines tells what happens in lines that a person reads: the time, what it is, and
// what is known of it. What is empty is left out.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *lines) WithGroup(string) slog.Handler                    { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Time.Format("15:04:05 "))
	if r.Level != slog.LevelInfo {
		b.WriteString(r.Level.String() + " ")
	}
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		switch v := a.Value.String(); {
		case v == "" || v == "false" || v == "0" && a.Key != "status":
		case strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c == '"' || c == 0x7f }):
			fmt.Fprintf(&b, " %s=%q", a.Key, v)
		default:
			fmt.Fprintf(&b, " %s=%s", a.Key, v)
		}
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.w, b.String()+"\n")
	return err
}
