package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Key seals what cannot be hashed: secrets of clients that sign, and the
// token signing key. It stays outside the database.
type Key struct {
	id   string
	aead cipher.AEAD
}

// NewKeyText makes the text of a new key: 32 random bytes in base64url.
func NewKeyText() string { return random(32) }

func random(n int) string {
	raw := make([]byte, n)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseKey reads the text of a key.
func ParseKey(text string) (*Key, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	if err != nil || len(raw) != 32 {
		return nil, errors.New("the sealing key is not 32 bytes in base64url: use the content of the key " +
			"file as it was written")
	}
	return newKey(raw)
}

func newKey(raw []byte) (*Key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("key id "), raw...))
	return &Key{id: hex.EncodeToString(sum[:4]), aead: aead}, nil
}

// LoadOrCreateKey reads the key file, and makes it (mode 0600) when it is
// missing. Of two processes that make it at once, both get the same key.
func LoadOrCreateKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if err = createKey(path); err == nil {
			text, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

// A KeyError says that the key file does not belong to the database: it is missing
// (Found is "") or holds another key. Nothing is sealed with another beside it.
type KeyError struct{ Path, Wanted, Found string }

func (e *KeyError) Error() string {
	what := "is missing"
	if e.Found != "" {
		what = "holds key " + e.Found
	}
	return fmt.Sprintf("the key file %s %s, and this database was sealed with key %s: put that file back, "+
		"or say where it is with --key-file. "+
		"Nothing is served without it. If it is lost, take the file away and run rollbook client rotate "+
		"--all: the OAuth 2.0 secrets that clients "+
		"have go on working for a while then, signatures (OAuth 1.0a) and all tokens do not", e.Path, what,
		e.Wanted)
}

// OpenKey reads the key file of a database; sealed is something that the database
// has sealed, "" when nothing is yet: only then a missing file is made.
func OpenKey(path, sealed string) (key *Key, made bool, err error) {
	wanted, _, _ := strings.Cut(sealed, ".")
	_, err = os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	if missing && sealed != "" {
		return nil, false, &KeyError{path, wanted, ""}
	}
	if key, err = LoadOrCreateKey(path); err != nil {
		return nil, false, err
	}
	if sealed != "" && key.id != wanted {
		return nil, false, &KeyError{path, wanted, key.id}
	}
	return key, missing, nil
}

// createKey writes a temporary file and links it into place, which fails when
// another process was first.
func createKey(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(NewKeyText() + "\n")
	if err = errors.Join(err, tmp.Chmod(0o600), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Link(tmp.Name(), path); errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// Seal encrypts a text; the result names the key.
func (k *Key) Seal(text string) string {
	return k.id + "." + base64.RawURLEncoding.EncodeToString(k.aead.Seal(nil, nil, []byte(text),
		[]byte(k.id)))
}

// Open undoes Seal.
func (k *Key) Open(sealed string) (string, error) {
	id, body, _ := strings.Cut(sealed, ".")
	if id != k.id {
		return "", fmt.Errorf("the database was sealed with key %s, and this is key %s: give the key file "+
			"that belongs to it (--key-file, ROLLBOOK_KEY_FILE)", id, k.id)
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return "", errors.New("a sealed text is damaged")
	}
	text, err := k.aead.Open(nil, nil, raw, []byte(k.id))
	if err != nil {
		return "", errors.New("a sealed text is damaged")
	}
	return string(text), nil
}

// NewSecret makes a client secret: 256 random bits, spelled so that no client
// mangles them in a header or a form. plain is shown once and kept nowhere;
// sign also seals it for OAuth 1.0a.
func NewSecret(now time.Time, key *Key, sign bool) (plain string, s Secret) {
	plain = random(32)
	s = Secret{ID: random(6), Hash: hashSecret(plain), Created: now}
	if sign {
		s.Sealed = key.Seal(plain)
	}
	return plain, s
}

// NewClientID makes an id for a client of this name.
func NewClientID(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteRune(c)
		}
	}
	return b.String() + "-" + hex.EncodeToString([]byte(random(6))[:4])
}

func hashSecret(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}

// Valid tells whether the secret may be used at a time.
func (s Secret) Valid(now time.Time) bool { return s.Expires.IsZero() || now.Before(s.Expires) }

// ended is what a log is told of a secret that is right and has expired.
func (s Secret) ended() string {
	return "the secret has expired: it was good until " + s.Expires.UTC().Format("2006-01-02 15:04") +
		" UTC; rollbook client rotate gives another"
}

// nobody stands in for an unknown client, so that it costs what a known one does.
var nobody = Client{Secrets: []Secret{{Hash: hashSecret("no such client")}}}

// checkSecret finds the secret of a client, valid or expired, that a text is; nil is none.
// Each is compared in constant time.
func checkSecret(c *Client, plain string) (found *Secret) {
	known := c != nil
	if !known {
		c = &nobody
	}
	got := []byte(hashSecret(plain))
	for i := range c.Secrets {
		s := &c.Secrets[i]
		if subtle.ConstantTimeCompare(got, []byte(s.Hash)) == 1 && known {
			found = s
		}
	}
	return found
}
