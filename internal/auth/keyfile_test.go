package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/auth"
)

// The key file is made once, for its owner alone; of many who make it at once all
// get the same key, and nothing is left beside it.
func TestKeyFileIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	keys := make([]*auth.Key, 16)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], err = auth.LoadOrCreateKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, k := range keys {
		if got, err := k.Open(keys[0].Seal("text")); got != "text" || err != nil {
			t.Errorf("key %d is another: %v", i, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left: %v", files)
	}
}

// Beside a database that is sealed no other key is taken, and none is made.
func TestKeyFileBelongsToTheDatabase(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "key"), filepath.Join(dir, "other")
	key, made, err := auth.OpenKey(path, "")
	if err != nil || !made {
		t.Fatalf("the first: %v %v", made, err)
	}
	if _, _, err := auth.OpenKey(other, ""); err != nil {
		t.Fatal(err)
	}
	sealed := key.Seal("text")
	id, _, _ := strings.Cut(sealed, ".")
	for _, c := range []struct {
		name, path, sealed string
		lost               bool
	}{
		{"its own", path, sealed, false}, {"nothing is sealed yet", path, "", false},
		{"another", other, sealed, true}, {"none", filepath.Join(dir, "none"), sealed, true},
	} {
		before, _ := os.ReadFile(c.path)
		got, made, err := auth.OpenKey(c.path, c.sealed)
		after, _ := os.ReadFile(c.path)
		var lost *auth.KeyError
		if errors.As(err, &lost) != c.lost || (got == nil) != c.lost || made ||
			string(after) != string(before) {
			t.Errorf("%s: made %v, file changed %v, %v", c.name, made, string(after) != string(before), err)
		}
		says := map[string]string{"none": " is missing,", "another": " holds key "}[c.name]
		if c.lost && (lost.Wanted != id || lost.Path != c.path || !strings.Contains(err.Error(), id) ||
			!strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.lost && err == nil {
			if text, err := got.Open(sealed); text != "text" {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// What was sealed opens with its key and unchanged; neither the text nor the key
// is in what is said otherwise.
func TestSeals(t *testing.T) {
	const plain = "correct-horse-battery-staple"
	text := auth.NewKeyText()
	key, err := auth.ParseKey(" " + text + "=\n")
	if err != nil {
		t.Fatal(err)
	}
	other, _ := auth.ParseKey(auth.NewKeyText())
	sealed := key.Seal(plain)
	if key.Seal(plain) == sealed || strings.Contains(sealed, plain) {
		t.Errorf("sealed: %s", sealed)
	}
	if got, err := key.Open(sealed); got != plain || err != nil {
		t.Errorf("%q %v", got, err)
	}
	id, body, _ := strings.Cut(sealed, ".")
	otherID, _, _ := strings.Cut(other.Seal(plain), ".")
	_, err = other.Open(sealed)
	if err == nil || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), otherID) {
		t.Errorf("another key does not say which is which: %v", err)
	}
	swapped := map[bool]string{true: "B", false: "A"}[body[0] == 'A'] + body[1:]
	for _, c := range []struct {
		name, sealed string
		with         *auth.Key
	}{
		{"another key", sealed, other}, {"changed", id + "." + swapped, key},
		{"cut", sealed[:len(sealed)-4], key},
		{"no base64", id + ".***" + body, key}, {"empty", "", key}, {"only its key", id + ".", key},
	} {
		got, err := c.with.Open(c.sealed)
		if got != "" || err == nil || leaks(err.Error(), plain, text, body) {
			t.Errorf("%s: %q %v", c.name, got, err)
		}
	}
	path := filepath.Join(t.TempDir(), "key")
	for _, damaged := range []string{text[:32], text[:42], text + "AA", strings.Replace(text, text[:1], "*",
		1), ""} {
		if _, err := auth.ParseKey(damaged); err == nil || leaks(err.Error(), text) {
			t.Errorf("the key %q: %v", damaged, err)
		}
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := auth.LoadOrCreateKey(path)
		if err == nil || leaks(err.Error(), text) || !strings.Contains(err.Error(), path) {
			t.Errorf("the file with %q: %v", damaged, err)
		}
	}
}

// The id of a client shows its name in letters that need no escape anywhere, and is
// new each time.
func TestClientIDs(t *testing.T) {
	for name, want := range map[string]string{
		"Grade Sync": "gradesync", "a-z_0-9": "a-z_0-9", "`a{z/0:9,@[": "az09", "ÉCOLE Ünïon": "colenon",
		"":       "",
		"azAZ09": "azaz09", "日本": "", "a/b?c#d%e&f=g+h": "abcdefgh",
	} {
		id, again := auth.NewClientID(name), auth.NewClientID(name)
		begin, end := id[:max(0, len(id)-9)], id[max(0, len(id)-9):]
		if begin != want || end[0] != '-' || strings.Trim(end[1:], "0123456789abcdef") != "" || id == again {
			t.Errorf("%q: %s, %s", name, id, again)
		}
	}
}

// leaks tells whether a text has eight signs in a row of one of the secrets.
func leaks(text string, secrets ...string) bool {
	for _, s := range secrets {
		for i := 0; i+8 <= len(s); i++ {
			if strings.Contains(text, s[i:i+8]) {
				return true
			}
		}
	}
	return false
}
