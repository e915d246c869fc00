package sds

import (
	"context"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// nested are the lists that Classic reads of each school.
var nested = []struct{ segment, resource string }{
	{"terms", "academicSession"}, {"courses", "course"}, {"classes", "class"}, {"students", "user"},
	{"teachers", "user"}, {"enrollments", "enrollment"},
}

// bySchool reads as School Data Sync (Classic) does: the schools, then each
// school's lists. It always reads everything, since what has left a school is
// not in a list of that school.
func (r *run) bySchool(ctx context.Context) error {
	orgs := oneroster.ByName("org")
	if err := r.read(ctx, source{"/schools", orgs, isActive, false}); err != nil {
		return err
	}
	ids, err := r.Mirror.GatheredIDs(ctx, orgs)
	if err != nil {
		return err
	}
	var lists []source
	for _, id := range ids {
		if !mirror.IsID(id) {
			continue // SDS-G01 tells, and there is no other list to ask for
		}
		for _, n := range nested {
			if n.resource != "course" || r.Courses {
				lists = append(lists, source{"/schools/" + oneroster.EscapeID(id) + "/" + n.segment,
					oneroster.ByName(n.resource), isActive, false})
			}
		}
	}
	if r.Contacts {
		for _, role := range quality.Contacts {
			lists = append(lists, source{"/users", oneroster.ByName("user"),
				"role=" + provider.Quote(role) + " AND " + isActive, false})
		}
	}
	if r.Demographics {
		lists = append(lists, source{"/demographics", oneroster.ByName("demographics"), isActive, true})
	}
	return r.readAll(ctx, lists)
}

// classicReads tells whether the classic way has use for an object: the
// enrollments of other roles than student and teacher name people who are in no
// list of a school.
func classicReads(resource string, o wire.Object) bool {
	role := o.Text("role")
	return resource != "enrollment" || role == "student" || role == "teacher"
}

// outOfSight are the rules that the classic way cannot judge, since it reads
// neither districts nor school years: the field, or "" for the whole rule.
var outOfSight = map[string][]string{"SDS-O02": {""}, "SDS-S02": {"parent"},
	"SDS-G06": {"parent", "children", "agents", "orgs", "schoolYear"}, "SDS-C04": {"course"}}
