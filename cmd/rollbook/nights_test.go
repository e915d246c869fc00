package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A morning is what import tells a program of a night.
type morning struct {
	State      string
	Objections []struct{ Guard, Text string }

	errs string // what it says beside that
}

func (v morning) guards() (out []string) {
	for _, o := range v.Objections {
		out = append(out, o.Guard)
	}
	return out
}

// A nightly brings packages to a district, as cron does.
type nightly struct {
	*testing.T
	dir string
}

func (n nightly) run(args ...string) (out, errs string, code int) {
	n.Helper()
	return rollbook(n.T, n.dir, append(args, "--db", "district.db")...)
}

func (n nightly) must(args ...string) {
	n.Helper()
	if out, errs, code := n.run(args...); code != 0 {
		n.Fatalf("rollbook %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
}

func (n nightly) bring(args ...string) (v morning, code int) {
	n.Helper()
	out, errs, code := n.run(append([]string{"import", "--json"}, args...)...)
	if code == 0 || code == exitHeld {
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			n.Fatalf("%s%s", out, errs)
		}
	}
	v.errs = errs
	return v, code
}

// exported is what the district serves, as bytes.
func (n nightly) exported() []byte {
	n.Helper()
	n.must("export", "now.zip")
	return n.read("now.zip")
}

func (n nightly) read(name string) []byte {
	n.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		n.Fatal(err)
	}
	return text
}

func (n nightly) write(name string, text []byte) {
	n.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, name), text, 0o600); err != nil {
		n.Fatal(err)
	}
}

// beside is another district that is the same.
func (n nightly) beside(t *testing.T) nightly {
	t.Helper()
	other := nightly{t, t.TempDir()}
	for _, name := range []string{"district.db", "district.db.key"} {
		other.write(name, n.read(name))
	}
	return other
}

// A score counts nights.
type score struct {
	sync.Mutex
	bad, kept, good, stopped int
}

func (c *score) count(of *int, n *int, is bool) {
	c.Lock()
	defer c.Unlock()
	if *of++; is {
		*n++
	}
}

// publishes brings nights that are ordinary.
func (n nightly) publishes(c *score, name string, args ...string) {
	n.Helper()
	v, code := n.bring(args...)
	c.count(&c.good, &c.stopped, code != 0)
	if code != 0 {
		n.Errorf("%s: exit %d, %v %s", name, code, v.Objections, v.errs)
	}
}

// Each bad night is held by the guard that is meant for it, or refused, and changes
// nothing: the next good one is published. Ordinary nights of a year are published.
func TestNightsThroughTheDoor(t *testing.T) {
	d, c := nightly{t, t.TempDir()}, &score{}
	d.must("sandbox", "life", "--days", "34", "--students", "180", "--delta")
	d.must("sandbox", "other.zip", "--seed", "2", "--students", "180")
	d.must("import", "--new", "life/day-00.zip")
	base, many := d.beside(t), nightly{t, t.TempDir()}
	many.must("sandbox", "life", "--days", "1", "--students", "360")
	many.must("import", "--new", "life/day-00.zip")
	t.Run("nights", func(t *testing.T) {
		t.Run("bad", func(t *testing.T) {
			base.badNights(t, c, badNights, d.exports(map[string]string{"one": "life/day-01.zip",
				"next": "life/day-23.zip", "delta": "life/day-01-delta.zip", "other": "other.zip"}))
		})
		t.Run("bad, of many", func(t *testing.T) {
			many.badNights(t, c, badNightsOfMany, many.exports(map[string]string{"one": "life/day-01.zip"}))
		})
		t.Run("ordinary", func(t *testing.T) {
			t.Parallel()
			nightly{t, d.dir}.year(c)
		})
		t.Run("a school starts", func(t *testing.T) {
			t.Parallel()
			nightly{t, t.TempDir()}.start(c, filepath.Join(d.dir, "life"))
		})
	})
	t.Logf("%d bad nights, %d kept from readers: recall %.3f; %d ordinary nights, %d held: precision %.3f",
		c.bad,
		c.kept, float64(c.kept)/float64(c.bad), c.good, c.stopped,
		float64(c.kept)/float64(c.kept+c.stopped))
}

// exports unpacks packages, which are given by what they are.
func (n nightly) exports(files map[string]string) exports {
	of := exports{}
	for name, file := range files {
		of[name] = unpacked(n.T, filepath.Join(n.dir, file))
	}
	return of
}

// badNights brings one after the other, a good one after some of them.
func (n nightly) badNights(t *testing.T, c *score, nights []badNight, of exports) {
	before, good := n.exported(), zipped(of["one"])
	for rows := range slices.Chunk(nights, 8) {
		t.Run(rows[0].name, func(t *testing.T) {
			t.Parallel()
			n := n.beside(t)
			for _, x := range rows {
				n.write("bad.zip", x.spoil(maps.Clone(of["one"]), of))
				v, code := n.bring("bad.zip")
				kept := code == exitHeld && slices.Contains(v.guards(), x.guard)
				if x.guard == "refused" {
					kept = code == exitFailed
				}
				c.count(&c.bad, &c.kept, kept)
				if !kept {
					t.Errorf("%s: exit %d; it is %s that must keep it from readers, not %v\n%s", x.name, code,
						x.guard, v.Objections, v.errs)
				}
				t.Log(x.name)
				for _, o := range v.Objections {
					t.Log("   ", o.Guard, o.Text)
				}
			}
			if !bytes.Equal(n.exported(), before) {
				t.Fatal("the district is not what it was")
			}
			n.write("good.zip", good)
			n.publishes(c, "the good night", "good.zip")
		})
	}
}

// year brings the days of a life, with what a year has: a rollover and a closing that
// are announced, a new school, and once last year's package, that is held.
func (n nightly) year(c *score) {
	n.must("calendar", "closing", "--school", "sch-003", time.Now().Format(time.DateOnly))
	name := func(day int) string { return fmt.Sprintf("life/day-%02d.zip", day) }
	const rollover = 21
	for day := 1; day <= 32; day++ {
		if day == rollover {
			n.must("calendar", "rollover", time.Now().Format(time.DateOnly))
		}
		n.publishes(c, name(day), name(day))
		if day == rollover {
			n.must("calendar", "remove", "2")
		}
	}
	n.must("calendar", "remove", "1")
	before := n.exported()
	v, code := n.bring(name(rollover - 1))
	kept := code == exitHeld && slices.Contains(v.guards(), "loss")
	if c.count(&c.bad, &c.kept, kept); !kept {
		n.Errorf("last year's package: exit %d %v", code, v.Objections)
	}
	if !bytes.Equal(n.exported(), before) {
		n.Error("the district is not what it was")
	}
	n.must("calendar", "closing", "--school", "sch-003", time.Now().Format(time.DateOnly))
	closed := unpacked(n.T, filepath.Join(n.dir, name(33)))
	closed.school("sch-003")
	n.write("closed.zip", zipped(closed))
	n.publishes(c, "a closing", "closed.zip")
	n.must("calendar", "remove", "1")
	n.publishes(c, "a new school", name(33))
	n.publishes(c, name(34), name(34))
}

// start brings a district before its year has begun, then its first classes.
func (n nightly) start(c *score, life string) {
	files := unpacked(n.T, filepath.Join(life, "day-00.zip"))
	n.write("full.zip", zipped(files))
	for _, file := range []string{"classes.csv", "enrollments.csv", "classGroups.csv", "lineItems.csv",
		"results.csv", "classResources.csv"} {
		delete(files, file)
		files["manifest.csv"] = strings.Replace(files["manifest.csv"],
			"file."+strings.TrimSuffix(file, ".csv")+",bulk", "file."+strings.TrimSuffix(file, ".csv")+
				",absent", 1)
	}
	n.write("summer.zip", zipped(files))
	n.publishes(c, "the first import", "--new", "summer.zip")
	n.publishes(c, "the first classes", "full.zip")
	files = unpacked(n.T, filepath.Join(n.dir, "full.zip"))
	files.head("users.csv", ",email,", ",mail,")
	n.write("mail.zip", zipped(files))
	n.publishes(c, "e-mail under another name that is read", "mail.zip")
}
