package sds_test

import (
	"strings"
	"testing"

	"rollbook/internal/sandbox/odd"
	"rollbook/internal/sds"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Of an odd district that School Data Sync takes, the first run is full and the second a delta that
// changes nothing; what it does not take ends the run as X01, and nothing else does.
func TestOddDistricts(t *testing.T) {
	wrong := map[string]bool{ // in what School Data Sync reads
		"texts that are equal everywhere": true, // addresses of several people, and none of them an address
		"texts that look like filters":    true, // signs that no name may have
		"one year long ago":               true, // a school year that ends before it may begin
	}
	for _, d := range odd.Districts() {
		t.Run(d.Name, func(t *testing.T) {
			s := serve(t, storetest.Bulk(), store.Options{})
			for _, src := range d.Imports {
				s.take(t, src)
			}
			first, _, err := s.sync(t, nil)
			if err != nil {
				if first.Status != sds.Failed || !strings.HasPrefix(first.Stopped, "SDS-X01: ") {
					t.Errorf("%+v, %v", first, err)
				}
				return
			}
			if (first.Status == sds.CompletedWithErrors) != wrong[d.Name] {
				t.Errorf("%+v", first)
			}
			again, _, err := s.sync(t, nil)
			if err != nil || again.Kind != "delta" || again.Status != first.Status ||
				again.Counts != first.Counts {
				t.Errorf("first %+v, then %+v, %v", first, again, err)
			}
		})
	}
}
