package verify

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

const ruleWrite = ruleREST + ", gradebook"

var writeChecks = []Check{
	{ID: "put.no-token", On: Puts,
		Title: "Without credentials nothing is written or deleted",
		Rule:  ruleREST + ", security", Fix: "Check credentials before reading the body.",
		Run: func(p *probe) {
			it := p.draft()
			for _, method := range []string{http.MethodPut, http.MethodDelete} {
				a := p.call(provider.Call{Method: method, Path: it.path(), Body: it.body(nil),
					Who: provider.Who{Nobody: true}})
				p.ok()
				p.wants(a, http.StatusUnauthorized)
				if a.Status < 300 {
					p.written = append(p.written, it)
				}
			}
		}},
	{ID: "put.scope", On: Puts, OAuth2: true,
		Title: "A token that may only read does not write",
		Rule:  ruleREST + ", OAuth scopes: gradebook.createput, gradebook.delete",
		Fix:   "Compare the scope of the operation: readonly does not open a PUT.", Run: checkWriteScope},
	{ID: "put.create", On: Puts,
		Title: "PUT to a new id is answered 201 with the object in its wrapper",
		Rule:  ruleWrite + "; published suites want 201 exactly and read the id from the body",
		Fix:   "Answer 201 and {\"lineItem\": {…}} with the stored object.", Run: func(p *probe) {
			it, a := p.make()
			if a.Status != http.StatusCreated {
				p.fail(a, "answered %d; 201 was expected", a.Status)
			}
			if o, _, err := a.One(it.res.Wrapper()); err != nil {
				p.fail(a, "%v", err)
			} else if o.ID() != it.id {
				p.fail(a, "the object in the answer is %q", o.ID())
			}
		}},
	{ID: "put.read-back", On: Puts,
		Title: "What was written is read back, attribute by attribute",
		Rule:  ruleWrite, Fix: "Store every attribute that the standard has, and serve it in the " +
			"standard's form.", Run: func(p *probe) {
			it, _ := p.make()
			p.same(it)
			if len(p.failures) == 0 {
				p.extended(it)
			}
		}},
	{ID: "put.long-texts", On: Puts,
		Title: "Long texts come back whole: a title of 120 letters, a description or comment of 1,000",
		Rule:  ruleWrite + "; teachers write such titles, and Grade Sync sends them",
		Fix:   "Give the columns room, or refuse with 400 what is too long; never cut.", Run: checkLongTexts},
	{ID: "put.replace", On: Puts,
		Title: "PUT to an id that is there replaces the whole object",
		Rule:  ruleWrite + ": PUT is a replacement",
		Fix:   "Answer 200; drop optional attributes that the new body leaves out, and take its references.",
		Run:   checkReplace},
	{ID: "put.id-case", On: Puts, Title: "An id keeps the case of its letters, and its length",
		Rule: ruleREST + ", sourcedId: a text of up to 255 signs that is compared as it is; a reader " +
			"looks for what it wrote",
		Fix: "Store ids as text, not as a GUID or number that is written anew.", Run: checkIDs},
	{ID: "put.listed", On: Puts,
		Title: "What was written is in the lists that it belongs to",
		Rule:  ruleWrite + "; Google's suite looks for it there",
		Fix:   "Read lists and single objects from one store.", Run: func(p *probe) {
			it, _ := p.make()
			for _, path := range it.lists() {
				p.inList(it, path, true)
			}
		}},
	{ID: "put.delta", On: Puts,
		Title: "A write moves dateLastModified of its object, and of no other, and the delta shows it",
		Rule:  ruleREST + ", dateLastModified",
		Fix: "Stamp the row on every change by the server's own clock, later than any stamp before; change " +
			"the row of the id alone.",
		Run: func(p *probe) {
			other, _ := p.make()
			it, _ := p.make()
			first, _ := p.read(it)
			beside := []string{other.path()}
			for _, near := range p.siblings(it) {
				beside = append(beside, near.path())
			}
			if category, is := it.values["category"].(map[string]string); is {
				beside = append(beside, "/categories/"+oneroster.EscapeID(category["sourcedId"]))
			}
			var before []wire.Object
			for _, path := range beside {
				before = append(before, p.at(path))
			}
			p.tick(first)
			it.change()
			// A writer's clock is not the server's: a delta reader would miss the row.
			it.values["dateLastModified"] = oneroster.FormatTime(p.opt.Now.UTC().AddDate(-1, 0, 0))
			a := p.put(it)
			p.must(a, success...)
			second, _ := p.read(it)
			p.onTime(a, second)
			if second.Text("dateLastModified") <= first.Text("dateLastModified") {
				p.fatal(nil, "dateLastModified was %s and is %s after a change",
					first.Text("dateLastModified"), second.Text("dateLastModified"))
			}
			p.inDelta(it, first.Text("dateLastModified"), oneroster.Active)
			for i, path := range beside {
				if now := p.at(path); before[i] != nil && now.Canonical() != before[i].Canonical() {
					p.fail(a, "the PUT of %s changed another object, %s: %s", it.id, path,
						difference(before[i], now, "it before", "it afterwards"))
				}
			}
		}},
	{ID: "put.path-id", On: Puts, Title: "The id of the path wins over one in the body",
		Rule: ruleWrite + "; clients send none, the same, or another",
		Fix:  "Take the path's id, or refuse; never store under the body's.", Run: func(p *probe) {
			it := p.draft()
			other := it
			other.id = newID()
			p.written = append(p.written, it, other)
			a := p.call(provider.Call{Method: http.MethodPut, Path: it.path(), Body: other.body(nil)})
			p.ok()
			p.unbroken(a)
			got := p.call(provider.Call{Path: other.path()})
			if o, _, _ := got.One(other.res.Wrapper()); o.ID() == other.id {
				p.fail(got, "the object was stored under the id of the body")
			}
		}},
	{ID: "put.malformed", On: Puts,
		Title: "A body that is no JSON object is refused with 400",
		Rule:  ruleREST + ", invalid data", Fix: "Answer 400 with a description; store nothing.",
		Run: func(p *probe) {
			it := p.draft()
			for _, body := range []string{"{", "", "[]", `"text"`} {
				a := p.call(provider.Call{Method: http.MethodPut, Path: it.path(), Body: []byte(body)})
				p.ok()
				if a.Err != nil || a.Status < 400 || a.Status >= 500 {
					p.fail(a, "the body %q is answered %d; 400 was expected", body, a.Status)
					p.written = append(p.written, it)
				}
			}
		}},
	{ID: "put.unknown-reference", On: Puts, Where: hasRef,
		Title: "A reference to what does not exist is refused",
		Rule:  ruleWrite + "; a grade for nobody helps nobody",
		Fix:   "Answer 422 (or 404) and name the reference.", Run: func(p *probe) {
			for _, field := range map[string][]string{"lineItem": {"class"},
				"result": {"lineItem", "student"}}[p.route.Resource.Name] {
				it := p.draft()
				it.values[field] = ref(p.route.Resource.Field(field).To, "no-such-id-"+newID())
				p.written = append(p.written, it)
				a := p.put(it)
				p.ok()
				if a.Err != nil || a.Status < 400 || a.Status >= 500 {
					p.fail(a, "a %s that does not exist is answered %d", field, a.Status)
				}
			}
		}},
	{ID: "delete.gone", On: Puts,
		Title: "DELETE is answered 204; then the object is 404 and in no plain list",
		Rule:  ruleWrite + "; Google's suite and published collections",
		Fix: "Answer 204 without a body; hide deleted gradebook objects from single reads and " +
			"plain lists.", Run: checkDelete},
	{ID: "delete.delta", On: Puts,
		Title: "What was deleted is shown to delta reads as tobedeleted",
		Rule:  ruleREST + ", status", Fix: "Keep the row with status tobedeleted and a new " +
			"dateLastModified; show it where the filter names status or dateLastModified.",
		Run: func(p *probe) {
			it, _ := p.make()
			o, _ := p.read(it)
			p.tick(o)
			p.must(p.call(provider.Call{Method: http.MethodDelete, Path: it.path()}), success...)
			p.inDelta(it, o.Text("dateLastModified"), oneroster.ToBeDeleted)
		}},
	{ID: "delete.unknown", On: Puts,
		Title: "DELETE of an id that is not there is answered 404, and a second DELETE breaks nothing",
		Rule:  ruleREST + ", unknown object", Fix: "Answer 404.", Run: func(p *probe) {
			a := p.call(provider.Call{Method: http.MethodDelete, Path: "/" + p.route.Resource.Plural + "/" +
				newID()})
			p.ok()
			p.must(a, http.StatusNotFound)
			it, _ := p.make()
			for range 2 {
				p.unbroken(p.call(provider.Call{Method: http.MethodDelete, Path: it.path()}))
			}
		}},
	{ID: "delete.again", On: Puts,
		Title: "PUT to an id that was deleted creates it anew: 201",
		Rule:  "in the field: published suites use ids again", Fix: "Take the id back into use.",
		Run: func(p *probe) {
			it, _ := p.make()
			if a := p.call(provider.Call{Method: http.MethodDelete, Path: it.path()}); a.Status >= 300 {
				p.leave("the object could not be deleted (delete.gone)")
			}
			it.change() // what is left out now is not to come back
			p.must(p.put(it), http.StatusCreated)
			p.same(it)
		}},
	{ID: "put.minimal", On: Puts, Profiles: gradeProfiles,
		Title: "What Grade Sync leaves out is filled in: status, category, dueDate, gradingPeriod, the " +
			"type and href of references",
		Rule: ruleGS, Fix: "Take the least that makes sense, and fill in the rest.", Run: checkMinimal},
	{ID: "put.score-status", On: Puts, Where: only("result"), Title: "Every scoreStatus is kept",
		Rule: ruleWrite + ", scoreStatus; who is exempt has no zero",
		Fix:  "Store the word that came; do not work it out from the score.", Run: func(p *probe) {
			it, _ := p.make()
			for _, word := range it.res.Field("scoreStatus").Enum {
				it.values["scoreStatus"] = word
				p.must(p.put(it), success...)
				p.same(it)
			}
			it.values["scoreStatus"] = "exempt"
			delete(it.values, "score") // which many servers take
			if a := p.put(it); a.Err == nil && a.Status < 300 && len(p.failures) == 0 {
				p.same(it)
				p.inList(it, it.lists()[0], true)
			}
		}},
	{ID: "put.extra-credit", On: Puts, Profiles: gradeProfiles,
		Where: only("result"), Title: "A score above the maximum is kept",
		Rule: "Google's suite: 300 of 100", Fix: "Do not bound scores.", Run: func(p *probe) {
			it := p.draft()
			it.values["score"] = 300
			p.written = append(p.written, it)
			p.must(p.put(it), success...)
			p.same(it)
		}},
	{ID: "put.same-ids", On: Once, Profiles: gradeProfiles,
		Title: "A line item and a result of the same id live side by side",
		Rule:  "in the field: a published suite uses the ids 1 to 99 for both", Fix: "Keep ids by resource.",
		Run: checkSameIDs},
	{ID: "put.burst", On: Puts, Profiles: gradeProfiles,
		Title: "Forty writes at once are all taken",
		Rule:  ruleGS + " sends every grade of a class at the same moment, and tries none again",
		Fix:   "Queue writers inside the server; never answer that the database is locked.",
		Run:   checkBurst},
}

// extended puts a member into an object's metadata, and then another one in its place. To keep none is
// a provider's right.
func (p *probe) extended(it written) {
	for _, sent := range []map[string]any{{"verification.first": "1 & <b>2</b>"}, {"verification.second": "2"}} {
		it.values = maps.Clone(it.values)
		it.values["metadata"] = sent
		if a := p.put(it); a.Err != nil || a.Status >= 300 {
			return
		}
		o, a := p.read(it)
		got, _ := o["metadata"].(map[string]any)
		for name, v := range got {
			if strings.HasPrefix(name, "verification.") && v != sent[name] {
				p.fail(a, "metadata has %s %s, which was written as %s", name, text(v), text(sent[name]))
			}
		}
	}
}

// checkReplace puts another object to an id, then one with other references: where a provider
// takes that, it has to be so. To refuse that a result moves is its right.
func checkReplace(p *probe) {
	other := p.draft()
	it, _ := p.make()
	var child written
	var has bool
	if it.res.Name != "result" {
		child, has = p.child(it)
	}
	it.change()
	a := p.put(it)
	p.must(a, http.StatusOK, http.StatusCreated)
	if o, _, err := a.One(it.res.Wrapper()); err == nil {
		p.says(a, o, it)
	}
	p.same(it)
	if has {
		// As REPLACE INTO does, that deletes the row first, and what hangs on it.
		if got := p.call(provider.Call{Path: child.path()}); got.Status == http.StatusNotFound {
			p.fail(got, "the PUT of %s %s took %s %s with it", it.res.Name, it.id, child.res.Name, child.id)
		}
	}
	if it.res.Name == "result" && len(p.failures) == 0 {
		it.values = maps.Clone(it.values)
		it.values["score"], it.values["scoreStatus"] = 0, "fully graded" // a score, and no lack of one
		p.must(p.put(it), http.StatusOK, http.StatusCreated)
		p.same(it)
	}
	for _, key := range []string{"lineItem", "student", "category", "gradingPeriod", "class"} {
		to := p.elsewhere(it, other, key)
		if to == nil || len(p.failures) > 0 {
			continue
		}
		moved := it
		moved.values = maps.Clone(it.values)
		moved.values[key] = to
		if a := p.put(moved); a.Err == nil && a.Status < 300 {
			p.same(moved)
			it = moved
		}
	}
}

// elsewhere is another object for a reference to lead to; nil where there is none.
func (p *probe) elsewhere(it, other written, key string) any {
	now, is := it.values[key].(map[string]string)
	switch {
	case !is:
	case key == "lineItem":
		return other.values[key]
	case key == "student":
		if mate := p.classmate(it.class, now["sourcedId"]); mate != "" {
			return ref("user", mate)
		}
	default:
		for _, o := range p.active(now["type"]) {
			if o.ID() != now["sourcedId"] && (key != "gradingPeriod" || o.Get("type") == key) {
				return ref(now["type"], o.ID())
			}
		}
	}
	return nil
}

// checkIDs writes an id in capitals, as systems do whose GUIDs are, and one longer than a GUID, as
// Grade Sync makes of a GUID and a class where it gives one assignment to several.
func checkIDs(p *probe) {
	for _, id := range []string{strings.ToUpper(newID()), newID() + "-" + newID()} {
		it := p.draft()
		it.id = id
		p.written = append(p.written, it)
		a := p.put(it)
		p.must(a, success...)
		o, a := p.read(it)
		if o.ID() != it.id {
			p.fatal(a, "written as %s, it is read as %s", it.id, o.ID())
		}
		p.inList(it, it.lists()[0], true)
	}
}

func checkDelete(p *probe) {
	before, _ := p.make()
	it, _ := p.make()
	after, _ := p.make()
	longer := after // LIKE 'id%' takes it too
	longer.id = it.id + "-1"
	p.written = append(p.written, longer)
	_ = p.put(longer)
	others := append([]written{before, after, longer}, p.siblings(it)...)
	others = slices.DeleteFunc(others, func(it written) bool { // that writes are lost is told elsewhere
		return p.call(provider.Call{Path: it.path()}).Status != http.StatusOK
	})
	a := p.call(provider.Call{Method: http.MethodDelete, Path: it.path()})
	p.must(a, http.StatusNoContent, http.StatusOK)
	got := p.call(provider.Call{Path: it.path()})
	if o, _, _ := got.One(it.res.Wrapper()); got.Status == http.StatusOK &&
		o.Text("status") == oneroster.ToBeDeleted {
		p.advise(got, "what was deleted is read as tobedeleted, as if it were of a roster; 404 is usual")
	} else {
		p.wants(got, http.StatusNotFound)
	}
	for _, path := range it.lists() {
		p.inList(it, path, false)
	}
	for _, other := range others {
		if got := p.call(provider.Call{Path: other.path()}); got.Status != http.StatusOK {
			p.fail(got, "the DELETE of %s took %s with it", it.id, other.id)
		}
	}
	if it.res.Name != "result" && len(p.failures) == 0 {
		p.deletesUnder()
	}
}

// deletesUnder deletes what is referred to. A category is no reason to lose grades. That the results
// of a line item go with it is told nowhere, but what stays of them leads to nothing. To refuse such a
// DELETE is a provider's right.
func (p *probe) deletesUnder() {
	it, _ := p.make()
	child, has := p.child(it)
	a := p.call(provider.Call{Method: http.MethodDelete, Path: it.path()})
	if !has || a.Err != nil || a.Status >= 300 {
		return
	}
	got := p.call(provider.Call{Path: child.path()})
	switch o, _, _ := got.One(child.res.Wrapper()); {
	case it.res.Name == "category" && got.Status == http.StatusNotFound:
		p.fail(got, "the DELETE of category %s took lineItem %s with it", it.id, child.id)
	case it.res.Name == "lineItem" && got.Status == http.StatusOK && o.Text("status") == oneroster.Active:
		p.advise(got, "the DELETE of lineItem %s left its result %s", it.id, child.id)
	}
}

func checkWriteScope(p *probe) {
	full := p.face.ScopePrefix + oneroster.GradebookRead
	a := p.token(provider.TokenRequest{Client: p.p.Client, Secret: p.p.Secret,
		Scope: full})
	g, err := provider.Granted(a)
	if err != nil || g.Scope != "" && g.Scope != full {
		p.leave("no token of %s alone was granted", oneroster.GradebookRead)
	}
	it, _ := p.make()
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		a := p.call(provider.Call{Method: method, Path: it.path(), Body: it.body(nil),
			Who: provider.Who{Bearer: g.AccessToken}})
		if a.Err != nil || a.Status != http.StatusForbidden && a.Status != http.StatusUnauthorized {
			p.fail(a, "%s with a token of %s alone is answered %d; 403 was expected", method,
				oneroster.GradebookRead, a.Status)
		}
	}
}

// checkMinimal puts what Grade Sync puts, and wants a whole object back.
func checkMinimal(p *probe) {
	it := p.draft()
	p.written = append(p.written, it)
	less := it
	less.values = map[string]any{}
	for k, v := range it.values {
		if r, isRef := v.(map[string]string); isRef {
			v = map[string]string{"sourcedId": r["sourcedId"]}
		}
		less.values[k] = v
	}
	without := []string{"status", "category", "dueDate", "gradingPeriod", "comment", "description"}
	a := p.call(provider.Call{Method: http.MethodPut, Path: it.path(), Body: less.body(without),
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}})
	p.ok()
	if a.Err != nil || a.Status >= 300 {
		p.fatal(a, "answered %d: %s", a.Status, a.Excerpt())
	}
	o, a := p.read(it)
	for _, f := range it.res.Fields {
		if !f.Required || o[f.Name] != nil {
			continue
		}
		tell := p.fail
		if slices.Contains(without, f.Name) && f.Name != "status" {
			tell = p.advise // what the teacher has not said, no server has to make up
		}
		tell(a, "%s is missing in the stored object", f.Name)
	}
	for _, path := range it.lists() { // an inner join loses what has no category
		p.inList(it, path, true)
	}
}

// checkLongTexts writes texts as long as teachers write them. To refuse them is a provider's
// right, and told as advice.
func checkLongTexts(p *probe) {
	it := p.draft()
	lengths := map[string]int{"title": 120, "description": 1000, "comment": 1000}
	for name, n := range lengths {
		if it.res.Field(name) != nil {
			it.values[name] = strings.Repeat("Reading and writing ", n/20)[:n-1] + "."
		}
	}
	p.written = append(p.written, it)
	a := p.put(it)
	p.ok()
	p.unbroken(a)
	if a.Status >= 300 {
		p.advise(a, "long texts are refused: answered %d", a.Status)
		return
	}
	o, a := p.read(it)
	for _, name := range slices.Sorted(maps.Keys(lengths)) {
		sent, _ := it.values[name].(string)
		if got := o.Text(name); sent != got && sent != "" {
			p.fail(a, "%s was written with %d letters and is read with %d", name, len(sent),
				utf8.RuneCountInString(got))
		}
	}
}

func checkSameIDs(p *probe) {
	p.route = &oneroster.Route{Resource: oneroster.ByName("result"), Method: http.MethodPut,
		Path: "/results/{id}", Op: "putResult"}
	result := p.draft()
	item := written{res: oneroster.ByName("lineItem"), id: result.id, class: result.class,
		values: p.lineItem(result.class, p.opt.Now.UTC())}
	p.written = append(p.written, item, result)
	for _, it := range []written{item, result} {
		p.must(p.put(it), success...)
	}
	p.ok()
	p.same(result)
	if len(p.failures) > 0 {
		return
	}
	if p.same(item); len(p.failures) > 0 {
		p.route = &oneroster.Route{Resource: item.res, Method: http.MethodPut, Path: "/lineItems/{id}",
			Op: "putLineItem"}
		return
	}
	a := p.call(provider.Call{Method: http.MethodDelete, Path: result.path()})
	if a.Err == nil && a.Status < 300 && p.at(item.path()) == nil {
		p.fail(a, "the DELETE of the result took the line item of the same id with it")
	}
}

func checkBurst(p *probe) {
	it := p.draft()
	var many []written
	for range 40 {
		one := it
		one.id = newID()
		many = append(many, one)
	}
	p.written = append(p.written, many...)
	answers := make([]*provider.Answer, len(many))
	var wait sync.WaitGroup
	for i := range many {
		wait.Go(func() {
			answers[i], _ = p.p.Do(p.ctx, provider.Call{Method: http.MethodPut, Path: many[i].path(),
				Body: many[i].body(nil)})
		})
	}
	wait.Wait()
	p.ok()
	for _, a := range answers {
		p.cut(a)
		p.wants(a, success...)
	}
	for _, one := range many {
		if len(p.failures) == 0 {
			p.read(one)
		}
	}
}
