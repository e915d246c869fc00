package sandbox_test

import (
	"context"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
)

func gather(t *testing.T, opt sandbox.Options) []oneroster.Record {
	t.Helper()
	var out []oneroster.Record
	err := sandbox.New(opt).Records(context.Background(),
		func(r oneroster.Row) error { out = append(out, r.Record); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every record is whole, its values are canonical, its references resolve, and
// no collection is too small for the published suites.
func TestDistrictIsSound(t *testing.T) {
	for _, opt := range []sandbox.Options{
		{Students: 1}, {Students: 300, Seed: 7}, {Students: 1700, Seed: 3, Today: time.Date(2026, 2, 3, 0,
			0, 0, 0, time.UTC)},
	} {
		soundDistrict(t, gather(t, opt))
	}
}

func soundDistrict(t *testing.T, records []oneroster.Record) {
	t.Helper()
	ids := map[string]bool{}
	unique := map[string]bool{}
	count := map[*oneroster.Resource]int{}
	for _, r := range records {
		key := r.Resource.Name + "/" + r.ID()
		if ids[key] {
			t.Errorf("%s is there twice", key)
		}
		ids[key] = true
		count[r.Resource]++
		if r.Resource.Name == "user" {
			for _, f := range []string{"username", "email", "identifier"} {
				if v := f + "=" + r.Get(f); r.Get(f) == "" || unique[v] {
					t.Errorf("%s: %s is missing or not unique", key, v)
				} else {
					unique[v] = true
				}
			}
		}
	}
	for _, r := range oneroster.Resources() {
		if count[r] < 3 {
			t.Errorf("%d %s", count[r], r.Plural)
		}
	}
	for _, r := range records {
		for _, p := range oneroster.Check(r) {
			t.Errorf("%s %s: %s %s", r.Resource.Name, r.ID(), p.Field, p.Text)
		}
		for i := range r.Resource.Fields {
			sound(t, ids, r, &r.Resource.Fields[i], r.Values[i])
		}
	}
	if !ids["user/a1"] {
		t.Error("there is no student a1")
	}
}

func sound(t *testing.T, ids map[string]bool, r oneroster.Record, f *oneroster.Field, value string) {
	if f.Kind == oneroster.Metadata || f.Kind == oneroster.UserIDs || value == "" {
		return
	}
	items := []string{value}
	if f.Kind.IsList() {
		items = oneroster.Items(value)
	}
	for _, it := range items {
		if got, err := f.Parse(it); err != nil || got != it {
			t.Errorf("%s %s: %s %q is not canonical: %q %v", r.Resource.Name, r.ID(), f.Name, it, got, err)
		}
		if f.To != "" && !ids[f.To+"/"+it] {
			t.Errorf("%s %s: %s points at %q, which is not there", r.Resource.Name, r.ID(), f.Name, it)
		}
	}
}

func TestSameSeedSameDistrict(t *testing.T) {
	day := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	text := func(seed int64) string {
		out := ""
		for _, r := range gather(t, sandbox.Options{Students: 60, Seed: seed, Today: day}) {
			for _, v := range r.Values {
				out += v + "\n"
			}
		}
		return out
	}
	if one, again := text(1), text(1); one != again {
		t.Error("the same seed made two districts")
	}
	if text(1) == text(2) {
		t.Error("two seeds made the same district")
	}
}
