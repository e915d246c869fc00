package bulk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"rollbook/internal/oneroster"
)

// text decodes a file: UTF-8 with or without a byte order mark, else, said
// aloud, Windows-1252.
func (p *Package) text(f *file) (io.ReadCloser, error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	whole, err := valid(r)
	_ = r.Close()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if r, err = f.open(); err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(r, 1<<16)
	if mark, _ := buffered.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = buffered.Discard(3)
	}
	var text io.Reader = buffered
	if !whole {
		note := f.name + " is not UTF-8 and was read as Windows-1252: save it as UTF-8"
		if !contains(p.Notes, note) {
			p.Notes = append(p.Notes, note)
		}
		text = charmap.Windows1252.NewDecoder().Reader(buffered)
	}
	return struct {
		io.Reader
		io.Closer
	}{text, r}, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// valid tells whether a stream is UTF-8 throughout.
func valid(r io.Reader) (bool, error) {
	buf := make([]byte, 1<<16)
	kept := 0 // bytes of a character that goes on in the next read
	for {
		n, err := r.Read(buf[kept:])
		text := buf[:kept+n]
		cut := len(text)
		for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
			if c := text[len(text)-back]; utf8.RuneStart(c) {
				if !utf8.FullRune(text[len(text)-back:]) {
					cut = len(text) - back
				}
				break
			}
		}
		if err == io.EOF {
			return utf8.Valid(text), nil
		}
		if err != nil || !utf8.Valid(text[:cut]) {
			return false, err
		}
		kept = copy(buf, text[cut:])
	}
}

// rows reads a file: the header once, then each row with its line. A row that
// is not CSV is told and ends the file.
func (p *Package) rows(f *file, header func([]string) error, row func(line int, cells []string) error) error {
	if f.made != nil {
		return f.made.rows(header, row)
	}
	r, err := p.text(f)
	if err != nil {
		return err
	}
	defer r.Close()
	c := csv.NewReader(r)
	c.ReuseRecord, c.FieldsPerRecord = true, -1
	first := true
	for {
		cells, err := c.Read()
		if err == io.EOF {
			if first {
				return fmt.Errorf("%s is empty: it has not even a header; leave the file out", f.name)
			}
			return nil
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return fmt.Errorf("%s:%d: %v: correct the quotes of this row", f.name, bad.StartLine, bad.Err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if first {
			first = false
			if err := header(cells); err != nil {
				return err
			}
			continue
		}
		line, _ := c.FieldPos(0)
		if err := row(line, cells); err != nil {
			return err
		}
	}
}

func readManifest(f *file) (map[string]string, error) {
	if f == nil {
		return nil, nil
	}
	out := map[string]string{}
	err := (&Package{}).rows(f, func([]string) error { return nil }, func(_ int, cells []string) error {
		if len(cells) >= 2 {
			out[strings.TrimSpace(cells[0])] = strings.TrimSpace(cells[1])
		}
		return nil
	})
	if v := out["oneroster.version"]; err == nil && v != "" && v != "1.1" && v != "1.0" {
		return nil, fmt.Errorf("manifest.csv: oneroster.version is %q; this program reads 1.1", v)
	}
	return out, err
}

// older are column names of OneRoster 1.0.
var older = map[string]string{"termSourcedId": "termSourcedIds", "userId": "userIds", "agents": "agentSourcedIds", "schoolYearId": "schoolYearSourcedId", "birthdate": "birthDate"}

// A layout says which column of a file fills which field.
type layout struct {
	resource *oneroster.Resource
	at       []int    // column to field position; -1 is not read
	names    []string // column names, for problems
	metadata []string // column to metadata key
}

func newLayout(f *file, r *oneroster.Resource, header []string) (*layout, error) {
	byColumn := map[string]int{"dateLastModified": oneroster.Modified}
	for i := range r.Fields {
		if col := r.Fields[i].Column(); col != "" {
			byColumn[col] = i
		}
	}
	l := &layout{resource: r, at: make([]int, len(header)), names: make([]string, len(header)), metadata: make([]string, len(header))}
	seen := map[string]bool{}
	for i, raw := range header {
		col := strings.TrimSpace(raw)
		if newer, ok := older[col]; ok {
			col = newer
		}
		if r.Name == "demographics" && col == "userSourcedId" {
			col = "sourcedId"
		}
		if seen[col] && col != "" {
			return nil, fmt.Errorf("%s:1: column %s is there twice: keep one", f.name, col)
		}
		seen[col] = true
		l.names[i], l.at[i] = col, -1
		if n, ok := byColumn[col]; ok {
			l.at[i] = n
		} else if key, ok := strings.CutPrefix(col, "metadata."); ok && key != "" {
			l.metadata[i] = key
		}
	}
	for i := range r.Fields {
		if col := r.Fields[i].Column(); r.Fields[i].Required && !seen[col] && col != "" {
			return nil, fmt.Errorf("%s:1: the required column %s is missing", f.name, col)
		}
	}
	return l, nil
}

// oneLine takes newlines out of a value: nothing that reads OneRoster expects them.
var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ")

// record turns a row into a record and tells what is wrong with its cells.
func (l *layout) record(cells []string, wrong func(column, value, text string)) oneroster.Record {
	rec := oneroster.NewRecord(l.resource)
	extra := map[string]any{}
	for i, cell := range cells {
		if i >= len(l.at) {
			wrong("", cell, "the row has more cells than the header: correct the commas and quotes")
			break
		}
		cell = strings.TrimSpace(oneLine.Replace(cell))
		if cell == "" {
			continue
		}
		if l.metadata[i] != "" {
			extra[l.metadata[i]] = cell
			continue
		}
		if l.at[i] < 0 {
			continue
		}
		f := &l.resource.Fields[l.at[i]]
		if known := known[l.resource.Name+"."+f.Name]; known != nil {
			ours, original := nearest(known, cell)
			if original != "" {
				extra["original."+f.Name] = original
			}
			cell = ours
		}
		v, err := parseCell(f, cell)
		if err != nil {
			wrong(l.names[i], cell, err.Error())
			continue
		}
		rec.Values[l.at[i]] = v
	}
	rec.Values[l.resource.MetadataIndex()] = oneroster.MetadataOf(extra)
	return rec
}

// parseCell reads a cell.
func parseCell(f *oneroster.Field, cell string) (string, error) {
	if f.Name == "status" && strings.EqualFold(cell, "inactive") { // OneRoster 1.0
		return oneroster.ToBeDeleted, nil
	}
	if !f.Kind.IsList() {
		return f.Parse(cell)
	}
	var items []string
	for _, item := range strings.Split(cell, ",") {
		item = strings.TrimSpace(item)
		if f.Kind == oneroster.UserIDs {
			typ, id, ok := strings.Cut(strings.Trim(item, "{}"), ":")
			if !ok {
				return "", fmt.Errorf("%q is not {type:id}", item)
			}
			items = append(items, typ+oneroster.PartSep+id)
			continue
		}
		v, err := f.Parse(item)
		if err != nil {
			return "", err
		}
		items = append(items, v)
	}
	return oneroster.Join(items...), nil
}

// each reads the rows of every file in the order of the resources.
func (p *Package) each(ctx context.Context, wrong func(at place, column, value, text string), yield func(oneroster.Row) error) error {
	if err := p.readLinks(); err != nil {
		return err
	}
	for _, r := range oneroster.Resources() {
		f := p.files[r]
		if f == nil {
			continue
		}
		var l *layout
		at := r.Index("resources")
		err := p.rows(f, func(header []string) (err error) { l, err = newLayout(f, r, header); return err }, func(line int, cells []string) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			from := f.place(line)
			row := oneroster.Row{File: from.file, Line: from.line}
			row.Record = l.record(cells, func(column, value, text string) { wrong(from, column, value, text) })
			if at >= 0 {
				p.link(&row, at, f.mode)
			}
			return yield(row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// linked is what a link file says of one class or course.
type linked struct {
	line       int // of its first row
	came, gone []string
}

// link gives a class or course its resources. A bulk file has all of them; in a
// delta each row of the link file is one that came or went.
func (p *Package) link(row *oneroster.Row, at int, mode oneroster.Mode) {
	links := p.resources[row.Resource][row.ID()]
	if p.links[row.Resource] == nil || mode == oneroster.Delta {
		row.Keep = []int{at}
	}
	switch {
	case links == nil:
	case mode == oneroster.Delta:
		row.Edits = []oneroster.Edit{{Field: at, Gone: links.gone, Came: links.came}}
	default:
		row.Values[at] = oneroster.Join(links.came...)
	}
}

// readLinks reads classResources and courseResources, once.
func (p *Package) readLinks() error {
	if p.resources != nil {
		return nil
	}
	p.resources = map[*oneroster.Resource]map[string]*linked{}
	for r, f := range p.links {
		out := map[string]*linked{}
		owner, target, status := -1, -1, -1
		err := p.rows(f, func(header []string) error {
			for i, col := range header {
				switch strings.TrimSpace(col) {
				case r.Name + "SourcedId":
					owner = i
				case "resourceSourcedId":
					target = i
				case "status":
					status = i
				}
			}
			if owner < 0 || target < 0 {
				return fmt.Errorf("%s:1: the columns %sSourcedId and resourceSourcedId are required", f.name, r.Name)
			}
			if status < 0 && f.mode == oneroster.Delta {
				return fmt.Errorf("%s:1: the column status is required in a delta file", f.name)
			}
			return nil
		}, func(line int, cells []string) error {
			if owner >= len(cells) || target >= len(cells) {
				return nil
			}
			id, to := strings.TrimSpace(cells[owner]), strings.TrimSpace(cells[target])
			if out[id] == nil {
				out[id] = &linked{line: line}
			}
			if f.mode == oneroster.Delta {
				gone, err := isGone(cells, status)
				if err != nil {
					return fmt.Errorf("%s:%d: status: %w", f.name, line, err)
				}
				if gone {
					out[id].gone = append(out[id].gone, to)
					return nil
				}
			}
			out[id].came = append(out[id].came, to)
			return nil
		})
		if err != nil {
			return err
		}
		p.resources[r] = out
	}
	return nil
}

// isGone reads the status of a row of a delta's link file.
func isGone(cells []string, status int) (bool, error) {
	text := ""
	if status < len(cells) {
		text = strings.TrimSpace(cells[status])
	}
	if text == "" {
		return false, errors.New("is empty in a delta file: write active or tobedeleted")
	}
	value, err := parseCell(&oneroster.Field{Name: "status", Kind: oneroster.Enum, Enum: []string{oneroster.Active, oneroster.ToBeDeleted}}, text)
	return value == oneroster.ToBeDeleted, err
}
