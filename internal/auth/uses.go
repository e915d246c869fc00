package auth

import (
	"context"
	"sync"
	"time"
)

// A Use of a secret: a token that was got with it, or a request that was signed.
type Use struct {
	At   time.Time
	From string // address
}

// uses are the last ones of secrets, by id, that the book does not have yet.
type uses struct {
	mu   sync.Mutex
	last map[string]Use
}

func (u *uses) note(secret string, use Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[string]Use{}
	}
	if !use.At.Before(u.last[secret].At) {
		u.last[secret] = use
	}
}

// KeepUses lets the book have what secrets were used since it was called last: one write for all,
// and none where there is nothing new.
func (g *Gate) KeepUses(ctx context.Context) error {
	g.uses.mu.Lock()
	last := g.uses.last
	g.uses.last = nil
	g.uses.mu.Unlock()
	if len(last) == 0 {
		return nil
	}
	err := g.book.KeepUses(ctx, last)
	if err != nil { // the next call brings it
		for secret, use := range last {
			g.uses.note(secret, use)
		}
	}
	return err
}
