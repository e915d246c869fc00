package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/source/sourcetest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A district is fed from an SFTP server and from another Rollbook, and its grades go to both, as the command
// line says; no secret is in what any verb prints, nor in the database.
func TestPeers(t *testing.T) {
	t.Parallel()
	dir, in := t.TempDir(), t.TempDir()
	key, _ := sourcetest.NewKey(t)
	host, fingerprint := sourcetest.SFTP(t, in, key.PublicKey())
	var printed strings.Builder
	var secrets []string
	run := func(secret string, code int, says string, args ...string) {
		t.Helper()
		cmd := program(dir, append(args, "--db", "mine.db")...)
		if cmd.Env = append(cmd.Env, "ROLLBOOK_PASSWORD="+secret); secret != "" {
			secrets = append(secrets, secret)
		}
		out, _ := cmd.CombinedOutput() // the exit code tells
		printed.Write(out)
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), says) {
			t.Errorf("%s: %d, not %d: %s; it lacks %q", args, got, code, out, says)
		}
	}
	run("", 0, "there is a district", "init")
	drop(t, in, right)
	sftp := []string{"source", "add", "files", "--sftp", "sftp://rollbook@" + host + in}
	run(sourcetest.Password, 1, "--host-key "+fingerprint+"; nothing was added", sftp...)
	run("wrong mule", 1, "does not let rollbook in", append(sftp, "--host-key", fingerprint)...)
	run("", 2, "needs a password or a private key", sftp...)
	run(sourcetest.Password, 0, "taken on trust", append(sftp, "--trust-host-key", "--at", "02:30")...)
	run("", 0, "publication 1 is published: 12 added", "source", "run", "files")

	up := filepath.Join(t.TempDir(), "up.db")
	other := runs(t, dir, up)
	other("import", "--new", write(t, edited(right, "users.csv", "Ash→Ashe")))
	var client struct{ ClientID, ClientSecret string }
	if err := json.Unmarshal([]byte(other("client", "add", "rollbook", "--for", "gradesync", "--scopes",
		"roster-core.readonly,gradebook.readonly,gradebook.createput,gradebook.delete", "--json")),
		&client); err != nil {
		t.Fatal(err)
	}
	address, _ := start(t, dir, up)
	address = "http://" + address
	at := []string{"--oneroster", address + "/ims/oneroster/v1p1", "--token-url", address + "/token", "--client",
		client.ClientID}
	run("wrong mule", 1, "nothing was added", append([]string{"source", "add", "up"}, at...)...)
	run(client.ClientSecret, 0, "3 users", append([]string{"source", "add", "up"}, at...)...)
	run("", 0, "publication 2 is published: 0 added, 1 changed", "source", "run", "up")
	run(client.ClientSecret, 0, "it has 0 lineItems", append([]string{"outlet", "add", "up"}, at...)...)
	run(sourcetest.Password, 0, "the folder is there", "outlet", "add", "files", "--sftp",
		"sftp://rollbook@"+host+in,
		"--host-key", fingerprint)
	s := storetest.Open(t, filepath.Join(dir, "mine.db"), store.Options{})
	for _, rec := range []oneroster.Record{storetest.Rec("lineItem", "sourcedId", "l1", "title", "Test",
		"class", "c1"),
		storetest.Rec("result", "sourcedId", "r1", "lineItem", "l1", "student", "u1", "score", "7")} {
		if _, _, err := s.Put(store.By(t.Context(), "client gradesync"), rec); err != nil {
			t.Fatal(err)
		}
	}
	run("", 0, "delivered 3", "outlet", "run", "up")
	run("", 0, "delivered 3", "outlet", "run", "files")
	if text := other("history", "results/r1"); !strings.Contains(text, "score") {
		t.Errorf("the other side has no grade: %s", text)
	}
	if got := delivered(t, in); got["r1"] != "7" {
		t.Errorf("the folder has %v", got)
	}
	for _, verb := range []string{"source list", "source show up --json", "outlet list --json", "outlet status",
		"audit"} {
		run("", 0, "", strings.Fields(verb)...)
	}
	database, err := os.ReadFile(filepath.Join(dir, "mine.db"))
	if err != nil {
		t.Fatal(err)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "mine.db-wal")) // may be none
	for _, secret := range secrets {
		if text := printed.String() + string(database) + string(log); strings.Contains(text, secret) {
			t.Errorf("%q is printed, or lies open", secret)
		}
	}
}
