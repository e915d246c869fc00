package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// An arena is a district that is served, and nginx with the same bytes.
type arena struct {
	dsn                  string
	postgres             bool
	dir, files           string
	total                int // enrollments
	store                *store.Store
	ours, static, secure target
}

// readers holds what readers do beside single pages against nginx or against itself: over
// TLS, walks, walks after a publication, filters and deltas that nobody has asked, many who do
// not read.
func readers(b *testing.B, a arena) {
	a.overTLS(b)
	a.walks(b)
	stamps := a.publications(b)
	a.newFilters(b)
	a.deltas(b, stamps)
	a.slowReaders(b)
}

func (a arena) list(limit, offset int, filter string) target {
	path := fmt.Sprintf("/enrollments?limit=%d&offset=%d", limit, offset)
	if filter != "" {
		path += "&filter=" + url.QueryEscape(filter)
	}
	return a.ours.at(path)
}

// since is what was changed after a time.
func (a arena) since(limit int, after time.Time) target {
	return a.list(limit, 0, "status='active' AND dateLastModified>'"+oneroster.FormatTime(after)+"'")
}

func (a arena) overTLS(b *testing.B) {
	base, token, pid := service(b, a.dir, a.dsn, "secure reader", "--cert", filepath.Join(a.dir, "cert.pem"),
		"--key", filepath.Join(a.dir, "key.pem"))
	path := strings.TrimPrefix(a.list(5000, a.total/2/5000*5000, "").url, a.ours.url)
	ours := target{url: base + path, token: token, pids: append([]int{pid}, a.ours.pids[1:]...)}
	editionOf(b, target{url: base, token: token})
	// References name the address that was asked: the bytes are as many, but for a letter.
	keepFile(b, a.files, "secure.json", ours)
	var mine, others []float64
	for range 5 {
		mine, others = append(mine, cost(b, ours)), append(others, cost(b, a.secure.at("/secure.json")))
	}
	compared(b, "page of 5,000 over TLS 1.3, nginx / ours", mine, others, 0.9, false)
}

// walk reads pages one after the other, and takes the time by the clock, in ms.
func (a arena) walk(b *testing.B, page func(offset int) target) float64 {
	began := time.Now()
	for offset := 0; offset < a.total; offset += 5000 {
		_, _ = fetched(b, page(offset))
	}
	return time.Since(began).Seconds() * 1000
}

func (a arena) ourWalk(b *testing.B) float64 {
	return a.walk(b, func(offset int) target { return a.list(5000, offset, "") })
}

func (a arena) walks(b *testing.B) {
	name := func(offset int) string { return fmt.Sprintf("walk-%d.json", offset) }
	for offset := 0; offset < a.total; offset += 5000 {
		keepFile(b, a.files, name(offset), a.list(5000, offset, ""))
	}
	var mine, others []float64
	for range 5 {
		mine = append(mine, a.ourWalk(b))
		others = append(others, a.walk(b, func(offset int) target { return a.static.at("/" + name(offset)) }))
	}
	compared(b, "walk of all, 5,000 a page, by the clock, ms, ours / nginx", mine, others, 1.5, true)
}

// newDates is a delta package of enrollments.
type newDates []oneroster.Record

func (c newDates) Modes() map[*oneroster.Resource]oneroster.Mode {
	return map[*oneroster.Resource]oneroster.Mode{c[0].Resource: oneroster.Delta}
}

func (c newDates) Records(_ context.Context, yield func(oneroster.Row) error) error {
	for _, r := range c {
		if err := yield(oneroster.Row{Record: r}); err != nil {
			return err
		}
	}
	return nil
}

// publications publishes 0.5 % changed, five times, and then 0.9 % and 0.1 %: it returns the
// stamps of the last three.
func (a arena) publications(b *testing.B) (stamps []time.Time) {
	parts := map[int]newDates{} // by the thousandth that it is of
	enrollment, n := oneroster.ByName("enrollment"), 0
	err := a.store.Snapshot(context.Background(), func(each func(*oneroster.Resource,
		func(oneroster.Record) error) error) error {
		return each(enrollment, func(r oneroster.Record) error {
			if n++; n%1000*311%1000 < 35 { // those of a night do not stand side by side
				parts[n%1000*311%1000] = append(parts[n%1000*311%1000], r)
			}
			return nil
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	publish := func(from, to int) {
		var all newDates
		for part := from; part < to; part++ {
			for _, r := range parts[part] {
				r.Set("endDate", "2027-07-30")
				all = append(all, r)
			}
		}
		report, err := a.store.Import(context.Background(), all, store.ImportOptions{})
		if err != nil {
			b.Fatal(err)
		}
		at, err := time.Parse(oneroster.TimeLayout, report.Stamp)
		if err != nil {
			b.Fatal(err)
		}
		stamps = append(stamps, at)
	}
	var first, warm []float64
	for round := range 5 {
		publish(5*round, 5*round+5)
		first, warm = append(first, a.ourWalk(b)), append(warm, a.ourWalk(b))
	}
	compared(b, "first walk after a publication of 0.5 %, ms, first / warm", first, warm, 2, true)
	publish(25, 34)
	publish(34, 35)
	return stamps[len(stamps)-3:]
}

// newFilters asks filters that nobody has asked, by the clock. The bar is one of a million.
func (a arena) newFilters(b *testing.B) {
	bar := map[bool]float64{false: 250, true: 700}[a.postgres]
	var mine, bars []float64
	for round := range 5 {
		at := time.Date(1990, 1, 1+round, 0, 0, 0, 0, time.UTC)
		began := time.Now()
		_, _ = fetched(b, a.since(100, at))
		mine, bars = append(mine, time.Since(began).Seconds()*1000), append(bars, bar)
	}
	compared(b, "first page of a filter never asked, ms, ours / bar of 1,000,000", mine, bars, 1, true)
}

// deltas asks for 0.1 % and for 1 %, ten times in a row, each time as nobody has: what a row costs is
// the same.
func (a arena) deltas(b *testing.B, stamps []time.Time) {
	row := func(after time.Time) float64 {
		before, rows := spent(a.ours.pids), 0.0
		for n := range 10 {
			header, _ := fetched(b, a.since(50000, after.Add(time.Duration(n)*time.Millisecond)))
			n, _ := strconv.ParseFloat(header.Get("X-Total-Count"), 64)
			rows += n
		}
		return (spent(a.ours.pids) - before) / 1e3 / max(rows, 1)
	}
	_ = row(stamps[1]) // follows the publications
	var few, many []float64
	for round := range 5 {
		later := time.Duration(10*round+10) * time.Millisecond
		few, many = append(few, row(stamps[1].Add(later))), append(many, row(stamps[0].Add(later)))
	}
	compared(b, "delta of 0.1 % never asked / of 1 %, for each row", few, many, 2, true)
}

// slowReaders asks for pages of 100 alone, and beside 300 who have asked for 50,000 rows and
// do not read: the slowest but one of a hundred, in µs by the clock, and memory.
func (a arena) slowReaders(b *testing.B) {
	p99 := func() float64 {
		all := make([]float64, 1000)
		for i := range all {
			began := time.Now()
			_, _ = fetched(b, a.list(100, i*100%(a.total-100), ""))
			all[i] = float64(time.Since(began).Microseconds())
		}
		slices.Sort(all)
		return all[len(all)*99/100]
	}
	at, err := url.Parse(a.list(50000, 0, "").url)
	if err != nil {
		b.Fatal(err)
	}
	var alone, beside, held, allowed []float64
	for range 5 {
		alone = append(alone, p99())
		var idle []net.Conn
		for range 300 {
			c, err := net.Dial("tcp", at.Host)
			if err != nil {
				b.Fatal(err)
			}
			idle = append(idle, c)
			_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
				at.RequestURI(), at.Host, a.ours.token)
		}
		for _, c := range idle { // each has its answer begun
			if line, err := bufio.NewReaderSize(c, 16).ReadSlice(' '); err != nil {
				b.Fatalf("%s %v", line, err)
			}
		}
		beside = append(beside, p99())
		held, allowed = append(held, anonymous(b, a.ours.pids[0])), append(allowed, 256)
		for _, c := range idle {
			_ = c.Close()
		}
	}
	compared(b, "page of 100 beside 300 who do not read, p99 by the clock, / alone", beside, alone, 3, true)
	compared(b, "memory of its own with them, MiB / 256", held, allowed, 1, true)
}

var anonymousMemory = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

// anonymous is what a process holds in memory that is its own, in MiB.
func anonymous(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	found := anonymousMemory.FindSubmatch(text)
	if err != nil || found == nil {
		b.Fatal(err)
	}
	kilobytes, _ := strconv.ParseFloat(string(found[1]), 64)
	return kilobytes / 1024
}
