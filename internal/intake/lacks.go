package intake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// A Lack is a file that lacks what a column of another one refers to, more than a few times: a
// table of the rows would say one thing a thousand times.
type Lack struct {
	File       string   `json:"file"` // that refers
	Row        int      `json:"row"`  // the first that does; the header is 1
	Column     string   `json:"column"`
	In         string   `json:"in"` // the file that lacks them
	References int      `json:"references"`
	Missing    int      `json:"missing"` // ids
	Of         int      `json:"of"`      // ids that the column has
	First      []string `json:"first"`   // of the missing ones
	Text       string   `json:"text"`    // all that, and what to do
}

// A cell is a column of a file.
type cell struct{ file, column string }

// lacking is a Lack on its way.
type lacking struct {
	Lack
	of      *oneroster.Resource // that refers, by a field
	field   int
	to      *oneroster.Resource
	missing map[idHash]bool
	all     map[idHash]bool
}

// lack counts a reference to nothing.
func (c *checker) lack(of *oneroster.Resource, field int, to *oneroster.Resource, x Problem) {
	key := cell{x.File, x.Column}
	l := c.lacking[key]
	if l == nil {
		in, _ := c.pack.File(to)
		l = &lacking{Lack{File: x.File, Row: x.Row, Column: c.pack.Column(x.File, x.Column), In: in}, of, field, to,
			map[idHash]bool{}, map[idHash]bool{}}
		c.lacking[key] = l
	}
	l.References++
	if id := hashID(x.Value); !l.missing[id] {
		l.missing[id] = true
		if len(l.First) < mostExamples {
			l.First = append(l.First, x.Value)
		}
	}
}

// sum makes one line of the references of a column that lead nowhere, where they are more than a
// few. How many ids the column has is read once more, and only then.
func (c *checker) sum(ctx context.Context) error {
	maps.DeleteFunc(c.lacking, func(_ cell, l *lacking) bool { return l.References <= mostExamples })
	if len(c.lacking) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(c.lacking), func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.column, b.column))
	})
	err := c.out.each(ctx, func(row oneroster.Row, at line) error {
		for _, key := range keys {
			l := c.lacking[key]
			if key.file != at.file || l.of != row.Resource || row.Values[oneroster.Status] == oneroster.ToBeDeleted {
				continue
			}
			for _, id := range oneroster.Items(row.Values[l.field]) {
				l.all[hashID(id)] = true
			}
		}
		return nil
	})
	for _, key := range keys {
		l := c.lacking[key]
		l.Missing, l.Of = len(l.missing), len(l.all)
		l.Text = l.text(c.called(l.to))
		c.out.Problems.Lacks = append(c.out.Problems.Lacks, l.Lack)
	}
	return err
}

// called is what many of a resource are called in the files.
func (c *checker) called(r *oneroster.Resource) string {
	if _, called := c.pack.File(r); called != "" && called != r.Name {
		return called + "s"
	}
	return r.Plural
}

// text says what is lacking, and what to do.
func (l Lack) text(called string) string {
	var ids []string
	for _, id := range l.First {
		ids = append(ids, fmt.Sprintf("%q", id))
	}
	text := fmt.Sprintf("%s lacks %s of %s %s that %s refers to, in %s references: %s", l.In, number(l.Missing),
		number(l.Of), called, l.File, number(l.References), strings.Join(ids, ", "))
	if l.Missing > len(ids) {
		text += ", …"
	}
	switch {
	case l.Missing >= few && l.Missing*10 >= l.Of*9 && l.In != l.File:
		return text + ". The two files are probably of different exports: export them together"
	case l.Missing >= few && l.Missing*10 > l.Of:
		return text + fmt.Sprintf(". %s is probably cut off, or filtered otherwise: export it again, whole", l.In)
	}
	return text + fmt.Sprintf(". Add them to %s, or correct these ids", l.In)
}

// Told are the problems to tell row by row: those that no Lack tells of.
func (p Problems) Told() []Problem {
	return slices.DeleteFunc(slices.Clone(p.List), func(x Problem) bool {
		return x.Lack && slices.ContainsFunc(p.Lacks, func(l Lack) bool {
			return l.File == x.File && l.Column == x.Column
		})
	})
}
