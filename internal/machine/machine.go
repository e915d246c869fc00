// Package machine says what a test does on a machine that lacks a program: it is skipped, and says what to
// install. Where ROLLBOOK_WHOLE_TEST is set it fails instead, so that make test, which installs them all, and CI never
// pass by having looked at less.
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
	end := t.Skipf
	if os.Getenv("ROLLBOOK_WHOLE_TEST") != "" {
		end = t.Fatalf
	}
	end("this test needs %s, which is not installed (Debian: apt-get install %s; make test does it)", program, debian)
}
