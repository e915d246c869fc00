package bulk

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"sort"
	"strings"

	"rollbook/internal/oneroster"
)

// headers of the OneRoster 1.1 CSV binding, after sourcedId, status and
// dateLastModified; the order is the binding's, which differs from the JSON's.
// classGroups is an extension.
var headers = []struct{ resource, columns string }{
	{"academicSession", "title,type,startDate,endDate,parentSourcedId,schoolYear"},
	{"category", "title"},
	{"class", "title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds," +
		"subjects,subjectCodes,periods"},
	{"course", "schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes"},
	{"demographics", "birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican," +
		"nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces," +
		"hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth," +
		"publicSchoolResidenceStatus"},
	{"enrollment", "classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"},
	{"lineItem", "title,description,assignDate,dueDate,classSourcedId,categorySourcedId," +
		"gradingPeriodSourcedId,resultValueMin,resultValueMax"},
	{"org", "name,type,identifier,parentSourcedId"},
	{"resource", "vendorResourceId,title,roles,importance,vendorId,applicationId"},
	{"result", "lineItemSourcedId,studentSourcedId,scoreStatus,score,scoreDate,comment"},
	{"user", "enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier," +
		"email,sms,phone,agentSourcedIds,grades,password"},
	{"classGroup", "title,groupType,classSourcedIds"},
}

// Each reads the records of one resource, deleted ones included, as often as it
// is asked.
type Each func(r *oneroster.Resource, yield func(oneroster.Record) error) error

// Changes yields what has changed of one resource, as often as it is asked: each
// record as it was and as it is. The zero Record is one that is not there.
type Changes func(r *oneroster.Resource, yield func(before, after oneroster.Record) error) error

// Write writes the active records as a OneRoster 1.1 bulk package (zip) and
// returns how many rows each file has. Class groups go into classGroups.csv, an
// extension, where there are any. The same records make the same bytes.
func Write(w io.Writer, each Each) (map[string]int, error) {
	active := func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
		return each(r, func(rec oneroster.Record) error {
			if rec.Values[oneroster.Status] != oneroster.Active {
				return nil
			}
			return yield(rec)
		})
	}
	p := &writer{z: zip.NewWriter(w), mode: oneroster.Bulk, each: active}
	p.links = func(r *oneroster.Resource, yield func(link) error) error {
		return active(r, func(rec oneroster.Record) error { return linksOf(rec, "", nil, yield) })
	}
	return p.write()
}

// WriteDelta writes what has changed as a OneRoster 1.1 delta package (zip), with
// a file for each resource that has changes. Every row says whether its record is
// active or tobedeleted, and that it was last modified at a time of TimeLayout.
// Of a class or course that changed, classResources and courseResources have all
// links, and as tobedeleted those that it had.
func WriteDelta(w io.Writer, changes Changes, modified string) (map[string]int, error) {
	p := &writer{z: zip.NewWriter(w), mode: oneroster.Delta, modified: modified}
	p.each = func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
		return changes(r, func(before, after oneroster.Record) error {
			if after.Values != nil {
				return yield(after)
			}
			gone := oneroster.Record{Resource: r, Values: slices.Clone(before.Values)}
			gone.Values[oneroster.Status] = oneroster.ToBeDeleted
			return yield(gone)
		})
	}
	p.links = func(r *oneroster.Resource, yield func(link) error) error {
		return changes(r, func(before, after oneroster.Record) error {
			var kept []string
			if after.Values != nil {
				kept = oneroster.Items(after.Get("resources"))
			}
			if before.Values != nil {
				if err := linksOf(before, oneroster.ToBeDeleted, kept, yield); err != nil {
					return err
				}
			}
			if after.Values == nil {
				return nil
			}
			return linksOf(after, oneroster.Active, nil, yield)
		})
	}
	return p.write()
}

// A link is a row of classResources or courseResources.
type link struct{ owner, target, status string }

func linksOf(rec oneroster.Record, status string, but []string, yield func(link) error) error {
	for _, id := range oneroster.Items(rec.Get("resources")) {
		if slices.Contains(but, id) {
			continue
		}
		if err := yield(link{rec.ID(), id, status}); err != nil {
			return err
		}
	}
	return nil
}

// A writer writes one package.
type writer struct {
	z        *zip.Writer
	mode     oneroster.Mode
	modified string // of the rows of a delta
	each     Each   // the records that are written
	links    func(r *oneroster.Resource, yield func(link) error) error
}

func (p *writer) write() (map[string]int, error) {
	counts := map[string]int{}
	keys := map[string][]string{}
	for _, h := range headers {
		r := oneroster.ByName(h.resource)
		seen := map[string]bool{}
		err := p.each(r, func(rec oneroster.Record) error {
			counts[r.Plural]++
			for _, m := range oneroster.FlattenMetadata(rec.Values[r.MetadataIndex()]) {
				seen[m.Key] = true
			}
			return nil
		})
		if err == nil && r.Index("resources") >= 0 {
			err = p.links(r, func(link) error { counts[r.Name+"Resources"]++; return nil })
		}
		if err != nil {
			return nil, err
		}
		for k := range seen {
			keys[r.Plural] = append(keys[r.Plural], k)
		}
		sort.Strings(keys[r.Plural])
	}
	if err := p.manifest(counts); err != nil {
		return nil, err
	}
	for _, h := range headers {
		r := oneroster.ByName(h.resource)
		if counts[r.Plural] > 0 {
			if err := p.file(r, strings.Split(h.columns, ","), keys[r.Plural]); err != nil {
				return nil, err
			}
		}
		if counts[r.Name+"Resources"] > 0 {
			if err := p.linkFile(r); err != nil {
				return nil, err
			}
		}
	}
	return counts, p.z.Close()
}

func (p *writer) create(name string) (*csv.Writer, error) {
	w, err := p.z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate}) // no time: the same bytes
	if err != nil {
		return nil, err
	}
	return NewCSV(w), nil
}

// NewCSV writes CSV as RFC 4180 has it.
func NewCSV(w io.Writer) *csv.Writer {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	return c
}

func flushed(c *csv.Writer, err error) error {
	c.Flush()
	return errors.Join(err, c.Error())
}

func (p *writer) manifest(counts map[string]int) error {
	c, err := p.create("manifest.csv")
	if err != nil {
		return err
	}
	rows := [][]string{{"propertyName", "value"}, {"manifest.version", "1.0"}, {"oneroster.version", "1.1"}}
	stems := []string{"academicSessions", "categories", "classes", "classResources", "courses",
		"courseResources", "demographics",
		"enrollments", "lineItems", "orgs", "resources", "results", "users"}
	if p.mode == oneroster.Delta && counts["classGroups"] > 0 {
		stems = append(stems, "classGroups") // a file that the manifest leaves out is bulk
	}
	for _, stem := range stems {
		mode := oneroster.Absent.String()
		if counts[stem] > 0 {
			mode = p.mode.String()
		}
		rows = append(rows, []string{"file." + stem, mode})
	}
	return flushed(c, c.WriteAll(append(rows, []string{"source.systemName", "Rollbook"})))
}

func (p *writer) file(r *oneroster.Resource, columns, keys []string) error {
	c, err := p.create(r.Plural + ".csv")
	if err != nil {
		return err
	}
	at := make([]int, len(columns))
	for i, col := range columns {
		at[i] = -1 // password, which is never stored
		for n := range r.Fields {
			if r.Fields[n].Column() == col {
				at[i] = n
			}
		}
	}
	row := append([]string{"sourcedId", "status", "dateLastModified"}, columns...)
	for _, k := range keys {
		row = append(row, "metadata."+k)
	}
	if err := c.Write(row); err != nil {
		return err
	}
	return flushed(c, p.each(r, func(rec oneroster.Record) error {
		status := ""
		if p.mode == oneroster.Delta {
			status = rec.Values[oneroster.Status]
		}
		row = append(row[:0], rec.ID(), status, p.modified) // both blank in a bulk file
		for _, n := range at {
			if n < 0 {
				row = append(row, "")
				continue
			}
			row = append(row, cell(&r.Fields[n], rec.Values[n]))
		}
		pairs := map[string]string{}
		for _, m := range oneroster.FlattenMetadata(rec.Values[r.MetadataIndex()]) {
			pairs[m.Key] = m.Text
		}
		for _, k := range keys {
			row = append(row, pairs[k])
		}
		return c.Write(row)
	}))
}

// cell is a value as the CSV binding writes it.
func cell(f *oneroster.Field, v string) string {
	switch {
	case f.Kind == oneroster.UserIDs && v != "":
		items := oneroster.Items(v)
		for i := range items {
			items[i] = "{" + strings.Replace(items[i], oneroster.PartSep, ":", 1) + "}"
		}
		return strings.Join(items, ",")
	case f.Kind.IsList():
		return strings.Join(oneroster.Items(v), ",")
	case f.Kind == oneroster.Time: // a date here, but for a time of day, which would be lost
		return strings.TrimSuffix(v, "T00:00:00.000Z")
	}
	return v
}

func (p *writer) linkFile(r *oneroster.Resource) error {
	c, err := p.create(r.Name + "Resources.csv")
	if err != nil {
		return err
	}
	if err := c.Write([]string{"sourcedId", "status", "dateLastModified", "title", r.Name + "SourcedId",
		"resourceSourcedId"}); err != nil {
		return err
	}
	return flushed(c, p.links(r, func(x link) error {
		return c.Write([]string{x.owner + "_" + x.target, x.status, p.modified, "", x.owner, x.target})
	}))
}

// FileNames are the files of the OneRoster 1.1 CSV binding that hold records, and classGroups.csv, parents
// first.
func FileNames() (out []string) {
	for _, r := range oneroster.Resources() {
		if Columns(r.Plural+".csv") != nil {
			out = append(out, r.Plural+".csv")
		}
	}
	return append(out, "classResources.csv", "courseResources.csv")
}

// Columns are those of such a file after sourcedId, status and dateLastModified; nil where there is none of
// that name.
func Columns(file string) []string {
	for _, h := range headers {
		r := oneroster.ByName(h.resource)
		switch file {
		case r.Plural + ".csv":
			return strings.Split(h.columns, ",")
		case r.Name + "Resources.csv":
			if r.Index("resources") >= 0 {
				return []string{"title", r.Name + "SourcedId", "resourceSourcedId"}
			}
		}
	}
	return nil
}
