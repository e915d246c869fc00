package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
)

// A promise of package store, and what sees whether it holds.
type promise struct {
	name string
	hold func(t *trial)
}

// Run holds an engine to every promise of package store, each as a subtest on an
// empty district of its own, through the store's exported methods. Only what an
// earlier or a later program left behind is put there by hand, in SQL.
func Run(t *testing.T, empty func(t testing.TB) (dsn string)) { RunEach(t, empty, 1) }

// RunEach is Run with one promise in so many.
func RunEach(t *testing.T, empty func(t testing.TB) (dsn string), nth int) {
	n := 0
	for _, subject := range [][]promise{clock, imports, closure, derived, reads, views, filters, gradebook,
		clients, publications, feeds, opening} {
		for _, p := range subject {
			if n++; n%nth != 0 {
				continue
			}
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				tr := &trial{T: t, dsn: empty(t), now: time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
				tr.open()
				p.hold(tr)
			})
		}
	}
}

// A trial is a district under test with its clock, which stands still until the
// test moves it.
type trial struct {
	*testing.T
	dsn string
	now time.Time
	s   *store.Store
}

var ctx = context.Background()

// open opens the district, again when it was open.
func (t *trial) open() {
	t.Helper()
	if t.s != nil {
		_ = t.s.Close()
	}
	t.s = Open(t.T, t.dsn, store.Options{Now: func() time.Time { return t.now }})
}

// tick moves the clock.
func (t *trial) tick(d time.Duration) { t.now = t.now.Add(d) }

func (t *trial) postgres() bool { return strings.HasPrefix(t.dsn, "postgres") }

// byHand runs a statement past the store, as an earlier or later program would.
func (t *trial) byHand(text string) {
	t.Helper()
	db := t.database()
	defer db.Close()
	_, err := db.Exec(text)
	t.must(err)
}

// database is that of the district, past the store.
func (t *trial) database() *sql.DB {
	t.Helper()
	driver := "sqlite"
	if t.postgres() {
		driver = "pgx"
	}
	db, err := sql.Open(driver, t.dsn)
	t.must(err)
	return db
}

// counted asks a number past the store.
func (t *trial) counted(text string) (n int) {
	t.Helper()
	db := t.database()
	defer db.Close()
	t.must(db.QueryRow(text).Scan(&n))
	return n
}

// watch counts from now on what is written of the columns of a resource that is stored, and
// of links: on both engines a trigger tells whether a column is set, to another value or not.
func (t *trial) watch(resources ...string) {
	t.Helper()
	t.byHand(`CREATE TABLE "written" ("what" TEXT)`)
	begin := `BEGIN INSERT INTO "written" VALUES ('%[1]s'); END`
	if t.postgres() {
		t.byHand(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO "written" VALUES (TG_ARGV[0]); RETURN NULL; END $$`)
		begin = `FOR EACH ROW EXECUTE FUNCTION note('%[1]s')`
	}
	note := func(what, on string) {
		t.byHand(fmt.Sprintf(`CREATE TRIGGER "note %[1]s" AFTER `+on+" "+begin, what))
	}
	note("links gone", `DELETE ON "links"`)
	note("links come", `INSERT ON "links"`)
	for _, name := range resources {
		r := oneroster.ByName(name)
		for i, f := range r.Fields {
			if i != oneroster.Modified {
				note(name+"."+f.Name, fmt.Sprintf(`UPDATE OF "%s" ON "%s"`, f.Name, r.Plural))
			}
		}
	}
}

// written tells what was written since it was asked last, and how often.
func (t *trial) written() map[string]int {
	t.Helper()
	db := t.database()
	defer db.Close()
	rows, err := db.Query(`SELECT "what", COUNT(*) FROM "written" GROUP BY "what"`)
	t.must(err)
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		what, n := "", 0
		t.must(rows.Scan(&what, &n))
		out[what] = n
	}
	t.must(rows.Err())
	t.must(rows.Close())
	_, err = db.Exec(`DELETE FROM "written"`)
	t.must(err)
	return out
}

func (t *trial) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// equal holds what came to what was wanted.
func (t *trial) equal(what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\ngot  %+v\nwant %+v", what, got, want)
	}
}

// take imports all that there is of the resources of its rows.
func (t *trial) take(rows ...oneroster.Record) store.Report {
	t.Helper()
	return t.report(Bulk(rows...), store.ImportOptions{})
}

// takeDelta imports what came and went.
func (t *trial) takeDelta(rows ...oneroster.Record) store.Report {
	t.Helper()
	p := Bulk(rows...)
	for r := range p.Carried {
		p.Carried[r] = oneroster.Delta
	}
	return t.report(p, store.ImportOptions{})
}

func (t *trial) report(src oneroster.Source, opt store.ImportOptions) store.Report {
	t.Helper()
	report, err := t.s.Import(ctx, src, opt)
	t.must(err)
	return report
}

// put writes a gradebook object and returns it as it is kept.
func (t *trial) put(resource string, pairs ...string) oneroster.Record {
	t.Helper()
	out, _, err := t.s.Put(ctx, Rec(resource, pairs...))
	t.must(err)
	return out
}

func (t *trial) remove(resource, id string) {
	t.Helper()
	t.must(t.s.Delete(ctx, oneroster.ByName(resource), id))
}

// selection reads "operation a b | filter": a and b are the path's variables in
// their order.
func (t *trial) selection(text string) store.Selection {
	t.Helper()
	head, filter, _ := strings.Cut(text, " | ")
	words := strings.Fields(head)
	sel := store.Selection{Route: Route(words[0]), Vars: map[string]string{}}
	for _, part := range strings.Split(sel.Route.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			sel.Vars[strings.TrimSuffix(name, "}")] = words[1]
			words = words[1:]
		}
	}
	expr, err := query.ParseFilter(sel.Route.Resource, filter)
	t.must(err)
	sel.Query.Filter = expr
	return sel
}

// rows of a selection.
func (t *trial) rows(text string) []oneroster.Record {
	t.Helper()
	out, total := List(t.T, t.s, t.selection(text))
	if total != len(out) {
		t.Errorf("%s: %d rows of a total of %d", text, len(out), total)
	}
	return out
}

// ids of a selection, in its order.
func (t *trial) ids(text string) string {
	t.Helper()
	out := []string{}
	for _, r := range t.rows(text) {
		out = append(out, r.ID())
	}
	return strings.Join(out, " ")
}

// one is the row of a selection that has a sourcedId.
func (t *trial) one(op, id string) oneroster.Record {
	t.Helper()
	for _, r := range t.rows(op + " | sourcedId='" + id + "' AND status!='nothing'") {
		return r
	}
	t.Fatalf("%s: there is no %s", op, id)
	return oneroster.Record{}
}

func (t *trial) stamp(op, id string) string {
	t.Helper()
	return t.one(op, id).Get("dateLastModified")
}

// active lists the resource and sourcedId of all that is active.
func (t *trial) active() string {
	t.Helper()
	out := ""
	for _, r := range oneroster.Resources() {
		var ids []string
		t.must(t.s.ActiveIDs(ctx, r, func(id string) error {
			ids = append(ids, r.Name+" "+id+"\n")
			return nil
		}))
		slices.Sort(ids)
		out += strings.Join(ids, "")
	}
	return out
}

// everything that the district serves, deleted or not, with its times.
func (t *trial) everything() (out []string) {
	t.Helper()
	t.must(t.s.Snapshot(ctx, func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		for _, r := range oneroster.Resources() {
			err := each(r, func(rec oneroster.Record) error {
				out = append(out, r.Name+" "+fmt.Sprintf("%q", rec.Values))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return out
}

// refused holds an error to be of a kind and to say something, and the district to
// be as it was.
func (t *trial) refused(what string, before []string, err error, say string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), say) {
		t.Errorf("%s: %v, not %q", what, err, say)
	}
	t.equal(what+" is refused and changes nothing", t.everything(), before)
}

// source is a package that is written by a function.
type source struct {
	carried map[string]oneroster.Mode
	records func(yield func(oneroster.Row) error) error
}

func (s source) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := map[*oneroster.Resource]oneroster.Mode{}
	for name, mode := range s.carried {
		out[oneroster.ByName(name)] = mode
	}
	return out
}

func (s source) Records(_ context.Context, yield func(oneroster.Row) error) error {
	return s.records(yield)
}

// school is a small district: its rows by name, so that a test can leave some out.
func school() []oneroster.Record {
	return []oneroster.Record{
		Rec("org", "sourcedId", "o1", "name", "School", "type", "school"),
		Rec("org", "sourcedId", "o2", "name", "Annex", "type", "school"),
		Rec("academicSession", "sourcedId", "y", "title", "Year", "type", "term", "startDate", "2026-08-01",
			"endDate", "2027-07-31",
			"schoolYear", "2027"),
		Rec("course", "sourcedId", "co", "title", "Maths", "org", "o1", "schoolYear", "y"),
		Rec("class", "sourcedId", "c1", "title", "Maths 1", "classType", "scheduled", "course", "co",
			"school", "o1", "terms", "y"),
		Rec("class", "sourcedId", "c2", "title", "Maths 2", "classType", "scheduled", "course", "co",
			"school", "o1", "terms", "y"),
		Rec("user", "sourcedId", "u1", "username", "ann", "enabledUser", "true", "givenName", "Ann",
			"familyName", "A", "role", "student", "orgs", "o1"),
		Rec("user", "sourcedId", "u2", "username", "bob", "enabledUser", "true", "givenName", "Bob",
			"familyName", "B", "role", "student", "orgs", "o1"),
		Rec("user", "sourcedId", "u3", "username", "tea", "enabledUser", "true", "givenName", "Tea",
			"familyName", "T", "role", "teacher",
			"orgs", oneroster.Join("o1", "o2")),
		Rec("demographics", "sourcedId", "u1", "sex", "female"),
		Rec("enrollment", "sourcedId", "e1", "user", "u1", "class", "c1", "school", "o1", "role", "student"),
		Rec("enrollment", "sourcedId", "e3", "user", "u3", "class", "c1", "school", "o1", "role", "teacher"),
	}
}

// without leaves rows out, each by "resource id".
func without(rows []oneroster.Record, gone ...string) (out []oneroster.Record) {
	for _, r := range rows {
		if !strings.Contains(" "+strings.Join(gone, " , ")+" ", " "+r.Resource.Name+" "+r.ID()+" ") {
			out = append(out, r)
		}
	}
	return out
}

// with changes fields of one row, "resource id".
func with(rows []oneroster.Record, which string, pairs ...string) (out []oneroster.Record) {
	for _, r := range rows {
		if r.Resource.Name+" "+r.ID() == which {
			r.Values = append([]string(nil), r.Values...)
			for i := 0; i < len(pairs); i += 2 {
				r.Set(pairs[i], pairs[i+1])
			}
		}
		out = append(out, r)
	}
	return out
}

// gone is what a delta says of a record that left.
func gone(resource, id string) oneroster.Record {
	return Rec(resource, "sourcedId", id, "status", oneroster.ToBeDeleted)
}

var errCut = errors.New("cut off")
