package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rollbook runs a command line of the program and returns what it prints and its exit
// code. Most are short, and a process costs more than what it does: the program is kept
// when it has done one, and does another. A command line that is to be killed, sent a
// signal or measured is a process of its own, of program.
func rollbook(t *testing.T, dir string, args ...string) (out, errs string, code int) {
	t.Helper()
	environment := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "XDG_CONFIG_HOME=")
	})
	resting.Lock()
	of := strings.Join(environment, "\n")
	var p *keptProgram
	if n := len(resting.idle[of]); n > 0 {
		p, resting.idle[of] = resting.idle[of][n-1], resting.idle[of][:n-1]
	}
	resting.Unlock()
	if p == nil {
		p = newKept(t, environment)
	}
	stuck := time.AfterFunc(5*time.Minute, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // says where
	defer stuck.Stop()
	if err := p.tell.Encode(commandLine{Dir: dir, Args: args}); err != nil {
		t.Fatal(err)
	}
	var d done
	if err := p.hear.Decode(&d); err != nil { // it panicked, was stuck, or has a race
		_ = p.in.Close()
		_ = p.cmd.Wait() // the exit code tells
		t.Fatalf("%q ended the program with %d: %v\n%s", args, p.cmd.ProcessState.ExitCode(), err, &p.errs)
	}
	resting.Lock()
	resting.idle[of] = append(resting.idle[of], p)
	resting.Unlock()
	return string(d.Out), string(d.Errs), d.Code
}

// keptProgram is the program as it carries out one command line after another, until its
// standard input ends.
type keptProgram struct {
	cmd  *exec.Cmd
	in   io.Closer
	tell *json.Encoder
	hear *json.Decoder
	errs bytes.Buffer
}

// resting are those that have nothing to do, by their environment.
var resting = struct {
	sync.Mutex
	idle map[string][]*keptProgram
}{idle: map[string][]*keptProgram{}}

// endResting ends them, so that what they took is counted with the tests.
func endResting() {
	for _, idle := range resting.idle {
		for _, p := range idle {
			_ = p.in.Close()
			_ = p.cmd.Wait()
		}
	}
}

func newKept(t *testing.T, environment []string) *keptProgram {
	t.Helper()
	p := &keptProgram{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(environment, beProgram+"=line by line", "GOGC=400",
		"GOMAXPROCS=1", // many lines are short: threads cost them a third more
		"GORACE=halt_on_error=1")
	p.cmd.Stderr = &p.errs
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in, p.tell, p.hear = in, json.NewEncoder(in), json.NewDecoder(out)
	return p
}

// A commandLine is what a kept program is told.
type commandLine struct {
	Dir  string
	Args []string
}

// done is what it answers.
type done struct {
	Out, Errs []byte
	Code      int
}

// lineByLine is the other side: each command line finds a folder, an environment and
// standard files as if the program had been started for it.
func lineByLine() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	os.Stdin = nothing
	for {
		var l commandLine
		if in.Decode(&l) != nil {
			os.Exit(0)
		}
		if err := out.Encode(l.carryOut()); err != nil {
			panic(err)
		}
	}
}

func (l commandLine) carryOut() (d done) {
	if err := os.Chdir(l.Dir); err != nil {
		panic(err)
	}
	if err := os.Setenv("XDG_CONFIG_HOME", l.Dir); err != nil {
		panic(err)
	}
	var printed sync.WaitGroup
	catch := func(into *[]byte) *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		printed.Go(func() {
			*into, _ = io.ReadAll(r)
			_ = r.Close()
		})
		return w
	}
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = catch(&d.Out), catch(&d.Errs)
	d.Code = run(context.Background(), l.Args)
	_, _ = os.Stdout.Close(), os.Stderr.Close()
	os.Stdout, os.Stderr = out, errs
	printed.Wait()
	return d
}
