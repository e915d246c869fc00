package query_test

import (
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// The letters A to Z are lowered, and nothing else.
func TestFold(t *testing.T) {
	lower := func(c rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ", c) {
			return c + 'a' - 'A'
		}
		return c
	}
	texts := []string{"", "aB", "Éa", "ÉA", "İ", "\u212a", "abc"}
	for c := range rune(0x80) {
		texts = append(texts, string(c), "x"+string(c), "X"+string(c))
	}
	for _, text := range texts {
		if got, want := query.Fold(text), strings.Map(lower, text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := query.Fold("A\xffB"); got != "a\xffb" {
		t.Errorf("%q", got)
	}
}

// What is no percent escape stands as it is, and escapes beside it are read.
func TestBrokenEscapes(t *testing.T) {
	pieces := map[string]string{"x": "x", "é": "é", "+": " ", "%20": " ", "%2B": "+", "%2b": "+", "%25": "%",
		"%41": "a", "%c3%a9": "é", "%": "%", "%z": "%z", "%zz": "%zz", "%4z": "%4z", "%-": "%-", "1": "1"}
	all := slices.Sorted(maps.Keys(pieces))
	rng := rand.New(rand.NewPCG(1, 1))
	user := oneroster.ByName("user")
	for range 3000 {
		raw, want := "", ""
		for range rng.IntN(6) + 1 {
			piece := pick(rng, all)
			if strings.HasSuffix(raw, "%") && piece == "1" {
				continue // the beginning of an escape
			}
			raw, want = raw+piece, want+pieces[piece]
		}
		q, err := query.Parse(user, "filter=familyName=%27"+raw+"%27")
		if err != nil || q.Filter.Text != want {
			t.Errorf("%s is read as %q, want %q (%v)", raw, q.Filter.Text, want, err)
		}
		if plain, err := url.QueryUnescape(raw); err == nil && query.Fold(plain) != want {
			t.Errorf("this test is wrong of %s", raw)
		}
	}
	for raw, want := range map[string]string{"familyName='x%": "", "familyName=x%": "x%",
		"familyName=x%4": "x%4", "familyName=%x+y": "%x y"} {
		if q, err := query.Parse(user, "filter="+raw); q.Filter.Text != want || (err != nil) != (want == "") {
			t.Errorf("%s is read as %q: %v", raw, q.Filter.Text, err)
		}
	}
}

// A condition on the type of a reference is one on whether the reference is there:
// its type is always the same.
func TestTypeOfAReference(t *testing.T) {
	enrollment := oneroster.ByName("enrollment")
	holds := map[string]func(typ, want string) bool{
		"=":  func(typ, want string) bool { return typ == want },
		"!=": func(typ, want string) bool { return typ != want },
		"<":  func(typ, want string) bool { return typ != "" && typ < want },
		"<=": func(typ, want string) bool { return typ != "" && typ <= want },
		">":  func(typ, want string) bool { return typ != "" && typ > want },
		">=": func(typ, want string) bool { return typ != "" && typ >= want },
		"~":  func(typ, want string) bool { return typ != "" && strings.Contains(typ, want) },
	}
	for predicate, holds := range holds {
		for _, want := range []string{"class", "CLASS", "clas", "classes", "a", "z", "org", ""} {
			e, err := query.ParseFilter(enrollment, "class.type"+predicate+"'"+want+"'")
			if err != nil {
				t.Error(err)
				continue
			}
			for class, typ := range map[string]string{"c1": "class", "": ""} {
				rec := oneroster.NewRecord(enrollment)
				rec.Set("class", class)
				if got := query.Match(e, rec); got != holds(typ, strings.ToLower(want)) {
					t.Errorf("class.type%s'%s' of the class %q: %v", predicate, want, class, got)
				}
			}
		}
	}
}

// Parts of userIds and members of metadata are looked at by themselves.
func TestMatchParts(t *testing.T) {
	const sep, part = oneroster.ListSep, oneroster.PartSep
	rec := oneroster.NewRecord(oneroster.ByName("user"))
	rec.Set("userIds", "Fed"+part+"ab1"+sep+"State"+part+"9")
	rec.Set("metadata", `{"a":"X1","b":{"c":"deep","n":7},"e":""}`)
	rec.Set("grades", "09"+sep+"10")
	for filter, want := range map[string]bool{
		"userIds.type='fed'": true, "userIds.type='ab1'": false, "userIds.type~'tat'": true,
		"userIds.type='Sta'": false, "userIds.identifier='AB1'": true, "userIds.identifier='fed'": false,
		"userIds='9'": true, "userIds='state'": false, "userIds.identifier~'b'": true,
		"userIds='ab1,9'": true, "userIds='ab1,8'": false, "metadata.a='x1'": true, "metadata.a~'1'": true,
		"metadata.a='deep'": false, "metadata.b.c='deep'": true, "metadata.b.n='7'": true,
		"metadata.b='deep'": false, "metadata.nosuch=''": true, "metadata.nosuch='x'": false,
		"metadata.nosuch!='x'": true, "metadata.nosuch~'x'": false, "metadata.nosuch>'a'": false,
		"metadata.e=''": true, "metadata.e~'x'": false, "metadata.a>'x0'": true, "metadata.a>='x1'": true,
		"metadata.a<'x1'": false, "metadata.a<='x1'": true, "grades='10'": true, "grades='1'": false,
		"grades~'1'": true, "grades='09,11'": false, "grades=''": false, "familyName=''": true,
		"familyName!=''": false, "familyName<'z'": false, "familyName>'a'": false, "givenName~''": true,
	} {
		e, err := query.ParseFilter(rec.Resource, filter)
		if err != nil {
			t.Error(err)
		} else if got := query.Match(e, rec); got != want {
			t.Errorf("%s, read as %s: %v", filter, e, got)
		}
	}
}

// What a filter looks at is told wherever it stands in it.
func TestMentions(t *testing.T) {
	for _, c := range []struct{ filter, fields, keys string }{
		{"", "", ""},
		{"role='student'", "role", ""},
		{"role!='student'", "role", ""},
		{"role='student' AND familyName!='x' OR grades~'1,2'", "role familyName grades", ""},
		{"metadata.a='x'", "metadata", "a"},
		{"metadata.a='x' OR metadata.b.c!='y' AND userIds.type='z'", "metadata userIds", "a b.c"},
		{"userIds.type='a'", "userIds", ""},
		{"status='norecords'", "", ""},
	} {
		user := oneroster.ByName("user")
		e, err := query.ParseFilter(user, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range user.Fields {
			want := strings.Contains(" "+c.fields+" ", " "+f.Name+" ")
			if got := e.Mentions(f.Name); got != want {
				t.Errorf("%s mentions %s: %v", c.filter, f.Name, got)
			}
		}
		for _, key := range []string{"a", "b", "c", "b.c", "type", ""} {
			want := key != "" && strings.Contains(" "+c.keys+" ", " "+key+" ")
			if got := e.MentionsKey(key); got != want {
				t.Errorf("%s mentions metadata.%s: %v", c.filter, key, got)
			}
		}
	}
}

// A refusal says what is wrong and which words it is about, of which it quotes up
// to 60 bytes and no half of a letter.
func TestRefusalsSayWhy(t *testing.T) {
	x60, é := strings.Repeat("x", 60), strings.Repeat("é", 30)
	for filter, want := range map[string]string{
		"status":                     `no predicate (= != > >= < <= ~) after "status"`,
		"='active'":                  `a field name was expected before "='active'"`,
		"status!'active'":            `"!'active'" is not a predicate; use =`,
		"status=":                    "ends where a value was expected",
		"nosuch='x'":                 `user has no field "nosuch"; it has sourcedId, status, `,
		"(status='active')":          "parentheses are not part of the filter language",
		"grades>'09'":                "grades is a list; compare it with =, != or ~, not >",
		"role='a b'":                 `role cannot have the value "a b"`,
		"dateLastModified>'1'":       `dateLastModified: "1" is not a date`,
		x60 + "='x'":                 `has no field "` + x60 + `"`,
		x60 + "x='x'":                `has no field "` + x60 + `…"`,
		"role='" + é + "'":           "",
		"role='" + é + " é'":         `the value "` + é + `…"`,
		"role='x" + é + " é'":        `the value "x` + strings.TrimSuffix(é, "é") + `…"`,
		"familyName='" + x60 + "x":   `where the value "'` + x60[1:] + `…" ends`,
		strings.Repeat("x", 4097):    "filter is 4097 bytes long; at most 4096 are read",
		"orgs.href='x'":              "a href is not compared; use orgs.sourcedId",
		"status='active' AND role~(": `the value "("`,
	} {
		e, err := query.ParseFilter(oneroster.ByName("user"), filter)
		switch {
		case want == "":
			if err != nil {
				t.Errorf("%s: %v", filter, err)
			}
		case err == nil:
			t.Errorf("%s is read as %s", filter, e)
		case !strings.Contains(err.Error(), want):
			t.Errorf("%s\n got %v\nwant %s", filter, err, want)
		}
	}
}

// A filter is told to people as they would write it.
func TestWritten(t *testing.T) {
	users := oneroster.ByName("user")
	for filter, want := range map[string]string{
		"status='active'": "status='active'", "role!='student'": "role!='student'",
		"dateLastModified>='2026-01-02' AND " +
			"status='active'": "dateLastModified>='2026-01-02T00:00:00.000Z' AND status='active'",
		"givenName~'an' OR familyName='x'": "familyName='x' OR givenName~'an'",
		"metadata.house='red'":             "metadata.house='red'",
	} {
		e, err := query.ParseFilter(users, filter)
		if err != nil || e.Written() != want {
			t.Errorf("%s: %s %v", filter, e.Written(), err)
		}
	}
	if got := (query.Expr{}).Written(); got != "everything" {
		t.Error(got)
	}
}
