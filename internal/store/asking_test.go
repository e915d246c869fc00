package store

import (
	"testing"
	"time"
)

// A lease ends by the clock that never jumps, and by the one that does: the first stands still
// while a virtual machine does.
func TestLeaseEnds(t *testing.T) {
	at := time.Now()
	for name, c := range map[string]struct {
		asked, now time.Time
		over       bool
	}{
		"at once":                         {at, at, false},
		"nearly":                          {at, at.Add(leaseTime - 1), false},
		"just":                            {at, at.Add(leaseTime), true},
		"later by the wall clock alone":   {at.Round(0), at.Round(0).Add(leaseTime), true},
		"earlier by the wall clock alone": {at.Round(0), at.Round(0).Add(-1), true},
	} {
		if got := (&lease{asked: c.asked}).over(c.now); got != c.over {
			t.Errorf("%s: over is %v", name, got)
		}
	}
}

// Who asked later is right, whoever is answered last.
func TestLatestLease(t *testing.T) {
	var ls leases
	first := &lease{asked: time.Now()}
	second := &lease{asked: first.asked.Add(1)}
	ls.take(second)
	ls.take(first)
	if ls.latest.Load() != second {
		t.Error("the earlier one is kept")
	}
}
