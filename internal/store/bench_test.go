package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		s := storetest.Open(b, filepath.Join(b.TempDir(), "d.db"), store.Options{})
		if _, err := s.Import(context.Background(), sandbox.New(sandbox.Options{Students: 500}), store.ImportOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
