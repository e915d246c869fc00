package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// What was answered is there when the service is killed while many write at once, and an
// object is wholly what one of them wrote.
func TestAnsweredWritesOutliveAKill(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		_, err := s.Import(t.Context(), sandbox.New(sandbox.Options{Students: 40, Seed: 7,
			Today: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}), store.ImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		results := recordsOf(t, s, "result")[:16]
		served := writing(t, t.TempDir(), dsn)
		answered := make([]int64, len(results)) // the last score of each, and what was being written after
		var total atomic.Int64
		var all sync.WaitGroup
		for i, r := range results {
			all.Go(func() {
				c, err := net.Dial("tcp", served.host)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				answers := bufio.NewReader(c)
				for score := int64(1); putScore(c, answers, served, r, score) == nil; score++ {
					answered[i] = score
					if total.Add(1) == 500 {
						_ = served.process.Kill()
					}
				}
			})
		}
		all.Wait()
		if total.Load() < 500 {
			t.Fatalf("%d were answered", total.Load())
		}
		_ = s.Close()
		s = storetest.Open(t, dsn, store.Options{})
		for _, r := range recordsOf(t, s, "result") {
			for i := range results {
				if results[i].ID() != r.ID() {
					continue
				}
				score, err := strconv.ParseInt(r.Get("score"), 10, 64)
				if err != nil || score < answered[i] || score > answered[i]+1 {
					t.Errorf("%s is %s, %d was answered", r.ID(), fmt.Sprint(r.Values), answered[i])
				}
			}
		}
	})
}

// recordsOf are those of a resource, in the order of the list.
func recordsOf(t testing.TB, s *store.Store, resource string) (out []oneroster.Record) {
	t.Helper()
	err := s.Snapshot(t.Context(), func(each func(*oneroster.Resource,
		func(oneroster.Record) error) error) error {
		return each(oneroster.ByName(resource), func(r oneroster.Record) error {
			out = append(out, r)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
