package verify

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
)

const ruleFilter = ruleREST + ", filtering"

var filterChecks = []Check{
	{ID: "filter.equal", On: Lists, Title: "field='value' brings exactly the rows that have the value",
		Rule: ruleFilter, Fix: "Compare the whole value of the named field; select in the database, " +
			"before paging.", Run: func(p *probe) {
			c, field, v := p.plainText()
			p.filtered(c, has(field, v))
			none, err := p.asList(p.get(p.route.Path, "filter", "sourcedId='norecords'"), c.of)
			if len(p.failures) == 0 && len(v) > 2 && c.plainField().Kind == oneroster.String && err == nil &&
				len(none.Objects) == 0 && none.Objects != nil { // else filter.no-match tells
				p.filtered(c, has(field, v[1:]), has(field, v[:len(v)-1])) // other values
			}
			if len(p.failures) == 0 {
				p.words(c)
			}
		}},
	{ID: "filter.id", On: Lists, Title: "sourcedId='…' brings that one row",
		Rule: ruleFilter + "; Google's suite",
		Fix:  "Let every attribute be filtered, sourcedId among them.", Run: func(p *probe) {
			c := p.collection()
			p.filtered(c, exactly("sourcedId", c.id(c.count/2)))
			for n := 0; n < c.count && len(p.failures) == 0; n++ {
				_, last := utf8.DecodeLastRuneInString(c.id(n))
				part := c.id(n)[:len(c.id(n))-last]
				if _, there := c.find(part); there && part != "" { // another id begins with it
					p.filtered(c, exactly("sourcedId", part))
					return
				}
			}
		}},
	{ID: "filter.status", On: Lists, Title: "status='active' leaves out what is deleted, and nothing else",
		Rule: ruleSDS + ": every pull asks so", Fix: "Filter by the status that is served.",
		Run: func(p *probe) { p.filtered(p.collection(), active) }},
	{ID: "filter.no-match", On: Lists,
		Title: "A value that no row has brings 200 and an empty list under the usual key",
		Rule:  ruleSDS + " (SDS-A06): sourcedId='norecords'",
		Fix:   "Answer an empty list and X-Total-Count: 0; never 404, never every row.",
		Run: func(p *probe) {
			f := p.collection().plainField()
			p.empty("sourcedId='norecords'")
			if f != nil && f.Kind == oneroster.String { // filter.unknown-value asks for words
				p.empty(f.Name + "='norecords'")
			}
		}},
	{ID: "filter.unknown-value", On: Lists,
		Title: "A value that an enumeration does not have brings 200 and an empty list",
		Rule:  ruleSDS + " (SDS-A06): status='norecords'",
		Fix:   "Let an unknown enumeration value select nothing.", Run: func(p *probe) {
			for _, f := range p.collection().of.Fields {
				if f.Kind == oneroster.Enum && f.Name != p.route.View.Field {
					p.empty(f.Name + "='norecords'")
				}
			}
		}},
	{ID: "filter.not-equal", On: Lists, Title: "!= brings the rows that have another value",
		Rule: ruleFilter, Fix: "Negate the comparison.", Run: func(p *probe) {
			c, field, v := p.plainText()
			want := where(field+"!="+provider.Quote(v),
				func(r oneroster.Record) bool { return r.Get(field) != v }, field)
			want.must = func(r oneroster.Record) bool {
				return r.Get(field) != "" && !strings.EqualFold(r.Get(field), v)
			}
			p.filtered(c, want)
		}},
	{ID: "filter.greater", On: Lists, Title: "> leaves out rows that are equal",
		Rule: ruleFilter + "; " + ruleSDS + " (SDS-A07)",
		Fix:  "Compare strictly, and dateTimes as instants.", Run: func(p *probe) { p.order(">") }},
	{ID: "filter.greater-equal", On: Lists, Title: ">= brings rows that are equal too",
		Rule: ruleFilter, Fix: "Read the two letters of the predicate before the one.",
		Run: func(p *probe) { p.order(">=") }},
	{ID: "filter.less", On: Lists, Title: "< leaves out rows that are equal",
		Rule: ruleFilter, Fix: "Compare strictly, and dateTimes as instants.",
		Run: func(p *probe) { p.order("<") }},
	{ID: "filter.less-equal", On: Lists, Title: "<= brings rows that are equal too",
		Rule: ruleFilter, Fix: "Read the two letters of the predicate before the one.",
		Run: func(p *probe) { p.order("<=") }},
	{ID: "filter.number", On: Lists, Where: hasNumber, Title: "Numbers are compared as numbers",
		Rule: ruleFilter, Fix: "Compare by size, not letter by letter: 9 is less than 10.", Run: checkNumbers},
	{ID: "filter.contains", On: Lists, Title: "~ brings the rows whose value contains the text",
		Rule: ruleFilter, Fix: "Look for the text anywhere in the value.", Run: func(p *probe) {
			c, field, part := p.plainText()
			if len(part) > 3 {
				part = part[1 : len(part)-1]
			}
			p.filtered(c, holds(field, part))
			if free := c.plainField().Kind == oneroster.String; free && len(p.failures) == 0 && len(part) > 2 {
				p.filtered(c, holds(field, part[:1]+"."+part[2:]), holds(field, "^"+part), // a pattern would find it
					holds(field, "a"), holds(field, "e")) // an index may lack a row
			}
		}},
	{ID: "filter.and", On: Lists, Title: "AND brings the rows that fulfil both conditions",
		Rule: ruleFilter + "; " + ruleSDS + " (SDS-A08)",
		Fix:  "Never leave a condition out: refuse what you cannot read.", Run: func(p *probe) {
			c, field, v := p.plainText()
			first, last := other(c.id(0)), other(c.id(c.count-1))
			p.filtered(c, has(field, v).and(last), last.and(has(field, v)))
			if len(p.failures) == 0 { // a parser that keeps one condition a field
				p.filtered(c, first.and(last))
			}
		}},
	{ID: "filter.or", On: Lists, Title: "OR brings the rows that fulfil either condition",
		Rule: ruleFilter, Fix: "Never leave a condition out: refuse what you cannot read.",
		Run: func(p *probe) {
			c, field, v := p.plainText()
			p.filtered(c, has(field, v).or(exactly("sourcedId", c.id(c.count-1))))
		}},
	{ID: "filter.apostrophe", On: Lists, Title: "An apostrophe in a value breaks nothing, and finds its rows",
		Rule: "in the field: O'Brien is a name",
		Fix: "Pass values as parameters, and read a doubled quote, or one that no AND, OR or end " +
			"follows, as part of the value.", Run: checkApostrophe},
	{ID: "filter.comma", On: Lists, Title: "A comma in a value is part of it",
		Rule: ruleFilter, Fix: "Split at commas only for attributes that are lists.",
		Run: func(p *probe) { p.withIn(", ") }},
	{ID: "filter.percent", On: Lists, Title: "A percent sign in a value is no wildcard",
		Rule: ruleFilter + "; the SQL behind it shows through",
		Fix:  "Escape % and _ before LIKE, or do not use LIKE.", Run: func(p *probe) {
			c, field, _ := p.freeText()
			p.filtered(c, exactly(field, "%"), holds(field, "%"))
		}},
	{ID: "filter.underscore", On: Lists, Title: "An underscore in a value is no wildcard",
		Rule: ruleFilter + "; the SQL behind it shows through",
		Fix:  "Escape % and _ before LIKE, or do not use LIKE.", Run: func(p *probe) {
			c, field, v := p.freeText()
			_, first := utf8.DecodeRuneInString(v)
			p.filtered(c, has(field, "_"+v[first:]), holds(field, "_"+v[first:]))
		}},
	{ID: "filter.and-in-value", On: Lists, Title: "The words AND and OR inside a value are part of it",
		Rule: ruleFilter, Fix: "Read the filter letter by letter; do not split it at AND.",
		Run: func(p *probe) { p.withIn(" AND ", " OR ") }},
	{ID: "filter.equals-in-value", On: Lists, Title: "Predicates inside a value are part of it",
		Rule: ruleFilter, Fix: "Read the filter letter by letter; the first predicate ends the " +
			"field's name.", Run: func(p *probe) { p.withIn("=", ">", "~") }},
	{ID: "filter.date-only", On: Lists, Title: "A bare date is midnight UTC of that day",
		Rule: "in the field: Moodle's delta is dateLastModified>'2026-09-01'",
		Fix:  "Take YYYY-MM-DD where a dateTime is compared.", Run: func(p *probe) {
			c, stamps := p.stamps()
			day := stamps[len(stamps)-1][:len(oneroster.DateLayout)]
			midnight := day + "T00:00:00.000Z"
			p.filtered(c, stamped(">=", midnight).spelled(">=", day), stamped("<", midnight).spelled("<", day))
		}},
	{ID: "filter.zone", On: Lists,
		Title: "A dateTime in another zone, or with other fractions, is the same instant",
		Rule:  ruleFilter + ": dateTimes are compared as instants; ISO 8601",
		Fix:   "Parse the literal and compare instants, not texts.", Run: checkZone},
	{ID: "filter.unknown-field", On: Lists,
		Title: "A field that the resource does not have is refused with 400",
		Rule:  ruleFilter + ": invalid_filter_field, and no data",
		Fix:   "Answer 400 with invalid_filter_field; never every row.", Run: func(p *probe) {
			p.refuses("noSuchField='1'", "noSuchField>'2020-01-01'", "status='active' AND noSuchField='1'")
		}},
	{ID: "filter.unreadable", On: Lists,
		Title: "A filter that cannot be read is refused, never answered with every row",
		Rule:  ruleFilter + ": a pull that asks for a part and is given all, or none, changes classes",
		Fix:   "Answer 400 where any part of the filter is not understood.", Run: func(p *probe) {
			p.refuses("status", "this is no filter", "status='active", "status='active' AND",
				"status='active' AND (sourcedId='1'")
		}},
	{ID: "filter.sql", On: Lists, Title: "SQL where the name of a field stands is refused with 400",
		Rule: ruleFilter + ": invalid_filter_field; what is run as SQL can read everything",
		Fix:  "Look names of fields up in a list of those that the resource has; pass values as parameters.",
		Run:  func(p *probe) { p.refuses("1='1'", "(select 1)='1'", "status='active' OR 1='1'") }},
	{ID: "filter.bad-date", On: Lists, Title: "A date that is none is refused with 400, and breaks nothing",
		Rule: ruleFilter + ": invalid data; HTTP status codes",
		Fix:  "Parse dates before they reach the database; answer 400 with the value.", Run: checkBadDate},
	{ID: "filter.given-twice", On: Lists,
		Title: "Two filters in one request bring no more than one of them does",
		Rule:  ruleFilter + ", one filter a request; a proxy and the server behind it may take each another one",
		Fix:   "Answer 400 where filter comes twice, or take one of them; never both as OR, and never none.",
		Run:   checkTwoFilters},
	{ID: "filter.reference", On: Lists, Where: hasRef,
		Title: "A reference is filtered by its sourcedId, with a dot", Rule: ruleFilter + ": dot notation",
		Fix: "Resolve school.sourcedId, class.sourcedId, orgs.sourcedId and so on.", Run: func(p *probe) {
			for f, id := range p.references() {
				p.filtered(p.collection(), among(f.Name+".sourcedId", f.Name, id))
			}
		}},
	{ID: "filter.csv-name", On: Wholes, Profiles: gradeProfiles,
		Where: func(r *oneroster.Route) bool { return r.Path == "/enrollments" },
		Title: "classSourcedId='…' filters enrollments", Rule: ruleGS + " asks /enrollments so",
		Fix: "Take the names of the CSV binding for references: classSourcedId, schoolSourcedId, " +
			"userSourcedId.", Run: func(p *probe) {
			c := p.collection()
			p.filtered(c, among("classSourcedId", "class", c.record(0).Get("class")))
		}},
	{ID: "filter.list", On: Lists, Where: hasStrings, Title: "A list is filtered by what it holds",
		Rule: ruleFilter + ": multi-valued attributes",
		Fix:  "Let = be true where the list holds the value.", Run: func(p *probe) {
			c := p.collection()
			field, v := listValue(c)
			if field == "" {
				p.leave("no row has a list with a value")
			}
			want := among(field, field, v)
			want.may = func(r oneroster.Record) bool {
				return slices.Contains(oneroster.Items(strings.ToLower(r.Get(field))), strings.ToLower(v))
			}
			p.filtered(c, want)
			if len(p.failures) == 0 { // the list is no text in which a part is looked for
				p.filtered(c, among(field, field, v[:len(v)-1]))
			}
		}},
	{ID: "filter.encoding", On: Lists, Title: "A filter means the same however it is encoded",
		Rule: "in the field: raw quotes and @ (Google), %27 and %3D, + for a space, typographic quotes in " +
			"Microsoft's pages", Fix: "Decode the query string once; take + as a space outside values; " +
			"take typographic quotes as quotes.", Run: checkEncoding},
	{ID: "filter.lower-case", On: Wholes, Advice: true, Title: "and and or are operators in lower case too",
		Rule: "in the field: clients write both", Fix: "Compare the operators without regard to case.",
		Run: func(p *probe) {
			c := p.collection()
			want := exactly("sourcedId", c.id(0))
			want.filter += " and " + want.filter
			p.filtered(c, want)
		}},
	{ID: "filter.total", On: Lists, Title: "X-Total-Count counts what the filter selects",
		Rule: ruleREST + ", paging: the total after filtering",
		Fix:  "Count with the filter, before limit and offset.", Run: func(p *probe) {
			c, field, v := p.plainText()
			for _, filter := range []string{has(field, v).filter, "sourcedId='norecords'"} {
				all := p.filter(filter)
				if c.first.Total() < 0 || all.Status == http.StatusNotFound {
					p.lacks("there is no X-Total-Count (list.total-header), or no list (filter.no-match)")
					continue
				}
				got, ok := p.whole(all, pageful)
				if !ok || len(got.Objects) >= pageful {
					continue
				}
				for _, a := range []*provider.Answer{all, p.get(p.route.Path, "limit", "1", "filter", filter)} {
					if a.Status == http.StatusOK && a.Total() != len(got.Objects) {
						p.fail(a, "X-Total-Count is %d; the filter selects %s", a.Total(),
							plural(len(got.Objects), "row"))
					}
				}
			}
		}},
	{ID: "filter.pages", On: Lists, Title: "A filtered list is paged like any other",
		Rule: ruleREST + ", paging", Fix: "Filter first, then order, then page.", Run: checkFilteredPages},
}
