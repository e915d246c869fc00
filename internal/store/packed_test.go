package store

import (
	"reflect"
	"strings"
	"testing"
)

// A row that is put aside is found again as it was.
func TestPackedRows(t *testing.T) {
	for _, r := range []*row{{seq: -3, imported: true, hash: "h", values: []string{"a", "", "ö"}},
		{seq: 1 << 40, fresh: true, stated: "x", values: []string{strings.Repeat("x", 300)}}} {
		got := &row{hash: "another", values: []string{"b", "c"}}
		if err := unpackRow(packRow(nil, r), got); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v is %+v, %v", r, got, err)
		}
	}
}

// Where there is no place for a plan, that is told.
func TestPlanWithoutRoom(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/gone")
	t.Setenv("TMP", t.TempDir()+"/gone")
	_, err := (&Plan{}).put(&row{values: []string{strings.Repeat("x", 1<<20)}})
	if err == nil || !strings.HasPrefix(err.Error(), "a plan cannot be put aside: ") {
		t.Error(err)
	}
}

// A row that was put aside and is damaged is told, and never taken for another.
func TestDamagedRows(t *testing.T) {
	for _, raw := range []string{"", "\x02", "\x80", "\x02\x00", "\x02\x00\x05abcd", "\x02\x00\xff"} {
		if err := unpackRow([]byte(raw), &row{}); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
