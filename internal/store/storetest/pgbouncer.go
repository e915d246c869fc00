package storetest

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/machine"
)

// roles is how many districts there may be behind one PgBouncer.
const roles = 400

// PgBouncer starts one in transaction mode before the server, until the test ends. What
// it returns gives the DSN of an empty district behind it each time: a role whose
// search_path is a schema of its own.
func PgBouncer(t *testing.T) (empty func(t testing.TB) string) {
	t.Helper()
	plain, err := url.Parse(Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		machine.Lacks(t, "PgBouncer", "pgbouncer")
	}
	dir, err := os.MkdirTemp("", "rollbook-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr, err := owner(dir)
	if err != nil {
		t.Fatal(err)
	}
	var users strings.Builder
	for n := range roles {
		fmt.Fprintf(&users, "\"behind_%d\" \"\"\n", n)
	}
	server := filepath.Dir(plain.Query().Get("host")) // past the pool of the tests
	config := fmt.Sprintf(`[databases]
postgres = host=%s port=5432 dbname=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = %s
auth_type = trust
auth_file = %[2]s/users.txt
pool_mode = transaction
default_pool_size = 6
max_client_conn = 5000
server_idle_timeout = 5
`, server, dir)
	for name, text := range map[string]string{"users.txt": users.String(), "pgbouncer.ini": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-q", filepath.Join(dir, "pgbouncer.ini"))
	cmd.Dir, cmd.SysProcAttr = dir, attr
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	at := func(role int) string {
		return fmt.Sprintf("postgres://behind_%d@/postgres?sslmode=disable&port=6432&host=%s"+
			"&default_query_exec_mode=exec", role, dir)
	}
	db, err := sql.Open("pgx", plain.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	role := func() string {
		n := schemas.Add(1)
		name := fmt.Sprintf("behind_%d", n)
		for _, text := range []string{"CREATE ROLE %s LOGIN SUPERUSER", "CREATE SCHEMA %s",
			"ALTER ROLE %s SET search_path = %[1]s"} {
			if _, err := db.Exec(fmt.Sprintf(text, name)); err != nil {
				t.Fatal(err)
			}
		}
		return at(int(n))
	}
	if err := ready(role()); err != nil {
		t.Fatal(err)
	}
	return func(testing.TB) string { return role() }
}
