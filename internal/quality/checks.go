package quality

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// looks are the first looks: what an object needs to know of others of its own
// resource, which may come after it.
var looks = map[string]func(*judge, *subject){"org": lookAtOrg, "academicSession": lookAtSession,
	"user": lookAtUser}

// checks are made in this order on each active object; "" is every resource.
var checks = []struct {
	of string
	do func(*judge, *subject)
}{
	{"", ident}, {"", status}, {"", stamp}, {"", nulls},
	{"org", orgMembers}, {"org", orgTree},
	{"academicSession", sessionMembers}, {"academicSession", sessionTree}, {"academicSession", sessionYear},
	{"course", courseMembers},
	{"class", classMembers}, {"class", classTitle}, {"class", classCourse},
	{"user", userMembers}, {"user", userMatch}, {"user", userAccount}, {"user", userContact},
	{"user", userAgents}, {"user", userValues}, {"user", userNames},
	{"demographics", demographicsMembers},
	{"enrollment", enrollmentMembers}, {"enrollment", enrollmentLinks}, {"enrollment", enrollmentDates},
}

// keep remembers a record that was not dropped.
var keep = map[string]func(*judge, *subject){
	"org":             func(j *judge, s *subject) { j.orgs[s.id].kept = true },
	"academicSession": func(j *judge, s *subject) { j.sessions[s.id].kept = true },
	"course":          func(j *judge, s *subject) { j.courses[s.id] = &course{} },
	"class":           keepClass,
	"user":            func(j *judge, s *subject) { j.users[s.id].kept = true },
	"demographics":    func(*judge, *subject) {},
	"enrollment":      keepEnrollment,
}

// wholes judge a collection when all of it was read.
var wholes = map[string]func(*judge){"org": orgRoots, "academicSession": sessionToday,
	"enrollment": classesFilled}

// SDS-G01
func ident(j *judge, s *subject) {
	v, there := s.Object["sourcedId"]
	if s.id == "" {
		text := "sourcedId is missing"
		if there {
			text = "sourcedId is not a text, or it is empty"
		}
		j.find(s, "SDS-G01", "sourcedId", written(v), text)
		return
	}
	if !first(j.ids, j.hash(s.id)) {
		j.find(s, "SDS-G01", "sourcedId", s.id, "another "+s.resource+" has the same sourcedId")
	}
}

// SDS-G02
func status(j *judge, s *subject) {
	if !strings.EqualFold(s.Text("status"), "active") {
		j.find(s, "SDS-G02", "status", written(s.Object["status"]),
			"status is neither active nor tobedeleted")
	}
}

// SDS-G03, SDS-G04. Of instants, School Data Sync documents ISO 8601.
func stamp(j *judge, s *subject) {
	text := s.Text("dateLastModified")
	if text != "" && text == j.stamps.right {
		j.stamps.add(text)
		return
	}
	t, ok := Instant(text)
	if !ok {
		var err error
		if t, err = time.Parse(time.RFC3339Nano, text); err != nil {
			j.find(s, "SDS-G03", "dateLastModified", written(s.Object["dateLastModified"]),
				"dateLastModified is missing, or no time such as 2026-01-31T08:00:00.000Z")
			return
		}
		j.byTests(s, "SDS-G03", "dateLastModified", text,
			"dateLastModified is not written with three digits of a second, and Z")
	}
	j.stamps.add(text)
	switch {
	case t.After(j.Today.AddDate(0, 0, 1)): // clocks differ, but not by a day
		j.find(s, "SDS-G04", "dateLastModified", text, "dateLastModified lies in the future")
	case ok:
		j.stamps.right = text
	}
}

// SDS-G05
func nulls(j *judge, s *subject) {
	for _, name := range Nulls(s.Object) {
		if at := oneroster.ByName(s.resource).Index(name); at < 0 ||
			at > oneroster.Modified { // G01 to G03 speak of those
			j.find(s, "SDS-G05", name, "null", name+" is null: leave it out")
		}
	}
}

// Nulls names the members that are null, two levels deep: email, metadata.note.
func Nulls(o wire.Object) (out []string) {
	for name, v := range o {
		if v == nil {
			out = append(out, name)
		}
		m, _ := v.(map[string]any)
		for inner, v := range m {
			if v == nil {
				out = append(out, name+"."+inner)
			}
		}
	}
	slices.Sort(out)
	return out
}

// missing reports the members that are no text with something in it.
func (j *judge) missing(s *subject, rule string, names ...string) {
	for _, name := range names {
		v, there := s.Object[name]
		if text, ok := v.(string); there && ok && strings.TrimSpace(text) != "" {
			continue
		}
		text := name + " is missing"
		if there && v != nil {
			text = name + " is empty, or not a text"
		}
		j.find(s, rule, name, written(v), text)
	}
}

// A reference of a subject that was looked up.
type target struct {
	wire.Ref
	field string
}

// required reads a required member that is one reference, or a list of them
// (Refs in the table of OneRoster), and reports under rule what is no reference.
func (j *judge) required(s *subject, rule, field string, types map[string]bool) []target {
	isList := oneroster.ByName(s.resource).Field(field).Kind.IsList()
	refs := s.Refs(field)
	_, cameAsList := s.Object[field].([]any)
	if len(refs) == 0 || cameAsList != isList {
		j.find(s, rule, field, written(s.Object[field]), field+" is missing, or not a reference")
		return nil
	}
	var out []target
	for _, r := range refs {
		switch {
		case r.ID == "":
			j.find(s, rule, field, "", "a reference of "+field+" has no sourcedId, or one that is no text")
		case !in(types, r.Type):
			j.find(s, rule, field, r.Type, fmt.Sprintf("a reference of %s has the type %q", field, r.Type))
		default:
			out = append(out, target{r, field})
		}
	}
	return out
}

// follow keeps the references that lead somewhere. One of several that does not
// is dropped; when none is left, so is the record.
func (j *judge) follow(s *subject, refs []target, there func(id string) bool) []target {
	var out, astray []target
	for _, r := range refs {
		if there(r.ID) {
			out = append(out, r)
		} else {
			astray = append(astray, r)
		}
	}
	for _, r := range astray {
		severity := Warning
		if len(out) == 0 {
			severity = Error
		}
		j.milder(s, "SDS-G06", severity, r.field, r.ID,
			fmt.Sprintf("%s refers to %q, which is not served, not active, or was dropped", r.field, r.ID))
	}
	return out
}

// optional reads a reference that may be missing; one that leads nowhere is
// dropped, the record stays.
func (j *judge) optional(s *subject, field string, there func(id string) bool) {
	if _, ok := s.Object[field]; !ok || s.Object[field] == nil {
		return
	}
	refs := s.Refs(field)
	if list, isList := s.Object[field].([]any); len(refs) == 0 && !(isList && len(list) == 0) {
		j.milder(s, "SDS-G06", Warning, field, written(s.Object[field]), field+" is not a reference")
	}
	for _, r := range refs {
		if r.ID == "" || !there(r.ID) {
			j.milder(s, "SDS-G06", Warning, field, r.ID,
				fmt.Sprintf("%s refers to %q, which is not served, not active, or was dropped", field, r.ID))
		}
	}
}

func (k *known) hasOrg(id string) bool     { o := k.orgs[id]; return o != nil && o.kept }
func (k *known) hasSession(id string) bool { s := k.sessions[id]; return s != nil && s.kept }
func (k *known) hasClass(id string) bool   { return k.classes[id] != nil }
func (k *known) hasUser(id string) bool    { u := k.users[id]; return u != nil && u.kept }
