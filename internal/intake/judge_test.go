package intake_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

// A night is a publication: a district before and after.
type night struct {
	before, after district
	without       []intake.Without
	local         map[*oneroster.Resource]bool // not imported
}

func newNight(before, after district) *night {
	n := &night{before: before}
	n.after, n.without = after.closed()
	return n
}

func each(list []oneroster.Record, yield func(oneroster.Record) error) error {
	for _, rec := range list {
		if err := yield(rec); err != nil {
			return err
		}
	}
	return nil
}

func (n *night) Before(_ context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	return each(n.before[r], yield)
}

func (n *night) After(_ context.Context, r *oneroster.Resource, yield func(oneroster.Record) error) error {
	return each(n.after[r], yield)
}

func (n *night) Differences(_ context.Context, yield func(before, after oneroster.Record) error) error {
	for _, r := range oneroster.Resources() {
		then := map[string]oneroster.Record{}
		for _, rec := range n.after[r] {
			then[rec.ID()] = rec
		}
		for _, rec := range n.before[r] {
			now := then[rec.ID()]
			delete(then, rec.ID())
			if slices.Equal(rec.Values, now.Values) {
				continue
			}
			if err := yield(rec, now); err != nil {
				return err
			}
		}
		for _, rec := range n.after[r] {
			if _, isNew := then[rec.ID()]; isNew {
				if err := yield(oneroster.Record{}, rec); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (n *night) Imported(r *oneroster.Resource) int {
	if n.local[r] {
		return 0
	}
	return len(n.before[r])
}

func (n *night) Without() []intake.Without { return n.without }

func judge(t *testing.T, n *night, x intake.Context) intake.Verdict {
	t.Helper()
	return judged(t, n, nil, x)
}

func judged(t *testing.T, n *night, limits intake.Limits, x intake.Context) intake.Verdict {
	t.Helper()
	if x.Today.IsZero() {
		x.Today = monday
	}
	v, err := intake.Judge(context.Background(), n, limits, x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// guards that object, each once.
func guards(v intake.Verdict) string {
	var out []string
	for _, o := range v.Objections {
		out = append(out, o.Guard)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

// said is what a guard says, a line each.
func said(v intake.Verdict, guard string) string {
	var out []string
	for _, o := range v.Objections {
		if o.Guard == guard {
			out = append(out, o.Text)
		}
	}
	return strings.Join(out, "\n")
}

var monday = time.Date(2026, 9, 14, 0, 0, 0, 0, time.UTC)

func TestNights(t *testing.T) {
	whole := gather(t, sandbox.New(sandbox.Options{Students: 360, Today: monday}))
	held := 0
	badNights := append(badNights, anyDay...)
	for _, c := range badNights {
		after := whole.clone()
		c.spoil(after)
		v := judge(t, newNight(whole, after), intake.Context{})
		if got := guards(v); !slices.Contains(strings.Fields(got), c.guard) {
			t.Errorf("%s: %s must hold it, not %q", c.name, c.guard, got)
		} else {
			held++
		}
		if testing.Verbose() {
			t.Log(c.name)
			for _, o := range v.Objections {
				t.Log("   ", o.Guard, o.Text)
			}
		}
	}
	for _, c := range anyDay { // also on the day of a rollover
		after := whole.clone()
		c.spoil(after)
		v := judge(t, newNight(whole, after), intake.Context{Day: intake.Rollover})
		if got := guards(v); !slices.Contains(strings.Fields(got), c.guard) {
			t.Errorf("%s, on the day of a rollover: %s must hold it, not %q", c.name, c.guard, got)
		}
	}
	after := whole.clone()
	after.edit("user", func(rec oneroster.Record) {
		rec.Set("grades", strings.TrimPrefix(rec.Get("grades"), "0"))
	})
	if got := guards(judge(t, newNight(whole, after), intake.Context{Day: intake.Rollover})); got != "falls" {
		t.Errorf("grades without their zeros, on the day of a rollover: %q", got)
	}
	half := whole.clone()
	half.drop("user", every(2))
	half, _ = half.closed()
	if got := guards(judge(t, newNight(whole, half), intake.Context{Day: intake.Rollover})); !strings.Contains(got,
		"loss") {
		t.Errorf("half of the people gone on the day of a rollover: loss must hold it, not %q", got)
	}
	nights, stopped := 0, 0
	pass := func(name string, n *night, x intake.Context) {
		nights++
		if v := judge(t, n, x); len(v.Objections) > 0 {
			stopped++
			t.Errorf("%s is held: %+v", name, v.Objections)
		}
	}
	for _, opt := range []sandbox.Options{{Students: 360, Today: monday},
		{Students: 200, Seed: 2, Today: monday},
		{Students: 90, Seed: 5, Today: monday}} {
		life := sandbox.NewLife(opt)
		before := gather(t, life)
		lastYear := before
		for range 22 {
			life.Step()
			after := gather(t, life)
			x := intake.Context{Day: intake.Ordinary}
			x.Today, _ = time.Parse(time.DateOnly, life.Date())
			if life.Day() == 21 {
				x.Day = intake.Rollover
				if opt.Students == 360 && guards(judge(t, newNight(before, after), intake.Context{})) == "" {
					t.Error("a rollover that nobody announced is not held")
				}
			}
			pass(fmt.Sprintf("%d students, day %d", opt.Students, life.Day()), newNight(before, after), x)
			before = after
		}
		if guards(judge(t, newNight(before, lastYear), intake.Context{})) == "" {
			t.Errorf("%d students: last year's package is not held", opt.Students)
		}
	}
	for name, n := range ordinary(t, whole) {
		pass(name, n.night, n.Context)
	}
	t.Logf("%d bad nights, %d held: recall %.3f; %d ordinary nights, %d held: precision %.3f", len(badNights),
		held, float64(held)/float64(len(badNights)), nights, stopped, float64(held)/float64(held+stopped))
}
