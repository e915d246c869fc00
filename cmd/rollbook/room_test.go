package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Where there is no room left a sentence names the place and what to do, and the district
// is as it was. That no file may grow stands for a disk that is full.
func TestNoRoom(t *testing.T) {
	n := nightly{t, t.TempDir()}
	n.must("sandbox", "small.zip", "--students", "60")
	n.must("sandbox", "large.zip", "--students", "3000")
	n.must("import", "--new", "small.zip")
	if _, code := n.bring("large.zip"); code != exitHeld {
		t.Fatalf("exit %d", code)
	}
	before := n.exported()
	for _, c := range []struct {
		blocks     int // of 512 bytes, that a file may have
		args, says string
	}{
		{16, "import large.zip", "there is no room for " + filepath.Join(n.dir, "district.db") +
			": make room on its disk, and do it again"},
		{9000, "publish 2", "there is no room in " + os.TempDir() +
			": make room there, or name another folder " +
			"by TMPDIR, and do it again"},
		{16000, "publish 2", "there is no room for " + filepath.Join(n.dir, "district.db") +
			": make room on its disk, and do it again"},
	} {
		var errs bytes.Buffer
		of := program(n.dir)
		cmd := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, c.blocks),
			of.Path, "--db", "district.db"}, strings.Fields(c.args)...)...)
		cmd.Dir, cmd.Env, cmd.Stderr = of.Dir, of.Env, &errs
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(errs.String(),
			c.says) {
			t.Errorf("%d blocks, %s: %v\n%s", c.blocks, c.args, err, errs.String())
		}
		if !bytes.Equal(n.exported(), before) {
			t.Fatalf("%d blocks, %s: the district is not what it was", c.blocks, c.args)
		}
	}
	n.must("publish", "2")
}

// Who can only read a district is told what to do, and changes nothing.
func TestOnlyToRead(t *testing.T) {
	n := nightly{t, t.TempDir()}
	n.must("init")
	run := program(n.dir, "publications", "--db", "district.db")
	if os.Getuid() == 0 { // who may do anything becomes nobody, with a program that nobody can reach
		run.Path = filepath.Join(n.dir, "rollbook.test")
		from, err := os.Open(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		to, err := os.OpenFile(run.Path, os.O_CREATE|os.O_WRONLY, 0o755)
		if err == nil {
			_, err = io.Copy(to, from)
		}
		if err != nil || to.Close() != nil {
			t.Fatal(err)
		}
		const nobody = 65534
		run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	for name, mode := range map[string]os.FileMode{"..": 0o755, ".": 0o555, "district.db": 0o444,
		"district.db.key": 0o444, "district.db.nonces": 0o444} {
		if err := os.Chmod(filepath.Join(n.dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = os.Chmod(n.dir, 0o755) }() // or it could not be removed
	before := n.read("district.db")
	var errs bytes.Buffer
	run.Stderr = &errs
	err := run.Run()
	if run.ProcessState.ExitCode() != exitFailed || !strings.Contains(errs.String(),
		"district.db, or its folder, cannot be written by this user") {
		t.Errorf("%v\n%s", err, errs.String())
	}
	if !bytes.Equal(n.read("district.db"), before) {
		t.Error("the file is not what it was")
	}
}
