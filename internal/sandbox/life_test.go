package sandbox_test

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

var lives = []sandbox.Options{
	{Students: 12, Today: date(2026, 9, 1)}, {Students: 60, Seed: 7, Today: date(2026, 9, 1)},
	{Students: 100, Seed: 3, Today: date(2026, 12, 18)},
	{Students: 300, Seed: 2, Today: date(2026, 7, 20)}, {Students: 1020, Seed: 5, Today: date(2027, 2, 3)},
}

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func state(t *testing.T, l *sandbox.Life) []oneroster.Record {
	t.Helper()
	var out []oneroster.Record
	if err := l.Records(context.Background(),
		func(r oneroster.Row) error { out = append(out, r.Record); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every day is a sound district, and its log is what really differs from the
// day before.
func TestEveryDayIsSoundAndItsLogTrue(t *testing.T) {
	for _, opt := range lives {
		t.Run(fmt.Sprint(opt.Students), func(t *testing.T) {
			l := sandbox.NewLife(opt)
			before := served(state(t, l))
			used := map[string]bool{}
			for key := range before {
				used[key] = true
			}
			for range 40 {
				log := l.Step()
				records := state(t, l)
				soundDistrict(t, records)
				soundClasses(t, records)
				soundFacts(t, l, records)
				now := served(records)
				var want, got []string
				for key, text := range now {
					switch was, ok := before[key]; {
					case !ok:
						want = append(want, "added "+key)
						if used[key] {
							t.Errorf("day %d: %s is used again", l.Day(), key)
						}
						used[key] = true
					case was != text:
						want = append(want, "changed "+key)
					}
				}
				for key := range before {
					if _, ok := now[key]; !ok {
						want = append(want, "retired "+key)
					}
				}
				for _, c := range log {
					got = append(got, c.Op+" "+c.Resource+"/"+c.SourcedID)
					if c.Day != l.Day() || c.Date != l.Date() || c.What == "" || strings.Contains(c.What,
						"  ") {
						t.Errorf("day %d, %s: %+v", l.Day(), l.Date(), c)
					}
				}
				sort.Strings(want)
				sort.Strings(got)
				if !slices.Equal(got, want) {
					t.Errorf("day %d: the log has %q too much and lacks %q", l.Day(), without(got, want),
						without(want, got))
				}
				if len(want) == 0 {
					t.Errorf("day %d: nothing changed", l.Day())
				}
				before = now
				if t.Failed() {
					return
				}
			}
		})
	}
}

// A life of 400 days, three rollovers long, stays sound, and its schools stay open.
func TestLongLife(t *testing.T) {
	for _, students := range []int{12, 90} {
		l := sandbox.NewLife(sandbox.Options{Students: students, Seed: 9, Today: date(2026, 9, 1)})
		for range 400 {
			l.Step()
			if d := l.Day() % 180; d != 20 && d != 21 && d != 100 {
				continue
			}
			records := state(t, l)
			soundDistrict(t, records)
			soundClasses(t, records)
			soundFacts(t, l, records)
			if n := l.Facts().Students; n < students/2 || n > 4*students+80 {
				t.Errorf("%d students, day %d: %d are left", students, l.Day(), n)
			}
			if t.Failed() {
				t.Fatalf("%d students, day %d, %s", students, l.Day(), l.Date())
			}
		}
		if year := l.Facts().SchoolYear; year != "2030" {
			t.Errorf("after 400 days the school year is %s", year)
		}
	}
}

func without(list, other []string) (out []string) {
	for _, x := range list {
		if !slices.Contains(other, x) {
			out = append(out, x)
		}
	}
	return out
}

// served is each record as a reader gets it: parents with their children, agents
// on both sides.
func served(records []oneroster.Record) map[string]string {
	children, agents := map[string][]string{}, map[string][]string{}
	for _, r := range records {
		if parent := r.Get("parent"); parent != "" {
			children[r.Resource.Plural+"/"+parent] = append(children[r.Resource.Plural+"/"+parent], r.ID())
		}
		for _, other := range oneroster.Items(r.Get("agents")) {
			agents[r.ID()] = append(agents[r.ID()], other)
			agents[other] = append(agents[other], r.ID())
		}
	}
	out := map[string]string{}
	for _, r := range records {
		key := r.Resource.Plural + "/" + r.ID()
		values := slices.Clone(r.Values)
		if i := r.Resource.Index("agents"); i >= 0 {
			values[i] = ""
			slices.Sort(agents[r.ID()])
			values = append(values, slices.Compact(agents[r.ID()])...)
		}
		slices.Sort(children[key])
		out[key] = strings.Join(values, "|") + " " + strings.Join(children[key], "|")
	}
	return out
}

// soundClasses looks at what ties classes, users and their schools together.
func soundClasses(t *testing.T, records []oneroster.Record) {
	t.Helper()
	byID := map[string]oneroster.Record{}
	roles := map[string]map[string]int{}
	for _, r := range records {
		byID[r.Resource.Name+"/"+r.ID()] = r
		if r.Resource.Name == "enrollment" {
			if roles[r.Get("class")] == nil {
				roles[r.Get("class")] = map[string]int{}
			}
			roles[r.Get("class")][r.Get("role")]++
			roles[r.Get("class")][r.Get("user")]++
		}
	}
	for _, r := range records {
		switch r.Resource.Name {
		case "class":
			if n := roles[r.ID()]; n["teacher"] == 0 || n["student"] == 0 {
				t.Errorf("class %s has %v", r.ID(), n)
			}
		case "enrollment":
			if class := byID["class/"+r.Get("class")]; class.Get("school") != r.Get("school") {
				t.Errorf("enrollment %s is at %s, its class at %s", r.ID(), r.Get("school"),
					class.Get("school"))
			}
			if user := byID["user/"+r.Get("user")]; user.Get("orgs") != r.Get("school") {
				t.Errorf("enrollment %s is at %s, its user at %s", r.ID(), r.Get("school"), user.Get("orgs"))
			}
			if roles[r.Get("class")][r.Get("user")] > 1 {
				t.Errorf("%s is twice in %s", r.Get("user"), r.Get("class"))
			}
		case "demographics":
			if _, ok := byID["user/"+r.ID()]; !ok {
				t.Errorf("demographics of nobody: %s", r.ID())
			}
		case "user":
			for _, other := range oneroster.Items(r.Get("agents")) {
				if !slices.Contains(oneroster.Items(byID["user/"+other].Get("agents")), r.ID()) {
					t.Errorf("%s is no agent of %s, who is one of theirs", r.ID(), other)
				}
			}
			if role := r.Get("role"); (role == "student" || role == "parent" || role == "guardian") &&
				r.Get("agents") == "" {
				t.Errorf("%s %s has no agents", role, r.ID())
			}
		}
	}
}

// soundFacts: what the facts name is there.
func soundFacts(t *testing.T, l *sandbox.Life, records []oneroster.Record) {
	t.Helper()
	facts := l.Facts()
	want := map[string]bool{"org/" + facts.School: true, "class/" + facts.Class: true, "classGroup/" +
		facts.ClassGroup: true, "user/a1": true, "user@" + facts.TeacherEmail: true,
		"academicSession/yr-" + facts.SchoolYear: true}
	students := 0
	for _, r := range records {
		delete(want, r.Resource.Name+"/"+r.ID())
		delete(want, r.Resource.Name+"@"+r.Get("email"))
		if r.Get("role") == "student" && r.Resource.Name == "user" {
			students++
		}
	}
	if len(want) > 0 || students != facts.Students {
		t.Errorf("day %d: %v are not there; %d students, not %d", l.Day(), want, students, facts.Students)
	}
	if first := sandbox.New(lives[0]).Facts().Class; l.Day() < 21 && facts.Class != first {
		t.Errorf("day %d: the first class is %s", l.Day(), facts.Class)
	}
}

// What a log may say; each within 30 days, whatever the seed.
var kinds = []string{
	"added users joined", "added demographics joined", "added enrollments takes", "retired users left",
	"retired demographics left", "changed users left",
	"changed users moved to", "retired enrollments no longer takes", "changed users is now called",
	"changed users has a new e-mail address",
	"changed users has a new phone", "added users is a new guardian of",
	"retired users has no child here any more", "added users in place of",
	"added enrollments teaches", "retired enrollments no longer teaches", "changed classes is now called",
	"added classes opened", "added lineItems in",
	"added results of", "changed results corrected", "changed results reads about", "retired results left",
	"changed classGroups joined", "added orgs has a",
	"changed orgs has a", "retired orgs any more", "added academicSessions Progress",
	"changed academicSessions Progress", "retired academicSessions ended",
	// the rollover
	"added academicSessions is planned", "retired academicSessions is long past",
	"changed courses is taught", "retired classes ended", "retired enrollments ended",
	"retired lineItems ended", "retired results ended", "retired categories ended",
	"added categories counts in", "changed users went up to grade",
	"retired users finished school", "added classes began",
}

func TestEverythingHappensWithinThirtyDays(t *testing.T) {
	for _, opt := range lives {
		for seed := range int64(3) {
			opt.Seed = seed
			l := sandbox.NewLife(opt)
			seen := map[string]bool{}
			for range 30 {
				for _, c := range l.Step() {
					for _, kind := range kinds {
						start, end, _ := strings.Cut(kind, " ")
						resource, says, _ := strings.Cut(end, " ")
						if c.Op == start && c.Resource == resource && strings.Contains(c.What, says) {
							seen[kind] = true
						}
					}
				}
			}
			for _, kind := range kinds {
				if !seen[kind] {
					t.Errorf("%d students, seed %d: no %q in 30 days", opt.Students, seed, kind)
				}
			}
		}
	}
}

func TestSameSeedSameDays(t *testing.T) {
	days := func(seed int64) string {
		out := ""
		l := sandbox.NewLife(sandbox.Options{Students: 80, Seed: seed, Today: date(2026, 9, 1)})
		for range 30 {
			out += fmt.Sprintf("%+v\n", l.Step())
		}
		for _, r := range state(t, l) {
			out += fmt.Sprintf("%q\n", r.Values)
		}
		return out
	}
	if one, again := days(1), days(1); one != again {
		t.Error("the same seed lived two lives")
	}
	if days(1) == days(2) {
		t.Error("two seeds lived the same life")
	}
}
