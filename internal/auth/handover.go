package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"time"
)

// A Handover is a link by which a client's secret is handed over: who opens it first is shown the
// secret, and nobody after. The book has nothing that shows the secret without the token in the
// link, and the token is kept nowhere.
type Handover struct {
	Client  string
	Hash    string // of the token
	Sealed  string // the secret; "" when it was opened, or has ended
	Created time.Time
	Expires time.Time
	Opened  time.Time // zero: it was not
	From    string    // address that it was opened from
}

// HandoverLife is how long a link waits to be opened.
const HandoverLife = 7 * 24 * time.Hour

// NewHandover puts the secret of a client behind a link.
func NewHandover(client, secret string, now time.Time) (token string, h Handover) {
	token = random(32)
	return token, Handover{Client: client, Hash: HandoverHash(token), Sealed: handoverKey(token).Seal(secret),
		Created: now, Expires: now.Add(HandoverLife)}
}

// HandoverHash is what a link is known by.
func HandoverHash(token string) string { return hashSecret(token) }

// Ended tells whether nobody can open it any more, though nobody has.
func (h Handover) Ended(now time.Time) bool {
	return h.Opened.IsZero() && (h.Sealed == "" || !now.Before(h.Expires))
}

// Reveal is the secret behind a link.
func Reveal(token, sealed string) (secret string, err error) {
	secret, err = handoverKey(token).Open(sealed)
	if err != nil {
		return "", errors.New("what lies behind the link is damaged")
	}
	return secret, nil
}

// handoverKey seals what lies behind a link. The token is 256 random bits, from which nothing can be
// told by its hash.
func handoverKey(token string) *Key {
	raw, err := hkdf.Key(sha256.New, []byte(token), nil, "rollbook handover", 32)
	if err != nil {
		panic(err) // only the length of the key can be wrong
	}
	key, err := newKey(raw)
	if err != nil {
		panic(err)
	}
	return key
}
