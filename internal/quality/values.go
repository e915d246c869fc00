package quality

import (
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"

	"rollbook/internal/oneroster"
)

// What School Data Sync takes: wider than OneRoster where Microsoft's default
// lists of values are. Enumerations are compared without case.
var (
	orgTypes = union(values("org", "type"), set("departmentOfEducation ministryOfEducation localAuthority "+
		"academicTrust municipality region province division program university college campus "+
		"adultEducation researchCenter"))
	// aide is OneRoster's; Microsoft's published list lacks it.
	staffRoles = set("principal chair professor researcher adjunct affiliate occupationalTherapist " +
		"physicalTherapist speechTherapist visionTherapist paraprofessional specialServices advisor " +
		"proctor nurse officeStaff lecturer itAdmin administrator teacher faculty staff teacherAssistant " +
		"assistant instructor substitute coach alumni aide")
	contacts  = set(strings.Join(Contacts, " "))
	sessions  = values("academicSession", "type")
	enrolled  = values("user", "role") // all eight, of which 1.1 in the end left four
	userFlags = set(strings.Join(oneroster.FlagValues, " "))
	// CEDS entry grade levels, and the two that Microsoft's sample files show.
	gradeLevels = set("IT PR PK TK KG 01 02 03 04 05 06 07 08 09 10 11 12 13 PS PS1 PS2 PS3 PS4 UG Other")

	// Types of references, as the tests that Microsoft publishes take them.
	orgRefs     = union(orgTypes, set("org"))
	sessionRefs = union(sessions, set("academicSession"))
)

// Contacts are the roles of contacts.
var Contacts = []string{"parent", "guardian", "relative"}

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[strings.ToLower(w)] = true
	}
	return out
}

// values are those that OneRoster has for a member.
func values(resource, member string) map[string]bool {
	return set(strings.Join(oneroster.ByName(resource).Field(member).Enum, " "))
}

func union(a, b map[string]bool) map[string]bool {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func in(list map[string]bool, word string) bool { return list[strings.ToLower(word)] }

// A Group is how School Data Sync sorts people.
type Group uint8

const (
	Other Group = iota
	Staff
	Student
	Contact
)

// GroupOf sorts a role.
func GroupOf(role string) Group {
	switch {
	case strings.EqualFold(role, "student"):
		return Student
	case in(staffRoles, role):
		return Staff
	case in(contacts, role):
		return Contact
	}
	return Other
}

// isGrade takes '9' for '09', as School Data Sync does.
func isGrade(g string) bool {
	if len(g) == 1 && g[0] >= '1' && g[0] <= '9' {
		g = "0" + g
	}
	return in(gradeLevels, g)
}

var (
	phoneForm = regexp.MustCompile(`^\+[1-9]\d{1,14}$`) // E.164
	mailName  = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
)

// Instant reads a dateLastModified as the tests of Microsoft do: UTC, three digits of a
// second, Z.
func Instant(text string) (time.Time, bool) {
	const dot = len("2006-01-02T15:04:05") // time.Parse takes a comma too, and a sign behind it
	if len(text) != len(oneroster.TimeLayout) || text[dot] != '.' || text[dot+1] < '0' || text[dot+1] > '9' {
		return time.Time{}, false
	}
	t, err := time.Parse(oneroster.TimeLayout, text)
	return t, err == nil
}

// Day reads a date, strictly; the zero time when it is none.
func Day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// IsYear tells a year of four digits.
func IsYear(text string) bool { _, err := time.Parse("2006", text); return err == nil }

// isAddress takes addr-spec of RFC 5322 §3.4.1, and a domain with a dot.
func isAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || a.Name != "" {
		return false
	}
	_, domain, _ := strings.Cut(text, "@")
	return strings.Contains(strings.Trim(domain, "."), ".")
}

// unshowable is the first character that a display name cannot have.
func unshowable(name string) (rune, bool) {
	for _, c := range name {
		if unicode.IsControl(c) || c == unicode.ReplacementChar || c == '<' || c == '>' {
			return c, true
		}
	}
	return 0, false
}

// written is a JSON value as a person would write it.
func written(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	}
	return fmt.Sprint(v)
}

const (
	mostQuoted = 120 // bytes of a value
	mostSaid   = 600 // of what is said of it
)

// shortened bounds what a finding quotes.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
