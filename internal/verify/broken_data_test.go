package verify_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

var brokenData = []broken{
	{name: "ids are numbers", check: "data.id",
		spoil: objects(func(o map[string]any) { o["sourcedId"] = 17 }, "course")},
	{name: "ids are long", check: "data.id", rows: `UPDATE "courses" SET "sourcedId" = "sourcedId" || hex(zeroblob(150));
		UPDATE "classes" SET "course" = "course" || hex(zeroblob(150))`},
	{name: "ids are empty", check: "data.id", spoil: objects(func(o map[string]any) { o["sourcedId"] = "" },
		"course")},
	{name: "status is inactive", check: "data.status", spoil: replaces("status", "tobedeleted", "inactive")},
	{name: "status is missing", check: "data.status", spoil: drops("status")},
	{name: "status is capitalised", check: "data.status", spoil: replaces("status", "active", "Active")},
	{name: "dateLastModified is missing", check: "data.modified", spoil: drops("dateLastModified")},
	{name: "dateLastModified has no fraction", check: "data.modified",
		spoil: stamps(func(s string) string { return s[:19] + "Z" })},
	{name: "dateLastModified has no zone", check: "data.modified",
		spoil: stamps(func(s string) string { return strings.TrimSuffix(s, "Z") })},
	{name: "dateLastModified has an offset", check: "data.modified",
		spoil: stamps(func(s string) string { return strings.TrimSuffix(s, "Z") + "+00:00" })},
	{name: "dateLastModified has microseconds", check: "data.modified",
		spoil: stamps(func(s string) string { return strings.TrimSuffix(s, "Z") + "000Z" })},
	{name: "dateLastModified has a space", check: "data.modified",
		spoil: stamps(func(s string) string { return strings.Replace(s, "T", " ", 1) })},
	{name: "dateLastModified is a date", check: "data.modified",
		spoil: stamps(func(s string) string { return s[:10] })},
	{name: "a title is missing", check: "data.required", spoil: drops("title")},
	{name: "a title is empty", check: "data.required", spoil: sets("title", "")},
	{name: "a class has no terms", check: "data.required", spoil: sets("terms", []any{})},
	{name: "a user has no enabledUser", check: "data.required", spoil: drops("enabledUser")},
	{name: "attributes without a value are null", check: "data.empty",
		spoil: objects(func(o map[string]any) { fillUp(o, "middleName", nil) }, "user")},
	{name: "attributes without a value are empty", check: "data.empty",
		spoil: objects(func(o map[string]any) { fillUp(o, "middleName", "") }, "user")},
	{name: "a missing reference is null", check: "data.empty",
		spoil: objects(func(o map[string]any) { fillUp(o, "parent", nil) }, "org")},
	{name: "booleans are booleans", check: "data.types", spoil: replaces("enabledUser", "true", true,
		"false", false)},
	{name: "a school year is a number", check: "data.types",
		spoil: objects(func(o map[string]any) { o["schoolYear"] = json.Number(text(o, "schoolYear")) },
			"academicSession")},
	{name: "grades are a text", check: "data.types", spoil: sets("grades", "09,10")},
	{name: "a score is a text", check: "data.types", spoil: sets("score", "87.5")},
	{name: "a reference is a bare id", check: "data.types",
		spoil: objects(func(o map[string]any) {
			if school, is := o["school"].(map[string]any); is {
				o["school"] = school["sourcedId"]
			}
		}, "class")},
	{name: "orgs are bare ids", check: "data.types", spoil: sets("orgs", []any{"a", "b"})},
	{name: "one org is no list", check: "data.types",
		spoil: objects(func(o map[string]any) {
			if orgs, is := o["orgs"].([]any); is {
				o["orgs"] = orgs[0]
			}
		}, "user")},
	{name: "metadata is a text", check: "data.types", spoil: sets("metadata", "{}")},
	{name: "roles are capitalised", check: "data.values", spoil: replaces("role", "student", "Student")},
	{name: "a role of one's own", check: "data.values", spoil: replaces("role", "aide", "librarian",
		"teacher", "librarian")},
	{name: "booleans are 0 and 1", check: "data.values", spoil: replaces("enabledUser", "true", "1",
		"false", "0")},
	{name: "booleans are capitalised", check: "data.values", spoil: replaces("primary", "true", "True",
		"false", "False")},
	{name: "a class is of another type", check: "data.values", spoil: sets("classType", "section")},
	{name: "dates are American", check: "data.dates",
		spoil: objects(func(o map[string]any) {
			s := text(o, "startDate")
			o["startDate"] = s[5:7] + "/" + s[8:] + "/" + s[:4]
		}, "academicSession")},
	{name: "a birth date has a time", check: "data.dates",
		spoil: sets("birthDate", "2011-04-01T00:00:00.000Z")},
	{name: "a due date is a bare date", check: "data.dates", spoil: sets("dueDate", "2026-11-01")},
	{name: "a school year has two years", check: "data.dates",
		spoil: objects(func(o map[string]any) { o["schoolYear"] = "2026-2027" }, "academicSession")},
	{name: "references have no href", check: "data.references",
		spoil: references(func(r map[string]any) { delete(r, "href") })},
	{name: "references have no type", check: "data.references",
		spoil: references(func(r map[string]any) { delete(r, "type") })},
	{name: "references have no id", check: "data.references",
		spoil: references(func(r map[string]any) { delete(r, "sourcedId") })},
	{name: "references are of type school", check: "data.references",
		spoil: references(func(r map[string]any) {
			if r["type"] == "org" {
				r["type"] = "school"
			}
		})},
	{name: "references have their types capitalised", check: "data.references",
		spoil: references(func(r map[string]any) { r["type"] = strings.ToUpper(r["type"].(string)) })},
	{name: "hrefs lead to another host", check: "data.href",
		spoil: references(func(r map[string]any) {
			r["href"] = "https://app-7.internal/ims/oneroster/v1p1/orgs/1"
		})},
	{name: "hrefs are relative", check: "data.href",
		spoil: references(func(r map[string]any) { r["href"] = "/orgs/" + r["sourcedId"].(string) })},
	{name: "hrefs lead nowhere", check: "data.href",
		spoil: references(func(r map[string]any) { r["href"] = r["href"].(string) + "-nowhere" })},
	{name: "hrefs are of the collection", check: "data.href",
		spoil: references(func(r map[string]any) {
			r["href"] = r["href"].(string)[:strings.LastIndex(r["href"].(string), "/")]
		})},
	{name: "a reference dangles", check: "data.resolve", spoil: references(func(r map[string]any) {
		if r["type"] == "course" {
			r["sourcedId"] = "gone"
		}
	})},
	{name: "a reference leads to another kind", check: "data.resolve", spoil: objects(func(o map[string]any) {
		o["user"].(map[string]any)["sourcedId"] = o["class"].(map[string]any)["sourcedId"]
	}, "enrollment")},
	{name: "a reference leads to what is deleted", check: "data.resolve",
		spoil: objects(func(o map[string]any) { o["status"] = "tobedeleted" }, "course")},
	{name: "children are missing", check: "data.children",
		spoil: objects(func(o map[string]any) { o["children"] = []any{} }, "org")},
	{name: "a session is its own child", check: "data.children", spoil: objects(func(o map[string]any) {
		o["children"] = []any{map[string]any{"sourcedId": o["sourcedId"], "href": "x",
			"type": "academicSession"}}
	}, "academicSession")},
	{name: "agents lead one way", check: "data.agents", spoil: objects(func(o map[string]any) {
		if o["role"] == "student" {
			o["agents"] = []any{}
		}
	}, "user")},
	{name: "users have an attribute of their own", check: "data.unknown-attributes", cause: "fields.list",
		spoil: objects(func(o map[string]any) { o["preferredName"] = "Jo" }, "user")},
	{name: "users have a password", check: "data.password", spoil: objects(func(o map[string]any) {
		if o["username"] != nil && o["status"] != nil { // else attributes were chosen
			o["password"] = "tulips-in-May"
		}
	}, "user")},
	{name: "empty lists are left out", check: "data.lists", spoil: objects(func(o map[string]any) {
		for k, v := range o {
			if l, ok := v.([]any); ok && len(l) == 0 {
				delete(o, k)
			}
		}
	})},

	{name: "every row has the time of the export", check: "delta.constant", cause: "filter.greater",
		spoil: stamps(func(string) string { return "2026-09-01T08:00:00.000Z" })},
	{name: "dateLastModified is in the future", check: "delta.future",
		spoil: stamps(func(s string) string { return "2099" + s[4:] })},
	{name: "dateLastModified is local time", check: "delta.future", spoil: stamps(ahead)},
	{name: "dateLastModified is not filtered by", check: "delta.later", cause: "filter.greater",
		spoil: swaps("^dateLastModified>.*",
			"")},
	{name: "the delta brings what is equal", check: "delta.later", cause: "filter.greater",
		spoil: swaps("^dateLastModified>'",
			"dateLastModified>='")},
	{name: "the delta is of whole days", check: "delta.later", cause: "filter.greater",
		spoil: swaps(`^(dateLastModified>'\d\d\d\d-\d\d-\d\d)[^']*'$`, "$1'")},
	{name: "the delta leaves out what is deleted", check: "delta.later", cause: "filter.greater",
		spoil: swaps("^(dateLastModified>.*)$", "$1 AND status='active'")},
	{name: "an empty delta is 404", check: "delta.nothing", cause: "filter.no-match",
		spoil: none(func(a *answer) { a.refuse(404) })},
	{name: "an empty delta is a full pull", check: "delta.nothing",
		spoil: swaps("^dateLastModified>'2999.*", "")},
	{name: "a delta of what is active is of everything", check: "delta.active",
		spoil: swaps("^status='active' AND (dateLastModified.*)", "$1")},
	{name: "a delta of what is active is all that is active", check: "delta.active",
		spoil: swaps("^(status='active') AND dateLastModified.*", "$1")},
	{name: "deleted rows are shown as active", check: "delta.deleted", cause: "filter.status",
		spoil: replaces("status", "tobedeleted", "active")},
	{name: "deleted rows are not in the delta", check: "delta.deleted", cause: "filter.greater",
		spoil: swaps("^(dateLastModified>.*)$", "$1 AND status='active'")},
	{name: "tobedeleted cannot be asked for", check: "delta.deleted", spoil: refusesFilter("tobedeleted")},
}

func drops(field string) spoiler { return objects(func(o map[string]any) { delete(o, field) }) }

// sets sets a member of the objects that have it.
func sets(field string, v any) spoiler {
	return objects(func(o map[string]any) {
		if _, there := o[field]; there {
			o[field] = v
		}
	})
}

func fillUp(o map[string]any, field string, v any) {
	if _, there := o[field]; !there {
		o[field] = v
	}
}

// replaces swaps values of a member: from, to, from, to, …
func replaces(field string, pairs ...any) spoiler {
	return objects(func(o map[string]any) {
		for i := 0; i < len(pairs); i += 2 {
			if o[field] == pairs[i] {
				o[field] = pairs[i+1]
				return
			}
		}
	})
}

func stamps(edit func(s string) string) spoiler {
	return objects(func(o map[string]any) {
		if s := text(o, "dateLastModified"); s != "" {
			o["dateLastModified"] = edit(s)
		}
	})
}

// ahead writes a time as the clock of UTC+10 has it, and says that it is UTC.
func ahead(s string) string {
	at, _, err := oneroster.ParseInstant(s)
	if err != nil {
		panic(err) // the correct provider's
	}
	return oneroster.FormatTime(at.Add(10 * 60 * 60 * 1e9))
}

// references changes every reference.
func references(edit func(r map[string]any)) spoiler {
	return objects(func(o map[string]any) {
		for key, v := range o {
			if key == "metadata" || key == "userIds" {
				continue
			}
			if r, ok := v.(map[string]any); ok {
				edit(r)
			}
			if l, ok := v.([]any); ok {
				for _, it := range l {
					if r, ok := it.(map[string]any); ok {
						edit(r)
					}
				}
			}
		}
	})
}

func sortBy(list []any, key func(o any) string) {
	sort.SliceStable(list, func(i, j int) bool { return key(list[i]) < key(list[j]) })
}

var brokenReaders = []broken{
	{name: "the base URL has no version", check: "sds.base-url", spoil: nil, config: unversioned},
	{name: "nobody is active", check: "sds.pull", cause: "filter.status", spoil: swaps("^status='active'$",
		nothing)},
	{name: "a pull has no total", check: "sds.pull",
		spoil: where(func(r *http.Request) bool { return r.URL.Query().Get("limit") == "5000" },
			func(a *answer) { a.header.Del("X-Total-Count") })},
	{name: "a pull is cut to 10 rows", check: "sds.pull", cause: "page.size",
		spoil: limits(func(n int) int { return min(n, 10) })},
	{name: "a pull is refused", check: "sds.pull", cause: "page.size",
		spoil: refuses(func(r *http.Request) bool { return number(r.URL.Query(), "limit", 0) >= 5000 })},
	{name: "there are two orgs", check: "sds.paging", cause: "data.resolve",
		spoil: rows(func(_ http.Handler, r *http.Request, a *answer, list []any) []any {
			if below(r) == "/orgs" {
				a.setTotal(2)
				return list[:min(len(list), max(0, 2-number(r.URL.Query(), "offset", 0)))]
			}
			return list
		})},
	{name: "the school year is not filtered by", check: "sds.school-year", cause: "filter.equal",
		spoil: refusesFilter("schoolYear")},
	{name: "the school year selects nothing", check: "sds.school-year", cause: "filter.equal",
		spoil: swaps("^schoolYear.*",
			nothing)},
	{name: "the school year is passed over", check: "sds.school-year", cause: "filter.and",
		spoil: swaps("^schoolYear='[^']*' AND ", "status!='none' OR ")},
	{name: "a class's term is no term", check: "sds.terms", cause: "one.answer",
		spoil: where(func(r *http.Request) bool { return strings.HasPrefix(below(r), "/terms/") },
			func(a *answer) { a.refuse(404) })},
	{name: "guardians have no agents", check: "sds.contacts",
		spoil: objects(func(o map[string]any) { o["agents"] = []any{} }, "user")},
	{name: "guardians cannot be asked for", check: "sds.contacts", cause: "filter.equal",
		spoil: refusesFilter("guardian")},
	{name: "a user flag is unknown", check: "sds.user-flags", spoil: objects(func(o map[string]any) {
		if m, ok := o["metadata"].(map[string]any); ok {
			m["microsoft.userFlags"] = "freeLunch,poor"
		}
	}, "user")},
	{name: "usernames are addresses", check: "sds.usernames",
		spoil: objects(func(o map[string]any) { o["username"] = text(o, "username") + "@example.org" },
			"user")},

	{name: "a token is opaque", check: "gradesync.jwt",
		spoil: handles(func(token string, n int) string { return "opaque-" + strconv.Itoa(n) })},
	{name: "a token has no exp", check: "gradesync.jwt",
		spoil: handles(func(token string, n int) string { return "e30.e30." + strconv.Itoa(n) })},
	{name: "a token's claims are not JSON", check: "gradesync.jwt",
		spoil: handles(func(token string, n int) string { return "a.b." + strconv.Itoa(n) })},
	{name: "an absent result is 400", check: "gradesync.absent", cause: "error.unknown-id",
		spoil: where(func(r *http.Request) bool { return strings.HasPrefix(below(r), "/results/") },
			func(a *answer) {
				if a.status == http.StatusNotFound {
					a.refuse(400)
				}
			})},
	{name: "an id that is no UUID is 400", check: "gradesync.absent",
		spoil: where(func(r *http.Request) bool { return strings.Contains(below(r), "no.such class") },
			func(a *answer) { a.refuse(400) })},
	{name: "teachers share an address", check: "gradesync.teacher", spoil: swaps("^email=.*", "")},
	{name: "a teacher is not found by address", check: "gradesync.teacher",
		spoil: swaps("^email=.*", nothing)},
	{name: "a teacher has no classes", check: "gradesync.classes", cause: "nested.rows",
		spoil: asks(func(r *http.Request, q url.Values) {
			if strings.HasPrefix(below(r), "/teachers/") && isNested(r) {
				q.Set("offset", "1000")
			}
		})},
	{name: "a class's students are cut to 5", check: "gradesync.classes", cause: "page.size",
		spoil: asks(func(r *http.Request, q url.Values) {
			if strings.HasSuffix(below(r), "/students") {
				q.Set("limit", "5")
			}
		})},
	{name: "students have neither address nor username", check: "gradesync.classes",
		rows: `UPDATE "users" SET "email" = '', "username" = '' WHERE "role" = 'student'`},
	{name: "terms are among the grading periods", check: "gradesync.periods", cause: "filter.equal",
		spoil: swaps("^type='gradingPeriod'$", "")},
	{name: "the grading periods are over", check: "gradesync.periods", cause: "SDS-S03",
		rows: `UPDATE "academicSessions" SET "startDate" = '2001-01-01', "endDate" = '2001-06-01'`},
	{name: "the categories are deleted", check: "gradesync.categories",
		rows: `UPDATE "categories" SET "status" = 'tobedeleted'; UPDATE "lineItems" SET "status" = 'tobedeleted';
			UPDATE "results" SET "status" = 'tobedeleted'`},
	{name: "a vendor's header is refused", check: "gradesync.vendor-header",
		spoil: where(func(r *http.Request) bool { return r.Header.Get("X-Vendor-Authorization") != "" },
			func(a *answer) { a.refuse(401) })},
	{name: "links have bare commas", check: "gradesync.links",
		spoil: answers(func(_ http.Handler, _ *http.Request, a *answer) {
			a.header.Set("Link", strings.ReplaceAll(a.header.Get("Link"), "%2C", ","))
		})},
	{name: "the first link is first", check: "gradesync.links",
		spoil: answers(func(_ http.Handler, _ *http.Request, a *answer) {
			parts := strings.Split(a.header.Get("Link"), ", ")
			for i, p := range parts {
				if strings.Contains(p, `"first"`) {
					parts[0], parts[i] = parts[i], parts[0]
				}
			}
			a.header.Set("Link", strings.Join(parts, ", "))
		})},
}
