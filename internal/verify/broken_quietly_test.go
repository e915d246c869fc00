package verify_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollbook/internal/oneroster"
)

// brokenQuietly are providers whose mistakes a reader meets late: by a long title, a second
// filter, a pupil who is disabled.
var brokenQuietly = []broken{
	{name: "a refusal names no scheme", check: "access.challenge",
		spoil: answers(func(_ http.Handler, _ *http.Request, a *answer) { a.header.Del("Www-Authenticate") })},
	{name: "SQL in a filter is run", check: "filter.sql", spoil: swaps(`(^| OR )1='1'$`, "")},
	{name: "a select in a filter is run", check: "filter.sql", spoil: swaps(`^\(select 1\)='1'$`, "")},
	{name: "SQL in a filter breaks", check: "filter.sql",
		spoil: where(func(r *http.Request) bool {
			return strings.Contains(r.URL.Query().Get("filter"), "1='1'")
		}, func(a *answer) { a.refuse(500) })},
	{name: "a date that is none breaks", check: "filter.bad-date",
		spoil: where(func(r *http.Request) bool {
			return strings.Contains(r.URL.Query().Get("filter"), "-13-45")
		}, func(a *answer) { a.refuse(500) })},
	{name: "two filters are an OR", check: "filter.given-twice",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Has("filter") {
				q.Set("filter", strings.Join(q["filter"], " OR "))
			}
		})},
	{name: "two filters are none", check: "filter.given-twice",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if len(q["filter"]) > 1 {
				q.Del("filter")
			}
		})},
	{name: "two limits are none", check: "page.given-twice",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if len(q["limit"]) > 1 {
				q.Del("limit")
			}
		})},
	{name: "what is false is left out", check: "data.required", spoil: objects(func(o map[string]any) {
		if o["enabledUser"] == "false" {
			delete(o, "enabledUser")
		}
	}, "user"), rows: `UPDATE "users" SET "enabledUser" = 'false' WHERE "sourcedId" LIKE '%1'`},
	{name: "a class's school is the district", check: "data.kinds",
		spoil: leads("school", "org", "district")},
	{name: "a course's year is a term", check: "data.kinds", spoil: leads("schoolYear", "academicSession",
		"term")},
	{name: "a result is a teacher's", check: "data.kinds", rows: `UPDATE "results" SET "student" =
		(SELECT "sourcedId" FROM "users" WHERE "role" = 'teacher' LIMIT 1)`},
	{name: "students are primary", check: "data.kinds",
		rows: `UPDATE "enrollments" SET "primary" = 'true' WHERE "role" = 'student'`},
	{name: "titles are cut at 50", check: "put.long-texts", spoil: cuts("title", 50)},
	{name: "comments are cut at 255", check: "put.long-texts", spoil: cuts("comment", 255)},
	{name: "descriptions are cut at 30", check: "put.read-back", spoil: cuts("description", 30)},
	{name: "comments keep no sign beyond the first plane", check: "put.read-back", spoil: bodies(
		func(_ http.Handler, _ *http.Request, o map[string]any) {
			if s, ok := o["comment"].(string); ok {
				o["comment"] = strings.Map(func(c rune) rune { return min(c, 0xFFFD) }, s)
			}
		})},
	{name: "every grade is a whole one", check: "put.replace", spoil: bodies(
		func(_ http.Handler, _ *http.Request, o map[string]any) {
			if o["scoreStatus"] != nil {
				o["scoreStatus"] = "fully graded"
			}
		})},
	{name: "an offset is rounded to whole pages", check: "page.offset", spoil: asks(
		func(_ *http.Request, q url.Values) {
			limit := number(q, "limit", 100)
			q.Set("offset", strconv.Itoa(number(q, "offset", 0)/max(1, limit)*limit))
		})},
	{name: "users of two schools come twice", check: "page.unique", spoil: answers(
		func(next http.Handler, r *http.Request, a *answer) {
			if below(r) != "/users" || a.status != http.StatusOK {
				return
			}
			q := without(r.URL.Query(), "limit", "offset")
			q.Set("limit", "10000")
			_, all := fetch(next, r, "/users", q)
			var twice []any
			for i, o := range all {
				if twice = append(twice, o); i%9 == 4 {
					twice = append(twice, o)
				}
			}
			from := max(0, min(number(r.URL.Query(), "offset", 0), len(twice)))
			page := twice[from:min(from+max(0, number(r.URL.Query(), "limit", 100)), len(twice))]
			a.setTotal(len(twice))
			a.setMembers(map[string]any{"users": append([]any{}, page...)})
		})},
	{name: "a limit above 1,000 is refused", check: "page.size", spoil: where(func(r *http.Request) bool {
		return number(r.URL.Query(), "limit", 0) > 1000
	}, func(a *answer) { a.refuse(http.StatusBadRequest) })},
	{name: "booleans select nothing", check: "filter.equal",
		spoil: swaps("^(enabledUser='.*)$", "$1 AND sourcedId='norecords'")},
	{name: "of two conditions on a field one is kept", check: "filter.and",
		spoil: swaps("^sourcedId!='[^']*' AND (sourcedId!=.*)$", "$1")},
	{name: "the last page is that of all rows", check: "link.others",
		spoil: links(func(r *http.Request, _ *answer, urls map[string]string) {
			if r.URL.Query().Get("filter") != "" && urls["last"] != "" {
				urls["last"] = moved(urls["last"], 5000)
			}
		})},
	{name: "a selection makes ids of references", check: "fields.list", spoil: rows(
		func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			for _, o := range rows {
				for name, v := range o.(map[string]any) {
					if ref, ok := v.(map[string]any); ok && ref["href"] != nil && r.URL.Query().Has("fields") {
						o.(map[string]any)[name] = ref["sourcedId"]
					}
				}
			}
			return rows
		})},
	{name: "the classes of users are those of students", check: "nested.rows", spoil: answers(
		func(next http.Handler, r *http.Request, a *answer) {
			if path := below(r); strings.HasPrefix(path, "/users/") && strings.HasSuffix(path, "/classes") {
				*a = *ask(next, other(r, strings.Replace(path, "/users/", "/students/", 1), r.URL.Query()))
			}
		})},
	{name: "under an unknown parent is null", check: "nested.unknown-parent", spoil: where(
		func(r *http.Request) bool { return strings.Contains(r.URL.Path, "1000000-no-such") },
		func(a *answer) { a.body = []byte(strings.Replace(string(a.body), "[]", "null", 1)) })},
	{name: "the total of the first parent stays", check: "nested.total", spoil: func(s *service) http.Handler {
		var totals sync.Map
		return answers(func(_ http.Handler, r *http.Request, a *answer) {
			if isNested(r) && a.status == http.StatusOK {
				n, _ := totals.LoadOrStore(routeOf(r).Path, a.total())
				a.setTotal(n.(int))
			}
		})(s)
	}},
	{name: "what is deleted is listed and not read", check: "one.answer", spoil: where(isSingle,
		func(a *answer) {
			if strings.Contains(string(a.body), `"status":"tobedeleted"`) {
				a.refuse(http.StatusNotFound)
			}
		})},
	{name: "administrators are listed and not read", check: "one.answer", spoil: where(isSingle,
		func(a *answer) {
			if strings.Contains(string(a.body), `"role":"administrator"`) {
				a.refuse(http.StatusNotFound)
			}
		})},
	{name: "aides who are read alone have no name", check: "one.same", spoil: single(
		func(_ *oneroster.Route, m map[string]any) {
			if o, is := m["user"].(map[string]any); is && o["role"] == "aide" {
				delete(o, "familyName")
			}
		})},
	{name: "a list shows one term of several", check: "one.same", spoil: rows(
		func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			for _, o := range rows {
				if terms, _ := o.(map[string]any)["terms"].([]any); len(terms) > 1 && !isNested(r) {
					o.(map[string]any)["terms"] = terms[:1]
				}
			}
			return rows
		}), rows: `UPDATE "classes" SET "terms" = 'trm-2027-1' || char(31) || 'trm-2027-2' WHERE "sourcedId" LIKE '%-2'`},
	{name: "who has no identifier breaks an order", check: "sort.ascending", spoil: refuses(
		func(r *http.Request) bool { return below(r) == "/users" && r.URL.Query().Get("sort") == "identifier" }),
		rows: `UPDATE "users" SET "middleName" = CASE WHEN "role" = 'student' THEN 'Lee' ELSE '' END`},
	{name: "an index lacks a user", check: "filter.contains", spoil: rows(
		func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			return slices.DeleteFunc(rows, func(o any) bool {
				return strings.Contains(r.URL.Query().Get("filter"), "~") && o.(map[string]any)["sourcedId"] == "adm-001"
			})
		})},
	{name: "a name is equal to what it holds", check: "filter.equal",
		spoil: swaps(`^(\w*(?:Name|name|title|course)\w*)='([^']*)'$`, "$1~'$2'")},
	{name: "ids are equal to what begins with them", check: "filter.id",
		spoil: swaps("^sourcedId='([^']*)'$", "sourcedId~'$1'"),
		rows: `UPDATE "results" SET "sourcedId" = (SELECT max("sourcedId") FROM "results" WHERE "status" = 'active') || '0'
			WHERE "sourcedId" = (SELECT min("sourcedId") FROM "results" WHERE "status" = 'active')`},
	{name: "metadata cannot be selected", check: "fields.list", spoil: rows(
		func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			for _, o := range rows {
				if r.URL.Query().Has("fields") {
					delete(o.(map[string]any), "metadata")
				}
			}
			return rows
		})},
	{name: "administrators have no classes", check: "nested.rows", spoil: answers(
		func(next http.Handler, r *http.Request, a *answer) {
			user, nested := strings.CutSuffix(below(r), "/classes")
			if nested && strings.Contains(string(ask(next, other(r, user, nil)).body), `"role":"administrator"`) {
				a.choose(func(map[string]any) bool { return false })
				a.setTotal(0)
			}
		})},
	{name: "requests at one moment are mixed up", check: "page.at-once", spoil: func(s *service) http.Handler {
		limits := make(chan string) // as a global variable hands them from one request to another
		return asks(func(r *http.Request, q url.Values) {
			if !isList(r) || len(q) != 1 || !q.Has("limit") {
				return
			}
			select {
			case limits <- q.Get("limit"):
			case another := <-limits:
				q.Set("limit", another)
			case <-time.After(10 * time.Millisecond): // it is alone
			}
		})(s)
	}},
	{name: "students lack what users have", check: "list.view", spoil: rows(
		func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			for _, o := range rows {
				if below(r) == "/students" {
					delete(o.(map[string]any), "email")
				}
			}
			return rows
		})},
	{name: "users lack those who are deleted", check: "list.view", spoil: asks(
		func(r *http.Request, q url.Values) {
			if below(r) == "/users" && q.Get("filter") == "" {
				q.Set("filter", "status='active'")
			}
		})},
	{name: "a replacement is answered as it was", check: "put.replace", spoil: where(is(http.MethodPut),
		func(a *answer) {
			a.body = []byte(strings.ReplaceAll(string(a.body), "Verification, changed", "Verification"))
		})},
	{name: "long titles break", check: "put.long-texts", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" && r.ContentLength > 600 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			s.ServeHTTP(w, r)
		})
	}},
}

// leads makes a reference lead to another object of its resource, one of a type.
func leads(field, resource, kind string) spoiler {
	return answers(func(next http.Handler, r *http.Request, a *answer) {
		plural, members := oneroster.ByName(resource).Plural, a.members()
		_, there := fetch(next, r, "/"+plural, url.Values{"filter": {"type='" + kind +
			"' AND status='active'"}})
		if routeOf(r) == nil || members == nil || len(there) == 0 {
			return
		}
		for _, v := range members {
			rows, several := v.([]any)
			if !several {
				rows = []any{v}
			}
			for _, o := range rows {
				row, _ := o.(map[string]any)
				if to, ok := row[field].(map[string]any); ok {
					to["sourcedId"] = text(there[0], "sourcedId")
					to["href"] = "http://" + r.Host + oneroster.V1p1.Base + "/" + plural + "/" +
						text(to, "sourcedId")
				}
			}
		}
		a.setMembers(members)
	})
}

// cuts keeps the first letters of a text that is put.
func cuts(field string, letters int) spoiler {
	return bodies(func(_ http.Handler, _ *http.Request, o map[string]any) {
		if s := text(o, field); s != "" {
			o[field] = s[:min(len(s), letters)]
		}
	})
}
