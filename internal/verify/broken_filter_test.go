package verify_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/wire"
)

var pattern = regexp.MustCompile(`^(\w+)~'([^']*)'$`)

const nothing = "sourcedId='norecords'"

var brokenFilters = []broken{
	{name: "filters are ignored", check: "filter.equal", spoil: filters(func(string) string { return "" })},
	{name: "a filter compares the beginning", check: "filter.id", spoil: swaps(`^sourcedId='(.{3}).*'$`,
		"sourcedId~'$1'")},
	{name: "sourcedId cannot be filtered by", check: "filter.id", spoil: refusesFilter(`^sourcedId=`)},
	{name: "one role is never found", check: "filter.equal", spoil: swaps("^role='(teacher|TEACHER)'$",
		nothing)},
	{name: "every filter finds nothing", check: "filter.equal",
		spoil: filters(func(f string) string { return nothing })},
	{name: "status is not filtered by", check: "filter.status", spoil: swaps(`^status='active'$`, "")},
	{name: "the status of what is deleted is active", check: "filter.status",
		spoil: swaps(`^status='active'$`, "status!='nothing'")},
	{name: "nothing found is 404", check: "filter.no-match", spoil: none(func(a *answer) { a.refuse(404) })},
	{name: "nothing found is an empty object", check: "filter.no-match",
		spoil: none(func(a *answer) { a.body = []byte("{}") })},
	{name: "nothing found is no content", check: "filter.no-match",
		spoil: none(func(a *answer) { a.say(204, "application/json", "") })},
	{name: "nothing found is everything", check: "filter.no-match",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if a.total() == 0 && isList(r) {
				*a = *ask(next, other(r, below(r), without(r.URL.Query(), "filter")))
			}
		})},
	{name: "nothing found is under another key", check: "filter.no-match",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if a.total() == 0 && isList(r) {
				a.body = []byte(`{"` + routeOf(r).Segments[0] + `":[]}`)
			}
		})},
	{name: "an unknown status is 400", check: "filter.unknown-value", cause: "filter.no-match",
		spoil: refusesFilter(`='norecords'`)},
	{name: "an unknown role is everybody", check: "filter.unknown-value", spoil: swaps(`^role='norecords'$`,
		"")},
	{name: "!= is =", check: "filter.not-equal", spoil: swaps("!=", "=")},
	{name: "!= is not known", check: "filter.not-equal", spoil: refusesFilter("!=")},
	{name: "> brings what is equal", check: "filter.greater", spoil: swaps("([a-zA-Z])>'", "$1>='")},
	{name: ">= leaves out what is equal", check: "filter.greater-equal", spoil: swaps(">=", ">")},
	{name: "< brings what is equal", check: "filter.less", spoil: swaps("<'", "<='")},
	{name: "<= leaves out what is equal", check: "filter.less-equal", spoil: swaps("<=", "<")},
	{name: "< is >", check: "filter.less", spoil: swaps("<'", ">'")},
	{name: "dates are not ordered", check: "filter.greater",
		spoil: swaps("^(startDate|birthDate|beginDate|dueDate|assignDate|scoreDate)>'", "$1='")},
	{name: "numbers are compared letter by letter", check: "filter.number",
		spoil: keeps(func(_ oneroster.Record, f string) bool { return numeric.MatchString(f) },
			func(rec oneroster.Record, f string) bool {
				m := numeric.FindStringSubmatch(f)
				return rec.Get(m[1]) > m[2]
			})},
	{name: "~ is =", check: "filter.contains", spoil: swaps("~", "=")},
	{name: "~ looks at the beginning", check: "filter.contains",
		spoil: keeps(func(_ oneroster.Record, f string) bool { return contained.MatchString(f) },
			func(rec oneroster.Record, f string) bool {
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
	{name: "an apostrophe breaks", check: "filter.apostrophe",
		spoil: where(func(r *http.Request) bool {
			return apostrophe.MatchString(r.URL.Query().Get("filter"))
		}, func(a *answer) { a.refuse(500) })},
	{name: "a value ends at its apostrophe", check: "filter.apostrophe",
		spoil: swaps(`^(\w+=')([^']+)''?[A-Za-z].*$`, "$1$2'")},
	{name: "names with an apostrophe are not found", check: "filter.apostrophe",
		spoil: swaps(`^\w+='[^']+''?[A-Za-z].*$`, nothing)},
	{name: "a value ends at its comma", check: "filter.comma", spoil: swaps(`^(\w+='[^',]*),.*$`, "$1'")},
	{name: "a comma in a value is an OR", check: "filter.comma", spoil: swaps(`^(\w+)='([^',]*), *(.*)'$`,
		"$1='$2' OR $1='$3'")},
	{name: "a comma in a value is refused", check: "filter.comma", spoil: refusesFilter(",")},
	{name: "a percent sign is a wildcard", check: "filter.percent", spoil: swaps("^.*[=~]'%'$", "")},
	{name: "a percent sign breaks", check: "filter.percent",
		spoil: where(func(r *http.Request) bool {
			return strings.Contains(r.URL.Query().Get("filter"), "%")
		}, func(a *answer) { a.refuse(500) })},
	{name: "an underscore is a wildcard", check: "filter.underscore", spoil: swaps(`^(\w+)[=~]'_`, "$1~'")},
	{name: "a value is split at AND", check: "filter.and-in-value",
		spoil: refusesFilter(`'[^']* AND [^']*'$`)},
	{name: "a value is cut at AND", check: "filter.and-in-value", spoil: swaps(`('[^']*) AND [^']*'$`,
		"$1'")},
	{name: "a value is split at OR", check: "filter.and-in-value", spoil: refusesFilter(`'[^']* OR [^']*'$`)},
	{name: "a value is split at =", check: "filter.equals-in-value", spoil: refusesFilter(`'[^']*=[^']*'$`)},
	{name: "a value is cut at =", check: "filter.equals-in-value", spoil: swaps(`('[^']*)=[^']*'$`, "$1'")},
	{name: "a bare date is refused", check: "filter.date-only", spoil: refusesFilter(`'\d\d\d\d-\d\d-\d\d'`)},
	{name: "a bare date is the end of its day", check: "filter.date-only",
		spoil: swaps(`(dateLastModified>='\d\d\d\d-\d\d-\d\d)'`, "${1}T23:59:59.999Z'")},
	{name: "zones are not read", check: "filter.zone", spoil: swaps(`(\d)[+-]\d\d:\d\d'`, "${1}Z'")},
	{name: "zones are refused", check: "filter.zone", spoil: refusesFilter(`\d[+-]\d\d:\d\d'`)},
	{name: "microseconds are refused", check: "filter.zone", spoil: refusesFilter(`\.\d{6}Z`)},
	{name: "whole seconds are refused", check: "filter.zone", spoil: refusesFilter(`:\d\dZ`)},
	{name: "an unknown field selects everything", check: "filter.unknown-field",
		spoil: swaps(".*noSuchField.*", "")},
	{name: "an unknown field selects nothing", check: "filter.unknown-field",
		spoil: swaps(".*noSuchField.*", nothing)},
	{name: "a condition on an unknown field is left out", check: "filter.unknown-field",
		spoil: swaps(" AND noSuchField.*", "")},
	{name: "an unknown field breaks", check: "filter.unknown-field",
		spoil: where(func(r *http.Request) bool {
			return strings.Contains(r.URL.Query().Get("filter"), "noSuchField")
		}, func(a *answer) { a.refuse(500) })},
	{name: "what cannot be read selects everything", check: "filter.unreadable",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if a.status == 400 {
				*a = *ask(next, other(r, below(r), without(r.URL.Query(), "filter")))
			}
		})},
	{name: "what cannot be read selects nothing", check: "filter.unreadable",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if q := r.URL.Query(); a.status == 400 {
				q.Set("filter", nothing)
				*a = *ask(next, other(r, below(r), q))
			}
		})},
	{name: "a last AND is passed over", check: "filter.unreadable", spoil: swaps(" AND$", "")},
	{name: "an open quote is closed", check: "filter.unreadable", spoil: swaps(`^(\w+='[^']*)$`, "$1'")},
	{name: "a text that is looked for is a pattern", check: "filter.contains",
		spoil: keeps(func(_ oneroster.Record, f string) bool { return pattern.MatchString(f) },
			func(rec oneroster.Record, f string) bool {
				part := pattern.FindStringSubmatch(f)
				is, err := regexp.MatchString("(?i)"+part[2], rec.Get(part[1]))
				return err == nil && is
			})},
	{name: "a filtered reference brings a row once a value", check: "filter.reference",
		spoil: rows(func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			if strings.HasPrefix(r.URL.Query().Get("filter"), "terms.sourcedId") {
				return append(rows, rows...)
			}
			return rows
		})},
	{name: "a list is searched as a text", check: "filter.list",
		spoil: keeps(list, func(rec oneroster.Record, f string) bool {
			field, v, _ := strings.Cut(f, "='")
			return strings.Contains(rec.Get(field), strings.TrimSuffix(v, "'"))
		})},
	{name: "references are not filtered by", check: "filter.reference", spoil: refusesFilter(`\.sourcedId`)},
	{name: "a reference selects nothing", check: "filter.reference", spoil: swaps(`^\w+\.sourcedId=.*`,
		nothing)},
	{name: "a reference is not looked at", check: "filter.reference", spoil: swaps(`^\w+\.sourcedId=.*`, "")},
	{name: "the first of several orgs is compared", check: "filter.reference",
		spoil: keeps(func(_ oneroster.Record, f string) bool { return strings.HasPrefix(f, "orgs.sourcedId=") },
			func(rec oneroster.Record, f string) bool {
				orgs := oneroster.Items(rec.Get("orgs"))
				return len(orgs) > 0 && f == "orgs.sourcedId='"+orgs[0]+"'"
			})},
	{name: "classSourcedId is unknown", check: "filter.csv-name", spoil: refusesFilter("classSourcedId")},
	{name: "classSourcedId is passed over", check: "filter.csv-name", spoil: swaps("^classSourcedId.*", "")},
	{name: "a list is compared as a whole", check: "filter.list",
		spoil: keeps(list, func(rec oneroster.Record, f string) bool {
			m := equal.FindStringSubmatch(f)
			return rec.Get(m[1]) == m[2]
		})},
	{name: "lists are not filtered by", check: "filter.list",
		spoil: refusesFilter("^(grades|subjects|roles|periods|subjectCodes)=")},
	{name: "%27 is not decoded", check: "filter.encoding",
		spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "%27") })},
	{name: "%3D is not decoded", check: "filter.encoding",
		spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "%3D") })},
	{name: "a raw quote is refused", check: "filter.encoding",
		spoil: refuses(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "'") })},
	{name: "+ is no space", check: "filter.encoding", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "+", "%2B")
			s.ServeHTTP(w, r)
		})
	}},
	{name: "and in lower case is refused", check: "filter.lower-case", spoil: refusesFilter(" and ")},
	{name: "and in lower case ends the filter", check: "filter.lower-case",
		spoil: swaps(" and .*", " OR status='active'")},
	{name: "the total is counted before the filter", check: "filter.total",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if q := r.URL.Query(); isList(r) && q.Get("filter") != "" && a.status == 200 {
				a.setTotal(ask(next, other(r, below(r), without(q, "filter"))).total())
			}
		})},
	{name: "the total of the first reading stays", check: "filter.total",
		spoil: func(s *service) http.Handler {
			first := remembered(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ask(s, r).write(w)
			}), everything)
			return answers(func(_ http.Handler, r *http.Request, a *answer) {
				if isList(r) && a.status == 200 {
					a.setTotal(ask(first, other(r, below(r), nil)).total())
				}
			})(s)
		}},
	{name: "the total of a filtered page is the page's", check: "filter.total",
		spoil: rows(func(_ http.Handler, r *http.Request, a *answer, list []any) []any {
			if r.URL.Query().Get("filter") != "" {
				a.setTotal(len(list))
			}
			return list
		})},
	{name: "pages are cut before the filter", check: "filter.pages",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
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
			page.choose(func(o map[string]any) bool {
				return query.Match(e, wire.Object(o).Record(route.Resource))
			})
			*a = *page
		})},
	{name: "a filtered list is not paged", check: "filter.pages",
		spoil: asks(func(_ *http.Request, q url.Values) {
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
func keeps(of func(rec oneroster.Record, filter string) bool, is func(rec oneroster.Record,
	filter string) bool) spoiler {
	return answers(func(next http.Handler, r *http.Request, a *answer) {
		q, route := r.URL.Query(), routeOf(r)
		f := q.Get("filter")
		if !isList(r) || f == "" || !of(oneroster.NewRecord(route.Resource), f) {
			return
		}
		*a = *ask(next, other(r, below(r), without(q, "filter")))
		a.choose(func(o map[string]any) bool { return is(wire.Object(o).Record(route.Resource), f) })
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
