// Command dist makes what is given to users: programs for each system, packages, an image
// for containers, and the list of what is in them. Of one commit it makes the same bytes
// every time.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// targets are the systems that a release is for.
var targets = []target{{"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"}}

type target struct{ os, arch string }

func (t target) String() string { return t.os + "_" + t.arch }

func (t target) program() string {
	if t.os == "windows" {
		return "rollbook.exe"
	}
	return "rollbook"
}

// A release is what is made, and of what.
type release struct {
	root    string    // of the source
	stage   string    // where parts lie until they are put together
	out     string    // where what is made goes
	stamp   string    // what `rollbook version` tells
	version string    // of packages
	when    time.Time // of the commit, and so of every file in them
}

func main() {
	out := flag.String("out", "dist", "folder to put all in; what is in it goes")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	stage, err := os.MkdirTemp("", "rollbook-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	r := &release{root: ".", stage: stage, out: out}
	if err := errors.Join(r.ofCommit(), os.RemoveAll(out), os.MkdirAll(out, 0o755)); err != nil {
		return err
	}
	if err := r.listModules(); err != nil {
		return err
	}
	here := target{runtime.GOOS, runtime.GOARCH}
	if err := r.build(here); err != nil {
		return err
	}
	if err := r.completions(here); err != nil {
		return err
	}
	for _, t := range targets {
		fmt.Println(t)
		if err := r.of(t); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	if err := r.image(); err != nil {
		return err
	}
	return r.sums()
}

// of makes all that is for one system.
func (r *release) of(t target) error {
	if err := r.build(t); err != nil {
		return err
	}
	if err := r.archive(t); err != nil || t.os != "linux" {
		return err
	}
	for _, kind := range []string{"deb", "rpm"} {
		if err := r.packaged(t, kind); err != nil {
			return err
		}
	}
	return nil
}

// ofCommit names the release by its tag, or where there is none by its commit, which is
// earlier than any release.
func (r *release) ofCommit() error {
	at, err := r.ask("git", "show", "-s", "--format=%ct", "HEAD")
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return err
	}
	r.when = time.Unix(seconds, 0).UTC()
	name, err := r.ask("git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*")
	if err != nil {
		return err
	}
	r.stamp = "commit " + name
	r.version = "0.0.0~" + r.when.Format("20060102150405") + "." + strings.ReplaceAll(name, "-", ".")
	if tag, err := r.ask("git", "describe", "--exact-match", "--dirty"); err == nil {
		r.stamp, r.version = tag, strings.ReplaceAll(strings.TrimPrefix(tag, "v"), "-", "~")
	}
	return nil
}

// build builds the program for a system: static, stripped, and the same in every folder.
func (r *release) build(t target) error {
	return r.do([]string{"CGO_ENABLED=0", "GOFLAGS=", "GOOS=" + t.os, "GOARCH=" + t.arch}, "go", "build",
		"-trimpath",
		"-buildvcs=false", "-ldflags", "-s -w -buildid= -X 'main.release="+r.stamp+"'", "-o",
		filepath.Join(r.stage, t.String(), t.program()), "./cmd/rollbook")
}

// completions are what shells know of the program's verbs and flags, as it tells them on
// this machine.
func (r *release) completions(here target) error {
	dir := filepath.Join(r.stage, "completions")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	program := filepath.Join(r.stage, here.String(), here.program())
	for shell, file := range completionFiles {
		text, err := r.ask(program, "completion", shell)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var completionFiles = map[string]string{"bash": "rollbook.bash", "zsh": "_rollbook", "fish": "rollbook.fish"}

// packaged makes a deb or an rpm, as nfpm.yaml says.
func (r *release) packaged(t target, kind string) error {
	return r.do([]string{"CGO_ENABLED=0", "GOFLAGS=-trimpath", "ARCH=" + t.arch, "VERSION=" + r.version,
		"STAGE=" + r.stage, "PROGRAM=" + filepath.Join(r.stage, t.String(), t.program()),
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.when.Unix(), 10)},
		"go", "tool", "-modfile=tools/dist.mod", "nfpm", "package", "--config", "deploy/nfpm.yaml",
		"--packager", kind, "--target", r.out)
}

// do runs a command in the folder of the source.
func (r *release) do(environment []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = r.root, append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// ask runs a command in the folder of the source for what it prints.
func (r *release) ask(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
