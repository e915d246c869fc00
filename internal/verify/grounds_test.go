package verify

import (
	"slices"
	"strings"
	"testing"
)

// What checks stand on is told by checks that there are, each before what it carries by name:
// later it would be of no effect.
func TestGrounds(t *testing.T) {
	known := map[string]bool{connect.ID: true}
	for i := range Checks {
		id := Checks[i].ID
		kind, _, dotted := strings.Cut(id, ".")
		if !dotted {
			kind, _, _ = strings.Cut(id, "-")
		}
		known[id], known[kind] = true, true
	}
	var before []string
	for _, g := range grounds {
		if !known[g.check] || slices.Contains(before, g.check) {
			t.Errorf("%s is no check, or stands there twice", g.check)
		}
		before = append(before, g.check)
		for _, word := range strings.Fields(g.carries) {
			if !known[word] {
				t.Errorf("%s carries %s, which is no check", g.check, word)
			}
			if slices.Contains(before, word) {
				t.Errorf("%s comes after %s, which it carries", g.check, word)
			}
		}
	}
	for _, h := range harms {
		for _, word := range strings.Fields(h.checks) {
			if !known[word] {
				t.Errorf("harm %s is of %s, which is no check", h.harm, word)
			}
		}
	}
}

// Where two failures tell of each other, one of them is told.
func TestNothingHangsOnItself(t *testing.T) {
	failed := func(id, target string) Result {
		at := slices.IndexFunc(Checks, func(c Check) bool { return c.ID == id })
		return Result{Check: &Checks[at], Target: target, State: Failed,
			Failures: []Failure{{Request: "GET http://h" + target, Status: 500}}}
	}
	r := Report{Results: []Result{failed("list.answer", "/classGroups"),
		failed("error.unknown-id", "/classGroups/{id}")}}
	judgeCauses(r.Results)
	if causes := r.Causes(); len(causes) != 1 || len(causes[0].Hang) != 1 {
		t.Errorf("%d causes of %+v", len(causes), r.Results)
	}
}
