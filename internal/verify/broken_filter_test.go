package verify_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/query"
)

const nothing = "sourcedId='norecords'"

var brokenFilters = []broken{
	{name: "filters are ignored", check: "filter.equal", spoil: filters(func(string) string { return "" })},
	{name: "a filter compares the beginning", check: "filter.id", spoil: swaps(`^sourcedId='(.{3}).*'$`, "sourcedId~'$1'")},
	{name: "sourcedId cannot be filtered by", check: "filter.id", spoil: refusesFilter(`^sourcedId=`)},
	{name: "every filter finds nothing", check: "filter.equal", spoil: filters(func(f string) string { return nothing })},
	{name: "status is not filtered by", check: "filter.status", spoil: swaps(`^status='active'$`, "")},
	{name: "the status of what is deleted is active", check: "filter.status", spoil: swaps(`^status='active'$`, "status!='nothing'")},
	{name: "nothing found is 404", check: "filter.no-match", spoil: none(func(a *answer) { a.refuse(404) })},
	{name: "nothing found is an empty object", check: "filter.no-match", spoil: none(func(a *answer) { a.body = []byte("{}") })},
	{name: "nothing found is no content", check: "filter.no-match", spoil: none(func(a *answer) { a.say(204, "application/json", "") })},
	{name: "nothing found is everything", check: "filter.no-match", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if a.total() == 0 && isList(r) {
			*a = *ask(next, other(r, below(r), without(r.URL.Query(), "filter")))
		}
	})},
	{name: "nothing found is under another key", check: "filter.no-match", spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
		if a.total() == 0 && isList(r) {
			a.body = []byte(`{"` + routeOf(r).Segments[0] + `":[]}`)
		}
	})},
	{name: "an unknown status is 400", check: "filter.unknown-value", spoil: refusesFilter(`='norecords'`)},
	{name: "an unknown role is everybody", check: "filter.unknown-value", spoil: swaps(`^role='norecords'$`, "")},
	{name: "!= is =", check: "filter.not-equal", spoil: swaps("!=", "=")},
	{name: "!= is not known", check: "filter.not-equal", spoil: refusesFilter("!=")},
	{name: "> brings what is equal", check: "filter.greater", spoil: swaps("([a-zA-Z])>'", "$1>='")},
	{name: ">= leaves out what is equal", check: "filter.greater-equal", spoil: swaps(">=", ">")},
	{name: "< brings what is equal", check: "filter.less", spoil: swaps("<'", "<='")},
	{name: "<= leaves out what is equal", check: "filter.less-equal", spoil: swaps("<=", "<")},
	{name: "< is >", check: "filter.less", spoil: swaps("<'", ">'")},
	{name: "dates are not ordered", check: "filter.greater", spoil: swaps("^(startDate|birthDate|beginDate|dueDate|assignDate|scoreDate)>'", "$1='")},
	{name: "numbers are compared letter by letter", check: "filter.number", spoil: keeps(func(_ oneroster.Record, f string) bool { return numeric.MatchString(f) }, func(rec oneroster.Record, f string) bool {
		m := numeric.FindStringSubmatch(f)
		return rec.Get(m[1]) > m[2]
	})},
	{name: "~ is =", check: "filter.contains", spoil: swaps("~", "=")},
	{name: "~ looks at the beginning", check: "filter.contains", spoil: keeps(func(_ oneroster.Record, f string) bool { return contained.MatchString(f) }, func(rec oneroster.Record, f string) bool {
		m := contained.FindStringSubmatch(f)
		return strings.HasPrefix(rec.Get(m[1]), m[2])
	})},
	{name: "~ is not known", check: "filter.contains", spoil: refusesFilter("~")},
	{name: "the condition after AND is dropped", check: "filter.and", spoil: swaps(" AND .*", "")},
	{name: "the condition before AND is dropped", check: "filter.and", spoil: swaps(".* AND ", "")},
	{name: "AND is OR", check: "filter.and", spoil: swaps(" AND ", " OR ")},
	{name: "the condition after OR is dropped", check: "filter.or", spoil: swaps(" OR .*", "")},
	{name: "the condition before OR is dropped", check: "filter.or", spoil: swaps(".* OR ", "")},
	{name: "OR is AND", check: "filter.or", spoil: swaps(" OR ", " AND ")},
	{name: "OR is not known", check: "filter.or", spoil: refusesFilter(" OR ")},
	{name: "an apostrophe breaks", check: "filter.apostrophe", spoil: where(func(r *http.Request) bool { return apostrophe.MatchString(r.URL.Query().Get("filter")) }, func(a *answer) { a.refuse(500) })},
	{name: "a value ends at its apostrophe", check: "filter.apostrophe", spoil: swaps(`^(\w+=')([^']+)''?[A-Za-z].*$`, "$1$2'")},
	{name: "names with an apostrophe are not found", check: "filter.apostrophe", spoil: swaps(`^\w+='[^']+''?[A-Za-z].*$`, nothing)},
	{name: "a value ends at its comma", check: "filter.comma", spoil: swaps(`^(\w+='[^',]*),.*$`, "$1'")},
	{name: "a comma in a value is an OR", check: "filter.comma", spoil: swaps(`^(\w+)='([^',]*), *(.*)'$`, "$1='$2' OR $1='$3'")},
	{name: "a comma in a value is refused", check: "filter.comma", spoil: refusesFilter(",")},
	{name: "a percent sign is a wildcard", check: "filter.percent", spoil: swaps("^.*[=~]'%'$", "")},
	{name: "a percent sign breaks", check: "filter.percent", spoil: where(func(r *http.Request) bool { return strings.Contains(r.URL.Query().Get("filter"), "%") }, func(a *answer) { a.refuse(500) })},
	{name: "an underscore is a wildcard", check: "filter.underscore", spoil: swaps(`^(\w+)[=~]'_`, "$1~'")},
	{name: "a value is split at AND", check: "filter.and-in-value", spoil: refusesFilter(`'[^']* AND [^']*'$`)},
	{name: "a value is cut at AND", check: "filter.and-in-value", spoil: swaps(`('[^']*) AND [^']*'$`, "$1'")},
	{name: "a value is split at OR", check: "filter.and-in-value", spoil: refusesFilter(`'[^']* OR [^']*'$`)},
	{name: "a value is split at =", check: "filter.equals-in-value", spoil: refusesFilter(`'[^']*=[^']*'$`)},
	{name: "a value is cut at =", check: "filter.equals-in-value", spoil: swaps(`('[^']*)=[^']*'$`, "$1'")},
	{name: "a bare date is refused", check: "filter.date-only", spoil: refusesFilter(`'\d\d\d\d-\d\d-\d\d'`)},
	{name: "a bare date is the end of its day", check: "filter.date-only", spoil: swaps(`(dateLastModified>='\d\d\d\d-\d\d-\d\d)'`, "${1}T23:59:59.999Z'")},
	{name: "zones are not read", check: "filter.zone", spoil: swaps(`(\d)[+-]\d\d:\d\d'`, "${1}Z'")},
	{name: "zones are refused", check: "filter.zone", spoil: refusesFilter(`\d[+-]\d\d:\d\d'`)},
	{name: "microseconds are refused", check: "filter.zone", spoil: refusesFilter(`\.\d{6}Z`)},
	{name: "whole seconds are refused", check: "filter.zone", spoil: refusesFilter(`:\d\dZ`)},
	{name: "an unknown field selects everything", check: "filter.unknown-field", spoil: swaps(".*noSuchField.*", "")},
	{name: "an unknown field selects nothing", check: "filter.unknown-field", spoil: swaps(".*noSuchField.*", nothing)},
	{name: "a condition on an unknown field is left out", check: "filter.unknown-field", spoil: swaps(" AND noSuchField.*", "")},
	{name: "an unknown field breaks", check: "filter.unknown-field", spoil: where(func(r *http.Request) bool { return strings.Contains(r.URL.Query().Get("filter"), "noSuchField") }, func(a *answer) { a.refuse(500) })},
	{name: "what cannot be read selects everything", check: "filter.unreadable", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if a.status == 400 {
			*a = *ask(next, other(r, below(r), without(r.URL.Query(), "filter")))
		}
	})},
	{name: "what cannot be read selects nothing", check: "filter.unreadable", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if q := r.URL.Query(); a.status == 400 {
			q.Set("filter", nothing)
			*a = *ask(next, other(r, below(r), q))
		}
	})},
	{name: "a last AND is passed over", check: "filter.unreadable", spoil: swaps(" AND$", "")},
	{name: "an open quote is closed", check: "filter.unreadable", spoil: swaps(`^(\w+='[^']*)$`, "$1'")},
	{name: "references are not filtered by", check: "filter.reference", spoil: refusesFilter(`\.sourcedId`)},
	{name: "a reference selects nothing", check: "filter.reference", spoil: swaps(`^\w+\.sourcedId=.*`, nothing)},
	{name: "a reference is not looked at", check: "filter.reference", spoil: swaps(`^\w+\.sourcedId=.*`, "")},
	{name: "the first of several orgs is compared", check: "filter.reference", spoil: keeps(func(rec oneroster.Record, f string) bool { return strings.HasPrefix(f, "terms.sourcedId=") }, func(rec oneroster.Record, f string) bool {
		return len(oneroster.Items(rec.Get("terms"))) == 0
	})},
	{name: "classSourcedId is unknown", check: "filter.csv-name", spoil: refusesFilter("classSourcedId")},
	{name: "classSourcedId is passed over", check: "filter.csv-name", spoil: swaps("^classSourcedId.*", "")},
	{name: "a list is compared as a whole", check: "filter.list", spoil: keeps(list, func(rec oneroster.Record, f string) bool {
		m := equal.FindStringSubmatch(f)
		return rec.Get(m[1]) == m[2]
	})},
	{name: "lists are not filtered by", check: "filter.list", spoil: refusesFilter("^(grades|subjects|roles|periods|subjectCodes)=")},
	{name: "%27 is not decoded", check: "filter.encoding", spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "%27") })},
	{name: "%3D is not decoded", check: "filter.encoding", spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "%3D") })},
	{name: "a raw quote is refused", check: "filter.encoding", spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "'") })},
	{name: "+ is no space", check: "filter.encoding", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "+", "%2B")
			s.ServeHTTP(w, r)
		})
	}},
	{name: "and in lower case is refused", check: "filter.lower-case", spoil: refusesFilter(" and ")},
	{name: "and in lower case ends the filter", check: "filter.lower-case", spoil: swaps(" and .*", " OR status='active'")},
	{name: "the total is counted before the filter", check: "filter.total", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if q := r.URL.Query(); isList(r) && q.Get("filter") != "" && a.status == 200 {
			a.setTotal(ask(next, other(r, below(r), without(q, "filter"))).total())
		}
	})},
	{name: "the total of the first reading stays", check: "filter.total", spoil: func(s *service) http.Handler {
		first := remembered(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ask(s, r).write(w)
		}))
		return answers(func(_ http.Handler, r *http.Request, a *answer) {
			if isList(r) && a.status == 200 {
				a.setTotal(ask(first, other(r, below(r), nil)).total())
			}
		})(s)
	}},
	{name: "the total of a filtered page is the page's", check: "filter.total", spoil: rows(func(_ http.Handler, r *http.Request, a *answer, list []any) []any {
		if r.URL.Query().Get("filter") != "" {
			a.setTotal(len(list))
		}
		return list
	})},
	{name: "pages are cut before the filter", check: "filter.pages", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		q, route := r.URL.Query(), routeOf(r)
		if !isList(r) || q.Get("filter") == "" {
			return
		}
		e, err := query.ParseFilter(route.Resource, q.Get("filter"))
		if err != nil {
			return
		}
		page := ask(next, other(r, below(r), without(q, "filter")))
		page.setTotal(a.total())
		page.choose(func(o map[string]any) bool { return query.Match(e, provider.Object(o).Record(route.Resource)) })
		*a = *page
	})},
	{name: "a filtered list is not paged", check: "filter.pages", spoil: asks(func(_ *http.Request, q url.Values) {
		if q.Get("filter") != "" {
			q.Del("offset")
		}
	})},
}

var (
	numeric    = regexp.MustCompile(`^(score|resultValueMin|resultValueMax)>'(.*)'$`)
	contained  = regexp.MustCompile(`^(\w+)~'(.*)'$`)
	equal      = regexp.MustCompile(`^(\w+)='(.*)'$`)
	apostrophe = regexp.MustCompile(`'[^']*'[^']*'`)
)

// list tells filters on a list that holds more than one value in some row.
func list(rec oneroster.Record, f string) bool {
	m := equal.FindStringSubmatch(f)
	return m != nil && rec.Resource.Field(m[1]) != nil && rec.Resource.Field(m[1]).Kind == oneroster.Strings
}

// filters changes the filter of lists.
func filters(edit func(filter string) string) spoiler {
	return asks(func(r *http.Request, q url.Values) {
		if f := q.Get("filter"); f != "" {
			if q.Set("filter", edit(f)); q.Get("filter") == "" {
				q.Del("filter")
			}
		}
	})
}

func swaps(pattern, with string) spoiler {
	p := regexp.MustCompile(pattern)
	return filters(func(f string) string { return p.ReplaceAllString(f, with) })
}

func refusesFilter(pattern string) spoiler {
	p := regexp.MustCompile(pattern)
	return refuses(func(r *http.Request) bool { return p.MatchString(r.URL.Query().Get("filter")) })
}

// none answers otherwise where no row was found.
func none(edit func(a *answer)) spoiler {
	return answers(func(_ http.Handler, r *http.Request, a *answer) {
		if isList(r) && a.status == 200 && a.total() == 0 {
			edit(a)
		}
	})
}

// keeps answers filters of some kind with those of all rows that a judgement
// keeps.
func keeps(of func(rec oneroster.Record, filter string) bool, is func(rec oneroster.Record, filter string) bool) spoiler {
	return answers(func(next http.Handler, r *http.Request, a *answer) {
		q, route := r.URL.Query(), routeOf(r)
		f := q.Get("filter")
		if !isList(r) || f == "" || !of(oneroster.NewRecord(route.Resource), f) {
			return
		}
		*a = *ask(next, other(r, below(r), without(q, "filter")))
		a.choose(func(o map[string]any) bool { return is(provider.Object(o).Record(route.Resource), f) })
	})
}

// choose keeps some rows of a list.
func (a *answer) choose(is func(o map[string]any) bool) {
	members := a.members()
	for key, v := range members {
		kept := []any{}
		for _, o := range v.([]any) {
			if is(o.(map[string]any)) {
				kept = append(kept, o)
			}
		}
		members[key] = kept
	}
	a.setMembers(members)
}

var brokenOrders = []broken{
	{name: "sort is ignored", check: "sort.ascending", spoil: asks(func(_ *http.Request, q url.Values) { q.Del("sort") })},
	{name: "sort goes downwards by default", check: "sort.ascending", spoil: asks(func(_ *http.Request, q url.Values) {
		if q.Get("orderBy") == "" {
			q.Set("orderBy", "desc")
		}
	})},
	{name: "a page is sorted after it was cut", check: "sort.ascending", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		q := r.URL.Query()
		if field := q.Get("sort"); isList(r) && field != "" && routeOf(r).Resource.Field(field) != nil {
			a2, list := fetch(next, r, below(r), without(q, "sort"))
			if a2.status != 200 {
				return
			}
			ids := map[string]bool{}
			for _, o := range list {
				ids[text(o, "sourcedId")] = true
			}
			whole, _ := fetch(next, r, below(r), url.Values{"sort": q["sort"], "orderBy": q["orderBy"], "limit": {"100000"}})
			whole.choose(func(o map[string]any) bool { return ids[text(o, "sourcedId")] })
			*a = *whole
		}
	})},
	{name: "numbers are sorted letter by letter", check: "sort.ascending", spoil: rows(func(_ http.Handler, r *http.Request, _ *answer, list []any) []any {
		if r.URL.Query().Get("sort") == "score" {
			sortBy(list, func(o any) string {
				return provider.Object(o.(map[string]any)).Record(oneroster.ByName("result")).Get("score")
			})
		}
		return list
	})},
	{name: "rows without the sorted value are left out", check: "sort.ascending", spoil: rows(func(_ http.Handler, r *http.Request, _ *answer, list []any) []any {
		field, kept := r.URL.Query().Get("sort"), []any{}
		for _, o := range list {
			if _, there := o.(map[string]any)[field]; there || field == "" {
				kept = append(kept, o)
			}
		}
		return kept
	})},
	{name: "sort is refused", check: "sort.ascending", spoil: refuses(func(r *http.Request) bool { return r.URL.Query().Has("sort") })},
	{name: "orderBy is ignored", check: "sort.descending", spoil: asks(func(_ *http.Request, q url.Values) { q.Del("orderBy") })},
	{name: "orderBy=desc is refused", check: "sort.descending", spoil: refuses(func(r *http.Request) bool { return r.URL.Query().Get("orderBy") == "desc" })},
	{name: "ties shift from page to page", check: "sort.ties", spoil: shifting(func(q url.Values) bool { return q.Get("sort") == "status" })},
	{name: "an unknown sort is refused", check: "sort.unknown", spoil: refuses(func(r *http.Request) bool { return r.URL.Query().Get("sort") == "noSuchField" })},
	{name: "an unknown sort breaks", check: "sort.unknown", spoil: breaks(func(q url.Values) bool { return q.Get("sort") == "noSuchField" })},
	{name: "an unknown sort turns the order", check: "sort.unknown", spoil: asks(func(_ *http.Request, q url.Values) {
		if q.Get("sort") == "noSuchField" {
			q.Set("sort", "sourcedId")
			q.Set("orderBy", "desc")
		}
	})},

	{name: "fields is ignored", check: "fields.list", spoil: asks(func(_ *http.Request, q url.Values) { q.Del("fields") })},
	{name: "an encoded comma is no comma", check: "fields.list", spoil: asks(func(r *http.Request, q url.Values) {
		if strings.Contains(r.URL.RawQuery, "%2C") {
			q.Del("fields")
		}
	})},
	{name: "status comes without being selected", check: "fields.list", spoil: asks(func(_ *http.Request, q url.Values) {
		if q.Get("fields") != "" {
			q.Set("fields", q.Get("fields")+",status")
		}
	})},
	{name: "the first field alone comes", check: "fields.list", spoil: asks(func(_ *http.Request, q url.Values) {
		if first, _, more := strings.Cut(q.Get("fields"), ","); more {
			q.Set("fields", first)
		}
	})},
	{name: "fields is ignored on single objects", check: "fields.single", spoil: asks(func(r *http.Request, q url.Values) {
		if isSingle(r) {
			q.Del("fields")
		}
	})},
	{name: "fields is refused on single objects", check: "fields.single", spoil: refuses(func(r *http.Request) bool { return isSingle(r) && r.URL.Query().Has("fields") })},
	{name: "an unknown attribute is refused", check: "fields.unknown", spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.Query().Get("fields"), "noSuchField") })},
	{name: "an empty fields is everything", check: "fields.blank", spoil: asks(func(_ *http.Request, q url.Values) {
		if q.Get("fields") == "" {
			q.Del("fields")
		}
	})},
	{name: "a filter needs what it names selected", check: "fields.filter", spoil: refuses(func(r *http.Request) bool {
		q := r.URL.Query()
		return q.Get("fields") == "sourcedId" && q.Get("filter") != "" && !strings.HasPrefix(q.Get("filter"), "sourcedId")
	})},
	{name: "a filter on what is not selected finds nothing", check: "fields.filter", spoil: asks(func(_ *http.Request, q url.Values) {
		if q.Get("fields") == "sourcedId" && q.Get("filter") != "" {
			q.Set("filter", nothing)
		}
	})},
	{name: "fields switches the filter off", check: "fields.filter", spoil: asks(func(_ *http.Request, q url.Values) {
		if q.Get("fields") != "" {
			q.Del("filter")
		}
	})},
}

var brokenObjects = []broken{
	{name: "a single object is under the plural", check: "one.answer", spoil: single(func(r *oneroster.Route, m map[string]any) {
		m[r.Resource.Plural] = m[r.Resource.Wrapper()]
		delete(m, r.Resource.Wrapper())
	})},
	{name: "a school is under school", check: "one.answer", spoil: single(func(r *oneroster.Route, m map[string]any) {
		if r.Path == "/schools/{id}" {
			m["school"] = m["org"]
			delete(m, "org")
		}
	})},
	{name: "a single object is a list of one", check: "one.answer", spoil: single(func(r *oneroster.Route, m map[string]any) { m[r.Resource.Wrapper()] = []any{m[r.Resource.Wrapper()]} })},
	{name: "a single object is bare", check: "one.answer", spoil: single(func(r *oneroster.Route, m map[string]any) {
		o := m[r.Resource.Wrapper()].(map[string]any)
		delete(m, r.Resource.Wrapper())
		for k, v := range o {
			m[k] = v
		}
	})},
	{name: "a second key is beside the object", check: "one.answer", spoil: single(func(_ *oneroster.Route, m map[string]any) { m["ok"] = true })},
	{name: "a single object is null", check: "one.answer", spoil: single(func(r *oneroster.Route, m map[string]any) { m[r.Resource.Wrapper()] = nil })},
	{name: "another object comes", check: "one.answer", spoil: single(func(r *oneroster.Route, m map[string]any) {
		m[r.Resource.Wrapper()].(map[string]any)["sourcedId"] = "x"
	})},
	{name: "a single object is text/html", check: "one.answer", spoil: where(isSingle, func(a *answer) { a.header.Set("Content-Type", "text/html") })},
	{name: "single users are not served", check: "one.answer", spoil: where(func(r *http.Request) bool { return strings.HasPrefix(below(r), "/users/") }, func(a *answer) { a.refuse(404) })},
	{name: "a single object lacks an attribute", check: "one.same", spoil: single(func(r *oneroster.Route, m map[string]any) {
		delete(m[r.Resource.Wrapper()].(map[string]any), "dateLastModified")
	})},
	{name: "a single object was modified at another time", check: "one.same", spoil: single(func(r *oneroster.Route, m map[string]any) {
		m[r.Resource.Wrapper()].(map[string]any)["dateLastModified"] = "2020-01-01T00:00:00.000Z"
	})},
	{name: "a single user has no agents", check: "one.same", spoil: single(func(r *oneroster.Route, m map[string]any) { delete(m[r.Resource.Wrapper()].(map[string]any), "agents") })},
	{name: "a single object has no total", check: "one.total", spoil: where(isSingle, func(a *answer) { a.header.Del("X-Total-Count") })},
	{name: "the total of a single object is zero", check: "one.total", spoil: where(isSingle, func(a *answer) { a.setTotal(0) })},
	{name: "a district is among the schools", check: "one.view", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if id, ok := strings.CutPrefix(below(r), "/schools/"); ok && a.status == 404 {
			*a = *ask(next, other(r, "/orgs/"+id, nil))
		}
	})},
	{name: "a teacher is no student, and that is 403", check: "one.view", spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
		if strings.HasPrefix(below(r), "/students/") && a.status == 404 {
			a.refuse(403)
		}
	})},

	{name: "an unknown id is an empty object", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.say(200, "application/json", "{}") })},
	{name: "an unknown id is no content", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.say(204, "", "") })},
	{name: "an unknown id is a web page", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.say(404, "text/html", "<h1>Not found</h1>") })},
	{name: "an unknown id breaks", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.refuse(500) })},
	{name: "an unknown id is 400", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.refuse(400) })},
	{name: "an error has no body", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.body = nil })},
	{name: "an error is a message", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.body = []byte(`{"message":"not found"}`) })},
	{name: "an error has no codeMinor", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.drop("imsx_codeMinor") })},
	{name: "an error has no description", check: "error.unknown-id", spoil: unknown(func(a *answer) { a.drop("imsx_description") })},
	{name: "an error has no severity", check: "error.bad-filter", spoil: where(bad, func(a *answer) { a.drop("imsx_severity") })},
	{name: "an error is a success", check: "error.bad-filter", spoil: where(bad, func(a *answer) { a.body = []byte(strings.ReplaceAll(string(a.body), "failure", "success")) })},
	{name: "a bad filter is text/plain", check: "error.bad-filter", spoil: where(bad, func(a *answer) { a.header.Set("Content-Type", "text/plain") })},
	{name: "a bad filter is told in a sentence", check: "error.bad-filter", spoil: where(bad, func(a *answer) { a.body = []byte("bad filter") })},
	{name: "a missing token is a web page", check: "error.no-token", spoil: where(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" }, func(a *answer) { a.say(401, "text/html", "<h1>Log in</h1>") })},
	{name: "a missing token is no text at all", check: "error.no-token", spoil: where(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" }, func(a *answer) { a.body = nil })},
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
	{name: "a nested list is the whole collection", check: "nested.rows", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if isNested(r) {
			*a = *ask(next, other(r, "/"+routeOf(r).Resource.Plural, r.URL.Query()))
		}
	})},
	{name: "a nested list lacks its first row", check: "nested.rows", spoil: nested(func(q url.Values) { q.Set("offset", strconv.Itoa(number(q, "offset", 0)+1)) })},
	{name: "a class's students hold its teachers", check: "nested.rows", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if path := below(r); strings.HasPrefix(path, "/classes/") && strings.HasSuffix(path, "/students") {
			_, more := fetch(next, r, strings.TrimSuffix(path, "/students")+"/teachers", r.URL.Query())
			m := a.members()
			m["users"] = append(m["users"].([]any), more...)
			a.setTotal(len(m["users"].([]any)))
			a.setMembers(m)
		}
	})},
	{name: "rows of a nested list come twice", check: "nested.rows", spoil: rows(func(_ http.Handler, r *http.Request, a *answer, list []any) []any {
		if isNested(r) {
			list = append(list, list...)
			a.setTotal(len(list))
		}
		return list
	})},
	{name: "a nested list is under students", check: "nested.rows", spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
		if m := a.members(); isNested(r) && m["users"] != nil && strings.HasSuffix(below(r), "/students") {
			m["students"] = m["users"]
			delete(m, "users")
			a.setMembers(m)
		}
	})},
	{name: "the total of a nested list is the whole's", check: "nested.total", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if isNested(r) && a.status == 200 {
			a.setTotal(ask(next, other(r, "/"+routeOf(r).Resource.Plural, nil)).total())
		}
	})},
	{name: "a nested list has no total", check: "nested.total", spoil: where(isNested, func(a *answer) { a.header.Del("X-Total-Count") })},
	{name: "a nested list is not paged", check: "nested.total", spoil: nested(func(q url.Values) { q.Del("limit"); q.Del("offset") })},
	{name: "OR leads out of a nested list", check: "nested.filter", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if isNested(r) && strings.Contains(r.URL.Query().Get("filter"), " OR ") {
			*a = *ask(next, other(r, "/"+routeOf(r).Resource.Plural, r.URL.Query()))
		}
	})},
	{name: "a nested list is not filtered", check: "nested.filter", spoil: nested(func(q url.Values) { q.Del("filter") })},
	{name: "a nested list takes no filter", check: "nested.filter", spoil: refuses(func(r *http.Request) bool { return isNested(r) && r.URL.Query().Has("filter") })},
	{name: "under an unknown parent is everything", check: "nested.unknown-parent", spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
		if isNested(r) && strings.Contains(below(r), "no-such") {
			*a = *ask(next, other(r, "/"+routeOf(r).Resource.Plural, r.URL.Query()))
		}
	})},
	{name: "an unknown parent breaks", check: "nested.unknown-parent", spoil: where(func(r *http.Request) bool { return isNested(r) && strings.Contains(below(r), "no-such") }, func(a *answer) { a.refuse(500) })},
	{name: "an unknown parent is 404", check: "nested.unknown-parent-empty", spoil: where(func(r *http.Request) bool { return isNested(r) && strings.Contains(below(r), "no-such") }, func(a *answer) { a.refuse(404) })},
}

func nested(edit func(q url.Values)) spoiler {
	return asks(func(r *http.Request, q url.Values) {
		if isNested(r) {
			edit(q)
		}
	})
}
