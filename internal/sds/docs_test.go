package sds_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"rollbook/internal/quality"
	"rollbook/internal/sds"
)

var update = flag.Bool("update", false, "write the table of rules into docs/sync-sds.md")

// The table of rules in the documentation is that of the code.
func TestDocs(t *testing.T) {
	const file, begin, end = "../../docs/sync-sds.md",
		"<!-- made from internal/quality by make docs: begin -->\n", "<!-- end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table", file)
	}
	var table strings.Builder
	table.WriteString("| Rule | Severity | What must hold | Why | What to do |\n|---|---|---|---|---|\n")
	for _, r := range append(quality.Rules(), sds.MatchRules()...) {
		fmt.Fprintf(&table, "| %s | %v | %s | %s | %s |\n", r.ID, r.Severity, cell(r.Title), cell(r.Why),
			cell(r.Fix))
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is behind the rules: run make docs and read what changed", file)
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
