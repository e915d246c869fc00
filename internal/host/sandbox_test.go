package host_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/feed"
	"rollbook/internal/host"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// A sandbox is on each day what its life has, whatever clients wrote and whenever a day was broken off;
// what they wrote stays until the reset.
func TestSandbox(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	storetest.Engines(t, func(t *testing.T, dsn string) {
		ctx := t.Context()
		opt := host.Options{Options: store.Options{Throwaway: true}}
		d, err := host.Open(ctx, dsn, filepath.Join(t.TempDir(), "key"), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		begun := time.Now()
		s := host.Sandbox{Students: 30, Seed: 3, Reset: "weekly", Schedule: feed.Schedule{Every: "24h"}}
		if err := d.Live(ctx, s); err != nil {
			t.Fatal(err)
		}
		if err := d.Live(ctx, s); err == nil {
			t.Error("a district that holds something became a sandbox")
		}
		written := storetest.Rec("category", "sourcedId", "ours", "title", "Ours")
		if _, _, err := d.Put(ctx, written); err != nil {
			t.Fatal(err)
		}
		life := sandbox.NewLife(sandbox.Options{Students: 30, Seed: 3, Today: begun})
		same := func(more ...string) {
			t.Helper()
			want := append(records(t, life), more...)
			slices.Sort(want)
			if have := active(t, d); !slices.Equal(have, want) {
				t.Errorf("day %d: %d records, which are not the %d of the life", life.Day(), len(have),
					len(want))
			}
		}
		day := func(text string) {
			t.Helper()
			life.Step()
			run, err := d.Feeds(nil).Run(ctx, store.FeedSandbox, "life")
			if err != nil || !strings.Contains(run.Text, text) {
				t.Error(run, err)
			}
		}
		same("categories/ours")
		day("day 1, ")
		day("day 2, ")
		same("categories/ours")
		forget := func(old, new string) {
			t.Helper()
			turn, ctx, err := d.TakeTurn(ctx, store.FeedSandbox, "life", "")
			if err != nil {
				t.Fatal(err)
			}
			turn.Memory = strings.ReplaceAll(turn.Memory, old, new)
			if err := turn.End(ctx, store.Run{State: store.RunDone}, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		life.Step()
		if _, err := d.Feeds(nil).Run(ctx, store.FeedSandbox, "life"); err != nil {
			t.Fatal(err)
		}
		forget(`"day":3`, `"day":2`) // the process was killed before it could remember
		if run, err := d.Feeds(nil).Run(ctx, store.FeedSandbox, "life"); err != nil ||
			!strings.Contains(run.Text, ": 0 added, 0 changed, 0 retired") {
			t.Error(run, err)
		}
		same("categories/ours")
		forget(`"week":"2`, `"week":"1`)
		day("what clients wrote is gone")
		same()
	})
}

// records are those of a source, as collection/sourcedId.
func records(t *testing.T, from oneroster.Source) (out []string) {
	err := from.Records(t.Context(), func(row oneroster.Row) error {
		if row.Values[oneroster.Status] != oneroster.ToBeDeleted {
			out = append(out, row.Resource.Plural+"/"+row.Values[oneroster.SourcedID])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// active are the active records of a district.
func active(t *testing.T, d *host.District) (out []string) {
	for _, r := range oneroster.Resources() {
		err := d.ActiveIDs(context.Background(), r, func(id string) error {
			out = append(out, r.Plural+"/"+id)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(out)
	return out
}
