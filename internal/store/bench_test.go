package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Import of a made-up district into a new SQLite file, and of the same one again.
func BenchmarkImport(b *testing.B) {
	d := sandbox.New(sandbox.Options{Students: 2000})
	rows := 0
	for b.Loop() {
		s := storetest.Open(b, filepath.Join(b.TempDir(), "d.db"), store.Options{})
		report, err := s.Import(context.Background(), d, store.ImportOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range report.Counts {
			rows += c.Added
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkImportAgain(b *testing.B) {
	d := sandbox.New(sandbox.Options{Students: 2000})
	s := storetest.Open(b, filepath.Join(b.TempDir(), "d.db"), store.Options{})
	rows := 0
	for b.Loop() {
		report, err := s.Import(context.Background(), d, store.ImportOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range report.Counts {
			rows += c.Added + c.Same
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
