package sourcetest

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"rollbook/internal/machine"
)

// MariaDB starts a server of MariaDB, with the user reader, who has the password and may do anything in the
// database sis.
func MariaDB(t testing.TB) (at string) {
	t.Helper()
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		server, err = exec.LookPath("/usr/sbin/mariadbd")
	}
	if err != nil {
		machine.Lacks(t, "MariaDB", "mariadb-server")
	}
	dir, err := os.MkdirTemp("", "rollbook-mariadb-") // its socket has a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		u, err := user.Lookup("mysql")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	install := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--skip-test-db",
		"--auth-root-authentication-method=normal")
	install.SysProcAttr = as
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	run := exec.Command(server, "--no-defaults", "--datadir="+data, "--socket="+socket,
		"--bind-address=127.0.0.1",
		fmt.Sprint("--port=", port), "--innodb-flush-log-at-trx-commit=0", "--pid-file="+filepath.Join(dir,
			"pid"))
	run.SysProcAttr = as
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill(); _ = run.Wait() })
	db, err := sql.Open("mysql", "root@unix("+socket+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if err = db.Ping(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"CREATE DATABASE sis", "CREATE USER reader IDENTIFIED BY '" + Password +
		"'",
		"GRANT ALL ON sis.* TO reader"} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("mysql://reader@127.0.0.1:%d/sis", port)
}
