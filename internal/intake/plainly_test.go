package intake_test

import (
	"strings"
	"testing"

	"rollbook/internal/intake"
)

// Each guard has words that name nobody.
func TestPlainly(t *testing.T) {
	t.Parallel()
	guards := []string{"empties", "without", "calendar"}
	for _, s := range intake.Settings {
		if guard, is := strings.CutPrefix(s.Name, "guard-"); is {
			guards = append(guards, guard)
		}
	}
	for _, guard := range guards {
		d := intake.Document{}
		d.Objections = []intake.Objection{{Guard: guard, Resource: "users", Count: 1510, Of: 3000,
			Text: "Zoë Secretname would go"}, {Guard: guard}}
		got := d.Plainly()
		if strings.Contains(got, "Secretname") || strings.ContainsAny(got, "{}") ||
			!strings.Contains(got, " ("+guard+")") || strings.HasPrefix(got, "a guard objects") {
			t.Errorf("%s: %s", guard, got)
		}
	}
	d := intake.Document{}
	d.Objections = []intake.Objection{{Guard: "loss", Resource: "users", Count: 1510, Of: 3000},
		{Guard: "loss", Resource: "users", Count: 1510, Of: 3000},
		{Guard: "without", Resource: "classes", Count: 2}}
	if got := d.Plainly(); got != "1,510 of 3,000 users would go (loss); 2 classes would be left without "+
		"what they need (without)" {
		t.Error(got)
	}
}
