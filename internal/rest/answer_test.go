package rest_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// put is a body for PUT.
func put(wrapper string, members map[string]any) string {
	out, err := json.Marshal(map[string]any{wrapper: members})
	if err != nil {
		panic(err)
	}
	return string(out)
}

// No cache keeps an answer, and a refusal has the standard's shape with the id of
// the request.
func TestEveryAnswerIsPrivate(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	for _, c := range []struct {
		method, target, body string
		status               int
		minor, major, allow  string
	}{
		{"GET", "/orgs", "", 200, "", "", ""},
		{"GET", "/orgs/dst-1", "", 200, "", "", ""},
		{"HEAD", "/orgs", "", 200, "", "", ""},
		{"PUT", "/categories/c9", `{"category":{"title":"x"}}`, 201, "", "", ""},
		{"PUT", "/categories/c9", `{"category":{"title":"y"}}`, 200, "", "", ""},
		{"DELETE", "/categories/c9", "", 204, "", "", ""},
		{"DELETE", "/categories/c9", "", 404, "unknown object", "failure", ""},
		{"PUT", "/categories/c9", "{", 400, "invalid data", "failure", ""},
		{"PUT", "/lineItems/l9", `{"lineItem":{"title":"x","class":{"sourcedId":"none"}}}`, 422,
			"invalid data", "failure", ""},
		{"GET", "/orgs/none", "", 404, "unknown object", "failure", ""},
		{"GET", "/nothing", "", 404, "unknown object", "failure", ""},
		{"GET", "/orgs/dst-1/none/of/these", "", 404, "unknown object", "failure", ""},
		{"GET", "/orgs?filter=nosuch='1'", "", 400, "invalid_filter_field", "failure", ""},
		{"POST", "/users", "{}", 405, "unsupported", "unsupported", "GET, HEAD"},
		{"DELETE", "/users/a1", "", 405, "unsupported", "unsupported", "GET, HEAD"},
		{"PATCH", "/results/r1", "{}", 405, "unsupported", "unsupported", "DELETE, GET, HEAD, PUT"},
		{"PUT", "/categories/c9", `{"category":{"title":"` + strings.Repeat("x", 1<<20) + `"}}`, 413,
			"invalid data", "failure", ""},
		{"GET", "/orgs?x=" + strings.Repeat("y", 16<<10), "", 414, "invalid data", "failure", ""},
	} {
		status, header, body := s.call(c.method, c.target, c.body)
		name := fmt.Sprintf("%s %.40s", c.method, c.target)
		if cache := header.Get("Cache-Control"); status != c.status || !strings.Contains(cache,
			"no-store") || header.Get("Allow") != c.allow {
			t.Errorf("%s: %d, want %d; Cache-Control %q, Allow %q: %.200s", name, status, c.status, cache,
				header.Get("Allow"), body)
		}
		if c.minor == "" {
			continue
		}
		var answer struct{ StatusInfoSet []oneroster.StatusInfo }
		if err := json.Unmarshal(body, &answer); err != nil || len(answer.StatusInfoSet) != 1 ||
			header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v %v %s", name, err, header, body)
			continue
		}
		if i := answer.StatusInfoSet[0]; string(i.CodeMinor) != c.minor || i.CodeMajor != c.major ||
			i.Severity != "error" ||
			i.Message != header.Get("X-Request-Id") || i.Description == "" {
			t.Errorf("%s: %+v", name, i)
		}
	}
	for _, path := range []string{"/", "/healthz", "/readyz", "/openapi.json", "/.well-known/jwks.json",
		"/token", oneroster.V1p1.Base + "/users", "/x"} {
		r, _ := http.NewRequest("GET", s.URL+path, nil)
		r.Header.Set("Accept", "text/html")
		if status, header, _ := s.do(r); !strings.Contains(header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: %d, Cache-Control %q", path, status, header.Get("Cache-Control"))
		}
	}
}

// A body is read up to its bound, and a token request too; an id of a request is
// the caller's own where it is short and plain.
func TestRequestsAreBounded(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	for _, c := range []struct{ size, status int }{{1 << 20, 201}, {1<<20 + 1, 413}} {
		body := `{"category":{"title":"x"}}`
		if status, _, answer := s.call("PUT", "/categories/wide",
			body+strings.Repeat(" ", c.size-len(body))); status != c.status {
			t.Errorf("%d bytes: %d %s", c.size, status, answer)
		}
	}
	for _, c := range []struct{ size, status int }{{64 << 10, 200}, {64<<10 + 1, 413}} {
		form := "grant_type=client_credentials&x="
		r, _ := http.NewRequest("POST", s.URL+"/token",
			strings.NewReader(form+strings.Repeat("y", c.size-len(form))))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(s.id, s.secret)
		if status, _, answer := s.do(r); status != c.status {
			t.Errorf("a token request of %d bytes: %d %s", c.size, status, answer)
		}
	}
	for id, kept := range map[string]bool{"abc-9_Z": true, "azAZ09": true,
		"`": false, "{": false, "@": false, "[": false, "/": false, ":": false,
		strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false,
		"a b": false, `a"b`: false, "<x>": false, "é": false} {
		r, _ := http.NewRequest("GET", s.URL+"/healthz", nil)
		r.Header.Set("X-Request-Id", id)
		if _, header, _ := s.do(r); (header.Get("X-Request-Id") == id) != kept || header.Get("X-Request-Id") == "" {
			t.Errorf("%q came back as %q", id, header.Get("X-Request-Id"))
		}
	}
}

// A service whose database is gone says so, to be asked again later; why is for its
// log.
func TestFailuresKeepTheirReason(t *testing.T) {
	var written bytes.Buffer
	var kept *store.Store
	s := serveDistrict(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes(), 90, func(c *rest.Config) {
		kept, c.Log = c.Store, slog.New(slog.NewTextHandler(&written, nil))
	})
	if status, _, body := s.call("GET", "/orgs/dst-1", ""); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/orgs", ""}, {"GET", "/orgs/dst-1", ""}, {"HEAD", "/orgs", ""}, {"DELETE", "/categories/cat-1", ""},
		{"PUT", "/categories/c1", `{"category":{"title":"x"}}`},
	} {
		status, header, body := s.call(c.method, c.target, c.body)
		if status < 500 || header.Get("Retry-After") == "" || bytes.Contains(body, []byte("sql")) || bytes.Contains(body, []byte("closed")) {
			t.Errorf("%s %s: %d %v %s", c.method, c.target, status, header, body)
		}
	}
	r, _ := http.NewRequest("GET", s.URL+"/readyz", nil)
	if status, header, body := s.do(r); status != 503 || header.Get("Retry-After") == "" || bytes.Contains(body, []byte("closed")) {
		t.Errorf("readyz: %d %v %s", status, header, body)
	}
	s.Close()
	if !strings.Contains(written.String(), "closed") {
		t.Errorf("the log does not tell:\n%s", written.String())
	}
}

// A table that is gone is told to nobody but the log.
func TestBrokenTableIsNotTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	s := serve(t, path, oneroster.Scopes())
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`ALTER TABLE "categories" RENAME TO "gone"`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/categories", ""}, {"GET", "/categories/cat-1", ""}, {"DELETE", "/categories/cat-1", ""},
		{"PUT", "/categories/c1", `{"category":{"title":"x"}}`},
	} {
		status, header, body := s.call(c.method, c.target, c.body)
		if status != 500 || header.Get("Retry-After") == "" || bytes.Contains(body, []byte("no such table")) ||
			bytes.Contains(body, []byte("SQL")) {
			t.Errorf("%s %s: %d %v %s", c.method, c.target, status, header, body)
		}
	}
}

// rels are the links of a page by name, without the base URL.
func (s *service) rels(header http.Header) map[string]string {
	out := map[string]string{}
	for _, part := range strings.Split(header.Get("Link"), ", ") {
		if link, rel, ok := strings.Cut(part, ">; rel="); ok {
			out[strings.Trim(rel, `"`)] = strings.TrimPrefix(link, "<"+s.URL+oneroster.V1p1.Base+"/orgs")
		}
	}
	return out
}

// A page, and its links, at every offset of the 7 orgs and beyond.
func TestLinksOfAPage(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	_, _, body := s.call("GET", "/orgs", "")
	all := ids(t, body)
	for limit := 1; limit <= 8; limit++ {
		for offset := 0; offset <= 9; offset++ {
			status, header, body := s.call("GET", fmt.Sprintf("/orgs?limit=%d&offset=%d", limit, offset), "")
			got, want := strings.Join(ids(t, body), " "), strings.Join(all[min(offset, 7):min(offset+limit, 7)], " ")
			if status != 200 || got != want || header.Get("X-Total-Count") != "7" {
				t.Errorf("limit %d, offset %d: %d %s of %s", limit, offset, status, got, header.Get("X-Total-Count"))
			}
			at := func(offset int) string { return fmt.Sprintf("?limit=%d&offset=%d", limit, offset) }
			links := map[string]string{"first": at(0)}
			last := offset // where following next arrives, from here or from the pages before
			for last >= 7 && last > 0 {
				last = max(0, last-limit)
			}
			for last+limit < 7 {
				last += limit
			}
			if offset%limit >= 7 {
				last = 0
			}
			links["last"] = at(last)
			if offset+limit < 7 {
				links["next"] = at(offset + limit)
			}
			if offset > 0 {
				links["prev"] = at(max(0, offset-limit))
			}
			if got := fmt.Sprint(s.rels(header)); got != fmt.Sprint(links) {
				t.Errorf("limit %d, offset %d:\n got %s\nwant %s", limit, offset, got, links)
			}
		}
	}
	_, header, _ := s.call("GET", "/orgs?filter=name='none'", "")
	if header.Get("Link") != "" || header.Get("X-Total-Count") != "0" {
		t.Errorf("nothing: %v", header)
	}
	_, header, _ = s.call("GET", "/orgs?limit=999999&sort=name&x=1", "")
	if got := s.rels(header)["first"]; got != "?limit=50000&sort=name&x=1&offset=0" {
		t.Errorf("first %s", got)
	}
}

// Pages of a list in which most records tie meet each once.
func TestPagesThatCutATie(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	for _, sort := range []string{"role", "role&orderBy=desc", "status", "middleName&orderBy=desc"} {
		_, _, body := s.call("GET", "/users?limit=1000&sort="+sort, "")
		want := ids(t, body)
		var got []string
		for offset := 0; offset < len(want); offset += 7 {
			_, _, body := s.call("GET", fmt.Sprintf("/users?limit=7&offset=%d&sort=%s", offset, sort), "")
			got = append(got, ids(t, body)...)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") || len(want) < 90 {
			t.Errorf("%s: %d in pages, %d in one:\n%s\n%s", sort, len(got), len(want), got, want)
		}
	}
}

// An address that could end a header or a reference, or that nobody vouches for, is
// in no answer.
func TestHostsThatAreNone(t *testing.T) {
	trusting := map[bool]http.Handler{}
	s := serveDistrict(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes(), 30, func(c *rest.Config) {
		for _, c.TrustProxy = range []bool{true, false} {
			trusting[c.TrustProxy] = rest.New(*c)
		}
	})
	for _, c := range []struct {
		trust                  bool
		host, forwarded, proto string
		want                   string
	}{
		{false, "roster.example:8080", "", "", "http://roster.example:8080/"},
		{false, "roster.example", "evil.example", "", "http://roster.example/"},
		{false, "roster.example", "", "https", "http://roster.example/"},
		{true, "roster.example", "public.example", "https", "https://public.example/"},
		{true, "roster.example", "public.example, inner.example", "https, http", "https://public.example/"},
		{true, "roster.example", `a"b`, "", "http://roster.example/"},
		{true, "roster.example", "a<b>", "", "http://roster.example/"},
		{true, "roster.example", "a\rb", "", "http://roster.example/"},
		{true, "roster.example", "evil.example/x", "", "http://roster.example/"},
		{true, "roster.example", "user@evil.example", "", "http://roster.example/"},
		{true, "roster.example", "public.example", "javascript", "http://public.example/"},
		{false, `a"b`, "", "", "http://localhost/"},
		{false, "a<b>", "", "", "http://localhost/"},
		{false, "a\r\nX: y", "", "", "http://localhost/"},
		{false, "a b", "", "", "http://localhost/"},
		{false, "ö.example", "", "", "http://localhost/"},
		{false, "evil.example/x?", "", "", "http://localhost/"},
		{false, "", "", "", "http://localhost/"},
	} {
		r := httptest.NewRequest("GET", oneroster.V1p1.Base+"/orgs?limit=2", nil)
		r.Host = c.host
		r.Header.Set("Authorization", "Bearer "+s.token)
		r.Header["X-Forwarded-Host"], r.Header["X-Forwarded-Proto"] = []string{c.forwarded}, []string{c.proto}
		w := httptest.NewRecorder()
		trusting[c.trust].ServeHTTP(w, r)
		if body := w.Body.String(); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Link"), "<"+c.want+"ims/") ||
			strings.Count(body, `"href":"`) == 0 || strings.Count(body, `"href":"`) != strings.Count(body, `"href":"`+c.want+"ims/") {
			t.Errorf("%+v: %d %s\n%s", c, w.Code, w.Header().Get("Link"), body)
		}
	}
}

// A reference leads to the object that it names, whatever is in the sourcedId.
func TestReferencesLeadThere(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	for n, id := range []string{".", "..", "...", "a/b", "a%2Fb", "50%", "a?b", "a#b", "a+b", "a b", "a;b=c", `a"b\c`, "é", "/", "%2E", "a\u2028b"} {
		status, _, body := s.call("PUT", "/categories/"+oneroster.EscapeID(id), `{"category":{"title":"x"}}`)
		if status != 201 {
			t.Errorf("%q: %d %s", id, status, body)
			continue
		}
		status, _, body = s.call("PUT", fmt.Sprint("/lineItems/at-", n), put("lineItem", map[string]any{"title": "x",
			"class": map[string]any{"sourcedId": "cls-001-001-1"}, "category": map[string]any{"sourcedId": id}}))
		var item struct {
			LineItem struct {
				Category struct{ Href, SourcedID string }
			}
		}
		if err := json.Unmarshal(body, &item); err != nil || status != 201 || item.LineItem.Category.SourcedID != id {
			t.Errorf("%q: %d %s %v", id, status, body, err)
			continue
		}
		from, err := url.Parse(s.URL + oneroster.V1p1.Base + "/")
		if err != nil {
			t.Fatal(err)
		}
		to, err := from.Parse(item.LineItem.Category.Href) // resolves dots as a client does
		if err != nil {
			t.Errorf("%q: %v", id, err)
			continue
		}
		status, _, body = s.call("GET", strings.TrimPrefix(to.EscapedPath(), oneroster.V1p1.Base), "")
		var there struct{ Category struct{ SourcedID string } }
		if err := json.Unmarshal(body, &there); err != nil || status != 200 || there.Category.SourcedID != id {
			t.Errorf("%q: %s leads to %d %s", id, item.LineItem.Category.Href, status, body)
		}
	}
}

// The path says which object, the server says when and whether; what nobody knows
// is passed over, and what a second PUT leaves out is gone.
func TestPutKeepsToItsPath(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	result := func(more map[string]any) string {
		members := map[string]any{"lineItem": map[string]any{"sourcedId": "itm-001-001-1-1"}, "student": map[string]any{"sourcedId": "a1"},
			"sourcedId": "other", "status": "active", "dateLastModified": "1999-01-01T00:00:00.000Z", "unknown": []int{1}}
		for k, v := range more {
			members[k] = v
		}
		return put("result", members)
	}
	for n, more := range []map[string]any{{"score": 7, "comment": "kept"}, {"score": 8}, {"score": 8}, {"score": 9, "sourcedId": nil}} {
		status, _, body := s.call("PUT", "/results/mine", result(more))
		var answer struct{ Result map[string]any }
		if err := json.Unmarshal(body, &answer); err != nil || status != map[bool]int{true: 201, false: 200}[n == 0] {
			t.Fatalf("%d %s %v", status, body, err)
		}
		got := answer.Result
		modified, _ := got["dateLastModified"].(string)
		if got["sourcedId"] != "mine" || got["status"] != "active" || !strings.HasPrefix(modified, "2026-11-24T") || got["unknown"] != nil ||
			got["score"] != float64(more["score"].(int)) || got["comment"] != more["comment"] {
			t.Errorf("%v: %s", more, body)
		}
		if _, _, stored := s.call("GET", "/results/mine", ""); string(stored) != string(body) {
			t.Errorf("answered %s\nstored %s", body, stored)
		}
	}
	if status, _, body := s.call("GET", "/results/other", ""); status != 404 {
		t.Errorf("the body's id: %d %s", status, body)
	}
	s.call("DELETE", "/results/mine", "")
	if status, _, body := s.call("PUT", "/results/mine", result(nil)); status != 201 {
		t.Errorf("again after DELETE: %d %s", status, body)
	}
}

// breaking is a connection that breaks after so many bytes, or that shows a mistake
// of ours there.
type breaking struct {
	*httptest.ResponseRecorder
	left    int
	mistake bool
}

func (b *breaking) Write(part []byte) (int, error) {
	if b.left -= len(part); b.left >= 0 {
		return b.ResponseRecorder.Write(part)
	}
	if b.mistake {
		panic("a mistake")
	}
	return 0, io.ErrClosedPipe
}

// After its first byte an answer that breaks off is aborted, so that no reader
// takes it for whole.
func TestWhatBreaksOffIsAborted(t *testing.T) {
	var handler http.Handler
	with := func(c *rest.Config) { handler = rest.New(*c) }
	s := serveDistrict(t, storetest.SQLite(t), oneroster.Scopes(), 200, with)
	for _, c := range []struct {
		left    int
		mistake bool
		want    any
	}{{1 << 30, false, nil}, {100 << 10, false, http.ErrAbortHandler}, {100 << 10, true, http.ErrAbortHandler}} {
		r := httptest.NewRequest("GET", oneroster.V1p1.Base+"/enrollments?limit=50000", nil)
		r.Header.Set("Authorization", "Bearer "+s.token)
		w := &breaking{httptest.NewRecorder(), c.left, c.mistake}
		got := func() (broken any) {
			defer func() { broken = recover() }()
			handler.ServeHTTP(w, r)
			return nil
		}()
		if got != c.want || c.want != nil && json.Valid(w.Body.Bytes()) {
			t.Errorf("%+v: ended with %v, %d bytes", c, got, w.Body.Len())
		}
	}
}
