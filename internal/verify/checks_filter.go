package verify

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

const ruleFilter = ruleREST + ", filtering"

var filterChecks = []Check{
	{ID: "filter.equal", Area: areaFilter, On: Lists,
		Title: "field='value' brings exactly the rows that have the value",
		Rule:  ruleFilter, Fix: "Compare the whole value of the named field; select in the database, " +
			"before paging.", Run: func(p *probe) {
			p.onText(func(c *collection, f *oneroster.Field, v string) {
				p.filtered(c, f.Name+"="+provider.Quote(v), equal(f.Name, v), like(f.Name, v), f.Name)
			})
		}},
	{ID: "filter.id", Area: areaFilter, On: Lists, Title: "sourcedId='…' brings that one row",
		Rule: ruleFilter + "; Google's suite",
		Fix:  "Let every attribute be filtered, sourcedId among them.", Run: func(p *probe) {
			if c, ok := p.collection(); ok {
				id := c.id(c.count / 2)
				p.filtered(c, "sourcedId="+provider.Quote(id), equal("sourcedId", id),
					equal("sourcedId", id), "sourcedId")
			}
		}},
	{ID: "filter.status", Area: areaFilter, On: Lists,
		Title: "status='active' leaves out what is deleted, and nothing else",
		Rule:  ruleSDS + ": every pull asks so", Fix: "Filter by the status that is served.",
		Run: func(p *probe) {
			if c, ok := p.collection(); ok {
				p.filtered(c, "status='active'", equal("status", "active"), equal("status", "active"),
					"status")
			}
		}},
	{ID: "filter.no-match", Area: areaFilter, On: Lists,
		Title: "A value that no row has brings 200 and an empty list under the usual key",
		Rule:  ruleSDS + " (SDS-A06): sourcedId='norecords'",
		Fix:   "Answer an empty list and X-Total-Count: 0; never 404, never every row.",
		Run: func(p *probe) {
			c, ok := p.collection()
			if !ok {
				return
			}
			p.empty(c, "sourcedId='norecords'")
			if f := textField(c); f != nil && f.Kind == oneroster.String { // filter.unknown-value asks for words
				p.empty(c, f.Name+"='norecords'")
			}
		}},
	{ID: "filter.unknown-value", Area: areaFilter, On: Lists,
		Title: "A value that an enumeration does not have brings 200 and an empty list",
		Rule:  ruleSDS + " (SDS-A06): status='norecords'",
		Fix:   "Let an unknown enumeration value select nothing.", Run: func(p *probe) {
			c, ok := p.collection()
			if !ok {
				return
			}
			for _, f := range p.route.Resource.Fields {
				if f.Kind == oneroster.Enum && f.Name != p.route.View.Field {
					p.empty(c, f.Name+"='norecords'")
				}
			}
		}},
	{ID: "filter.not-equal", Area: areaFilter, On: Lists, Title: "!= brings the rows that have another value",
		Rule: ruleFilter, Fix: "Negate the comparison.", Run: func(p *probe) {
			p.onText(func(c *collection, f *oneroster.Field, v string) {
				p.filtered(c, f.Name+"!="+provider.Quote(v),
					func(r oneroster.Record) bool {
						return r.Get(f.Name) != "" && !strings.EqualFold(r.Get(f.Name), v)
					},
					func(r oneroster.Record) bool { return r.Get(f.Name) != v }, f.Name)
			})
		}},
	{ID: "filter.greater", Area: areaFilter, On: Lists, Title: "> leaves out rows that are equal",
		Rule: ruleFilter + "; " + ruleSDS + " (SDS-A07)",
		Fix:  "Compare strictly, and dateTimes as instants.",
		Run:  func(p *probe) { p.order(">", func(v, at string) bool { return v > at }) }},
	{ID: "filter.greater-equal", Area: areaFilter, On: Lists, Title: ">= brings rows that are equal too",
		Rule: ruleFilter, Fix: "Read the two letters of the predicate before the one.",
		Run: func(p *probe) { p.order(">=", func(v, at string) bool { return v >= at }) }},
	{ID: "filter.less", Area: areaFilter, On: Lists, Title: "< leaves out rows that are equal",
		Rule: ruleFilter, Fix: "Compare strictly, and dateTimes as instants.",
		Run: func(p *probe) { p.order("<", func(v, at string) bool { return v < at }) }},
	{ID: "filter.less-equal", Area: areaFilter, On: Lists, Title: "<= brings rows that are equal too",
		Rule: ruleFilter, Fix: "Read the two letters of the predicate before the one.",
		Run: func(p *probe) { p.order("<=", func(v, at string) bool { return v <= at }) }},
	{ID: "filter.number", Area: areaFilter, On: Lists, Where: hasNumber,
		Title: "Numbers are compared as numbers",
		Rule:  ruleFilter, Fix: "Compare by size, not letter by letter: 9 is less than 10.",
		Run: checkNumbers},
	{ID: "filter.contains", Area: areaFilter, On: Lists,
		Title: "~ brings the rows whose value contains the text",
		Rule:  ruleFilter, Fix: "Look for the text anywhere in the value.", Run: func(p *probe) {
			p.onText(func(c *collection, f *oneroster.Field, v string) {
				part := v
				if len(v) > 3 {
					part = v[1 : len(v)-1]
				}
				p.filtered(c, f.Name+"~"+provider.Quote(part),
					func(r oneroster.Record) bool { return strings.Contains(r.Get(f.Name), part) },
					func(r oneroster.Record) bool {
						return strings.Contains(strings.ToLower(r.Get(f.Name)), strings.ToLower(part))
					}, f.Name)
			})
		}},
	{ID: "filter.and", Area: areaFilter, On: Lists, Title: "AND brings the rows that fulfil both conditions",
		Rule: ruleFilter + "; " + ruleSDS + " (SDS-A08)",
		Fix:  "Never leave a condition out: refuse what you cannot read.", Run: func(p *probe) {
			p.onText(func(c *collection, f *oneroster.Field, v string) {
				other := c.id(c.count - 1)
				both := func(same func(a, b string) bool) func(oneroster.Record) bool {
					return func(r oneroster.Record) bool { return same(r.Get(f.Name), v) && r.ID() != other }
				}
				p.filtered(c, f.Name+"="+provider.Quote(v)+" AND sourcedId!="+provider.Quote(other),
					both(exactly), both(strings.EqualFold), f.Name)
				p.filtered(c, "sourcedId!="+provider.Quote(other)+" AND "+f.Name+"="+provider.Quote(v),
					both(exactly), both(strings.EqualFold), f.Name)
			})
		}},
	{ID: "filter.or", Area: areaFilter, On: Lists, Title: "OR brings the rows that fulfil either condition",
		Rule: ruleFilter, Fix: "Never leave a condition out: refuse what you cannot read.",
		Run: func(p *probe) {
			p.onText(func(c *collection, f *oneroster.Field, v string) {
				other := c.id(c.count - 1)
				either := func(same func(a, b string) bool) func(oneroster.Record) bool {
					return func(r oneroster.Record) bool { return same(r.Get(f.Name), v) || r.ID() == other }
				}
				p.filtered(c, f.Name+"="+provider.Quote(v)+" OR sourcedId="+provider.Quote(other),
					either(exactly), either(strings.EqualFold), f.Name)
			})
		}},
	{ID: "filter.apostrophe", Area: areaFilter, On: Lists,
		Title: "An apostrophe in a value breaks nothing, and finds its rows",
		Rule:  "in the field: O'Brien is a name",
		Fix: "Pass values as parameters, and read a doubled quote, or one that no AND, OR or end " +
			"follows, as part of the value.", Run: checkApostrophe},
	{ID: "filter.comma", Area: areaFilter, On: Lists, Title: "A comma in a value is part of it",
		Rule: ruleFilter, Fix: "Split at commas only for attributes that are lists.",
		Run: func(p *probe) { p.withIn(", ") }},
	{ID: "filter.percent", Area: areaFilter, On: Lists, Title: "A percent sign in a value is no wildcard",
		Rule: ruleFilter + "; the SQL behind it shows through",
		Fix:  "Escape % and _ before LIKE, or do not use LIKE.", Run: func(p *probe) {
			p.onFreeText(func(c *collection, f *oneroster.Field, v string) {
				p.filtered(c, f.Name+"='%'", equal(f.Name, "%"), equal(f.Name, "%"), f.Name)
				p.filtered(c, f.Name+"~'%'", holds(f.Name, "%"), holds(f.Name, "%"), f.Name)
			})
		}},
	{ID: "filter.underscore", Area: areaFilter, On: Lists, Title: "An underscore in a value is no wildcard",
		Rule: ruleFilter + "; the SQL behind it shows through",
		Fix:  "Escape % and _ before LIKE, or do not use LIKE.", Run: func(p *probe) {
			p.onFreeText(func(c *collection, f *oneroster.Field, v string) {
				_, first := utf8.DecodeRuneInString(v)
				one := "_" + v[first:]
				p.filtered(c, f.Name+"="+provider.Quote(one), equal(f.Name, one), like(f.Name, one), f.Name)
				p.filtered(c, f.Name+"~"+provider.Quote(one), holds(f.Name, one), holds(f.Name, one), f.Name)
			})
		}},
	{ID: "filter.and-in-value", Area: areaFilter, On: Lists,
		Title: "The words AND and OR inside a value are part of it",
		Rule:  ruleFilter, Fix: "Read the filter letter by letter; do not split it at AND.",
		Run: func(p *probe) {
			p.withIn(" AND ")
			p.withIn(" OR ")
		}},
	{ID: "filter.equals-in-value", Area: areaFilter, On: Lists,
		Title: "Predicates inside a value are part of it",
		Rule:  ruleFilter, Fix: "Read the filter letter by letter; the first predicate ends the " +
			"field's name.", Run: func(p *probe) {
			p.withIn("=")
			p.withIn(">")
			p.withIn("~")
		}},
	{ID: "filter.date-only", Area: areaFilter, On: Lists, Title: "A bare date is midnight UTC of that day",
		Rule: "in the field: Moodle's delta is dateLastModified>'2026-09-01'",
		Fix:  "Take YYYY-MM-DD where a dateTime is compared.", Run: func(p *probe) {
			c, stamps, ok := p.stamps()
			if !ok {
				return
			}
			day := stamps[len(stamps)-1][:len(oneroster.DateLayout)]
			at := day + "T00:00:00.000Z"
			p.filtered(c, "dateLastModified>="+provider.Quote(day),
				modified(func(v string) bool { return v >= at }),
				modified(func(v string) bool { return v >= at }), "dateLastModified")
			p.filtered(c, "dateLastModified<"+provider.Quote(day),
				modified(func(v string) bool { return v < at }),
				modified(func(v string) bool { return v < at }), "dateLastModified")
		}},
	{ID: "filter.zone", Area: areaFilter, On: Lists,
		Title: "A dateTime in another zone, or with other fractions, is the same instant",
		Rule:  ruleFilter + ": dateTimes are compared as instants; ISO 8601",
		Fix:   "Parse the literal and compare instants, not texts.", Run: checkZone},
	{ID: "filter.unknown-field", Area: areaFilter, On: Lists,
		Title: "A field that the resource does not have is refused with 400",
		Rule:  ruleFilter + ": invalid_filter_field, and no data",
		Fix:   "Answer 400 with invalid_filter_field; never every row.", Run: func(p *probe) {
			p.refuses("noSuchField='1'", "noSuchField>'2020-01-01'", "status='active' AND noSuchField='1'")
		}},
	{ID: "filter.unreadable", Area: areaFilter, On: Lists,
		Title: "A filter that cannot be read is refused, never answered with every row",
		Rule:  ruleFilter + ": a pull that asks for a part and is given all, or none, changes classes",
		Fix:   "Answer 400 where any part of the filter is not understood.", Run: func(p *probe) {
			p.refuses("status", "this is no filter", "status='active", "status='active' AND",
				"status='active' AND (sourcedId='1'")
		}},
	{ID: "filter.sql", Area: areaFilter, On: Lists,
		Title: "SQL where the name of a field stands is refused with 400",
		Rule:  ruleFilter + ": invalid_filter_field; what is run as SQL can read everything",
		Fix:   "Look names of fields up in a list of those that the resource has; pass values as parameters.",
		Run: func(p *probe) {
			p.refuses("1='1'", "(select 1)='1'", "status='active' OR 1='1'")
		}},
	{ID: "filter.bad-date", Area: areaFilter, On: Lists,
		Title: "A date that is none is refused with 400, and breaks nothing",
		Rule:  ruleFilter + ": invalid data; HTTP status codes",
		Fix:   "Parse dates before they reach the database; answer 400 with the value.", Run: checkBadDate},
	{ID: "filter.given-twice", Area: areaFilter, On: Lists,
		Title: "Two filters in one request bring no more than one of them does",
		Rule:  ruleFilter + ", one filter a request; a proxy and the server behind it may take each another one",
		Fix:   "Answer 400 where filter comes twice, or take one of them; never both as OR, and never none.",
		Run:   checkTwoFilters},
	{ID: "filter.reference", Area: areaFilter, On: Lists, Where: hasRef,
		Title: "A reference is filtered by its sourcedId, with a dot",
		Rule:  ruleFilter + ": dot notation",
		Fix:   "Resolve school.sourcedId, class.sourcedId, orgs.sourcedId and so on.", Run: func(p *probe) {
			p.onRef(func(c *collection, f *oneroster.Field, id string) {
				has := func(r oneroster.Record) bool { return contains(oneroster.Items(r.Get(f.Name)), id) }
				p.filtered(c, f.Name+".sourcedId="+provider.Quote(id), has, has, f.Name)
			})
		}},
	{ID: "filter.csv-name", Area: areaFilter, On: Wholes, Profiles: []string{"gradesync"},
		Where: func(r *oneroster.Route) bool { return r.Path == "/enrollments" },
		Title: "classSourcedId='…' filters enrollments",
		Rule:  ruleGS + " asks /enrollments so",
		Fix: "Take the names of the CSV binding for references: classSourcedId, schoolSourcedId, " +
			"userSourcedId.", Run: func(p *probe) {
			c, ok := p.collection()
			if !ok {
				return
			}
			id := c.record(0).Get("class")
			p.filtered(c, "classSourcedId="+provider.Quote(id), equal("class", id), equal("class", id),
				"class")
		}},
	{ID: "filter.list", Area: areaFilter, On: Lists, Where: hasStrings,
		Title: "A list is filtered by what it holds",
		Rule:  ruleFilter + ": multi-valued attributes",
		Fix:   "Let = be true where the list holds the value.", Run: func(p *probe) {
			c, ok := p.collection()
			if !ok {
				return
			}
			f, v := listValue(c)
			if f == nil {
				p.lacks("no row has a list with a value")
				return
			}
			has := func(r oneroster.Record) bool { return contains(oneroster.Items(r.Get(f.Name)), v) }
			p.filtered(c, f.Name+"="+provider.Quote(v), has, func(r oneroster.Record) bool {
				return contains(fold(oneroster.Items(r.Get(f.Name))), strings.ToLower(v))
			}, f.Name)
		}},
	{ID: "filter.encoding", Area: areaFilter, On: Lists,
		Title: "A filter means the same however it is encoded",
		Rule: "in the field: raw quotes and @ (Google), %27 and %3D, + for a space, typographic quotes in " +
			"Microsoft's pages", Fix: "Decode the query string once; take + as a space outside values; " +
			"take typographic quotes as quotes.", Run: checkEncoding},
	{ID: "filter.lower-case", Area: areaFilter, On: Wholes, Advice: true,
		Title: "and and or are operators in lower case too",
		Rule:  "in the field: clients write both", Fix: "Compare the operators without regard to case.",
		Run: func(p *probe) {
			if c, ok := p.collection(); ok {
				id := c.id(0)
				p.filtered(c, "sourcedId="+provider.Quote(id)+" and sourcedId="+provider.Quote(id),
					equal("sourcedId", id), equal("sourcedId", id), "sourcedId")
			}
		}},
	{ID: "filter.total", Area: areaFilter, On: Lists, Title: "X-Total-Count counts what the filter selects",
		Rule: ruleREST + ", paging: the total after filtering",
		Fix:  "Count with the filter, before limit and offset.", Run: func(p *probe) {
			p.onText(func(c *collection, f *oneroster.Field, v string) {
				for _, filter := range []string{f.Name + "=" + provider.Quote(v), "sourcedId='norecords'"} {
					all := p.get(p.route.Path, "limit", strconv.Itoa(pageful), "filter", filter)
					if c.first.Total() < 0 || all.Status == http.StatusNotFound {
						p.lacks("there is no X-Total-Count (list.total-header), or no list (filter.no-match)")
						continue
					}
					got, ok := p.whole(all, pageful)
					if !ok || len(got.Objects) >= pageful {
						continue
					}
					for _, a := range []*provider.Answer{all, p.get(p.route.Path, "limit", "1", "filter",
						filter)} {
						if a.Status == http.StatusOK && a.Total() != len(got.Objects) {
							p.fail(a, "X-Total-Count is %d; the filter selects %s", a.Total(),
								plural(len(got.Objects), "row"))
						}
					}
				}
			})
		}},
	{ID: "filter.pages", Area: areaFilter, On: Lists, Title: "A filtered list is paged like any other",
		Rule: ruleREST + ", paging", Fix: "Filter first, then order, then page.", Run: checkFilteredPages},
}
