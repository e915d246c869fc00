package machine_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"rollbook/internal/machine"
)

// A missing program skips the test, and with ROLLBOOK_WHOLE_TEST or CI fails it; both say what to install.
func TestAMissingProgram(t *testing.T) {
	if os.Getenv("LACKING_CHILD") != "" {
		machine.Has(t, "a-program-that-nobody-has", "its-package")
		t.Error("the test went on")
	}
	for set, want := range map[string]string{"": "--- SKIP: ", "ROLLBOOK_WHOLE_TEST=1": "--- FAIL: ",
		"CI=true": "--- FAIL: "} {
		cmd := exec.Command(os.Args[0], "-test.run=TestAMissingProgram", "-test.v")
		cmd.Env = append(os.Environ(), "LACKING_CHILD=1", "ROLLBOOK_WHOLE_TEST=", "CI=")
		if set != "" {
			cmd.Env = append(cmd.Env, set)
		}
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) || !strings.Contains(string(out),
			"apt-get install its-package;") ||
			strings.Contains(string(out), "went on") {
			t.Errorf("%q: %s", set, out)
		}
	}
}
