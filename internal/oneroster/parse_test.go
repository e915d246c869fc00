package oneroster_test

import (
	"testing"

	"rollbook/internal/oneroster"
)

// A value is read as it was meant, or refused; "!" stands for a refusal.
func TestParse(t *testing.T) {
	for _, c := range []struct{ resource, field, text, want string }{
		{"academicSession", "startDate", "2025-08-15", "2025-08-15"},
		{"academicSession", "startDate", "2025-02-28", "2025-02-28"},
		{"academicSession", "startDate", "2025-12-31", "2025-12-31"},
		{"academicSession", "startDate", "2025-02-29", "!"},
		{"academicSession", "startDate", "2025-00-10", "!"},
		{"academicSession", "startDate", "2025-13-10", "!"},
		{"academicSession", "startDate", "2025-10-00", "!"},
		{"academicSession", "startDate", "2025-1o-10", "!"},
		{"academicSession", "startDate", "2025.10.10", "!"},
		{"academicSession", "startDate", "2025-08-15T00:00:00+02:00", "2025-08-15"},
		{"academicSession", "startDate", "2025-08-15T00:00:00.000+0200", "2025-08-15"},
		{"academicSession", "endDate", "2025-08-15T00:00:00+02", "2025-08-15"},
		{"academicSession", "endDate", "2025-08-15 00:00:00+02:00", "2025-08-15"},
		{"enrollment", "beginDate", "2025-08-15T23:30:00-05:00", "2025-08-15"},
		{"enrollment", "endDate", "2025-08-15T00:00+14:00", "2025-08-15"},
		{"enrollment", "endDate", "2025-08-15+02:00", "2025-08-15"},
		{"enrollment", "endDate", "2025-08-15Z", "2025-08-15"},
		{"enrollment", "endDate", "2025-08-15t00:00:00z", "2025-08-15"},
		{"demographics", "birthDate", "2012-02-29T00:00:00Z", "2012-02-29"},
		{"demographics", "birthDate", "2011-02-29T00:00:00Z", "!"},
		{"result", "scoreDate", "2025-08-15T00:00:00.1234567+02:00", "2025-08-15"},
		{"result", "scoreDate", "11/20/2026", "!"},
		{"result", "scoreDate", "10000-01-01", "!"},
		{"result", "scoreDate", "0000-01-01", "!"},
		{"lineItem", "dueDate", "2025-08-15T00:00:00+02:00", "2025-08-14T22:00:00.000Z"},
		{"lineItem", "dueDate", "2025-08-15", "2025-08-15T00:00:00.000Z"},
		{"lineItem", "dueDate", "9999-12-31T23:59:59-05:00", "!"},
		{"lineItem", "dueDate", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"},
		{"lineItem", "dueDate", "0001-01-01T00:00:00+05:00", "!"},
		{"lineItem", "dueDate", "0000-06-01T00:00:00Z", "!"},
		{"lineItem", "dueDate", "0001-01-01", "0001-01-01T00:00:00.000Z"},
		{"result", "score", "9.50", "9.5"},
		{"result", "score", " +7. ", "7"},
		{"result", "score", ".5e1", "5"},
		{"result", "score", "1_000", "!"},
		{"result", "score", "0x10p1", "!"},
		{"result", "score", "1e400", "!"},
		{"result", "score", "Infinity", "!"},
		{"result", "score", "nan", "!"},
		{"result", "score", "1,5", "!"},
		{"result", "score", "٣", "!"},
		{"user", "givenName", "a\tb\r\nc\rd\ne", "a b c d e"},
		{"user", "givenName", "a\x00b", "!"},
		{"user", "givenName", "a\x1bb", "!"},
		{"user", "givenName", "a\u0085b", "!"},
		{"user", "givenName", "a\x7fb", "!"},
		{"user", "givenName", "\x01a", "!"},
		{"user", "givenName", "a\xffb", "!"},
		{"user", "sourcedId", "a\tb", "a b"},
		{"user", "role", "Student", "student"},
		{"user", "role", "pupil", "!"},
		{"user", "enabledUser", "TRUE", "true"},
		{"user", "enabledUser", "1", "!"},
	} {
		got, err := oneroster.ByName(c.resource).Field(c.field).Parse(c.text)
		if err != nil {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%s.%s %q: %q, want %q (%v)", c.resource, c.field, c.text, got, c.want, err)
		}
	}
}
