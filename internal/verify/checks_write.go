package verify

import (
	"net/http"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
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
		Title: "A write moves dateLastModified, and the delta shows it",
		Rule:  ruleREST + ", dateLastModified",
		Fix:   "Stamp the row on every change by the server's own clock, later than any stamp before.",
		Run: func(p *probe) {
			it, _ := p.make()
			first, _ := p.read(it)
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
			if got := p.call(provider.Call{Path: other.path()}); got.Status == http.StatusOK {
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
		Title: "DELETE of an id that is not there is answered 404",
		Rule:  ruleREST + ", unknown object", Fix: "Answer 404.", Run: func(p *probe) {
			a := p.call(provider.Call{Method: http.MethodDelete, Path: "/" + p.route.Resource.Plural + "/" +
				newID()})
			p.ok()
			p.wants(a, http.StatusNotFound)
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
		Rule:  ruleGS + " sends every grade of a class at the same moment",
		Fix:   "Queue writers inside the server; never answer that the database is locked.",
		Run:   checkBurst},
}
