package rest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"rollbook/internal/oneroster"
)

// Reads of a district of 100,000 enrollments over HTTP. Each is measured beside
// the same bytes served from memory by the same kind of server; "of memory" is
// how fast it is against that, 1 being as fast.
func BenchmarkReads(b *testing.B) {
	s := serveDistrict(b, filepath.Join(b.TempDir(), "district.db"), oneroster.Scopes(), 16500)
	r, _ := http.NewRequest("GET", s.URL+oneroster.V1p1.Base+"/enrollments?limit=1", nil)
	r.Header.Set("Authorization", "Bearer "+s.token)
	_, header, _ := s.do(r)
	total, err := strconv.Atoi(header.Get("X-Total-Count"))
	if err != nil || total < 100_000 {
		b.Fatalf("%d enrollments", total)
	}
	at := func(limit, offset int) string {
		return "/enrollments?limit=" + strconv.Itoa(limit) + "&offset=" + strconv.Itoa(offset)
	}
	for _, c := range []struct{ name, target string }{
		{"page of 100, first", at(100, 0)},
		{"page of 100, last", at(100, total-100)},
		{"page of 5000, first", at(5000, 0)},
		{"page of 5000, last", at(5000, total-5000)},
		{"filtered page of 100", at(100, 0) + "&filter=status%3D%27active%27"},
		{"delta of nothing", at(5000, 0) + "&filter=dateLastModified%3E%272099-01-01%27"},
		{"by id", "/enrollments/enr-001-001-1-01"},
	} {
		b.Run(c.name, func(b *testing.B) {
			address := s.URL + oneroster.V1p1.Base + c.target
			body := fetch(b, address, s.token)
			memory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Write(body)
			}))
			defer memory.Close()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				fetch(b, address, s.token)
			}
			ours := b.Elapsed().Seconds() / float64(b.N)
			began := time.Now()
			for range b.N {
				fetch(b, memory.URL, "")
			}
			theirs := time.Since(began).Seconds() / float64(b.N)
			b.ReportMetric(1/ours, "requests/s")
			b.ReportMetric(theirs/ours, "of-memory")
		})
	}
}

func fetch(b *testing.B, address, token string) []byte {
	b.Helper()
	r, _ := http.NewRequest("GET", address, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Accept-Encoding", "identity")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		b.Fatalf("%d %v", answer.StatusCode, err)
	}
	return body
}
