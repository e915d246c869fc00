package quality

import (
	"hash/maphash"
	"strings"
	"time"
)

// known is what later rules need of earlier objects, and no more: a district of
// a million enrollments is judged in a few hundred megabytes. Ids of people and
// classes are numbered; what was seen is a set of 64-bit hashes, of which two in
// three million agree with a chance of one in four million.
type known struct {
	seed   maphash.Seed
	stamps stamps // of the collection under way

	orgs     map[string]*org
	sessions map[string]*session
	courses  map[string]*course
	classes  map[string]*class
	users    map[string]*user

	seen    map[uint64]bool // what must not come twice, or is looked for again
	holders map[uint64]int  // how many have what they are matched by, by group

	pupils  []uint64 // student and class
	undated int      // enrollments without dates
}

type org struct {
	parent   string
	children map[string]bool
	school   bool
	kept     bool
}

type session struct {
	kind, parent string
	start, end   time.Time // end is the first day after
	kept         bool
}

type course struct{ classes int }

type class struct {
	number                      uint32
	school                      string
	start, end                  time.Time
	teachers, students, primary int
	course                      string
	periods                     bool
}

type user struct {
	number   uint32
	group    Group
	teacher  bool
	grades   bool
	classes  int
	kept     bool
	nameHash uint64
}

func newKnown() *known {
	return &known{seed: maphash.MakeSeed(), orgs: map[string]*org{}, sessions: map[string]*session{},
		courses: map[string]*course{}, classes: map[string]*class{}, users: map[string]*user{},
		seen: map[uint64]bool{}, holders: map[uint64]int{}}
}

// hash of several texts, in which no text runs into the next.
func (k *known) hash(parts ...string) uint64 {
	return maphash.String(k.seed, strings.Join(parts, "\x00"))
}

// first tells whether a hash was not seen yet; now it is.
func (k *known) first(hash uint64) bool {
	was := k.seen[hash]
	k.seen[hash] = true
	return !was
}

func pair(a, b uint32) uint64 { return uint64(a)<<32 | uint64(b) }

// stamps finds a dateLastModified that most objects of a collection have, in
// little memory: when too many are different, all counts go down by one (Misra
// and Gries), which never hides one that more than half have.
type stamps struct {
	counts map[string]int
	rows   int
	right  string // the last one of which there is nothing to tell: many objects have the same
}

const mostStamps = 4096

func (s *stamps) add(stamp string) {
	s.rows++
	s.counts[stamp]++
	if len(s.counts) <= mostStamps {
		return
	}
	for k := range s.counts {
		if s.counts[k]--; s.counts[k] == 0 {
			delete(s.counts, k)
		}
	}
}

// few is how many objects tell nothing about their stamps.
const few = 20

func (s *stamps) tell(j *judge, resource string) {
	for stamp, n := range s.counts {
		if s.rows > few && 2*n > s.rows {
			j.whole(resource, "SDS-G04", "dateLastModified", stamp,
				"more than half of the objects have the same dateLastModified: it looks like the time "+
					"of an import")
		}
	}
}
