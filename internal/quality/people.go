package quality

import (
	"cmp"
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// Users and demographics.

// matchedBy is the member that a group is matched by; "" for who is not.
func (j *judge) matchedBy(g Group) string {
	switch g {
	case Staff:
		return cmp.Or(j.MatchStaff, "email")
	case Student:
		return cmp.Or(j.MatchStudents, "email")
	}
	return ""
}

func (j *judge) holder(g Group, field, value string) uint64 {
	return j.hash(fmt.Sprint(g), field, strings.ToLower(value))
}

func lookAtUser(j *judge, s *subject) {
	u := j.users[s.id]
	if u == nil {
		u = &user{number: uint32(len(j.users))}
		j.users[strings.Clone(s.id)] = u // not all of the row that it came in
	}
	role := s.Text("role")
	u.group, u.teacher = GroupOf(role), strings.EqualFold(role, "teacher")
	u.grades = len(s.Texts("grades")) > 0
	if field := j.matchedBy(u.group); field != "" && s.Text(field) != "" {
		j.holders[j.holder(u.group, field, s.Text(field))]++
	}
	if j.Contacts {
		for _, a := range s.Refs("agents") {
			j.first(j.hash("link", s.id, a.ID))
		}
	}
	if j.Demographics {
		u.nameHash = j.hash(strings.ToLower(s.Text("givenName")), strings.ToLower(s.Text("familyName")))
	}
}

// SDS-U01, SDS-U02
func userMembers(j *judge, s *subject) {
	j.missing(s, "SDS-U01", "username", "givenName", "familyName", "identifier")
	j.follow(s, "SDS-U02", "orgs", orgRefs, j.hasOrg)
}

// SDS-U03, and SDS-U09 for an address that nobody is matched by.
func userMatch(j *judge, s *subject) {
	group := j.users[s.id].group
	field := j.matchedBy(group)
	mail := s.Text("email")
	if mail != "" && field != "email" && !j.first(j.hash("mail", fmt.Sprint(group), strings.ToLower(mail))) {
		j.find(s, "SDS-U09", "email", mail, "another user of the same kind has this address")
	}
	if field == "" {
		return
	}
	value := s.Text(field)
	switch {
	case value == "" && field == "email": // SDS-U01 speaks of a missing username
		j.as(Warning, s, "SDS-U03", field, written(s.Object[field]),
			"there is no email, by which the person would be matched")
	case value == "":
	case j.holders[j.holder(group, field, value)] > 1:
		j.find(s, "SDS-U03", field, value, "more than one of the same group has this %s", field)
	case field == "email" && !isAddress(value):
		j.as(Warning, s, "SDS-U03", field, value, "this is no e-mail address")
	}
}

// SDS-U04
func userAccount(j *judge, s *subject) {
	g := j.users[s.id].group
	name := s.Text("username")
	if j.CreateUsers && (g == Staff || g == Student) && name != "" && !isAddress(name) {
		j.find(s, "SDS-U04", "username", name, "an account cannot be made of a username without a domain")
	}
}

// SDS-U05
func userContact(j *judge, s *subject) {
	if mail := s.Text("email"); j.Contacts && j.users[s.id].group == Contact && !isAddress(mail) {
		j.find(s, "SDS-U05", "email", written(s.Object["email"]), "a contact without e-mail address")
	}
}

// SDS-U06, and SDS-G06 for agents that lead nowhere.
func userAgents(j *judge, s *subject) {
	j.optional(s, "agents", j.isUser)
	if !j.Contacts {
		return
	}
	for _, a := range s.Refs("agents") {
		u := j.users[a.ID]
		if u == nil || (u.group == Contact) == (j.users[s.id].group == Contact) {
			continue
		}
		if !j.seen[j.hash("link", a.ID, s.id)] {
			j.find(s, "SDS-U06", "agents", a.ID, "%q does not name this user among its agents", a.ID)
		}
	}
}

// SDS-U07
func userValues(j *judge, s *subject) {
	role := s.Text("role")
	switch {
	case strings.EqualFold(role, "aide"):
		j.as(Advice, s, "SDS-U07", "role", role,
			"aide is not on the list that Microsoft publishes, though its examples have it")
	case GroupOf(role) == Other && !strings.EqualFold(role, "other"):
		j.find(s, "SDS-U07", "role", written(s.Object["role"]),
			"no role that School Data Sync knows: the person is in no group")
	}
	for _, g := range s.Texts("grades") {
		if !isGrade(g) {
			j.find(s, "SDS-U07", "grades", g, "%q is no grade of the CEDS list", g)
		}
	}
	for _, name := range []string{"phone", "sms"} {
		if n := s.Text(name); n != "" && !phoneForm.MatchString(n) {
			j.find(s, "SDS-U07", name, n, "no phone number as E.164 writes it: +, country, number")
		}
	}
	_, unknown := Flags(s.Object)
	for _, f := range unknown {
		j.find(s, "SDS-U07", "metadata."+oneroster.UserFlags, f, "%q is no user flag", f)
	}
}

// Flags are the user flags of a user, and those of them that School Data Sync does not know.
func Flags(user wire.Object) (all, unknown []string) {
	metadata, _ := user["metadata"].(map[string]any)
	flags, _ := metadata[oneroster.UserFlags].(string)
	for _, f := range strings.Split(flags, ",") {
		if f = strings.TrimSpace(f); f != "" {
			if all = append(all, f); !in(userFlags, f) {
				unknown = append(unknown, f)
			}
		}
	}
	return all, unknown
}

// SDS-U08
func userNames(j *judge, s *subject) {
	for _, name := range []string{"givenName", "middleName", "familyName"} {
		if c, bad := unshowable(s.Text(name)); bad {
			j.find(s, "SDS-U08", name, s.Text(name), "%s has the character %U", name, c)
		}
	}
}

// SDS-D01, and SDS-U09 for two of one name and birth date.
func demographicsMembers(j *judge, s *subject) {
	if !j.hasUser(s.id) {
		j.find(s, "SDS-D01", "sourcedId", s.id, "no user has this sourcedId, or it was dropped")
	}
	for _, f := range oneroster.ByName("demographics").Fields {
		v := s.Object[f.Name]
		text, _ := v.(string)
		if f.Kind == oneroster.Bool && v != nil && !strings.EqualFold(text, "true") &&
			!strings.EqualFold(text, "false") {
			j.find(s, "SDS-D01", f.Name, written(v), `%s is not the text "true" or "false"`, f.Name)
		}
	}
	v := s.Object["birthDate"]
	if v == nil {
		return
	}
	birth := written(v)
	if Day(birth).IsZero() {
		j.find(s, "SDS-D01", "birthDate", birth, "birthDate is no date such as 2012-01-31")
	} else if u := j.users[s.id]; u != nil && !j.first(u.nameHash^j.hash("birth", birth)) {
		j.find(&subject{resource: "user", id: s.id}, "SDS-U09", "birthDate", "",
			"another user has the same name and birth date")
	}
}
