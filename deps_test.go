package rollbook

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// may says which of the project's packages, and which guarded libraries, a
// package may import. The standard library's other packages are free.
var may = map[string]string{
	"internal/oneroster":     "",
	"internal/query":         "internal/oneroster",
	"internal/sandbox":       "internal/oneroster",
	"internal/sandbox/odd":   "internal/oneroster internal/sandbox",
	"internal/bulk":          "internal/oneroster encoding/csv",
	"internal/bulk/bulktest": "internal/bulk internal/intake internal/oneroster",
	"internal/auth":          "",
	"internal/aside":         "",
	"internal/gradebook":     "internal/oneroster",
	"internal/store": "internal/aside internal/oneroster internal/gradebook internal/query internal/auth database/sql " +
		"modernc.org/sqlite github.com/jackc/pgx",
	"internal/machine": "",
	"internal/store/storetest": "internal/machine internal/store internal/oneroster internal/query " +
		"internal/auth database/sql",
	"internal/edition":       "internal/oneroster internal/store",
	"internal/rest":          "internal/oneroster internal/query internal/store internal/edition internal/auth",
	"internal/rest/resttest": "internal/auth internal/oneroster internal/rest internal/store",
	"internal/feed":          "internal/oneroster internal/store internal/auth internal/provider",
	"internal/words":         "",
	"internal/source": "internal/oneroster internal/store internal/auth internal/feed internal/bulk " +
		"internal/provider internal/wire database/sql encoding/csv github.com/jackc/pgx",
	"internal/notify": "internal/oneroster internal/store internal/auth internal/feed internal/intake " +
		"internal/provider internal/words",
	"internal/source/sourcetest": "internal/machine database/sql",
	"internal/host": "internal/oneroster internal/store internal/auth internal/rest internal/bulk " +
		"internal/intake internal/words internal/feed internal/sandbox internal/source internal/notify " +
		"internal/outlet",
	"internal/outlet": "internal/oneroster internal/store internal/auth internal/feed internal/bulk " +
		"internal/provider internal/source database/sql",
	"internal/ledger": "internal/auth internal/oneroster internal/query internal/store internal/rest " +
		"internal/words",
	"internal/explain": "internal/oneroster internal/query internal/auth internal/wire internal/quality " +
		"internal/store internal/ledger internal/words",
	"internal/support": "internal/auth internal/oneroster internal/query internal/wire internal/quality " +
		"internal/provider " +
		"internal/store internal/ledger internal/rest internal/words",
	"internal/wire":     "internal/oneroster",
	"internal/provider": "internal/wire internal/auth",
	"internal/quality":  "internal/oneroster internal/wire",
	"internal/intake": "internal/aside internal/oneroster internal/wire internal/quality internal/store " +
		"internal/words encoding/csv",
	"internal/mirror": "internal/oneroster internal/wire internal/provider database/sql " +
		"modernc.org/sqlite",
	"internal/sds": "internal/oneroster internal/wire internal/provider internal/quality " +
		"internal/mirror internal/words encoding/csv",
	"internal/look":          "",
	"internal/look/looktest": "internal/machine",
	"internal/verify": "internal/aside internal/words internal/oneroster internal/auth internal/wire " +
		"internal/provider internal/quality internal/look",
	"internal/gradesync": "internal/oneroster internal/wire internal/provider internal/words",
	"internal/onboarding": "internal/oneroster internal/provider internal/look internal/mirror " +
		"internal/sds " +
		"internal/gradesync internal/verify",
	"internal/bench": "internal/oneroster internal/wire internal/provider",
	"cmd/rollbook": "internal/oneroster internal/query internal/store internal/auth " +
		"encoding/csv internal/edition internal/rest internal/ledger internal/bulk internal/intake " +
		"internal/sandbox " +
		"internal/provider internal/verify " +
		"internal/gradesync internal/mirror internal/sds internal/bench internal/ledger internal/explain " +
		"internal/support internal/words internal/onboarding internal/host " +
		"internal/feed internal/source internal/notify internal/outlet",
}

var guarded = []string{"database/sql", "encoding/csv", "modernc.org/sqlite", "github.com/jackc/pgx"}

func TestImportArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./internal/...",
		"./cmd/...").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], "rollbook/")
		allowed, known := may[name]
		if !known {
			t.Errorf("%s is not in the table: say what it may import", name)
		}
		for _, imported := range words[1:] {
			own, isOwn := strings.CutPrefix(imported, "rollbook/")
			if isOwn && !listed(allowed, own) {
				t.Errorf("%s must not import %s", name, own)
			}
			for _, g := range guarded {
				if strings.HasPrefix(imported, g) && !listed(allowed, g) {
					t.Errorf("%s must not import %s", name, imported)
				}
			}
			if name == "internal/oneroster" && strings.Contains(strings.Split(imported, "/")[0], ".") {
				t.Errorf("%s must not import %s: the standard library only", name, imported)
			}
		}
	}
}

// Every place that docs/standard.tsv names is there.
func TestStandardNamesWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("docs/standard.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 3 {
			t.Errorf("line %d has %d cells", n+2, len(cells))
			continue
		}
		for _, path := range strings.Split(cells[2], ", ") {
			if _, err := os.Stat(path); path != "-" && err != nil {
				t.Errorf("line %d: %v", n+2, err)
			}
		}
	}
}

func listed(list, name string) bool {
	for _, w := range strings.Fields(list) {
		if w == name {
			return true
		}
	}
	return false
}
