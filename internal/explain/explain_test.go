package explain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/edition"
	"rollbook/internal/explain"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// A drama is a district with its service, its clients and a clock that the test moves.
type drama struct {
	t       testing.TB
	s       *store.Store
	now     time.Time
	rows    []oneroster.Record        // of the next package
	said    map[int64]map[string]bool // ids in the packages that were published
	secrets map[string]string         // of clients by id
	tokens  map[string]string
	url     string // of the service
	ledger  *ledger.Ledger
	key     *auth.Key
}

var (
	everything = []string{oneroster.RosterCore, oneroster.Roster}
	begin      = time.Date(2026, 11, 23, 2, 0, 0, 0, time.Local)
)

// at is a time of the drama: days after its begin, and hours.
func at(day, hour int) time.Time {
	return begin.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
}

func open(t testing.TB, dsn string) *drama {
	d := &drama{t: t, now: begin, said: map[int64]map[string]bool{}, secrets: map[string]string{},
		tokens: map[string]string{}}
	d.s = storetest.Open(t, dsn, store.Options{Now: func() time.Time { return d.now }})
	d.key = resttest.Key(t)
	log := slog.New(slog.DiscardHandler)
	d.ledger = ledger.New(d.s, log)
	lists := edition.New(d.s, edition.Options{Log: log})
	t.Cleanup(lists.Close)
	d.url = resttest.Listen(t, resttest.Service(t, d.s, d.key, func(c *rest.Config) {
		c.District, c.Tell = lists, func(c rest.Call) {
			c.At = d.now
			d.ledger.Hear(c)
		}
	}))
	rec := storetest.Rec
	d.rows = []oneroster.Record{
		rec("org", "sourcedId", "d", "name", "District", "type", "district"),
		rec("org", "sourcedId", "s1", "name", "North School", "type", "school", "parent", "d"),
		rec("org", "sourcedId", "s2", "name", "South School", "type", "school", "parent", "d"),
		rec("academicSession", "sourcedId", "y", "title", "2026-27", "type", "schoolYear", "startDate",
			"2026-08-01", "endDate", "2027-07-31", "schoolYear", "2027"),
		rec("academicSession", "sourcedId", "t", "title", "Autumn", "type", "term", "startDate", "2026-08-01",
			"endDate", "2027-01-31", "schoolYear", "2027", "parent", "y"),
		rec("course", "sourcedId", "k", "title", "Science", "org", "d", "schoolYear", "y"),
	}
	d.person("teach", "teacher", "Tia", "Teacher")
	for _, name := range []string{"Ana Ruiz", "Ben Ode", "Cem Kaya"} {
		given, family, _ := strings.Cut(name, " ")
		d.person(strings.ToLower(given), "student", given, family)
	}
	for _, class := range []string{"Biology", "Art", "Maths"} {
		id := strings.ToLower(class)
		d.rows = append(d.rows, rec("class", "sourcedId", id, "title", class, "classType", "scheduled",
			"course", "k", "school", "s1", "terms", "t"))
		d.enroll("teach", id, "teacher")
		for _, who := range []string{"ana", "ben", "cem"} {
			d.enroll(who, id, "student")
		}
	}
	d.publish()
	d.client("sds", everything)
	return d
}

func (d *drama) person(id, role, given, family string) {
	d.rows = append(d.rows, storetest.Rec("user", "sourcedId", id, "username", id, "enabledUser", "true",
		"givenName",
		given, "familyName", family, "role", role, "identifier", "n-"+id, "email", id+"@example.org", "orgs",
		"s1",
		"grades", map[bool]string{true: "09"}[role == "student"]))
}

func (d *drama) enroll(who, class, role string) {
	d.rows = append(d.rows, storetest.Rec("enrollment", "sourcedId", who+"-"+class, "user", who, "class",
		class, "school", "s1", "role", role, "primary", map[bool]string{true: "true"}[role == "teacher"]))
}

// without takes records out of the next package.
func (d *drama) without(ids ...string) *drama {
	d.rows = slices.DeleteFunc(d.rows, func(r oneroster.Record) bool { return slices.Contains(ids, r.ID()) })
	return d
}

// set changes a field in the next package.
func (d *drama) set(id, field, value string) *drama {
	for i, r := range d.rows {
		if r.ID() == id {
			d.rows[i] = oneroster.Record{Resource: r.Resource, Values: slices.Clone(r.Values)}
			d.rows[i].Set(field, value)
		}
	}
	return d
}

// publish publishes the next package as the night's, parents first.
func (d *drama) publish() *drama {
	d.t.Helper()
	slices.SortStableFunc(d.rows, func(a, b oneroster.Record) int {
		return slices.Index(oneroster.Resources(), a.Resource) - slices.Index(oneroster.Resources(),
			b.Resource)
	})
	ctx := d.t.Context()
	id, err := d.s.Arrive(ctx, "night.zip", "it")
	if err != nil {
		d.t.Fatal(err)
	}
	d.said[id] = map[string]bool{}
	for _, r := range d.rows {
		d.said[id][r.ID()] = true
	}
	plan, err := d.s.Plan(ctx, storetest.Bulk(d.rows...), store.ImportOptions{}, nil)
	if err == nil {
		defer plan.Close()
		_, err = d.s.Publish(store.By(ctx, fmt.Sprintf("publication %d, night.zip", id)), plan,
			&store.Decision{ID: id, Rows: len(d.rows)})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d
}

// client adds a client with scopes.
func (d *drama) client(id string, scopes []string) *drama {
	d.t.Helper()
	d.secrets[id] = resttest.Admit(d.t, d.s, d.key, auth.Client{ID: id, Name: strings.ToUpper(id),
		Scopes: scopes, Created: time.Now()})
	return d
}

func (d *drama) token(client, secret string) (status int) {
	r, _ := http.NewRequest("POST", d.url+"/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	if answer.StatusCode == 200 {
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
			d.t.Fatal(err)
		}
		d.tokens[client] = got.Token
	}
	return answer.StatusCode
}

// page reads one page.
func (d *drama) page(client, list, filter string, limit, offset int) (status int, total string) {
	d.t.Helper()
	if d.tokens[client] == "" && d.token(client, d.secrets[client]) != 200 {
		d.t.Fatal("no token")
	}
	asked := url.Values{"limit": {fmt.Sprint(limit)}, "offset": {fmt.Sprint(offset)}}
	if filter != "" {
		asked.Set("filter", filter)
	}
	r, _ := http.NewRequest("GET", d.url+"/ims/oneroster/v1p1/"+list+"?"+asked.Encode(), nil)
	r.Header.Set("Authorization", "Bearer "+d.tokens[client])
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		d.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("X-Total-Count")
}

// read reads lists whole, in pages of five.
func (d *drama) read(client, filter string, lists ...string) *drama {
	d.t.Helper()
	for _, list := range lists {
		for offset, total := 0, "1"; ; offset += 5 {
			n := 0
			_, _ = fmt.Sscan(total, &n)
			if offset >= n {
				break
			}
			status := 0
			if status, total = d.page(client, list, filter, 5, offset); status != 200 {
				d.t.Fatalf("%s: %d", list, status)
			}
		}
	}
	return d.written()
}

var lists = []string{"orgs", "academicSessions", "courses", "classes", "users", "enrollments"}

// pull reads all lists, as School Data Sync does.
func (d *drama) pull(client string) *drama { return d.read(client, "status='active'", lists...) }

// delta reads what has changed since a time.
func (d *drama) delta(client string, since time.Time) *drama {
	return d.read(client, "dateLastModified>'"+oneroster.FormatTime(since)+"'", lists...)
}

// written lets the ledger write.
func (d *drama) written() *drama {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.ledger.Run(ctx)
	return d
}

// on moves the clock.
func (d *drama) on(t time.Time) *drama { d.now = t; return d }

func (d *drama) explain(asked explain.Asked, what string) (*explain.Answer, error) {
	plural, id, _ := strings.Cut(what, "/")
	for _, r := range oneroster.Resources() {
		if r.Plural == plural {
			asked.Resource, asked.ID = r, id
		}
	}
	said := func(_ context.Context, p store.Publication, r *oneroster.Resource,
		ids []string) (map[string]string, error) {
		out := map[string]string{}
		for _, id := range ids {
			switch {
			case d.said[p.ID][id]:
				out[id] = r.Plural + ".csv has it on line 2"
			case p.Package == "night.zip":
				out[id] = r.Plural + ".csv lacks it"
			}
		}
		return out, nil
	}
	x := explain.Explainer{Store: d.s, Today: d.now, Said: said}
	return x.Explain(d.t.Context(), asked)
}

// A story is a history, and the first sentence of who asks at its end.
type story struct {
	name string
	play func(d *drama)
	ask  explain.Asked
	of   string // "users/ana" where it is ""
	kind string
	want string // a part of the first sentence
}

func sds() explain.Asked { return explain.Asked{Client: "sds"} }

var stories = []story{
	{"all is right", func(d *drama) { d.on(at(0, 1)).pull("sds").on(at(1, 0)) }, sds(), "", "read",
		"SDS read Ana Ruiz (users/ana) on 2026-11-23 03:00 as active, which is what is served"},
	{"an enrollment is lacking in the file, and read", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-biology").publish().on(at(1, 1)).
			delta("sds", at(0, 1)).on(at(2, 0))
	}, sds(), "", "enrollment retired",
		"SDS read Ana Ruiz (users/ana) on 2026-11-23 03:00 as active in 3 classes; on 2026-11-24 02:00 the " +
			"enrollment in Biology was retired by publication 2 (night.zip: enrollments.csv lacks it); SDS " +
			"read that on " +
			"2026-11-24 03:00."},
	{"an enrollment is lacking, and not read yet", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-biology").publish()
	}, sds(), "", "enrollment retired", "lacks it); SDS has not read that yet."},
	{"all enrollments are lacking", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-biology", "ana-art", "ana-maths").publish().
			on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "", "enrollment retired", "as active in 3 classes; on 2026-11-24 02:00 the enrollments in " +
		"Art, Biology and Maths were retired by publication 2"},
	{"read again whole, it is not there", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).pull("sds")
	}, sds(), "", "enrollment retired", "SDS read that on 2026-11-24 03:00."},
	{"one class is asked for", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(9,
			0)).without("ana-maths").
			publish()
	}, explain.Asked{Client: "sds", Class: "art"}, "", "enrollment retired",
		"the enrollment in Art was retired by publication 2"},
	{"never enrolled in the class", func(d *drama) {
		d.without("ana-art").publish().on(at(0, 1)).pull("sds").on(at(60, 0))
	}, explain.Asked{Client: "sds", Class: "drama"}, "", "no enrollment",
		"Ana Ruiz (users/ana) has no enrollment in class drama, and none is known of before"},
	{"never enrolled at all", func(d *drama) {
		d.person("new", "student", "Nia", "New")
		d.publish().on(at(0, 1)).pull("sds")
	}, sds(), "users/new", "no enrollment",
		"Nia New (users/new) has no enrollment, and none is known of before"},
	{"the person is lacking in the file", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana", "ana-biology", "ana-art",
			"ana-maths").publish().
			on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "", "retired", "SDS read Ana Ruiz (users/ana) on 2026-11-23 03:00 as active; on 2026-11-24 " +
		"02:00 it was " +
		"retired by publication 2 (night.zip: users.csv lacks it); SDS read that on 2026-11-24 03:00."},
	{"the person is lacking, and not read yet", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana", "ana-biology", "ana-art",
			"ana-maths").publish()
	}, sds(), "", "retired", "users.csv lacks it); SDS has not read that yet."},
	{"the person left before anybody read", func(d *drama) {
		d.on(at(1, 0)).without("ana", "ana-biology", "ana-art", "ana-maths").publish().on(at(1,
			1)).pull("sds")
	}, sds(), "", "retired", "was retired on 2026-11-24 02:00 by publication 2 (night.zip: users.csv lacks " +
		"it)"},
	{"she came back, and the return is not read", func(d *drama) {
		kept := slices.Clone(d.rows)
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana", "ana-biology", "ana-art",
			"ana-maths").publish().
			on(at(1, 1)).delta("sds", at(0, 1)).on(at(2, 0))
		d.rows = kept
		d.publish()
	}, sds(), "", "not read yet", "came back on 2026-11-25 02:00 by publication 3 (night.zip); SDS read on " +
		"2026-11-24 03:00 that it had left, and has not read it since"},
	{"she came after the last read", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).person("new", "student", "Nia", "New")
		d.enroll("new", "art", "student")
		d.publish()
	}, sds(), "users/new", "came later", "Nia New (users/new) came on 2026-11-24 02:00 by publication 2 " +
		"(night.zip); SDS read users last on 2026-11-23 03:00, before that: the next time it reads " +
		"users brings it"},
	{"a delta begins too late", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).person("new", "student", "Nia", "New")
		d.enroll("new", "art", "student")
		d.publish().on(at(1, 2)).delta("sds", at(1, 1))
	}, sds(), "users/new", "gap", "SDS had read users last on 2026-11-23 03:00, and asked then for what " +
		"has changed since 2026-11-24 03:00: it does not learn of what came in between"},
	{"a delta begins too late for an enrollment's end", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 2)).delta("sds", at(1,
			1))
	}, sds(), "", "enrollment retired", "SDS has not read that yet: it asked on 2026-11-24 04:00 for what " +
		"has changed since 2026-11-24 03:00, so it never reads that"},
	{"only deltas, never whole", func(d *drama) { d.on(at(1, 0)).delta("sds", at(0, 12)) }, sds(), "",
		"only deltas",
		"SDS has never read users whole: it asked on 2026-11-24 02:00 for what has changed in users since " +
			"2026-11-23 14:00, and Ana Ruiz (users/ana) was changed on 2026-11-23 02:00"},
	{"it never called", func(d *drama) {}, sds(), "", "never called", "SDS has never called this service"},
	{"it has read everything but users", func(d *drama) { d.read("sds", "", "orgs", "classes") }, sds(), "",
		"never read", "SDS has never read users; it has called this service"},
	{"it reads users and no enrollments", func(d *drama) {
		d.read("sds", "", "orgs", "academicSessions", "classes", "users")
	}, sds(), "", "never read", "as active; SDS has never read enrollments"},
	{"it reads no classes", func(d *drama) {
		d.read("sds", "", "orgs", "academicSessions", "users", "enrollments")
	}, sds(), "", "never read", "SDS has never read classes"},
	{"it reads no terms", func(d *drama) { d.read("sds", "", "orgs", "classes", "users", "enrollments") },
		sds(), "", "never read", "SDS has never read academicSessions"},
	{"it reads no schools", func(d *drama) {
		d.read("sds", "", "academicSessions", "classes", "users", "enrollments")
	}, sds(), "", "never read", "SDS has never read orgs"},
	{"it may not read users", func(d *drama) {
		d.client("poor", []string{oneroster.GradebookRead})
		d.page("poor", "users", "", 100, 0)
		d.written()
	}, explain.Asked{Client: "poor"}, "", "scope", "POOR may not read users: it has none of the scopes " +
		"that open them"},
	{"its secret is wrong", func(d *drama) {
		for range 3 {
			d.token("sds", "wrong")
		}
		d.written()
	}, sds(), "", "refused", "SDS got no token in 3 calls"},
	{"it reads teachers only", func(d *drama) { d.read("sds", "", "teachers") }, sds(), "", "elsewhere",
		"SDS has not read Ana Ruiz (users/ana): it reads teachers only, where role is teacher; here it is " +
			"student"},
	{"its filter asks for another role", func(d *drama) { d.read("sds", "role='teacher'", "users") }, sds(),
		"", "filter", "it asks for users where role='teacher' only, which leaves it out"},
	{"its filter asks for another status of two conditions", func(d *drama) {
		d.read("sds", "status='active' AND grades='10'", "users")
	}, sds(), "", "filter", "grades"},
	{"it reads the other school", func(d *drama) { d.read("sds", "", "schools/s2/students") }, sds(), "",
		"elsewhere", "it read schools/s2/students on 2026-11-23 02:00, to which it does not belong"},
	{"it reads her school", func(d *drama) {
		d.read("sds", "", "schools/s1/students", "orgs", "academicSessions", "classes", "enrollments")
	}, sds(), "", "read", "which is what is served"},
	{"a walk breaks off before her", func(d *drama) {
		d.page("sds", "users", "", 1, 0)
		d.written().on(at(0, 5))
	}, sds(), "", "broke off", "SDS has not read Ana Ruiz (users/ana): it has begun users on 2026-11-23 " +
		"02:00 and not read it: it is row 2 of 4, and the pull broke off at 1 of 4 rows (pull 1)"},
	{"a walk leaves her page out", func(d *drama) {
		d.page("sds", "users", "", 1, 0)
		d.page("sds", "users", "", 2, 2)
		d.written().on(at(0, 5))
	}, sds(), "", "left out", "it is row 2 of 4, and the pull left out 1 row"},
	{"a walk goes on still", func(d *drama) {
		d.page("sds", "users", "", 1, 0)
		d.written().on(begin.Add(time.Minute))
	}, sds(), "", "goes on", "is reading users since 2026-11-23 02:00, and has not come to it yet"},
	{"a walk breaks off before the enrollments", func(d *drama) {
		d.read("sds", "", "orgs", "academicSessions", "classes", "users")
		d.page("sds", "enrollments", "", 1, 0)
		d.written().on(at(0, 5))
	}, sds(), "", "broke off", "it has begun enrollments on 2026-11-23 02:00 and not read it: it is row"},
	{"a page broke off and was read again", func(d *drama) {
		d.page("sds", "users", "", 2, 0)
		d.page("sds", "users", "", 2, 0)
		d.page("sds", "users", "", 2, 2)
		d.read("sds", "", "orgs", "academicSessions", "classes", "enrollments")
	}, sds(), "", "read", "which is what is served"},
	{"her role was changed and is not read", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).set("ana", "middleName", "Maria").publish()
	}, sds(), "", "not read yet", `on 2026-11-24 02:00 it was changed by publication 2 (night.zip) ` +
		`(middleName "" → "Maria"), and SDS has not read that yet`},
	{"no family name: School Data Sync drops her", func(d *drama) {
		d.on(at(0, 1)).set("ana", "username", " ").publish().pull("sds")
	}, sds(), "", "dropped", "School Data Sync drops Ana Ruiz (users/ana)"},
	{"two of one e-mail address", func(d *drama) {
		d.set("ana", "email", "ben@example.org").publish().pull("sds")
	}, sds(), "", "dropped", "SDS-U"},
	{"no organization", func(d *drama) { d.set("ana", "orgs", "").publish().pull("sds") }, sds(), "",
		"dropped", "School Data Sync drops Ana Ruiz (users/ana)"},
	{"her class has no term", func(d *drama) {
		for _, c := range []string{"biology", "art", "maths"} {
			d.set(c, "terms", "")
		}
		d.publish().pull("sds")
	}, sds(), "", "dropped", "School Data Sync drops class"},
	{"the account is disabled", func(d *drama) { d.set("ana", "enabledUser", "false").publish().pull("sds") },
		sds(), "", "disabled", "is served with enabledUser false"},
	{"all enrollments have ended", func(d *drama) {
		for _, c := range []string{"biology", "art", "maths"} {
			d.set("ana-"+c, "endDate", "2026-11-01")
		}
		d.publish().pull("sds")
	}, sds(), "", "calendar", "ended on 2026-11-01; none of 3 enrollments is within its days"},
	{"all enrollments begin later", func(d *drama) {
		for _, c := range []string{"biology", "art", "maths"} {
			d.set("ana-"+c, "beginDate", "2027-01-10")
		}
		d.publish().pull("sds")
	}, sds(), "", "calendar", "begins on 2027-01-10 only"},
	{"the term is over", func(d *drama) { d.set("t", "endDate", "2026-11-20").publish().pull("sds") }, sds(),
		"", "calendar", "the term of the enrollment in"},
	{"the class went, and the enrollment with it", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("art", "ana-art", "ben-art", "cem-art",
			"teach-art").publish()
	}, sds(), "", "enrollment retired", "with class Art (classes/art)"},
	{"she is in the class under a new id", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art")
		d.rows = append(d.rows, storetest.Rec("enrollment", "sourcedId", "ana-art-2", "user", "ana", "class",
			"art", "school", "s1", "role", "student"))
		d.publish().on(at(1, 1)).delta("sds", at(0, 1))
	}, sds(), "", "read", "which is what is served"},
	{"she is in the class under a new id, which is not read", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art")
		d.rows = append(d.rows, storetest.Rec("enrollment", "sourcedId", "ana-art-2", "user", "ana", "class",
			"art", "school", "s1", "role", "student"))
		d.publish()
	}, sds(), "", "came later", "the enrollment in Art (enrollments/ana-art-2) came on 2026-11-24 02:00"},
	{"an enrollment retired long ago is not the reason", func(d *drama) {
		d.on(at(0, 1)).without("ana-art").publish().on(at(60, 0)).pull("sds")
	}, sds(), "", "read", "which is what is served"},
	{"an enrollment itself", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).delta("sds", at(0,
			1))
	}, sds(), "enrollments/ana-art", "retired", "SDS read the enrollment in Art (enrollments/ana-art) on " +
		"2026-11-23 03:00 as active; on 2026-11-24 02:00 it was retired by publication 2"},
	{"a class", func(d *drama) { d.on(at(0, 1)).pull("sds") }, sds(), "classes/art", "read",
		"SDS read class Art (classes/art) on 2026-11-23 03:00 as active"},
	{"who asks for nobody gets the one that read", func(d *drama) {
		d.client("idle", everything).on(at(0, 1)).pull("sds")
	}, explain.Asked{}, "", "read", "SDS read Ana Ruiz (users/ana)"},
	{"nobody has read, and she has left", func(d *drama) {
		d.on(at(1, 0)).without("ana", "ana-biology", "ana-art", "ana-maths").publish()
	}, explain.Asked{}, "", "retired", "Ana Ruiz (users/ana) was retired on 2026-11-24 02:00 by " +
		"publication 2"},
	{"as things were", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-biology").publish().on(at(1, 1)).delta("sds",
			at(0, 1))
	}, explain.Asked{Client: "sds", At: at(0, 12)}, "", "read", "which is what is served"},
	{"a deletion is never told of to who asks for active rows that changed", func(d *drama) {
		d.on(at(0, 1)).pull("sds").on(at(1, 0)).without("ana-art").publish().on(at(1, 1)).read("sds",
			"status='active' AND dateLastModified>'"+oneroster.FormatTime(at(0, 1))+"'", lists...)
	}, sds(), "", "enrollment retired", "SDS has not read that yet"},
	{"a guardian is beside her, and nothing is wrong with that", func(d *drama) {
		d.rows = append(d.rows, storetest.Rec("user", "sourcedId", "ma", "username", "ma", "enabledUser",
			"true",
			"givenName", "Mia", "familyName", "Ruiz", "role", "guardian", "identifier", "n-ma", "email",
			"ma@example.org", "orgs", "s1", "agents", "ana"))
		d.publish().pull("sds")
		if answer, err := d.explain(sds(), "users/ana"); err != nil || len(answer.Rules) > 0 {
			d.t.Errorf("%v %+v", err, answer.Rules)
		}
	}, sds(), "", "read", "which is what is served"},
	{"somebody wrote it differently", func(d *drama) {}, sds(), "users/ANA", "",
		"there is users/ana, which is another sourcedId"},
	{"nobody of that id", func(d *drama) {}, sds(), "users/zoe", "",
		`there is no user "zoe", and there was none`},
}

// Each history has one reason, and it is told first.
func TestWhySheIsMissing(t *testing.T) {
	for i, one := range slices.Concat(stories, further) {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			engine := storetest.All[0]
			if i%12 == 1 {
				engine = storetest.All[1]
			}
			d := open(t, engine.Empty(t))
			one.play(d)
			of := one.of
			if of == "" {
				of = "users/ana"
			}
			answer, err := d.explain(one.ask, of)
			var missing *explain.Missing
			if errors.As(err, &missing) {
				answer, err = &explain.Answer{Sentence: missing.Text}, nil
			}
			if err != nil {
				t.Fatal(err)
			}
			if answer.Kind != one.kind || !strings.Contains(answer.Sentence, one.want) {
				t.Errorf("%s: %s\nwant %s: … %s …", answer.Kind, answer.Sentence, one.kind, one.want)
			}
		})
	}
}
