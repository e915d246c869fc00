package edition_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rollbook/internal/edition"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Addresses that nobody asks at any more do not keep others from an edition.
func TestAddressesAreForgotten(t *testing.T) {
	_, _, d, now := small(t)
	copied := func(host string) bool {
		ask := asked(t, "getAllOrgs", "", nil)
		ask.Base = host
		_, p := body(t, d, ask)
		return p.Size("") != ""
	}
	for n := range 3 {
		if !copied(fmt.Sprint("https://192.0.2.", n)) {
			t.Errorf("address %d: read from the database", n)
		}
	}
	if copied(base) {
		t.Error("a fourth address: there is no bound")
	}
	for range 2 {
		*now = now.Add(20 * time.Minute)
		_ = copied("https://192.0.2.0")
	}
	if !copied(base) {
		t.Error("when two were not asked at for half an hour: read from the database")
	}
	if !copied("https://192.0.2.2") {
		t.Error("the place of the other: read from the database")
	}
	if copied("https://192.0.2.1") {
		t.Error("a fourth address once more: there is no bound")
	}
}

// What is remembered of a question is small, however long it is: a client that asks ever other
// ones takes no memory that is not counted.
func TestQuestionsAreSmall(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), store.Options{})
	publish(t, s, newRoster(30))
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	ask := func(n int) {
		for _, relation := range []string{"=", "!="} { // the second selects all, and begins a walk
			filter := fmt.Sprintf("&filter=sourcedId%s'%d%s'", relation, n, strings.Repeat("x", 4000))
			_, _ = body(t, d, asked(t, "getAllOrgs", "limit=1"+filter, nil))
		}
	}
	ask(-1)
	before := heap()
	for n := range 300 {
		ask(n)
	}
	if more := heap() - before; more > 1<<20 {
		t.Errorf("600 questions hold %d KiB", more>>10)
	}
	if n := d.Questions(); n > 512 {
		t.Errorf("%d questions are remembered", n)
	}
	runtime.KeepAlive(d)
}

// An answer that was followed holds what it selects, not what has changed.
func TestAnswersAreSmall(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t), store.Options{})
	publish(t, s, newRoster(1500))
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	ask := func() {
		for n := range 200 {
			_, p := body(t, d, asked(t, "getAllUsers", fmt.Sprintf("filter=sourcedId='nobody %d'", n), nil))
			if p.Total != 0 || p.Size("") == "" {
				t.Fatalf("%+v", p)
			}
		}
	}
	ask()
	ask() // the first one was forgotten when the edition was made
	if _, _, err := s.Restamp(ctx, store.Moment{}, false); err != nil {
		t.Fatal(err)
	}
	_, _ = body(t, d, asked(t, "getAllUsers", "", nil)) // the edition is followed
	before := heap()
	ask()
	more := heap() - before
	if more > 256<<10 {
		t.Errorf("200 answers of nothing hold %d KiB", more>>10)
	}
	runtime.KeepAlive(d)
}

// An edition that holds much of what was followed serves on, and is followed, until another one is
// made of it.
func TestHeavyEditionsServeOn(t *testing.T) {
	s, src, d, _ := small(t)
	read := func(night string) {
		t.Helper()
		text, p := body(t, d, asked(t, "getAllEnrollments", "limit=500", nil))
		if p.Size("") == "" || !strings.Contains(text, `"night":"`+night+`"`) {
			t.Errorf("night %s, from an edition: %v", night, p.Size("") != "")
		}
	}
	read("0")
	d.Light(3000)
	goOn := d.Hold()
	for src.night = 1; src.night < 3; src.night++ {
		publish(t, s, src)
		read(fmt.Sprint(src.night))
	}
	if d.Loose() < 3000 {
		t.Errorf("%d bytes were followed", d.Loose())
	}
	goOn()
	d.Wait()
	if d.Loose() != 0 {
		t.Errorf("another one was not made: %d bytes", d.Loose())
	}
	read("2")
}

// So many walks are kept: of one more, the one that was read longest ago ends, of the client
// that has most.
func TestWalksAreBounded(t *testing.T) {
	s, src, d, now := small(t)
	d.SetClock(func() time.Time { *now = now.Add(time.Millisecond); return *now })
	left := int64(0)
	page := func(client, offset int) int64 {
		ask := asked(t, "getAllUsers", fmt.Sprintf("limit=10&offset=%d", offset), nil)
		ask.Client = fmt.Sprint("reader", client)
		_, p := body(t, d, ask)
		left = p.Left
		return p.Edition
	}
	first := page(0, 0)
	for client := range 2001 {
		_ = page(client, 0)
	}
	src.night = 1
	publish(t, s, src)
	if page(1, 10) != first || page(2000, 10) != first {
		t.Error("a walk has ended for want of room")
	}
	if left != 0 || page(0, 10) == first {
		t.Error("there is no bound")
	}
	if left != first {
		t.Errorf("a page of a walk that has ended says that edition %d was left, not %d", left, first)
	}
	second := page(1, 0)
	for n := range 2100 { // of one client
		ask := asked(t, "getAllUsers", fmt.Sprintf("limit=10&filter=sourcedId!='%d'", n), nil)
		_, _ = body(t, d, ask)
	}
	src.night = 2
	publish(t, s, src)
	if page(1, 10) != second {
		t.Error("a walk has ended by what another client asks")
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The file that a collection lies in has no name as soon as there is something in it, nor
// afterwards: a process that is killed leaves no pupils behind.
func TestFilesHaveNoName(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := storetest.Open(t, filepath.Join(t.TempDir(), "district.db"), store.Options{})
	publish(t, s, newRoster(1500))
	d := edition.New(s, edition.Options{})
	t.Cleanup(d.Close)
	d.Later()
	named := func(when string) {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := f.Info(); err == nil && info.Size() > 0 {
				t.Errorf("%s: %s has %d bytes", when, f.Name(), info.Size())
			}
		}
	}
	made := make(chan struct{})
	_, _ = body(t, d, asked(t, "getAllEnrollments", "limit=1", nil))
	go func() { d.Wait(); close(made) }()
	for done := false; !done; {
		named("while it is made")
		select {
		case <-made:
			done = true
		default:
		}
	}
	named("when it is made")
	if _, p := body(t, d, asked(t, "getAllEnrollments", "limit=1", nil)); p.Size("") == "" {
		t.Error("there is no edition")
	}
}
