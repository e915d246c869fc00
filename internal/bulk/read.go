package bulk

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollbook/internal/oneroster"
)

// rows reads a file: the header once, then each row with its line, or with what is
// wrong with it as CSV. Rows without anything in them are left out. Files that
// are separated by semicolons or tabs, and first lines that tell spreadsheets how
// to read them, are taken for what they are, and that is said. A header that
// returns io.EOF ends the reading.
func (p *Package) rows(f *file, header func([]string) error, row func(line int, cells []string,
	bad error) error) error {
	if f.made != nil {
		return f.made.rows(header, row)
	}
	r, err := p.text(f)
	if err != nil {
		return err
	}
	defer r.Close()
	c := newRowReader(r, f.nature.end)
	p.dialect(f, c)
	width, short, shortLine := 0, 0, 0
	for {
		line, cells, err := c.next()
		bad, isBad := err.(notCSV)
		switch {
		case err == io.EOF && width == 0:
			return fmt.Errorf("%s is empty: it has not even a header; leave the file out", f.name)
		case err == io.EOF:
			if short > 0 {
				p.note(fmt.Sprintf("%s: %s shorter than the header, the first in line %d: the upload may "+
					"have been cut",
					f.name, are(short, "row"), shortLine))
			}
			if !c.whole {
				p.note(f.name + " ends without a line end: the upload may have been cut")
			}
			return nil
		case isBad && width > 0:
			if err := row(line, cells, bad); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("%s:%d: %w", f.name, max(line, 1), err)
		case !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" }):
			continue
		case width == 0:
			for width = len(cells); width > 1 && strings.TrimSpace(cells[width-1]) == ""; width-- {
			}
			if err := header(cells[:width]); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			continue
		}
		for len(cells) > width && strings.TrimSpace(cells[len(cells)-1]) == "" {
			cells = cells[:len(cells)-1]
		}
		var wrong error
		if len(cells) < width {
			if short++; short == 1 {
				shortLine = line
			}
			if !c.whole {
				wrong = notCSV("the file breaks off in this row: the upload was cut; send the file again")
			} else if sign := strings.IndexAny(cells[0], ",;\t|"); len(cells) == 1 && sign >= 0 {
				wrong = notCSV(fmt.Sprintf("this row is separated by %s and the header by %s: separate "+
					"all by commas",
					separators[cells[0][sign]], separators[c.sep]))
			}
		}
		if err := row(line, cells, wrong); err != nil {
			return err
		}
	}
}

var separators = map[byte]string{',': "commas", ';': "semicolons", '\t': "tabs", '|': "bars"}

// dialect passes over first lines that tell spreadsheets how to read a file, and
// finds what the header is separated by.
func (p *Package) dialect(f *file, c *rowReader) {
	if c.end == '\r' {
		p.note(f.name + " has the line ends of old Macs (CR) and was read so")
	}
	for {
		line := c.peek()
		text := strings.TrimRight(strings.Trim(strings.TrimRight(line, "\r"), `"`), ",")
		sep, is := strings.CutPrefix(strings.ToLower(text), "sep=")
		switch {
		case is && len(sep) <= 1 || strings.HasPrefix(text, "#TYPE "):
			p.note(fmt.Sprintf("%s: the first line, %s, is for spreadsheets and was passed over", f.name,
				text))
			c.skip(0)
			continue
		case strings.TrimSpace(text) == "" && line != "", line == "" && c.at < len(c.buf):
			c.skip(0)
			continue
		}
		for _, sign := range []byte(";\t|") {
			if !strings.Contains(line, ",") && strings.IndexByte(line, sign) > 0 {
				c.sep = sign
				p.note(f.name + " is separated by " + separators[sign] + " and was read so")
			}
		}
		return
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// are is "1 row is", "3 rows are".
func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}

// others are names of columns that are known from elsewhere: from OneRoster 1.0, from
// exports that misspell the standard's. Letter case, blanks and underscores count
// for nothing anyway.
var others = map[string]string{
	"termsourcedid": "termSourcedIds", "userid": "userIds", "agents": "agentSourcedIds",
	"agentsourcedid": "agentSourcedIds",
	"schoolyearid":   "schoolYearSourcedId", "mail": "email", "emailaddress": "email", "grade": "grades",
	"subject":     "subjects",
	"subjectcode": "subjectCodes", "period": "periods", "parent": "parentSourcedId",
	"parentid": "parentSourcedId", "sourceid": "sourcedId",
	"sourcedids": "sourcedId", "gender": "sex", "dob": "birthDate", "dateofbirth": "birthDate",
	"orgsourcedid":     "orgSourcedIds",
	"schoolsourcedids": "schoolSourcedId", "firstname": "givenName", "lastname": "familyName",
	"surname":          "familyName",
	"coursesourcedids": "courseSourcedId", "classsourcedids": "classSourcedId",
	"usersourcedids": "userSourcedId", "lineitem": "lineItemSourcedId",
	"begindate": "beginDate", "datelastmodifed": "dateLastModified", "enabled": "enabledUser",
	"telephone": "phone", "mobile": "sms",
}

// A layout says which column of a file fills which field.
type layout struct {
	resource *oneroster.Resource
	at       []int               // column to field position; -1 is not read
	names    []string            // column names as the file has them, for problems
	metadata []string            // column to metadata key
	known    []map[string]string // column to the words that it may have otherwise; nil is any
	fill     []int               // fields that OneRoster 1.0 had no column for
}

// known1p0 are required fields that OneRoster 1.0 had not.
var known1p0 = map[string]bool{"enabledUser": true, "schoolYear": true}

// A vocabulary is what the columns of a resource's file are called.
type vocabulary struct {
	resource *oneroster.Resource
	fields   map[string]int    // column to field position; -1 is not read
	folded   map[string]string // as foldColumn has it, to column
}

func vocabularyOf(r *oneroster.Resource) vocabulary {
	v := vocabulary{r, map[string]int{"dateLastModified": oneroster.Modified}, map[string]string{}}
	if r.Name == "user" {
		v.fields["password"] = -1 // never stored
	}
	for i := range r.Fields {
		if col := r.Fields[i].Column(); col != "" {
			v.fields[col] = i
		}
	}
	for col := range v.fields {
		v.folded[foldColumn(col)] = col
	}
	return v
}

// meant is the column that a name is meant as; itself where that is not known. key is that
// of metadata.
func (v vocabulary) meant(col string) (ours, key string) {
	if _, exact := v.fields[col]; exact || col == "" {
		return col, ""
	}
	key, _ = cutFold(col, "metadata.")
	switch better := v.folded[foldColumn(col)]; {
	case key != "":
		return "metadata." + key, key
	case v.resource.Name == "demographics" && foldColumn(col) == "usersourcedid":
		return "sourcedId", ""
	case better != "":
		return better, ""
	case v.folded[foldColumn(others[foldColumn(col)])] != "":
		return others[foldColumn(col)], ""
	}
	return col, ""
}

func (p *Package) newLayout(f *file, r *oneroster.Resource, header []string) (*layout, error) {
	v := vocabularyOf(r)
	l := &layout{resource: r, at: make([]int, len(header)), names: make([]string, len(header)),
		metadata: make([]string, len(header)), known: make([]map[string]string, len(header))}
	seen := map[string]string{}
	for i, raw := range header {
		col := strings.TrimSpace(raw)
		l.names[i], l.at[i] = col, -1
		ours, key := v.meant(col)
		l.metadata[i] = key
		switch _, is := v.fields[ours]; {
		case col == "" || ours == col && is:
		case is && f.made == nil:
			p.note(fmt.Sprintf("%s: the column %s was read as %s", f.name, col, ours))
		case !is && key == "":
			p.note(fmt.Sprintf("%s: the column %s is none of OneRoster 1.1 and was not read%s", f.name,
				col, didYouMean(col, v.fields)))
		}
		if before, twice := seen[ours]; twice && col != "" {
			return nil, f.twice(before, col, ours)
		}
		seen[ours] = col
		if n, ok := v.fields[ours]; ok {
			if l.at[i] = n; n >= 0 {
				l.known[i] = known[r.Name+"."+r.Fields[n].Name]
			}
		}
	}
	for i := range r.Fields {
		col := r.Fields[i].Column()
		if _, is := seen[col]; is || !r.Fields[i].Required || col == "" {
			continue
		}
		if known1p0[r.Fields[i].Name] && p.plain {
			l.fill = append(l.fill, i)
			p.note(fmt.Sprintf("%s has no column %s, as in OneRoster 1.0: it was filled in", f.name, col))
			continue
		}
		return nil, fmt.Errorf("%s:1: the required column %s is missing%s", f.name, col, found(header))
	}
	return l, nil
}

// twice refuses two columns that are both meant as ours.
func (f *file) twice(before, col, ours string) error {
	if before == col {
		return fmt.Errorf("%s:1: column %s is there twice: keep one", f.name, col)
	}
	return fmt.Errorf("%s:1: the columns %s and %s are both meant as %s: keep one", f.name, before, col, ours)
}

// found lists the columns of a file, for who looks for another.
func found(header []string) string {
	if text := strings.Join(header, ", "); len(text) < 200 {
		return " among " + text
	}
	return ""
}

// foldColumn leaves of a column's name what spellings have in common.
func foldColumn(name string) string {
	return strings.Map(func(c rune) rune {
		if c == ' ' || c == '_' || c == '-' {
			return -1
		}
		return c
	}, strings.ToLower(name))
}

func cutFold(text, prefix string) (string, bool) {
	if len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
		return text[len(prefix):], true
	}
	return "", false
}

// didYouMean names the column that comes nearest.
func didYouMean(col string, columns map[string]int) string {
	best, least := "", 3
	for name := range columns {
		if d := Distance(foldColumn(col), foldColumn(name)); d < least || d == least && name < best {
			best, least = name, d
		}
	}
	if best == "" || least > 2 {
		return ""
	}
	return ": did you mean " + best + "?"
}

// Distance counts the letters to change, add or leave out to make b of a.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// record turns a row into a record and tells what is wrong with its cells. One of a value
// that a record can do without does not spoil the row.
func (l *layout) record(cells []string) (rec oneroster.Record, wrongs []oneroster.Wrong) {
	rec = oneroster.NewRecord(l.resource)
	wrong := func(field int, column, value, text string) {
		mild := field > oneroster.Modified && !l.resource.Fields[field].Required
		wrongs = append(wrongs, oneroster.Wrong{Field: field, Column: column, Value: value, Text: text,
			Mild: mild})
	}
	extra := map[string]any{}
	for i, cell := range cells {
		if i >= len(l.at) {
			wrong(oneroster.SourcedID, "", cell,
				"the row has more cells than the header: correct the commas and quotes")
			break
		}
		cell = strings.TrimSpace(oneroster.OneLine(cell))
		if cell == "" {
			continue
		}
		if l.metadata[i] != "" {
			if strings.IndexFunc(cell, unicode.IsControl) >= 0 || !utf8.ValidString(cell) {
				wrong(l.resource.MetadataIndex(), l.names[i], cell,
					fmt.Sprintf("%q holds control characters or is not UTF-8", cell))
				continue
			}
			extra[l.metadata[i]] = cell
			continue
		}
		if l.at[i] < 0 || l.at[i] == oneroster.Modified {
			continue
		}
		f := &l.resource.Fields[l.at[i]]
		if known := l.known[i]; known != nil {
			ours, original := nearest(known, cell)
			if original != "" {
				extra["original."+f.Name] = original
			}
			cell = ours
		}
		v, err := parseCell(f, cell)
		if err != nil {
			wrong(l.at[i], l.names[i], cell, err.Error())
			continue
		}
		rec.Values[l.at[i]] = v
	}
	for _, i := range l.fill {
		switch l.resource.Fields[i].Name {
		case "enabledUser":
			rec.Values[i] = "true"
		case "schoolYear":
			rec.Values[i], _, _ = strings.Cut(rec.Get("endDate"), "-")
		}
	}
	rec.Values[l.resource.MetadataIndex()] = oneroster.MetadataOf(extra)
	return rec, wrongs
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
	seen := map[string]bool{} // of references: one thing is referred to once
	for _, item := range strings.Split(cell, ",") {
		item = strings.TrimSpace(item)
		if f.Kind == oneroster.UserIDs {
			typ, id, ok := strings.Cut(strings.Trim(item, "{}"), ":")
			if !ok && strings.ContainsAny(item, "{}") {
				return "", fmt.Errorf("%q is not {type:id}", item)
			}
			if !ok { // OneRoster 1.0
				typ, id = "userId", item
			}
			items = append(items, typ+oneroster.PartSep+id)
			continue
		}
		v, err := f.Parse(item)
		if err != nil {
			return "", err
		}
		if f.Kind == oneroster.Refs && seen[v] {
			continue
		}
		seen[v] = true
		items = append(items, v)
	}
	return oneroster.Join(items...), nil
}

// Records reads the rows of every file in the order of the resources.
func (p *Package) Records(ctx context.Context, yield func(oneroster.Row) error) error {
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
		err := p.rows(f, func(header []string) (err error) {
			l, err = p.newLayout(f, r, header)
			return err
		}, func(line int, cells []string, bad error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			from := f.place(line)
			row := oneroster.Row{File: from.file, Line: from.line}
			if row.Record, row.Wrong = l.record(cells); bad != nil {
				row.Wrong = []oneroster.Wrong{{Text: bad.Error()}}
			}
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

// Apart is what is wrong with files by themselves, and the links.
func (p *Package) Apart() (out oneroster.Apart, err error) {
	if p.sds != nil { // its files were read on opening
		return oneroster.Apart{Rows: p.sds.wrongs, Stuck: p.sds.stuck, Losses: p.sds.losses()}, nil
	}
	if err := p.readLinks(); err != nil {
		return out, err
	}
	out.Links = slices.Concat(p.unread, p.told)
	for _, f := range p.absent {
		rows := 0
		if err := p.rows(f, func([]string) error { return nil },
			func(int, []string, error) error { rows++; return nil }); err != nil {
			return out, err
		}
		if rows == 0 {
			p.note(f.name + " has no rows, and manifest.csv says that it is absent: it was passed over")
			continue
		}
		text := fmt.Sprintf("manifest.csv says that this file is absent, and it has %s: correct the manifest",
			plural(rows, "row"))
		out.Rows = append(out.Rows, oneroster.Row{File: f.name, Line: 1,
			Wrong: []oneroster.Wrong{{Text: text}}})
		out.Stuck = fmt.Errorf("%s: %s", f.name, text)
	}
	return out, nil
}
