package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/host"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// acted is a verb, and what a run of it leaves in the audit.
type acted struct {
	args  string // ID is a client's
	code  int
	acts  string // what they are, with commas
	says  string // somewhere in the first of them
	first func(dir string)
}

var actions = []acted{
	{args: "init", acts: "schema", says: "version "},
	{args: "init"},
	{args: "import .", acts: "publication", says: "planning published, 1"},
	{args: "settings guard-loss 20", acts: "setting", says: "guard-loss  20"},
	{args: "settings guard-loss 21", acts: "setting", says: "guard-loss 20 21"},
	{args: "settings guard-loss 21"},
	{args: "settings"},
	{args: "calendar freeze 2000-01-01..2999-01-01", acts: "setting", says: "calendar "},
	{args: "calendar"},
	{args: "import .", code: 3, acts: "publication", says: "planning held", first: named("Ashe")},
	{args: "discard 2 --reason wrong", acts: "publication", says: "held discarded: wrong"},
	{args: "import .", code: 3, acts: "publication", says: "3, ", first: named("Ashen")},
	{args: "import . --plan", first: named("Ashton")},
	{args: "publish 3 --reason right", acts: "publication",
		says: "held published, 0 added, 1 changed, 0 retired: right"},
	{args: "import .", code: 3, acts: "publication", says: "held"},
	{args: "calendar remove 1", acts: "setting", says: "calendar ["},
	{args: "rollback 1", acts: "publication", says: ", superseded 4"},
	{args: "rollback 1 --plan"},
	{args: "import .", code: 1, acts: "publication", says: "planning refused", first: named("\xff\xfe,")},
	{args: "client add x --for gradesync --json", acts: "client added", says: `"x" may gradebook`},
	{args: "client add x", code: 1},
	{args: "client list"},
	{args: "client rotate ID --overlap 1h", acts: "client secret", says: " until "},
	{args: "client rotate ID --now", acts: "client secret,client tokens"},
	{args: "client rotate --signing-key", acts: "signing key", says: "forgotten"},
	{args: "client rotate --all", acts: "signing key,client secret"},
	{args: "client allow ID 192.0.2.0/24", acts: "client limits", says: "from 192.0.2.0/24"},
	{args: "client allow ID 192.0.2.0/24"},
	{args: "client budget ID --at-once 7", acts: "client limits", says: "7 at once"},
	{args: "client handover ID --url https://roster.example.org", acts: "client secret,client link"},
	{args: "client remove nobody", code: 1},
	{args: "client remove ID", acts: "client removed", says: `"x" may gradebook`},
	{args: "source add drop --folder DROP --at 02:30", acts: "source added", says: `"folder":{"path":"`},
	{args: "source add drop --folder DROP", code: 1},
	{args: "source list"},
	{args: "source test drop"},
	{args: "source run drop"},
	{args: "source show drop"},
	{args: "source remove drop", acts: "source removed", says: "drop"},
	{args: "notify add told --command cat", acts: "notify added", says: `"command":["cat"]`},
	{args: "notify list"},
	{args: "notify test told"},
	{args: "notify show told"},
	{args: "notify remove told", acts: "notify removed", says: "told"},
	{args: "outlet add home --folder DROP --from beginning", acts: "outlet added", says: `"folder":"`},
	{args: "outlet list"},
	{args: "outlet status"},
	{args: "outlet test home"},
	{args: "outlet run home"},
	{args: "outlet show home"},
	{args: "outlet remove home", acts: "outlet removed", says: "home"},
	{args: "restored", acts: "stamped anew", says: "change "},
	{args: "backup b.db", acts: "backup", says: "b.db"},
	{args: "backup b.db", code: 1},
	{args: "restore b.db", code: 1},
	{args: "export e.zip"},
	{args: "history users/u1"},
	{args: "explain users/u1"},
	{args: "pulls"},
	{args: "pulls show 1", code: 1},
	{args: "support bundle s.zip", code: 2},
	{args: "doctor", code: 1},
	{args: "publications"},
	{args: "publications show 1"},
	{args: "publications get 1 p.zip"},
	{args: "audit"},
	{args: "audit verify"},
}

// undistricted are verbs that open no district, or one of their own.
var undistricted = []string{"demo", "demo day", "demo trouble", "sandbox", "verify", "bench", "sync sds",
	"sync grades", "version", "service install", "service uninstall", "source init", "service status",
	"onboarding sds", "onboarding gradesync", "onboarding pilot", "onboarding tick", "onboarding status",
	"district add", "district list", "district remove", "district move"}

// apart are verbs whose acts other tests look at.
var apart = []string{"serve"}

func named(name string) func(dir string) {
	return func(dir string) {
		text := strings.Replace(right["users.csv"], "Ash", name, 1)
		_ = os.WriteFile(filepath.Join(dir, "users.csv"), []byte(text), 0o600)
	}
}

// Each verb that changes something leaves that in the audit, with who did it, and no other does;
// what was there stays as it was. A new verb must be listed.
func TestEveryActIsKept(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		in, dir := write(t, right), t.TempDir()
		var s *store.Store
		acts := func() []store.Act {
			t.Helper()
			if s == nil { // the first verb makes the district
				s = storetest.Open(t, dsn, store.Options{})
			}
			list, err := s.Acts(t.Context(), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		var client struct{ ClientID, ClientSecret string }
		var secrets []string
		var before []store.Act
		run := func(a acted) {
			t.Helper()
			if a.first != nil {
				a.first(in)
			}
			args := strings.Fields(strings.ReplaceAll(a.args, "ID", client.ClientID))
			if i := slices.Index(args, "."); i > 0 {
				args[i] = in
			}
			if i := slices.Index(args, "DROP"); i > 0 {
				args[i] = dir
			}
			out, errs, code := rollbook(t, dir, append(args, "--db", dsn)...)
			if code != a.code {
				t.Fatalf("%s: %d %s%s", a.args, code, out, errs)
			}
			if json.Unmarshal([]byte(out), &client) == nil {
				secrets = append(secrets, client.ClientSecret)
			}
			after := acts()
			if !slices.Equal(before, after[:min(len(before), len(after))]) {
				t.Errorf("%s: what was there is %v, it was %v", a.args, after, before)
			}
			var what []string
			says := ""
			for n, act := range after[len(before):] {
				what = append(what, act.What)
				if n == 0 {
					says = strings.Join([]string{act.Of, act.Before, act.After}, " ")
				}
				if !strings.HasPrefix(act.Who, whoami()+"@") || act.At == "" {
					t.Errorf("%s: by %q at %q", a.args, act.Who, act.At)
				}
			}
			if got := strings.Join(what, ","); got != a.acts || !strings.Contains(says, a.says) {
				t.Errorf("%s: %q, want %q: %s", a.args, got, a.acts, says)
			}
			before = after
		}
		for _, a := range actions {
			run(a)
		}
		text := runs(t, dir, dsn)("audit")
		var told []store.Act
		err := json.Unmarshal([]byte(runs(t, dir, dsn)("audit", "--json")), &told)
		if err != nil || !slices.Equal(told, before) {
			t.Errorf("%v %v", told, err)
		}
		for _, secret := range secrets {
			if secret != "" && strings.Contains(text, secret) {
				t.Error("a secret is in the audit")
			}
		}
		if said := runs(t, dir, dsn)("audit", "--json", "--since", "2999-01-01"); said != "[]\n" {
			t.Errorf("since 2999: %s", said)
		}
		_, cmd := start(t, dir, dsn)
		stop(cmd)
		all := acts()
		if last := all[len(all)-1]; last.What != "signing key" || !strings.HasPrefix(last.Who, "service@") {
			t.Errorf("a service: %+v", last)
		}
		if len(all) != len(before)+1 {
			t.Errorf("a service left %d acts", len(all)-len(before))
		}
	})
	var listed []string
	for _, a := range actions {
		listed = append(listed, a.args)
	}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := strings.TrimPrefix(cmd.CommandPath(), "rollbook ")
		is := func(args string) bool { return args == path || strings.HasPrefix(args, path+" ") }
		if cmd.Runnable() && !slices.ContainsFunc(listed, is) && !slices.Contains(undistricted, path) &&
			!slices.Contains(apart, path) {
			t.Errorf("%s: say what it leaves in the audit", path)
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(command())
}

// Whoever changes what is kept of the acts, takes one away or the end of them, is found by the
// first that is not as it was; who writes all of it anew, by a hash that was noted.
func TestTamperedActs(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		run := runs(t, dir, dsn)
		run("init")
		for _, loss := range []string{"11", "12", "13", "14"} {
			run("settings", "guard-loss", loss)
		}
		said := run("audit", "verify")
		noted := said[strings.LastIndex(said, " ")+1 : len(said)-1]
		run("settings", "guard-loss", "15")
		driver := "pgx"
		if !host.IsPostgres(dsn) {
			driver = "sqlite"
		}
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		exec := func(texts ...string) {
			t.Helper()
			for _, text := range texts {
				if _, err := db.Exec(text); err != nil {
					t.Fatal(err)
				}
			}
		}
		exec(`CREATE TABLE "was" AS SELECT * FROM "acts"`)
		for _, c := range []struct{ tamper, says string }{
			{``, ""},
			{`UPDATE "acts" SET "who" = 'somebody' WHERE "id" = 3`, "act 3 is not what was written"},
			{`UPDATE "acts" SET "at" = '2020-01-01T00:00:00.000Z' WHERE "id" = 1`, "act 1 is not"},
			{`UPDATE "acts" SET "before" = "after", "after" = "before" WHERE "id" = 2`, "act 2 is not"},
			{`UPDATE "acts" SET "before" = '1', "after" = '112' WHERE "id" = 3`, "act 3 is not"},
			{`UPDATE "acts" SET "hash" = 'x' WHERE "id" = 6`, "act 6 is not"},
			{`DELETE FROM "acts" WHERE "id" = 1`, "act 1 was taken away"},
			{`DELETE FROM "acts" WHERE "id" = 4`, "act 4 was taken away"},
			{`DELETE FROM "acts" WHERE "id" = 6`, "act 6 was taken away"},
			{`DELETE FROM "acts"`, "act 1 was taken away"},
			{`UPDATE "acts" SET "id" = "id" + 100 WHERE "id" = 5`, "act 5 was taken away"},
			{`INSERT INTO "acts" SELECT 7, "at", "who", "what", "of", "before", "after", "hash" FROM "acts"
				WHERE "id" = 6`, "act 7 is not"},
		} {
			if c.tamper != "" {
				exec(c.tamper)
			}
			out, errs, code := rollbook(t, dir, "audit", "verify", "--hash", noted, "--db", dsn)
			if code != min(len(c.says), 1) || !strings.Contains(errs, c.says) || code == 0 &&
				!strings.HasPrefix(out, "6 acts as written") {
				t.Errorf("%s: %d %s%s", c.tamper, code, out, errs)
			}
			exec(`DELETE FROM "acts"`, `INSERT INTO "acts" SELECT * FROM "was"`)
		}
		// What follows act 2 was never done, says who has made the rest right.
		exec(`DELETE FROM "acts" WHERE "id" > 2`, `UPDATE "lastAct" SET "act" = 2,
			"hash" = (SELECT "hash" FROM "acts" WHERE "id" = 2)`)
		run("audit", "verify")
		if _, errs, code := rollbook(t, dir, "audit", "verify", "--hash", noted, "--db", dsn); code != 1 ||
			!strings.Contains(errs, "written anew") {
			t.Errorf("%d %s", code, errs)
		}
	})
}

// Those who act at once wait for each other: no act is lost, and all follow from each other.
func TestActsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		runs(t, dir, dsn)("init")
		const each = 5
		errs := make(chan error)
		for range 4 {
			s := storetest.Open(t, dsn, store.Options{})
			go func() {
				var err error
				for range each {
					if err == nil {
						err = s.Did(t.Context(), store.Act{What: "x"})
					}
				}
				errs <- err
			}()
		}
		for range 4 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if said := runs(t, dir, dsn)("audit", "verify"); !strings.HasPrefix(said, "21 acts") {
			t.Error(said)
		}
	})
}
