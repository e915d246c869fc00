// Package bulktest writes packages of CSV files for tests, reads them with the check, and tells
// what becomes of their rows. What a check says in many tests is worded here once.
package bulktest

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// Files with what is required: whole, but for those that are only a header.
const (
	Orgs    = "sourcedId,status,dateLastModified,name,type\no1,,,School,school\n"
	Users   = "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName\n" // header
	Terms   = "sourcedId,title,type,startDate,endDate,schoolYear\nt1,T,term,2026-08-01,2027-07-31,2027\n"
	Courses = "sourcedId,title,orgSourcedId\nk1,K,o1\n"
	Classes = "sourcedId,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\n" +
		"c1,C,k1,scheduled,o1,t1\n"
	Enrolled = "sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,beginDate,endDate\n" // header
	Results  = "sourcedId,lineItemSourcedId,studentSourcedId,scoreStatus,score,scoreDate\n"      // header
)

// Folder writes files given as name, text, name, text, ….
func Folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// BulkLinks is a whole bulk package with two classes, two resources, and the files given.
func BulkLinks(files ...string) []string {
	return append([]string{"orgs.csv", Orgs, "resources.csv", "sourcedId,vendorResourceId\nr1,x\nr2,y\n",
		"academicSessions.csv", Terms, "courses.csv", Courses, "classes.csv",
		Classes + "c2,C,k1,scheduled,o1,t1\n"},
		files...)
}

// DeltaLinks is a whole delta package with rows of classResources.
func DeltaLinks(rows string) []string {
	return []string{"manifest.csv",
		"propertyName,value\nfile.orgs,delta\nfile.resources,delta\nfile.academicSessions,delta\n" +
			"file.courses,delta\nfile.classes,delta\nfile.classResources,delta\n",
		"orgs.csv", "sourcedId,status,name,type\no1,active,School,school\n", "resources.csv",
		"sourcedId,status,vendorResourceId\nr1,active,x\n",
		"academicSessions.csv", "sourcedId,status,title,type,startDate,endDate,schoolYear\n" +
			"t1,active,T,term,2026-08-01,2027-01-01,2027\n",
		"courses.csv", "sourcedId,status,title,orgSourcedId\nk1,active,K,o1\n",
		"classes.csv", "sourcedId,status,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\n" +
			"c1,active,C,k1,scheduled,o1,t1\n",
		"classResources.csv", "classSourcedId,status,resourceSourcedId\n" + rows}
}

// A District has ids by resource ("user"), those that have left ("left user") and
// those that a filter selects ("user role='student'").
type District map[string]string

// Stored is what a check asks of it.
func (d District) Stored() intake.Stored {
	return intake.Stored{
		IDs: func(r *oneroster.Resource, yield func(string) error) error {
			for _, id := range strings.Fields(d[r.Name]) {
				if err := yield(id); err != nil {
					return err
				}
			}
			return nil
		},
		Known: func(r *oneroster.Resource, id string) (bool, error) {
			all := " " + d[r.Name] + " " + d["left "+r.Name] + " "
			return strings.Contains(all, " "+id+" "), nil
		},
		Count: func(r *oneroster.Resource, filter string) (int, error) {
			return len(strings.Fields(d[strings.TrimSpace(r.Name+" "+filter)])), nil
		},
	}
}

// ReadInto checks a package against what is stored and returns its problems and rows; its
// notes are those of the check too.
func ReadInto(t *testing.T, path string, opt bulk.Options, skipBad bool,
	stored intake.Stored) ([]string, []oneroster.Row, *bulk.Package) {
	t.Helper()
	p, err := bulk.Open(path, opt)
	if err != nil {
		return []string{err.Error()}, nil, &bulk.Package{}
	}
	t.Cleanup(func() { _ = p.Close() })
	checked, err := intake.Check(context.Background(), p, stored, intake.CheckOptions{SkipBad: skipBad})
	p.Notes = slices.Concat(p.Notes, checked.Notes)
	if err != nil {
		return []string{err.Error()}, nil, p
	}
	var texts []string
	for _, x := range checked.Problems.List {
		texts = append(texts, x.String())
	}
	var rows []oneroster.Row
	_ = checked.Records(context.Background(), func(r oneroster.Row) error { // refused when there are problems
		rows = append(rows, r)
		return nil
	})
	return texts, rows, p
}

// Told is what becomes of rows, or of those of the resources named: "user/u1 skipped, org/o1 keeps
// parent". Of links it tells that those that are stored stay, which came and which went, or which
// are all there are: "class/c1 keeps +r1 -r2, course/k1 =r1".
func Told(rows []oneroster.Row, resources ...string) string {
	var out []string
	for _, row := range rows {
		if len(resources) == 0 || slices.Contains(resources, row.Resource.Name) {
			out = append(out, told(row))
		}
	}
	return strings.Join(out, ", ")
}

func told(row oneroster.Row) string {
	out, links := row.Resource.Name+"/"+row.ID(), row.Resource.Index("resources")
	switch {
	case row.Skip:
		out += " skipped"
	case row.Values[oneroster.Status] == oneroster.ToBeDeleted:
		out += " goes"
	}
	for _, i := range row.Keep {
		switch {
		case row.Skip:
		case i == links:
			out += " keeps"
		default:
			out += " keeps " + row.Resource.Fields[i].Name
		}
	}
	for _, e := range row.Edits {
		out += " +" + strings.Join(e.Came, ",") + " -" + strings.Join(e.Gone, ",")
	}
	if links >= 0 && row.Values[links] != "" {
		out += " =" + strings.Join(oneroster.Items(row.Values[links]), ",")
	}
	return out
}

// Hang is the line that tells of references to rows that cannot be used.
func Hang(at, n, where string) string {
	return fmt.Sprintf("%s: %s to rows that cannot be used (%s), this one and others: "+
		"they follow from the problems above", at, n, where)
}

// Nowhere is what is told of a reference that leads nowhere. Where it stands in a CSV file, one
// is named that lacks what it refers to.
func Nowhere(at, what, id string) string {
	from, _, _ := strings.Cut(at, ":")
	return fmt.Sprintf("%s: there is no %s with the sourcedId %q: add it to %s, or correct this id", at,
		what, id, oneroster.ByName(what).Plural+path.Ext(from))
}
