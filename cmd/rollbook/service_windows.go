package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
)

// serviceUser is an account that Windows makes for the service alone; it has no password.
const serviceUser = `NT SERVICE\rollbook`

// daemon is the program as Windows runs it: told to stop, it ends as it does by Ctrl-C.
type daemon struct {
	run   func(context.Context) int
	ctx   context.Context
	stop  context.CancelFunc
	flush func() // writes down what was told
	ended chan struct{}
}

func (d *daemon) Start(service.Service) error {
	go func() {
		code := d.run(d.ctx)
		close(d.ended)
		if d.ctx.Err() == nil { // nobody told it to stop: Windows starts it again
			d.flush()
			os.Exit(code)
		}
	}()
	return nil
}

// Stop is called when the service is stopped, and when the machine shuts down.
func (d *daemon) Stop(service.Service) error {
	d.stop()
	<-d.ended
	return nil
}

// asService runs the program; where Windows runs it as a service it obeys Windows, and
// what it tells goes to a file.
func asService(ctx context.Context, run func(context.Context) int) int {
	if service.Interactive() {
		return run(ctx)
	}
	in, out, err := os.Pipe()
	if err != nil {
		return exitFailed
	}
	os.Stderr = out
	told := make(chan struct{})
	go func() {
		defer close(told)
		_, _ = io.Copy(&aLogFile{path: filepath.Join(serviceFolder(), "rollbook.log"), most: 20 << 20}, in)
		_, _ = io.Copy(io.Discard, in) // a full disk holds up nobody
	}()
	flush := func() {
		_ = out.Close()
		<-told
	}
	defer flush()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := service.New(&daemon{run, ctx, stop, flush, make(chan struct{})},
		&service.Config{Name: "rollbook"})
	if err == nil {
		err = s.Run()
	}
	if err != nil {
		return exitFailed
	}
	return 0
}

// serviceFolder is where the service has its district, unless told otherwise, and its log.
func serviceFolder() string {
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, windows.KF_FLAG_DEFAULT)
	if err != nil {
		data = os.Getenv("ProgramData")
	}
	return filepath.Join(data, "rollbook")
}

func theService(args []string) (service.Service, error) {
	return service.New(&daemon{}, &service.Config{Name: "rollbook", DisplayName: "Rollbook",
		Description: "Serves a school district's rosters and gradebook as OneRoster 1.1.",
		UserName:    serviceUser, Arguments: args,
		Option: service.KeyValue{service.OnFailure: service.OnFailureRestart,
			service.OnFailureDelayDuration: "5s", service.OnFailureResetPeriod: 3600}})
}

// installService makes the service; that it can be started is left to who installs it,
// who may have no district yet.
func installService(args []string) error {
	s, err := theService(args)
	if err != nil {
		return err
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("%w (only an administrator may)", err)
	}
	dir := serviceFolder()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return errors.Join(err, s.Uninstall())
	}
	// Administrators, the system and the service use it, and nobody else.
	out, err := exec.Command("icacls", dir, "/inheritance:r", "/grant:r", "*S-1-5-32-544:(OI)(CI)F",
		"*S-1-5-18:(OI)(CI)F", serviceUser+":(OI)(CI)M").CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("who may use %s cannot be set: %w: %s", dir, err, out), s.Uninstall())
	}
	return nil
}

func uninstallService() error {
	s, err := theService(nil)
	if err != nil {
		return err
	}
	_ = s.Stop() // it may have ended
	return s.Uninstall()
}

func serviceStatus() (string, error) {
	s, err := theService(nil)
	if err != nil {
		return "", err
	}
	status, err := s.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return "not installed", nil
	case err != nil:
		return "", err
	case status == service.StatusRunning:
		return "running", nil
	}
	return "stopped", nil
}
