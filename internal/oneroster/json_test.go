package oneroster_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"rollbook/internal/oneroster"
)

// A text is written as encoding/json writes it without HTML escapes: it comes out as
// it went in, what ends a line or is not seen is escaped, bytes that are not UTF-8
// become U+FFFD.
func TestTextsInJSON(t *testing.T) {
	texts := []string{"", "a", `"`, `\`, "</script>&", "\u2028", "\u2029", "a\u2028b\u2029c", "\xff",
		"a\xe2\x80b", "é😀", "\ufffd", "\x7f"}
	for c := range utf8.RuneSelf {
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
		if want := `{"title":` + asJSON(t, text) + `}`; text != "" && out != want {
			t.Errorf("%q is written %s, want %s", text, out, want)
		}
	}
}

// asJSON is a text as encoding/json writes it, which has short names for two signs
// that Rollbook writes by their number.
func asJSON(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		t.Fatal(err)
	}
	byNumber := strings.NewReplacer(`\\`, `\\`, `\b`, `\u0008`, `\f`, `\u000c`)
	return byNumber.Replace(strings.TrimSuffix(out.String(), "\n"))
}

// A sourcedId is one segment of a path, which a client does not resolve away.
func TestEscapeID(t *testing.T) {
	for _, id := range []string{"a-1_~.b", ".", "..", "...", "./..", "a/b", "%", "%2E", "a?b", "a#b", "a b",
		"a+b", "a;b", "a:b", `"<>\`, "é", "\u2028"} {
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
		back, err := url.PathUnescape(segment)
		if err != nil || back != id || strings.ContainsAny(segment, "/?#") || to.RawQuery+to.Fragment != "" {
			t.Errorf("%q: %s is %q", id, to, back)
		}
	}
}

// One object of each shape, by what is kept of it: its references with an absolute
// URL of one segment, its lists as arrays, numbers as numbers, booleans as texts, and
// nothing that is absent but for the score of a result.
func TestObjectsInJSON(t *testing.T) {
	const sep, part = oneroster.ListSep, oneroster.PartSep
	for _, c := range []struct{ resource, given, keep, want string }{
		{"category", "", "", `{}`},
		{"category", "sourcedId=c1;title=Tests", "", `{"sourcedId":"c1","title":"Tests"}`},
		{"category", "sourcedId=c1;title=Tests", "title", `{"title":"Tests"}`},
		{"category", "title=Tests", "sourcedId", `{}`},
		{"category", `metadata={"a":1}`, "metadata", `{"metadata":{"a":1}}`},
		{"user", "", "", `{"userIds":[],"agents":[],"orgs":[],"grades":[]}`},
		{"user", "enabledUser=true", "enabledUser", `{"enabledUser":"true"}`},
		{"user", "grades=09" + sep + "10", "grades", `{"grades":["09","10"]}`},
		{"user", "userIds=a" + part + "1" + sep + "b" + part, "userIds",
			`{"userIds":[{"type":"a","identifier":"1"},{"type":"b","identifier":""}]}`},
		{"user", "orgs=s 1" + sep + "s2", "orgs", `{"orgs":[
			{"href":"http://h/v1p1/orgs/s%201","sourcedId":"s 1","type":"org"},
			{"href":"http://h/v1p1/orgs/s2","sourcedId":"s2","type":"org"}]}`},
		{"enrollment", "class=..", "class",
			`{"class":{"href":"http://h/v1p1/classes/%2E%2E","sourcedId":"..","type":"class"}}`},
		{"result", "", "", `{"score":0}`},
		{"result", "score=9.5", "score", `{"score":9.5}`},
		{"result", "comment=9.5", "score,comment", `{"score":0,"comment":"9.5"}`},
	} {
		rec := oneroster.NewRecord(oneroster.ByName(c.resource))
		for _, pair := range strings.Split(c.given, ";") {
			if name, value, given := strings.Cut(pair, "="); given {
				rec.Set(name, value)
			}
		}
		var keep []string
		if c.keep != "" {
			keep = strings.Split(c.keep, ",")
		}
		out := oneroster.NewWriter(rec.Resource, "http://h/v1p1", keep).Append([]byte("before "), rec.Values)
		if want := strings.NewReplacer("\n", "", "\t", "").Replace(c.want); string(out) != "before "+want {
			t.Errorf("%s of %s\n got %s\nwant %s", c.keep, c.given, out, want)
		}
	}
	none := oneroster.NewWriter(oneroster.ByName("user"), "http://h", []string{})
	if out := none.Append(nil, filled("user").Values); string(out) != "{}" {
		t.Errorf("of no field: %s", out)
	}
}

// Metadata is kept in one form: compact, its keys in order, its numbers as they were
// written, and no control character in it. "!" stands for a refusal.
func TestCanonicalMetadata(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{`{}`, ""},
		{` { } `, ""},
		{`null`, ""},
		{`{"b": 1, "a": {"d": [1, {"f": null}], "c": true}}`, `{"a":{"c":true,"d":[1,{"f":null}]},"b":1}`},
		{`{"n": 1.50, "m": 12345678901234567890, "e": 1E2}`, `{"e":1E2,"m":12345678901234567890,"n":1.50}`},
		{`{"a":"<&>\u2028"}`, `{"a":"<&>\u2028"}`},
		{`{"a":"x\r\ny\u0000z","b":["\t"]}`, `{"a":"x y z","b":[" "]}`},
		{`{"a\nb":"x"}`, `{"a b":"x"}`},
		{`{"a":{"b\u0001":1}}`, `{"a":{"b ":1}}`},
		{`[]`, "!"},
		{`"a"`, "!"},
		{`7`, "!"},
		{`{"a":}`, "!"},
		{``, "!"},
	} {
		got, err := oneroster.CanonicalMetadata([]byte(c.raw))
		if err != nil {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%s is %s, want %s (%v)", c.raw, got, c.want, err)
		}
		again, err := oneroster.CanonicalMetadata([]byte(got))
		if got != "!" && got != "" && (again != got || err != nil) {
			t.Errorf("%s again is %s: %v", got, again, err)
		}
	}
}

// Filters see metadata flat, by dotted keys in order.
func TestFlattenMetadata(t *testing.T) {
	for _, c := range []struct{ metadata, want string }{
		{``, ""},
		{`{"b":"x","a":"y","B":"z"}`, `B=z a=y b=x `},
		{`{"a":{"b":{"c":"x"},"d":"y"}}`, `a.b.c=x a.d=y `},
		{`{"a":null,"b":1.50,"c":true,"d":[1,"x"],"e":{}}`, `a= b=1.50 c=true d=[1,"x"] `},
		{`{"a":{"b":"inner"},"a.b":"outer"}`, `a.b=inner `},
		{`{"a":"x\ny\u007f","b\u0001":"z"}`, `a=x y  b =z `},
		{`not metadata`, ""},
	} {
		got := ""
		for _, p := range oneroster.FlattenMetadata(c.metadata) {
			got += p.Key + "=" + p.Text + " "
		}
		if got != c.want {
			t.Errorf("%s is %s, want %s", c.metadata, got, c.want)
		}
	}
}

// A key is taken out wherever its dotted name leads, and nothing else is.
func TestWithoutKey(t *testing.T) {
	for _, c := range []struct{ metadata, key, want string }{
		{`{"a":1,"b":2.50}`, "a", `{"b":2.50}`},
		{`{"a":1}`, "a", ``},
		{`{"a":1}`, "b", `{"a":1}`},
		{`{"a.b":1,"c":2}`, "a.b", `{"c":2}`},
		{`{"a":{"b":1,"c":2},"b":3}`, "a.b", `{"a":{"c":2},"b":3}`},
		{`{"a":{"b":{"c":1,"d":2}},"a.b":{"c":3,"e":4}}`, "a.b.c", `{"a":{"b":{"d":2}},"a.b":{"e":4}}`},
		{`{"ab":{"c":1},"a":"b"}`, "a.c", `{"a":"b","ab":{"c":1}}`},
		{``, "a", ``},
	} {
		if got := oneroster.WithoutKey(c.metadata, c.key); got != c.want {
			t.Errorf("%s without %s is %s, want %s", c.metadata, c.key, got, c.want)
		}
	}
}
