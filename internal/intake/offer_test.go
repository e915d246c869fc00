package intake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// The columns of a package are compared with those of the one that was published last, and kept for the
// next; a source that has none leaves them as they are.
func TestOffersOfColumns(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	columned := func(n int, format, columns string) intake.Offer { // "courses title, roles role"
		o := courses(n)
		o.Format = format
		for _, file := range strings.Split(columns, ", ") {
			if words := strings.Fields(file); len(words) > 0 {
				if o.Columns == nil {
					o.Columns = map[string][]string{}
				}
				o.Columns[words[0]+".csv"] = words[1:]
			}
		}
		return o
	}
	partial := func(o intake.Offer) intake.Offer {
		o.Partial = true
		return o
	}
	const had = " and had one last time"
	f.offer(columned(0, "A", "courses title hobby, extra x"))
	for _, c := range []struct {
		name       string
		o          intake.Offer
		says, kept string
	}{
		{"the same", columned(1, "A", "courses title hobby, extra x"), "", "courses.csv title hobby, extra.csv x"},
		{"a column is missing", columned(1, "A", "courses title, extra x"), "courses.csv has no column hobby," +
			had,
			"courses.csv title, extra.csv x"},
		{"a file is missing", columned(1, "A", "courses title hobby"), "the package has no extra.csv," + had,
			"courses.csv title hobby"},
		{"a file of a part", partial(columned(1, "A", "courses title hobby")), "",
			"courses.csv title hobby, extra.csv x"},
		{"a column of a part", partial(columned(1, "A", "courses title")), "courses.csv has no column hobby," + had,
			"courses.csv title, extra.csv x"},
		{"another format", columned(1, "B", "courses title"), "the package is B, and the last one was A: its files " +
			"and columns cannot be compared", "courses.csv title"},
		{"a part of another format", partial(columned(1, "B", "courses title")),
			"the package is B, and the last one " +
				"was A: its files and columns cannot be compared", "courses.csv title"},
		{"one that is not looked at", columned(1, "", ""), "", "courses.csv title hobby, extra.csv x"},
		{"a way back", intake.Offer{Back: 1, Cause: "rollback"}, "", "courses.csv title hobby, extra.csv x"},
	} {
		doc, err := f.in.Plan(t.Context(), c.o, nil)
		f.must(err)
		var kept []string
		for file, columns := range doc.Columns {
			kept = append(kept, file+" "+strings.Join(columns, " "))
		}
		slices.Sort(kept)
		if got := said(doc.Verdict, "columns"); got != c.says || strings.Join(kept, ", ") != c.kept {
			t.Errorf("%s: %q, kept %q", c.name, got, kept)
		}
	}
	f.offer(courses(2)) // none, and what was kept stays
	doc, err := f.in.Plan(t.Context(), columned(3, "A", "courses title, extra x"), nil)
	f.must(err)
	if got := said(doc.Verdict, "columns"); got != "courses.csv has no column hobby,"+had {
		t.Errorf("after one without columns: %q", got)
	}
}

// What an offer would do is counted by resource, and what goes with what it belongs to beside.
func TestOffersAreCounted(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	orgs := []oneroster.Record{storetest.Rec("org", "sourcedId", "o1", "name", "One", "type", "school"),
		storetest.Rec("org", "sourcedId", "o2", "name", "Two", "type", "school")}
	rows := slices.Clone(orgs)
	for i := range 10 {
		rows = append(rows, storetest.Rec("course", "sourcedId", fmt.Sprint("c", i), "title", fmt.Sprint("C", i),
			"org", []string{"o1", "o2"}[i/7]))
	}
	f.offer(intake.Offer{Source: storetest.Bulk(rows...), Cause: "import"})
	more := slices.Clone(rows)
	more[0] = storetest.Rec("org", "sourcedId", "o1", "name", "Uno", "type", "school")
	more = append(more, storetest.Rec("org", "sourcedId", "o3", "name", "Three", "type", "school"))
	for _, c := range []struct {
		rows []oneroster.Record
		want string
	}{
		{orgs[:1], "map[courses:map[added:0 changed:0 retired:3 same:0 with:3] orgs:map[added:0 changed:0 retired:1 " +
			"same:1]]"},
		{slices.Concat(orgs[:1], rows[2:7]), "map[courses:map[added:0 changed:0 retired:5 same:5] orgs:map[added:0 " +
			"changed:0 retired:1 same:1]]"},
		{more, "map[courses:map[added:0 changed:0 retired:0 same:10] orgs:map[added:1 changed:1 retired:0 same:1]]"},
	} {
		looked := 0
		doc, err := f.in.Plan(t.Context(), intake.Offer{Source: storetest.Bulk(c.rows...)},
			func(*store.Plan) error {
				looked++
				return nil
			})
		f.must(err)
		if got := fmt.Sprint(doc.Counts); got != c.want || looked != 1 {
			t.Errorf("looked %d times\n got %s\nwant %s", looked, got, c.want)
		}
	}
}

// Whoever looks on is told of each thousand records that are read, and judged.
func TestOffersAreFollowed(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	many := func(n int, title string) intake.Offer {
		var rows []oneroster.Record
		for i := range n {
			rows = append(rows, storetest.Rec("course", "sourcedId", fmt.Sprint("c", i), "title", title))
		}
		return intake.Offer{Source: storetest.Bulk(rows...), Rows: n, Cause: "import"}
	}
	f.offer(many(1300, "A"))
	var told []string
	f.in.Progress = func(what string, n, of int) { told = append(told, fmt.Sprint(what, " ", n, " of ", of)) }
	f.planned(many(1200, "B"))
	const want = "reading 1000 of 1200, judging 1000 of 2500, judging 2000 of 2500"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The calendar is that of the day which is rehearsed, else of today.
func TestDaysOfOffers(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	f.offer(courses(0))
	for _, c := range []struct {
		days, today string
		want        string
	}{
		{"freeze 2026-09-01", "2026-09-01", "calendar"}, {"freeze 2026-09-01", "2026-09-02", ""},
		{"freeze 2001-01-01..2199-12-31", "", "calendar"}, {"freeze 2001-01-01..2001-12-31", "", ""},
		{"freeze 2027-01-01..2199-12-31", "2026-12-31", ""},
	} {
		e, err := intake.ParseEntry(c.days)
		f.must(err)
		f.in.Calendar, f.in.Today = intake.Calendar{e}, time.Time{}
		if c.today != "" {
			f.in.Today, err = time.Parse(time.DateOnly, c.today)
			f.must(err)
		}
		if got := f.planned(courses(1)); got != c.want {
			t.Errorf("%s, on %q: %q", c.days, c.today, got)
		}
	}
}

// A handful is counted by all that comes, changes and goes.
func TestAgainCountsAll(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	from := func(first, n int) intake.Offer {
		o := courses(0)
		var rows []oneroster.Record
		for i := range n {
			rows = append(rows, storetest.Rec("course", "sourcedId", fmt.Sprint("c", first+i), "title", "before"))
		}
		o.Source, o.Rows = storetest.Bulk(rows...), n
		return o
	}
	f.offer(from(0, 60))
	f.offer(from(3, 60))
	if got := f.planned(from(0, 60)); !strings.HasPrefix(got, "again: ") {
		t.Errorf("three came and three went: %q", got)
	}
	f.offer(from(3, 59))
	f.offer(from(0, 61))
	if got := f.planned(from(3, 59)); !strings.HasPrefix(got, "; it is the package of publication 3") {
		t.Errorf("five differ: %q", got)
	}
}

// What the database cannot tell ends an offer, and is told.
func TestOffersToADatabaseThatIsGone(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	f.offer(courses(0))
	id := f.arrive("x")
	f.must(f.s.Close())
	_, err := f.in.Plan(t.Context(), courses(1), nil)
	_, held, _, offered := f.in.Offer(t.Context(), id, courses(1))
	refused := f.in.Refuse(t.Context(), id, intake.Document{})
	if _, read := f.in.Document(t.Context(), id); err == nil || offered == nil || held || refused == nil ||
		read == nil {
		t.Errorf("planned %v, offered %v, refused %v, read %v", err, offered, refused, read)
	}
}

// A publication that is refused says why, unless it was decided already.
func TestRefuse(t *testing.T) {
	f := newOffers(t, storetest.SQLite(t))
	id := f.arrive("x")
	f.must(f.in.Refuse(t.Context(), id, intake.Document{Error: "it is cut"}))
	published, _, _ := f.offer(courses(0))
	if err := f.in.Refuse(t.Context(), published, intake.Document{Error: "too late"}); err == nil {
		t.Error("what is published is refused")
	}
	for id, want := range map[int64]string{id: "it is cut", published: ""} {
		doc, err := f.in.Document(t.Context(), id)
		f.must(err)
		if doc.Error != want {
			t.Errorf("publication %d: %q", id, doc.Error)
		}
	}
}
