// Package machine says what a test does on a machine that lacks a program: it is skipped, and
// says what to install. Where ROLLBOOK_WHOLE_TEST or CI is set it fails instead, so that make
// test, which installs them all, and CI never pass by having looked at less.
package machine

import (
	"os"
	"os/exec"
	"testing"
)

// Has is asked by a test for a program on the PATH, and for the Debian package that brings it.
func Has(t testing.TB, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		Lacks(t, program, debian)
	}
}

// Lacks ends a test that cannot do without what the machine lacks.
func Lacks(t testing.TB, program, debian string) {
	t.Helper()
	Leave(t, "this test needs "+program+", which is not installed (Debian: apt-get install "+
		debian+"; make test does it)")
}

// Leave ends a test that looks at less than the whole; where the whole is asked for it fails.
func Leave(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("ROLLBOOK_WHOLE_TEST") != "" || os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
