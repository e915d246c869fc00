package edition_test

import (
	"strings"
	"testing"

	"rollbook/internal/edition"
)

// Whatever is gathered comes out as it went in, wherever the texts between pieces fill what is gathered.
func TestGather(t *testing.T) {
	t.Parallel()
	for over := -12; over <= 12; over++ {
		begin := strings.Repeat("a", edition.GatherBytes+over)
		for _, piece := range []string{"", "b", "bcd", strings.Repeat("b", edition.GatherBytes-1),
			strings.Repeat("b", edition.GatherBytes), strings.Repeat("b", 5*edition.GatherBytes)} {
			parts := []string{begin, piece, ",", piece, begin, "", "]}"}
			if got := edition.Gathered(parts...); got != strings.Join(parts, "") {
				t.Errorf("%d over, pieces of %d: %d bytes came", over, len(piece), len(got))
			}
		}
	}
}
