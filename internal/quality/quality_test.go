package quality_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/sandbox"
	"rollbook/internal/wire"
)

var today = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// A district in which nothing is wrong; <same> stands for what every object has, <class c1> for a reference
// to it.
const clean = `{
"org":[
	{"sourcedId":"d1",<same>,"name":"District","type":"district","identifier":"D","children":[<org s1>]},
	{"sourcedId":"s1",<same>,"name":"School","type":"school","identifier":"S","parent":<org d1>}],
"academicSession":[
	{"sourcedId":"y1",<same>,"title":"Year","type":"schoolYear","schoolYear":"2027",
		"startDate":"2026-08-01","endDate":"2027-07-31"},
	{"sourcedId":"m1",<same>,"title":"Autumn","type":"term","schoolYear":"2027","parent":<academicSession y1>,
		"startDate":"2026-08-01","endDate":"2027-01-31"}],
"course":[{"sourcedId":"k1",<same>,"title":"Maths","org":<org s1>}],
"class":[{"sourcedId":"c1",<same>,"title":"Maths 1","school":<org s1>,"course":<course k1>,
	"terms":[<academicSession m1>],"periods":["1"]}],
"user":[
	{"sourcedId":"t1",<same>,"username":"tom@x.example","givenName":"Tom","familyName":"Tall",
		"identifier":"1","role":"teacher","email":"tom@x.example","orgs":[<org s1>]},
	{"sourcedId":"p1",<same>,"username":"ann@x.example","givenName":"Ann","familyName":"O'Brien",
		"identifier":"2","role":"student","email":"ann@x.example","orgs":[<org s1>],"grades":["9"],
		"agents":[<user g1>],"metadata":{"microsoft.userFlags":"ELL,IEP"}},
	{"sourcedId":"p2",<same>,"username":"bob@x.example","givenName":"Bob","familyName":"Berg",
		"identifier":"3","role":"student","email":"bob@x.example","orgs":[<org s1>],"grades":["09"]},
	{"sourcedId":"g1",<same>,"username":"gus@y.example","givenName":"Gus","familyName":"Gray",
		"identifier":"4","role":"guardian","email":"gus@y.example","orgs":[<org s1>],
		"agents":[<user p1>],"phone":"+12065550100"}],
"demographics":[
	{"sourcedId":"p1",<same>,"birthDate":"2012-01-31","asian":"false"},
	{"sourcedId":"p2",<same>,"birthDate":"2012-02-28"}],
"enrollment":[
	{"sourcedId":"e1",<same>,"role":"teacher","primary":"true",<taught>,"user":<user t1>},
	{"sourcedId":"e2",<same>,"role":"student",<taught>,"user":<user p1>},
	{"sourcedId":"e3",<same>,"role":"student",<taught>,"user":<user p2>}]}`

var reference = regexp.MustCompile(`<(\w+) (\w+)>`)

func district(t *testing.T) map[string][]wire.Object {
	t.Helper()
	text := strings.NewReplacer("<same>", `"status":"active","dateLastModified":"2026-11-01T08:00:00.000Z"`,
		"<taught>", `"class":<class c1>,"school":<org s1>,"beginDate":"2026-08-01","endDate":"2027-01-31"`,
	).Replace(clean)
	var out map[string][]wire.Object
	if err := json.Unmarshal([]byte(reference.ReplaceAllString(text, `{"sourcedId":"$2","type":"$1"}`)),
		&out); err != nil {
		t.Fatal(err)
	}
	return out
}

var strict = quality.Options{Today: today, MatchStaff: "email", MatchStudents: "email", CreateUsers: true,
	Contacts: true, Demographics: true}

// judged returns what was found, as "rule severity resource id", and how much was kept.
func judged(t *testing.T, opt quality.Options, d map[string][]wire.Object) ([]string, quality.Outcome) {
	t.Helper()
	var found []string
	out, err := quality.Judge(context.Background(), opt,
		func(resource string, yield func(wire.Object) error) error {
			for _, o := range d[resource] {
				if err := yield(o); err != nil {
					return err
				}
			}
			return nil
		}, func(f quality.Finding) {
			if f.Text == "" {
				t.Errorf("%s says nothing", f.Rule.ID)
			}
			line := fmt.Sprintf("%s %v %s %s", f.Rule.ID, f.Rule.Severity, f.Resource, f.SourcedID)
			if !slices.Contains(found, line) {
				found = append(found, line)
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found, out
}

// One thing is broken; what it brings about is named to the last finding.
func TestRules(t *testing.T) {
	tests := []struct {
		at string // resource, sourcedId, member; "" breaks nothing
		// JSON; "" takes the member, or the object, away; +… adds the object with these members changed.
		value string
		want  string // separated by ", "
	}{
		{"", "", ""},
		{"course k1 sourcedId", `7`, "SDS-G01 error course , SDS-C04 warning class c1"},
		{"course k1 sourcedId", `""`, "SDS-G01 error course , SDS-C04 warning class c1"},
		{"course k1", `+{"title":"Other"}`, "SDS-G01 error course k1"},
		{"demographics p1 status", `"inactive"`, "SDS-G02 error demographics p1"},
		{"demographics p1 status", `"Active"`, ""},
		{"demographics p1 dateLastModified", `"2026-11-01T08:00:00Z"`, "SDS-G03 advice demographics p1"},
		{"demographics p1 dateLastModified", `"2026-11-01T08:00:00.1234567+01:00"`,
			"SDS-G03 advice demographics p1"},
		{"demographics p1 dateLastModified", `"2027-11-01T08:00:00Z"`,
			"SDS-G03 advice demographics p1, SDS-G04 advice demographics p1"},
		{"demographics p1 dateLastModified", `"2026-11-01"`, "SDS-G03 error demographics p1"},
		{"demographics p1 dateLastModified", ``, "SDS-G03 error demographics p1"},
		{"demographics p1 dateLastModified", `"2026-13-01T08:00:00.000Z"`, "SDS-G03 error demographics p1"},
		{"user p2 dateLastModified", `"2027-11-01T08:00:00.000Z"`, "SDS-G04 advice user p2"},
		{"user p2 middleName", `null`, "SDS-G05 warning user p2"},
		{"user p2 metadata", `{"x":null}`, "SDS-G05 warning user p2"},
		{"course k1 org", `{"sourcedId":"gone","type":"org"}`,
			"SDS-G06 error course k1, SDS-C04 warning class c1"},
		{"course k1 schoolYear", `{"sourcedId":"gone","type":"academicSession"}`,
			"SDS-G06 warning course k1"},
		{"user p2 orgs", `[{"sourcedId":"s1","type":"org"},{"sourcedId":"gone","type":"org"}]`,
			"SDS-G06 warning user p2"},
		{"user p2 agents", `[{"sourcedId":"gone","type":"user"}]`, "SDS-G06 warning user p2"},
		{"user p2 agents", `"g1"`, "SDS-G06 warning user p2"},
		{"academicSession x1", `+{"schoolYear":2027}`, "SDS-S01 error academicSession x1"},
		{"academicSession x1", `+{"schoolYear":"26/27"}`, "SDS-S01 error academicSession x1"},
		{"academicSession x1", `+{"type":"quarter"}`, "SDS-S01 error academicSession x1"},
		{"academicSession x1", `+{"startDate":"2026-08-01T00:00:00Z"}`, "SDS-S01 error academicSession x1"},
		{"academicSession x1", `+{"title":null}`,
			"SDS-G05 warning academicSession x1, SDS-S01 error academicSession x1"},
		{"academicSession x1", `+{"startDate":"2027-01-31"}`, "SDS-S02 error academicSession x1"},
		{"academicSession x1", `+{"startDate":"2026-07-01"}`, "SDS-S02 error academicSession x1"},
		{"academicSession x1", `+{"type":"schoolYear","endDate":"2027-02-01"}`,
			"SDS-S02 error academicSession x1"},
		{"academicSession x1", `+{"parent":{"sourcedId":"x1","type":"academicSession"}}`,
			"SDS-S02 error academicSession x1"},
		{"academicSession x1", `+{"parent":{}}`,
			"SDS-G06 warning academicSession x1, SDS-S02 warning academicSession x1"},
		{"academicSession x1", `+{"schoolYear":"2026"}`, "SDS-S03 error academicSession x1"},
		{"academicSession y1 startDate", `"2025-08-01"`, "SDS-S03 error academicSession y1"},
		{"academicSession y1 endDate", `"2028-07-31"`, "SDS-S03 error academicSession y1"},
		{"academicSession y1 schoolYear", `"2028"`, "SDS-S03 error academicSession y1"},
		{"org x1", `+{"type":"Ministry of Magic"}`, "SDS-O01 error org x1"},
		{"org x1", `+{"type":"localauthority"}`, ""},
		{"org x1", `+{"identifier":""}`, "SDS-O01 error org x1"},
		{"org x1", `+{"name":" "}`, "SDS-O01 error org x1"},
		{"org x1", `+{"parent":{"sourcedId":"gone","type":"org"}}`, "SDS-G06 warning org x1"},
		{"org x1", `+{"type":"school","parent":{"sourcedId":"x1","type":"org"}}`, "SDS-O02 warning org x1"},
		{"org d1 children", `[{"sourcedId":"d1","type":"org"}]`,
			"SDS-O02 warning org d1, SDS-O02 warning org s1"},
		{"org s1 parent", ``, "SDS-O02 warning org d1, SDS-O02 warning org s1"},
		{"user p2 username", ``, "SDS-U01 error user p2, SDS-D01 warning demographics p2, SDS-E02 error " +
			"enrollment e3"},
		{"user g1 identifier", `""`, "SDS-U01 error user g1"},
		{"user g1 orgs", `[]`, "SDS-U02 error user g1"},
		{"user g1 orgs", `[{"sourcedId":"s1","type":"building"}]`, "SDS-U02 error user g1"},
		{"user g1 orgs", `[{"sourcedId":5,"type":"org"}]`, "SDS-U02 error user g1"},
		{"user p2 email", ``, "SDS-U03 warning user p2"},
		{"user p2 email", `"bob"`, "SDS-U03 warning user p2"},
		{"user p2 email", `"TOM@x.example"`, ""}, // staff and students apart
		{"user x2", `+{"email":"BOB@x.example"}`,
			"SDS-D01 warning demographics p2, SDS-E02 error enrollment e3, SDS-U03 error user p2, SDS-U03 " +
				"error user x2"},
		{"user p2 username", `"bob"`, "SDS-U04 error user p2, SDS-D01 warning demographics p2, SDS-E02 " +
			"error enrollment e3"},
		{"user g1 email", ``, "SDS-U05 error user g1"},
		{"user g1 agents", ``, "SDS-U06 error user p1, SDS-D01 warning demographics p1, SDS-E02 error " +
			"enrollment e2"},
		{"user p1 agents", `[]`, "SDS-U06 error user g1"},
		{"user p2 role", `"wizard"`, "SDS-U07 warning user p2"},
		{"user p2 grades", `["fourth"]`, "SDS-U07 warning user p2"},
		{"user p2 sms", `"206 555 0100"`, "SDS-U07 warning user p2"},
		{"user p2 metadata", `{"microsoft.userFlags":"ELL,tall"}`, "SDS-U07 warning user p2"},
		{"user g1 familyName", `"Gray\u0007"`, "SDS-U08 error user g1"},
		{"user g1 givenName", `"G\ufffds"`, "SDS-U08 error user g1"},
		{"user g1 middleName", `"<b>"`, "SDS-U08 error user g1"},
		{"user p2 givenName", `"Ann"`, ""},
		{"demographics p2 birthDate", `"2012-01-31"`, ""},
		{"class x1", `+{"title":""}`, "SDS-C01 error class x1"},
		{"class c1 terms", `[]`, "SDS-C01 error class c1, Q-02 advice user , Q-04 advice user , Q-08 " +
			"advice course , SDS-E02 error enrollment e1, SDS-E02 error enrollment e2, SDS-E02 error " +
			"enrollment e3"},
		{"class c1 title", `"Maths: 1"`, "SDS-C02 warning class c1"},
		{"class c1 title", `"Maths\n1"`, "SDS-C02 warning class c1"},
		{"class c1 course", `{"sourcedId":"gone","type":"course"}`,
			"SDS-C04 warning class c1, Q-08 advice course "},
		{"enrollment e1", ``, "SDS-C04 warning class c1, Q-03 advice user , Q-04 advice user , Q-07 " +
			"advice class "},
		{"enrollment x1", `+{"role":"teacher","primary":"true","user":{"sourcedId":"g1","type":"user"}}`,
			"SDS-C04 warning class c1"},
		{"enrollment x1", `+{"role":"pupil"}`, "SDS-E01 error enrollment x1"},
		{"enrollment x1", `+{"user":{"sourcedId":"g1","type":"student"}}`, "SDS-E01 error enrollment x1"},
		{"enrollment x1", `+{"class":{"type":"class"}}`, "SDS-E01 error enrollment x1"},
		{"enrollment x1", `+{"school":[{"sourcedId":"s1","type":"org"}]}`, "SDS-E01 error enrollment x1"},
		{"enrollment x1", `+{"user":{"sourcedId":"gone","type":"user"}}`, "SDS-E02 error enrollment x1"},
		{"enrollment x1", `+{"school":{"sourcedId":"d1","type":"org"}}`, "SDS-E02 error enrollment x1"},
		{"enrollment x1", `+{}`, "SDS-E03 warning enrollment x1"},
		{"enrollment e3 endDate", `"2027-06-01"`, "SDS-E04 warning enrollment e3"},
		{"enrollment e3 endDate", ``, "SDS-E04 advice enrollment "},
		{"demographics p2 asian", `true`, "SDS-D01 warning demographics p2"},
		{"demographics p2 birthDate", `"28.2.2012"`, "SDS-D01 warning demographics p2"},
		{"demographics x1", `+{}`, "SDS-D01 warning demographics x1"},
		{"course x1", `+{"title":""}`, "SDS-K01 error course x1"},
		{"course x1", `+{"org":"s1"}`, "SDS-K01 error course x1"},
		{"course x1", `+{}`, "Q-08 advice course "},
		{"user p2 grades", ``, "Q-01 advice user "},
		{"class c1 periods", ``, "Q-05 advice class "},
	}
	covered := map[string]bool{"SDS-X01": true, "SDS-S04": true, "SDS-C03": true, "SDS-C05": true,
		"SDS-U09": true, "Q-06": true} // below
	for _, c := range tests {
		t.Run(c.at+" "+c.value, func(t *testing.T) {
			d := district(t)
			alter(t, d, c.at, c.value)
			got, _ := judged(t, strict, d)
			var want []string
			for _, w := range strings.Split(c.want, ", ") {
				if w != "" {
					want = append(want, w)
					covered[strings.Fields(w)[0]] = true
				}
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("found\n%s\nwanted\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
	for _, r := range quality.Rules() {
		if !covered[r.ID] {
			t.Errorf("no row breaks %s", r.ID)
		}
		if r.Title == "" || r.Why == "" || r.Fix == "" || len(r.Resources) == 0 {
			t.Errorf("%s lacks words", r.ID)
		}
	}
}

// alter breaks one member of one object, takes an object away, or adds one like
// the last of its resource.
func alter(t *testing.T, d map[string][]wire.Object, at, value string) {
	t.Helper()
	words := strings.Fields(at)
	if len(words) == 0 {
		return
	}
	resource, id := words[0], words[1]
	if patch, isNew := strings.CutPrefix(value, "+"); isNew {
		o := maps.Clone(d[resource][len(d[resource])-1])
		o["sourcedId"] = id
		if resource == "user" {
			o["username"], o["email"], o["role"], o["agents"] = id+"@x.example", id+"@x.example", "student",
				[]any{}
			o["grades"], o["givenName"] = []any{"09"}, id
		}
		if resource == "org" {
			o["type"] = "department"
			d["org"][0]["children"] = []any{}
		}
		merge(t, o, patch)
		d[resource] = append(d[resource], o)
		return
	}
	for i, o := range d[resource] {
		switch {
		case o.ID() != id:
		case len(words) == 2:
			d[resource] = slices.Delete(d[resource], i, i+1)
			return
		case value == "":
			delete(o, words[2])
			return
		default:
			merge(t, o, `{"`+words[2]+`":`+value+`}`)
			return
		}
	}
	t.Fatalf("there is no %s", at)
}

func merge(t *testing.T, o wire.Object, patch string) {
	t.Helper()
	if err := json.Unmarshal([]byte(patch), &o); err != nil {
		t.Fatal(err)
	}
}

// What takes more than one change.
func TestRulesOfMany(t *testing.T) {
	tests := []struct {
		name   string
		opt    func(*quality.Options)
		change []string // at, value, at, value, …
		want   string   // one of the findings
		not    string   // the beginning of none of them
	}{
		{"no session today", func(o *quality.Options) { o.Today = today.AddDate(2, 0, 0) }, nil,
			"SDS-S04 warning academicSession ", ""},
		{"id of a class", nil, []string{"class c/2", `+{"title":"Other"}`}, "SDS-C03 warning class c/2", ""},
		{"class without pupils", nil, []string{"class c2", `+{"title":"Other"}`}, "Q-06 advice class ", ""},
		{"title twice", nil, []string{"class c2", `+{"title":"MATHS 1"}`}, "SDS-C05 warning class c2", ""},
		{"one person twice", nil, []string{"user p2 givenName", `"ann"`, "user p2 familyName", `"O'Brien"`,
			"demographics p2 birthDate", `"2012-01-31"`}, "SDS-U09 warning user p2", ""},
		{"one address twice, matched by username",
			func(o *quality.Options) { o.MatchStudents = "username" },
			[]string{"user p2 email", `"ann@x.example"`}, "SDS-U09 warning user p2", "SDS-U03"},
		{"username twice", func(o *quality.Options) { o.MatchStudents = "username" },
			[]string{"user p2 username", `"ann@x.example"`}, "SDS-U03 error user p1", ""},
		{"only matched", func(o *quality.Options) { o.CreateUsers = false }, []string{"user p2 username",
			`"bob"`}, "", "SDS-U04"},
		{"contacts off", func(o *quality.Options) { o.Contacts = false }, []string{"user g1 email", ``,
			"user g1 agents", ``}, "", "SDS-U0"},
		{"demographics off", func(o *quality.Options) { o.Demographics = false },
			[]string{"demographics p1 status", `"x"`}, "", "SDS-G02"},
		{"empty", nil, []string{"enrollment e1", ``, "enrollment e2", ``, "enrollment e3", ``},
			"SDS-X01 catastrophic enrollment ", "Q-"},
		{"tobedeleted is not judged, and nothing to refer to", nil,
			[]string{"org s1 status", `"tobedeleted"`, "org s1 name", ``}, "SDS-G06 error class c1",
			"SDS-O01"},
		{"one organization, without parent", nil, []string{"org d1", ``, "org s1 parent", ``},
			"", "SDS-O02"},
		// What is dropped drops what refers to it, down to the enrollments.
		{"cascade", nil, []string{"org s1 identifier", ``}, "SDS-E02 error enrollment e2", "SDS-E01"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			d, opt := district(t), strict
			if c.opt != nil {
				c.opt(&opt)
			}
			for i := 0; i < len(c.change); i += 2 {
				alter(t, d, c.change[i], c.change[i+1])
			}
			got, _ := judged(t, opt, d)
			if c.want != "" && !slices.Contains(got, c.want) {
				t.Errorf("no %q in\n%s", c.want, strings.Join(got, "\n"))
			}
			for _, g := range got {
				if c.not != "" && strings.HasPrefix(g, c.not) {
					t.Errorf("found %s", g)
				}
			}
		})
	}
}

// A made-up district, as it is served, breaks no rule that costs a record, a
// value or the run.
func TestSandboxIsClean(t *testing.T) {
	for _, day := range []time.Time{today, time.Date(2026, 7, 31, 0, 0, 0, 0, time.UTC),
		time.Date(2027, 1, 16, 0, 0, 0, 0, time.UTC)} {
		made := sandbox.New(sandbox.Options{Students: 700, Today: day})
		d := map[string][]wire.Object{}
		for _, r := range oneroster.Resources() {
			w := oneroster.NewWriter(r, "http://x.example", nil)
			err := made.Each(context.Background(), r, func(rec oneroster.Record) error {
				rec.Values[oneroster.Modified] = "2026-06-01T08:00:00.000Z"
				var o wire.Object
				if err := json.Unmarshal(w.Append(nil, rec.Values), &o); err != nil {
					return err
				}
				d[r.Name] = append(d[r.Name], o)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, out := judged(t, quality.Options{Today: day, Contacts: true, Demographics: true}, d)
		for _, g := range got {
			if !strings.Contains(g, " advice ") && !strings.HasPrefix(g, "SDS-U09") {
				t.Errorf("%v: %s", day, g)
			}
		}
		if out.Stopped || out.Kept["user"] != len(d["user"]) ||
			out.Kept["enrollment"] != len(d["enrollment"]) {
			t.Errorf("kept %v of %v", out.Kept, out.Read)
		}
	}
}
