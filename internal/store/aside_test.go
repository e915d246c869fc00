package store

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// What is put aside is found again, in any order, while more is put and after it: in
// memory, in what was read of the file last, and anywhere else of it.
func TestAside(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	a := &aside{}
	var rows []*row
	var places []int64
	look := func(n int) {
		t.Helper()
		got, err := a.get(places[n])
		if err != nil {
			t.Fatalf("row %d of %d: %v", n, len(rows), err)
		}
		if !reflect.DeepEqual(got, rows[n]) {
			t.Fatalf("row %d of %d is %+v, not %+v", n, len(rows), got, rows[n])
		}
	}
	for n := range 4000 {
		size := []int{0, 3, 200, 2000}[rng.IntN(4)]
		if n%1500 == 700 {
			size = 3 << 19 // more than is written, or read, at once
		}
		text := strings.Repeat(string(rune('a'+rng.IntN(26))), size)
		r := &row{seq: int64(n) - 3, imported: rng.IntN(2) == 0, fresh: rng.IntN(2) == 0,
			hash: text[:size/2], stated: text[size/2:], values: []string{text, "", "ö"}}
		at, err := a.put(r)
		if err != nil {
			t.Fatal(err)
		}
		rows, places = append(rows, r), append(places, at)
		if n%7 == 0 {
			look(n)
			look(rng.IntN(n + 1))
		}
	}
	if a.file == nil || len(a.buf) == 0 || len(a.buf) >= 1<<20 {
		t.Errorf("%d bytes are in memory, the file is %v", len(a.buf), a.file)
	}
	for n := range rows {
		look(n)
	}
	for n := len(rows) - 1; n >= 0; n -= 3 {
		look(n)
	}
	if err := a.file.Truncate(places[len(places)/2]); err != nil {
		t.Fatal(err)
	}
	if _, err := a.get(places[len(places)/2]); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("of a file that is cut: %v", err)
	}
	if err := a.close(); err != nil || a.file != nil {
		t.Error(err)
	}
	if err := a.close(); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// Where there is no place for a plan, that is told.
func TestAsideWithoutRoom(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/gone")
	t.Setenv("TMP", t.TempDir()+"/gone")
	_, err := (&aside{}).put(&row{values: []string{strings.Repeat("x", 1<<20)}})
	if err == nil || !strings.HasPrefix(err.Error(), "a plan cannot be put aside: ") {
		t.Error(err)
	}
}

// A row that was put aside and is damaged is told, and never taken for another.
func TestAsideDamaged(t *testing.T) {
	for _, raw := range []string{"", "\x02", "\x80", "\x02\x00\x05abcd", "\x02\x00\xff"} {
		if r, err := unpackRow([]byte(raw)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %+v, %v", raw, r, err)
		}
	}
}
