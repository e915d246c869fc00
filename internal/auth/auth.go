// Package auth decides who a caller is and which scopes the caller holds: the
// OAuth 2.0 token endpoint (client credentials, RFC 6749), the bearer check,
// and OAuth 1.0a signatures (RFC 5849). It makes, hashes and seals secrets. It
// knows neither SQL nor the OneRoster tables; scopes are plain words to it.
package auth

import (
	"context"
	"net/netip"
	"time"
)

// A Client is a program that may call the service.
type Client struct {
	ID      string
	Name    string   // what people call it
	Scopes  []string // short names; what the client may ask for at most
	OAuth1  bool     // may also sign with OAuth 1.0a
	Created time.Time
	// Generation of its tokens: those of an earlier one have ended.
	Generation int
	Secrets    []Secret // those not expired are all valid
	// Allowed are the addresses that it may come from; none means any.
	Allowed []netip.Prefix
	Budget  Budget
}

// Working is how many of its secrets work, and when the next of them ends; zero where none does.
func (c *Client) Working(now time.Time) (n int, next time.Time) {
	for _, s := range c.Secrets {
		if !s.Expires.IsZero() && !now.Before(s.Expires) {
			continue
		}
		n++
		if next.IsZero() || !s.Expires.IsZero() && s.Expires.Before(next) {
			next = s.Expires
		}
	}
	return n, next
}

// A Secret is a client secret at rest: its SHA-256 for OAuth 2.0, and, only for
// clients that sign, the sealed text that OAuth 1.0a needs.
type Secret struct {
	ID      string // for people and for rotation; says nothing of the secret
	Hash    string // hex of SHA-256
	Sealed  string // base64 of the sealed secret; "" without OAuth 1.0a
	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // last; zero: never
	From    string    // address that it was last used from; "?": it may have been used before that was kept
}

// Unused tells whether nobody has ever used the secret.
func (s Secret) Unused() bool { return s.Used.IsZero() && s.From == "" }

// Book is what auth reads and keeps; the store satisfies it.
type Book interface {
	// Client returns nil and no error when the id is unknown.
	Client(ctx context.Context, id string) (*Client, error)
	// Version rises whenever what the book says of clients changes.
	Version(ctx context.Context) (int64, error)
	// SigningKey returns the sealed token signing key. Where there is none yet,
	// the one that make returns is kept, unless another process was first.
	SigningKey(ctx context.Context, make func() (string, error)) (string, error)
	// UseNonce tells whether this client uses the nonce with this timestamp for
	// the first time, and remembers it until expires.
	UseNonce(ctx context.Context, client, nonce string, at, expires time.Time) (fresh bool, err error)
	// KeepUses keeps when secrets, by id, were last used; what is known of later stays.
	KeepUses(ctx context.Context, uses map[string]Use) error
}
