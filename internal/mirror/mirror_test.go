package mirror_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

var users = oneroster.ByName("user")

const base = "https://roster.example.org/ims/oneroster/v1p1"

func open(t *testing.T, path string) *mirror.Mirror {
	t.Helper()
	m, err := mirror.Open(t.Context(), path, base, "standard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// objects reads "id:name" a word, with ! before it for what is tobedeleted. The name is when it
// changed, too.
func objects(words string) []wire.Object {
	var out []wire.Object
	for _, w := range strings.Fields(words) {
		id, name, _ := strings.Cut(w, ":")
		status := oneroster.Active
		if after, ok := strings.CutPrefix(id, "!"); ok {
			id, status = after, oneroster.ToBeDeleted
		}
		out = append(out, wire.Object{"sourcedId": id, "status": status, "dateLastModified": name,
			"givenName": name})
	}
	return out
}

// shown writes the active objects as objects reads them.
func shown(t *testing.T, m *mirror.Mirror) string {
	t.Helper()
	var out []string
	if err := m.Each(t.Context(), users, func(o wire.Object) error {
		out = append(out, o.ID()+":"+o.Text("givenName"))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// walked gathers walks, each with its pages, divided by |, into a pull of this kind.
func walked(t *testing.T, m *mirror.Mirror, kind string, walks ...string) mirror.Cursor {
	t.Helper()
	if _, err := m.Resume(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	c := mirror.Cursor{Path: "/users", Resource: users, Filter: "x", Total: -1}
	for walk, pages := range walks {
		c.Walk, c.Offset = walk, 0
		for page := range strings.SplitSeq(pages, "|") {
			rows, first := objects(page), c.Offset
			c.Offset += len(rows)
			if err := m.Gather(t.Context(), c, first, rows, kind == "full"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// gathered is one walk, to its end.
func gathered(t *testing.T, m *mirror.Mirror, kind, pages string) {
	t.Helper()
	c := walked(t, m, kind, pages)
	if kind == "full" {
		if err := m.Settle(t.Context(), c, true); err != nil {
			t.Fatal(err)
		}
	}
}

func published(t *testing.T, m *mirror.Mirror, kind, pages string) mirror.Change {
	t.Helper()
	gathered(t, m, kind, pages)
	changes, err := m.Publish(t.Context(), []mirror.Gathering{{Resource: users, Delta: kind == "delta",
		Watermark: "mark of " + kind}})
	if err != nil {
		t.Fatal(err)
	}
	return changes[users]
}

// pulls counts the pulls of which the file holds rows.
func pulls(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(DISTINCT pull) FROM users").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// After every pull the mirror shows what the provider has, counts what changed,
// and the file keeps nothing of the pulls before.
func TestPulls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	m := open(t, path)
	for _, c := range []struct {
		name, kind, pages, want string
		change                  mirror.Change
	}{
		{"the first", "full", "a:Ann b:Bob|c:Cid", "a:Ann b:Bob c:Cid", mirror.Change{Added: 3}},
		{"nothing new", "full", "a:Ann b:Bob|c:Cid", "a:Ann b:Bob c:Cid", mirror.Change{Same: 3}},
		{"one is gone without a word", "full", "a:Ann c:Cid", "a:Ann c:Cid",
			mirror.Change{Same: 2, Retired: 1}},
		{"an empty delta", "delta", "", "a:Ann c:Cid", mirror.Change{}},
		{"a delta adds and changes", "delta", "a:Anna d:Dan", "a:Anna c:Cid d:Dan",
			mirror.Change{Added: 1, Changed: 1}},
		{"a delta says who is gone", "delta", "!c:Cid", "a:Anna d:Dan", mirror.Change{Retired: 1}},
		{"who is gone is told again", "delta", "!c:Cid a:Anna", "a:Anna d:Dan", mirror.Change{Same: 2}},
		{"and is back", "delta", "c:Cid", "a:Anna c:Cid d:Dan", mirror.Change{Added: 1}},
		{"a page is read twice", "delta", "e:Eve f:Flo|e:Eve f:Flo", "a:Anna c:Cid d:Dan e:Eve f:Flo",
			mirror.Change{Added: 2}},
		{"a page is read twice, whole", "full", "a:Anna c:Cid|a:Anna c:Cid|d:Dan", "a:Anna c:Cid d:Dan",
			mirror.Change{Same: 3, Retired: 2}},
		{"tobedeleted in a whole list", "full", "a:Anna !c:Cid d:Dan", "a:Anna d:Dan",
			mirror.Change{Same: 2, Retired: 1}},
		{"all others", "full", "x:Xen", "x:Xen", mirror.Change{Added: 1, Retired: 2}},
		{"without ids", "full", ":Ann x:Xen", ":Ann x:Xen", mirror.Change{Added: 1, Same: 1}},
		{"without ids on pages of a delta", "delta", "b:Bob :Cid|:Dan c:Cem|:Eve",
			":Ann :Cid :Dan :Eve b:Bob c:Cem x:Xen", mirror.Change{Added: 5}},
	} {
		if got := published(t, m, c.kind, c.pages); got != c.change {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.change)
		}
		if got := shown(t, m); got != c.want {
			t.Errorf("%s: shows %q, not %q", c.name, got, c.want)
		}
		if n, err := m.Active(t.Context(), users); err != nil || n != len(strings.Fields(c.want)) {
			t.Errorf("%s: %d active, %v", c.name, n, err)
		}
		if mark, err := m.Watermark(t.Context(), users); err != nil || mark != "mark of "+c.kind {
			t.Errorf("%s: the next delta begins at %q, %v", c.name, mark, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if n := pulls(t, path); n != 1 {
			t.Errorf("%s: the file holds %d pulls", c.name, n)
		}
		m = open(t, path)
	}
}

// Half a pull is never seen; the next run goes on with it when it is of the same
// kind, and throws it away when it is not.
func TestHalfAPull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	m := open(t, path)
	published(t, m, "full", "a:Ann b:Bob")
	gathered(t, m, "delta", "a:Anna c:Cid !b:Bob")
	_ = m.Close()
	m = open(t, path)
	if got := shown(t, m); got != "a:Ann b:Bob" {
		t.Errorf("half a pull is seen: %q", got)
	}
	if key, err := m.Pending(t.Context()); key != "delta" || err != nil {
		t.Errorf("pending is %q, %v", key, err)
	}
	c, err := m.Cursor(t.Context(), "/users", users)
	if err != nil || c.Offset != 3 {
		t.Errorf("it goes on at %d, %v", c.Offset, err)
	}
	if resumed, err := m.Resume(t.Context(), "delta"); !resumed || err != nil {
		t.Errorf("not resumed: %v", err)
	}
	if rows, active, err := m.Gathered(t.Context(), users); rows != 3 || active != 2 || err != nil {
		t.Errorf("%d rows, %d active, %v", rows, active, err)
	}
	if resumed, err := m.Resume(t.Context(), "full"); resumed || err != nil {
		t.Errorf("another kind is resumed: %v", err)
	}
	if rows, _, err := m.Gathered(t.Context(), users); rows != 0 || err != nil {
		t.Errorf("%d rows of another pull are left, %v", rows, err)
	}
	if c, err := m.Cursor(t.Context(), "/users", users); err != nil || c.Offset != 0 || c.Filter != "" {
		t.Errorf("a cursor of another pull is left: %+v, %v", c, err)
	}
	if got := shown(t, m); got != "a:Ann b:Bob" {
		t.Errorf("the mirror lost what it showed: %q", got)
	}
	_ = m.Close()
	if n := pulls(t, path); n != 1 {
		t.Errorf("the file holds %d pulls", n)
	}
}

// A run that was killed is told as failed by the next one that opens the file.
func TestKilledRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	m := open(t, path)
	first, err := m.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.End(t.Context(), first, "full", "completed", `{"people":3}`); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = m.Close()
	m = open(t, path)
	runs, err := m.Runs(t.Context(), 5)
	if err != nil || len(runs) != 2 {
		t.Fatal(runs, err)
	}
	if k := runs[0]; k.Status != "failed" || k.Ended != k.Began || k.Kind != "" {
		t.Errorf("the killed run is told as %+v", k)
	}
	if k := runs[1]; k.Status != "completed" || k.Kind != "full" || string(k.Counts) != `{"people":3}` ||
		k.Ended == "" {
		t.Errorf("the run before it is told as %+v", k)
	}
	if runs, err := m.Runs(t.Context(), 1); err != nil || len(runs) != 1 || runs[0].Kind != "" {
		t.Errorf("the latest run is %v, %v", runs, err)
	}
}

// A file is of one provider, read in one way, by one run at a time.
func TestWhoseFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.db")
	m := open(t, path)
	if _, err := mirror.Open(t.Context(), path, base, "standard"); err == nil ||
		!strings.Contains(err.Error(), "another run is using it") {
		t.Errorf("a second run beside the first: %v", err)
	}
	_ = m.Close()
	for _, c := range []struct{ path, base, way, want string }{
		{path, base + "/", "standard", ""},
		{path, "https://other.example.org", "standard", "holds what " + base + " served"},
		{path, base, "classic", "was read in the standard way"},
		{dir + "/none/m.db", base, "standard", "does not exist"},
		{dir + "/a?b.db", base, "standard", "cannot stand in the path"},
	} {
		m, err := mirror.Open(t.Context(), c.path, c.base, c.way)
		if err == nil {
			_ = m.Close()
		}
		if c.want == "" && err != nil || c.want != "" &&
			(err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// Of walks of a list that did not hold still, what any brought is kept, once; of
// one that did, what the last brought. Objects that share an id, or have none,
// are kept for the judge.
func TestWalks(t *testing.T) {
	for _, c := range []struct {
		name  string
		walks []string // pages of each
		still bool
		want  string
	}{
		{"still", []string{"a:Ann b:Bob"}, true, "a:Ann b:Bob"},
		{"the second held still", []string{"a:Ann b:Bob", "a:Ann c:Cid"}, true, "a:Ann c:Cid"},
		{"neither held still", []string{"a:Ann b:Bob", "a:Anna c:Cid"}, false, "a:Anna b:Bob c:Cid"},
		{"twins on one page", []string{"a:Ann a:Ann"}, true, "a:Ann a:Ann"},
		{"twins on two pages", []string{"a:Ann|a:Bob"}, true, "a:Ann a:Bob"},
		{"what moves comes twice", []string{"a:Ann|a:Anna"}, false, "a:Ann"},
		{"no ids", []string{":Ann :Bob"}, true, ":Ann :Bob"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := open(t, filepath.Join(t.TempDir(), "m.db"))
			if err := m.Settle(t.Context(), walked(t, m, "full", c.walks...), c.still); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Publish(t.Context(), []mirror.Gathering{{Resource: users}}); err != nil {
				t.Fatal(err)
			}
			if got := shown(t, m); got != c.want {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
}

// Of each id it is told with which stamps this walk brought it, those of its twins among them,
// and nothing of ids that only begin like it, came with another walk, or are shown already.
func TestWalked(t *testing.T) {
	m := open(t, filepath.Join(t.TempDir(), "m.db"))
	published(t, m, "full", "shown:1")
	c := walked(t, m, "full", "gone:1 a:0", "a:1 b:1 aa:2 a0:3 a:4 ab:5 :6|a:7 B:8")
	came, err := m.Walked(t.Context(), c, []string{"a", "b", "aa", "gone", "shown", "none", "", "a:b"})
	if got := fmt.Sprint(came); err != nil || got != "map[a:[1 4 7] aa:[2] b:[1]]" {
		t.Errorf("%s, %v", got, err)
	}
}

// What a full pull gathered otherwise than the mirror shows it is named, and the
// mirror stays as it is.
func TestDiffer(t *testing.T) {
	m := open(t, filepath.Join(t.TempDir(), "m.db"))
	published(t, m, "full", "a:Ann b:Bob c:Cid !d:Dan f:Flo")
	gathered(t, m, "proof", "a:Ann b:Bert !c:Cid !d:Dan e:Eve")
	for most, want := range map[int][]string{9: {"b", "c", "e", "f"}, 2: {"b", "c"}} {
		ids, n, err := m.Differ(t.Context(), users, most)
		if err != nil || n != 4 || !slices.Equal(ids, want) {
			t.Errorf("%v of %d, %v; wanted %v of 4", ids, n, err, want)
		}
	}
	if err := m.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, m); got != "a:Ann b:Bob c:Cid f:Flo" {
		t.Errorf("the mirror shows %q", got)
	}
	for id, want := range map[string]string{"a": "Ann", "d": "Dan", "e": ""} {
		o, err := m.One(t.Context(), users, id)
		if err != nil || o.Text("givenName") != want || (o == nil) != (want == "") {
			t.Errorf("%s: %v, %v", id, o, err)
		}
	}
}

// A write that fails half way leaves the mirror as it was.
func TestInterrupted(t *testing.T) {
	m := open(t, filepath.Join(t.TempDir(), "m.db"))
	published(t, m, "full", "a:Ann")
	gathered(t, m, "full", "b:Bob")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Publish(ended, []mirror.Gathering{{Resource: users}}); err == nil {
		t.Error("published after the end")
	}
	if got := fmt.Sprint(shown(t, m)); got != "a:Ann" {
		t.Errorf("shows %q", got)
	}
}

// Nobody else reads the file, nor what SQLite keeps beside it while a run is under way.
func TestNobodyElseReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	m, err := mirror.Open(t.Context(), path, "https://roster.example.org", "current")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Resume(t.Context(), "full"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	if len(files) < 2 {
		t.Errorf("there is %v", files)
	}
}
