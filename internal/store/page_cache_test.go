package store

import (
	"context"
	"errors"
	"strconv"
	"testing"
)

// The sets that were read last are kept, each in the version that was read last.
func TestPageCache(t *testing.T) {
	c := newPageCache()
	key := func(n int) string { return "set " + strconv.Itoa(n) }
	kept := func(n int, version int64) int {
		s, ok := c.get(key(n), version)
		if ok != (s.key == key(n)) {
			t.Errorf("set %d is there: %v, as %q", n, ok, s.key)
		}
		return s.total
	}
	for n := range keptSets {
		c.put(set{key: key(n), version: 1, total: 5})
	}
	c.put(set{key: key(1), version: 2, total: 6})
	if kept(0, 1) != 5 || kept(1, 1) != 0 || kept(1, 2) != 6 || kept(2, 2) != 0 {
		t.Errorf("%d, %d, %d and %d", kept(0, 1), kept(1, 1), kept(1, 2), kept(2, 2))
	}
	for n := range keptSets - 2 { // all but 0 and 1, which were read since, make room
		c.put(set{key: key(1000 + n), version: 1, total: 7})
	}
	if kept(0, 1) != 5 || kept(1, 2) != 6 || kept(2, 1) != 0 || kept(1000, 1) != 7 {
		t.Errorf("%d, %d, %d and %d", kept(0, 1), kept(1, 2), kept(2, 1), kept(1000, 1))
	}
	if len(c.sets) != keptSets || c.used.Len() != keptSets {
		t.Errorf("%d and %d sets are kept", len(c.sets), c.used.Len())
	}
}

// Of those who want one set, one makes it at a time; who does not want it any more is let go.
func TestPageCacheInTurn(t *testing.T) {
	c := newPageCache()
	done, err := c.make(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.make(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.make(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("who is gone gets a turn: %v", err)
	}
	turn := make(chan error)
	go func() {
		_, err := c.make(t.Context(), "a")
		turn <- err
	}()
	select {
	case err := <-turn:
		t.Errorf("two have the turn: %v", err)
		return
	default:
	}
	done()
	if err := <-turn; err != nil {
		t.Error(err)
	}
}
