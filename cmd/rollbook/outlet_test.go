package main

import (
	"archive/zip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// An outlet whose process is killed at any moment loses nothing: the packages, read one after the other,
// say what the gradebook says.
func TestKilledOutlets(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		kills, _ := strconv.Atoi(os.Getenv("ROLLBOOK_KILLS"))
		if kills == 0 {
			kills = 6
		}
		dir, home := t.TempDir(), t.TempDir()
		run := runs(t, dir, dsn)
		run("import", "--new", write(t, right))
		run("outlet", "add", "home", "--folder", home)
		s := storetest.Open(t, dsn, store.Options{})
		put := func(resource string, pairs ...string) {
			t.Helper()
			if _, _, err := s.Put(store.By(t.Context(), "client gradesync"), storetest.Rec(resource,
				pairs...)); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{}
		rng := rand.New(rand.NewPCG(3, 4))
		grade := func(n int) {
			item := fmt.Sprintf("l%d", n)
			put("lineItem", "sourcedId", item, "title", "Test", "class", "c1")
			for _, of := range []string{item, fmt.Sprintf("l%d", rng.IntN(n+1))} {
				for _, pupil := range []string{"u1", "u2"} {
					id, score := of+"-"+pupil, fmt.Sprint(rng.IntN(100))
					put("result", "sourcedId", id, "lineItem", of, "student", pupil, "score", score)
					want[id] = score
				}
			}
		}
		grade(0)
		began := time.Now()
		run("outlet", "run", "home")
		took := time.Since(began)
		killed := 0
		for n := range kills {
			grade(n + 1)
			cmd := lasting(program(dir, "outlet", "run", "home", "--db", dsn))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.Int64N(int64(took) * 2))) // the moment of the kill
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if cmd.ProcessState.ExitCode() < 0 {
				killed++
			}
			if err := expire(dsn); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(3) == 0 {
				continue // and more is written before the next
			}
			run("outlet", "run", "home")
			if got := delivered(t, home); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("after %d kills: %v, not %v", n+1, got, want)
			}
		}
		run("outlet", "run", "home")
		if got := delivered(t, home); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("at the end: %v, not %v", got, want)
		}
		var told []struct {
			Waiting map[string]int
			Refused []any
		}
		if err := json.Unmarshal([]byte(run("outlet", "status", "--json")), &told); err != nil ||
			len(told) != 1 ||
			len(told[0].Waiting)+len(told[0].Refused) > 0 {
			t.Errorf("%+v %v", told, err)
		}
		if text := run("outlet", "status", "home"); !strings.Contains(text, "delivered: ") {
			t.Error(text)
		}
		t.Logf("%d of %d were killed before they ended", killed, kills)
	})
}

// delivered are the scores that the packages in a folder say, one after the other.
func delivered(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.zip"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range files {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f, err := z.Open("results.csv")
		if err == nil {
			rows, err := csv.NewReader(f).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			id, score := slices.Index(rows[0], "sourcedId"), slices.Index(rows[0], "score")
			for _, row := range rows[1:] {
				out[row[id]] = row[score]
			}
		}
		_ = z.Close()
	}
	return out
}
