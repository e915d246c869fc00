package verify_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

var brokenPages = []broken{
	{name: "a list of one is an object", check: "list.one", spoil: answers(func(_ http.Handler, r *http.Request,
		a *answer) {
		m := a.members()
		for key, v := range m {
			if list, is := v.([]any); is && len(list) == 1 && isList(r) && a.status == 200 {
				m[key] = list[0]
				a.setMembers(m)
			}
		}
	})},
	{name: "the list is under items", check: "list.answer",
		spoil: rename(func(r *oneroster.Route) string { return "items" })},
	{name: "users are a bare array", check: "list.answer",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if below(r) == "/users" && a.status == 200 {
				a.body = []byte(strings.TrimSuffix(strings.TrimPrefix(string(a.body), `{"users":`), "}"))
			}
		})},
	{name: "courses are not served", check: "list.answer", spoil: where(at("/courses"),
		func(a *answer) { a.refuse(404) })},
	{name: "the list of results breaks", check: "list.answer", spoil: where(at("/results"),
		func(a *answer) { a.refuse(500) })},
	{name: "classes are a web page", check: "list.answer", spoil: where(at("/classes"),
		func(a *answer) { a.say(200, "text/html", "<html>") })},
	{name: "a great offset breaks", check: "page.nonsense", spoil: breaks(func(q url.Values) bool {
		n, _ := strconv.Atoi(q.Get("offset"))
		return n > 1<<31
	})},
	{name: "long answers are cut short", check: "list.answer", spoil: answers(func(_ http.Handler, _ *http.Request,
		a *answer) {
		if n := len(a.body); n > 9000 {
			a.header.Set("Content-Length", strconv.Itoa(n))
			a.body = a.body[:9000]
		}
	})},
	{name: "a list is cut short", check: "list.answer", spoil: where(at("/users"),
		func(a *answer) { a.body = a.body[:len(a.body)/2] })},
	{name: "an empty list is null", check: "filter.no-match",
		spoil: where(isList, func(a *answer) {
			a.body = []byte(strings.ReplaceAll(string(a.body), ":[]", ":null"))
		})},
	{name: "schools are under schools", check: "list.wrapper",
		spoil: rename(func(r *oneroster.Route) string { return r.Segments[len(r.Segments)-1] })},
	{name: "a second key is beside the list", check: "list.wrapper",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if m := a.members(); isList(r) && m != nil {
				m["count"] = 3
				a.setMembers(m)
			}
		})},
	{name: "lists are text/html", check: "list.content-type",
		spoil: where(isList, func(a *answer) { a.header.Set("Content-Type", "text/html") })},
	{name: "students hold teachers", check: "list.view", spoil: serves("/students", "/users")},
	{name: "schools are all orgs", check: "list.view", spoil: serves("/schools", "/orgs")},
	{name: "schools lack one", check: "list.view", cause: "page.total", spoil: asks(func(r *http.Request,
		q url.Values) {
		if below(r) == "/schools" {
			q.Set("offset", strconv.Itoa(number(q, "offset", 0)+1))
		}
	})},
	{name: "students lack those who are deleted", check: "list.view",
		spoil: asks(func(r *http.Request, q url.Values) {
			if below(r) == "/students" && q.Get("filter") == "" {
				q.Set("filter", "status='active'")
			}
		})},
	{name: "there is no total", check: "list.total-header",
		spoil: where(isList, func(a *answer) { a.header.Del("X-Total-Count") })},
	{name: "the total of an empty list is missing", check: "list.total-header",
		spoil: where(isList, func(a *answer) {
			if a.total() == 0 {
				a.header.Del("X-Total-Count")
			}
		})},
	{name: "the total is written 1,234", check: "list.total-header",
		spoil: where(isList, func(a *answer) {
			a.header.Set("X-Total-Count", "0,"+a.header.Get("X-Total-Count"))
		})},
	{name: "the total is a range", check: "list.total-header",
		spoil: where(isList, func(a *answer) {
			a.header.Set("X-Total-Count", "0-9/"+a.header.Get("X-Total-Count"))
		})},

	{name: "the total is the page's", check: "page.total",
		spoil: rows(func(_ http.Handler, _ *http.Request, a *answer,
			list []any) []any {
			a.setTotal(len(list))
			return list
		})},
	{name: "the total is one too many", check: "page.total",
		spoil: where(isList, func(a *answer) { a.setTotal(a.total() + 1) })},
	{name: "the total is what is left", check: "page.total",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if isList(r) {
				a.setTotal(a.total() - number(r.URL.Query(), "offset", 0))
			}
		})},
	{name: "the total is of pages", check: "page.total",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if limit := number(r.URL.Query(), "limit", 100); isList(r) && limit > 0 {
				a.setTotal((a.total() + limit - 1) / limit)
			}
		})},
	{name: "a row is left out at each seam", check: "page.total", cause: "page.offset",
		spoil: offsets(func(n int) int { return n + 1 })},
	{name: "pages overlap by a row", check: "page.unique", cause: "page.offset",
		spoil: offsets(func(n int) int { return n - 1 })},
	{name: "limit is cut to 50", check: "page.size", spoil: limits(func(n int) int { return min(n, 50) })},
	{name: "limit is cut to 100, and the next page linked", check: "page.size",
		spoil: limits(func(n int) int { return min(n, 100) })},
	{name: "a row too many comes", check: "page.size", spoil: limits(func(n int) int { return n + 1 })},
	{name: "a row too few comes", check: "page.size", spoil: limits(func(n int) int { return max(1, n-1) })},
	{name: "limit is ignored", check: "page.size", spoil: limits(func(int) int { return 100 })},
	{name: "without limit everything comes", check: "page.default", spoil: byDefault("limit", "100000")},
	{name: "without limit 20 rows come", check: "page.default", spoil: byDefault("limit", "20")},
	{name: "offset is ignored", check: "page.offset", spoil: offsets(func(int) int { return 0 })},
	{name: "offset begins at one", check: "page.offset", spoil: offsets(func(n int) int { return n - 1 })},
	{name: "offset is a page's number", check: "page.offset",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if n := number(q, "offset", 0); n > 0 {
				q.Set("offset", strconv.Itoa(n*number(q, "limit", 100)/2))
			}
		})},
	{name: "past the end is 404", check: "page.past-end",
		spoil: pastEnd(func(_ http.Handler, _ *http.Request, a *answer) { a.refuse(404) })},
	{name: "past the end is 400", check: "page.past-end",
		spoil: pastEnd(func(_ http.Handler, _ *http.Request, a *answer) { a.refuse(400) })},
	{name: "past the end the last page comes again", check: "page.past-end",
		spoil: pastEnd(func(next http.Handler, r *http.Request, a *answer) {
			q := r.URL.Query()
			q.Set("offset", strconv.Itoa(max(0, a.total()-number(q, "limit", 100))))
			*a = *ask(next, other(r, below(r), q))
		})},
	{name: "past the end the total is zero", check: "page.past-end",
		spoil: pastEnd(func(_ http.Handler, _ *http.Request, a *answer) { a.setTotal(0) })},
	{name: "the order shifts from call to call", check: "page.stable",
		spoil: shifting(func(q url.Values) bool { return q.Get("sort") == "" })},
	{name: "the order depends on the limit", check: "page.stable",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if number(q, "limit", 100) == 20 {
				q.Set("orderBy", "desc")
				q.Set("sort", "sourcedId")
			}
		})},
	{name: "limit=abc breaks", check: "page.nonsense",
		spoil: breaks(func(q url.Values) bool {
			_, err := strconv.Atoi(q.Get("limit"))
			return q.Has("limit") && err != nil
		})},
	{name: "limit=-1 breaks", check: "page.nonsense",
		spoil: breaks(func(q url.Values) bool { return number(q, "limit", 0) < 0 })},
	{name: "limit=0 breaks", check: "page.nonsense",
		spoil: breaks(func(q url.Values) bool { return q.Get("limit") == "0" })},
	{name: "a negative offset breaks", check: "page.nonsense",
		spoil: breaks(func(q url.Values) bool { return number(q, "offset", 0) < 0 })},

	{name: "there are no links", check: "link.there",
		spoil: where(isList, func(a *answer) { a.header.Del("Link") })},
	{name: "there is a header for each link", check: "link.there",
		spoil: links(func(_ *http.Request, a *answer,
			urls map[string]string) {
			a.header["Separate"] = []string{"yes"}
		})},
	{name: "there is no link to the last page", check: "link.there",
		spoil: links(func(_ *http.Request, _ *answer, urls map[string]string) { delete(urls, "last") })},
	{name: "lists have a byte order mark", check: "list.content-type",
		spoil: where(isList, func(a *answer) { a.body = append([]byte("\uFEFF"), a.body...) })},
	{name: "lists are in Latin-1", check: "list.content-type", spoil: where(isList, func(a *answer) {
		a.body = bytes.ReplaceAll(a.body, []byte(`"givenName":"`), []byte("\"givenName\":\"\xc9"))
	})},
	{name: "links drop the filter", check: "link.query", spoil: linksWithout("filter")},
	{name: "links drop the sort", check: "link.query", spoil: linksWithout("sort")},
	{name: "links drop the fields", check: "link.query", spoil: linksWithout("fields")},
	{name: "links drop the limit", check: "link.query", spoil: linksWithout("limit")},
	{name: "the last page has a next", check: "link.next",
		spoil: links(func(r *http.Request, _ *answer, urls map[string]string) {
			if urls["next"] == "" {
				urls["next"] = moved(urls["first"], number(r.URL.Query(), "offset", 0)+number(r.URL.Query(),
					"limit", 100))
			}
		})},
	{name: "next leaves out a page", check: "link.next",
		spoil: links(func(r *http.Request, _ *answer, urls map[string]string) {
			if urls["next"] != "" {
				urls["next"] = moved(urls["next"], number(r.URL.Query(), "offset", 0)+2*number(r.URL.Query(),
					"limit", 100))
			}
		})},
	{name: "next is the same page", check: "link.next",
		spoil: links(func(r *http.Request, _ *answer, urls map[string]string) {
			if urls["next"] != "" {
				urls["next"] = moved(urls["next"], number(r.URL.Query(), "offset", 0))
			}
		})},
	{name: "next is missing where pages follow", check: "link.next",
		spoil: links(func(_ *http.Request, _ *answer, urls map[string]string) { delete(urls, "next") })},
	{name: "links are relative", check: "link.next",
		spoil: linksAt(func(u *url.URL) { u.Scheme, u.Host = "", "" })},
	{name: "links name an inner host", check: "link.next",
		spoil: linksAt(func(u *url.URL) { u.Host = "app-7.internal:8080" })},
	{name: "links are of another scheme", check: "link.next",
		spoil: linksAt(func(u *url.URL) { u.Scheme = "https" })},
	{name: "links lack the base", check: "link.next",
		spoil: linksAt(func(u *url.URL) { u.Path = strings.TrimPrefix(u.Path, oneroster.V1p1.Base) })},
	{name: "last is beyond the end", check: "link.others",
		spoil: links(func(_ *http.Request, a *answer, urls map[string]string) {
			urls["last"] = moved(urls["last"], a.total())
		})},
	{name: "first is the second page", check: "link.others",
		spoil: links(func(r *http.Request, _ *answer, urls map[string]string) {
			urls["first"] = moved(urls["first"], number(r.URL.Query(), "limit", 100))
		})},
	{name: "prev is the same page", check: "link.others",
		spoil: links(func(r *http.Request, _ *answer, urls map[string]string) {
			if urls["prev"] != "" {
				urls["prev"] = moved(urls["prev"], number(r.URL.Query(), "offset", 0))
			}
		})},
}

var brokenRoutes = []broken{
	{name: "paths are compared letter by letter", check: "route.letter-case",
		spoil: where(func(r *http.Request) bool {
			route := routeOf(r)
			return route != nil && !strings.Contains(below(r)+"/", "/"+route.Segments[0]+"/")
		}, func(a *answer) { a.refuse(404) })},
	{name: "a trailing slash is redirected", check: "route.redirect",
		spoil: redirects(func(path string) bool { return strings.HasSuffix(path, "/") })},
	{name: "a doubled slash is redirected", check: "route.redirect",
		spoil: redirects(func(path string) bool { return strings.Contains(path, "//") })},
	{name: "a doubled slash is unknown", check: "route.slashes",
		spoil: where(func(r *http.Request) bool { return strings.Contains(below(r), "//") },
			func(a *answer) { a.refuse(404) })},
	{name: "a trailing slash is unknown", check: "route.slashes",
		spoil: where(func(r *http.Request) bool { return strings.HasSuffix(below(r), "/") },
			func(a *answer) { a.refuse(404) })},
	{name: "a trailing slash drops the query", check: "route.slashes",
		spoil: asks(func(r *http.Request, q url.Values) {
			if strings.HasSuffix(below(r), "/") {
				q.Set("offset", "1")
			}
		})},
	{name: "an unknown path is an empty answer", check: "route.unknown-path",
		spoil: where(func(r *http.Request) bool { return routeOf(r) == nil },
			func(a *answer) { a.say(200, "application/json", "{}") })},
	{name: "an unknown path is 400", check: "route.unknown-path",
		spoil: where(func(r *http.Request) bool { return routeOf(r) == nil },
			func(a *answer) { a.refuse(400) })},
	{name: "POST is taken", check: "route.method",
		spoil: where(posts, func(a *answer) { a.say(200, "application/json", "{}") })},
	{name: "POST breaks", check: "route.method", spoil: where(posts, func(a *answer) { a.refuse(500) })},
	{name: "an unknown parameter is refused", check: "route.extra-parameters",
		spoil: refuses(func(r *http.Request) bool { return r.URL.Query().Has("noSuchParameter") })},
	{name: "a second question mark is refused", check: "gradesync.two-questions",
		spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "?") })},
	{name: "a Content-Type on GET is 415", check: "route.body-on-get",
		spoil: where(func(r *http.Request) bool {
			return r.Method == "GET" && r.Header.Get("Content-Type") != ""
		}, func(a *answer) { a.refuse(415) })},
	{name: "ids are not decoded", check: "route.escaped-id",
		spoil: where(func(r *http.Request) bool {
			return isSingle(r) && strings.Contains(r.URL.EscapedPath(), "%")
		}, func(a *answer) { a.refuse(404) })},
}

func at(path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return below(r) == path }
}

func posts(r *http.Request) bool { return r.Method == http.MethodPost }

func refuses(is func(r *http.Request) bool) spoiler {
	return where(is, func(a *answer) { a.refuse(400) })
}

func breaks(is func(q url.Values) bool) spoiler {
	return where(func(r *http.Request) bool { return is(r.URL.Query()) }, func(a *answer) { a.refuse(500) })
}

func redirects(is func(path string) bool) spoiler {
	return where(func(r *http.Request) bool { return is(below(r)) }, func(a *answer) {
		a.say(301, "text/html", "moved")
		a.header.Set("Location", "/elsewhere")
	})
}

// rename puts lists under another key.
func rename(key func(*oneroster.Route) string) spoiler {
	return answers(func(_ http.Handler, r *http.Request, a *answer) {
		if m := a.members(); isList(r) && m != nil && below(r) != "/orgs" {
			for k, v := range m {
				delete(m, k)
				m[key(routeOf(r))] = v
			}
			a.setMembers(m)
		}
	})
}

// serves answers a path with what is at another.
func serves(path, with string) spoiler {
	return answers(func(next http.Handler, r *http.Request, a *answer) {
		if below(r) == path {
			*a = *ask(next, other(r, with, r.URL.Query()))
		}
	})
}

func limits(change func(int) int) spoiler {
	return asks(func(_ *http.Request, q url.Values) {
		if n := number(q, "limit", 0); n > 0 {
			q.Set("limit", strconv.Itoa(change(n)))
		}
	})
}

func offsets(change func(int) int) spoiler {
	return asks(func(_ *http.Request, q url.Values) {
		if n := number(q, "offset", 0); n > 0 {
			q.Set("offset", strconv.Itoa(change(n)))
		}
	})
}

func byDefault(name, value string) spoiler {
	return asks(func(r *http.Request, q url.Values) {
		if isList(r) && !q.Has(name) {
			q.Set(name, value)
		}
	})
}

func pastEnd(do func(next http.Handler, r *http.Request, a *answer)) spoiler {
	return answers(func(next http.Handler, r *http.Request, a *answer) {
		if n := number(r.URL.Query(), "offset", 0); n > 0 && n >= a.total() && a.total() >= 0 {
			do(next, r, a)
		}
	})
}

// shifting turns the order of every second answer to some queries.
func shifting(is func(q url.Values) bool) spoiler {
	var calls atomic.Int64
	return asks(func(r *http.Request, q url.Values) {
		if isList(r) && is(q) && calls.Add(1)%2 == 0 {
			q.Set("sort", "sourcedId")
			q.Set("orderBy", "desc")
		}
	})
}

// links changes the links of lists, by relation.
func links(edit func(r *http.Request, a *answer, urls map[string]string)) spoiler {
	return answers(func(_ http.Handler, r *http.Request, a *answer) {
		if a.header.Get("Link") == "" {
			return
		}
		urls := (&provider.Answer{Header: a.header}).Links()
		edit(r, a, urls)
		var parts []string
		for _, rel := range []string{"next", "last", "first", "prev"} {
			if urls[rel] != "" {
				parts = append(parts, "<"+urls[rel]+`>; rel="`+rel+`"`)
			}
		}
		a.header["Link"] = []string{strings.Join(parts, ", ")}
		if a.header.Get("Separate") != "" {
			a.header["Link"] = parts
		}
	})
}

func linksWithout(name string) spoiler {
	return linksAt(func(u *url.URL) { u.RawQuery = without(u.Query(), name).Encode() })
}

func linksAt(edit func(u *url.URL)) spoiler {
	return links(func(_ *http.Request, _ *answer, urls map[string]string) {
		for rel, text := range urls {
			u, err := url.Parse(text)
			if err != nil {
				panic(err) // the correct provider's
			}
			edit(u)
			urls[rel] = u.String()
		}
	})
}

// moved is a link to another offset.
func moved(text string, offset int) string {
	u, err := url.Parse(text)
	if err != nil {
		panic(err) // the correct provider's
	}
	q := u.Query()
	q.Set("offset", strconv.Itoa(offset))
	u.RawQuery = q.Encode()
	return u.String()
}
