package bulk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Of columns that come equally near the first by name is meant, always.
func TestDidYouMean(t *testing.T) {
	for range 20 {
		for col, want := range map[string]string{"nime": ": did you mean name?", "quite other": ""} {
			if got := didYouMean(col, map[string]int{"nume": 1, "name": 2, "type": 3}); got != want {
				t.Fatalf("%q: %q, not %q", col, got, want)
			}
		}
	}
}

// Grades of one digit are written with two; what is no grade by number stays.
func TestGrade(t *testing.T) {
	for g, want := range map[string]string{"1": "01", "9": "09", "0": "0", "K": "K", "-": "-", "10": "10",
		"": ""} {
		if got := grade(g); got != want {
			t.Errorf("%q: %q, not %q", g, got, want)
		}
	}
}

// Dates with slashes are read in either order; what is no date stays.
func TestISODate(t *testing.T) {
	for _, c := range []struct {
		text     string
		dayFirst bool
		want     string
	}{
		{"7/1/2017", false, "2017-07-01"}, {"7/1/2017", true, "2017-01-07"},
		{"12/31/1000", false, "1000-12-31"}, {"31/12/2017", true, "2017-12-31"},
		{"13/1/2017", false, "13/1/2017"}, {"0/1/2017", false, "0/1/2017"},
		{"1/0/2017", false, "1/0/2017"}, {"1/32/2017", false, "1/32/2017"}, {"1/1/999", false, "1/1/999"},
		{"1/1", false, "1/1"}, {"2017-01-07", false, "2017-01-07"}, {"", false, ""},
	} {
		if got := isoDate(c.text, c.dayFirst); got != c.want {
			t.Errorf("%q, day first is %v: %q, not %q", c.text, c.dayFirst, got, c.want)
		}
	}
}

// A word before or after the name of a file stands apart from it.
func TestSeparated(t *testing.T) {
	for text, want := range map[string]bool{"": false, "_": true, "-": true, ".": true, " ": true, "0": true,
		"9": true, "a": false, "+": false, "&": false, ":": false, "é": false} {
		if got := separated(text, 0); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A word of Windows-1252 is meant where a language of Western Europe writes so; text of
// another encoding that is read as such is not.
func TestPlausible(t *testing.T) {
	for _, c := range []struct {
		words string
		want  bool
	}{
		{"Müller Größe Ångström Þórður Ægir cœur Niño Conceição", true},
		{"François Õnne Béla Noël São", true},
		{"plain O'Neill's Lluïsa d’Arc Jean·Paul", true},
		{"MÃ¼ller FranÃ§ois NiÃ±o", false},                 // UTF-8
		{"Èâàíîâ Ïåòðîâ ÌÀÐÈß", false},                     // Cyrillic
		{"Åëëçíéêü ÐáðÜò", false},                          // Greek
		{"ƒoo µm aªb aºb a‚b a„b n¬a a¤ b£a ¡Ola¿", false}, // signs within words
		{"a³b x¹y n®o Anna»s", false},
	} {
		for _, w := range strings.Fields(c.words) {
			if got := plausible([]rune(w)); got != c.want {
				t.Errorf("%s: %v", w, got)
			}
		}
	}
}

// What a text is made of is the same however it comes in pieces.
func TestGlyphsInPieces(t *testing.T) {
	text := []byte("Müller,Größe\r\nfoo,M\xfcller\x00,b\xe4r z\xc3\n日本,\xe6")
	told := func(size int) string {
		var g glyphs
		for piece := range slices.Chunk(text, size) {
			g.take(piece)
		}
		g.end()
		return fmt.Sprintf("%q %d cr, %d lf, %d zeros, %d invalid, %d in UTF-8, %d and %d", g.words, g.crs,
			g.lfs, g.zeros, g.invalid, g.multibyte, g.high[0xe4], g.high[0xc3])
	}
	want := `["Müller" "Größe" "M\xfcller" "b\xe4r" "z\xc3" "日本" "\xe6"] 1 cr, 2 lf, 1 zeros, 4 invalid, ` +
		`5 in UTF-8, 1 and 4`
	for size := 1; size <= len(text); size++ {
		if got := told(size); got != want {
			t.Errorf("in pieces of %d bytes:\n%s\nnot\n%s", size, got, want)
		}
	}
}
