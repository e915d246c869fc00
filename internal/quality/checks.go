package quality

import (
	"slices"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

type check = func(*judge, *subject)

// everywhere are the checks of every active object.
var everywhere = []check{ident, status, stamp, nulls}

// kinds say what is done with the objects of each resource.
var kinds = map[string]struct {
	look   check        // first: what an object needs to know of others, which may come after it
	checks []check      // of each that has an id, in this order
	keep   check        // remembers a record that was not dropped
	whole  func(*judge) // judges the collection when all of it was read
}{
	"org": {lookAtOrg, []check{orgMembers, orgTree},
		func(j *judge, s *subject) { j.orgs[s.id].kept = true }, orgRoots},
	"academicSession": {lookAtSession, []check{sessionMembers, sessionTree, sessionYear},
		func(j *judge, s *subject) { j.sessions[s.id].kept = true }, sessionToday},
	"course": {nil, []check{courseMembers}, func(j *judge, s *subject) { j.courses[s.id] = &course{} }, nil},
	"class":  {nil, []check{classMembers, classTitle, classCourse}, keepClass, nil},
	"user": {lookAtUser, []check{userMembers, userMatch, userAccount, userContact, userAgents, userValues,
		userNames}, func(j *judge, s *subject) { j.users[s.id].kept = true }, nil},
	"demographics": {nil, []check{demographicsMembers}, nil, nil},
	"enrollment": {nil, []check{enrollmentMembers, enrollmentLinks, enrollmentDates}, keepEnrollment,
		classesFilled},
}

// SDS-G01
func ident(j *judge, s *subject) {
	v, there := s.Object["sourcedId"]
	if s.id == "" {
		what := "missing"
		if there {
			what = "not a text, or it is empty"
		}
		j.find(s, "SDS-G01", "sourcedId", written(v), "sourcedId is %s", what)
		return
	}
	if !j.first(j.hash("id", s.resource, s.id)) {
		j.find(s, "SDS-G01", "sourcedId", s.id, "another %s has the same sourcedId", s.resource)
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
		var day bool
		var err error
		if t, day, err = oneroster.ParseInstant(text); err != nil || day || !strings.ContainsAny(text, "Tt") {
			what := "no time such as 2026-01-31T08:00:00.000Z"
			if text == "" {
				what = "missing, or no text"
			}
			j.find(s, "SDS-G03", "dateLastModified", written(s.Object["dateLastModified"]),
				"dateLastModified is %s", what)
			return
		}
		r := *ByID("SDS-G03")
		r.Severity = Advice
		j.tell(s, Finding{Rule: &r, Field: "dateLastModified", Value: text, Tests: true,
			Text: "dateLastModified is not written with three digits of a second, and Z"})
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
			j.find(s, "SDS-G05", name, "null", "%s is null: leave it out", name)
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
		if strings.TrimSpace(s.Text(name)) != "" {
			continue
		}
		v, there := s.Object[name]
		what := "missing"
		if there && v != nil {
			what = "empty, or not a text"
		}
		j.find(s, rule, name, written(v), "%s is %s", name, what)
	}
}

// listed reports a member that has something which is not on a list.
func (j *judge) listed(s *subject, rule, field string, list map[string]bool, format string) {
	if text := s.Text(field); text != "" && !in(list, text) {
		j.find(s, rule, field, text, format, text)
	}
}

// day reads a date, and reports what is none; the zero time where there is none.
func (j *judge) day(s *subject, rule, field string) time.Time {
	text := s.Text(field)
	at := Day(text)
	if text != "" && at.IsZero() {
		j.find(s, rule, field, text, "%s is no date such as 2026-08-01", field)
	}
	return at
}

// required reads a required member that is one reference, or a list of them
// (Refs in the table of OneRoster), and reports under rule what is no reference.
func (j *judge) required(s *subject, rule, field string, types map[string]bool) (ids []string) {
	isList := oneroster.ByName(s.resource).Field(field).Kind.IsList()
	refs := s.Refs(field)
	_, cameAsList := s.Object[field].([]any)
	if len(refs) == 0 || cameAsList != isList {
		j.find(s, rule, field, written(s.Object[field]), "%s is missing, or not a reference", field)
		return nil
	}
	for _, r := range refs {
		switch {
		case r.ID == "":
			j.find(s, rule, field, "", "a reference of %s has no sourcedId, or one that is no text", field)
		case !in(types, r.Type):
			j.find(s, rule, field, r.Type, "a reference of %s has the type %q", field, r.Type)
		default:
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// follow is required, for references that must lead somewhere: one of several that does
// not is dropped; when none is left, so is the record.
func (j *judge) follow(s *subject, rule, field string, types map[string]bool, there func(id string) bool) {
	ids, severity := j.required(s, rule, field, types), Error
	if slices.ContainsFunc(ids, there) {
		severity = Warning
	}
	j.astray(s, severity, field, ids, there)
}

// optional reads references that may be missing; one that leads nowhere is
// dropped, the record stays.
func (j *judge) optional(s *subject, field string, there func(id string) bool) {
	var ids []string
	for _, r := range s.Refs(field) {
		ids = append(ids, r.ID)
	}
	if list, isList := s.Object[field].([]any); len(ids) == 0 && s.Object[field] != nil &&
		(!isList || len(list) > 0) {
		j.as(Warning, s, "SDS-G06", field, written(s.Object[field]), "%s is not a reference", field)
	}
	j.astray(s, Warning, field, ids, there)
}

func (j *judge) astray(s *subject, severity Severity, field string, ids []string, there func(string) bool) {
	for _, id := range ids {
		if !there(id) {
			j.as(severity, s, "SDS-G06", field, id,
				"%s refers to %q, which is not served, not active, or was dropped", field, id)
		}
	}
}

func (k *known) isOrg(id string) bool      { return k.orgs[id] != nil }
func (k *known) isSession(id string) bool  { return k.sessions[id] != nil }
func (k *known) isUser(id string) bool     { return k.users[id] != nil }
func (k *known) hasOrg(id string) bool     { o := k.orgs[id]; return o != nil && o.kept }
func (k *known) hasSession(id string) bool { s := k.sessions[id]; return s != nil && s.kept }
func (k *known) hasClass(id string) bool   { return k.classes[id] != nil }
func (k *known) hasUser(id string) bool    { u := k.users[id]; return u != nil && u.kept }
