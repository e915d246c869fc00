package edition_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"rollbook/internal/edition"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Whoever reads while others read a later state is served from an edition too, and so is in a
// walk: its next page is of the same state.
func TestReadersMeanwhileAreServedFromEditions(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		d := edition.New(s, edition.Options{})
		t.Cleanup(d.Close)
		var over atomic.Bool
		var writer, readers sync.WaitGroup
		put := func(n int) {
			_, _, err := s.Put(ctx, storetest.Rec("category", "sourcedId", fmt.Sprint("c", n%200), "title",
				fmt.Sprint(n)))
			if err != nil {
				t.Error(err)
			}
		}
		put(0)
		_, _ = body(t, d, asked(t, "getAllCategories", "", nil))
		writer.Go(func() {
			for n := 1; !over.Load(); n++ {
				put(n)
			}
		})
		var missed, all atomic.Int64
		for reader := range 8 {
			readers.Go(func() {
				for n := range storetest.Tries(100) {
					ask := asked(t, "getAllCategories", fmt.Sprintf("limit=1&filter=title!='%d %d'", reader, n), nil)
					ask.Client = fmt.Sprint("reader", reader)
					p, err := d.List(ctx, ask)
					if err != nil {
						t.Error(err)
						return
					}
					all.Add(1)
					if p.Size("") == "" {
						missed.Add(1)
					}
					p.Close()
				}
			})
		}
		readers.Wait()
		over.Store(true)
		writer.Wait()
		if missed.Load() > 0 {
			t.Errorf("%d of %d answers came of no edition", missed.Load(), all.Load())
		}
	})
}
