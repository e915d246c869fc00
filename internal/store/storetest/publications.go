package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing/iotest"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// noise is bytes that cannot be compressed, the same for the same seed.
func noise(seed uint64, size int) []byte {
	rng := rand.New(rand.NewPCG(seed, seed))
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	return out
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// arrive brings a package of files, each a name and its bytes.
func (t *trial) arrive(files ...any) int64 {
	t.Helper()
	id, err := t.s.Arrive(ctx, "night.zip", "cron")
	t.must(err)
	for i := 0; i < len(files); i += 2 {
		t.must(t.s.Keep(ctx, id, files[i].(string), bytes.NewReader(files[i+1].([]byte))))
	}
	if len(files) > 0 {
		t.must(t.s.KeptWhole(ctx, id))
	}
	return id
}

// files of a package as arrive takes them.
func (t *trial) files(id int64) (out []any, err error) {
	err = t.s.Package(ctx, id, func(file string, r io.Reader) error {
		text, err := io.ReadAll(r)
		out = append(out, file, text)
		return err
	})
	return out, err
}

// states of all publications in their order.
func (t *trial) states() string {
	t.Helper()
	all, err := t.s.Publications(ctx, 0)
	t.must(err)
	out := []string{}
	for _, p := range all {
		out = append([]string{fmt.Sprint(p.ID, " ", p.State)}, out...)
	}
	return strings.Join(out, ", ")
}

func (t *trial) decide(id int64, to store.State) {
	t.Helper()
	t.must(t.s.Decide(ctx, id, to, []store.State{store.StatePlanning, store.StateHeld}, "", ""))
}

func (t *trial) publication(id int64) store.Publication {
	t.Helper()
	p, err := t.s.Publication(ctx, id)
	t.must(err)
	return p
}

// stands holds an error to be that a publication is in a state already.
func (t *trial) stands(what string, err error, want store.State) {
	t.Helper()
	var is *store.StateError
	if !errors.As(err, &is) || is.State != want {
		t.Errorf("%s: %v, not that it is %s", what, err, want)
	}
}

const pieceBytes = 256 << 10

var publications = []promise{
	{"publications are numbered as they come, told newest first, and no time passes on the clock",
		func(t *trial) {
			_, err := t.s.LastPublished(ctx)
			t.equal("nothing is published", err, store.ErrNotFound)
			_, err = t.s.Publication(ctx, 1)
			t.equal("there is none", err, store.ErrNotFound)
			for i := range int64(3) {
				t.equal("id", t.arrive("a.zip", noise(1, 10)), i+1)
			}
			t.decide(3, store.StateRefused)
			t.must(t.s.PrunePackages(ctx, 1))
			t.open()
			t.tick(time.Hour)
			id, err := t.s.Arrive(ctx, "a\x00\xff.zip", "ann@example.org")
			t.must(err)
			want := store.Publication{ID: 4, At: "2026-09-01T09:00:00.000Z", Package: "a\uFFFD\uFFFD.zip",
				By: "ann@example.org", State: store.StatePlanning}
			t.equal("one", t.publication(id), want)
			all, err := t.s.Publications(ctx, 3)
			t.must(err)
			t.equal("three", []int64{all[0].ID, all[1].ID, all[2].ID}, []int64{4, 3, 2})
			t.equal("how many", len(all), 3)
			m, err := t.s.Moment(ctx)
			t.must(err)
			t.equal("the clock", m, store.Moment{})
		}},
	{"one that changes nothing is published too, once, and no time moves", func(t *trial) {
		t.take(school()...)
		id, before := t.arrive(), t.everything()
		t.tick(time.Hour)
		for _, want := range []store.State{"", store.StatePublished} {
			plan, err := t.s.Plan(ctx, Bulk(school()...), store.ImportOptions{Closed: true}, nil)
			t.must(err)
			stamp, err := t.s.Publish(ctx, plan, &store.Decision{ID: id, Rows: 12, Who: "ann"})
			if want == "" {
				t.must(err)
			} else {
				t.stands("another time", err, want)
			}
			t.equal("the time", stamp, "")
			p := t.publication(id)
			t.equal("it is", fmt.Sprintf("%s by %s: %d %d %d %d", p.State, p.Decider, p.Rows, p.Added, p.Changed,
				p.Retired), "published by ann: 12 0 0 0")
			t.equal("the district", t.everything(), before)
			t.must(plan.Close())
		}
	}},
	{"a plan and its publication are published as one, and what became of records is told", func(t *trial) {
		t.take(append(school(), Rec("user", "sourcedId", "u9", "role", "student", "orgs", "o2"))...)
		earlier, id := t.arrive(), t.arrive()
		t.tick(time.Hour)
		p := Bulk(gone("org", "o2"), Rec("user", "sourcedId", "u1", "username", "anna", "orgs", "o1"), Rec("user",
			"sourcedId", "u7", "orgs", "o1"), Rec("user", "sourcedId", "u8", "orgs", "o1"))
		for r := range p.Carried {
			p.Carried[r] = oneroster.Delta
		}
		plan, err := t.s.Plan(ctx, p, store.ImportOptions{Closed: true}, nil)
		t.must(err)
		stamp, err := t.s.Publish(ctx, plan, &store.Decision{ID: id, Rows: 4, Who: "ann", Reason: "it is right"})
		t.must(err)
		t.must(plan.Close())
		at := "2026-09-01T09:00:00.000Z"
		t.equal("stamp", stamp, at)
		got := t.publication(id)
		// With o2, which is retired, goes u9; of u3 a school is taken.
		t.equal("it is", got, store.Publication{ID: id, At: "2026-09-01T08:00:00.000Z", Package: "night.zip",
			By: "cron", State: store.StatePublished, Decided: at, Decider: "ann", Reason: "it is right", Rev: got.Rev,
			Stamp: at, Tally: store.Tally{Rows: 4, Added: 2, Changed: 1, Retired: 2}})
		t.equal("the one before", t.publication(earlier).State, store.StateSuperseded)
	}},
	{"a plan whose publication was decided meanwhile is not published", func(t *trial) {
		t.take(school()...)
		before, id := t.everything(), t.arrive()
		plan, err := t.s.Plan(ctx, Bulk(gone("org", "o2")), store.ImportOptions{}, nil)
		t.must(err)
		t.decide(id, store.StateDiscarded)
		_, err = t.s.Publish(ctx, plan, &store.Decision{ID: id})
		t.stands("it", err, store.StateDiscarded)
		t.equal("the district", t.everything(), before)
		t.must(plan.Close())
	}},
	{"publications that come at once have a number each", func(t *trial) {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := t.s.Arrive(ctx, "a.zip", ""); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list, err := t.s.Publications(ctx, 0)
		t.must(err)
		t.equal("how many, and the newest", []int64{int64(len(list)), list[0].ID}, []int64{20, 20})
	}},
	{"a package is given back byte for byte, in its order", func(t *trial) {
		files := []any{"manifest.csv", []byte("propertyName,value\n"), "empty.csv", []byte{},
			"noise", noise(1, 3*pieceBytes+77), "whole pieces", noise(2, 2*pieceBytes),
			"text", []byte(strings.Repeat("sourcedId,status\n", 50000)), "a/b.csv", []byte("x")}
		id := t.arrive(files...)
		got, err := t.files(id)
		t.must(err)
		t.equal("files", len(got), len(files))
		size := int64(0)
		for i := 1; i < len(got); i += 2 {
			size += int64(len(files[i].([]byte)))
			if got[i-1] != files[i-1] || !bytes.Equal(got[i].([]byte), files[i].([]byte)) {
				t.Errorf("%s: %d bytes, not the %d of %s", got[i-1], len(got[i].([]byte)),
					len(files[i].([]byte)), files[i-1])
			}
		}
		p := t.publication(id)
		t.equal("bytes, kept", []any{p.Bytes, p.Kept}, []any{size, true})
		list, err := t.s.Files(ctx, id)
		t.must(err)
		t.equal("the third", list[2], store.PackageFile{Name: "noise", Bytes: 3*pieceBytes + 77})
		asTheyAre := t.counted(`SELECT COUNT(*) FROM "pieces" WHERE LENGTH("bytes") = 262144`)
		t.equal("pieces of noise as they are", asTheyAre, 5)
		if stored := t.counted(`SELECT SUM(LENGTH("bytes")) FROM "pieces"`); stored > 5*pieceBytes+20000 {
			t.Errorf("%d bytes are stored: text is compressed", stored)
		}
	}},
	{"what is there already is not kept twice", func(t *trial) {
		same := noise(1, 2*pieceBytes)
		one := t.arrive("a.zip", append(bytes.Clone(same), 'a'))
		two := t.arrive("a.zip", append(bytes.Clone(same), 'b'), "again", same)
		t.equal("pieces", t.counted(`SELECT COUNT(*) FROM "pieces"`), 4)
		for id, want := range map[int64][]any{one: {"a.zip", append(bytes.Clone(same), 'a')},
			two: {"a.zip", append(bytes.Clone(same), 'b'), "again", same}} {
			got, err := t.files(id)
			t.must(err)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("publication %d is another", id)
			}
		}
	}},
	{"a package that did not come whole is not given out", func(t *trial) {
		id, err := t.s.Arrive(ctx, "a", "")
		t.must(err)
		t.must(t.s.Keep(ctx, id, "users.csv", strings.NewReader("x")))
		if _, err := t.files(id); !errors.Is(err, store.ErrNotKept) {
			t.Errorf("before its end: %v", err)
		}
		cut := io.MultiReader(bytes.NewReader(noise(1, pieceBytes+5)), iotest.ErrReader(io.ErrUnexpectedEOF))
		if err := t.s.Keep(ctx, id, "orgs.csv", cut); !errors.Is(err, io.ErrUnexpectedEOF) ||
			!strings.Contains(err.Error(), "publication 1, orgs.csv") {
			t.Errorf("cut off: %v", err)
		}
		if err := t.s.KeptWhole(ctx, id); !errors.Is(err, store.ErrNotKept) {
			t.Errorf("its end: %v", err)
		}
		begun, err := t.s.Arrive(ctx, "b", "")
		t.must(err)
		if err := t.s.Keep(ctx, begun, "users.csv", iotest.ErrReader(errCut)); !errors.Is(err, errCut) {
			t.Errorf("cut off at once: %v", err)
		}
		if err := t.s.KeptWhole(ctx, begun); !errors.Is(err, store.ErrNotKept) {
			t.Errorf("the end of one that only began: %v", err)
		}
		t.equal("kept", t.publication(id).Kept, false)
		if err := t.s.Keep(ctx, id, "users.csv", strings.NewReader("y")); err == nil {
			t.Error("a file of that name was there")
		}
		whole := t.arrive("a.zip", []byte("x"))
		if err := t.s.Keep(ctx, whole, "b.zip", strings.NewReader("y")); err == nil {
			t.Error("the package was whole")
		}
		if err := t.s.Keep(ctx, 99, "a.zip", strings.NewReader("y")); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if _, err := t.files(99); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if _, err := t.files(t.arrive()); !errors.Is(err, store.ErrNotKept) {
			t.Error(err)
		}
	}},
	{"a damaged piece is told, with the publication and the file", func(t *trial) {
		for _, harm := range []string{`UPDATE "pieces" SET "packed" = 1 - "packed"`, `DELETE FROM "pieces"`,
			`UPDATE "filePieces" SET "piece" = "piece" + 100`,
			`UPDATE "packageFiles" SET "bytes" = 1 WHERE "bytes" > 1`,
			`UPDATE "pieces" SET "bytes" = (SELECT "bytes" FROM "pieces" WHERE LENGTH("bytes") = 1
				ORDER BY "hash" LIMIT 1) WHERE LENGTH("bytes") = 1`} {
			id := t.arrive("orgs.csv", []byte("x"), "terms.csv", []byte("y"), "users.csv",
				noise(1, pieceBytes+9))
			t.byHand(harm)
			_, err := t.files(id)
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("publication %d, ", id)) ||
				!strings.Contains(err.Error(), ".csv: piece ") || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s: %v", harm, err)
			}
			t.byHand(`DELETE FROM "filePieces"`)
			t.byHand(`DELETE FROM "pieces"`)
		}
	}},
	{"a state is decided from those that allow it, by one of many", func(t *trial) {
		id := t.arrive()
		t.decide(id, store.StateHeld)
		other := Open(t.T, t.dsn, store.Options{})
		t.tick(time.Hour)
		var all sync.WaitGroup
		var mu sync.Mutex
		won, lost := []string{}, 0
		for n := range 30 {
			s := []*store.Store{t.s, other}[n%2]
			to := []store.State{store.StateDiscarded, store.StateRefused}[n%2]
			all.Go(func() {
				err := s.Decide(ctx, id, to, []store.State{store.StateHeld}, fmt.Sprint("who ", n),
					fmt.Sprint("why ", n))
				mu.Lock()
				defer mu.Unlock()
				var is *store.StateError
				switch {
				case err == nil:
					won = append(won, fmt.Sprint(to, " who ", n, " why ", n))
				case errors.As(err, &is) && is.ID == id:
					lost++
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		p := t.publication(id)
		t.equal("the one who won", won, []string{fmt.Sprint(p.State, " ", p.Decider, " ", p.Reason)})
		t.equal("those who lost", lost, 29)
		err := t.s.Decide(ctx, id, store.StateHeld, []store.State{store.StatePlanning, store.StateHeld},
			"", "")
		t.stands("afterwards", err, p.State)
		err = t.s.Decide(ctx, 99, store.StateHeld, []store.State{store.StatePlanning}, "", "")
		t.equal("nobody", err, store.ErrNotFound)
	}},
	{"what is published without a change ends what was held and what came before", func(t *trial) {
		t.take(school()...)
		before, err := t.s.Moment(ctx)
		t.must(err)
		for range 6 {
			t.arrive()
		}
		for id, to := range map[int64]store.State{1: store.StateRefused, 3: store.StateHeld,
			5: store.StateHeld} {
			t.decide(id, to)
		}
		t.tick(time.Hour)
		t.must(t.s.PublishedUnchanged(ctx, 3, 17, "ann", "it is right"))
		t.equal("states", t.states(),
			"1 refused, 2 superseded, 3 published, 4 planning, 5 superseded, 6 planning")
		last, err := t.s.LastPublished(ctx)
		t.must(err)
		t.equal("the last", last, store.Publication{ID: 3, At: "2026-09-01T08:00:00.000Z",
			Package: "night.zip", By: "cron", State: store.StatePublished,
			Decided: "2026-09-01T09:00:00.000Z", Decider: "ann", Reason: "it is right",
			Tally: store.Tally{Rows: 17}})
		t.stands("once more", t.s.PublishedUnchanged(ctx, 3, 0, "", ""), store.StatePublished)
		t.stands("one that was ended", t.s.PublishedUnchanged(ctx, 2, 0, "", ""), store.StateSuperseded)
		t.equal("nobody", t.s.PublishedUnchanged(ctx, 99, 0, "", ""), store.ErrNotFound)
		t.must(t.s.PublishedUnchanged(ctx, 6, 0, "", ""))
		after, err := t.s.Moment(ctx)
		t.must(err)
		t.equal("the clock", after, before)
		t.equal("states", t.states(),
			"1 refused, 2 superseded, 3 published, 4 superseded, 5 superseded, 6 published")
	}},
	{"of those that publish at once each ends what came before, and none waits for ever", func(t *trial) {
		other := Open(t.T, t.dsn, store.Options{})
		const many = 20
		for id := range int64(many) {
			t.arrive()
			t.decide(id+1, store.StateHeld)
		}
		var all sync.WaitGroup
		published := make([]bool, many)
		for n := range many {
			s := []*store.Store{t.s, other}[n%2]
			all.Go(func() {
				err := s.PublishedUnchanged(ctx, int64(n+1), 0, "", "")
				var is *store.StateError
				if err != nil && (!errors.As(err, &is) || is.State != store.StateSuperseded) {
					t.Error(err)
				}
				published[n] = err == nil
			})
		}
		all.Wait()
		n := 0
		for _, won := range published {
			if won {
				n++
			}
		}
		t.equal("of those that are held one is published, and ends the others", n, 1)
	}},
	{"what was found of a publication is kept as it is", func(t *trial) {
		id := t.arrive()
		got, err := t.s.Verdict(ctx, id)
		t.must(err)
		t.equal("nothing yet", got, []byte(nil))
		for _, text := range []string{`{"counts":{}}`, `{"worst":"` + strings.Repeat("é ", 1<<20) + `"}`} {
			t.must(t.s.SetVerdict(ctx, id, []byte(text)))
			got, err := t.s.Verdict(ctx, id)
			t.must(err)
			if string(got) != text {
				t.Errorf("%d bytes, not %d", len(got), len(text))
			}
		}
		_, err = t.s.Verdict(ctx, 99)
		t.equal("nobody", err, store.ErrNotFound)
		t.equal("nobody", t.s.SetVerdict(ctx, 99, []byte("{}")), store.ErrNotFound)
	}},
	{"packages are pruned but the newest, and those that are held or being planned", func(t *trial) {
		shared := noise(1, pieceBytes)
		for n := range uint64(8) {
			t.arrive("a.zip", append(bytes.Clone(shared), noise(n+10, 100)...))
		}
		t.arrive() // has none
		half, err := t.s.Arrive(ctx, "half.zip", "")
		t.must(err)
		t.must(t.s.Keep(ctx, half, "a.zip", bytes.NewReader(noise(99, 10))))
		t.decide(2, store.StateHeld)
		for _, id := range []int64{1, 4, 5, 7, 8, 9, half} {
			t.decide(id, store.StateRefused)
		}
		t.decide(6, store.StateDiscarded)
		t.must(t.s.PrunePackages(ctx, 30))
		t.equal("nothing is old enough", t.counted(`SELECT COUNT(*) FROM "pieces"`), 10)
		t.must(t.s.PrunePackages(ctx, 2))
		kept := []int64{}
		for id := int64(1); id <= 9; id++ {
			_, err := t.files(id)
			switch {
			case err == nil:
				kept = append(kept, id)
			case !errors.Is(err, store.ErrNotKept):
				t.Error(err)
			}
		}
		t.equal("kept", kept, []int64{2, 3, 7, 8})
		p := t.publication(4)
		t.equal("the rest of it stays", []any{p.State, p.Kept, p.Bytes}, []any{store.StateRefused, false,
			int64(pieceBytes + 100)})
		t.equal("pieces", t.counted(`SELECT COUNT(*) FROM "pieces"`), 6) // with half's, which is newer
		if err := t.s.Keep(ctx, 4, "b.zip", strings.NewReader("x")); !errors.Is(err, store.ErrNotKept) {
			t.Errorf("one that was pruned is kept again: %v", err)
		}
		t.decide(2, store.StateDiscarded)
		t.decide(3, store.StateDiscarded)
		for range 2 {
			t.arrive("a.zip", []byte("x"))
		}
		t.must(t.s.PrunePackages(ctx, 2))
		t.equal("pieces", t.counted(`SELECT COUNT(*) FROM "pieces"`), 1)
	}},
	{"a package that is pruned while it is read ends so", func(t *trial) {
		id := t.arrive("a.zip", noise(1, 3*pieceBytes))
		t.decide(id, store.StateRefused)
		t.arrive("a.zip", noise(2, 3))
		err := t.s.Package(ctx, id, func(_ string, r io.Reader) error {
			if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
				return err
			}
			t.must(t.s.PrunePackages(ctx, 1))
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if !errors.Is(err, store.ErrNotKept) {
			t.Error(err)
		}
	}},
	{"a package that is pruned while it is kept ends so, and leaves nothing", func(t *trial) {
		id, err := t.s.Arrive(ctx, "a.zip", "")
		t.must(err)
		t.decide(id, store.StateRefused)
		t.arrive("a.zip", noise(2, 3))
		prunes := readerFunc(func([]byte) (int, error) {
			t.must(t.s.PrunePackages(ctx, 1))
			return 0, io.EOF
		})
		err = t.s.Keep(ctx, id, "a.zip", io.MultiReader(bytes.NewReader(noise(1, pieceBytes+1)), prunes,
			bytes.NewReader(noise(3, pieceBytes))))
		if !errors.Is(err, store.ErrNotKept) {
			t.Error(err)
		}
		t.equal("pieces", t.counted(`SELECT COUNT(*) FROM "pieces"`), 1)
	}},
	{"packages that are pruned while others are kept lose those nothing", func(t *trial) {
		// Few contents, so that what one forgets another finds at the same moment.
		other := Open(t.T, t.dsn, store.Options{})
		var keeping, pruning sync.WaitGroup
		end := make(chan struct{})
		for _, s := range []*store.Store{t.s, other} {
			pruning.Go(func() {
				for {
					select {
					case <-end:
						return
					default:
					}
					if err := s.PrunePackages(ctx, 1); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for n := range 4 {
			s := []*store.Store{t.s, other}[n%2]
			keeping.Go(func() {
				for i := range Tries(80) {
					if err := keepRead(s, noise(uint64(i*(n+1)%8), 100)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		keeping.Wait()
		close(end)
		pruning.Wait()
	}},
	{"a database of an earlier program is opened, and takes publications", func(t *trial) {
		t.take(school()...)
		before := t.everything()
		for _, table := range []string{"publications", "verdicts", "packageFiles", "filePieces", "pieces"} {
			t.byHand(`DROP TABLE "` + table + `"`)
		}
		t.byHand(`DELETE FROM "migrations" WHERE "number" = 5`)
		t.open()
		t.equal("the district", t.everything(), before)
		t.equal("the first", t.arrive("a.zip", []byte("x")), int64(1))
	}},
}

// keepRead keeps a package, reads it back while it is being planned, when nobody may
// prune it, and gives it up.
func keepRead(s *store.Store, want []byte) error {
	id, err := s.Arrive(ctx, "a.zip", "")
	if err != nil {
		return err
	}
	if err := errors.Join(s.Keep(ctx, id, "a.zip", bytes.NewReader(want)), s.KeptWhole(ctx, id)); err != nil {
		return err
	}
	err = s.Package(ctx, id, func(_ string, r io.Reader) error {
		got, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(got, want) {
			err = errors.New("it is another")
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.Decide(ctx, id, store.StateRefused, []store.State{store.StatePlanning}, "", "")
}
