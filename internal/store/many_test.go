package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A database may have another default of isolation: writes that wait for each other
// are all done.
func TestWritesUnderAnotherIsolation(t *testing.T) {
	dsn := storetest.Postgres(t) + "&default_transaction_isolation=repeatable%20read"
	s := storetest.Open(t, dsn, store.Options{})
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			if _, _, err := s.Put(context.Background(), rec("category", "sourcedId", fmt.Sprint("k", n),
				"title", "x")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Processes that start together on a schema that is not there yet all find it made.
func TestFirstStartsTogether(t *testing.T) {
	base, _, _ := strings.Cut(storetest.Postgres(t), "&search_path=")
	for round := range 2 {
		var all sync.WaitGroup
		for range 24 {
			all.Go(func() {
				s, err := store.Open(context.Background(), fmt.Sprintf("%s&search_path=fresh_%d", base,
					round), store.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				_ = s.Close()
			})
		}
		all.Wait()
	}
}

// Writes that wait for a long one hold nothing that a read or a token needs.
func TestWaitingWritesHoldNobody(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, store.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		begun, release := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { _, _ = s.Import(ctx, waiting{begun, release}, store.ImportOptions{}) })
		<-begun
		for n := range 60 {
			all.Go(func() { _, _, _ = s.Put(ctx, rec("category", "sourcedId", fmt.Sprint("k", n), "title", "x")) })
		}
		for range 40 {
			if _, total := list(t, s, store.Selection{Route: route("getAllOrgs")}); total != 0 {
				t.Error(total)
			}
			if _, err := s.Client(ctx, "nobody"); err != nil {
				t.Error(err)
			}
		}
		cancel()
		close(release)
		all.Wait()
	})
}

// waiting is a source that holds an import open until it is released.
type waiting struct{ begun, release chan struct{} }

func (w waiting) Modes() map[*oneroster.Resource]oneroster.Mode {
	return map[*oneroster.Resource]oneroster.Mode{oneroster.ByName("org"): oneroster.Bulk}
}

func (w waiting) Records(ctx context.Context, _ func(oneroster.Row) error) error {
	close(w.begun)
	<-w.release
	return ctx.Err()
}
