package host_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/feed"
	"rollbook/internal/host"
	"rollbook/internal/store"
)

// village is a folder of n districts, d0 and so on, all copies of one.
func village(t testing.TB, n int) *host.House {
	dir := t.TempDir()
	h, err := host.OpenHouse(t.Context(), dir, filepath.Join(dir, "all.key"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.Add(t.Context(), host.Entry{ID: "d0"}, host.Options{Options: store.Options{Throwaway: true}})
	if err == nil {
		err = d.Close()
	}
	text, wrong := os.ReadFile(filepath.Join(dir, "d0.db"))
	for i := 1; i < n && err == nil && wrong == nil; i++ {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("d%d.db", i)), text, 0o600)
	}
	if err != nil || wrong != nil {
		t.Fatal(err, wrong)
	}
	return h
}

// owned counts what an owner opens and closes.
type owned struct {
	*host.Owner
	begun, ended, at, most atomic.Int64
}

func own(t testing.TB, h *host.House, opt host.OwnerOptions) *owned {
	opt.Log, opt.Throwaway = slog.New(slog.DiscardHandler), true
	owner, err := host.NewOwner(t.Context(), h, opt)
	if err != nil {
		t.Fatal(err)
	}
	o := &owned{Owner: owner}
	o.Start(func(_ context.Context, d *host.District) (host.Serving, error) {
		o.begun.Add(1)
		if n := o.at.Add(1); n > o.most.Load() {
			o.most.Store(n)
		}
		return host.Serving{ByPath: http.NotFoundHandler(), End: func() { o.ended.Add(1); o.at.Add(-1) }}, nil
	})
	return o
}

func (o *owned) ask(t testing.TB, name string) {
	h, done, err := o.Find(context.Background(), "", name)
	if err != nil || h == nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	done()
}

// A district is opened once by those who ask first together, and closed when nobody asks for it; no more
// are open at once than may be, whoever asks for how many.
func TestOwner(t *testing.T) {
	h := village(t, 12)
	o := own(t, h, host.OwnerOptions{Most: 4, Idle: time.Hour})
	if o.begun.Load() > 0 {
		t.Error("opened before it was asked for")
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { o.ask(t, "d3") })
	}
	all.Wait()
	if n := o.begun.Load(); n != 1 {
		t.Errorf("opened %d times", n)
	}
	for i := range 120 {
		all.Go(func() { o.ask(t, fmt.Sprintf("d%d", i%12)) })
	}
	all.Wait()
	if n := o.Count(); n[0] != 12 || n[1] > 4 || n[2] != 0 || o.most.Load() > 4 {
		t.Errorf("%v, and at most %d at once", n, o.most.Load())
	}
	if h, _, err := o.Find(t.Context(), "", "d99"); h != nil || err != nil {
		t.Error(h, err)
	}
	o.Close()
	if o.begun.Load() != o.ended.Load() {
		t.Errorf("%d were opened, and %d closed", o.begun.Load(), o.ended.Load())
	}
	o = own(t, h, host.OwnerOptions{Idle: time.Millisecond})
	defer o.Close()
	_, done, err := o.Find(t.Context(), "", "d1")
	if err != nil {
		t.Fatal(err)
	}
	o.ask(t, "d2")
	for o.Count()[1] > 1 { // d1 is used
		runtime.Gosched()
	}
	if n := o.ended.Load(); n != 1 {
		t.Error(n, "were closed")
	}
	done()
	for o.Count()[1] > 0 {
		runtime.Gosched()
	}
}

// A district that nobody asks for is opened when a feed of it is due, and no other one is.
func TestOwnerFeeds(t *testing.T) {
	ctx, h := t.Context(), village(t, 3)
	open := func() *host.District {
		d, err := h.Open(ctx, host.Entry{ID: "d1"}, host.Options{Options: store.Options{Throwaway: true}})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	runs := func(d *host.District) []store.Run {
		runs, err := d.Runs(ctx, store.FeedSandbox, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		return runs
	}
	d := open()
	nightly := feed.Schedule{At: []string{"03:00"}}
	err := d.Live(ctx, host.Sandbox{Students: 12, Reset: "never", Schedule: nightly})
	if err == nil {
		err = d.Schedule(ctx, store.FeedSandbox, "life", time.Now().Add(-time.Hour))
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	o := own(t, h, host.OwnerOptions{Idle: time.Millisecond})
	d = open()
	defer d.Close()
	for deadline := time.Now().Add(time.Minute); len(runs(d)) < 2 || runs(d)[0].State == store.RunRunning; {
		if time.Now().After(deadline) {
			t.Fatal(runs(d))
		}
		time.Sleep(10 * time.Millisecond)
	}
	o.Close()
	if all := runs(d); len(all) != 2 || all[0].State != store.RunDone || o.begun.Load() != 1 {
		t.Error(o.begun.Load(), all)
	}
}

// What 200 districts cost a process that has them: until the first is asked for, and when all were asked
// for and closed since.
func BenchmarkOwner(b *testing.B) {
	const n = 200
	h := village(b, n)
	held := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse+m.StackInuse) / 1024
	}
	for b.Loop() {
		before, began := held(), time.Now()
		o := own(b, h, host.OwnerOptions{Idle: time.Millisecond, Most: 64})
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms/start")
		b.ReportMetric((held()-before)/n, "KiB/idle")
		began = time.Now()
		for i := range n {
			o.ask(b, fmt.Sprintf("d%d", i))
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000/n, "ms/open")
		for o.Count()[1] > 0 {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric((held()-before)/n, "KiB/closed")
		o.Close()
		b.StopTimer()
		o = own(b, h, host.OwnerOptions{Most: 64})
		before = held()
		for i := range 64 {
			o.ask(b, fmt.Sprintf("d%d", i))
		}
		b.ReportMetric((held()-before)/64, "KiB/open")
		o.Close()
		b.StartTimer()
	}
}
