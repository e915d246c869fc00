package intake

import (
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/store/storetest"
)

// A source that is read once more, since others came between, has the same sum.
func TestDigestedTwice(t *testing.T) {
	d := &digested{Source: storetest.Bulk(storetest.Rec("org", "sourcedId", "o1", "name", "School"))}
	var sums []string
	for range 2 {
		if err := d.Records(t.Context(), func(oneroster.Row) error { return nil }); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, d.String())
	}
	if sums[0] == "" || sums[0] != sums[1] {
		t.Errorf("%q", sums)
	}
}
