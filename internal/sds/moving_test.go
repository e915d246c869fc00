package sds_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/mirror"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/sds"
	"rollbook/internal/wire"
)

// A shelf is a small provider of somebody else's: thirty users by dateLastModified, and one of
// everything else.
type shelf struct {
	lists map[string]rows
	asked int // pages of users
	// after is told of each page of users that was written, edit may change it.
	after func(s *shelf)
	edit  func(r *http.Request, head http.Header, page rows) rows
}

const day = "2026-03-01T08:00:00.000Z"

func newShelf() *shelf {
	one := func(id string, more map[string]any) map[string]any {
		o := map[string]any{"sourcedId": id, "status": "active", "dateLastModified": day}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	to := func(id, kind string) any { return map[string]any{"sourcedId": id, "type": kind, "href": "x"} }
	s := &shelf{lists: map[string]rows{
		"/orgs":             {one("o", map[string]any{"name": "School", "type": "school"})},
		"/academicSessions": {one("s", map[string]any{"title": "Year", "type": "schoolYear"})},
		"/classes":          {one("c", map[string]any{"title": "Class", "school": to("o", "org")})},
		"/courses":          {one("k", map[string]any{"title": "Course"})},
		"/enrollments": {one("e", map[string]any{"role": "student", "user": to("u00", "user"),
			"class":  to("c", "class"),
			"school": to("o", "org")})},
	}}
	for i := range 30 {
		s.lists["/users"] = append(s.lists["/users"], one(fmt.Sprintf("u%02d", i), map[string]any{
			"dateLastModified": fmt.Sprintf("2026-03-01T08:00:%02d.000Z", i), "role": "student",
			"username":  fmt.Sprint(i),
			"givenName": "A", "familyName": "B", "email": fmt.Sprintf("%d@example.org", i), "enabledUser": "true",
			"orgs": []any{to("o", "org")}}))
	}
	return s
}

// touch changes a user now.
func (s *shelf) touch(n int, change map[string]any) {
	u := s.lists["/users"][n]
	u["dateLastModified"] = oneroster.FormatTime(time.Now())
	for k, v := range change {
		u[k] = v
	}
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, below := strings.CutPrefix(r.URL.Path, oneroster.V1p1.Base)
	if !below {
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
		return
	}
	q := r.URL.Query()
	stamp := func(o map[string]any) string { return o["dateLastModified"].(string) }
	selected := rows{}
	for _, o := range s.lists[path] {
		since, delta := strings.CutPrefix(q.Get("filter"), "dateLastModified>")
		if delta && stamp(o) > strings.Trim(since, "'") || !delta && strings.EqualFold(o["status"].(string),
			"active") {
			selected = append(selected, o)
		}
	}
	slices.SortStableFunc(selected, func(a, b map[string]any) int { return cmp.Compare(stamp(a), stamp(b)) })
	offset, _ := strconv.Atoi(q.Get("offset"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	page := selected[min(offset, len(selected)):min(offset+limit, len(selected))]
	w.Header().Set("X-Total-Count", strconv.Itoa(len(selected)))
	if s.edit != nil {
		if page = s.edit(r, w.Header(), page); page == nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}
	body, _ := json.Marshal(map[string]rows{strings.TrimPrefix(path, "/"): page})
	_, _ = w.Write(body)
	if path == "/users" {
		if s.asked++; s.after != nil {
			s.after(s)
		}
	}
}

// pull makes a run of pages of ten, and tells the ids of the users that the mirror shows.
func (s *shelf) pull(t *testing.T, file string, found func(quality.Finding) error) (sds.Report, []string,
	error) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	at, _ := url.Parse(server.URL)
	at.Host = "shelf.example.org" // the mirror is of one provider, whichever port it has
	p, err := provider.New(provider.Config{URL: server.URL + oneroster.V1p1.Base, TokenURL: server.URL +
		"/token",
		Client: "sds", Secret: "secret", Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mirror.Open(t.Context(), file, at.String(), "current")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r, failed := sds.Run(t.Context(), sds.Options{Provider: p, Mirror: m, Limit: 10, Courses: true, Shrink: 100,
		MatchStaff: "email", MatchStudents: "email", Found: found})
	var ids []string
	if err := m.Each(t.Context(), oneroster.ByName("user"), func(o wire.Object) error {
		ids = append(ids, o.ID())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return r, slices.Compact(ids), failed
}

// Whatever a list does while it is read, or says of itself, no user is lost, nobody is accused of what
// is no mistake, and what cannot be told is noted.
func TestUsersAreNotLost(t *testing.T) {
	users := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/users") }
	offset := func(r *http.Request) int {
		n, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		return n
	}
	active := func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "active") }
	for name, c := range map[string]struct {
		after func(s *shelf)
		edit  func(r *http.Request, head http.Header, page rows) rows
		users int    // that are shown; 0 is all
		note  string // that must be there
		err   string
	}{
		"a user who moves from the first page to the last": {after: func(s *shelf) {
			if s.asked == 1 {
				s.touch(3, map[string]any{"givenName": "Moved"})
			}
		}},
		"a user who moves, of a list without counts": {after: func(s *shelf) {
			if s.asked == 1 {
				s.touch(3, map[string]any{"givenName": "Moved"})
			}
		}, edit: func(_ *http.Request, head http.Header, page rows) rows {
			head.Del("X-Total-Count")
			return page
		}, note: "no X-Total-Count in digits"},
		"users who move in every walk": {after: func(s *shelf) {
			if s.asked%5 == 2 {
				s.touch(s.asked%7, nil)
			}
		}, note: "changed each of the 3 times"},
		"a page that its filter leaves empty": {edit: func(r *http.Request, head http.Header, page rows) rows {
			head.Del("X-Total-Count")
			if users(r) && offset(r) < 30 {
				head.Set("Link", `<http://x.example/users>; rel="next"`)
			}
			if users(r) && offset(r) == 10 {
				return rows{}
			}
			return page
		}, users: 20, note: "the page at offset 10 has no rows, and links to a next one"},
		"a count on the first page alone": {edit: func(r *http.Request, head http.Header, page rows) rows {
			if offset(r) > 0 {
				head.Del("X-Total-Count")
			}
			if users(r) && offset(r) > 20 && active(r) {
				return rows{}
			} else if users(r) && offset(r) == 20 && active(r) {
				return page[:9]
			}
			return page
		}, err: "says by X-Total-Count that it has 30 rows, and gave 29"},
		"a count of all rows, whatever the filter": {edit: func(_ *http.Request, head http.Header, page rows) rows {
			if len(page) == 0 {
				head.Set("X-Total-Count", "30")
			}
			return page
		}},
		"what only this asks is refused": {edit: func(r *http.Request, _ http.Header, page rows) rows {
			if !active(r) {
				return nil
			}
			return page
		}, note: "cannot be asked what changed while it was read"},
		"stamps in local time": {edit: func(_ *http.Request, _ http.Header, page rows) rows {
			out := rows{}
			for _, o := range page {
				o = maps.Clone(o)
				o["dateLastModified"] = strings.TrimSuffix(o["dateLastModified"].(string), "Z")
				out = append(out, o)
			}
			return out
		}},
	} {
		s := newShelf()
		s.after, s.edit = c.after, c.edit
		var accused []string
		r, ids, err := s.pull(t, filepath.Join(t.TempDir(), "m.db"), func(f quality.Finding) error {
			if f.Rule.ID == "SDS-G01" || f.Rule.ID == "SDS-G03" && f.Rule.Severity <= quality.Error {
				accused = append(accused, f.Rule.ID+" "+f.Text)
			}
			return nil
		})
		if want := cmp.Or(c.users, 30); c.err == "" && len(ids) != want {
			t.Errorf("%s: %d users, not %d: %v", name, len(ids), want, ids)
		}
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v", name, err)
		}
		if notes := strings.Join(r.Notes, "\n"); len(accused) > 0 || !strings.Contains(notes, c.note) ||
			c.note == "" && c.after == nil && notes != "" {
			t.Errorf("%s: accused of %v, notes %q", name, accused, r.Notes)
		}
	}
}

// What a delta brings is taken for what it says, in whatever letters, and what its filter does not
// select is told.
func TestDeltasAreHeldToTheirWord(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *shelf)
		edit   func(r *http.Request, head http.Header, page rows) rows
		note   string
		err    string
	}{
		"all enrollments are deleted, in other letters": {change: func(s *shelf) {
			s.lists["/enrollments"][0]["status"] = "ToBeDeleted"
			s.lists["/enrollments"][0]["dateLastModified"] = oneroster.FormatTime(time.Now())
		}, err: "the delta retires all 1 enrollments"},
		"the filter is passed over": {change: func(s *shelf) {
			s.edit = func(r *http.Request, head http.Header, page rows) rows {
				if path := strings.TrimPrefix(r.URL.Path, oneroster.V1p1.Base); path == "/users" {
					head.Set("X-Total-Count", "3")
					return s.lists[path][:3]
				}
				return page
			}
		}, note: "u00 came, which the filter dateLastModified>"},
	} {
		s, file := newShelf(), filepath.Join(t.TempDir(), "m.db")
		if _, _, err := s.pull(t, file, nil); err != nil {
			t.Fatal(err)
		}
		c.change(s)
		r, _, err := s.pull(t, file, nil)
		text := r.Stopped
		if err != nil {
			text += err.Error()
		}
		if c.err == "" != (err == nil) || !strings.Contains(text, c.err) ||
			!strings.Contains(strings.Join(r.Notes, "\n"), c.note) {
			t.Errorf("%s: %v, stopped %q, notes %q", name, err, r.Stopped, r.Notes)
		}
	}
}

// Where only several walks together brought as many users as are counted, the next run reads them
// whole: one that is gone may have been counted for one that never came.
func TestUnsureIsReadWhole(t *testing.T) {
	s, walks := newShelf(), 0
	var asked []string
	s.edit = func(r *http.Request, head http.Header, page rows) rows {
		filter := r.URL.Query().Get("filter")
		if !strings.HasSuffix(r.URL.Path, "/users") {
			return page
		}
		asked = append(asked, filter)
		switch r.URL.Query().Get("offset") {
		case "0":
			head.Set("X-Total-Count", "31") // and 30 on the next page: somebody is taken out
			walks++
		case "20":
			return slices.Delete(slices.Clone(page), walks%3, walks%3+1)
		}
		return page
	}
	file := filepath.Join(t.TempDir(), "m.db")
	r, ids, err := s.pull(t, file, nil)
	if err != nil || len(ids) != 30 || !strings.Contains(strings.Join(r.Notes, "\n"),
		"what slipped through comes with the next run, which reads it whole") {
		t.Fatalf("%d users, %q, %v", len(ids), r.Notes, err)
	}
	s.edit = func(r *http.Request, _ http.Header, page rows) rows {
		if strings.HasSuffix(r.URL.Path, "/users") {
			asked = append(asked, r.URL.Query().Get("filter"))
		}
		return page
	}
	asked = nil
	if _, ids, err := s.pull(t, file, nil); err != nil || len(ids) != 30 || len(asked) == 0 ||
		asked[0] != "status='active'" {
		t.Errorf("%d users, asked %q, %v", len(ids), asked, err)
	}
}
