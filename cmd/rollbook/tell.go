package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/words"
)

// tellFields prints which fields of records that stay would get, lose or change a value.
func tellFields(w io.Writer, doc intake.Document) {
	out := newTable(w)
	out.AppendHeader(table.Row{"of records that stay", "have a value", "get one", "lose it", "have another"})
	for _, f := range doc.Fields {
		out.AppendRow(table.Row{f.Resource + "." + f.Field, f.Before, f.Came, f.Went, f.Changed})
	}
	if out.Length() > 0 {
		out.Render()
	}
}

// tellNotes says aloud what is worth a look: where a tenth of the records that had a
// value lose it, and what is near a limit.
func tellWorthALook(w io.Writer, doc intake.Document) {
	for _, f := range doc.Fields {
		if f.Before >= 20 && 10*f.Went >= f.Before {
			fmt.Fprintf(w, "note: %s: %s of %s lose %s\n", f.Resource, words.Thousands(f.Went),
				words.Thousands(f.Before), f.Field)
		}
	}
	for _, n := range doc.Notes {
		fmt.Fprintln(w, "note:", n)
	}
}

// tellObjections says what each guard objects to, with examples.
func tellObjections(w io.Writer, doc intake.Document, head string) {
	fmt.Fprintln(w, head+":")
	for _, o := range doc.Objections {
		fmt.Fprintf(w, "  %s: %s\n", o.Guard, o.Text)
	}
}

// tellHeld says why a publication is held, and what can be done.
func tellHeld(w io.Writer, doc intake.Document, id int64) {
	tellObjections(w, doc, fmt.Sprintf("publication %d is held, and nothing was changed", id))
	fmt.Fprintf(w, `Readers are served what they were served before.
  look closer             rollbook publications show %d
  row by row              rollbook publications show %d --csv
  publish all the same    rollbook publish %d --reason "why it is right"
  throw it away           rollbook discard %d
`, id, id, id, id)
}

// tellDocument prints what was found of a publication.
func tellDocument(w io.Writer, doc intake.Document) error {
	if doc.Error != "" {
		fmt.Fprintf(w, "refused: %s\n", doc.Error)
	}
	if err := tellProblems(w, doc); err != nil {
		return err
	}
	out := newTable(w)
	out.AppendHeader(table.Row{"", "active", "added", "changed", "same", "retired"})
	for _, c := range doc.Resources {
		out.AppendRow(table.Row{c.Resource, c.Active, c.Added, c.Changed, c.Same, c.Retired})
	}
	if out.Length() > 0 {
		out.Render()
	}
	tellFields(w, doc)
	if len(doc.Falls) > 0 {
		out := newTable(w)
		out.AppendHeader(table.Row{"enrollments of", "before", "after"})
		for _, f := range doc.Falls {
			out.AppendRow(table.Row{f.Name, f.Before, f.After})
		}
		out.Render()
	}
	if len(doc.Examples) > 0 {
		out := newTable(w)
		out.AppendHeader(table.Row{"for example", "field", "before", "after"})
		for _, e := range doc.Examples {
			out.AppendRow(table.Row{e.Resource + "/" + e.ID, e.Field, oneroster.Spelled(e.Before),
				oneroster.Spelled(e.After)})
		}
		out.Render()
	}
	if len(doc.Findings) > 0 {
		out := newTable(w)
		out.AppendHeader(table.Row{"School Data Sync", "what it does", "of", "new", "known", "for example"})
		for _, f := range doc.Findings {
			first := ""
			if len(f.First) > 0 {
				first = f.First[0]
			}
			out.AppendRow(table.Row{f.Rule, f.Severity, f.Resource, f.New, f.Known, first})
		}
		out.Render()
	}
	tellWorthALook(w, doc)
	if len(doc.Objections) > 0 {
		tellObjections(w, doc, "the guards object")
	}
	return nil
}

// tellProblems prints the problems of the package of a publication.
func tellProblems(w io.Writer, doc intake.Document) error {
	if doc.Problems == nil {
		return nil
	}
	var problems intake.Problems
	if err := json.Unmarshal(doc.Problems, &problems); err != nil {
		return err
	}
	tabulate(w, problems)
	return nil
}

// tellRows writes a row of CSV for each record and field that differs.
func tellRows(w io.Writer, each func(yield func(before, after oneroster.Record) error) error) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"resource", "sourcedId", "change", "field", "before", "after"}); err != nil {
		return err
	}
	err := each(func(before, after oneroster.Record) error {
		which, change := after, "changed"
		switch {
		case before.Resource == nil || before.Values[oneroster.Status] == oneroster.ToBeDeleted:
			change = "added"
		case after.Resource == nil || after.Values[oneroster.Status] == oneroster.ToBeDeleted:
			which, change = before, "retired"
		}
		for i, f := range which.Resource.Fields {
			was, is := valueAt(before, i), valueAt(after, i)
			if i == oneroster.SourcedID || i == oneroster.Modified || was == is {
				continue
			}
			if err := out.Write([]string{which.Resource.Plural, words.Cell(which.ID()), change, f.Name,
				words.Cell(was), words.Cell(is)}); err != nil {
				return err
			}
		}
		return nil
	})
	out.Flush()
	return errors.Join(err, out.Error())
}

// valueAt is a field as people read it; "" of no record.
func valueAt(rec oneroster.Record, i int) string {
	if rec.Resource == nil {
		return ""
	}
	return oneroster.Spelled(rec.Values[i])
}
