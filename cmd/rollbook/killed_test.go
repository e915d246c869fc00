package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/host"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Killed at any moment of what publishes, holds, undoes and prunes, the district is
// wholly the one before or the one after it, nothing is published twice, no package is
// lost, and the same command line is taken afterwards. ROLLBOOK_KILLS sets how many
// times it is killed on SQLite; on PostgreSQL it is a fifth of that.
func TestKilled(t *testing.T) {
	kills := map[string]int{"sqlite": 9, "postgres": 3}
	if text := os.Getenv("ROLLBOOK_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		kills = map[string]int{"sqlite": n, "postgres": (n + 4) / 5}
	}
	for _, e := range storetest.All {
		t.Run(e.Name, func(t *testing.T) {
			w := newWalk(t, e.Empty(t))
			for w.killed < kills[e.Name] {
				w.cycle()
			}
			for verb, n := range w.fates {
				t.Logf("%s: killed %d times before it was through, %d after", verb, n[0], n[1])
				if kills[e.Name] >= 25 && (n[0] == 0 || n[1] == 0) {
					t.Errorf("%s was never killed on one side of its commit: %v", verb, n)
				}
			}
		})
	}
}

// A walk leads a district through its verbs, each of which is killed once and then
// carried out.
type walk struct {
	*testing.T
	dsn, dir string
	rng      *rand.Rand
	contents map[string]string            // by package: what is served once it is published
	packages map[string]map[string]string // by package: its files
	days     int                          // journal-days
	took     map[string]time.Duration     // by verb: the last time that it was not killed
	fates    map[string]*[2]int           // by verb: killed before it was through, and after
	killed   int
	was      seen
}

// seen is what can be told of a district.
type seen struct {
	rev       int64
	records   map[string]string // resource and sourcedId to values
	published map[int64]store.Publication
}

// The packages: an ordinary change from one to the other, and one that is held.
var walked = map[string]int{"a.zip": 120, "b": 115, "half.zip": 50}

// firstDays is how many days back the journal of a walk goes.
const firstDays = 390

func newWalk(t *testing.T, dsn string) *walk {
	w := &walk{T: t, dsn: dsn, dir: t.TempDir(), rng: rand.New(rand.NewPCG(1, 9)), days: firstDays,
		contents: map[string]string{}, packages: map[string]map[string]string{},
		took: map[string]time.Duration{}, fates: map[string]*[2]int{}}
	for name, students := range walked {
		zipped := strings.TrimSuffix(name, ".zip") + ".zip"
		w.run(0, "sandbox", zipped, "--students", fmt.Sprint(students), "--start", "2026-10-01")
		if zipped != name {
			unpack(t, filepath.Join(w.dir, zipped), filepath.Join(w.dir, name))
		}
		// What is served of it, by an import that nothing has come before.
		w.run(0, "import", "--new", name, "--db", name+".db")
		s := storetest.Open(t, filepath.Join(w.dir, name+".db"), store.Options{})
		w.put(s, firstDays)
		w.contents[name], w.packages[name] = serves(w.recordsOf(s.Snapshot)), map[string]string{}
		_ = s.Close()
		w.must(bulk.Files(filepath.Join(w.dir, name), func(file string, r io.Reader) error {
			text, err := io.ReadAll(r)
			w.packages[name][file] = string(text)
			return err
		}))
	}
	// A past for the journal to forget: each day has a category of its own title.
	today, day := time.Now(), 0
	then := func() time.Time { return today.AddDate(0, 0, day-firstDays) }
	s := storetest.Open(t, dsn, store.Options{Now: then})
	for day = range firstDays {
		w.put(s, day+1)
	}
	w.must(s.Set(t.Context(), host.JournalDays, fmt.Sprint(w.days+1)))
	// The same packages come in turn, and are no nights of one district.
	w.must(s.Set(t.Context(), "guard-again", "0"))
	w.must(s.Set(t.Context(), "guard-seats", "100"))
	_ = s.Close()
	w.run(0, "import", "a.zip", "--db", dsn)
	s = w.open()
	defer s.Close()
	w.was = w.look(s)
	return w
}

func (w *walk) put(s *store.Store, title int) {
	w.Helper()
	_, _, err := s.Put(w.Context(), storetest.Rec("category", "sourcedId", "past", "title",
		fmt.Sprint(title)))
	w.must(err)
}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// cycle kills each verb once.
func (w *walk) cycle() {
	next := "a.zip"
	if w.newest() == next {
		next = "b"
	}
	revNow := func(rev int64) func(seen) bool { return func(s seen) bool { return s.rev > rev } }
	w.kill("import", 0, revNow(w.was.rev), "import", next)

	w.set(map[string]string{host.PackagesKept: "1"}) // and those that are held
	w.kill("hold", exitHeld, func(s seen) bool { return s.held() > 0 }, "import", "half.zip")
	w.set(map[string]string{host.PackagesKept: "30"})
	w.kill("publish", 0, revNow(w.was.rev), "publish", fmt.Sprint(w.was.held()), "--reason", "a test")

	w.kill("rollback", 0, revNow(w.was.rev), "rollback", fmt.Sprint(w.latest(next)))

	came := len(w.was.published)
	w.set(map[string]string{host.PackagesKept: "1", host.JournalDays: fmt.Sprint(w.days - 3)})
	w.kill("prune", 0, func(s seen) bool {
		n := len(s.published)
		return n > came && s.published[int64(n)].State == store.StatePublished && s.kept() == 1
	}, "import", next)
	w.set(map[string]string{host.PackagesKept: "30"})
	if w.days > 30 {
		w.days -= 3
	}
}

func (w *walk) set(values map[string]string) {
	s := w.open()
	defer s.Close()
	for name, value := range values {
		w.must(s.Set(w.Context(), name, value))
	}
}

// kept counts the packages that are kept of publications that are decided.
func (s seen) kept() (n int) {
	for _, p := range s.published {
		if p.Kept && p.State != store.StateHeld && p.State != store.StatePlanning {
			n++
		}
	}
	return n
}

// held is the latest publication that is held; 0 when there is none.
func (s seen) held() (latest int64) {
	for id, p := range s.published {
		if p.State == store.StateHeld {
			latest = max(latest, id)
		}
	}
	return latest
}

// newest is the package that is served.
func (w *walk) newest() string {
	for id := int64(len(w.was.published)); id > 0; id-- {
		if p := w.was.published[id]; p.State == store.StatePublished {
			return w.packageOf(w.was, p)
		}
	}
	w.Fatal("nothing was published")
	return ""
}

// packageOf is the package that a publication makes the district be.
func (w *walk) packageOf(s seen, p store.Publication) string {
	if _, no, ok := strings.Cut(p.Package, "rollback to "); ok {
		id, err := strconv.ParseInt(no, 10, 64)
		w.must(err)
		return w.packageOf(s, s.published[id])
	}
	return p.Package
}

// latest is the latest publication that published a package.
func (w *walk) latest(name string) int64 {
	for id := int64(len(w.was.published)); id > 0; id-- {
		if p := w.was.published[id]; p.State == store.StatePublished && p.Package == name {
			return id
		}
	}
	w.Fatalf("%s was never published", name)
	return 0
}

// kill kills a command line at a moment within the time that it takes, and looks at the
// district; then it carries it out. Every third is killed as soon as it is seen to be
// through.
func (w *walk) kill(verb string, code int, through func(seen) bool, args ...string) {
	w.Helper()
	if w.fates[verb] == nil {
		w.fates[verb] = &[2]int{}
	}
	args = append(args, "--db", w.dsn)
	what := strings.Join(args, " ")
	began := w.was
	if took, known := w.took[verb]; known {
		at := time.Duration(w.rng.Int64N(int64(took)))
		cmd := lasting(program(w.dir, args...))
		cmd.Env = append(cmd.Env, "TMPDIR="+w.dir)
		w.must(cmd.Start())
		if w.fates[verb][0] > 2*w.fates[verb][1] {
			what = fmt.Sprintf("%s, killed when it was through", what)
			w.await(through)
		} else {
			what = fmt.Sprintf("%s, killed after %v of %v", what, at, took)
			time.Sleep(at)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		w.was = w.check(what, began)
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			w.killed++
			if through(w.was) {
				w.fates[verb][1]++
			} else {
				w.fates[verb][0]++
			}
		}
	}
	what += ", and once more"
	done := through(w.was)
	if verb == "publish" && done {
		code = exitFailed // it is published
	}
	started := time.Now()
	w.run(code, args...)
	w.took[verb] = time.Since(started)
	rev := w.was.rev
	w.was = w.check(what, w.was)
	if done && w.was.rev != rev {
		w.Errorf("%s: it was published twice", what)
	}
	if !through(w.was) {
		w.Errorf("%s: it did nothing", what)
	}
	if w.Failed() {
		w.FailNow()
	}
}

// await looks at the district until something is to be seen, or a minute is over.
func (w *walk) await(through func(seen) bool) {
	s := w.open()
	defer s.Close()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if through(w.listed(s)) {
			return
		}
		time.Sleep(time.Millisecond) // for the program that is awaited
	}
}

// run carries a command line out, which must end with a code.
func (w *walk) run(code int, args ...string) {
	w.Helper()
	cmd := lasting(program(w.dir, args...))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	w.must(cmd.Start())
	stuck := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) }) // says where
	defer stuck.Stop()
	_ = cmd.Wait() // the exit code tells
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.Fatalf("%s: exit code %d, not %d\n%s", args, got, code, out.String())
	}
}

// look reads all of the district.
func (w *walk) look(s *store.Store) seen {
	w.Helper()
	out := w.listed(s)
	out.records = w.recordsOf(s.Snapshot)
	return out
}

// open opens the district, which is there.
func (w *walk) open() *store.Store {
	w.Helper()
	return storetest.Open(w.T, w.dsn, store.Options{Existing: true})
}

// listed is what is seen of a district but for its records.
func (w *walk) listed(s *store.Store) seen {
	w.Helper()
	all, err := s.Publications(w.Context(), 0)
	w.must(err)
	m, err := s.Moment(w.Context())
	w.must(err)
	out := seen{rev: m.Rev, published: map[int64]store.Publication{}}
	for _, p := range all {
		out.published[p.ID] = p
	}
	return out
}

// A taking is given what reads a district: by Snapshot, or by AsOf.
type taking = func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error

func (w *walk) recordsOf(read func(context.Context, taking) error) map[string]string {
	w.Helper()
	out := map[string]string{}
	w.must(read(w.Context(), func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		for _, r := range oneroster.Resources() {
			if err := each(r, func(rec oneroster.Record) error {
				out[r.Plural+"/"+rec.ID()] = strings.Join(rec.Values, "\x00")
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}))
	return out
}

// timeless takes the time out of the values of a record.
func timeless(values string) (rest, stamp string) {
	all := strings.Split(values, "\x00")
	stamp, all[oneroster.Modified] = all[oneroster.Modified], ""
	return strings.Join(all, "\x00"), stamp
}

// serves is a text that two districts share that serve the same active records.
func serves(records map[string]string) string {
	var out strings.Builder
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if strings.Split(records[id], "\x00")[oneroster.Status] == oneroster.Active {
			rest, _ := timeless(records[id])
			fmt.Fprintf(&out, "%s %q\n", id, rest)
		}
	}
	return out.String()
}

// check holds the district to what it promises, after what was done to the one before.
func (w *walk) check(what string, before seen) seen {
	w.Helper()
	s := w.open()
	defer s.Close()
	now := w.look(s)
	fail := func(format string, args ...any) {
		w.Helper()
		w.Errorf("%s: %s", what, fmt.Sprintf(format, args...))
	}
	var last store.Publication
	revs := map[int64]int64{}
	for id := int64(1); id <= int64(len(now.published)); id++ {
		p := now.published[id]
		if p.ID != id {
			fail("publication %d is not there", id)
		}
		if p.State == store.StatePublished {
			if last = p; p.Rev > 0 && revs[p.Rev] > 0 {
				fail("publications %d and %d are one change", revs[p.Rev], id)
			}
			revs[p.Rev] = id
		}
		w.follows(fail, before.published[id], p)
	}
	for id := range before.published {
		if now.published[id].ID == 0 {
			fail("publication %d is gone", id)
		}
	}
	if got := serves(now.records); got != w.contents[w.packageOf(now, last)] {
		fail("publication %d, %s, was published last, and something else is served", last.ID, last.Package)
	}
	w.stamped(fail, before, now)
	w.packed(fail, s, now)
	w.remembers(fail, s, now)
	return now
}

// follows holds a publication to what it may become: the zero one has only come.
func (w *walk) follows(fail func(string, ...any), was, is store.Publication) {
	ends := []store.State{store.StatePublished, store.StateSuperseded, store.StateRefused,
		store.StateDiscarded}
	may := map[store.State][]store.State{"": {store.StatePlanning, store.StateHeld, store.StatePublished},
		store.StatePlanning:   {store.StatePlanning, store.StateSuperseded},
		store.StateHeld:       {store.StateHeld, store.StatePublished, store.StateSuperseded},
		store.StatePublished:  {store.StatePublished},
		store.StateSuperseded: {store.StateSuperseded}}
	if !slices.Contains(may[was.State], is.State) {
		fail("publication %d was %q and is %q", is.ID, was.State, is.State)
	}
	if slices.Contains(ends, was.State) {
		if is.Kept = was.Kept; is != was {
			fail("publication %d was %+v and is %+v", is.ID, was, is)
		}
	}
	if is.State == store.StateHeld && !is.Kept {
		fail("publication %d is held, and its package is not kept", is.ID)
	}
}

// stamped holds records to the clock: what is another record now has the time of the
// one change that there was.
func (w *walk) stamped(fail func(string, ...any), before, now seen) {
	stamp, changed := "", 0
	for _, p := range now.published {
		if p.Rev == now.rev {
			stamp = p.Stamp
		}
	}
	for id, values := range now.records {
		if values == before.records[id] {
			continue
		}
		changed++
		if _, at := timeless(values); at != stamp {
			fail("%s has the time %s, and the change %s", id, at, stamp)
			return
		}
	}
	for id := range before.records {
		if _, ok := now.records[id]; !ok {
			fail("%s is gone", id)
		}
	}
	switch {
	case now.rev == before.rev && changed > 0:
		fail("%d records are others, and no time has passed", changed)
	case now.rev > before.rev && changed == 0 || now.rev > before.rev+1 || now.rev < before.rev:
		fail("%d records are others, and the clock went from %d to %d", changed, before.rev, now.rev)
	}
}

// packed holds every package that is kept to what was brought.
func (w *walk) packed(fail func(string, ...any), s *store.Store, now seen) {
	w.Helper()
	for id, p := range now.published {
		if !p.Kept {
			continue
		}
		left := maps.Clone(w.packages[p.Package])
		err := s.Package(w.Context(), id, func(file string, r io.Reader) error {
			text, err := io.ReadAll(r)
			if err == nil && left[file] != string(text) {
				err = errors.New(file + " is another")
			}
			delete(left, file)
			return err
		})
		if err != nil || len(left) > 0 {
			fail("the package of publication %d, %s: %v, and %d files are missing", id, p.Package, err,
				len(left))
		}
	}
}

// remembers holds the journal to one of the days that it is to keep, or to what is
// served.
func (w *walk) remembers(fail func(string, ...any), s *store.Store, now seen) {
	w.Helper()
	days := []int{w.days - 5, w.days / 2, 0}[w.rng.IntN(3)]
	then := w.recordsOf(func(ctx context.Context, do taking) error {
		return s.AsOf(ctx, time.Now().AddDate(0, 0, -days), do)
	})
	if days == 0 {
		if !maps.Equal(then, now.records) {
			fail("the journal does not end with what is served")
		}
		return
	}
	title := strings.Split(then["categories/past"], "\x00")[oneroster.ByName("category").Index("title")]
	if title != fmt.Sprint(firstDays-days+1) || len(then) != 1 {
		fail("%d days ago the category was %q, among %d records", days, title, len(then))
	}
}
