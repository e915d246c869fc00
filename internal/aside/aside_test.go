package aside

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// What is put aside is found again, in any order, while more is put and after it: in
// memory, in what was read of the file last, and anywhere else of it.
func TestAside(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	a := &File{}
	var pieces [][]string
	var places []int64
	look := func(n int) {
		t.Helper()
		raw, next, err := a.Get(places[n])
		if err != nil {
			t.Fatalf("piece %d of %d: %v", n, len(pieces), err)
		}
		got, whole := Texts(string(raw), nil)
		if !whole || !slices.Equal(got, pieces[n]) {
			t.Fatalf("piece %d of %d is %q, not %q", n, len(pieces), got, pieces[n])
		}
		if end := append(places, a.End())[n+1]; next != end {
			t.Fatalf("piece %d of %d ends at %d, not %d", n, len(pieces), next, end)
		}
	}
	for n := range 4000 {
		size := []int{0, 3, 200, 2000}[rng.IntN(4)]
		if n%1500 == 700 {
			size = 3 << 19 // more than is written, or read, at once
		}
		text := strings.Repeat(string(rune('a'+rng.IntN(26))), size)
		piece := []string{text[:size/2], text[size/2:], text, "", "ö"}
		at, err := a.Put(func(buf []byte) []byte { return AppendTexts(buf, piece...) })
		if err != nil {
			t.Fatal(err)
		}
		pieces, places = append(pieces, piece), append(places, at)
		if n%7 == 0 {
			look(n)
			look(rng.IntN(n + 1))
		}
	}
	if a.file == nil || len(a.buf) == 0 || len(a.buf) >= 1<<20 {
		t.Errorf("%d bytes are in memory, the file is %v", len(a.buf), a.file)
	}
	for n := range pieces {
		look(n)
	}
	for n := len(pieces) - 1; n >= 0; n -= 3 {
		look(n)
	}
	if err := a.file.Truncate(places[len(places)/2]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Get(places[len(places)/2]); err == nil || !strings.Contains(err.Error(),
		"cannot be read") {
		t.Errorf("of a file that is cut: %v", err)
	}
	if err := a.Close(); err != nil || a.file != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("once more: %v", err)
	}
}
