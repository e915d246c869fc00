package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

var update = flag.Bool("update", false, "write the generated documents")

func TestMain(m *testing.M) { flag.Parse(); storetest.Main(m) }

// today of the district under test.
var today = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// A service under test, with a client that may do everything.
type service struct {
	*httptest.Server
	t          testing.TB
	id, secret string
	token      string
}

func serve(t *testing.T, dsn string, scopes []string) *service {
	t.Helper()
	return serveDistrict(t, dsn, scopes, 90)
}

func serveDistrict(t testing.TB, dsn string, scopes []string, students int,
	with ...func(*rest.Config)) *service {
	t.Helper()
	ctx := context.Background()
	s := storetest.Open(t, dsn, store.Options{Now: func() time.Time { return today }})
	if _, err := s.Import(ctx, sandbox.New(sandbox.Options{Students: students, Seed: 1, Today: today}),
		store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	key := resttest.Key(t)
	secret := resttest.Admit(t, s, key, auth.Client{ID: "tester", Scopes: scopes, OAuth1: true})
	out := &service{t: t, id: "tester", secret: secret}
	out.Server = httptest.NewServer(resttest.Service(t, s, key, append(with, func(c *rest.Config) {
		c.Tell = rest.Logged(c.Log)
	})...))
	t.Cleanup(out.Close)
	out.token = out.grant(out.id, secret)
	return out
}

// grant gets a token of a client.
func (s *service) grant(id, secret string) string {
	s.t.Helper()
	r, _ := http.NewRequest("POST", s.URL+"/Token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	status, _, body := s.do(r)
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Life  int    `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != 200 || answer.Type != "bearer" ||
		answer.Life != 3600 || strings.Count(answer.Token, ".") != 2 {
		s.t.Fatalf("token: %d %s %v", status, body, err)
	}
	return answer.Token
}

func (s *service) do(r *http.Request) (int, http.Header, []byte) {
	s.t.Helper()
	answer, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, body
}

// call sends a request below the base path. The target is sent as it stands.
func (s *service) call(method, target, body string) (int, http.Header, []byte) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	path, query, _ := strings.Cut(oneroster.V1p1.Base+target, "?")
	r.URL.Opaque, r.URL.RawQuery = "//"+r.URL.Host+path, strings.ReplaceAll(query, " ", "%20")
	r.Header.Set("Authorization", "bearer "+s.token)
	return s.do(r)
}

// ids of a list answer.
func ids(t *testing.T, body []byte) []string {
	t.Helper()
	var lists map[string][]struct{ SourcedID string }
	if err := json.Unmarshal(body, &lists); err != nil || len(lists) != 1 {
		t.Fatalf("not one list: %v %.300s", err, body)
	}
	out := []string{}
	for _, l := range lists {
		for _, o := range l {
			out = append(out, o.SourcedID)
		}
	}
	return out
}

func TestEveryRouteAnswers(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := serve(t, dsn, oneroster.Scopes())
		doc, err := openapi3.NewLoader().LoadFromData(rest.OpenAPI(oneroster.V1p1))
		if err == nil {
			err = doc.Validate(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		var golden strings.Builder
		vars := strings.NewReplacer("{school_id}", "sch-001", "{class_id}", "cls-001-001-1", "{student_id}",
			"a1", "{teacher_id}", "tea-001-001",
			"{user_id}", "a1", "{course_id}", "crs-high-09-1", "{li_id}", "itm-001-001-1-1",
			"/schools/{id}", "/schools/sch-001")
		_, _, body := s.call("GET", "/classes/cls-001-001-1", "")
		var class struct {
			Class struct{ Terms []struct{ SourcedID string } }
		}
		if err := json.Unmarshal(body, &class); err != nil || len(class.Class.Terms) == 0 {
			t.Fatalf("%s", body)
		}
		term := class.Class.Terms[0].SourcedID
		one := map[string]string{"academicSessions": term, "terms": term,
			"gradingPeriods": strings.Replace(term, "trm", "per", 1) + "-1", "demographics": "a1",
			"classes": "cls-001-001-1", "courses": "crs-high-09-1", "enrollments": "enr-001-001-1-01",
			"orgs": "dst-1", "students": "a1", "teachers": "tea-001-001",
			"users": "a1", "resources": "res-01", "categories": "cat-1", "lineItems": "itm-001-001-1-1",
			"results": "rlt-001-001-1-1-01", "classGroups": "grp-1"}
		for i := range oneroster.V1p1.Routes {
			r := &oneroster.V1p1.Routes[i]
			if r.Method != "GET" {
				continue
			}
			path := vars.Replace(strings.ReplaceAll(r.Path, "{term_id}", term))
			if r.One {
				path = strings.Replace(path, "{id}", one[r.Segments[0]], 1)
			}
			status, header, body := s.call("GET", path, "")
			if status != 200 || header.Get("X-Total-Count") == "" ||
				header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %d %v %s", r.Op, path, status, header, body)
				continue
			}
			var whole map[string]json.RawMessage
			if err := json.Unmarshal(body, &whole); err != nil || len(whole) != 1 {
				t.Errorf("%s: %s", r.Op, body)
			}
			var value any
			if err := json.Unmarshal(body, &value); err != nil {
				t.Fatal(err)
			}
			schema := doc.Paths.Value(r.Path).Get.Responses.Status(200).Value.Content.Get("application/json").Schema.Value
			if err := schema.VisitJSON(value); err != nil {
				t.Errorf("%s is not as openapi.json says: %v", r.Op, err)
			}
			_, _, body = s.call("GET", path+"?limit=2", "")
			fmt.Fprintf(&golden, "GET %s\n%s\n\n", path, strings.ReplaceAll(string(body), s.URL,
				"https://rollbook.example"))
			if key := map[bool]string{true: r.Resource.Wrapper(),
				false: r.Resource.Plural}[r.One]; len(whole[key]) < 5 {
				t.Errorf("%s: %s has nothing under %s: %.200s", r.Op, path, key, body)
			}
		}
		compareGolden(t, filepath.Join("testdata", "objects.golden"), []byte(golden.String()))
	})
}

func TestRequestsAsClientsSendThem(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := serve(t, dsn, oneroster.Scopes())
		for _, c := range []struct {
			name, method, target string
			status               int
			want                 string // ids joined by a space, or a code minor
			total                string
		}{
			{"paging probe", "GET", "/orgs?offset=2&limit=1", 200, "dep-001-1", "7"},
			{"offset past the end", "GET", "/orgs?offset=100", 200, "", "7"},
			{"a key with a space", "GET", "/orgs?limit%20=1", 200, "dst-1", "7"},
			{"two question marks", "GET", "/orgs?limit=1&offset=0?limit=7000", 200, "dst-1", "7"},
			{"mixed case", "GET", "/SCHOOLS/sch-001/Courses?limit=0&filter=sourcedId='none'", 200, "", "0"},
			{"doubled and trailing slashes", "GET", "//orgs//?limit=1", 200, "dst-1", "7"},
			{"unknown parent", "GET", "/schools/1000000/classes", 200, "", "0"},
			{"unexpanded template", "GET",
				"/classes/cls-001-001-1/lineItems/%7B%7Blineitem_id%7D%7D/results", 200, "", "0"},
			{"unknown class's categories", "GET", "/classes/none/categories", 200, "", "0"},
			{"a class's categories", "GET", "/classes/cls-001-001-1/categories", 200,
				"cat-1 cat-2 cat-3 cat-4 cat-001-001-1", "5"},
			{"unknown id", "GET", "/lineItems/none", 404, "unknown object", ""},
			{"an org that is no school", "GET", "/schools/dst-1", 404, "unknown object", ""},
			{"unknown enumeration value", "GET", "/users?filter=status='norecords'", 200, "", "0"},
			{"unknown field", "GET", "/users?filter=nosuch='x'", 400, "invalid_filter_field", ""},
			{"unreadable filter", "GET", "/users?filter=status", 400, "invalid_filter_field", ""},
			{"blank fields", "GET", "/users?fields=", 400, "invalid_blank_selection_field", ""},
			{"Grade Sync's alias", "GET", "/enrollments?limit=2&filter=classSourcedId%3D%27cls-001-001-1%27",
				200, "enr-001-001-1-01 enr-001-001-1-02", "27"},
			{"metadata and children", "GET", "/orgs?filter=children='dep-001-1'", 200, "sch-001", "1"},
			{"userIds", "GET", "/users?filter=userIds.identifier='ST0000001'", 200, "a1", "1"},
			{"sort", "GET", "/orgs?sort=name&orderBy=desc&limit=2", 200, "dep-001-2 sch-001", "7"},
			{"wrong verb", "POST", "/users", 405, "unsupported", ""},
			{"no such path", "GET", "/nothing", 404, "unknown object", ""},
			{"an id with a NUL", "GET", "/users/%00", 404, "unknown object", ""},
			{"an id that is not UTF-8", "GET", "/users/%ff", 404, "unknown object", ""},
			{"a parent with a NUL", "GET", "/terms/%00/gradingPeriods", 200, "", "0"},
			{"a parent that is not UTF-8", "GET", "/classes/%ff/students", 200, "", "0"},
			{"a filter that is not UTF-8", "GET", "/users?filter=username='%ff'", 400,
				"invalid_filter_field", ""},
			{"control characters in a filter", "GET", "/users?filter=username='%01'", 200, "", "0"},
			{"a filter twice", "GET", "/users?filter=role='student'&filter=status='active'", 400,
				"invalid data", ""},
			{"the same filter twice", "GET", "/users?filter=sourcedId='a1'&filter=sourcedId='a1'", 200,
				"a1", "1"},
			{"a limit twice", "GET", "/orgs?limit=1&limit=2", 400, "invalid data", ""},
			{"an offset twice", "GET", "/orgs?offset=1&offset=2", 400, "invalid data", ""},
			{"a sort twice", "GET", "/orgs?sort=name&sort=type", 400, "invalid data", ""},
			{"an orderBy twice", "GET", "/orgs?sort=name&orderBy=asc&orderBy=desc", 400, "invalid data", ""},
			{"fields twice", "GET", "/orgs?fields=name&fields=type", 400, "invalid data", ""},
			{"fields twice of one object", "GET", "/orgs/dst-1?fields=name&fields=type", 400,
				"invalid data", ""},
			{"a limit of another spelling", "GET", "/orgs?limit=1e3", 400, "invalid data", ""},
			{"a limit with a fraction", "GET", "/orgs?limit=10.0", 400, "invalid data", ""},
			{"a limit by thousands", "GET", "/orgs?limit=1,000", 400, "invalid data", ""},
			{"an offset in hexadecimal", "GET", "/orgs?offset=0x10", 400, "invalid data", ""},
			{"a limit below zero", "GET", "/orgs?limit=-5&offset=6", 200, "sch-003", "7"},
			{"a limit that is a template", "GET", "/orgs?limit={{limit}}&offset=6", 200, "sch-003", "7"},
			{"Filter", "GET", "/users?Filter=role='student'", 400, "invalid data", ""},
			{"$filter", "GET", "/users?$filter=role='student'", 400, "invalid data", ""},
			{"filter[]", "GET", "/users?filter[]=role='student'", 400, "invalid data", ""},
			{"filter%5B0%5D", "GET", "/users?filter%5B0%5D=role='student'", 400, "invalid data", ""},
			{"LIMIT", "GET", "/users?LIMIT=1", 400, "invalid data", ""},
			{"orderby", "GET", "/orgs?sort=name&orderby=desc", 400, "invalid data", ""},
			{"a parameter that nobody knows", "GET", "/orgs?ext_basic=True&$top=1&limit=1", 200, "dst-1",
				"7"},
			{"long URL", "GET", "/users?x=" + strings.Repeat("y", 20000), 414, "invalid data", ""},
		} {
			status, header, body := s.call(c.method, c.target, "")
			if status != c.status {
				t.Errorf("%s: %d %s", c.name, status, body)
				continue
			}
			if status != 200 {
				if !strings.Contains(string(body), `"imsx_codeMinor":"`+c.want+`"`) {
					t.Errorf("%s: %s", c.name, body)
				}
				continue
			}
			if got := strings.Join(ids(t, body), " "); got != c.want ||
				header.Get("X-Total-Count") != c.total {
				t.Errorf("%s: %q of %s, want %q of %s", c.name, got, header.Get("X-Total-Count"), c.want,
					c.total)
			}
		}
	})
}

// What comes in a request line or a Host header leaves a Link header and the
// references whole, and in ASCII.
func TestAddressesAreClean(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	host := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct{ line, host, link, href string }{
		{"/orgs?limit=1&filter=name!='Zoë,<x>'", "Host: roster.example\r\n", "http://roster.example/ims/",
			"http://roster.example/ims/"},
		{"/orgs?limit=1", "", "http://" + host + "/ims/", "http://" + host + "/ims/"},
		{"/orgs?limit=1", "Host: a<b>\"c\r\n", "http://" + host + "/ims/", "http://" + host + "/ims/"},
		{"/orgs?limit=1", "Host: [::1]:8080\r\n", "http://[::1]:8080/ims/", "http://[::1]:8080/ims/"},
	} {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s%s HTTP/1.0\r\n%sAuthorization: Bearer %s\r\n\r\n", oneroster.V1p1.Base,
			c.line, c.host, s.token)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(c, err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = conn.Close()
		link := answer.Header.Get("Link")
		ascii := !strings.ContainsFunc(link, func(r rune) bool { return r > 126 || r < 32 })
		if answer.StatusCode == 400 && strings.ContainsAny(c.host, "<>") {
			continue // Go's own server refuses such a host
		}
		if answer.StatusCode != 200 || !ascii || !strings.HasPrefix(link, "<"+c.link) ||
			!strings.Contains(string(body), `"href":"`+c.href) {
			t.Errorf("%q %q: %d %s\n%s", c.line, c.host, answer.StatusCode, link, body)
		}
	}
}

// Following next meets every object once, arrives at last text for text, and
// keeps the filter.
func TestLinksWalkTheWholeList(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := serve(t, dsn, oneroster.Scopes())
		seen := map[string]bool{}
		target := "/users?limit=7&filter=role='student'&fields=sourcedId,role"
		for n := 0; target != ""; n++ {
			_, header, body := s.call("GET", target, "")
			for _, id := range ids(t, body) {
				if seen[id] {
					t.Fatalf("%s came twice", id)
				}
				seen[id] = true
			}
			rels := map[string]string{}
			for _, part := range strings.Split(header.Get("Link"), ",") {
				link, rel, _ := strings.Cut(strings.TrimSpace(part), ">; rel=")
				rels[strings.Trim(rel, `"`)] = strings.TrimPrefix(link, "<"+s.URL+oneroster.V1p1.Base)
			}
			if rels["next"] == "" && rels["last"] != target {
				t.Errorf("the walk ended at %s, last is %s", target, rels["last"])
			}
			target = rels["next"]
		}
		if len(seen) != 90 {
			t.Errorf("%d students", len(seen))
		}
	})
}

func TestWhoMayDoWhat(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := serve(t, dsn, []string{oneroster.RosterCore})
		for _, c := range []struct {
			target, token string
			status        int
		}{
			{"/users", s.token, 200},
			{"/schools/sch-001/classes", s.token, 200},
			{"/classes/cls-001-001-1/enrollments", s.token, 200},
			{"/categories", s.token, 403},
			{"/demographics", s.token, 403},
			{"/users", "", 401},
			{"/users", s.token[:len(s.token)-4] + "AAAA", 401},
			{"/users", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0ZXIifQ.", 401},
		} {
			token := s.token
			s.token = c.token
			status, header, body := s.call("GET", c.target, "")
			s.token = token
			if status != c.status || (status == 401) != strings.HasPrefix(header.Get("WWW-Authenticate"),
				`Bearer realm="rollbook"`) && status != 403 {
				t.Errorf("%s: %d, want %d: %v %s", c.target, status, c.status, header, body)
			}
		}
		for _, id := range []string{"no\x00body", "no\xffbody"} {
			r, _ := http.NewRequest("POST", s.URL+"/token", nil)
			r.SetBasicAuth(id, "x")
			if status, _, body := s.do(r); status != 401 {
				t.Errorf("client id %q: %d %s", id, status, body)
			}
			r, _ = http.NewRequest("GET", s.URL+oneroster.V1p1.Base+"/users", nil)
			auth.Sign(r, id, "x", "HMAC-SHA1", "n", time.Now())
			if status, _, body := s.do(r); status != 401 {
				t.Errorf("consumer key %q: %d %s", id, status, body)
			}
		}
		r, _ := http.NewRequest("GET",
			s.URL+oneroster.V1p1.Base+"/users?limit=1&filter=status%3D%27active%27", nil)
		auth.Sign(r, s.id, s.secret, "HMAC-SHA256", "once", time.Now())
		if status, _, body := s.do(r); status != 200 {
			t.Errorf("signed: %d %s", status, body)
		}
		if status, _, _ := s.do(r); status != 401 {
			t.Errorf("a nonce used twice: %d", status)
		}
	})
}

func TestGradesComeAndGo(t *testing.T) {
	result := func(members string) string {
		return `{"result":{"lineItem":{"sourcedId":"g1"},"student":{"sourcedId":"a1"},` + members + `}}`
	}
	lineItem := func(members string) string {
		return `{"lineItem":{"class":{"sourcedId":"cls-001-001-1"},` + members + `}}`
	}
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := serve(t, dsn, oneroster.Scopes())
		for _, c := range []struct {
			method, target, body string
			status               int
			want                 string
		}{
			{"PUT", "/lineitems/g1", `{"lineItem":{"title":"Essay","class":{"sourcedId":"cls-001-001-1"},"dueDate":"{{x}}","assignDate":"2026-11-01T10:00:00.1234567Z","resultValueMin":"0","resultValueMax":100}}`, 201, `"category":{"href"`},
			{"PUT", "/categories/a%2Fb%20%C3%A9",
				`{"category":{"title":"Slash","metadata":{"x":"\u0000\u001f"}}}`, 201, `"sourcedId":"a/b é"`},
			{"GET", "/categories/a%2Fb%20%C3%A9", "", 200, `"title":"Slash"`},
			{"PUT", "/categories/%00", `{"category":{"title":"NUL"}}`, 400, "control characters"},
			{"PUT", "/lineItems/g1", `{"lineItem":{"title":"Essay 2","class":{"sourcedId":"cls-001-001-1"},"gradingPeriod":""}}`, 200, `"gradingPeriod":{"href"`},
			{"PUT", "/lineItems/g2", `{"lineItem":{"title":"Essay","class":{"sourcedId":"none"}}}`, 422,
				"there is no class"},
			{"PUT", "/lineItems/g2", `{"result":{"title":"Essay"}}`, 400, "wrap it in"},
			{"PUT", "/lineItems/g2", `{"lineItem":`, 400, "not"},
			{"PUT", "/results/r1", `{"result":{"lineItem":{"sourcedId":"g1"},"student":{"sourcedId":"a1"},"score":"300","scoreDate":"2026-11-02T10:00:00Z","comment":""}}`, 201, `"score":300,"scoreDate":"2026-11-02"`},
			{"PUT", "/results/r2", `{"result":{"lineItem":{"sourcedId":"g1"},"student":{"sourcedId":"a1"},"score":"many"}}`, 400, "not a number"},
			{"PUT", "/results/r2", result(`"score":"1_000"`), 400, "not a number"},
			{"PUT", "/results/r2", result(`"score":"0x1p4"`), 400, "not a number"},
			{"PUT", "/results/r2", result(`"score":"NaN"`), 400, "not a number"},
			{"PUT", "/results/r2", result(`"score":1e400`), 400, "not a number"},
			{"PUT", "/results/r2", result(`"score":7,"score":8`), 400, `\"score\" comes twice`},
			{"PUT", "/results/r2", result(`"score":7,"scoreStatus":"excused"`), 400, "not one of exempt"},
			{"PUT", "/results/r2", result(`"scoreStatus":"fully graded"`), 422, "goes with a score"},
			{"PUT", "/results/r2", result(`"score":7,"scoreDate":"11/20/2026"`), 400, "scoreDate:"},
			{"PUT", "/results/r2", result(`"score":7,"status":"tobedeleted"`), 400, "send DELETE"},
			{"PUT", "/results/r2", result(`"score":7,"comment":"\ud83d"`), 400, "half of a character"},
			{"PUT", "/results/r2", result(`"score":7,"comment":"caf` + "\xe9" + `"`), 400, "not UTF-8"},
			{"PUT", "/results/r2", result(`"score":7,"metadata":"x"`), 400, "metadata"},
			{"PUT", "/results/r3", "\ufeff" +
				result(`"score":7,"comment":"\\ud83d one\r\ntwo\t\ud83d\ude00"`), 201,
				`"comment":"\\ud83d one two 😀"`},
			{"PUT", "/results/r3", result(`"score":7,"status":"active","scoreDate":"2026-11-20T00:30:00+02:00"`), 200,
				`"scoreDate":"2026-11-20"`},
			{"PUT", "/results/r3", result(`"score":7,"scoreStatus":"{{status}}","scoreDate":"{{scoredate}}"`), 200,
				`"fully graded","score":7`},
			{"PUT", "/results/r4", result(`"score":null,"scoreStatus":"exempt"`), 201,
				`"scoreStatus":"exempt","score":0`},
			{"PUT", "/results/r5", result(`"comment":"none yet"`), 201,
				`"scoreStatus":"not submitted","score":0`},
			{"PUT", "/lineItems/g2", lineItem(`"title":" \t "`), 400, "title: is blank"},
			{"PUT", "/lineItems/g2", lineItem(`"title":"x","dueDate":"tomorrow"`), 400, "dueDate:"},
			{"PUT", "/lineItems/g2", lineItem(`"title":"x","gradingPeriod":{"href":"http://x/y"}`), 400,
				"gradingPeriod:"},
			{"PUT", "/lineItems/g2", lineItem(`"title":"x","gradingPeriod":{"sourcedid":"p"}`), 400,
				"gradingPeriod:"},
			{"PUT", "/lineItems/g2", lineItem(`"title":"\u200b\ufeff"`), 400, "title: is blank"},
			{"PUT", "/lineItems/g2", lineItem(`"title":"x","metadata":{"a":"1","a":"2"}`), 400,
				"comes twice"},
			{"PUT", "/lineItems/g2", lineItem(`"title":"x","category":{"sourcedId":"a","sourcedId":"b"}`),
				400, "comes twice"},
			{"PUT", "/lineItems/g3", lineItem(`"title":"x","metadata":{"a":["a","a",{"a":1}],"b":{"a":"a"}}`), 201,
				"metadata"},
			{"PUT", "/lineItems/g2", lineItem(`"title":"x","gradingPeriod":{},"category":{"sourcedId":null}`), 201,
				`"gradingPeriod":{"href"`},
			{"GET", "/classes/cls-001-001-1/lineItems/g1/results", "", 200, `"sourcedId":"r1"`},
			{"DELETE", "/lineItems/g1", "", 204, ""},
			{"DELETE", "/lineItems/g1", "", 404, "unknown object"},
			{"GET", "/results/r1", "", 404, "unknown object"},
			{"GET", "/results?filter=status='tobedeleted'", "", 200,
				`"sourcedId":"r1","status":"tobedeleted"`},
			{"PUT", "/lineItems/g1", `{"lineItem":{"title":"Again","class":{"sourcedId":"cls-001-001-1"}}}`,
				201, `"status":"active"`},
			{"DELETE", "/categories/cat-001-001-1", "", 204, ""},
			{"GET", "/lineItems/g1", "", 200, `"sourcedId":"cat-1"`},
		} {
			status, _, body := s.call(c.method, c.target, c.body)
			if status != c.status || !strings.Contains(string(body), c.want) {
				t.Errorf("%s %s %s:\n%d %s\nwant %d %s", c.method, c.target, c.body, status, body, c.status,
					c.want)
			}
		}
	})
}

func TestThreeHundredGradesAtOnce(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := serve(t, dsn, oneroster.Scopes())
		var wait sync.WaitGroup
		many := storetest.Tries(300)
		for n := range many {
			wait.Go(func() {
				body := fmt.Sprintf(`{"result":{"lineItem":{"sourcedId":"itm-001-001-1-1"},"student":{"sourcedId":"a1"},"score":%d}}`, n)
				if status, _, answer := s.call("PUT", fmt.Sprintf("/results/many-%d", n),
					body); status != 201 {
					t.Errorf("%d %s", status, answer)
				}
			})
		}
		wait.Wait()
		_, header, _ := s.call("GET", "/results?filter="+url.QueryEscape("sourcedId~'many-'"), "")
		if header.Get("X-Total-Count") != fmt.Sprint(many) {
			t.Errorf("%s of %d were kept", header.Get("X-Total-Count"), many)
		}
	})
}

// compareGolden holds got equal to a file, which -update writes.
func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range gotLines {
		if i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Errorf("%s: line %d is now %.400s (make docs writes it anew; read the difference): %v", path,
				i+1, gotLines[i], err)
			return
		}
	}
	t.Errorf("%s has more than is there now", path)
}

func TestDocs(t *testing.T) {
	for name, want := range map[string][]byte{"openapi.json": rest.OpenAPI(oneroster.V1p1),
		"endpoints.md": rest.Endpoints(oneroster.V1p1)} {
		compareGolden(t, filepath.Join("..", "..", "docs", name), want)
	}
}

// The flags of users (special education, free lunch) are for a client that holds
// them beside demographics; for any other they are nowhere: not in what is served,
// not in what can be asked for.
func TestFlagsAreForWhoMaySeeThem(t *testing.T) {
	for name, c := range map[string]struct {
		scopes []string
		sees   bool
	}{
		"every scope":          {oneroster.Scopes(), false},
		"without demographics": {[]string{oneroster.RosterCore, oneroster.Flags}, false},
		"both": {[]string{oneroster.RosterCore, oneroster.Demographics, oneroster.Flags},
			true},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Engines(t, func(t *testing.T, dsn string) {
				s := serve(t, dsn, c.scopes)
				for _, target := range []string{"/users", "/users?fields=metadata", "/students",
					"/schools/sch-001/students", "/users?sort=metadata.microsoft.userFlags"} {
					if _, _, body := s.call("GET", target, ""); strings.Contains(string(body),
						"microsoft.userFlags\":") != c.sees {
						t.Errorf("%v %s: %.300s", c.scopes, target, body)
					}
				}
				for _, filter := range []string{"metadata.microsoft.userFlags~'ELL'",
					"metadata.microsoft.userFlags!=''",
					"role='student' AND metadata.microsoft.userFlags='IEP'",
					"role='student' OR metadata.microsoft.userFlags>'A'"} {
					status, _, body := s.call("GET", "/users?filter="+url.QueryEscape(filter), "")
					if (status == 200) != c.sees || !c.sees && !strings.Contains(string(body),
						"invalid_filter_field") {
						t.Errorf("%v %s: %d %.300s", c.scopes, filter, status, body)
					}
				}
			})
		})
	}
}
