package outlet_test

import (
	"archive/zip"
	"database/sql"
	"encoding/csv"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/outlet"
	"rollbook/internal/source"
	"rollbook/internal/source/sourcetest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// scoresIn are the scores that packages in a folder tell, one after the other.
func scoresIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range files {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, f := range z.File {
			if f.Name != "results.csv" {
				continue
			}
			in, _ := f.Open()
			rows, err := csv.NewReader(in).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			at := func(row []string, column string) string { return row[slices.Index(rows[0], column)] }
			for _, row := range rows[1:] {
				if out[at(row, "sourcedId")] = at(row, "score"); at(row, "status") == "tobedeleted" {
					delete(out, at(row, "sourcedId"))
				}
			}
		}
		_ = z.Close()
	}
	return out
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files(t, dir, outlet.Settings{Folder: dir}, nil)
	if _, err := (outlet.Settings{Folder: "grades"}).Place(nil); err == nil {
		t.Error("a path that is not whole is taken")
	}
	dir = t.TempDir()
	key, _ := sourcetest.NewKey(t)
	addr, fingerprint := sourcetest.SFTP(t, dir, key.PublicKey())
	secrets := source.Secrets{source.Password: sourcetest.Password}
	at := outlet.Settings{SFTP: &outlet.SFTP{URL: "sftp://rollbook@" + addr + dir, HostKey: fingerprint}}
	files(t, dir, at, secrets)
	at.SFTP.HostKey = "SHA256:other"
	p, err := at.Place(secrets)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Test(t.Context()); err == nil || !strings.Contains(err.Error(),
		"somebody may stand between") {
		t.Errorf("another host: %v", err)
	}
}

// files is a story of packages that are put into a folder, however it is reached.
func files(t *testing.T, dir string, s outlet.Settings, secrets source.Secrets) {
	t.Helper()
	d := newDesk(t, storetest.SQLite(t), s, secrets)
	d.item("l1")
	for pupil := range 5 {
		d.score("l1", pupil, 10+pupil)
	}
	d.want("done: delivered 7")
	before := d.stored()
	d.score("l1", 1, 50)
	d.remove("result", "l1-p2")
	d.want("done: delivered 2")
	want := "map[l1-p0:10 l1-p1:50 l1-p3:13 l1-p4:14]"
	if got := fmt.Sprint(scoresIn(t, dir)); got != want {
		t.Errorf("%s, not %s", got, want)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 2 {
		t.Errorf("%v", files)
	}
	// A crash before the second was noted: it comes again, in the same place.
	turn, _, err := d.s.TakeTurn(t.Context(), store.FeedOutlet, "home", "")
	if err != nil {
		t.Fatal(err)
	}
	turn.Memory = before.Memory
	if err := turn.End(t.Context(), store.Run{State: store.RunFailed}, d.now); err != nil {
		t.Fatal(err)
	}
	d.want("done: delivered 2")
	if again, _ := filepath.Glob(filepath.Join(dir, "*")); !slices.Equal(again, files) ||
		fmt.Sprint(scoresIn(t, dir)) != want {
		t.Errorf("%v, %v", again, scoresIn(t, dir))
	}
}

func TestSQL(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t)
	u, _ := url.Parse(dsn)
	u.User = url.User(u.User.Username())
	sqls(t, u.String(), nil, `insert into marks values (:sourcedId, :lineItemSourcedId,
		cast(:score as decimal(9,2)), concat(':score', cast(:comment as text)))
		on conflict (id) do update set mark = excluded.mark -- not :this`)
	sqls(t, sourcetest.MariaDB(t), source.Secrets{source.Password: sourcetest.Password},
		`insert into marks values (:sourcedId, :lineItemSourcedId, cast(:score as decimal(9,2)),
		concat(':score', :comment)) on duplicate key update mark = values(mark) -- not :this`)
	// What a teacher writes of a child is not in what is kept of a turn, and logged, when a database repeats it.
	d := newDesk(t, storetest.SQLite(t), outlet.Settings{SQL: &outlet.SQL{URL: u.String(),
		Statements: "-- results put\ninsert into marks values (:sourcedId, '', cast(:comment as integer), '')\n" +
			"-- lineItems put\ninsert into nowhere values (:sourcedId)"}}, nil)
	d.item("l9")
	d.put("result", "sourcedId", "r9", "lineItem", "l9", "student", "p1", "score", "5", "comment",
		"Zoë was late")
	said, err := d.deliver()
	if err != nil {
		t.Error(err)
	}
	d.put("result", "sourcedId", "r10", "lineItem", "l9", "student", "p2", "score", "5", "comment", "Zoë again")
	again, err := d.deliver() // of one record alone, which is not taken: that fails
	if err == nil || strings.Contains(fmt.Sprint(said, again, err), "Zoë") {
		t.Error(said, again, err)
	}
	for wrong, says := range map[string]string{"-- users put\nx": "users are not graded",
		"select 1": "begin each statement by a line", "-- results put\nx :grade": "there is no :grade; " +
			"there are :sourcedId",
		"-- results put\nx\n-- results put\ny": "there is a statement for results put already",
		"":                                     "there is no statement"} {
		_, err := outlet.Settings{SQL: &outlet.SQL{URL: "postgres://w@h/d", Statements: wrong}}.Place(nil)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// sqls is a story of scores that statements write, whatever the database.
func sqls(t *testing.T, at string, secrets source.Secrets, put string) {
	t.Helper()
	driver, dsn, err := source.Database(at, secrets[source.Password])
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE marks (id VARCHAR(50) PRIMARY KEY, item TEXT,
		mark DECIMAL(9,2) CHECK (mark < 90), note TEXT)`); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, storetest.SQLite(t), outlet.Settings{SQL: &outlet.SQL{URL: at,
		Statements: "-- results put\n" + put +
			"\n-- results delete\ndelete from marks where id = :sourcedId;\n"}}, secrets)
	d.item("l1")
	for pupil := range 4 {
		d.score("l1", pupil, 10+pupil)
	}
	d.want("done: delivered 6")
	d.score("l1", 1, 95)
	d.score("l1", 2, 50)
	d.remove("result", "l1-p3")
	d.want("refused: delivered 2, refused 1: rollbook outlet status home tells why")
	rows, err := db.Query(`SELECT id, item, mark FROM marks ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := ""
	for rows.Next() {
		var id, item, mark string
		if err := rows.Scan(&id, &item, &mark); err != nil {
			t.Fatal(err)
		}
		got += id + " " + item + " " + mark + "\n"
	}
	if got != "l1-p0 l1 10.00\nl1-p1 l1 11.00\nl1-p2 l1 50.00\n" {
		t.Errorf("%s: %s", driver, got)
	}
	if words := d.not()["results/l1-p1"].Words; !strings.Contains(strings.ToLower(words), "constraint") {
		t.Errorf("%s: %s", driver, words)
	}
}
