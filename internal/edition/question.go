package edition

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"rollbook/internal/oneroster"
)

// What is kept of questions is bounded in number, and in bytes of their answers.
const (
	questionsKept  = 512
	questionsBytes = 24 << 20
)

// asked is a rendering and what is asked of it, page and fields aside, by its hash, since
// clients write as long as they like. It is the same in every process.
type asked [sha256.Size]byte

// A questionKey is a question.
type questionKey struct {
	rendering
	asked
}

// An inquiry is what a reader asks, and what there is to know of it.
type inquiry struct {
	*Ask
	questionKey
	on    []*oneroster.Resource // that the answer hangs on
	whole bool                  // all records in the order of the list
}

func (d *District) inquire(ask *Ask) (*inquiry, error) {
	text, on, whole, err := d.store.Asked(ask.Selection)
	r := rendering{ask.Route.Resource, ask.Base, ask.Veiled}
	hash := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%t\x00%s", r.resource.Plural, r.base, r.veiled, text))
	return &inquiry{ask, questionKey{r, hash}, on, whole}, err
}

// questions keep the answers of the questions that were asked last.
type questions struct {
	mu    sync.Mutex
	all   map[questionKey]*question
	clock int64
}

// A question has its latest answer.
type question struct {
	turn chan struct{} // of who looks for it: others wait for that
	mu   sync.Mutex
	last *reading
	used int64
}

// of finds a question.
func (q *questions) of(key questionKey) *question {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clock++
	found := q.all[key]
	if found == nil {
		if q.all == nil {
			q.all = map[questionKey]*question{}
		}
		found = &question{turn: make(chan struct{}, 1)}
		q.all[key] = found
		q.bound()
	}
	found.used = q.clock
	return found
}

// forget forgets the questions to a rendering.
func (q *questions) forget(r rendering) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for key := range q.all {
		if key.rendering == r {
			delete(q.all, key)
		}
	}
}

// bound forgets the questions that were asked longest ago.
func (q *questions) bound() {
	for {
		held, first, oldest := 0, int64(0), questionKey{}
		for key, one := range q.all {
			if r := one.answered(); r != nil {
				held += 4 * len(r.places)
			}
			if one.used > 0 && (first == 0 || one.used < first) {
				oldest, first = key, one.used
			}
		}
		if held <= questionsBytes && len(q.all) <= questionsKept || first == 0 {
			return
		}
		delete(q.all, oldest)
	}
}

func (q *question) answered() *reading {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

// answer is what a question selects, not earlier than a version; find looks for it, and is
// given the last answer.
func (q *question) answer(ctx context.Context, version int64,
	find func(last *reading) (*reading, error)) (*reading, error) {
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r := q.answered(); r != nil && r.version >= version {
		return r, nil
	}
	r, err := find(q.answered())
	if r != nil {
		q.mu.Lock()
		q.last = r
		q.mu.Unlock()
	}
	return r, err
}
