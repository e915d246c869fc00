package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/machine"
)

// Where something else runs services that is told, and what could not be served is refused
// on every system, with the words of serve.
func TestServiceElsewhere(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		machine.Leave(t, "this test is of what Linux has instead")
	}
	for args, want := range map[string]string{
		"service install --url https://roster.example.org": "1 systemctl enable --now rollbook",
		"service uninstall":                     "1 systemctl enable --now rollbook",
		"service status":                        "1 systemctl enable --now rollbook",
		"service install --addr 0.0.0.0:80":     "2 plain HTTP on 0.0.0.0:80",
		"service install --domain a/b":          `2 --domain "a/b" is not a name`,
		"service install --domain a.b --cert x": "2 give one of them",
	} {
		_, errs, code := rollbook(t, t.TempDir(), strings.Fields(args)...)
		if wanted, text, _ := strings.Cut(want, " "); string(rune('0'+code)) != wanted ||
			!strings.Contains(errs, text) {
			t.Errorf("rollbook %s: %d %s", args, code, errs)
		}
	}
}

// A service starts in a folder of its own: paths of what is to be served are whole.
func TestServiceArguments(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for asked, want := range map[string][]string{
		"--url https://x.example": {"serve", "--db=rollbook.db", "--url=https://x.example"},
		"--db d.db --addr :443 --cert c.pem": {"serve", "--addr=:443", "--cert=" + filepath.Join(dir,
			"c.pem"),
			"--db=" + filepath.Join(dir, "d.db")},
		"--db postgres://h/d --drain 5s": {"serve", "--db=postgres://h/d", "--drain=5s"},
	} {
		cmd, _, err := command().Find([]string{"service", "install"})
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.ParseFlags(strings.Fields(asked)); err != nil {
			t.Fatal(err)
		}
		got, err := serviceArguments(cmd.Flags())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q %v, want %q", asked, got, err, want)
		}
	}
}

// What a service tells is kept: the latest of it, and a file of what was before.
func TestServiceLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rollbook.log")
	for range 2 { // it is started twice
		log := &aLogFile{path: path, most: 30}
		for range 5 {
			if _, err := log.Write([]byte("a line\n")); err != nil {
				t.Fatal(err)
			}
		}
		_ = log.f.Close()
	}
	for file, want := range map[string]int{path: 2, path + ".1": 4} {
		text, err := os.ReadFile(file)
		if got := strings.Count(string(text), "a line\n"); err != nil || got != want || got*7 != len(text) {
			t.Errorf("%s: %q %v, want %d lines", file, text, err, want)
		}
	}
}
