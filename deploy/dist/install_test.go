package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rollbook/internal/machine"
)

// On this machine as it is, but for what the test changes, which nobody else sees: the deb is
// installed, a district served by the unit's own command line, as its user, with its
// environment and its capabilities, in a system that it cannot change; then the package is
// upgraded, removed, installed again and purged.
func TestPackage(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		machine.Leave(t, "this test installs a package: it needs root, on Linux")
	}
	machine.Has(t, "dpkg", "dpkg")
	machine.Has(t, "systemd-analyze", "systemd")
	r := &release{root: "../..", stage: t.TempDir(), out: t.TempDir(), stamp: "v1.0.0", version: "1.0.0",
		when: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	here := target{"linux", runtime.GOARCH}
	notices := os.WriteFile(filepath.Join(r.stage, "NOTICES"), []byte("none\n"), 0o644)
	if err := errors.Join(notices, r.build(here), r.completions(here), r.packaged(here, "deb")); err != nil {
		t.Fatal(err)
	}
	r.version = "1.1.0"
	if err := r.packaged(here, "deb"); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	install := func(version string) {
		m.do(t, "dpkg", "--no-triggers", "--force-unsafe-io", "-i", filepath.Join(r.out,
			"rollbook_"+version+"_"+here.arch+".deb"))
	}

	install("1.0.0")
	m.looks(t)
	m.do(t, "sh", "-c", "printf '\nROLLBOOK_ADDR=127.0.0.1:0\n' >> /etc/rollbook/rollbook.env")
	m.do(t, "sh", "-c", "cd /srv && rollbook sandbox d.zip --students 60 && chmod 644 d.zip")
	m.do(t, "rollbookctl", "import", "--new", "/srv/d.zip")
	if got := m.modes(t, "/etc/rollbook/rollbook.key", "/var/lib/rollbook/rollbook.db"); got !=
		"600 rollbook rollbook\n600 rollbook rollbook\n" {
		t.Errorf("the key and the district: %s", got)
	}
	var c struct{ ClientID, ClientSecret string }
	if err := json.Unmarshal([]byte(m.do(t, "rollbookctl", "client", "add", "sds", "--json")),
		&c); err != nil {
		t.Fatal(err)
	}
	served := func() string {
		s := m.serve(t)
		defer s.stop(t)
		return s.total(t, c.ClientID, c.ClientSecret)
	}
	before := served()
	if before == "" || before == "0" {
		t.Fatalf("%q users are served", before)
	}

	install("1.1.0")
	if got := m.do(t, "dpkg-query", "-W", "-f", "${Version}", "rollbook"); got != "1.1.0" {
		t.Errorf("after the upgrade: %s", got)
	}
	if after := served(); after != before {
		t.Errorf("after the upgrade %s users are served, not %s", after, before)
	}

	m.do(t, "dpkg", "--no-triggers", "-r", "rollbook")
	m.has(t, "/var/lib/rollbook/rollbook.db", true)
	m.has(t, "/etc/rollbook/rollbook.key", true)
	m.has(t, "/usr/bin/rollbook", false)
	install("1.1.0")
	if after := served(); after != before {
		t.Errorf("removed and installed again: %s users are served, not %s", after, before)
	}
	m.do(t, "dpkg", "--no-triggers", "-P", "rollbook")
	m.has(t, "/var/lib/rollbook", false)
	m.has(t, "/etc/rollbook", false)
}

// looks at what the package brought.
func (m *copied) looks(t *testing.T) {
	t.Helper()
	if got, want := m.modes(t, "/usr/bin/rollbook", "/usr/sbin/rollbookctl", "/etc/rollbook",
		"/etc/rollbook/rollbook.env",
		"/var/lib/rollbook", "/usr/lib/systemd/system/rollbook.service"), "755 root root\n755 root root\n"+
		"1770 root rollbook\n600 root root\n750 rollbook rollbook\n644 root root\n"; got != want {
		t.Errorf("modes:\n%swant:\n%s", got, want)
	}
	if got := m.do(t, "rollbook", "version"); got != "rollbook v1.0.0\n" {
		t.Error(got)
	}
	m.do(t, "bash", "-c", ". /usr/share/bash-completion/completions/rollbook && complete -p rollbook")
	for _, f := range []string{"/usr/share/zsh/vendor-completions/_rollbook",
		"/usr/share/fish/vendor_completions.d/rollbook.fish", "/usr/share/man/man1/rollbook.1",
		"/usr/share/doc/rollbook/operate.md", "/usr/share/doc/rollbook/NOTICES",
		"/usr/share/doc/rollbook/copyright"} {
		m.has(t, f, true)
	}
	if out := m.do(t, "systemd-analyze", "verify", "--man=no",
		"/usr/lib/systemd/system/rollbook.service"); out != "" {
		t.Errorf("the unit: %s", out)
	}
	// Of ten points of danger, as systemd counts, it has less than two.
	m.do(t, "systemd-analyze", "security", "--offline=true", "--threshold=20",
		"/usr/lib/systemd/system/rollbook.service")
}

// copied is this machine, and what was changed of it.
type copied struct {
	root string
	pid  string // of who holds its mounts
}

func newMachine(t *testing.T) *copied {
	t.Helper()
	dir := t.TempDir()
	holder := exec.Command("unshare", "--mount", "sh", "-ec", `mount -t tmpfs tmpfs "$0"
		cd "$0"; mkdir up work root
		mount -t overlay overlay -o lowerdir=/,upperdir=$0/up,workdir=$0/work root
		mount -t proc proc root/proc; mount --rbind /dev root/dev
		echo ready; exec cat`, dir)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	holder.Stderr = &errs
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = holder.Wait() // with it its mounts go
	})
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		_ = in.Close()
		_ = holder.Wait()
		machine.Leave(t, "this test needs a file system that is laid over another (overlay): "+errs.String())
	}
	return &copied{filepath.Join(dir, "root"), fmt.Sprint(holder.Process.Pid)}
}

func (m *copied) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--target", m.pid, "--mount", "chroot", m.root},
		args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LANG=C",
		"HOME=/root",
		"TMPDIR=/tmp"}
	return cmd
}

// do runs a command there, which must succeed, and returns what it prints.
func (m *copied) do(t *testing.T, args ...string) string {
	t.Helper()
	cmd := m.command(args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", args, err, out, &errs)
	}
	return string(out)
}

func (m *copied) has(t *testing.T, path string, want bool) {
	t.Helper()
	if err := m.command("test", "-e", path).Run(); (err == nil) != want {
		t.Errorf("%s is there: %v, want %v", path, err == nil, want)
	}
}

func (m *copied) modes(t *testing.T, paths ...string) string {
	t.Helper()
	return m.do(t, append([]string{"stat", "-c", "%a %U %G"}, paths...)...)
}

// A service is what the unit starts.
type unitService struct {
	cmd  *exec.Cmd
	base string
}

// serve does what systemd does with the unit.
func (m *copied) serve(t *testing.T) *unitService {
	t.Helper()
	unit := settings(m.do(t, "cat", "/usr/lib/systemd/system/rollbook.service"))
	environment := append(unit["Environment"], lines(m.do(t, "cat", unit["EnvironmentFile"][0]))...)
	script := `mkdir -p /var/cache/rollbook; chown rollbook:rollbook /var/cache/rollbook
		for d in /var/lib/rollbook /var/cache/rollbook; do mount --bind $d $d; done
		mount -o remount,bind,ro /
		umask ` + unit["UMask"][0] + `; cd ` + unit["WorkingDirectory"][0] + `
		exec setpriv --reuid ` + unit["User"][0] + ` --regid ` + unit["Group"][0] + ` --init-groups --no-new-privs \
		--inh-caps -all,+net_bind_service --ambient-caps +net_bind_service \
		--bounding-set -all,+net_bind_service env -i ` + strings.Join(environment, " ") + " " + unit["ExecStart"][0]
	cmd := m.command("unshare", "--mount", "sh", "-ec", script)
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := bufio.NewReader(log)
	line, _ := read.ReadBytes('\n')
	var first struct{ Msg, Address string }
	if json.Unmarshal(line, &first) != nil || first.Msg != "serving" {
		rest, _ := io.ReadAll(read)
		_ = cmd.Wait()
		t.Fatalf("%s%s", line, rest)
	}
	go func() { _, _ = io.Copy(io.Discard, read) }() // it ends with the service
	return &unitService{cmd, "http://" + first.Address}
}

func (s *unitService) stop(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(os.Interrupt)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

// total is how many users a client is told of.
func (s *unitService) total(t *testing.T, id, secret string) string {
	t.Helper()
	ask, _ := http.NewRequest("POST", s.base+"/token", nil)
	ask.SetBasicAuth(id, secret)
	var token struct {
		Access string `json:"access_token"`
	}
	answered(t, ask, &token)
	ask, _ = http.NewRequest("GET", s.base+"/ims/oneroster/v1p1/users?limit=1", nil)
	ask.Header.Set("Authorization", "Bearer "+token.Access)
	return answered(t, ask, &struct{}{}).Get("X-Total-Count")
}

func answered(t *testing.T, r *http.Request, to any) http.Header {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(to); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", r.URL, answer.Status, err)
	}
	return answer.Header
}

// settings are those of a unit.
func settings(unit string) map[string][]string {
	out := map[string][]string{}
	for _, line := range lines(unit) {
		if name, value, ok := strings.Cut(line, "="); ok {
			out[name] = append(out[name], value)
		}
	}
	return out
}

// lines are those that say something.
func lines(text string) []string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}
