package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/sds"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// BenchmarkSyncSDS holds what sync sds costs of a district that was imported a moment ago, so
// that every list is asked once more what has changed, against a district of a quarter: CPU
// of the reader in a first and in a second whole read, in a delta, and in a proof, the median
// of three rounds in turn. The cost may grow 1.3 times as much as the rows do. ROLLBOOK_PUPILS
// is how many students the larger one has.
func BenchmarkSyncSDS(b *testing.B) {
	students := 4000
	if text := os.Getenv("ROLLBOOK_PUPILS"); text != "" {
		var err error
		if students, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		var costs [2]map[string][]float64
		var rows [2]int
		for range 3 {
			for i, n := range []int{students, students / 4} {
				if costs[i] == nil {
					costs[i] = map[string][]float64{}
				}
				rows[i] = syncs(b, n, costs[i])
			}
		}
		fmt.Printf("%d and %d rows\n%-72s %10s %10s %8s %15s %8s\n", rows[0], rows[1],
			"work, s of CPU", "larger", "smaller", "ratio", "of three", "bar")
		for _, read := range reads {
			compared(b, "sync sds, "+read.name, costs[0][read.name], costs[1][read.name],
				1.3*float64(rows[0])/float64(rows[1]), true)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// reads are what syncs measures, in this order.
var reads = []struct{ name, kind, flag string }{
	{"first read", "full", "--full"}, {"second read", "full", "--full"},
	{"delta", "delta", "--full=false"}, {"proof", "delta", "--prove"},
}

// syncs imports a district, serves it, reads it, and adds what each read cost, in seconds of
// CPU. It returns how many rows a whole read brings.
func syncs(b *testing.B, students int, costs map[string][]float64) (rows int) {
	b.Helper()
	dir := b.TempDir()
	dsn := filepath.Join(dir, "district.db")
	s := storetest.Open(b, dsn, store.Options{})
	if _, err := s.Import(context.Background(), sandbox.New(sandbox.Options{Students: students, Seed: 7,
		Today: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}), store.ImportOptions{}); err != nil {
		b.Fatal(err)
	}
	base, _, _ := service(b, dir, dsn, "warm")
	added, err := program(dir, "client", "add", "sds", "--for", "sds", "--json", "--db", dsn).Output()
	var client struct{ ClientID, ClientSecret string }
	if err = errors.Join(err, json.Unmarshal(added, &client)); err != nil {
		b.Fatalf("%s %v", added, err)
	}
	for _, read := range reads {
		cmd := program(dir, "sync", "sds", base, "--token-url", base[:len(base)-len(oneroster.V1p1.Base)]+
			"/token", "--client", client.ClientID, "--secret", client.ClientSecret, "--limit", "500", "--json",
			read.flag)
		cmd.Env = append(cmd.Env, "GOGC=100") // as its users have it
		out, err := cmd.Output()
		var report sds.Report
		if err = errors.Join(err, json.Unmarshal(out, &report)); err != nil || report.Kind != read.kind {
			b.Fatalf("%s: %s %v", read.name, out, err)
		}
		costs[read.name] = append(costs[read.name], (cmd.ProcessState.UserTime() +
			cmd.ProcessState.SystemTime()).Seconds())
		if read.name == "second read" {
			for _, c := range report.Collections {
				rows += c.Rows
			}
		}
	}
	return rows
}
