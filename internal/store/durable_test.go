package store

import (
	"context"
	"path/filepath"
	"testing"
)

// What was answered is on the disk, unless the district is thrown away.
func TestWritesWaitForTheDisk(t *testing.T) {
	for throwaway, want := range map[bool]int{false: 2, true: 0} { // FULL, OFF
		ctx := context.Background()
		s, err := Open(ctx, filepath.Join(t.TempDir(), "district.db"), Options{Throwaway: throwaway})
		if err != nil {
			t.Fatal(err)
		}
		var got int
		err = s.engine.write.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&got)
		if closed := s.Close(); err != nil || closed != nil || got != want {
			t.Errorf("throwaway %v: synchronous is %d, %v %v", throwaway, got, err, closed)
		}
	}
}
