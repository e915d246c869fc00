package quality

import (
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// Users and demographics.

// matchedBy is the member that a group is matched by; "" for who is not.
func (j *judge) matchedBy(g Group) string {
	by := map[Group]string{Staff: j.MatchStaff, Student: j.MatchStudents}
	name, matched := by[g]
	if matched && name == "" {
		return "email"
	}
	return name
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
	u.group, u.teacher, u.grades = GroupOf(role), strings.EqualFold(role, "teacher"), len(s.Texts("grades")) > 0
	if field := j.matchedBy(u.group); field != "" && s.Text(field) != "" {
		j.holders[j.holder(u.group, field, s.Text(field))]++
	}
	if j.Contacts {
		for _, a := range s.Refs("agents") {
			j.links[j.hash(s.id, a.ID)] = true
		}
	}
	if j.Demographics {
		u.nameHash = j.hash(strings.ToLower(s.Text("givenName")), strings.ToLower(s.Text("familyName")))
	}
}

// SDS-U01, SDS-U02
func userMembers(j *judge, s *subject) {
	j.missing(s, "SDS-U01", "username", "givenName", "familyName", "identifier")
	j.follow(s, j.required(s, "SDS-U02", "orgs", orgRefs), j.hasOrg)
}

// SDS-U03, and SDS-U09 for an address that nobody is matched by.
func userMatch(j *judge, s *subject) {
	group := j.users[s.id].group
	field := j.matchedBy(group)
	mail := s.Text("email")
	if mail != "" && field != "email" && !first(j.mails, j.holder(group, "email", mail)) {
		j.find(s, "SDS-U09", "email", mail, "another user of the same kind has this address")
	}
	if field == "" {
		return
	}
	value := s.Text(field)
	switch {
	case value == "" && field == "email": // SDS-U01 speaks of a missing username
		j.milder(s, "SDS-U03", Warning, field, written(s.Object[field]),
			"there is no email, by which the person would be matched")
	case value == "":
	case j.holders[j.holder(group, field, value)] > 1:
		j.find(s, "SDS-U03", field, value, fmt.Sprintf("more than one of the same group has this %s", field))
	case field == "email" && !isAddress(value):
		j.milder(s, "SDS-U03", Warning, field, value, "this is no e-mail address")
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
	j.optional(s, "agents", func(id string) bool { return j.users[id] != nil })
	if !j.Contacts {
		return
	}
	for _, a := range s.Refs("agents") {
		u := j.users[a.ID]
		if u == nil || (u.group == Contact) == (j.users[s.id].group == Contact) {
			continue
		}
		if !j.links[j.hash(a.ID, s.id)] {
			j.find(s, "SDS-U06", "agents", a.ID, fmt.Sprintf("%q does not name this user among its agents",
				a.ID))
		}
	}
}

// SDS-U07
func userValues(j *judge, s *subject) {
	role := s.Text("role")
	switch {
	case strings.EqualFold(role, "aide"):
		j.milder(s, "SDS-U07", Advice, "role", role,
			"aide is not on the list that Microsoft publishes, though its examples have it")
	case GroupOf(role) == Other && !strings.EqualFold(role, "other"):
		j.find(s, "SDS-U07", "role", written(s.Object["role"]),
			"no role that School Data Sync knows: the person is in no group")
	}
	for _, g := range s.Texts("grades") {
		if !isGrade(g) {
			j.find(s, "SDS-U07", "grades", g, fmt.Sprintf("%q is no grade of the CEDS list", g))
		}
	}
	for _, name := range []string{"phone", "sms"} {
		if n := s.Text(name); n != "" && !phoneForm.MatchString(n) {
			j.find(s, "SDS-U07", name, n, "no phone number as E.164 writes it: +, country, number")
		}
	}
	_, unknown := Flags(s.Object)
	for _, f := range unknown {
		j.find(s, "SDS-U07", "metadata."+oneroster.UserFlags, f, fmt.Sprintf("%q is no user flag", f))
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
			j.find(s, "SDS-U08", name, s.Text(name), fmt.Sprintf("%s has the character %U", name, c))
		}
	}
}

var truths = []string{"americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican",
	"nativeHawaiianOrOtherPacificIslander", "white", "demographicRaceTwoOrMoreRaces",
	"hispanicOrLatinoEthnicity"}

// SDS-D01, and SDS-U09 for two of one name and birth date.
func demographicsMembers(j *judge, s *subject) {
	if !j.hasUser(s.id) {
		j.find(s, "SDS-D01", "sourcedId", s.id, "no user has this sourcedId, or it was dropped")
	}
	for _, name := range truths {
		v, there := s.Object[name]
		text, ok := v.(string)
		ok = ok && (strings.EqualFold(text, "true") || strings.EqualFold(text, "false"))
		if there && v != nil && !ok {
			j.find(s, "SDS-D01", name, written(v), name+` is not the text "true" or "false"`)
		}
	}
	birth, there := s.Object["birthDate"]
	if there && birth != nil && Day(written(birth)).IsZero() {
		j.find(s, "SDS-D01", "birthDate", written(birth), "birthDate is no date such as 2012-01-31")
		return
	}
	if u := j.users[s.id]; u != nil && there && birth != nil && !first(j.births,
		u.nameHash^j.hash(written(birth))) {
		j.say(&subject{resource: "user", id: s.id}, ByID("SDS-U09"), "birthDate", "",
			"another user has the same name and birth date")
	}
}
