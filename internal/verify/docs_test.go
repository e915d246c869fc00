package verify_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"rollbook/internal/verify"
)

var update = flag.Bool("update", false, "write the generated documents")

func TestDocs(t *testing.T) {
	const file = "../../docs/checks.md"
	var out bytes.Buffer
	if err := verify.WriteCatalogue(&out); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(kept, out.Bytes()) {
		t.Errorf("%s is not what the catalogue says (%v): make docs writes it", file, err)
	}
}

// Every check says what must hold, whose rule it is and what to change, under
// an id of its own.
func TestCatalogueIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range verify.Checks {
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		if c.Title == "" || c.Rule == "" || c.Fix == "" || (c.Run == nil) == (c.Row == nil) ||
			strings.HasSuffix(c.Title, ".") || !strings.HasSuffix(c.Fix, ".") {
			t.Errorf("%s: a title without a full stop, a rule, a fix with one and a run are needed", c.ID)
		}
		for _, name := range c.Profiles {
			if !verify.KnownProfile(name) {
				t.Errorf("%s names the profile %q", c.ID, name)
			}
		}
	}
}
