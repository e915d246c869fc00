package bulk

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"rollbook/internal/oneroster"
)

// made is a OneRoster file in memory, put together from the files of Microsoft
// School Data Sync; from tells which row of which file each row came from.
type made struct {
	header []string
	cells  [][]string
	from   []place
}

func (m *made) rows(header func([]string) error, row func(line int, cells []string, bad error) error) error {
	if err := header(m.header); err != nil {
		return err
	}
	for i, cells := range m.cells {
		if err := row(i, cells, nil); err != nil {
			return err
		}
	}
	return nil
}

// A line is one row of an SDS file, by column name, in which letter case and
// blanks count for nothing.
type line struct {
	at    place
	cells map[string]string
}

func (l line) get(names ...string) string {
	for _, n := range names {
		if v := l.cells[foldColumn(n)]; v != "" {
			return v
		}
	}
	return ""
}

// converter puts OneRoster files together.
type converter struct {
	p       *Package
	version string // "v1" or "v2.1"
	found   map[string]*file
	read    map[string][]line
	head    map[string]map[string]string // columns of a file, folded, as it has them
	out     map[string]*made
	ids     map[string]bool // what was added, by resource and id
	wrongs  []oneroster.Row // of files by themselves, before they became OneRoster's
	stuck   error           // why it does not help to pass them over
	err     error

	yearAdded bool
}

// wrong tells of a row of a source file that is passed over, or of one value of it.
func (c *converter) wrong(at place, column, value, text string, mild bool) {
	c.wrongs = append(c.wrongs, oneroster.Row{File: at.file, Line: at.line,
		Wrong: []oneroster.Wrong{{Column: column, Value: value, Text: text, Mild: mild}}})
}

// fromSDS makes OneRoster files of a package of Microsoft School Data Sync, v1
// or v2.1; done is false when it is not one.
func (p *Package) fromSDS(found map[string]*file) (done bool, err error) {
	c := &converter{p: p, found: found, out: map[string]*made{}, read: map[string][]line{},
		head: map[string]map[string]string{}, ids: map[string]bool{}, version: "v2.1"}
	switch {
	case found["School.csv"] != nil && found["Section.csv"] != nil:
		p.note("read as Microsoft School Data Sync v1 CSV")
		c.version = "v1"
		c.v1()
	case c.early():
		p.note("read as Microsoft School Data Sync v2 CSV, the early four files")
		c.v21()
	case found["orgs.csv"] != nil && found["roles.csv"] != nil:
		p.note("read as Microsoft School Data Sync v2.1 CSV")
		c.v21()
	default:
		return false, nil
	}
	for _, ours := range sortedKeys(found) {
		if c.head[ours] == nil && c.err == nil {
			p.note(found[ours].name + " is not a file of this format and was not read")
		}
	}
	p.sds = c
	for name, m := range c.out {
		p.files[oneroster.ByName(name)] = &file{name: name + ".csv", mode: oneroster.Bulk, made: m}
	}
	return true, c.err
}

// early tells the first version of SDS v2: users.csv holds role and orgs as
// OneRoster's does, and classes.csv has a column that OneRoster's has not.
func (c *converter) early() bool {
	if c.found["roles.csv"] != nil || c.found["users.csv"] == nil {
		return false
	}
	for _, col := range c.p.header(c.found["classes.csv"]) {
		if foldColumn(col) == "orgsourcedid" {
			return true
		}
	}
	return false
}

// madeYear begins the ids of school years that no package named.
const madeYear = "school-year-"

// schoolYear adds the school year around today and returns its id: the session
// of classes that name none in a package that has none.
func (c *converter) schoolYear(at place) string {
	now := c.p.now().UTC()
	year := now.Year()
	if now.Month() >= time.August {
		year++
	}
	id := madeYear + fmt.Sprint(year)
	if !c.yearAdded {
		c.yearAdded = true
		c.add("academicSession", at, "sourcedId", id, "title", fmt.Sprintf("School Year %d-%d", year-1,
			year), "type", "schoolYear",
			"startDate", fmt.Sprintf("%d-08-01", year-1), "endDate", fmt.Sprintf("%d-08-01", year),
			"schoolYear", fmt.Sprint(year))
	}
	return id
}

// needed are the columns without which a file says nothing.
var needed = map[string]string{
	"School.csv":            "SIS ID|DfE Number,Name",
	"Section.csv":           "SIS ID|ID,School SIS ID|School DfE Number,Section Name",
	"Student.csv":           "SIS ID|ID,School SIS ID|School DfE Number,Username",
	"Teacher.csv":           "SIS ID|ID,School SIS ID|School DfE Number,Username",
	"StudentEnrollment.csv": "Section SIS ID|Section ID,SIS ID|ID",
	"TeacherRoster.csv":     "Section SIS ID|Section ID,SIS ID|ID",
	"User.csv":              "Email,SIS ID", "Guardianrelationship.csv": "SIS ID,Email",
	"orgs.csv": "sourcedId,name,type", "users.csv": "sourcedId,username",
	"roles.csv":   "userSourcedId,orgSourcedId,role",
	"classes.csv": "sourcedId,orgSourcedId,title", "enrollments.csv": "classSourcedId,userSourcedId,role",
	"academicSessions.csv": "sourcedId,title,type,startDate,endDate",
	"courses.csv":          "sourcedId,orgSourcedId,title",
	"demographics.csv":     "userSourcedId", "userFlags.csv": "userSourcedId,flag",
	"relationships.csv": "userSourcedId,relationshipUserSourcedId,relationshipRole",
}

// lines reads a file whole, once; one that is missing has none.
func (c *converter) lines(name string) []line {
	f := c.found[name]
	if f == nil || c.err != nil || c.head[name] != nil {
		return c.read[name]
	}
	var out []line
	var head []string
	columns := map[string]string{}
	c.err = c.p.rows(f, func(h []string) error {
		for _, col := range h {
			col = strings.TrimSpace(col)
			key := foldColumn(col)
			if before, twice := columns[key]; twice && key != "" {
				return fmt.Errorf("%s:1: the column %s is there twice (%s): keep one", f.name, before, col)
			}
			columns[key] = col
			head = append(head, key)
		}
		for _, names := range strings.Split(needed[name], ",") {
			if !slices.ContainsFunc(strings.Split(names, "|"),
				func(n string) bool { return columns[foldColumn(n)] != "" }) {
				n, _, _ := strings.Cut(names, "|")
				return fmt.Errorf("%s:1: the required column %s is missing%s", f.name, n, found(h))
			}
		}
		return nil
	}, func(n int, cells []string, bad error) error {
		l := line{place{f.name, n}, map[string]string{}}
		if bad != nil {
			c.wrong(l.at, "", "", bad.Error(), false)
			c.stuck = fmt.Errorf("%s:%d cannot be skipped: whoever it stands for would be retired",
				f.name, n)
		}
		for i, cell := range cells {
			cell = strings.TrimSpace(oneroster.OneLine(cell))
			if i < len(head) {
				l.cells[head[i]] = cell
			} else if cell != "" && bad == nil {
				c.wrong(l.at, "", cell, "the row has more cells than the header: correct the "+
					"commas and quotes", false)
				c.stuck = fmt.Errorf("%s:%d cannot be skipped: its cells do not stand in their columns",
					f.name, n)
				break // the row stands for what hangs on it
			}
		}
		out = append(out, l)
		return nil
	})
	c.head[name], c.read[name] = columns, out
	return out
}

// add appends a row given as column, value, column, value, ….
func (c *converter) add(resource string, at place, pairs ...string) {
	m := c.out[resource]
	if m == nil {
		m = &made{}
		c.out[resource] = m
	}
	if resource == "enrollment" { // a membership that is there twice is one
		if c.ids[pairs[1]] {
			return
		}
		c.ids[pairs[1]] = true
	}
	row := make([]string, len(m.header))
	for i := 0; i+1 < len(pairs); i += 2 {
		col := -1
		for n, h := range m.header {
			if h == pairs[i] {
				col = n
			}
		}
		if col < 0 {
			col = len(m.header)
			m.header = append(m.header, pairs[i])
			row = append(row, "")
		}
		row[col] = pairs[i+1]
	}
	m.cells, m.from = append(m.cells, row), append(m.from, at)
}

// nearest gives a value of ours for one of SDS's, and its original where that
// is lost ("" where it is not).
func nearest(table map[string]string, value string) (ours, original string) {
	for theirs, o := range table {
		if strings.EqualFold(theirs, value) {
			if o != theirs {
				return o, theirs
			}
			return o, ""
		}
	}
	return value, "" // the cell check tells
}

func tableOf(groups map[string]string) map[string]string {
	out := map[string]string{}
	for ours, theirs := range groups {
		for _, t := range strings.Fields(theirs) {
			out[t] = ours
		}
	}
	return out
}

// Where SDS's default values have no equal in OneRoster 1.1, the nearest one.
var (
	orgTypes = tableOf(map[string]string{
		"school":     "school college campus university adultEducation",
		"department": "department division program researchCenter",
		"district":   "district academicTrust municipality",
		"local":      "local localAuthority region",
		"state":      "state province departmentOfEducation",
		"national":   "national ministryOfEducation",
	})
	roles = tableOf(map[string]string{
		"teacher": "teacher professor lecturer faculty adjunct instructor substitute",
		"administrator": "administrator principal chair itAdmin officeStaff staff researcher affiliate " +
			"advisor other alumni",
		"aide": "aide paraprofessional teacherAssistant assistant coach nurse specialServices " +
			"occupationalTherapist physicalTherapist speechTherapist visionTherapist",
		"student": "student", "proctor": "proctor", "guardian": "guardian", "parent": "parent",
		"relative": "relative",
	})
	// Nobody becomes the teacher of a class who is not one by role.
	classRoles = tableOf(map[string]string{
		"teacher":       "teacher professor lecturer faculty adjunct instructor substitute",
		"student":       "student",
		"administrator": "administrator principal",
		"proctor": "proctor aide paraprofessional teacherAssistant assistant coach nurse specialServices " +
			"occupationalTherapist physicalTherapist speechTherapist " +
			"visionTherapist chair itAdmin officeStaff staff researcher affiliate advisor other alumni " +
			"guardian parent relative",
	})
	// The fields that may hold such values, in whatever format.
	known = map[string]map[string]string{"org.type": orgTypes, "user.role": roles,
		"enrollment.role": classRoles}

	flags = oneroster.FlagValues
)

// rank orders the roles of a person who has several: the first is served.
var rank = map[string]int{"student": 1, "teacher": 2, "administrator": 3, "aide": 4, "proctor": 5,
	"guardian": 6, "parent": 7, "relative": 8}

// set is an ordered set of texts.
type set []string

func (s *set) add(v string) {
	if v != "" && !contains(*s, v) {
		*s = append(*s, v)
	}
}

func (s set) String() string { return strings.Join(s, ",") }

// people gathers what several SDS files say of one user.
type person struct {
	role          string
	rank          int // of the role, the lower the better
	orgs, grades  set
	agents, flags set
}

type people map[string]*person

func (ps people) of(id string) *person {
	if ps[id] == nil {
		ps[id] = &person{rank: 1 << 20}
	}
	return ps[id]
}

func (p *person) take(role string, primary bool) {
	ours, _ := nearest(roles, role)
	r := rank[ours]
	if primary {
		r -= 100
	}
	if r < p.rank {
		p.role, p.rank = role, r
	}
}

// sortedKeys of a map.
func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func hashID(id string) [16]byte {
	sum := sha256.Sum256([]byte(id))
	return [16]byte(sum[:16])
}

func enrollmentID(class, user, role string) string {
	id := class + "_" + user + "_" + role
	if len(id) > oneroster.MaxID {
		id = fmt.Sprintf("enr-%x", hashID(id))
	}
	return id
}
