package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

const ruleData = ruleREST + ", data model"

var dataChecks = []Check{
	{ID: "data.id", On: Wholes,
		Title: "Every row has a sourcedId: a JSON string, not empty, shorter than 256 characters",
		Rule:  ruleData + "; " + ruleSDS + " (SDS-G01)",
		Fix:   "Write ids as strings, also where the source has numbers.",
		Row: func(_ *oneroster.Resource, o wire.Object, wrong func(attribute, what string)) {
			if _, ok := o["sourcedId"].(string); !ok {
				wrong("sourcedId", "is "+text(o["sourcedId"])+", not a string")
			} else if err := oneroster.CheckID(o.ID()); err != nil {
				wrong("sourcedId", "is none: "+err.Error())
			}
		}},
	{ID: "data.status", On: Wholes, Title: "Every row has a status, active or tobedeleted",
		Rule: ruleData + "; " + ruleSDS + " (SDS-G02)",
		Fix:  "Send status with every row; 1.0's inactive is tobedeleted now.",
		Row: func(_ *oneroster.Resource, o wire.Object, wrong func(attribute, what string)) {
			if s := o.Text("status"); s != oneroster.Active && s != oneroster.ToBeDeleted {
				wrong("status", "is "+text(o["status"]))
			}
		}},
	{ID: "data.modified", On: Wholes,
		Title: "Every row has a dateLastModified in UTC with three fraction digits",
		Rule:  ruleData + "; " + ruleSDS + " (SDS-G03) takes 2026-09-01T08:00:00.000Z and no other form",
		Fix:   "Write YYYY-MM-DDTHH:mm:ss.SSSZ, zeros kept.",
		Row: func(_ *oneroster.Resource, o wire.Object, wrong func(attribute, what string)) {
			if v := o.Text("dateLastModified"); !isTime(v) {
				wrong("dateLastModified", "is "+text(o["dateLastModified"]))
			}
		}},
	{ID: "data.required", On: Wholes, Title: "Required attributes are there and not empty",
		Rule: ruleData, Fix: "Fill them in, from the source or by a rule of your own, and leave a row out " +
			"where that cannot be done.",
		Row: eachField(func(f *oneroster.Field, v any, there bool) string {
			if f.Required && (!there || v == nil || v == "" || isEmptyList(v)) {
				return "is required, and " + map[bool]string{true: "empty", false: "missing"}[there] +
					map[bool]string{true: ": is false taken for nothing?"}[f.Kind == oneroster.Bool]
			}
			return ""
		})},
	{ID: "data.empty", On: Wholes,
		Title: "An optional attribute without a value is left out: no null, no empty string",
		Rule:  ruleData + "; " + ruleSDS + " (SDS-G05); strict readers refuse null",
		Fix:   "Leave the member out.",
		Row: func(_ *oneroster.Resource, o wire.Object, wrong func(attribute, what string)) {
			for key, v := range o {
				if v == nil {
					wrong(key, "is null")
				} else if v == "" && key != "sourcedId" {
					wrong(key, "is an empty string")
				}
			}
		}},
	{ID: "data.types", On: Wholes,
		Title: "Attributes have the JSON type of the standard: texts and booleans are strings, numbers " +
			"numbers, lists lists",
		Rule: ruleData + ", final revision: booleans are the strings true and false",
		Fix:  "Write \"true\", not true; \"2027\", not 2027; a list also where it holds one value.",
		Row: eachField(func(f *oneroster.Field, v any, there bool) string {
			if there && v != nil && f.Name != "sourcedId" && !typed(f, v) { // data.id tells of that one
				return fmt.Sprintf("is %s, not %s", text(v), kinds[f.Kind])
			}
			return ""
		})},
	{ID: "data.values", On: Wholes,
		Title: "Enumerations have values of the standard, spelled as it does",
		Rule:  ruleData + ", enumerations: not to be extended in 1.1",
		Fix:   "Map values of your own to the nearest of the standard; keep yours in metadata.",
		Row: eachField(func(f *oneroster.Field, v any, there bool) string {
			if f.Name == "status" {
				return "" // data.status tells
			}
			for _, s := range asTexts(v) {
				if len(f.Enum) > 0 && s != "" && !slices.Contains(f.Enum, s) &&
					!(f == enrolledAs && slices.Contains(eightRoles, s)) {
					return fmt.Sprintf("is %q, not one of %s", s, strings.Join(f.Enum, ", "))
				}
				if f.Kind == oneroster.Bool && s != "true" && s != "false" {
					return fmt.Sprintf("is %q, not true or false", s)
				}
			}
			return ""
		})},
	{ID: "data.dates", On: Wholes,
		Title: "Dates are YYYY-MM-DD, dateTimes UTC with three fraction digits, school years four digits",
		Rule:  ruleData + ", formats; Moodle takes no other",
		Fix: "Write 2026-09-01 for a date, 2026-09-01T08:00:00.000Z for a " +
			"dateTime, \"2027\" for the school year that ends in 2027.",
		Row: eachField(func(f *oneroster.Field, v any, there bool) string {
			s, _ := v.(string)
			switch {
			case s == "", f.Name == "dateLastModified": // data.modified tells
			case f.Kind == oneroster.Date && !isDate(s), f.Kind == oneroster.Time && !isTime(s):
				return fmt.Sprintf("is %q", s)
			case f.Name == "schoolYear" && f.Kind == oneroster.String && !quality.IsYear(s):
				return fmt.Sprintf("is %q, not a year of four digits", s)
			}
			return ""
		})},
	{ID: "data.references", On: Wholes, Where: hasRef,
		Title: "References are objects with href, sourcedId and type",
		Rule:  ruleData + ", GUIDRef: all three are required",
		Fix:   "Write {\"href\": \"https://…/orgs/1\", \"sourcedId\": \"1\", \"type\": \"org\"} everywhere.",
		Row:   eachField(checkReference)},
	{ID: "data.resolve", On: Wholes, Where: hasRef,
		Title: "References lead to objects of the right kind that are there, and active where the row is",
		Rule:  ruleData + "; " + ruleSDS + " (SDS-G06) drops the row",
		Fix: "Leave rows out, or delete them, whose parents are gone; keep a child's status no better " +
			"than its parent's.", Run: checkResolve},
	{ID: "data.kinds", On: Wholes,
		Where: func(r *oneroster.Route) bool {
			return r.Resource.Field("school") != nil || r.Path == "/courses" ||
				r.Resource.Field("student") != nil
		},
		Title: "school leads to a school, schoolYear to a school year, student to a student, and only teachers " +
			"are primary",
		Rule: ruleData + "; " + ruleSDS + " (Classic) reads classes and enrollments school by school",
		Fix: "Lead classes and enrollments to the org of type school, courses to the session of type " +
			"schoolYear, results to users of role student; leave primary out for students.", Run: checkKinds},
	{ID: "data.href", On: Wholes, Where: hasRef,
		Title: "A href can be read and is the object that it names",
		Rule:  ruleData + ", GUIDRef", Fix: "Build hrefs on the address that readers use, with the id " +
			"percent-encoded.", Run: checkHref},
	{ID: "data.children", On: Wholes,
		Where: func(r *oneroster.Route) bool { return inverse(r.Resource) != nil },
		Title: "children and parent say the same",
		Rule:  ruleData + "; " + ruleSDS + " (SDS-O02)",
		Fix:   "Read children off the parents of the other rows.", Run: checkChildren},
	{ID: "data.agents", On: Wholes,
		Where: func(r *oneroster.Route) bool { return r.Resource.Field("agents") != nil },
		Title: "agents lead both ways: from the student to the guardian and back",
		Rule:  ruleData + "; " + ruleSDS + " (SDS-U06)",
		Fix:   "Add the link to the other side, and move its dateLastModified.", Run: checkAgents},
	{ID: "data.unknown-attributes", On: Wholes, Advice: true,
		Title: "Rows have no attributes that the standard does not",
		Rule:  ruleData + ": extensions go into metadata", Fix: "Move attributes of your own into metadata.",
		Row: func(r *oneroster.Resource, o wire.Object, wrong func(attribute, what string)) {
			for key := range o {
				if r.Index(key) < 0 && !(key == "password" && r.Name == "user") { // data.password tells
					wrong(key, "is not an attribute of "+r.Name)
				}
			}
		}},
	{ID: "data.password", On: Wholes, Advice: true,
		Where: func(r *oneroster.Route) bool { return r.Resource.Name == "user" },
		Title: "No password is served",
		Rule:  ruleData + ": user.password is optional, no reader needs it, and each would hold it",
		Fix:   "Leave password out, and have the passwords changed that were served: people sign in elsewhere.",
		Row: func(_ *oneroster.Resource, o wire.Object, wrong func(attribute, what string)) {
			if o.Text("password") != "" {
				wrong("password", "is there, and whoever may read users is given it")
			}
		}},
	{ID: "data.entities", On: Wholes, Advice: true,
		Title: "Texts are plain: no character entities of HTML, no letters that became question marks",
		Rule:  ruleData + "; readers show O&#39;Brien and Andr?s as they stand",
		Fix: "Undo the escaping of the screens that the data was typed into; read the source in the encoding " +
			"that it has.",
		Row: eachField(func(f *oneroster.Field, v any, there bool) string {
			if s, _ := v.(string); f.Kind == oneroster.String && f.Name != "description" &&
				f.Name != "comment" && entity().MatchString(s) {
				return fmt.Sprintf("is %q", s)
			}
			return ""
		})},
	{ID: "data.lists", On: Wholes, Where: hasKind(oneroster.Refs), Advice: true,
		Title: "Lists are there, also where they are empty",
		Rule:  "in the field: Moodle breaks on a user without agents",
		Fix:   "Write [] for a list without values.",
		Row: eachField(func(f *oneroster.Field, v any, there bool) string {
			if f.Kind == oneroster.Refs && !there {
				return "is missing; an empty list was expected"
			}
			return ""
		})},
}

// entity is a character entity of HTML, or what stands for a letter that an encoding lacks.
var entity = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\pL\?\pL|&(#[0-9]+|#[xX][0-9a-fA-F]+|amp|lt|gt|quot|apos|nbsp|` +
		`[A-Za-z]{1,6}(acute|grave|uml|circ|tilde|ring|cedil|slash|lig));`)
})

var (
	enrolledAs = oneroster.ByName("enrollment").Field("role")
	eightRoles = oneroster.ByName("user").Field("role").Enum
)

var kinds = map[oneroster.Kind]string{oneroster.String: "a string", oneroster.Enum: "a string",
	oneroster.Bool: `the string "true" or "false"`, oneroster.Number: "a number",
	oneroster.Date: "a string", oneroster.Time: "a string", oneroster.Strings: "a list of strings",
	oneroster.UserIDs: "a list of objects",
	oneroster.Ref:     "a reference", oneroster.Refs: "a list of references", oneroster.Metadata: "an object"}

// eachField judges a row attribute by attribute: what is wrong with one, or "".
func eachField(judge func(f *oneroster.Field, v any, there bool) string) rowCheck {
	return func(r *oneroster.Resource, o wire.Object, wrong func(attribute, what string)) {
		for i := range r.Fields {
			f := &r.Fields[i]
			v, there := o[f.Name]
			if what := judge(f, v, there); what != "" {
				wrong(f.Name, what)
			}
		}
	}
}

// judges are the checks of single rows that are to be made of the probe's list.
func (p *probe) judges() (out []*probe) {
	for _, t := range p.tasks {
		if t.check.Row != nil && t.route == p.route {
			out = append(out, &probe{run: p.run, check: t.check, route: p.route, wrong: map[string]*flaw{}})
		}
	}
	return out
}

// A flaw of an attribute is told by the first row that shows it, and counted.
type flaw struct {
	first Failure
	rows  int
}

const mostAttributes = 50 // of a resource that are told

// row judges a row that came.
func (p *probe) row(a *provider.Answer, o wire.Object) {
	defer p.broke()
	p.check.Row(p.route.Resource, o, func(attribute, what string) {
		w := p.wrong[attribute]
		if w == nil && len(p.wrong) == mostAttributes {
			p.more++
			return
		}
		if w == nil {
			w = &flaw{first: p.failure(cutTo(a, o), o.ID()+": "+attribute+" "+what)}
			p.wrong[attribute] = w
		}
		w.rows++
	})
}

// rowByRow tells what the check found while the list was read: an attribute each.
func (p *probe) rowByRow() {
	c := p.walked()
	*p = *c.judges[slices.IndexFunc(c.judges, func(judge *probe) bool { return judge.check == p.check })]
	for _, attribute := range slices.Sorted(maps.Keys(p.wrong)) {
		w := p.wrong[attribute]
		if w.rows > 1 {
			w.first.Text += "; likewise in " + plural(w.rows-1, "row") + " more"
		}
		p.failures, p.grave = append(p.failures, w.first), true
	}
}

// each judges every record: what is wrong, or "".
func (p *probe) each(judge func(n int, rec oneroster.Record) string) {
	c := p.walked()
	for n, rec := range c.records() {
		if wrong := judge(n, rec); wrong != "" {
			var a *provider.Answer
			if len(p.failures) < moreMaximum {
				a = p.rowOf(c, n)
			}
			p.fail(a, "%s: %s", rec.ID(), wrong)
		}
	}
}

func text(v any) string {
	if v == nil {
		return "missing or null"
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // a person reads it
	if e.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	return brief(strings.TrimSuffix(out.String(), "\n"))
}

func asTexts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, it := range v {
			if s, ok := it.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func isEmptyList(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) == 0
}

func isTime(s string) bool { _, ok := quality.Instant(s); return ok }
func isDate(s string) bool { return !quality.Day(s).IsZero() }

// typed tells whether a value has the JSON type of its field.
func typed(f *oneroster.Field, v any) bool {
	list, isList := v.([]any)
	switch f.Kind {
	case oneroster.Number:
		_, ok := v.(json.Number)
		return ok
	case oneroster.Metadata, oneroster.Ref:
		_, ok := v.(map[string]any)
		return ok
	case oneroster.Strings:
		for _, it := range list {
			if _, ok := it.(string); !ok {
				return false
			}
		}
		return isList
	case oneroster.Refs, oneroster.UserIDs:
		for _, it := range list {
			if _, ok := it.(map[string]any); !ok {
				return false
			}
		}
		return isList
	}
	_, ok := v.(string)
	return ok
}

// refTypes are the words that 1.1 has for a reference to a resource.
var refTypes = map[string][]string{
	"academicSession": {"academicSession", "gradingPeriod", "term", "semester", "schoolYear"},
	"user":            {"user", "student", "teacher"},
}

func checkReference(f *oneroster.Field, v any, there bool) string {
	if f.To == "" || !there {
		return ""
	}
	allowed := refTypes[f.To]
	if allowed == nil {
		allowed = []string{f.To}
	}
	for _, ref := range (wire.Object{f.Name: v}).Refs(f.Name) {
		switch {
		case ref.ID == "":
			return "has a reference without a sourcedId"
		case ref.Href == "":
			return "has a reference without a href: " + text(v)
		case !slices.Contains(allowed, ref.Type):
			return fmt.Sprintf("has a reference of type %q, not %s", ref.Type, strings.Join(allowed, " or "))
		}
	}
	return ""
}

// checkResolve looks references up in the walked lists; where a list was not
// read whole, a few are read one by one. What was graded in a class that has
// ended, or for a pupil who has left, is history: for the gradebook a reference
// to a deleted object is advice.
func checkResolve(p *probe) {
	asked := 0
	known := map[string]string{} // of lists that were not read whole: collection/id to what is wrong
	p.each(func(_ int, rec oneroster.Record) string {
		if rec.Values[oneroster.Status] == oneroster.ToBeDeleted {
			return ""
		}
		for i := range p.route.Resource.Fields {
			f := &p.route.Resource.Fields[i]
			if f.To == "" {
				continue
			}
			to := oneroster.ByName(f.To)
			for _, id := range oneroster.Items(rec.Values[i]) {
				if c := p.all(f.To); c != nil && c.whole {
					at, there := c.find(id)
					if !there && c.first.Total() > c.count {
						continue // it may be of the rows that the walk missed: page.total tells
					}
					if !there {
						return fmt.Sprintf("%s leads to %s %q, which is not in /%s", f.Name, f.To, id,
							to.Plural)
					}
					if c.deleted(at) {
						if !p.route.Resource.Gradebook {
							return fmt.Sprintf("%s leads to %s %q, which is deleted", f.Name, f.To, id)
						}
						p.advise(nil, "%s: %s leads to %s %q, which is deleted", rec.ID(), f.Name, f.To, id)
					}
					continue
				}
				if p.lacking(to) {
					continue
				}
				key := to.Plural + "/" + oneroster.EscapeID(id)
				if _, done := known[key]; !done && asked < 20 {
					asked++
					known[key] = ""
					if a := p.get("/" + key); a.Status != http.StatusOK && a.Status != http.StatusForbidden {
						known[key] = fmt.Sprintf("%s leads to %s %q; reading it is answered %d", f.Name,
							f.To, id, a.Status)
					}
				}
				if known[key] != "" {
					return known[key]
				}
			}
		}
		return ""
	})
}

// lacking tells of a resource that is not served at all: list.answer tells, or it is no concern of
// the reader's.
func (p *probe) lacking(of *oneroster.Resource) bool {
	return notServed(p.get("/"+of.Plural, "limit", "1"))
}

// checkKinds looks at what references lead to. Departments of large schools have classes of
// their own in the field; what stands above schools teaches nobody.
func checkKinds(p *probe) {
	kindOf := func(resource, id string) string {
		c := p.all(resource)
		if c == nil {
			return ""
		}
		at, there := c.find(id)
		if !there {
			return "" // data.resolve
		}
		return c.text(at, max(c.of.Index("type"), c.of.Index("role")))
	}
	above := []string{"district", "local", "state", "national"}
	sessions := oneroster.ByName("academicSession").Field("type").Enum
	p.each(func(_ int, rec oneroster.Record) string {
		if rec.Get("status") == oneroster.ToBeDeleted {
			return ""
		}
		if school := rec.Get("school"); school != "" && slices.Contains(above, kindOf("org", school)) {
			return fmt.Sprintf("school leads to org %q, whose type is %s", school, kindOf("org", school))
		}
		year := rec.Get("schoolYear")
		if kind := kindOf("academicSession", year); kind != "schoolYear" && slices.Contains(sessions, kind) {
			return fmt.Sprintf("schoolYear leads to academicSession %q, whose type is %s", year, kind)
		}
		if got := kindOf("user", rec.Get("student")); got != "" && got != "student" {
			return fmt.Sprintf("student leads to user %q, whose role is %s", rec.Get("student"), got)
		}
		if rec.Get("role") == "student" && rec.Get("primary") == "true" {
			return "primary is true, and the role is student"
		}
		return ""
	})
}

func checkHref(p *probe) {
	for f, id := range p.references() {
		p.reached(p.collection(), f, id)
	}
}

// reached follows the first href that the list has for an id.
func (p *probe) reached(c *collection, f *oneroster.Field, id string) {
	for _, o := range p.objects(c, 0) {
		for _, ref := range o.Refs(f.Name) {
			if ref.ID != id || ref.Href == "" {
				continue
			}
			if p.lacking(oneroster.ByName(f.To)) {
				p.lacks("/%s is not served", oneroster.ByName(f.To).Plural)
				return
			}
			a := p.follow(c.first, ref.Href)
			p.ok()
			if a.Err != nil || a.Status != http.StatusOK {
				p.fail(a, "the href of %s is answered %d", f.Name, a.Status)
			} else if got, _, err := a.One(oneroster.ByName(f.To).Wrapper()); err != nil && p.unreadable(f.To, id) {
				p.held = false
				p.lacks("single objects cannot be read (one.answer)")
			} else if err != nil || got.ID() != id {
				p.fail(a, "the href of %s is not the object %s", f.Name, id)
			}
			return
		}
	}
}

// unreadable tells whether an object cannot be read at its usual path either.
func (p *probe) unreadable(resource, id string) bool {
	r := oneroster.ByName(resource)
	_, _, err := p.get("/" + r.Plural + "/" + oneroster.EscapeID(id)).One(r.Wrapper())
	return err != nil
}

// inverse is the field that is read off another's (children off parent).
func inverse(r *oneroster.Resource) *oneroster.Field {
	for i := range r.Fields {
		if r.Fields[i].Derived() {
			return &r.Fields[i]
		}
	}
	return nil
}

func checkChildren(p *probe) {
	c, f := p.collection(), inverse(p.route.Resource)
	if !c.whole {
		return
	}
	for _, name := range []string{f.Name, f.Inverse} { // both are optional
		if c.columns[c.of.Index(name)] == nil && p.objectOf(c, 0)[name] == nil {
			p.leave("no row has %s", name)
		}
	}
	of := map[string]map[string]bool{}
	for _, rec := range c.records() {
		if parent := rec.Get(f.Inverse); parent != "" && rec.Values[oneroster.Status] !=
			oneroster.ToBeDeleted {
			if of[parent] == nil {
				of[parent] = map[string]bool{}
			}
			of[parent][rec.ID()] = true
		}
	}
	p.each(func(_ int, rec oneroster.Record) string {
		if rec.Values[oneroster.Status] == oneroster.ToBeDeleted {
			return ""
		}
		said := map[string]bool{}
		for _, id := range oneroster.Items(rec.Get(f.Name)) {
			said[id] = true
			if at, there := c.find(id); there && !of[rec.ID()][id] && !c.deleted(at) {
				return fmt.Sprintf("%s names %s, whose %s it is not", f.Name, id, f.Inverse)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(of[rec.ID()])) {
			if !said[id] {
				return fmt.Sprintf("is the %s of %s, and its %s do not name it", f.Inverse, id, f.Name)
			}
		}
		return ""
	})
}

func checkAgents(p *probe) {
	c := p.collection()
	if !c.whole {
		return
	}
	some, agents := false, p.route.Resource.Index("agents")
	p.each(func(_ int, rec oneroster.Record) string {
		if rec.Values[oneroster.Status] == oneroster.ToBeDeleted {
			return ""
		}
		for _, id := range oneroster.Items(rec.Values[agents]) {
			some = true
			at, there := c.find(id)
			if !there || c.deleted(at) {
				continue // data.resolve tells
			}
			if back := oneroster.Items(c.text(at, agents)); !slices.Contains(back, rec.ID()) {
				return fmt.Sprintf("names the agent %s, whose agents do not name it", id)
			}
		}
		return ""
	})
	if !some {
		p.lacks("no user has agents")
	}
}
