package source_test

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/source"
	"rollbook/internal/source/sourcetest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

const sis = `CREATE TABLE schools (code VARCHAR(20), name VARCHAR(99));
INSERT INTO schools VALUES ('s1', 'North "High", School'), ('s2', 'Süd');
CREATE TABLE terms (id VARCHAR(20), first DATE, last DATE);
INSERT INTO terms VALUES ('t1', '2026-09-01', '2027-06-30');
CREATE TABLE people (id VARCHAR(20), school VARCHAR(20), first VARCHAR(50), last VARCHAR(50), teaches INT);
INSERT INTO people VALUES ('p1', 's1', 'Zoë', 'O''Hara', 0), ('p2', 's2', 'Line', 'Two', 1);
CREATE TABLE sections (id VARCHAR(20), school VARCHAR(20), name VARCHAR(50));
INSERT INTO sections VALUES ('c1', 's1', 'Algebra');
CREATE TABLE seats (section VARCHAR(20), person VARCHAR(20), first DATE);
INSERT INTO seats VALUES ('c1', 'p1', '2026-09-01'), ('c1', 'p2', NULL)`

// queries are what both databases take.
const queries = `-- Our own.

-- orgs.csv
select code as sourcedId, name as name, 'school' as type, code as identifier from schools;

-- academicSessions.csv
select id as sourcedId, 'Year' as title, 'schoolYear' as type, first as startDate, last as endDate,
  '2027' as schoolYear from terms
-- courses.csv
-- none yet
select 'k1' as sourcedId, 'Mathematics' as title, 's1' as orgSourcedId
-- classes.csv
select id as sourcedId, name as title, 'k1' as courseSourcedId, 'scheduled' as classType,
  school as schoolSourcedId, 't1' as termSourcedIds from sections
-- users.csv
select id as sourcedId, 'true' as enabledUser, school as orgSourcedIds,
  case when teaches = 1 then 'teacher' else 'student' end as role, id as username, first as givenName,
  last as familyName from people
-- enrollments.csv
select concat(section, '-', person) as sourcedId, section as classSourcedId, 's1' as schoolSourcedId,
  person as userSourcedId, case when person = 'p2' then 'teacher' else 'student' end as role,
  first as beginDate from seats
`

func TestSQL(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func() (at, password, driver, dsn string){
		"PostgreSQL": func() (string, string, string, string) {
			dsn := storetest.Postgres(t)
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.User(u.User.Username())
			return u.String(), "", "pgx", dsn
		},
		"MariaDB": func() (string, string, string, string) {
			at := sourcetest.MariaDB(t)
			driver, dsn, err := source.Database(at, sourcetest.Password)
			if err != nil {
				t.Fatal(err)
			}
			return at, sourcetest.Password, driver, dsn
		},
	} {
		at, password, driver, dsn := start()
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, text := range strings.Split(sis, ";\n") {
			if _, err := db.Exec(text); err != nil {
				t.Fatalf("%s: %s: %v", name, text, err)
			}
		}
		secrets := source.Secrets{source.Password: password}
		settings := func(queries string) source.Settings {
			return source.Settings{SQL: &source.SQL{URL: at, Queries: queries, Timeout: "1s"}}
		}
		p := place(t, settings(queries), secrets)
		if told, err := p.Test(t.Context()); err != nil || !strings.HasPrefix(told,
			"orgs.csv, academicSessions.csv") {
			t.Errorf("%s: %q %v", name, told, err)
		}
		got, err := p.Fetch(t.Context(), t.TempDir(), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s := storetest.Open(t, storetest.SQLite(t), store.Options{})
		takeIn(t, s, got)
		if is := held(t, s); !strings.Contains(is, `"North \"High\", School"`) ||
			!strings.Contains(is, `"Zoë" "O'Hara"`) || !strings.Contains(is, `"2026-09-01"`) ||
			strings.Count(is, "\n") != 9 {
			t.Errorf("%s: %s", name, is)
		}
		// What has many rows is looked at as well, and not to its end.
		many := map[string]string{"pgx": "select g as sourcedId from generate_series(1, 3000000) g",
			"mysql": "select seq as sourcedId from seq_1_to_3000000"}[driver]
		if told, err := place(t, settings("-- orgs.csv\n"+many+"\n-- users.csv\n"+many+
			"\n-- courses.csv\n"+many+" where 1 = 0"), secrets).Test(t.Context()); err != nil ||
			told != "orgs.csv, users.csv, courses.csv (no rows)" {
			t.Errorf("%s: %q %v", name, told, err)
		}
		endless := settings("-- users.csv\nselect repeat('x', 1000) as sourcedId from (" + many + ") m")
		endless.SQL.Timeout = "1m"
		if _, err := place(t, endless, secrets).Fetch(t.Context(), t.TempDir(), nil); err == nil ||
			!strings.Contains(err.Error(), "users.csv (the query below line 1): more than 16777216 bytes came") {
			t.Errorf("%s: rows without end: %v", name, err)
		}
		slow := map[string]string{"pgx": "select pg_sleep(60)::text as sourcedId",
			"mysql": "select sleep(60) as sourcedId"}
		for _, row := range []struct{ queries, says string }{
			{"-- users.csv\nselect id as sourcedId, first as firstName from people",
				`users.csv (the query below line 1): it has no column "firstname"; name it AS one of: sourcedId,`},
			{"-- users.csv\nselect first as givenName from people", "it lacks the column sourcedId"},
			{"-- orgs.csv\nselect code as sourcedId, name as title, name as label from schools\n" +
				"-- courses.csv\nselect 1 as sourcedId\n-- users.csv\n" +
				"select first as firstName -- of them\nfrom people",
				`orgs.csv (the query below line 1): it has no columns "title", "label"; name it AS one of: ` +
					"sourcedId, status, dateLastModified, name, type, identifier, parentSourcedId\n" +
					`users.csv (the query below line 5): it has no column "firstname"; name it AS`},
			{"-- courses.csv\nselect 1 as sourcedId, 2 as sourcedId", "it has the column sourcedId twice"},
			{"-- orgs.csv\nselect code as sourcedId, name as title from schools\n-- users.csv\n" +
				"with those as (select first from people) select first as firstName from those order by 1 -- all",
				`users.csv (the query below line 3): it has no column "firstname"; name it AS one of:`},
			{"-- users.csv\nselect nothing from people", "users.csv (the query below line 1): "},
			{"-- users.csv\n" + slow[driver], "users.csv"},
			{"-- orgs.csv\ninsert into schools values ('x', 'y')", "orgs.csv (the query below line 1): "},
		} {
			_, err := place(t, settings(row.queries), secrets).Fetch(t.Context(), t.TempDir(), nil)
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(row.says)) {
				t.Errorf("%s: %s: %v", name, row.queries, err)
			}
		}
		var n int
		if err := db.QueryRow("select count(*) from schools").Scan(&n); err != nil || n != 2 {
			t.Errorf("%s: a query has written: %d schools, %v", name, n, err)
		}
		if password != "" {
			_, err := place(t, settings(queries), source.Secrets{source.Password: "wrong " +
				"mule"}).Fetch(t.Context(), t.TempDir(), nil)
			if err == nil || strings.Contains(err.Error(), "wrong mule") {
				t.Errorf("%s: another password: %v", name, err)
			}
		}
	}
	for wrong, says := range map[string]string{"select 1": "line 1: begin each query by a line with its file",
		"-- teachers.csv\nselect 1":                      "no file teachers.csv",
		"-- users.csv\nselect 1\n-- users.csv\nselect 2": "line 3: there is a query for users.csv already",
		"-- users.csv\n-- select 1":                      "there is no query",
		source.SQLFile():                                 "there is no query"} {
		_, err := source.Settings{SQL: &source.SQL{URL: "postgres://r@h/d", Queries: wrong}}.Place(nil)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for _, wrong := range []string{"oracle://r@h/d", "postgres://r:secret@h/d", "r:secret@tcp(h)/d",
		"postgres://r@h/d?password=secret", "postgres://r@h/d?sslpassword=secret",
		"sqlserver://r@h/d?Password=secret"} {
		if _, _, err := source.Database(wrong, ""); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	if driver, dsn, err := source.Database("sqlserver://reader@db.example/sis", "pa ss"); err != nil ||
		driver != "sqlserver" || !strings.Contains(dsn, "database=sis") || !strings.Contains(dsn,
		"reader:pa%20ss@") {
		t.Errorf("SQL Server: %s %v", dsn, err)
	}
}

// Each file that a package may have can be begun from what source init writes.
func TestSQLFile(t *testing.T) {
	t.Parallel()
	text := source.SQLFile()
	for _, r := range oneroster.Resources() {
		if !strings.Contains(text, "-- "+r.Plural+".csv\n") {
			t.Errorf("it lacks %s", r.Plural)
		}
	}
}
