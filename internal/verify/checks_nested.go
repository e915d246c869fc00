package verify

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

var nestedChecks = []Check{
	{ID: "nested.rows", On: Nesteds,
		Title: "A nested list holds the rows that hang on its parent, all of them and no others",
		Rule:  ruleREST + ", tables 3.1a to 3.1c",
		Fix:   "Select by the reference, or through active enrollments, that the operation's name says.",
		Run:   checkNested},
	{ID: "nested.total", On: Nesteds,
		Title: "A nested list is paged and counted like any other",
		Rule:  ruleREST + ", paging", Fix: "Use the same code for nested lists: X-Total-Count, limit, " +
			"offset, a stable order.", Run: checkNestedPages},
	{ID: "nested.filter", On: Nesteds, Title: "A nested list is filtered within its parent",
		Rule: ruleREST + ", filtering",
		Fix: "Combine the filter with the parent by AND, as a structure and not as text: an OR must " +
			"not lead out.", Run: checkNestedFilter},
	{ID: "nested.both-parents", On: Nesteds,
		Where: func(r *oneroster.Route) bool { return strings.Count(r.Path, "{") == 2 },
		Title: "A list under two parents looks at both: a class of another school is empty",
		Rule:  ruleREST + ", tables 3.1a to 3.1c: the class in the school",
		Fix:   "Select by every id of the path.", Run: checkBothParents},
	{ID: "nested.deleted-links", On: Nesteds, Where: func(r *oneroster.Route) bool {
		return r.Scope.Through != nil && r.Scope.Through.Resource == "enrollment"
	}, Required: []string{"sds-classic", "gradesync"},
		Title: "A deleted enrollment connects nobody: who has left is not in the class's list",
		Rule:  ruleSDS + " (Classic) and Grade Sync read members there; the standard is silent",
		Fix:   "Join through active enrollments only.", Run: checkDeletedLinks},
	{ID: "nested.unknown-parent", On: Nesteds,
		Title: "A list under an unknown parent is empty, or unknown, and never the whole",
		Rule:  ruleREST + "; " + ruleSDS + " wants 200 and an empty list",
		Fix:   "Answer 200 with an empty list.", Run: func(p *probe) {
			a := p.get(fill(p.route.Path, p.unknownParents()))
			p.ok()
			if a.Status == http.StatusNotFound {
				return
			}
			if got := p.list(a); len(got.Objects) > 0 {
				p.fail(a, "%s hang on a parent that does not exist", plural(len(got.Objects), "row"))
			} else if got.Objects == nil {
				p.fail(a, "the empty list is null, not []")
			}
		}},
	{ID: "nested.unknown-parent-empty", On: Nesteds,
		Profiles: sdsProfiles, Title: "A list under an unknown parent is 200 and empty",
		Rule: ruleSDS + ": /schools/1000000/classes",
		Fix:  "Answer 200 with an empty list and X-Total-Count: 0, not 404.", Run: func(p *probe) {
			a := p.get(fill(p.route.Path, p.unknownParents()))
			if got := p.list(a); len(got.Objects) > 0 || got.Total != 0 {
				p.fail(a, "%s, X-Total-Count %d", plural(len(got.Objects), "row"), got.Total)
			}
		}},
}

func (p *probe) variables() []string {
	var out []string
	for _, s := range p.route.Segments {
		if strings.HasPrefix(s, "{") {
			out = append(out, strings.Trim(s, "{}"))
		}
	}
	return out
}

func (p *probe) unknownParents() map[string]string {
	vars := map[string]string{}
	for _, v := range p.variables() {
		vars[v] = "1000000-no-such-" + strings.TrimSuffix(v, "_id")
	}
	return vars
}

// hang computes from the walked lists which records must be in a nested list,
// and which may: deleted links connect nothing for some providers, and the
// standard is silent.
func (p *probe) hang(vars map[string]string) (must, may map[string]bool, ok bool) {
	return p.hangs(vars, false)
}

// hangs is hang; strictly, only active links count for may too.
func (p *probe) hangs(vars map[string]string, strictly bool) (must, may map[string]bool, ok bool) {
	own := p.all(p.route.Resource.Name)
	if own == nil || !own.whole || own.bare(p.route.Scope.By) {
		return nil, nil, false
	}
	through, loosely := map[uint32]bool{}, map[uint32]bool{} // what active records lead to, and what any
	t, field := p.route.Scope.Through, 0
	if t != nil {
		c := p.reading("/" + oneroster.ByName(t.Resource).Plural)
		if c == nil || c.broken != nil || !c.whole || c.bare(t.Match) ||
			c.bare([]oneroster.Match{{Field: t.Link, Var: "link"}}) {
			return nil, nil, false
		}
		link, is := c.of.Index(t.Link), c.matching(t.Match, vars)
		for n := range c.count {
			if !is(n) {
				continue
			}
			for _, id := range oneroster.Items(c.text(n, link)) {
				number, _ := p.texts.find(id)
				loosely[number] = loosely[number] || !strictly || !c.deleted(n)
				through[number] = through[number] || !c.deleted(n)
			}
		}
		field = own.of.Index(t.Own)
	}
	must, may = map[string]bool{}, map[string]bool{}
	conditions := p.route.Scope.By
	if p.route.View.Field != "" {
		conditions = append(slices.Clip(conditions), oneroster.Match{Field: p.route.View.Field,
			Value: p.route.View.Value})
	}
	is := own.matching(conditions, vars)
	for n := range own.count {
		if !is(n) {
			continue
		}
		hangs, loose := true, true
		if t != nil {
			hangs, loose = through[own.value(n, field)], loosely[own.value(n, field)]
		}
		if loose {
			may[own.id(n)] = true
		}
		if hangs && !own.deleted(n) {
			must[own.id(n)] = true
		}
	}
	switch p.route.Op {
	case "getTermsForSchool": // no link in the model: a school may have all terms
		for n := range own.count {
			may[own.id(n)] = true
		}
	case "getCoursesForSchool": // or those that are taught there
		for _, class := range p.active("class") {
			if class.Get("school") == vars["id"] {
				may[class.Get("course")] = true
			}
		}
	}
	return must, may, true
}

// bare tells whether no row names what conditions compare with a parent: then it is not the
// nested list that is wrong.
func (c *collection) bare(conditions []oneroster.Match) bool {
	return c.count > 0 && slices.ContainsFunc(conditions, func(m oneroster.Match) bool {
		return m.Var != "" && !strings.HasPrefix(m.Field, "metadata.") &&
			c.columns[c.of.Index(m.Field)] == nil
	})
}

// matching tells of rows whether they fulfil conditions.
func (c *collection) matching(conditions []oneroster.Match, vars map[string]string) func(n int) bool {
	var all []func(n int) bool
	for _, m := range conditions {
		want := m.Value
		if m.Var != "" {
			want = vars[m.Var]
		}
		if key, ok := strings.CutPrefix(m.Field, "metadata."); ok {
			field := c.of.MetadataIndex()
			all = append(all, func(n int) bool {
				for _, pair := range oneroster.FlattenMetadata(c.text(n, field)) {
					if pair.Key == key {
						return pair.Text == want
					}
				}
				return true // a record without the key belongs to every parent
			})
			continue
		}
		field := c.of.Index(m.Field)
		number, known := c.texts.find(want)
		all = append(all, func(n int) bool {
			value := c.value(n, field)
			return known && value == number && value != 0 ||
				c.of.Fields[field].Kind.IsList() && slices.Contains(oneroster.Items(c.texts.all[value]), want)
		})
	}
	return func(n int) bool {
		for _, is := range all {
			if !is(n) {
				return false
			}
		}
		return true
	}
}

// A family is a parent, by the variables of a path, with the rows that must be in its list, and those
// that may.
type family struct {
	vars      map[string]string
	must, may map[string]bool
}

const mostFamilies = 10 // of a nested list, that are looked at

// families are the two with the most rows among a few candidates, and those whose parent or rows are of
// a kind that none before them has: a teacher beside a student, a class without a course. They are
// looked for once a path: that goes through whole lists. The check ends where there is none.
func (p *probe) families() []family {
	if known := p.hanging[p.route]; known != nil {
		return known
	}
	var all, out []family
	for _, vars := range p.candidates() {
		if must, may, known := p.hang(vars); known {
			all = append(all, family{vars, must, may})
		}
	}
	if len(all) == 0 {
		p.leave("the lists that this one hangs on were not read whole, or have no rows that name a parent")
	}
	slices.SortStableFunc(all, func(a, b family) int { return len(b.must) - len(a.must) })
	list, own, name := p.reading("/"+p.route.Segments[0]), p.all(p.route.Resource.Name), p.variables()[0]
	parent, row := list.fresh(), own.fresh()
	for _, f := range all {
		at, _ := list.find(f.vars[name])
		fresh := parent(at)
		for id := range f.must {
			n, _ := own.find(id)
			fresh = row(n) || fresh
		}
		if len(out) == 0 || len(f.must) > 0 && (fresh || len(out) == 1) && len(out) < mostFamilies {
			out = append(out, f)
		}
	}
	p.hanging[p.route] = out
	return out
}

const mostParents = 12 // that are tried

// candidates are up to so many sets of path variables: parents of the rows
// themselves where the rows name them, else of the parent's list.
func (p *probe) candidates() []map[string]string {
	var out []map[string]string
	names := p.variables()
	first := p.reading("/" + p.route.Segments[0])
	if !first.usable() {
		return nil
	}
	at := first.kinds()
	for n := 0; n < first.count; n += max(1, first.count/mostParents) {
		at = append(at, n)
	}
	for _, n := range at {
		if !first.deleted(n) && len(out) < 2*mostParents {
			out = append(out, map[string]string{names[0]: first.id(n)})
		}
	}
	if len(names) == 1 {
		return out
	}
	return p.second(names)
}

// second fills two variables from records that name both: a class and its
// school, a line item and its class, a result's student and class.
func (p *probe) second(names []string) []map[string]string {
	var out []map[string]string
	add := func(first, second string) {
		if first != "" && second != "" {
			out = append(out, map[string]string{names[0]: first, names[1]: second})
		}
	}
	switch names[0] + " " + names[1] {
	case "school_id class_id":
		for _, rec := range p.active("class") {
			if add(rec.Get("school"), rec.ID()); len(out) == mostParents {
				break
			}
		}
	case "class_id li_id":
		for _, rec := range p.active("lineItem") {
			if add(rec.Get("class"), rec.ID()); len(out) == mostParents {
				break
			}
		}
	case "class_id student_id":
		class := map[string]string{}
		for _, rec := range p.active("lineItem") {
			class[rec.ID()] = rec.Get("class")
		}
		for _, rec := range p.active("result") {
			if add(class[rec.Get("lineItem")], rec.Get("student")); len(out) == mostParents {
				break
			}
		}
	}
	return out
}

func checkNested(p *probe) {
	all := p.families()
	if len(all[0].must) == 0 {
		p.lacks("no parent was found that has rows here")
	}
	for _, f := range all {
		if len(p.failures) == 0 {
			p.under(f)
		}
	}
}

// under looks at the rows of one parent.
func (p *probe) under(f family) {
	must, may := f.must, f.may
	a := p.get(fill(p.route.Path, f.vars), "limit", strconv.Itoa(nestedRows))
	got, ok := p.whole(a, nestedRows)
	if !ok {
		return
	}
	if len(must) == 0 && len(got.Objects) == 0 {
		p.held = false
	}
	if got.Key != p.route.Resource.Plural {
		p.fail(a, "the list is under %q, not %q", got.Key, p.route.Resource.Plural)
	}
	came := map[string]bool{}
	for _, o := range got.Objects {
		if came[o.ID()] {
			p.fail(a, "%s came twice", o.ID())
		}
		came[o.ID()] = true
		if _, known := p.all(p.route.Resource.Name).find(o.ID()); !known {
			p.fail(a, "%s came, which is not in /%s", o.ID(), p.route.Resource.Plural)
		} else if !may[o.ID()] {
			p.fail(a, "%s came and does not hang on this parent", o.ID())
		}
	}
	var lost []string
	for id := range must {
		if !came[id] && len(got.Objects) < nestedRows {
			lost = append(lost, id)
		}
	}
	if len(lost) > 0 {
		p.fail(a, "%d of the %d that hang on this parent did not come, such as %s", len(lost),
			len(must), slices.Min(lost))
	}
}

// checkBothParents puts the other parent of another row into a path of two.
func checkBothParents(p *probe) {
	names := p.variables()
	list := p.candidates()
	for _, vars := range list {
		for _, foreign := range list {
			if foreign[names[0]] == vars[names[0]] {
				continue
			}
			mixed := map[string]string{names[0]: foreign[names[0]], names[1]: vars[names[1]]}
			if _, own, known := p.hang(vars); !known || len(own) == 0 {
				break
			}
			_, may, _ := p.hang(mixed)
			a := p.get(fill(p.route.Path, mixed))
			p.ok()
			if a.Status == http.StatusNotFound {
				return
			}
			for _, o := range p.list(a).Objects {
				if !may[o.ID()] {
					p.fatal(a, "%s came, which hangs on the second parent and not on the first", o.ID())
				}
			}
			return
		}
	}
	p.lacks("there are no two parents to exchange")
}

// checkDeletedLinks looks for people whose only enrollment in a class is
// deleted.
func checkDeletedLinks(p *probe) {
	t := p.route.Scope.Through
	c := p.all("enrollment")
	if c == nil {
		p.leave("there are no enrollments")
	}
	conditions := slices.Concat(t.Match, p.route.Scope.By, []oneroster.Match{{Field: t.Link, Var: "link"}})
	key := func(n int) (out [4]uint32) { // whom an enrollment connects with what
		for i, m := range conditions {
			if m.Var != "" {
				out[i] = c.value(n, c.of.Index(m.Field))
			}
		}
		return out
	}
	connected := map[[4]uint32]bool{}
	for n := range c.count {
		if c.deleted(n) {
			connected[key(n)] = false
		}
	}
	constant := c.matching(slices.DeleteFunc(slices.Clone(t.Match), func(m oneroster.Match) bool {
		return m.Var != ""
	}), nil)
	for n := range c.count {
		if _, asked := connected[key(n)]; asked && !c.deleted(n) && constant(n) {
			connected[key(n)] = true
		}
	}
	looked := 0
	for n, rec := range c.records() {
		if !c.deleted(n) || connected[key(n)] || looked == 5 {
			continue
		}
		vars := map[string]string{}
		for _, m := range append(append([]oneroster.Match(nil), t.Match...), p.route.Scope.By...) {
			if m.Var != "" {
				vars[m.Var] = rec.Get(m.Field)
			}
		}
		if !c.matching(t.Match, vars)(n) {
			continue
		}
		_, active, ok := p.hangs(vars, true)
		id := rec.Get(t.Link)
		if !ok || active[id] {
			continue // another enrollment connects them
		}
		a := p.get(fill(p.route.Path, vars), "limit", "10000")
		looked++
		p.ok()
		got, _ := p.asList(a, p.route.Resource) // others tell
		for _, o := range got.Objects {
			if o.ID() == id {
				p.fail(a, "%s came, whose enrollment %s is deleted", id, rec.ID())
				return
			}
		}
	}
	if looked == 0 {
		p.held = false
		p.lacks("no enrollment is deleted whose class can be read: end one in the source and run again")
	}
}

// nestedRows is how many rows of a nested list are looked at: a large school has more.
var nestedRows = 10_000

// beginning reads what a nested list that has rows begins with.
func (p *probe) beginning() (path string, rows []wire.Object) {
	first := p.families()[0]
	path = fill(p.route.Path, first.vars)
	got, ok := p.whole(p.get(path, "limit", strconv.Itoa(nestedRows)), nestedRows)
	if ok && (len(first.must) == 0 || len(got.Objects) == 0) {
		p.held = false
		p.lacks("no parent was found that has rows here")
	}
	if !p.held {
		panic(left{})
	}
	return path, got.Objects
}

func checkNestedPages(p *probe) {
	path, rows := p.beginning()
	total := len(rows)
	a := p.get(path, "limit", strconv.Itoa(nestedRows))
	if total >= nestedRows {
		total = max(total, a.Total())
	}
	if a.Total() != total {
		p.fatal(a, "X-Total-Count is %d; the list has %s", a.Total(), plural(len(rows), "row"))
	}
	for _, f := range p.families()[1:] {
		a := p.get(fill(p.route.Path, f.vars), "limit", strconv.Itoa(nestedRows))
		got, err := p.asList(a, p.route.Resource)
		if n := len(got.Objects); err == nil && n == len(f.must) && n < nestedRows && got.Total != n {
			p.fail(a, "X-Total-Count is %d; the list has %s", got.Total, plural(n, "row"))
		}
	}
	odd := 2 // a last page that is not full
	for odd < len(rows) && len(rows)%odd == 0 {
		odd++
	}
	for _, part := range []struct{ at, limit int }{{0, 1}, {len(rows) - 1, 1}, {len(rows) / odd * odd, odd},
		{0, 100}} {
		if part.at > 0 && part.at >= len(rows) || len(rows) >= nestedRows && part.at+part.limit > len(rows) {
			continue // page.past-end, or more than was looked at
		}
		query := []string{"limit", strconv.Itoa(part.limit), "offset", strconv.Itoa(part.at)}
		if part.limit == 100 {
			query = nil // which is the default
		}
		a := p.get(path, query...)
		got, ok := p.page(a)
		if !ok {
			continue
		}
		want := rows[min(part.at, len(rows)):min(part.at+part.limit, len(rows))]
		if ids(got.Objects) != ids(want) || len(got.Objects) != len(want) {
			p.fail(a, "at offset %d came %q with a limit of %d; in the whole list it is %q", part.at, ids(got.Objects),
				part.limit, ids(want))
		}
		if got.Total != total {
			p.fail(a, "X-Total-Count is %d; the list has %s", got.Total, plural(total, "row"))
		}
		if next := a.Links()["next"]; part.at == 0 && part.limit == 1 && len(rows) > 1 && next != "" {
			if second, err := p.asList(p.follow(a, next), p.route.Resource); err != nil ||
				ids(second.Objects) != rows[1].ID() {
				p.fail(a, "next leads to %q; the second row is %s", ids(second.Objects), rows[1].ID())
			}
		}
	}
}

func checkNestedFilter(p *probe) {
	path, rows := p.beginning()
	inside := map[string]bool{}
	for _, o := range rows {
		inside[o.ID()] = true
	}
	one := exactly("sourcedId", rows[0].ID()).filter
	last := rows[len(rows)-1].ID()
	a := p.get(path, "limit", "1", "filter", exactly("sourcedId", last).filter)
	if got, ok := p.page(a); ok && ids(got.Objects) != last {
		p.fatal(a, "%q came, and the filter selects %s: was the page cut before it was filtered?",
			ids(got.Objects), last)
	}
	for _, filter := range []string{one, "sourcedId='norecords' OR status='active'",
		"sourcedId='norecords' OR sourcedId!='norecords'"} {
		a := p.get(path, "limit", strconv.Itoa(nestedRows), "filter", filter)
		got, ok := p.page(a)
		if !ok {
			continue
		}
		for _, o := range got.Objects {
			if !inside[o.ID()] && len(rows) < nestedRows && o.Text("status") != oneroster.ToBeDeleted {
				p.fatal(a, "%s came, which is not in the unfiltered list", o.ID())
			}
		}
		if len(got.Objects) == 0 || filter == one && len(got.Objects) != 1 {
			p.fail(a, "%s came for the filter %s", plural(len(got.Objects), "row"), filter)
		}
	}
}
