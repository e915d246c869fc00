package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// fails opens a district that is not to be opened.
func (t *trial) fails(dsn string, opt store.Options, say string) error {
	t.Helper()
	s, err := store.Open(ctx, dsn, opt)
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), say) {
		t.Errorf("open %s: %v, not %q", dsn, err, say)
	}
	return err
}

var opening = []promise{
	{"a district is there again when it is opened again", func(t *trial) {
		t.take(school()...)
		t.put("category", "sourcedId", "k", "title", "x")
		t.add("c", secret("c1", time.Time{}))
		before, client := t.everything(), *t.client("c")
		t.tick(time.Hour)
		t.open()
		t.equal("the district", t.everything(), before)
		t.equal("the client", *t.client("c"), client)
		t.must(t.s.Ping(ctx))
	}},
	{"the schema of a newer program is left to it", func(t *trial) {
		t.take(school()...)
		t.byHand(`INSERT INTO "migrations" ("number") VALUES (1000)`)
		t.fails(t.dsn, store.Options{}, "its schema is version 1000 and this program knows")
		t.fails(t.dsn, store.Options{Existing: true}, "use the newer rollbook")
	}},
	{"who left in the days of an earlier program is bare too, once, and readers are told", func(t *trial) {
		t.take(with(school(), "user u2", "email", "b@x.example", "metadata", `{"k":"v"}`)...)
		t.take(without(school(), "user u2")...)
		bare := t.one("getAllUsers", "u2").Values
		t.byHand(`UPDATE "users" SET "email" = 'b@x.example', "metadata" = '{"k":"v"}', "metadataText" = '?' WHERE "sourcedId" = 'u2'`)
		t.byHand(`DELETE FROM "upkeep"`)
		untouched := t.stamp("getAllUsers", "u1")
		t.tick(time.Hour)
		t.open()
		got := t.one("getAllUsers", "u2")
		t.equal("its time", got.Get("dateLastModified"), "2026-09-01T09:00:00.000Z")
		got.Set("dateLastModified", bare[oneroster.Modified])
		t.equal("who left", got.Values, bare)
		t.equal("the time of who stayed", t.stamp("getAllUsers", "u1"), untouched)
		before := t.everything()
		t.tick(time.Hour)
		t.open()
		t.equal("opened once more", t.everything(), before)
	}},
	{"where nobody had left no time passes", func(t *trial) {
		t.take(school()...)
		t.byHand(`DELETE FROM "upkeep"`)
		before := t.everything()
		was, err := t.s.Moment(ctx)
		t.must(err)
		t.tick(time.Hour)
		t.open()
		t.equal("the district", t.everything(), before)
		m, err := t.s.Moment(ctx)
		t.must(err)
		t.equal("the clock", m, was)
		t.tick(-time.Hour)
		t.equal("the next time", t.put("category", "sourcedId", "k", "title", "x").Get("dateLastModified"),
			"2026-09-01T08:00:00.001Z")
	}},
	{"a district that is not there is not made where it is to exist", func(t *trial) {
		if t.postgres() {
			empty := Postgres(t)
			if err := t.fails(empty, store.Options{Existing: true}, "there is no district"); !errors.Is(err,
				store.ErrMissing) {
				t.Error(err)
			}
			Open(t.T, empty, store.Options{}) // makes it
			Open(t.T, empty, store.Options{Existing: true})
			return
		}
		dir := t.TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			t.must(os.WriteFile(path, []byte(text), 0o600))
			return path
		}
		for _, c := range []struct {
			path string
			say  string
		}{{filepath.Join(dir, "none.db"), "there is no district"}, {file("empty.db", ""),
			"the file is empty"}} {
			if err := t.fails(c.path, store.Options{Existing: true}, c.say); !errors.Is(err,
				store.ErrMissing) {
				t.Errorf("%s: %v", c.path, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "none.db")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it was made: %v", err)
		}
	}},
	{"a database without tables becomes a district, unless there is to be one", func(t *trial) {
		if t.postgres() {
			return // files are SQLite's
		}
		empty := &trial{T: t.T, dsn: filepath.Join(t.TempDir(), "empty.db")}
		empty.byHand(`VACUUM`)
		empty.byHand(`PRAGMA user_version = 1`)
		if err := t.fails(empty.dsn, store.Options{Existing: true}, "the database is empty"); !errors.Is(err,
			store.ErrMissing) {
			t.Error(err)
		}
		t.must(Open(t.T, empty.dsn, store.Options{}).Ping(ctx))
	}},
	{"a file of another program is left as it is", func(t *trial) {
		if t.postgres() {
			return // files are SQLite's
		}
		dir := t.TempDir()
		text, other := filepath.Join(dir, "text"), &trial{T: t.T, dsn: filepath.Join(dir, "other.db")}
		t.must(os.WriteFile(text, []byte(strings.Repeat("a text that is none of ours ", 9)), 0o644))
		other.byHand(`CREATE TABLE "theirs" ("x" TEXT)`)
		for path, say := range map[string]string{text: "is not a SQLite database",
			other.dsn: "of another program", dir: "is a folder",
			filepath.Join(dir, "no", "d.db"): "does not exist", filepath.Join(dir,
				"a?b.db"): "cannot stand in the path"} {
			before, _ := os.ReadFile(path)
			t.fails(path, store.Options{}, say)
			after, _ := os.ReadFile(path)
			t.equal(path, string(after), string(before))
		}
		left, err := os.ReadDir(dir)
		t.must(err)
		t.equal("files", len(left), 2)
	}},
	{"nobody else on the machine reads the files of a district", func(t *trial) {
		if t.postgres() {
			return // files are SQLite's
		}
		t.add("c", secret("c1", time.Time{}))
		t.take(school()...)
		_, err := t.s.UseNonce(ctx, "c", "n", t.now, t.now.Add(time.Hour))
		t.must(err)
		own := func(when string) {
			files, err := filepath.Glob(filepath.Dir(t.dsn) + "/*")
			t.must(err)
			seen := ""
			for _, f := range files {
				info, err := os.Stat(f)
				t.must(err)
				seen += " " + strings.TrimPrefix(f, t.dsn)
				t.equal(when+" "+f, info.Mode().Perm(), os.FileMode(0o600))
			}
			t.equal(when, seen, "  -shm -wal .nonces .nonces-shm .nonces-wal")
		}
		own("a new one")
		for _, f := range []string{t.dsn, t.dsn + ".nonces"} {
			t.must(os.Chmod(f, 0o644))
		}
		_ = t.s.Close()
		t.open()
		t.put("category", "sourcedId", "k", "title", "x")
		_, err = t.s.UseNonce(ctx, "c", "m", t.now, t.now.Add(time.Hour))
		t.must(err)
		own("one that was open to all")
	}},
	{"a file that was moved or replaced under the service is not written to", func(t *trial) {
		if t.postgres() {
			return // files are SQLite's
		}
		t.take(school()...)
		moved := func(what string) {
			t.Helper()
			_, putErr := func() (bool, error) {
				_, c, err := t.s.Put(ctx, Rec("category", "sourcedId", "k", "title", "x"))
				return c, err
			}()
			_, importErr := t.s.Import(ctx, Bulk(Rec("category", "sourcedId", "k", "title", "x")),
				store.ImportOptions{})
			_, _, restampErr := t.s.Restamp(ctx, store.Moment{}, false)
			for who, err := range map[string]error{"ping": t.s.Ping(ctx), "put": putErr, "import": importErr,
				"restored": restampErr} {
				if !errors.Is(err, store.ErrMoved) {
					t.Errorf("%s, %s: %v", what, who, err)
				}
			}
		}
		t.must(t.s.Ping(ctx))
		t.must(os.Rename(t.dsn, t.dsn+".away"))
		moved("moved")
		t.must(os.WriteFile(t.dsn, nil, 0o600))
		moved("replaced")
		t.must(os.Remove(t.dsn))
		t.must(os.Rename(t.dsn+".away", t.dsn))
		t.must(t.s.Ping(ctx))
		t.put("category", "sourcedId", "k", "title", "x")
	}},
	{"an older copy that is written into the file under the service is noticed", func(t *trial) {
		if t.postgres() {
			return // files are SQLite's
		}
		t.take(school()...)
		t.open() // with nothing in its log
		old, err := os.ReadFile(t.dsn)
		t.must(err)
		t.put("category", "sourcedId", "k", "title", "x")
		t.open()
		watching, stop := context.WithCancel(ctx)
		defer stop()
		came, ended := make(chan store.Moment), make(chan error, 1)
		go func() {
			ended <- t.s.Watch(watching, time.Millisecond, func(m store.Moment) {
				select {
				case came <- m:
				case <-watching.Done():
				}
			})
		}()
		t.equal("before", (<-came).Rev, int64(2))
		t.must(os.WriteFile(t.dsn, old, 0o600))
		for range 100 { // looks
			select {
			case err := <-ended:
				if !errors.Is(err, store.ErrMoved) {
					t.Errorf("an older copy: %v", err)
				}
				return
			case <-came:
			}
		}
		t.Error("an older copy is not noticed")
	}},
	{"a district that was closed answers nothing", func(t *trial) {
		t.take(school()...)
		t.must(t.s.Close())
		_, read := t.s.Known(ctx, oneroster.ByName("user"), "u1")
		_, client := t.s.Client(ctx, "c")
		_, nonce := t.s.UseNonce(ctx, "c", "n", t.now, t.now.Add(time.Hour))
		_, _, write := t.s.Put(ctx, Rec("category", "sourcedId", "k", "title", "x"))
		for who, err := range map[string]error{"read": read, "client": client, "nonce": nonce,
			"write": write} {
			if err == nil || !strings.Contains(err.Error(), "closed") {
				t.Errorf("%s: %v", who, err)
			}
		}
	}},
	{"a place is told without its password", func(t *trial) {
		for dsn, want := range map[string]string{
			"postgres://u:geheim@h/d?search_path=x": "postgres://u:xxxxx@h/d?search_path=x",
			"postgresql://u@h/d":                    "postgresql://u@h/d",
			"sqlite:///a/b.db":                      "/a/b.db", "/a/../c.db": "/c.db"} {
			t.equal(dsn, store.Place(dsn), want)
		}
	}},
}
