package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/machine"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// BenchmarkPictures draws what requests cost against the offset of a page and against the
// size of the collection, on SQLite: into the folder ROLLBOOK_PICTURES, for districts of a
// hundredth, a tenth and all of ROLLBOOK_PUPILS.
func BenchmarkPictures(b *testing.B) {
	folder := os.Getenv("ROLLBOOK_PICTURES")
	if folder == "" {
		machine.Leave(b, "ROLLBOOK_PICTURES names no folder: make pictures")
	}
	b.StopTimer()
	students := pupils(b, "16000")
	median := func(measure func() float64) float64 {
		all := []float64{measure(), measure(), measure()}
		slices.Sort(all)
		return all[1]
	}
	bySize := []curve{{name: "page of 5,000 in the middle"}, {name: "first page of a filter never asked"},
		{name: "page of 100 in the middle"}, {name: "one object by id"}}
	var byOffset []curve
	for _, n := range []int{students / 100, students / 10, students} {
		dir, dsn := b.TempDir(), storetest.SQLite(b)
		s := storetest.Open(b, dsn, store.Options{})
		if _, err := s.Import(context.Background(), uuids{sandbox.New(sandbox.Options{Students: n, Seed: 7,
			Today: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)})}, store.ImportOptions{}); err != nil {
			b.Fatal(err)
		}
		base, token, pid := service(b, dir, dsn, "reader")
		a := arena{ours: target{url: base, token: token, pids: []int{pid}}}
		a.total = editionOf(b, a.ours)
		asked := 0
		for i, measure := range []func() float64{
			func() float64 { return cost(b, a.list(5000, max(0, a.total-5000)/2, "")) },
			func() float64 {
				asked++
				of := a.since(100, time.Date(1990, 1, asked, 0, 0, 0, 0, time.UTC))
				before := spent(of.pids)
				_, _ = fetched(b, of)
				return (spent(of.pids) - before) / 1e3
			},
			func() float64 { return cost(b, a.list(100, a.total/2, "")) },
			func() float64 { return cost(b, a.ours.at("/enrollments/"+someID(b, a))) },
		} {
			bySize[i].points = append(bySize[i].points, [2]float64{float64(a.total), median(measure)})
		}
		if n < students {
			continue
		}
		for _, q := range []struct{ name, more string }{{"all", ""},
			{"status='active'", "&filter=status%3D'active'"},
			{"sort=dateLastModified", "&sort=dateLastModified"},
			{"role='student', sort=user, desc", "&filter=role%3D'student'&sort=user&orderBy=desc"}} {
			c := curve{name: q.name}
			header, _ := fetched(b, a.ours.at("/enrollments?limit=1"+q.more))
			total, _ := strconv.Atoi(header.Get("X-Total-Count"))
			for part := range 6 {
				offset := (total - 100) * part / 5
				of := a.ours.at(fmt.Sprintf("/enrollments?limit=100&offset=%d%s", offset, q.more))
				used := median(func() float64 { return cost(b, of) })
				c.points = append(c.points, [2]float64{float64(offset), used})
			}
			byOffset = append(byOffset, c)
		}
	}
	for name, text := range map[string]string{
		"cost-by-offset.svg": plot("CPU of a page of 100, by its offset", "offset", byOffset, false),
		"cost-by-size.svg": plot("CPU of a request, by the size of the collection", "enrollments", bySize,
			true),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// editionOf waits until there is an edition, and tells how many enrollments are in it.
func editionOf(b *testing.B, ours target) (total int) {
	for range 600 {
		header, _ := fetched(b, ours.at("/enrollments?limit=100"))
		total, _ = strconv.Atoi(header.Get("X-Total-Count"))
		if header.Get("Content-Length") != "" { // of so long a page it is known from an edition only
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return total
}

// someID is the sourcedId of an enrollment in the middle.
func someID(b *testing.B, a arena) string {
	_, body := fetched(b, a.list(1, a.total/2, ""))
	_, rest, _ := strings.Cut(string(body), `"sourcedId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// A curve is what one kind of request costs, µs, by something.
type curve struct {
	name   string
	points [][2]float64
}

// plot draws curves as SVG: from nothing on, or both axes logarithmic.
func plot(title, by string, curves []curve, logarithmic bool) string {
	const left, right, top, bottom = 70.0, 480.0, 50.0, 320.0
	colours := []string{"#0b62a4", "#c0392b", "#2d7d46", "#8e44ad"}
	scale := func(v float64) float64 { return v }
	if logarithmic {
		scale = math.Log10
	}
	least, most := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{}
	for _, c := range curves {
		for _, p := range c.points {
			for axis, v := range p {
				least[axis], most[axis] = min(least[axis], v), max(most[axis], v)
			}
		}
	}
	if logarithmic { // whole tens on the vertical axis
		least[1] = math.Pow(10, math.Floor(math.Log10(least[1])))
		most[1] = math.Pow(10, math.Ceil(math.Log10(most[1])))
	} else {
		least, most[1] = [2]float64{}, 500*math.Ceil(1.1*most[1]/500)
	}
	x := func(v float64) float64 {
		return left + (right-left)*(scale(v)-scale(least[0]))/(scale(most[0])-scale(least[0]))
	}
	y := func(v float64) float64 {
		return bottom - (bottom-top)*(scale(v)-scale(least[1]))/(scale(most[1])-scale(least[1]))
	}
	number := func(v float64) string {
		if v >= 1e6 {
			return fmt.Sprintf("%.3g M", v/1e6)
		}
		if v >= 1e4 {
			return fmt.Sprintf("%.0f k", v/1e3)
		}
		return fmt.Sprintf("%.0f", v)
	}
	var ticks [2][]float64
	for v := least[1]; v <= most[1]*1.001; {
		ticks[1] = append(ticks[1], v)
		if v *= 10; !logarithmic {
			v = ticks[1][len(ticks[1])-1] + most[1]/5
		}
	}
	for _, p := range curves[0].points {
		ticks[0] = append(ticks[0], p[0])
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 370" font-family="sans-serif"
  font-size="12"><title>%s</title><rect width="720" height="370" fill="#fff"/>
<text x="%.0f" y="24" font-size="15">%[1]s</text>
<text x="%[2]f" y="42">µs</text><text x="%f" y="360" text-anchor="end">%s</text>
`, title, left, right, by)
	for _, v := range ticks[1] {
		fmt.Fprintf(&out, `<path d="M%.0f %.1fH%.0f" stroke="#ddd"/>`, left, y(v), right)
		fmt.Fprintf(&out, `<text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n", left-6, y(v)+4,
			number(v))
	}
	for _, v := range ticks[0] {
		fmt.Fprintf(&out, `<text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`+"\n", x(v), bottom+18,
			number(v))
	}
	for i, c := range curves {
		var line []string
		for _, p := range c.points {
			line = append(line, fmt.Sprintf("%.1f,%.1f", x(p[0]), y(p[1])))
			fmt.Fprintf(&out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %.0f µs</title>`+
				"</circle>\n", x(p[0]), y(p[1]), colours[i], c.name, p[1])
		}
		fmt.Fprintf(&out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n",
			strings.Join(line, " "), colours[i])
		fmt.Fprintf(&out, `<path d="M%.0f %dh16" stroke="%s" stroke-width="3"/>`, right+16, 70+22*i,
			colours[i])
		fmt.Fprintf(&out, `<text x="%.0f" y="%d">%s</text>`+"\n", right+38, 74+22*i, c.name)
	}
	out.WriteString("</svg>\n")
	return out.String()
}
