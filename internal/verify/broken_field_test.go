package verify_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rollbook/internal/oneroster"
)

// Mistakes that were seen in the field where nobody looked: on the second page,
// under the second parent, in the clock.
var brokenField = []broken{
	{name: "the second page of a delta skips a row", check: "delta.pages",
		spoil: laterPages("dateLastModified", 1)},
	{name: "the second page of an active pull repeats a row", check: "sds.pages",
		spoil: laterPages("status='active'", -1)},
	{name: "the school of a class in a school is not looked at", check: "nested.both-parents",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if parts := strings.Split(below(r), "/"); len(parts) == 6 && parts[1] == "schools" {
				*a = *ask(next, other(r, "/classes/"+parts[4]+"/"+parts[5], r.URL.Query()))
			}
		})},
	{name: "who has left is still in the class", check: "nested.deleted-links", cause: "nested.rows",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if p := below(r); strings.HasPrefix(p, "/classes/") && strings.HasSuffix(p, "/students") {
				*a = *ask(next, other(r, "/users", url.Values{"filter": {"status='tobedeleted'"},
					"limit": {"10000"}}))
			}
		})},
	{name: "ids are folded", check: "one.letter-case",
		spoil: answers(func(next http.Handler, r *http.Request, a *answer) {
			if isSingle(r) && a.status == http.StatusNotFound {
				path := below(r)
				at := strings.LastIndexByte(path, '/')
				*a = *ask(next, other(r, path[:at]+strings.ToLower(path[at:]), nil))
			}
		})},
	{name: "names are escaped for a screen", check: "data.entities",
		rows: `UPDATE "users" SET "familyName" = 'O&#39;Brien'`},
	{name: "letters became question marks", check: "data.entities",
		rows: `UPDATE "users" SET "familyName" = 'M?ller'`},
	{name: "everything is compressed", check: "route.identity", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := ask(s, r)
			if r.Header.Get("Accept-Encoding") == "identity" {
				var zipped bytes.Buffer
				z := gzip.NewWriter(&zipped)
				_, _ = z.Write(a.body)
				_ = z.Close()
				a.body = zipped.Bytes()
				a.header.Set("Content-Encoding", "gzip")
			}
			a.write(w)
		})
	}},
	{name: "writes are stamped in local time", check: "put.delta", cause: "filter.greater",
		spoil: objects(func(o map[string]any) {
			if at, err := time.Parse(oneroster.TimeLayout, text(o, "dateLastModified")); err == nil {
				o["dateLastModified"] = oneroster.FormatTime(at.Add(-5 * time.Hour))
			}
		}, "lineItem", "result", "category")},
}

// laterPages moves every page of a filtered list but the first by some rows.
func laterPages(filter string, by int) spoiler {
	return asks(func(_ *http.Request, q url.Values) {
		if n, err := strconv.Atoi(q.Get("offset")); err == nil && n > 0 && strings.Contains(q.Get("filter"),
			filter) {
			q.Set("offset", strconv.Itoa(n+by))
		}
	})
}
