package intake_test

import (
	"testing"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// Accounts of those who left are not enabled all at once; a summer's end, a correction and those
// who come back are no such night.
func TestReturns(t *testing.T) {
	whole := gather(t, sandbox.New(sandbox.Options{Students: 120, Today: monday}))
	enabled := func(n int) func(district) {
		return func(d district) {
			for _, rec := range d.some("user", n, is("enabledUser", "false")) {
				rec.Set("enabledUser", "true")
			}
		}
	}
	for _, c := range []struct {
		name  string
		left  int
		do    func(district)
		x     intake.Context
		holds bool
	}{
		{"all who left are enabled", 20, enabled(20), intake.Context{}, true},
		{"most who left are", 20, enabled(11), intake.Context{}, true},
		{"half of them are", 20, enabled(10), intake.Context{}, false},
		{"ten of fifteen are", 15, enabled(10), intake.Context{}, true},
		{"nine are enabled", 9, enabled(9), intake.Context{}, false},
		{"those who left come back, to classes", 20, func(d district) {
			for _, rec := range d.some("user", 20, is("enabledUser", "false")) {
				rec.Set("enabledUser", "true")
				d.enroll(rec, d.some("class", 1, is("school", rec.Get("orgs")))[0], "student")
			}
		}, intake.Context{}, false},
		{"all who were disabled by mistake are enabled", 120, enabled(120), intake.Context{}, false},
		{"accounts are enabled before there are classes", 20, func(d district) {
			enabled(20)(d)
			delete(d, oneroster.ByName("class"))
		}, intake.Context{}, false},
		{"on a day that only adds", 20, enabled(20), intake.Context{Day: intake.AddsOnly}, false},
		{"with the year", 20, enabled(20), intake.Context{Day: intake.Rollover}, false},
		{"by a rollback", 20, enabled(20), intake.Context{Back: true}, false},
		{"accounts of parents are enabled", 0, func(d district) { d.set("user", "enabledUser", "true") },
			intake.Context{}, false},
	} {
		before := whole.clone()
		before.left(c.left)
		if c.left == 0 {
			for _, rec := range before.some("user", 30, is("role", "parent", "guardian")) {
				rec.Set("enabledUser", "false")
			}
		}
		after := before.clone()
		c.do(after)
		held := false
		for _, o := range judge(t, newNight(before, after), c.x).Objections {
			held = held || o.Guard == "returns"
		}
		if held != c.holds {
			t.Errorf("%s: held is %t", c.name, held)
		}
	}
}
