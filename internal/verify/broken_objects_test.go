package verify_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"rollbook/internal/oneroster"
)

var brokenObjects = []broken{
	{name: "a single object is under the plural", check: "one.answer",
		spoil: single(func(r *oneroster.Route, m map[string]any) {
			m[r.Resource.Plural] = m[r.Resource.Wrapper()]
			delete(m, r.Resource.Wrapper())
		})},
	{name: "a school is under school", check: "one.answer",
		spoil: single(func(r *oneroster.Route, m map[string]any) {
			if r.Path == "/schools/{id}" {
				m["school"] = m["org"]
				delete(m, "org")
			}
		})},
	{name: "a single object is a list of one", check: "one.answer",
		spoil: single(func(r *oneroster.Route,
			m map[string]any) {
			m[r.Resource.Wrapper()] = []any{m[r.Resource.Wrapper()]}
		})},
	{name: "a single object is bare", check: "one.answer",
		spoil: single(func(r *oneroster.Route, m map[string]any) {
			o := m[r.Resource.Wrapper()].(map[string]any)
			delete(m, r.Resource.Wrapper())
			for k, v := range o {
				m[k] = v
			}
		})},
	{name: "a second key is beside the object", check: "one.answer",
		spoil: single(func(_ *oneroster.Route, m map[string]any) { m["ok"] = true })},
	{name: "a single object is null", check: "one.answer",
		spoil: single(func(r *oneroster.Route, m map[string]any) { m[r.Resource.Wrapper()] = nil })},
	{name: "another object comes", check: "one.answer",
		spoil: single(func(r *oneroster.Route, m map[string]any) {
			m[r.Resource.Wrapper()].(map[string]any)["sourcedId"] = "x"
		})},
	{name: "a single object is text/html", check: "one.answer",
		spoil: where(isSingle, func(a *answer) { a.header.Set("Content-Type", "text/html") })},
	{name: "single users are not served", check: "one.answer",
		spoil: where(func(r *http.Request) bool { return strings.HasPrefix(below(r), "/users/") },
			func(a *answer) { a.refuse(404) })},
	{name: "a single object lacks an attribute", check: "one.same",
		spoil: single(func(r *oneroster.Route, m map[string]any) {
			delete(m[r.Resource.Wrapper()].(map[string]any), "dateLastModified")
		})},
	{name: "a single object was modified at another time", check: "one.same",
		spoil: single(func(r *oneroster.Route, m map[string]any) {
			m[r.Resource.Wrapper()].(map[string]any)["dateLastModified"] = "2020-01-01T00:00:00.000Z"
		})},
	{name: "a single user has no agents", check: "one.same",
		spoil: single(func(r *oneroster.Route,
			m map[string]any) {
			delete(m[r.Resource.Wrapper()].(map[string]any), "agents")
		})},
	{name: "a single object has no total", check: "one.total",
		spoil: where(isSingle, func(a *answer) { a.header.Del("X-Total-Count") })},
	{name: "the total of a single object is zero", check: "one.total",
		spoil: where(isSingle, func(a *answer) { a.setTotal(0) })},
	{name: "a district is among the schools", check: "one.view",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if id, ok := strings.CutPrefix(below(r), "/schools/"); ok && a.status == 404 {
				*a = *ask(next, other(r, "/orgs/"+id, nil))
			}
		})},
	{name: "a teacher is no student, and that is 403", check: "one.view", cause: "error.unknown-id",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if strings.HasPrefix(below(r), "/students/") && a.status == 404 {
				a.refuse(403)
			}
		})},

	{name: "an unknown id is an empty object", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.say(200, "application/json", "{}") })},
	{name: "an unknown id is no content", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.say(204, "", "") })},
	{name: "an unknown id is a web page", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.say(404, "text/html", "<h1>Not found</h1>") })},
	{name: "what is deleted is active where it is read alone", check: "one.same",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if m := a.members(); isSingle(r) && m != nil {
				for _, v := range m {
					if o, is := v.(map[string]any); is && o["status"] == "tobedeleted" {
						o["status"] = "active"
					}
				}
				a.setMembers(m)
			}
		})},
	{name: "errors are answered 200", check: "error.status",
		spoil: answers(func(_ http.Handler, _ *http.Request, a *answer) {
			if a.status >= 400 {
				a.status = 200
			}
		})},
	{name: "an unknown id breaks", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.refuse(500) })},
	{name: "an unknown id is 400", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.refuse(400) })},
	{name: "an error has no body", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.body = nil })},
	{name: "an error is a message", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.body = []byte(`{"message":"not found"}`) })},
	{name: "an error has no codeMinor", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.drop("imsx_codeMinor") })},
	{name: "an error has no description", check: "error.unknown-id",
		spoil: unknown(func(a *answer) { a.drop("imsx_description") })},
	{name: "an error has no severity", check: "error.bad-filter", cause: "filter.unknown-field",
		spoil: where(bad, func(a *answer) { a.drop("imsx_severity") })},
	{name: "an error is a success", check: "error.bad-filter",
		spoil: where(bad, func(a *answer) {
			a.body = []byte(strings.ReplaceAll(string(a.body), "failure", "success"))
		})},
	{name: "a bad filter is text/plain", check: "error.bad-filter",
		spoil: where(bad, func(a *answer) { a.header.Set("Content-Type", "text/plain") })},
	{name: "a bad filter is told in a sentence", check: "error.bad-filter",
		spoil: where(bad, func(a *answer) { a.body = []byte("bad filter") })},
	{name: "a missing token is a web page", check: "error.no-token",
		spoil: where(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" },
			func(a *answer) { a.say(401, "text/html", "<h1>Log in</h1>") })},
	{name: "a missing token is no text at all", check: "error.no-token",
		spoil: where(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" },
			func(a *answer) { a.body = nil })},
}

func bad(r *http.Request) bool { return strings.Contains(r.URL.Query().Get("filter"), "noSuchField") }

// unknown answers otherwise where a single object was not found.
func unknown(edit func(a *answer)) spoiler {
	return answers(func(_ http.Handler, r *http.Request, a *answer) {
		if isSingle(r) && a.status == 404 {
			edit(a)
		}
	})
}

// drop leaves a member out of the first status information.
func (a *answer) drop(name string) {
	a.status = 200
	m := a.members()
	a.status = 404
	delete(m["statusInfoSet"].([]any)[0].(map[string]any), name)
	a.setMembers(m)
}

// single changes the answer of one object.
func single(edit func(r *oneroster.Route, members map[string]any)) spoiler {
	return answers(func(_ http.Handler, r *http.Request, a *answer) {
		if m := a.members(); isSingle(r) && m != nil {
			edit(routeOf(r), m)
			a.setMembers(m)
		}
	})
}

var brokenNested = []broken{
	{name: "a nested list is the whole collection", check: "nested.rows",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if isNested(r) {
				*a = *ask(next, other(r, "/"+routeOf(r).Resource.Plural, r.URL.Query()))
			}
		})},
	{name: "every seventh answer breaks", check: "error.steady", spoil: func(s *service) http.Handler {
		var n atomic.Int64
		return answers(func(_ http.Handler, r *http.Request, a *answer) {
			if below(r) != "" && r.Method == http.MethodGet && n.Add(1)%7 == 0 {
				a.refuse(http.StatusInternalServerError)
			}
		})(s)
	}},
	{name: "a nested list lacks its first row", check: "nested.rows",
		spoil: nested(func(q url.Values) { q.Set("offset", strconv.Itoa(number(q, "offset", 0)+1)) })},
	{name: "a class's students hold its teachers", check: "nested.rows",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if path := below(r); strings.HasPrefix(path, "/classes/") && strings.HasSuffix(path,
				"/students") && a.status == http.StatusOK {
				_, more := fetch(next, r, strings.TrimSuffix(path, "/students")+"/teachers", r.URL.Query())
				m := a.members()
				m["users"] = append(m["users"].([]any), more...)
				a.setTotal(len(m["users"].([]any)))
				a.setMembers(m)
			}
		})},
	{name: "rows of a nested list come twice", check: "nested.rows",
		spoil: rows(func(_ http.Handler, r *http.Request, a *answer, list []any) []any {
			if isNested(r) {
				list = append(list, list...)
				a.setTotal(len(list))
			}
			return list
		})},
	{name: "a nested list is under students", check: "nested.rows",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if m := a.members(); isNested(r) && m["users"] != nil && strings.HasSuffix(below(r),
				"/students") {
				m["students"] = m["users"]
				delete(m, "users")
				a.setMembers(m)
			}
		})},
	{name: "the total of a nested list is the whole's", check: "nested.total",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if isNested(r) && a.status == 200 {
				a.setTotal(ask(next, other(r, "/"+routeOf(r).Resource.Plural, nil)).total())
			}
		})},
	{name: "a nested list has no total", check: "nested.total",
		spoil: where(isNested, func(a *answer) { a.header.Del("X-Total-Count") })},
	{name: "a nested list is not paged", check: "nested.total",
		spoil: nested(func(q url.Values) { q.Del("limit"); q.Del("offset") })},
	{name: "OR leads out of a nested list", check: "nested.filter",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if isNested(r) && strings.Contains(r.URL.Query().Get("filter"), " OR ") {
				*a = *ask(next, other(r, "/"+routeOf(r).Resource.Plural, r.URL.Query()))
			}
		})},
	{name: "a nested list is not filtered", check: "nested.filter",
		spoil: nested(func(q url.Values) { q.Del("filter") })},
	{name: "a nested list takes no filter", check: "nested.filter",
		spoil: refuses(func(r *http.Request) bool { return isNested(r) && r.URL.Query().Has("filter") })},
	{name: "under an unknown parent is everything", check: "nested.unknown-parent",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if isNested(r) && strings.Contains(below(r), "no-such") {
				*a = *ask(next, other(r, "/"+routeOf(r).Resource.Plural, r.URL.Query()))
			}
		})},
	{name: "an unknown parent breaks", check: "nested.unknown-parent",
		spoil: where(func(r *http.Request) bool {
			return isNested(r) && strings.Contains(below(r), "no-such")
		}, func(a *answer) { a.refuse(500) })},
	{name: "an unknown parent is 404", check: "nested.unknown-parent-empty",
		spoil: where(func(r *http.Request) bool {
			return isNested(r) && strings.Contains(below(r), "no-such")
		}, func(a *answer) { a.refuse(404) })},
}

func nested(edit func(q url.Values)) spoiler {
	return asks(func(r *http.Request, q url.Values) {
		if isNested(r) {
			edit(q)
		}
	})
}
