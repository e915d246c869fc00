package bulk

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"io"
	"sort"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// headers of the OneRoster 1.1 CSV binding, after sourcedId, status and
// dateLastModified; the order is the binding's, which differs from the JSON's.
// classGroups is an extension.
var headers = []struct{ resource, columns string }{
	{"academicSession", "title,type,startDate,endDate,parentSourcedId,schoolYear"},
	{"category", "title"},
	{"class", "title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods"},
	{"course", "schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes"},
	{"demographics", "birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,publicSchoolResidenceStatus"},
	{"enrollment", "classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"},
	{"lineItem", "title,description,assignDate,dueDate,classSourcedId,categorySourcedId,gradingPeriodSourcedId,resultValueMin,resultValueMax"},
	{"org", "name,type,identifier,parentSourcedId"},
	{"resource", "vendorResourceId,title,roles,importance,vendorId,applicationId"},
	{"result", "lineItemSourcedId,studentSourcedId,scoreStatus,score,scoreDate,comment"},
	{"user", "enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password"},
	{"classGroup", "title,groupType,classSourcedIds"},
}

// Each reads the records of one resource, deleted ones included, as often as it
// is asked.
type Each func(r *oneroster.Resource, yield func(oneroster.Record) error) error

// Write writes the active records as a OneRoster 1.1 bulk package (zip) and
// returns how many rows each file has. Class groups go into classGroups.csv, an
// extension, where there are any. The same records make the same bytes.
func Write(w io.Writer, each Each) (map[string]int, error) {
	z := zip.NewWriter(w)
	counts := map[string]int{}
	keys := map[string][]string{}
	for _, h := range headers {
		r := oneroster.ByName(h.resource)
		seen := map[string]bool{}
		err := each(r, func(rec oneroster.Record) error {
			if rec.Values[oneroster.Status] == oneroster.Active {
				counts[r.Plural]++
				for _, p := range oneroster.FlattenMetadata(rec.Values[r.MetadataIndex()]) {
					seen[p.Key] = true
				}
				if i := r.Index("resources"); i >= 0 {
					counts[r.Name+"Resources"] += len(oneroster.Items(rec.Values[i]))
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for k := range seen {
			keys[r.Plural] = append(keys[r.Plural], k)
		}
		sort.Strings(keys[r.Plural])
	}
	if err := writeManifest(z, counts); err != nil {
		return nil, err
	}
	for _, h := range headers {
		r := oneroster.ByName(h.resource)
		if counts[r.Plural] > 0 {
			if err := writeFile(z, r, strings.Split(h.columns, ","), keys[r.Plural], each); err != nil {
				return nil, err
			}
		}
		if counts[r.Name+"Resources"] > 0 {
			if err := writeLinks(z, r, each); err != nil {
				return nil, err
			}
		}
	}
	return counts, z.Close()
}

func create(z *zip.Writer, name string) (*csv.Writer, error) {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate}) // no time: the same bytes
	if err != nil {
		return nil, err
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true // RFC 4180
	return c, nil
}

func flushed(c *csv.Writer, err error) error {
	c.Flush()
	return errors.Join(err, c.Error())
}

func writeManifest(z *zip.Writer, counts map[string]int) error {
	c, err := create(z, "manifest.csv")
	if err != nil {
		return err
	}
	rows := [][]string{{"propertyName", "value"}, {"manifest.version", "1.0"}, {"oneroster.version", "1.1"}}
	for _, stem := range []string{"academicSessions", "categories", "classes", "classResources", "courses", "courseResources", "demographics",
		"enrollments", "lineItems", "orgs", "resources", "results", "users"} {
		mode := "absent"
		if counts[stem] > 0 {
			mode = "bulk"
		}
		rows = append(rows, []string{"file." + stem, mode})
	}
	return flushed(c, c.WriteAll(append(rows, []string{"source.systemName", "Rollbook"})))
}

func writeFile(z *zip.Writer, r *oneroster.Resource, columns, keys []string, each Each) error {
	c, err := create(z, r.Plural+".csv")
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
	return flushed(c, each(r, func(rec oneroster.Record) error {
		if rec.Values[oneroster.Status] != oneroster.Active {
			return nil
		}
		row = append(row[:0], rec.ID(), "", "") // blank in a bulk file
		for _, n := range at {
			if n < 0 {
				row = append(row, "")
				continue
			}
			row = append(row, cell(&r.Fields[n], rec.Values[n]))
		}
		pairs := map[string]string{}
		for _, p := range oneroster.FlattenMetadata(rec.Values[r.MetadataIndex()]) {
			pairs[p.Key] = p.Text
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
	case f.Kind == oneroster.Time && len(v) >= len(oneroster.DateLayout): // dates here, dateTimes over REST
		return v[:len(oneroster.DateLayout)]
	}
	return v
}

func writeLinks(z *zip.Writer, r *oneroster.Resource, each Each) error {
	c, err := create(z, r.Name+"Resources.csv")
	if err != nil {
		return err
	}
	if err := c.Write([]string{"sourcedId", "status", "dateLastModified", "title", r.Name + "SourcedId", "resourceSourcedId"}); err != nil {
		return err
	}
	at := r.Index("resources")
	return flushed(c, each(r, func(rec oneroster.Record) error {
		if rec.Values[oneroster.Status] != oneroster.Active {
			return nil
		}
		for _, id := range oneroster.Items(rec.Values[at]) {
			if err := c.Write([]string{rec.ID() + "_" + id, "", "", "", rec.ID(), id}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// WriteCSV writes the problems as a CSV file with a header.
func (p Problems) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"file", "row", "column", "value", "problem"}}
	for _, x := range p.List {
		rows = append(rows, []string{x.File, strconv.Itoa(x.Row), x.Column, x.Value, x.Text})
	}
	return c.WriteAll(rows)
}
