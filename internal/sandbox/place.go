package sandbox

import (
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// find makes the one record of the district that has the sourcedId. It knows
// the resources that grow with the district.
func (d *District) find(r *oneroster.Resource, id string) (oneroster.Record, bool) {
	none := oneroster.Record{}
	var at [5]int
	switch r.Name {
	case "class":
		if s, c, p, ok := d.classAt(id); ok {
			return d.class(s, c, p), true
		}
	case "enrollment":
		if n := at[:4]; numbers(id, "enr", n) && d.isClass(n[0], n[1], n[2]) && enrollmentID(n[0], n[1],
			n[2], n[3]) == id {
			return d.enrollment(n[0], n[1], n[2], n[3])
		}
	case "lineItem":
		if n := at[:4]; numbers(id, "itm", n) && d.isItem(n) && itemID(n[0], n[1], n[2], n[3]) == id {
			return d.lineItem(n[0], n[1], n[2], n[3]), true
		}
	case "result":
		if n := at[:5]; numbers(id, "rlt", n) && d.isItem(n) && n[4] < d.cohort(n[0], n[1]) &&
			resultID(n[0], n[1], n[2], n[3], n[4]) == id {
			return d.result(n[0], n[1], n[2], n[3], n[4]), true
		}
	case "demographics":
		if k, ok := d.studentAt(id); ok {
			return d.demographic(id, k, d.pupil(k).Get("grades")), true
		}
	case "user":
		return d.findUser(id)
	}
	return none, false
}

func (d *District) findUser(id string) (oneroster.Record, bool) {
	if k, ok := d.studentAt(id); ok {
		return d.pupil(k), true
	}
	var at [2]int
	switch kind, _, _ := strings.Cut(id, "-"); kind {
	case "gua":
		if n := at[:1]; numbers(id, kind, n) && 2*n[0] < d.students && guardianID(n[0]) == id {
			return d.guardian(n[0]), true
		}
	case "tea":
		if s, t, ok := d.teacherAt(id); ok {
			return d.teacher(s, t), true
		}
	case "adm", "aid", "pro":
		role := map[string]string{"adm": "administrator", "aid": "aide", "pro": "proctor"}[kind]
		if n := at[:1]; numbers(id, kind, n) && n[0] < d.schools && (kind != "pro" || n[0] == 0) &&
			staffID(role, n[0]) == id {
			return d.staff(role, n[0]), true
		}
	}
	return oneroster.Record{}, false
}

// numbers reads the places that an id of a kind names, counted from 0.
func numbers(id, kind string, into []int) bool {
	rest, _ := strings.CutPrefix(id, kind)
	for i := range into {
		var part string
		var ok bool
		if rest, ok = strings.CutPrefix(rest, "-"); !ok {
			return false
		}
		part, rest = rest, ""
		if end := strings.IndexByte(part, '-'); end >= 0 {
			part, rest = part[:end], part[end:]
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return false
		}
		into[i] = n - 1
	}
	return rest == ""
}

func (d *District) isClass(s, c, p int) bool { return s < d.schools && c < d.cohorts(s) && p < periods }

func (d *District) isItem(n []int) bool {
	return d.isClass(n[0], n[1], n[2]) && graded(n[1], n[2]) && n[3] < weeks
}

func (d *District) classAt(id string) (s, c, p int, ok bool) {
	var n [3]int
	ok = numbers(id, "cls", n[:]) && d.isClass(n[0], n[1], n[2]) && classID(n[0], n[1], n[2]) == id
	return n[0], n[1], n[2], ok
}

func (d *District) studentAt(id string) (k int, ok bool) {
	if id == studentID(0) {
		return 0, true
	}
	var n [1]int
	ok = numbers(id, "stu", n[:]) && n[0] < d.students && studentID(n[0]) == id
	return n[0], ok
}

func (d *District) teacherAt(id string) (s, t int, ok bool) {
	var n [2]int
	ok = numbers(id, "tea", n[:]) && n[0] < d.schools && n[1] < d.teachers(n[0]) && teacherID(n[0],
		n[1]) == id
	return n[0], n[1], ok
}

// linked lists the sourcedIds of the district's records of a resource that
// refer to an owner by a field; of users only teachers, of a class's
// enrollments only teachers and students.
func (d *District) linked(r *oneroster.Resource, field, owner string) (ids []string) {
	switch r.Name + "." + field {
	case "class.school":
		var n [1]int
		if numbers(owner, "sch", n[:]) && n[0] < d.schools {
			for c := range d.cohorts(n[0]) {
				for p := range periods {
					ids = append(ids, classID(n[0], c, p))
				}
			}
		}
	case "user.orgs":
		var n [1]int
		if numbers(owner, "sch", n[:]) && n[0] < d.schools {
			for t := range d.teachers(n[0]) {
				ids = append(ids, teacherID(n[0], t))
			}
		}
	case "enrollment.class":
		if s, c, p, ok := d.classAt(owner); ok {
			for n := range d.staffed(s, c, p) + d.cohort(s, c) {
				ids = append(ids, enrollmentID(s, c, p, n))
			}
		}
	case "enrollment.user":
		ids = d.enrolled(owner)
	case "lineItem.class":
		if s, c, p, ok := d.classAt(owner); ok && graded(c, p) {
			for week := range weeks {
				ids = append(ids, itemID(s, c, p, week))
			}
		}
	case "result.lineItem":
		if n := make([]int, 4); numbers(owner, "itm", n) && d.isItem(n) && itemID(n[0], n[1], n[2],
			n[3]) == owner {
			for i := range d.cohort(n[0], n[1]) {
				ids = append(ids, resultID(n[0], n[1], n[2], n[3], i))
			}
		}
	case "result.student":
		if k, ok := d.studentAt(owner); ok {
			s, j := k%d.schools, k/d.schools
			for p := range periods {
				for week := range weeks {
					if graded(j/cohortSize, p) {
						ids = append(ids, resultID(s, j/cohortSize, p, week, j%cohortSize))
					}
				}
			}
		}
	}
	return ids
}

// enrolled lists the enrollments of a student or teacher.
func (d *District) enrolled(user string) (ids []string) {
	if k, ok := d.studentAt(user); ok {
		s, j := k%d.schools, k/d.schools
		for p := range periods {
			ids = append(ids, enrollmentID(s, j/cohortSize, p, d.staffed(s, j/cohortSize, p)+j%cohortSize))
		}
		return ids
	}
	s, t, ok := d.teacherAt(user)
	if !ok {
		return nil
	}
	for c := range d.cohorts(s) {
		for p := range periods {
			if d.leads(s, c, p) == t {
				ids = append(ids, enrollmentID(s, c, p, 0))
			}
			if d.helps(s, c, p) && d.leads(s, c, p+1) == t {
				ids = append(ids, enrollmentID(s, c, p, 1))
			}
		}
	}
	return ids
}
