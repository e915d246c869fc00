package bulk

import (
	"errors"
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
)

// linked is what a link file says of one class or course.
type linked struct{ came, gone []string }

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
	for _, r := range oneroster.Resources() {
		f := p.links[r]
		if f == nil {
			continue
		}
		l := &linkFile{p: p, file: f, of: r, owner: -1, target: -1, status: -1,
			linked: map[string]*linked{}, seen: map[[2]string]bool{}}
		if err := p.rows(f, l.header, l.row); err != nil {
			return err
		}
		p.resources[r] = l.linked
	}
	return nil
}

// A linkFile is classResources or courseResources while it is read.
type linkFile struct {
	p                     *Package
	file                  *file
	of                    *oneroster.Resource
	owner, target, status int // columns; -1 where there is none
	linked                map[string]*linked
	seen                  map[[2]string]bool // one thing is linked once
}

func (l *linkFile) header(header []string) error {
	name, seen := l.of.Name, map[string]string{}
	for i, raw := range header {
		col := strings.TrimSpace(raw)
		ours := col
		switch foldColumn(col) {
		case name + "sourcedid":
			l.owner, ours = i, name+"SourcedId"
		case "resourcesourcedid":
			l.target, ours = i, "resourceSourcedId"
		case "status":
			l.status, ours = i, "status"
		}
		if before, twice := seen[ours]; twice && col != "" {
			return l.file.twice(before, col, ours)
		}
		seen[ours] = col
	}
	if l.owner < 0 || l.target < 0 {
		return fmt.Errorf("%s:1: the columns %sSourcedId and resourceSourcedId are required", l.file.name,
			name)
	}
	if l.status < 0 && l.file.mode == oneroster.Delta {
		return fmt.Errorf("%s:1: the column status is required in a delta file", l.file.name)
	}
	return nil
}

func (l *linkFile) row(line int, cells []string, bad error) error {
	cell := func(at int) string {
		if at < 0 || at >= len(cells) {
			return ""
		}
		return strings.TrimSpace(oneroster.OneLine(cells[at]))
	}
	id, to, status := cell(l.owner), cell(l.target), cell(l.status)
	gone := false
	switch {
	case bad != nil:
		l.wrong(line, "", "", bad)
		return nil
	case id == "":
		l.wrong(line, l.of.Name+"SourcedId", "", errNeeded)
		return nil
	case to == "":
		l.wrong(line, "resourceSourcedId", "", errNeeded)
		return nil
	case status != "" || l.file.mode == oneroster.Delta:
		var err error
		if gone, err = isGone(status); err != nil {
			l.wrong(line, "status", status, err)
			return nil
		}
	}
	x := l.linked[id]
	if x == nil {
		x = &linked{}
		l.linked[id] = x
	}
	link := oneroster.Link{Of: l.of, Owner: id, File: l.file.name, Line: line}
	if both := [2]string{id, to}; gone {
		x.gone = append(x.gone, to)
	} else if link.Resource = to; !l.seen[both] {
		l.seen[both] = true
		x.came = append(x.came, to)
	}
	l.p.told = append(l.p.told, link)
	return nil
}

// wrong remembers a row that cannot be used.
func (l *linkFile) wrong(line int, column, value string, why error) {
	l.p.unread = append(l.p.unread, oneroster.Link{File: l.file.name, Line: line,
		Wrong: &oneroster.Wrong{Column: column, Value: value, Text: why.Error()}})
}

var errNeeded = errors.New("is required and empty: fill it in")

// isGone reads the status of a row of a link file.
func isGone(status string) (bool, error) {
	if status == "" {
		return false, errors.New("is empty in a delta file: write active or tobedeleted")
	}
	value, err := parseCell(&oneroster.Field{Name: "status", Kind: oneroster.Enum,
		Enum: []string{oneroster.Active, oneroster.ToBeDeleted}}, status)
	return value == oneroster.ToBeDeleted, err
}
