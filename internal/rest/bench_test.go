package rest_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// What one waits for beside what many do at once, on each engine: of 100 requests of a
// quick client the one that takes longest, alone and beside. "ratio" is the second by
// the first. The others are another client, as in life, and go on until the end.
func BenchmarkBeside(b *testing.B) {
	page := []string{"GET", "/orgs?limit=1", ""}
	put := []string{"PUT", "/categories/quick", `{"category":{"title":"%d"}}`}
	for _, c := range []struct {
		name  string
		quick []string // method, target, body
		load  func(s *service, kept *store.Store, ended <-chan struct{})
		least int // samples
	}{
		{"a page beside 300 readers that do not read", page, stallAll, 300},
		{"a page beside 300 PUTs at once", page, putAll, 300},
		{"a page beside imports", page, importAll, 300},
		{"a PUT beside imports", put, importAll, 10},
	} {
		for _, e := range storetest.All {
			b.Run(c.name+"/"+e.Name, func(b *testing.B) {
				var kept *store.Store
				secret, hashed := auth.NewSecret(time.Now(), nil, false)
				s := serveDistrict(b, e.Empty(b), oneroster.Scopes(), 1400, func(config *rest.Config) {
					kept = config.Store
					quick := auth.Client{ID: "quick", Name: "quick", Scopes: oneroster.Scopes(),
						Secrets: []auth.Secret{hashed}}
					if err := kept.AddClient(context.Background(), quick); err != nil {
						b.Fatal(err)
					}
				})
				quick := *s
				quick.token = s.grant("quick", secret)
				n := 0
				took := func() time.Duration {
					body := c.quick[2]
					if n++; body != "" {
						body = fmt.Sprintf(body, n)
					}
					began := time.Now()
					if status, _, answer := quick.call(c.quick[0], c.quick[1], body); status >= 300 {
						b.Fatalf("%d %s", status, answer)
					}
					return time.Since(began)
				}
				var alone, beside []time.Duration
				for range 300 {
					alone = append(alone, took())
				}
				ended := make(chan struct{})
				var load sync.WaitGroup
				load.Go(func() { c.load(s, kept, ended) })
				for b.Loop() {
					beside = append(beside, took())
				}
				for len(beside) < c.least {
					beside = append(beside, took())
				}
				close(ended)
				load.Wait()
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(p99(alone).Seconds()*1000, "ms-alone")
				b.ReportMetric(p99(beside).Seconds()*1000, "ms-beside")
				b.ReportMetric(p99(beside).Seconds()/p99(alone).Seconds(), "ratio")
			})
		}
	}
}

func p99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[(len(all)-1)*99/100]
}

func stallAll(s *service, _ *store.Store, ended <-chan struct{}) {
	leave := s.stall(300, "/enrollments?limit=50000")
	<-ended
	leave()
}

func putAll(s *service, _ *store.Store, ended <-chan struct{}) {
	var all sync.WaitGroup
	for n := range 300 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				default:
				}
				body := fmt.Sprintf(`{"category":{"title":"%d"}}`, i)
				if status, _, answer := s.call("PUT", fmt.Sprint("/categories/k", n), body); status >= 300 {
					s.t.Errorf("%d %s", status, answer)
					return
				}
			}
		})
	}
	all.Wait()
}

// importAll takes two districts in turn.
func importAll(s *service, kept *store.Store, ended <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-ended:
			return
		default:
		}
		district := sandbox.New(sandbox.Options{Students: 1400 - n%2*100, Seed: 1, Today: today})
		if _, err := kept.Import(context.Background(), district, store.ImportOptions{}); err != nil {
			s.t.Error(err)
			return
		}
	}
}
