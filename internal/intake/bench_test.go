package intake_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// How long a client that writes waits while a district of 100,000 enrollments comes for
// the first time, and a night with 0.5 % of it changed; and what the steps take.
// ROLLBOOK_PUPILS sets how many students there are: 160000 make a million enrollments.
func BenchmarkWritersWait(b *testing.B) {
	students := 16500
	if text := os.Getenv("ROLLBOOK_PUPILS"); text != "" {
		var err error
		if students, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	district := sandbox.New(sandbox.Options{Students: students, Seed: 1,
		Today: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)})
	for _, e := range storetest.All {
		b.Run(e.Name, func(b *testing.B) {
			for range b.N {
				dsn := e.Empty(b)
				s := storetest.Open(b, dsn, store.Options{})
				beside(b, s, dsn, "first", roster{district, 0})
				for night := range 3 {
					beside(b, s, dsn, "night", roster{district, night + 1})
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// beside publishes a source while a client writes, and reports what each step took and
// how long the client waited at most, in milliseconds.
func beside(b *testing.B, s *store.Store, dsn, name string, src oneroster.Source) {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	longest, writes, ended := time.Duration(0), 0, make(chan error)
	client := storetest.Open(b, dsn, store.Options{}) // as of another process
	go func() {
		for ctx.Err() == nil {
			began := time.Now()
			_, _, err := client.Put(context.Background(), storetest.Rec("category", "sourcedId", "k", "title",
				fmt.Sprint(began.UnixNano())))
			if err != nil {
				ended <- err
				return
			}
			longest, writes = max(longest, time.Since(began)), writes+1
			time.Sleep(5 * time.Millisecond) // a client, and not a hundred
		}
		ended <- nil
	}()
	began, judged := time.Now(), time.Duration(0)
	plan, err := s.Plan(ctx, src, store.ImportOptions{Closed: true}, func(p *store.Plan) error {
		began := time.Now()
		_, err := intake.Judge(ctx, p, nil, intake.Context{Today: time.Now()})
		judged = time.Since(began)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	defer plan.Close()
	planned := time.Since(began) - judged
	began = time.Now()
	if _, err := s.Publish(ctx, plan, nil); err != nil {
		b.Fatal(err)
	}
	published := time.Since(began)
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	for step, took := range map[string]time.Duration{"plan": planned, "judge": judged, "publish": published,
		"longest-wait": longest} {
		b.ReportMetric(float64(took.Milliseconds()), name+"-ms-"+step)
	}
	b.ReportMetric(float64(writes), name+"-writes")
}

// A roster is a made-up district without a gradebook, of which a night changes one
// record in 200.
type roster struct {
	*sandbox.District
	night int // 0 is none
}

func (r roster) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := r.District.Modes()
	for resource := range out {
		if resource.Gradebook {
			out[resource] = oneroster.Absent
		}
	}
	return out
}

func (r roster) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	n := 0
	return r.District.Records(ctx, func(row oneroster.Row) error {
		if row.Resource.Gradebook {
			return nil
		}
		if n++; r.night > 0 && n%200 == r.night {
			row.Set("metadata", fmt.Sprintf(`{"night":"%d"}`, r.night))
		}
		return yield(row)
	})
}
