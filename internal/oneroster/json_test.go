package oneroster_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
)

// A text comes out of its JSON as it went in, and what ends a line or is not seen
// stands there escaped; bytes that are not UTF-8 become U+FFFD, as encoding/json
// has it.
func TestTextsInJSON(t *testing.T) {
	texts := []string{"", "a", `"`, `\`, "</script>&", "\u2028", "\u2029", "a\u2028b\u2029c", "\xff", "a\xe2\x80b", "é😀", "\ufffd", "\x7f"}
	for c := range 0x20 {
		texts = append(texts, "a"+string(rune(c))+"b")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		text := ""
		for n := rng.IntN(5); n >= 0; n-- {
			text += texts[rng.IntN(len(texts))]
		}
		texts = append(texts, text)
	}
	r := oneroster.ByName("category")
	w := oneroster.NewWriter(r, "http://x", []string{"title"})
	for _, text := range texts {
		rec := oneroster.NewRecord(r)
		rec.Set("title", text)
		out := string(w.Append(nil, rec.Values))
		var got struct{ Title string }
		err := json.Unmarshal([]byte(out), &got)
		if err != nil || got.Title != asJSON(text) {
			t.Errorf("%q is written %s: %v", text, out, err)
		}
		if strings.ContainsFunc(out, func(c rune) bool { return c < 0x20 || c == '\u2028' || c == '\u2029' }) {
			t.Errorf("%q is written %q", text, out)
		}
	}
}

// asJSON is a text after it went through encoding/json.
func asJSON(text string) (back string) {
	out, _ := json.Marshal(text)
	_ = json.Unmarshal(out, &back)
	return back
}

// A sourcedId is one segment of a path, which a client does not resolve away.
func TestEscapeID(t *testing.T) {
	for _, id := range []string{"a-1_~.b", ".", "..", "...", "./..", "a/b", "%", "%2E", "a?b", "a#b", "a b", "a+b", "a;b", "a:b", `"<>\`, "é", "\u2028"} {
		from, err := url.Parse("http://x/y/z/")
		if err != nil {
			t.Fatal(err)
		}
		to, err := from.Parse("http://x/y/z/" + oneroster.EscapeID(id))
		if err != nil {
			t.Errorf("%q: %v", id, err)
			continue
		}
		segment := strings.TrimPrefix(to.EscapedPath(), "/y/z/")
		if back, err := url.PathUnescape(segment); err != nil || back != id || strings.ContainsAny(segment, "/?#") || to.RawQuery+to.Fragment != "" {
			t.Errorf("%q: %s is %q", id, to, back)
		}
	}
}
