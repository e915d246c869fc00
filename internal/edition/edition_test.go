package edition_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/edition"
	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var ctx = context.Background()

const base = "https://roster.example.org/ims/oneroster/v1p1"

// A roster is a made-up district, another one each night: of its records one in 40 says
// something new, and one in 60 is gone.
type roster struct {
	*sandbox.District
	night int
}

func newRoster(students int) roster {
	return roster{sandbox.New(sandbox.Options{Students: students, Seed: 1,
		Today: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}), 0}
}

func (r roster) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	n := 0
	return r.District.Records(ctx, func(row oneroster.Row) error {
		n++
		late := row.Resource.Name == "enrollment" || row.Resource.Name == "result"
		if late && (n+13*r.night)%60 == 0 {
			return nil
		}
		if (n+7*r.night)%40 == 0 {
			row.Set("metadata", fmt.Sprintf(`{"night":"%d",%q:"IsManaged"}`, r.night, oneroster.UserFlags))
		}
		return yield(row)
	})
}

func publish(t testing.TB, s *store.Store, src oneroster.Source) {
	t.Helper()
	if _, err := s.Import(ctx, src, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}

// small is a small district that is published and served, and the clock of its walks, which
// stands still until the test moves it.
func small(t *testing.T) (s *store.Store, src roster, d *edition.District, now *time.Time) {
	t.Helper()
	s, src = storetest.Open(t, storetest.SQLite(t), store.Options{}), newRoster(30)
	publish(t, s, src)
	d = edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	now = new(time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC))
	d.SetClock(func() time.Time { return *now })
	return s, src, d, now
}

// asked makes an Ask of an operation, its path variables and a query as a client writes it.
func asked(t testing.TB, op, raw string, vars map[string]string) edition.Ask {
	t.Helper()
	route := storetest.Route(op)
	parsed, err := query.Parse(route.Resource, strings.ReplaceAll(raw, " ", "%20"))
	if err != nil {
		t.Fatal(op, raw, err)
	}
	return edition.Ask{Selection: store.Selection{Route: route, Vars: vars, Query: parsed}, Client: "reader",
		Base: base, Veiled: true}
}

// body is the text of a page, and whether it came of an edition that was there.
func body(t testing.TB, d *edition.District, ask edition.Ask) (string, *edition.Page) {
	t.Helper()
	p, err := d.List(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var out bytes.Buffer
	err = p.Send("]}", func(part []byte) error { _, err := out.Write(part); return err })
	if err != nil {
		t.Fatal(err)
	}
	if size := p.Size("]}"); size != "" && size != fmt.Sprint(out.Len()) {
		t.Errorf("%+v: it says that it has %s bytes, not %d", ask.Query, size, out.Len())
	}
	if p.Encoding != "" && !ask.Gzip {
		t.Errorf("%+v: it is compressed, which was not asked for", ask.Query)
	}
	if p.Encoding == "gzip" {
		member, err := gzip.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		member.Multistream(false)
		text, err := io.ReadAll(member)
		if err != nil || out.Len() > 0 {
			t.Fatalf("%+v: %v, %d bytes behind", ask.Query, err, out.Len())
		}
		return string(text), p
	}
	return out.String(), p
}

// Whatever is asked, an edition answers byte for byte as the database does: compressed or
// not, of every collection, also after nights and writes.
func TestPagesAreAsTheDatabaseHasThem(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		src := newRoster(60)
		publish(t, s, src)
		d, plain := edition.New(s, edition.Options{}), edition.New(s, edition.Options{Plain: true})
		t.Cleanup(d.Close)
		d.Later()
		rng := rand.New(rand.NewPCG(1, 2))
		var copied, sent int
		var now []edition.Ask // asked in a round, and again after the next night
		for round := range storetest.Tries(5) {
			if round > 0 {
				src.night = round
				publish(t, s, src)
			}
			write(t, s, rng)
			again := now
			now = asks(t, rng, s)
			for _, ask := range slices.Concat(again, now) {
				ask.Client = fmt.Sprint("reader", sent) // none is in a walk
				_, _ = body(t, d, ask)
				d.Wait()
				got, p := body(t, d, ask)
				want, q := body(t, plain, ask)
				sent++
				if p.Size("") != "" || p.Encoding != "" || ask.Query.Fields != nil {
					copied++
				}
				if got != want || p.Total != q.Total || p.Rows != q.Rows || p.Edition != q.Edition {
					t.Fatalf("%s %+v: %d of %d in %d, not %d of %d in %d:\n%.2000s\n%.2000s", ask.Route.Op, ask.Query,
						p.Rows, p.Total, p.Edition, q.Rows, q.Total, q.Edition, got, want)
				}
			}
		}
		if copied < sent {
			t.Errorf("only %d of %d pages came of an edition", copied, sent)
		}
	})
}

// An answer that missed an edition is not followed from the one after: what changed between
// is in it.
func TestAnswersMissNoEdition(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), store.Options{})
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	total := func(filter string) int {
		_, p := body(t, d, asked(t, "getAllCategories", "filter="+filter, nil))
		return p.Total
	}
	for n := range 4 {
		for _, id := range []string{"a", "b"} {
			rec := storetest.Rec("category", "sourcedId", fmt.Sprint(id, n), "title", "x")
			if _, _, err := s.Put(ctx, rec); err != nil {
				t.Fatal(err)
			}
			_ = total("title!='another'") // asks at every edition
		}
		if got, want := total("title='x'"), 2*(n+1); got != want {
			t.Errorf("%d records, not %d", got, want)
		}
	}
}

// Places of which no record is, as where somebody has deleted rows by hand, are passed over.
func TestPlacesMayBeEmpty(t *testing.T) {
	dsn := storetest.SQLite(t)
	s := storetest.Open(t, dsn, store.Options{})
	publish(t, s, newRoster(200))
	file, err := sql.Open("sqlite", dsn)
	if err == nil {
		_, err = file.Exec(`DELETE FROM "users" WHERE "seq" % 7 < 2`)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	d, plain := edition.New(s, edition.Options{}), edition.New(s, edition.Options{Plain: true})
	t.Cleanup(d.Close)
	for _, raw := range []string{"limit=10000", "limit=120&offset=30", "filter=status='active'&limit=10000"} {
		for _, zip := range []bool{false, true} {
			ask := asked(t, "getAllUsers", raw, nil)
			ask.Gzip = zip
			got, p := body(t, d, ask)
			if want, q := body(t, plain, ask); got != want || p.Total != q.Total || p.Rows != q.Rows {
				t.Errorf("%s: %d of %d, not %d of %d", raw, p.Rows, p.Total, q.Rows, q.Total)
			}
		}
	}
}

// Text behind a compressed page is of any length, as warnings are.
func TestPagesEndInAnyText(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), store.Options{})
	publish(t, s, newRoster(200))
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	ask := asked(t, "getAllUsers", "limit=150", nil)
	ask.Gzip = true
	p, err := d.List(ctx, ask)
	if err != nil || p.Encoding != "gzip" {
		t.Fatal(err, p)
	}
	for _, length := range []int{0, 1 << 15, 1<<15 + 1, 1<<16 - 1, 1 << 16, 200_000} {
		var out bytes.Buffer
		end := strings.Repeat("w", length)
		if err := p.Send(end, func(part []byte) error { _, err := out.Write(part); return err }); err != nil {
			t.Fatal(err)
		}
		member, err := gzip.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(member)
		if _, w, _ := strings.Cut(string(text), "}w"); err != nil || length > 1 && len(w) != length-1 {
			t.Errorf("%d bytes: %d came, %v", length, len(w), err)
		}
	}
}

// write writes some categories, and deletes some.
func write(t testing.TB, s *store.Store, rng *rand.Rand) {
	t.Helper()
	for range 6 {
		id := fmt.Sprint("k", rng.IntN(9))
		_, _, err := s.Put(ctx, storetest.Rec("category", "sourcedId", id, "title", fmt.Sprint(rng.IntN(1e6))))
		if err == nil && rng.IntN(2) == 0 {
			err = s.Delete(ctx, oneroster.ByName("category"), id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// asks makes a question of every list of the standard, with some of each kind of condition.
func asks(t testing.TB, rng *rand.Rand, s *store.Store) (out []edition.Ask) {
	ids := map[string][]string{}
	err := s.Snapshot(ctx, func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		for _, r := range oneroster.Resources() {
			err := each(r, func(rec oneroster.Record) error {
				ids[r.Name] = append(ids[r.Name], rec.ID())
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pick := func(some ...string) string { return some[rng.IntN(len(some))] }
	for i := range oneroster.V1p1.Routes {
		route := &oneroster.V1p1.Routes[i]
		if route.Method != "GET" || route.One {
			continue
		}
		vars := map[string]string{}
		for _, segment := range route.Segments {
			name, isVar := strings.CutPrefix(segment, "{")
			if !isVar {
				continue
			}
			of := map[string]string{"school_id}": "org", "term_id}": "academicSession", "class_id}": "class",
				"course_id}": "course", "li_id}": "lineItem"}[name]
			if of == "" {
				of = "user"
			}
			vars[strings.TrimSuffix(name, "}")] = pick(ids[of]...)
		}
		raw := pick("", "&filter=sourcedId!='k1'", "&filter=status='active'", "&filter=status='tobedeleted'",
			"&filter=dateLastModified>'2020-01-01'", "&filter=sourcedId>'"+pick(ids[route.Resource.Name]...)+"'") +
			pick("", "", "&sort=sourcedId&orderBy=desc", "&sort=dateLastModified", "&sort=status") +
			pick("", "", "&fields=sourcedId,status", "&fields=dateLastModified,metadata")
		ask := asked(t, route.Op, fmt.Sprintf("limit=%s&offset=0", pick("1", "7", "100", "300",
			"50000"))+raw, vars)
		ask.Gzip = rng.IntN(2) == 0
		ask.Query.Offset = rng.IntN(2) * rng.IntN(500)
		out = append(out, ask)
	}
	slices.SortFunc(out, func(a, b edition.Ask) int { return strings.Compare(a.Route.Op, b.Route.Op) })
	return out
}

// A client that asks much that takes long waits for itself: another one's questions are
// answered meanwhile.
func TestNobodyTakesEveryPlace(t *testing.T) {
	dsn := storetest.Postgres(t)
	s := storetest.Open(t, dsn, store.Options{})
	publish(t, s, newRoster(30))
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	_, _ = body(t, d, asked(t, "getAllUsers", "limit=1", nil))
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err == nil {
		_, err = tx.Exec(`LOCK TABLE "users" IN ACCESS EXCLUSIVE MODE`) // who asks for users waits
	}
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	left, stop := context.WithCancel(ctx)
	var busy sync.WaitGroup
	for n := range 60 {
		ask := asked(t, "getAllUsers", fmt.Sprintf("filter=email='%d'", n), nil)
		busy.Go(func() { _, _ = d.List(left, ask) }) // it is cut off
	}
	defer busy.Wait()
	defer stop()
	for waiting := 0; waiting < 4; { // as many as it may
		err := db.QueryRow(`SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = '"users"'::regclass`).
			Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		quick := asked(t, "getAllOrgs", fmt.Sprintf("limit=1&filter=name!='%d'", n), nil)
		quick.Client = "another"
		within, cancel := context.WithTimeout(ctx, 15*time.Second)
		_, err := d.List(within, quick)
		cancel()
		if err != nil {
			t.Fatalf("question %d: %v", n, err)
		}
	}
}
