package oneroster_test

import (
	"encoding/json"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
)

// A body is read or refused; what is read is written as JSON that reads back
// the same.
func FuzzPutBody(f *testing.F) {
	for _, seed := range []string{
		`{"lineItem":{"title":"x","class":{"sourcedId":"c"},"resultValueMax":"1e2"}}`,
		`{"title":"\u0000"}`, `{"lineItem":null}`, `{"result":{}}`, `[]`, `{}x`,
		`{"lineItem":{"metadata":{"a":{"b":[1,{"c":null}]}},"gradingPeriod":"",
			"dueDate":"2026-01-01T00:00:00+99:00"}}`} {
		f.Add([]byte(seed))
	}
	r := oneroster.ByName("lineItem")
	f.Fuzz(func(t *testing.T, body []byte) {
		rec, _, err := oneroster.Decode(r, body)
		if err != nil {
			return
		}
		out := oneroster.NewWriter(r, "http://x", nil).Append(nil, rec.Values)
		if !json.Valid(out) {
			t.Fatalf("%s", out)
		}
		again, problems, err := oneroster.Decode(r, out)
		if err != nil || len(problems) > 0 {
			t.Fatalf("%s: %v %v", out, problems, err)
		}
		for i, v := range rec.Values {
			if again.Values[i] != v {
				t.Errorf("%s: %q came back as %q", r.Fields[i].Name, v, again.Values[i])
			}
		}
	})
}

// An object is read in its wrapper or bare, from what clients write; what cannot be
// read is told with its field ("!"), unless it is no object at all ("error").
func TestDecode(t *testing.T) {
	const sep, part = oneroster.ListSep, oneroster.PartSep
	for _, c := range []struct{ resource, body, want string }{
		// Wrapped and bare.
		{"category", `{"category":{"title":"x"}}`, "title=x"},
		{"category", `{"title":"x"}`, "title=x"},
		{"category", "\ufeff {\"title\" :\t\"x\" }\n", "title=x"},
		{"category", `{"other":1,"category":{"title":"x"}}`, "title=x"},
		{"category", `{"other":{},"title":"x"}`, "title=x"},
		{"category", `{"other":"x"}`, ""},
		{"category", `{"categories" : {"title":"x"}}`,
			`error wrapped in "categories"; wrap it in "category"`},
		{"category", `{"category":[{"title":"x"}]}`, `error "category": not a JSON object`},
		{"category", `{"category":null}`, `error "category": not a JSON object`},
		{"lineItem", `{"class":{"sourcedId":"c1"}}`, "class=c1"},
		{"category", `{"sourcedId":{"a":1}}`, ""},
		{"category", `{}`, ""},
		{"category", ``, "error the body is empty"},
		{"category", `[]`, "error not a JSON object"},
		{"category", `"x"`, "error not a JSON object"},
		{"category", `null`, "error not a JSON object"},
		{"category", `{"title":x}`, "error not JSON at byte 10"},
		{"category", `{"title":"x"} {}`, "error there is more text"},
		{"category", `{"title":"x"}}`, "error there is more text"},
		// A member stands once in its object.
		{"category", `{"title":"x","title":"x"}`, `error the member "title" comes twice`},
		{"category", `{"a":{"b":[{"c":1,"c":2}]}}`, `error the member "c" comes twice`},
		{"category", `{"a":{"x":1},"b":["x","x"],"c":2,"a":{}}`, `error the member "a" comes twice`},
		{"category", `{"title":"sourcedId","sourcedId":"title","x":["a","a"]}`,
			"sourcedId=title title=sourcedId"},
		{"category", `{"a":["x","x"],"title":"title","b":[{"a":1},{"a":2}],"c":{"title":1}}`, "title=title"},
		// UTF-8, and whole characters.
		{"category", "{\"title\":\"\xff\"}", "error the body is not UTF-8"},
		{"category", `{"title":"\ud83d\ude00"}`, "title=😀"},
		{"category", `{"title":"\\ud83d"}`, `title=\ud83d`},
		{"category", `{"title":"\u00e9\"\u00E9"}`, `title=é"é`},
		{"category", `{"title":"\ud83d"}`, `error half of a character at byte 10 (\ud83d)`},
		{"category", `{"title":"\ude00\ud83d"}`, `error half of a character at byte 10 (\ude00)`},
		{"category", `{"title":"\ud83d\u0041"}`, `error half of a character at byte 10 (\ud83d)`},
		{"category", `{"title":"\ud83d\nde00"}`, `error half of a character at byte 10`},
		{"category", `{"title":"\ud83dxude00"}`, `error half of a character at byte 10`},
		{"category", `{"title":"\ud83d\ude00\ud83d"}`, `error half of a character at byte 22 (\ud83d)`},
		{"category", `\ud83d`, `error half of a character at byte 0 (\ud83d)`},
		{"category", `{"title":"\ud8`, "error not"},
		{"category", `{"title":"\uzzzz"}`, "error not JSON"},
		// What is not stated, and what is the server's.
		{"category", `{"title":null,"metadata":null,"sourcedId":""}`, ""},
		{"category", `{"title":"{{title}}","sourcedId":" {{ id }} "}`, ""},
		{"category", `{"title":"a {{title}}"}`, "title=a {{title}}"},
		{"category", `{"status":"active","dateLastModified":"never"}`, ""},
		{"category", `{"status":"tobedeleted"}`, "!status"},
		{"category", `{"status":"gone"}`, "!status"},
		{"category", `{"Title":"x"}`, ""},
		{"org", `{"children":[{"sourcedId":"o2"}]}`, ""},
		// Texts, numbers, booleans and times.
		{"category", `{"sourcedId":"c\u0000"}`, ""},
		{"category", `{"sourcedId":7,"title":"x"}`, "sourcedId=7 title=x"},
		{"category", `{"title":"a\tb"}`, "title=a b"},
		{"category", `{"title":" "}`, "!title"},
		{"category", `{"title":"\u200b"}`, "!title"},
		{"category", `{"title":{"en":"x"}}`, "!title"},
		{"category", `{"title":["x"]}`, "!title"},
		{"lineItem", `{"description":" "}`, "description= "},
		{"lineItem", `{"resultValueMax":1e2,"resultValueMin":"0.0"}`, "resultValueMin=0 resultValueMax=100"},
		{"lineItem", `{"resultValueMax":"many","dueDate":"soon","title":"x"}`,
			"title=x !dueDate !resultValueMax"},
		{"lineItem", `{"dueDate":"2026-09-01"}`, "dueDate=2026-09-01T00:00:00.000Z"},
		{"user", `{"enabledUser":true}`, "enabledUser=true"},
		{"user", `{"enabledUser":"False"}`, "enabledUser=false"},
		{"user", `{"enabledUser":1}`, "!enabledUser"},
		// References.
		{"lineItem", `{"class":"c1"}`, "class=c1"},
		{"lineItem", `{"class":7}`, "class=7"},
		{"lineItem", `{"class":{"sourcedId":"c1","href":"x","type":"class"}}`, "class=c1"},
		{"lineItem", `{"class":""}`, ""},
		{"lineItem", `{"class":{}}`, ""},
		{"lineItem", `{"class":{"sourcedId":""}}`, ""},
		{"lineItem", `{"class":{"sourcedId":null,"type":"class"}}`, ""},
		{"lineItem", `{"class":{"type":"class"}}`, "!class"},
		{"lineItem", `{"class":{"sourcedId":7}}`, "!class"},
		{"lineItem", `{"class":[{"sourcedId":"c1"}]}`, "!class"},
		{"lineItem", `{"class":{"sourcedId":"c\u0000"}}`, "!class"},
		// Lists.
		{"user", `{"orgs":[{"sourcedId":"o1"},"o2",{},{"sourcedId":"o3"}]}`,
			"orgs=o1" + sep + "o2" + sep + "o3"},
		{"user", `{"orgs":{"sourcedId":"o1"}}`, "orgs=o1"},
		{"user", `{"orgs":[{"sourcedId":"o1"},{"type":"org"}]}`, "!orgs"},
		{"user", `{"orgs":[]}`, ""},
		{"user", `{"grades":["09",10]}`, "grades=09" + sep + "10"},
		{"user", `{"grades":"09"}`, "grades=09"},
		{"user", `{"grades":[["09"]]}`, "!grades"},
		{"user", `{"grades":["a\u0000"]}`, "!grades"},
		{"resource", `{"roles":["Student","pupil"]}`, "!roles"},
		{"user", `{"userIds":[{"type":"a","identifier":"1"},{"identifier":"2"}]}`,
			"userIds=a" + part + "1" + sep + part + "2"},
		{"user", `{"userIds":["1"]}`, "!userIds"},
		// Metadata.
		{"category", `{"metadata":{"b":1.50,"a":{"c":"x"}}}`, `metadata={"a":{"c":"x"},"b":1.50}`},
		{"category", `{"metadata":{}}`, ""},
		{"category", `{"metadata":"x"}`, "!metadata"},
	} {
		rec, problems, err := oneroster.Decode(oneroster.ByName(c.resource), []byte(c.body))
		var told []string
		for i, v := range rec.Values {
			if v != "" {
				told = append(told, rec.Resource.Fields[i].Name+"="+v)
			}
		}
		for _, p := range problems {
			told = append(told, "!"+p.Field)
		}
		got := strings.Join(told, " ")
		if wrong, refused := strings.CutPrefix(c.want, "error "); refused && err != nil {
			got = c.want
			if !strings.Contains(err.Error(), wrong) {
				got = "another error"
			}
		}
		if got != c.want || err != nil && !strings.HasPrefix(c.want, "error ") {
			t.Errorf("%s %s\n got %s (%v)\nwant %s", c.resource, c.body, got, err, c.want)
		}
	}
}
