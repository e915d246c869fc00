package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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
// that every list is asked once more what has changed, against a district of a quarter, and
// that against one of its quarter, down to a thousand students: CPU of the reader in a first
// and in a second whole read, in a delta, and in a proof, the median of three rounds in turn.
// The cost may grow 1.3 times as much as the rows do. ROLLBOOK_PUPILS is how many students
// the largest one has.
func BenchmarkSyncSDS(b *testing.B) {
	var sizes []int
	for n := pupils(b, "4000"); n >= 1000; n /= 4 {
		sizes = append(sizes, n)
	}
	for range b.N {
		costs := make([]map[string][]float64, len(sizes))
		rows := make([]int, len(sizes))
		for range 3 {
			for i, n := range sizes {
				if costs[i] == nil {
					costs[i] = map[string][]float64{}
				}
				rows[i] = syncs(b, n, costs[i])
			}
		}
		for i := range len(sizes) - 1 {
			fmt.Printf("%d and %d students, %d and %d rows\n%-72s %10s %10s %8s %15s %8s\n", sizes[i],
				sizes[i+1], rows[i], rows[i+1], "work, s of CPU", "larger", "smaller", "ratio", "of three",
				"bar")
			for _, read := range reads {
				compared(b, "sync sds, "+read.name, slices.Clone(costs[i][read.name]),
					slices.Clone(costs[i+1][read.name]), 1.3*float64(rows[i])/float64(rows[i+1]), true)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
}

// reads are what syncs measures, in this order.
var reads = []struct{ name, kind, flag string }{
	{"first read", "full", "--full"}, {"second read", "full", "--full"},
	{"delta", "delta", "--full=false"}, {"proof", "delta", "--prove"},
}

// syncs reads a district, and adds what each read cost, in seconds of CPU. It returns how many
// rows a whole read brings.
func syncs(b *testing.B, students int, costs map[string][]float64) (rows int) {
	b.Helper()
	ask := imported(b, students, "sds")
	for _, read := range reads {
		var report sds.Report
		used := ask(&report, "sync", "sds", "--limit", "500", read.flag)
		if report.Kind != read.kind {
			b.Fatalf("%s was %s", read.name, report.Kind)
		}
		costs[read.name] = append(costs[read.name], (used.UserTime() + used.SystemTime()).Seconds())
		if read.name == "second read" {
			for _, c := range report.Collections {
				rows += c.Rows
			}
		}
	}
	return rows
}

// BenchmarkVerify holds the memory of verify, of all profiles and all rows, to 512 MiB, however
// many students there are: ROLLBOOK_PUPILS=160000 makes 2.4 million rows.
func BenchmarkVerify(b *testing.B) {
	for range b.N {
		ask := imported(b, pupils(b, "4000"), "all")
		var report struct{ Rows map[string]int }
		used := ask(&report, "verify", "--profile", "all", "--rows", "100000000")
		rows := 0
		for _, n := range report.Rows {
			rows += n
		}
		memory := reflect.ValueOf(used.SysUsage()).Elem().FieldByName("Maxrss").Int() >> 10
		fmt.Printf("verify of %d rows: %.0f s of CPU, %d MiB of memory, the bar is ≤ 512\n", rows,
			(used.UserTime() + used.SystemTime()).Seconds(), memory)
		if memory > 512 {
			b.Errorf("verify takes %d MiB", memory)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// pupils is how many students a district has: ROLLBOOK_PUPILS, or as many as usual.
func pupils(b *testing.B, usual string) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("ROLLBOOK_PUPILS"), usual))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// imported imports a district and serves it. What it returns has it read by a verb, whose JSON
// goes into report.
func imported(b *testing.B, students int, reader string) func(report any, args ...string) *os.ProcessState {
	b.Helper()
	dir := b.TempDir()
	dsn := filepath.Join(dir, "district.db")
	s := storetest.Open(b, dsn, store.Options{})
	if _, err := s.Import(context.Background(), sandbox.New(sandbox.Options{Students: students, Seed: 7,
		Today: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}), store.ImportOptions{}); err != nil {
		b.Fatal(err)
	}
	base, _, _ := service(b, dir, dsn, "warm")
	added, err := program(dir, "client", "add", reader, "--for", reader, "--json", "--db", dsn).Output()
	var client struct{ ClientID, ClientSecret string }
	if err = errors.Join(err, json.Unmarshal(added, &client)); err != nil {
		b.Fatalf("%s %v", added, err)
	}
	return func(report any, args ...string) *os.ProcessState {
		cmd := program(dir, append(args, base, "--token-url", base[:len(base)-len(oneroster.V1p1.Base)]+
			"/token", "--client", client.ClientID, "--secret", client.ClientSecret, "--json")...)
		cmd.Env = append(cmd.Env, "GOGC=100") // as its users have it
		out, err := cmd.Output()
		if err = errors.Join(err, json.Unmarshal(out, report)); err != nil {
			b.Fatalf("%v: %s %v", args, out, err)
		}
		return cmd.ProcessState
	}
}
