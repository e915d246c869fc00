package auth

import (
	"crypto/sha256"
	"strings"
	"sync"
	"time"
)

const (
	// guessesFree is how often credentials may be wrong in a row.
	guessesFree = 10
	// guessPause is the pause after the next wrong one; it doubles up to maxPause.
	guessPause = time.Second
	maxPause   = time.Minute
	// keptGuessers bounds how many are remembered.
	keptGuessers = 10000
)

// guesses slows who tries secrets: for one client, from one address. The client
// itself, from another address, is not held up.
type guesses struct {
	mu  sync.Mutex
	who map[[32]byte]guesser
}

type guesser struct {
	wrong int
	until time.Time
}

// guesserKey is a hash: an id is as long as a guesser likes.
func guesserKey(client, address string) [32]byte {
	if i := strings.LastIndexByte(address, ':'); i > 0 { // the port changes
		address = address[:i]
	}
	return sha256.Sum256([]byte(client + "\x00" + address))
}

// pause is how long a guesser has still to wait.
func (g *guesses) pause(client, address string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.who[guesserKey(client, address)].until.Sub(now))
}

// tell remembers whether credentials were right.
func (g *guesses) tell(client, address string, right bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := guesserKey(client, address)
	if right {
		delete(g.who, key)
		return
	}
	if g.who == nil {
		g.who = map[[32]byte]guesser{}
	}
	if len(g.who) >= keptGuessers {
		for k, x := range g.who {
			if now.Sub(x.until) > maxPause {
				delete(g.who, k)
			}
		}
		if len(g.who) >= keptGuessers {
			clear(g.who)
		}
	}
	x := g.who[key]
	x.wrong++
	x.until = now
	if over := x.wrong - guessesFree; over >= 0 {
		x.until = now.Add(min(guessPause<<min(over, 10), maxPause))
	}
	g.who[key] = x
}
