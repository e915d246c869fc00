package source

import (
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"  // database/sql: pgx
	_ "github.com/microsoft/go-mssqldb" // database/sql: sqlserver

	"rollbook/internal/bulk"
	"rollbook/internal/oneroster"
)

// SQL is a database that answers a query for each CSV file.
type SQL struct {
	URL     string `json:"url"`               // postgres://, mysql://, sqlserver://; the password is a secret
	Queries string `json:"queries"`           // each after a line such as -- users.csv
	Timeout string `json:"timeout,omitempty"` // of one query; "" is 5m
}

// At is where the database is, without secrets.
func (s *SQL) At() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "database"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

type database struct {
	*SQL
	driver, dsn string
	queries     []query
	timeout     time.Duration
}

// A query makes one file of the package.
type query struct {
	file, text string
	line       int // of the file of queries
}

var sectionLine = regexp.MustCompile(`^--\s*([A-Za-z]+\.csv)\s*$`)

// queriesOf reads a file of queries.
func queriesOf(text string) (out []query, err error) {
	for n, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if m := sectionLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			if bulk.Columns(m[1]) == nil {
				return nil, fmt.Errorf("line %d: OneRoster 1.1 has no file %s", n+1, m[1])
			}
			if slices.ContainsFunc(out, func(q query) bool { return q.file == m[1] }) {
				return nil, fmt.Errorf("line %d: there is a query for %s already", n+1, m[1])
			}
			out = append(out, query{file: m[1], line: n + 1})
			continue
		}
		if len(out) == 0 {
			if bare := strings.TrimSpace(line); bare != "" && !strings.HasPrefix(bare, "--") {
				return nil, fmt.Errorf("line %d: begin each query by a line with its file, such as -- "+
					"users.csv", n+1)
			}
			continue
		}
		out[len(out)-1].text += line + "\n"
	}
	for i := range out {
		out[i].text = strings.TrimRight(strings.TrimSpace(out[i].text), "; \n")
	}
	out = slices.DeleteFunc(out, func(q query) bool { return bareText(q.text) == "" })
	if len(out) == 0 {
		return nil, errors.New("there is no query: rollbook source init sql writes a file to begin with")
	}
	return out, nil
}

// bareText is a query without lines that are comments.
func bareText(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
		return strings.HasPrefix(strings.TrimSpace(line), "--")
	})
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func (s *SQL) place(secrets Secrets) (Place, error) {
	d := &database{SQL: s, timeout: 5 * time.Minute}
	var err error
	if d.driver, d.dsn, err = Database(s.URL, secrets[Password]); err != nil {
		return nil, err
	}
	if s.Timeout != "" {
		if d.timeout, err = time.ParseDuration(s.Timeout); err != nil || d.timeout < time.Second {
			return nil, fmt.Errorf("--query-time %q: write a span such as 5m", s.Timeout)
		}
	}
	if d.queries, err = queriesOf(s.Queries); err != nil {
		return nil, fmt.Errorf("--sql: %w", err)
	}
	return d, nil
}

// secretParameters are those of the three drivers' URLs.
var secretParameters = []string{"password", "pwd", "sslpassword", "passwd"}

// Database reads the URL of a database: a driver of database/sql, and what that opens.
func Database(text, password string) (driver, dsn string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" && u.Query().Get("host") == "" {
		return "", "", fmt.Errorf("%q is no URL of a database: write postgres://, mysql:// or "+
			"sqlserver://user@host/name",
			hideURL(text))
	}
	if _, is := u.User.Password(); is {
		return "", "", errors.New("leave the password out of the URL of the database, it would be shown: " +
			"it is asked for, or taken from ROLLBOOK_PASSWORD")
	}
	for name := range u.Query() {
		if slices.Contains(secretParameters, strings.ToLower(name)) {
			return "", "", fmt.Errorf("leave %s out of the URL of the database, it would be shown: a password is "+
				"asked for, or taken from ROLLBOOK_PASSWORD", name)
		}
	}
	user := u.User.Username()
	switch u.Scheme {
	case "postgres", "postgresql":
		if password != "" {
			u.User = url.UserPassword(user, password)
		}
		return "pgx", u.String(), nil
	case "mysql", "mariadb":
		c := mysql.NewConfig()
		c.User, c.Passwd, c.Net, c.Addr, c.DBName = user, password, "tcp", u.Host, strings.TrimPrefix(u.Path,
			"/")
		if u.Port() == "" {
			c.Addr = net.JoinHostPort(u.Hostname(), "3306")
		}
		c.TLSConfig = u.Query().Get("tls")
		c.Timeout, c.ReadTimeout = 30*time.Second, 10*time.Minute
		return "mysql", c.FormatDSN(), nil
	case "sqlserver":
		q := u.Query()
		if name := strings.TrimPrefix(u.Path, "/"); name != "" && q.Get("database") == "" {
			q.Set("database", name) // a path is an instance there
			u.Path = ""
		}
		q.Set("applicationintent", "ReadOnly")
		u.RawQuery = q.Encode()
		u.User = url.UserPassword(user, password)
		return "sqlserver", u.String(), nil
	}
	return "", "", fmt.Errorf("%s:// is no database that is known here: postgres, mysql, sqlserver", u.Scheme)
}

// reading runs do in a transaction that changes nothing and, where the engine can, sees one state.
func (d *database) reading(ctx context.Context, do func(tx *sql.Tx) error) error {
	db, err := sql.Open(d.driver, d.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	opt := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if d.driver == "sqlserver" {
		opt = &sql.TxOptions{} // it has neither by this driver: the user's rights are what keeps it from writing
	}
	dial, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := db.PingContext(dial); err != nil {
		return fmt.Errorf("%s cannot be reached: %w", d.At(), err)
	}
	tx, err := db.BeginTx(ctx, opt)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	switch d.driver {
	case "pgx":
		_, err = tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d",
			d.timeout.Milliseconds()))
	case "mysql":
		if _, wrong := tx.ExecContext(ctx, fmt.Sprintf("SET SESSION max_statement_time = %d",
			int(d.timeout.Seconds()))); wrong != nil {
			// MySQL knows another name, MariaDB this one.
			_, err = tx.ExecContext(ctx, fmt.Sprintf("SET SESSION max_execution_time = %d",
				d.timeout.Milliseconds()))
		}
	}
	if err != nil {
		return err
	}
	return do(tx)
}

// failed is an error of the query, which is told by its file and where it stands.
func (q query) failed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("it takes longer than it may (--query-time): %w", err)
	}
	return fmt.Errorf("%s (the query below line %d): %w", q.file, q.line, err)
}

// ask runs a query.
func (d *database) ask(ctx context.Context, tx *sql.Tx, q query) (*sql.Rows, []string, error) {
	rows, err := tx.QueryContext(ctx, q.text)
	if err != nil {
		return nil, nil, q.failed(err)
	}
	columns, err := rows.Columns()
	if err != nil { // its time may be over by now
		_ = rows.Close()
		return nil, nil, q.failed(err)
	}
	if columns, err = q.named(columns); err != nil {
		_ = rows.Close()
		return nil, nil, err
	}
	return rows, columns, nil
}

// named are the columns of a query as its file names them. All that is wrong with them is told at once.
func (q query) named(columns []string) ([]string, error) {
	known := append([]string{"sourcedId", "status", "dateLastModified"}, bulk.Columns(q.file)...)
	out := slices.Clone(columns)
	var unknown, wrong []string
	for i, name := range columns {
		at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		switch {
		case strings.HasPrefix(strings.ToLower(name), "metadata."):
		case at < 0:
			unknown = append(unknown, strconv.Quote(name))
		case slices.Contains(out[:i], known[at]):
			wrong = append(wrong, fmt.Sprintf("it has the column %s twice", known[at]))
		default:
			out[i] = known[at] // PostgreSQL writes names small that are not quoted
		}
	}
	if len(unknown) > 0 {
		of := "column"
		if len(unknown) > 1 {
			of = "columns"
		}
		wrong = append(wrong, fmt.Sprintf("it has no %s %s; name it AS one of: %s", of,
			strings.Join(unknown, ", "), strings.Join(known, ", ")))
	}
	if !slices.Contains(out, "sourcedId") {
		wrong = append(wrong, "it lacks the column sourcedId")
	}
	if wrong != nil {
		return nil, fmt.Errorf("%s (the query below line %d): %s", q.file, q.line, strings.Join(wrong, "; "))
	}
	return out, nil
}

// look asks what columns the queries have before any of them is run, and tells what is wrong with all. What
// cannot be asked within another query, such as a procedure, is looked at when it is run.
func (d *database) look(ctx context.Context, tx *sql.Tx) (err error) {
	for _, q := range d.queries {
		columns, is, wrong := d.within(ctx, tx, q)
		if wrong != nil {
			return wrong
		}
		if is {
			_, wrong := q.named(columns)
			err = errors.Join(err, wrong)
		}
	}
	return err
}

// within asks for the columns of a query and none of its rows. is tells whether that can be done; where it
// cannot, the transaction goes on.
func (d *database) within(ctx context.Context, tx *sql.Tx, q query) (columns []string, is bool, err error) {
	if d.driver == "pgx" { // a statement that fails spoils the transaction
		if _, err := tx.ExecContext(ctx, "SAVEPOINT rollbook"); err != nil {
			return nil, false, err
		}
		defer func() {
			_, wrong := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT rollbook")
			err = errors.Join(err, wrong)
		}()
	}
	asked, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	rows, wrong := tx.QueryContext(asked, "select * from (\n"+q.text+"\n) rollbook where 1 = 0")
	if wrong != nil {
		return nil, false, ctx.Err()
	}
	columns, wrong = rows.Columns()
	wrong = errors.Join(wrong, rows.Close(), rows.Err())
	return columns, wrong == nil, ctx.Err()
}

func (d *database) Test(ctx context.Context) (told string, err error) {
	var files []string
	err = d.reading(ctx, func(tx *sql.Tx) error { return d.look(ctx, tx) })
	for i := 0; err == nil && i < len(d.queries); i++ {
		q, some := d.queries[i], false
		// The rest of its rows is not read, which costs some drivers the connection: each has its own.
		err = d.reading(ctx, func(tx *sql.Tx) error {
			ctx, cancel := context.WithTimeout(ctx, d.timeout)
			defer cancel()
			rows, _, err := d.ask(ctx, tx, q)
			if err != nil {
				return err
			}
			if some = rows.Next(); !some {
				err = rows.Err()
			}
			if err != nil {
				err = q.failed(err)
			}
			cancel()
			_ = rows.Close()
			return err
		})
		if !some {
			q.file += " (no rows)"
		}
		files = append(files, q.file)
	}
	return strings.Join(files, ", "), err
}

func (d *database) Fetch(ctx context.Context, dir string, _ json.RawMessage) (got Fetched, err error) {
	modes := [][]string{{"propertyName", "value"}, {"manifest.version", "1.0"}, {"oneroster.version", "1.1"}}
	err = d.reading(ctx, func(tx *sql.Tx) error {
		if err := d.look(ctx, tx); err != nil {
			return err
		}
		for _, q := range d.queries {
			if err := d.file(ctx, tx, q, dir); err != nil {
				return err
			}
			modes = append(modes, []string{"file." + strings.TrimSuffix(q.file, ".csv"),
				oneroster.Bulk.String()})
		}
		return nil
	})
	if err != nil {
		return got, err
	}
	for _, file := range bulk.FileNames() {
		if !slices.ContainsFunc(d.queries, func(q query) bool { return q.file == file }) &&
			file != "classGroups.csv" {
			modes = append(modes, []string{"file." + strings.TrimSuffix(file, ".csv"),
				oneroster.Absent.String()})
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, "manifest.csv"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return got, err
	}
	err = errors.Join(bulk.NewCSV(f).WriteAll(modes), f.Close())
	return Fetched{Path: dir, Name: "SQL of " + time.Now().UTC().Format("2006-01-02 15:04")}, err
}

// file writes what a query answers.
func (d *database) file(ctx context.Context, tx *sql.Tx, q query, dir string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	rows, columns, err := d.ask(ctx, tx, q)
	if err != nil {
		return err
	}
	defer rows.Close()
	f, err := os.OpenFile(filepath.Join(dir, q.file), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	out := bulk.NewCSV(&bounded{f, mostBytes})
	defer func() { err = errors.Join(err, f.Close()) }()
	if err = writeRows(out, rows, columns, q); err == nil {
		out.Flush()
		err = out.Error()
	}
	if err != nil {
		cancel() // the rest is not read
	}
	return err
}

func writeRows(out *csv.Writer, rows *sql.Rows, columns []string, q query) error {
	if err := out.Write(columns); err != nil {
		return err
	}
	values, cells := make([]any, len(columns)), make([]string, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return q.failed(err)
		}
		for i, v := range values {
			cells[i] = cellOf(v, columns[i])
		}
		if err := out.Write(cells); err != nil {
			return q.failed(err)
		}
	}
	if err := rows.Err(); err != nil {
		return q.failed(err)
	}
	return nil
}

// cellOf is a value as the CSV binding writes it: NULL is empty, a date is a date.
func cellOf(v any, column string) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	case string:
		return v
	case time.Time:
		if column != "dateLastModified" && v.Hour() == 0 && v.Minute() == 0 && v.Second() == 0 &&
			v.Nanosecond() == 0 {
			return v.Format(oneroster.DateLayout)
		}
		return oneroster.FormatTime(v)
	case float64:
		return oneroster.FormatNumber(v)
	}
	return fmt.Sprint(v)
}

// SQLFile is a file of queries to begin with.
func SQLFile() string {
	var b strings.Builder
	b.WriteString(`-- Queries for "rollbook source add NAME --sql THIS-FILE --database URL".
--
-- One query for each CSV file of OneRoster 1.1, begun by a line with the name of the file. The columns of
-- a query are named as those of the file, in any order; columns that you leave out are empty. A file that
-- has no query is left as the district has it. Take the comment signs away from what you need.
--
-- Dates are written as yyyy-mm-dd, truth as true or false, lists with commas between their values. What
-- refers to something gives its sourcedId. Ids must stay the same from night to night.
-- PostgreSQL writes names small that are not in double quotes; that does no harm here.

`)
	samples := map[string]string{
		"orgs.csv": `select s.code as "sourcedId", s.name as "name", 'school' as "type", s.number as "identifier",
--   'district' as "parentSourcedId" from schools s
-- union all select 'district', 'Our District', 'district', '1', null`,
		"academicSessions.csv": `select t.id as "sourcedId", t.name as "title", 'term' as "type", t.first as "startDate",
--   t.last as "endDate", null as "parentSourcedId", t.year as "schoolYear" from terms t`,
		"courses.csv": `select c.id as "sourcedId", c.name as "title", c.number as "courseCode",
--   'district' as "orgSourcedId" from courses c`,
		"classes.csv": `select c.id as "sourcedId", c.name as "title", c.course as "courseSourcedId",
--   'scheduled' as "classType", c.school as "schoolSourcedId", c.term as "termSourcedIds" from sections c`,
		"users.csv": `select p.id as "sourcedId", 'true' as "enabledUser", p.school as "orgSourcedIds",
--   case when p.teaches then 'teacher' else 'student' end as "role", p.email as "username",
--   p.first as "givenName", p.last as "familyName", p.email as "email", p.grade as "grades" from people p`,
		"enrollments.csv": `select e.id as "sourcedId", e.section as "classSourcedId", c.school as "schoolSourcedId",
--   e.person as "userSourcedId", e.role as "role", e.main as "primary"
-- from seats e join sections c on c.id = e.section`,
	}
	for _, file := range bulk.FileNames() {
		fmt.Fprintf(&b, "-- %s\n-- columns: sourcedId, %s\n", file, strings.Join(bulk.Columns(file), ", "))
		if sample := samples[file]; sample != "" {
			fmt.Fprintf(&b, "-- %s\n", sample)
		}
		b.WriteString("\n")
	}
	return b.String()
}
