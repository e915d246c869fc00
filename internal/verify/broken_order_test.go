package verify_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

var brokenOrders = []broken{
	{name: "sort is ignored", check: "sort.ascending",
		spoil: asks(func(_ *http.Request, q url.Values) { q.Del("sort") })},
	{name: "sort goes downwards by default", check: "sort.ascending",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Get("orderBy") == "" {
				q.Set("orderBy", "desc")
			}
		})},
	{name: "a page is sorted after it was cut", check: "sort.ascending",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
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
				whole, _ := fetch(next, r, below(r), url.Values{"sort": q["sort"], "orderBy": q["orderBy"],
					"limit": {"100000"}})
				whole.choose(func(o map[string]any) bool { return ids[text(o, "sourcedId")] })
				*a = *whole
			}
		})},
	{name: "numbers are sorted letter by letter", check: "sort.ascending",
		spoil: rows(func(_ http.Handler, r *http.Request, _ *answer, list []any) []any {
			if r.URL.Query().Get("sort") == "score" {
				sortBy(list, func(o any) string {
					return wire.Object(o.(map[string]any)).Record(oneroster.ByName("result")).Get("score")
				})
			}
			return list
		})},
	{name: "rows whose sorted value is 0 are taken for rows without it and left out",
		check: "sort.ascending", spoil: rows(func(_ http.Handler, r *http.Request, _ *answer,
			list []any) []any {
			field, kept := r.URL.Query().Get("sort"), []any{}
			for _, o := range list {
				if v, there := o.(map[string]any)[field]; there && fmt.Sprint(v) != "0" || field == "" {
					kept = append(kept, o)
				}
			}
			return kept
		})},
	{name: "sort is refused", check: "sort.ascending",
		spoil: refuses(func(r *http.Request) bool { return r.URL.Query().Has("sort") })},
	{name: "orderBy is ignored", check: "sort.descending",
		spoil: asks(func(_ *http.Request, q url.Values) { q.Del("orderBy") })},
	{name: "orderBy=desc is refused", check: "sort.descending",
		spoil: refuses(func(r *http.Request) bool { return r.URL.Query().Get("orderBy") == "desc" })},
	{name: "ties shift from page to page", check: "sort.ties",
		spoil: shifting(func(q url.Values) bool { return q.Get("sort") == "status" })},
	{name: "an unknown sort is refused", check: "sort.unknown",
		spoil: refuses(func(r *http.Request) bool { return r.URL.Query().Get("sort") == "noSuchField" })},
	{name: "an unknown sort breaks", check: "sort.unknown",
		spoil: breaks(func(q url.Values) bool { return q.Get("sort") == "noSuchField" })},
	{name: "an unknown sort turns the order", check: "sort.unknown",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Get("sort") == "noSuchField" {
				q.Set("sort", "sourcedId")
				q.Set("orderBy", "desc")
			}
		})},

	{name: "rows of one status are one row", check: "fields.list",
		spoil: rows(func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			if r.URL.Query().Get("fields") == "status" {
				return slices.CompactFunc(rows, func(a, b any) bool {
					return a.(map[string]any)["status"] == b.(map[string]any)["status"]
				})
			}
			return rows
		})},
	{name: "a filter drops the order", check: "sort.descending",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Has("filter") {
				q.Del("sort")
			}
		})},
	{name: "nested lists have five rows by default", check: "nested.total",
		spoil: asks(func(r *http.Request, q url.Values) {
			if isNested(r) && !q.Has("limit") {
				q.Set("limit", "5")
			}
		})},
	{name: "the last page of a nested list is lost where it is not full", check: "nested.total",
		spoil: rows(func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			q := r.URL.Query()
			if limit, _ := strconv.Atoi(q.Get("limit")); isNested(r) && q.Get("offset") != "" && len(rows) < limit {
				return []any{}
			}
			return rows
		})},
	{name: "nested lists are filtered after they were cut", check: "nested.filter",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			q := r.URL.Query()
			if !isNested(r) || !q.Has("filter") || q.Get("limit") != "1" {
				return
			}
			_, found := fetch(next, r, below(r), without(q, "limit"))
			_, page := fetch(next, r, below(r), without(q, "filter"))
			if len(found) > 0 && len(page) > 0 && text(found[0].(map[string]any), "sourcedId") !=
				text(page[0].(map[string]any), "sourcedId") {
				a.choose(func(map[string]any) bool { return false })
			}
		})},
	{name: "nested lists are not sorted", check: "sort.nested",
		spoil: asks(func(r *http.Request, q url.Values) {
			if isNested(r) {
				q.Del("sort")
			}
		})},
	{name: "an order loses who lacks the field", check: "sort.ascending",
		spoil: rows(func(_ http.Handler, r *http.Request, _ *answer, rows []any) []any {
			field := r.URL.Query().Get("sort")
			return slices.DeleteFunc(rows, func(o any) bool {
				return field != "" && o.(map[string]any)[field] == nil
			})
		})},
	{name: "fields is ignored", check: "fields.list",
		spoil: asks(func(_ *http.Request, q url.Values) { q.Del("fields") })},
	{name: "an encoded comma is no comma", check: "fields.list",
		spoil: asks(func(r *http.Request, q url.Values) {
			if strings.Contains(r.URL.RawQuery, "%2C") {
				q.Del("fields")
			}
		})},
	{name: "status comes without being selected", check: "fields.list",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Get("fields") != "" {
				q.Set("fields", q.Get("fields")+",status")
			}
		})},
	{name: "the first field alone comes", check: "fields.list",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if first, _, more := strings.Cut(q.Get("fields"), ","); more {
				q.Set("fields", first)
			}
		})},
	{name: "fields is ignored on single objects", check: "fields.single",
		spoil: asks(func(r *http.Request, q url.Values) {
			if isSingle(r) {
				q.Del("fields")
			}
		})},
	{name: "fields is refused on single objects", check: "fields.single",
		spoil: refuses(func(r *http.Request) bool { return isSingle(r) && r.URL.Query().Has("fields") })},
	{name: "fields is ignored on nested lists", check: "fields.nested",
		spoil: asks(func(r *http.Request, q url.Values) {
			if isNested(r) {
				q.Del("fields")
			}
		})},
	{name: "an unknown attribute is refused", check: "fields.unknown",
		spoil: refuses(func(r *http.Request) bool {
			return strings.Contains(r.URL.Query().Get("fields"), "noSuchField")
		})},
	{name: "an empty fields is everything", check: "fields.blank",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Get("fields") == "" {
				q.Del("fields")
			}
		})},
	{name: "a filter needs what it names selected", check: "fields.filter",
		spoil: refuses(func(r *http.Request) bool {
			q := r.URL.Query()
			return q.Get("fields") == "sourcedId" && q.Get("filter") != "" &&
				!strings.HasPrefix(q.Get("filter"), "sourcedId")
		})},
	{name: "a filter on what is not selected finds nothing", check: "fields.filter",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Get("fields") == "sourcedId" && q.Get("filter") != "" {
				q.Set("filter", nothing)
			}
		})},
	{name: "fields switches the filter off", check: "fields.filter",
		spoil: asks(func(_ *http.Request, q url.Values) {
			if q.Get("fields") != "" {
				q.Del("filter")
			}
		})},
}
