package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

func only(resource string) func(*oneroster.Route) bool {
	return func(r *oneroster.Route) bool { return r.Resource.Name == resource }
}

// written is an object that a check puts: what it is, and what it says.
type written struct {
	res    *oneroster.Resource
	id     string
	values map[string]any
	class  string // that its line item is of
}

func (w written) path() string { return "/" + w.res.Plural + "/" + oneroster.EscapeID(w.id) }

// body writes the object in its wrapper; members of without are left out.
func (w written) body(without []string) []byte {
	members := map[string]any{"sourcedId": w.id}
	for k, v := range w.values {
		if !slices.Contains(without, k) {
			members[k] = v
		}
	}
	out, err := json.Marshal(map[string]any{w.res.Wrapper(): members})
	if err != nil {
		panic(err) // our own texts and numbers
	}
	return out
}

// lists are the lists in which the object must stand.
func (w written) lists() []string {
	out := []string{"/" + w.res.Plural}
	switch w.res.Name {
	case "lineItem":
		out = append(out, "/classes/"+oneroster.EscapeID(w.class)+"/lineItems")
	case "result":
		class, item := oneroster.EscapeID(w.class), w.values["lineItem"].(map[string]string)["sourcedId"]
		out = append(out, "/classes/"+class+"/results", "/classes/"+class+"/lineItems/"+
			oneroster.EscapeID(item)+"/results")
	}
	return out
}

// change makes another object of it: a new text, other numbers and days, without its
// optional text.
func (w *written) change() {
	next := maps.Clone(w.values)
	switch w.res.Name {
	case "result":
		next["score"], next["scoreStatus"] = 12.25, "partially graded"
		next["scoreDate"] = later(next["scoreDate"], oneroster.DateLayout, -7)
		delete(next, "comment")
	case "lineItem":
		next["assignDate"] = later(next["assignDate"], time.RFC3339, 1)
		next["dueDate"] = later(next["dueDate"], time.RFC3339, 7)
		next["resultValueMin"], next["resultValueMax"] = 2, 62.5
		fallthrough
	default:
		next["title"] = "Verification, changed"
		delete(next, "description")
	}
	w.values = next
}

// later moves a day of ours, or a time of ours.
func later(v any, layout string, days int) string {
	t, err := time.Parse(layout, v.(string))
	if err != nil {
		panic(err)
	}
	if t = t.AddDate(0, 0, days); layout == oneroster.DateLayout {
		return t.Format(layout)
	}
	return oneroster.FormatTime(t)
}

func newID() string { return uuid.NewString() }

// unique is a text that was never used: a nonce.
func unique() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

func ref(typ, id string) map[string]string { return map[string]string{"sourcedId": id, "type": typ} }

// draft is an object of the route's resource with everything that it needs: a
// class with a student, a category, and for a result a line item, which is put. Without these the
// check ends.
func (p *probe) draft() written {
	class, student := p.classroom()
	it := written{res: p.route.Resource, id: newID(), class: class}
	today := p.opt.Now.UTC()
	switch it.res.Name {
	case "category":
		it.values = map[string]any{"title": "Verification", "status": "active"}
	case "lineItem":
		it.values = p.lineItem(class, today)
	case "result":
		item := written{res: oneroster.ByName("lineItem"), id: newID(), class: class,
			values: p.lineItem(class, today)}
		p.written = append(p.written, item)
		if a := p.put(item); a.Err != nil || a.Status >= 300 {
			p.leave("the line item that a result needs could not be put: answered %d", a.Status)
		}
		// A provider that took it and lost it refuses the result for a good reason.
		if a := p.call(provider.Call{Path: item.path()}); a.Status != http.StatusOK {
			p.leave("the line item that a result needs was put, and reading it is answered %d", a.Status)
		}
		it.values = p.grade(item.id, student, today)
	}
	return it
}

func (p *probe) grade(item, student string, today time.Time) map[string]any {
	return map[string]any{"status": "active", "lineItem": ref("lineItem", item),
		"student": ref("user", student), "scoreStatus": "fully graded",
		"score": 87.35, "scoreDate": today.Format(oneroster.DateLayout),
		"comment": "Verification: O'Brien, 100 % <b>fine</b>, très bien 👍"}
}

// child puts a result of a line item, or a line item of a category; false where that is refused.
func (p *probe) child(it written) (written, bool) {
	class, student := p.classroom()
	today := p.opt.Now.UTC()
	out := written{res: oneroster.ByName("result"), id: newID(), class: class}
	if it.res.Name == "category" {
		out.res, out.values = oneroster.ByName("lineItem"), p.lineItem(class, today)
		out.values["category"] = ref("category", it.id)
	} else {
		out.values = p.grade(it.id, student, today)
	}
	p.written = append(p.written, out)
	a := p.put(out)
	return out, a.Err == nil && a.Status < 300 && p.call(provider.Call{Path: out.path()}).Status == http.StatusOK
}

// lineItem has times that are no midnight, whatever the hour: one that is lost shows.
func (p *probe) lineItem(class string, today time.Time) map[string]any {
	morning := today.Truncate(24 * time.Hour).Add(8 * time.Hour)
	out := map[string]any{"status": "active", "title": "Verification",
		"description": "<p>Made by a verifier; it <b>removes</b> it again &amp; says so: " +
			"naïve 日本語 👍</p>",
		"class":          ref("class", class),
		"assignDate":     oneroster.FormatTime(morning),
		"dueDate":        oneroster.FormatTime(morning.AddDate(0, 0, 7)),
		"resultValueMin": 0, "resultValueMax": 100}
	for _, c := range p.active("category") {
		out["category"] = ref("category", c.ID())
		break
	}
	for _, s := range p.active("academicSession") {
		if s.Get("type") == "gradingPeriod" {
			out["gradingPeriod"] = ref("academicSession", s.ID())
			break
		}
	}
	return out
}

// classroom is an active class with an active student.
func (p *probe) classroom() (class, student string) {
	for _, e := range p.active("enrollment") {
		if e.Get("role") == "student" {
			return e.Get("class"), e.Get("user")
		}
	}
	// The profile may not read enrollments: ask the class.
	for _, c := range p.active("class") {
		a := p.get("/classes/"+oneroster.EscapeID(c.ID())+"/students", "limit", "1")
		if got, err := a.List("users"); a.Status == http.StatusOK && err == nil && len(got.Objects) > 0 {
			return c.ID(), got.Objects[0].ID()
		}
	}
	p.leave("there is no class with a student to write for")
	return "", ""
}

// classmate is another active student of a class; "" where none is known.
func (p *probe) classmate(class, student string) string {
	for _, e := range p.active("enrollment") {
		if e.Get("role") == "student" && e.Get("class") == class && e.Get("user") != student {
			return e.Get("user")
		}
	}
	return ""
}

func (p *probe) put(it written) *provider.Answer {
	return p.call(provider.Call{Method: http.MethodPut, Path: it.path(), Body: it.body(nil)})
}

// make puts a new object. The check ends where that is refused.
func (p *probe) make() (written, *provider.Answer) {
	it := p.draft()
	p.written = append(p.written, it)
	a := p.put(it)
	p.ok()
	if a.Err != nil {
		p.fatal(a, "no answer: %v", a.Err)
	}
	if a.Status != http.StatusOK && a.Status != http.StatusCreated {
		p.fatal(a, "a new %s is answered %d: %s", it.res.Name, a.Status, a.Excerpt())
	}
	return it, a
}

// read reads the object. The check ends where it cannot be read.
func (p *probe) read(it written) (wire.Object, *provider.Answer) {
	a := p.call(provider.Call{Path: it.path()})
	o, _, err := a.One(it.res.Wrapper())
	if a.Status != http.StatusOK || err != nil {
		p.fatal(a, "reading what was written is answered %d", a.Status)
	}
	return o, a
}

// siblings are a result of the same line item, of a classmate, where there is one; it is put.
func (p *probe) siblings(it written) []written {
	student, is := it.values["student"].(map[string]string)
	if !is {
		return nil
	}
	mate := p.classmate(it.class, student["sourcedId"])
	if mate == "" {
		return nil
	}
	near := it
	near.id, near.values = newID(), maps.Clone(it.values)
	near.values["student"] = ref("user", mate)
	p.written = append(p.written, near)
	_ = p.put(near)
	return []written{near}
}

// at is an object of the gradebook at a path; nil where there is none.
func (p *probe) at(path string) wire.Object {
	o, _, _ := p.call(provider.Call{Path: path}).One("category", "lineItem", "result")
	return o
}

// tick waits until the provider's clock has left the stamp behind: a write in
// the same tick may honestly have the same. Stamps of whole seconds tick slowly.
func (p *probe) tick(o wire.Object) {
	pause := 5 * time.Millisecond
	if strings.HasSuffix(o.Text("dateLastModified"), ".000Z") || !isTime(o.Text("dateLastModified")) {
		pause = 1100 * time.Millisecond
	}
	select {
	case <-p.ctx.Done():
	case <-time.After(pause):
	}
}

// onTime wants the stamp of a write to be the time of its answer: a reader that
// keeps its own clock misses what is stamped hours before.
func (p *probe) onTime(a *provider.Answer, o wire.Object) {
	now, err := http.ParseTime(a.Header.Get("Date"))
	stamp, _, err2 := oneroster.ParseInstant(o.Text("dateLastModified"))
	if err != nil || err2 != nil {
		return
	}
	if off := stamp.Sub(now).Abs(); off > 2*time.Minute {
		p.fail(a, "the write is stamped %s, and its answer is of %s: is it local time under a Z?",
			o.Text("dateLastModified"), a.Header.Get("Date"))
	}
}

// same wants the stored object to say what was put, and nothing that it did
// not say.
func (p *probe) same(it written) {
	o, a := p.read(it)
	p.says(a, o, it)
	for _, key := range []string{"description", "comment"} {
		if _, sent := it.values[key]; !sent && it.res.Field(key) != nil && o[key] != nil {
			p.fail(a, "%s is still %s after a PUT without it: the object was not replaced", key,
				text(o[key]))
		}
	}
}

// says wants an object to have every value that was put.
func (p *probe) says(a *provider.Answer, o wire.Object, it written) {
	for _, key := range slices.Sorted(maps.Keys(it.values)) {
		if sent, got := it.values[key], o[key]; !means(it.res.Field(key), sent, got) {
			p.fail(a, "%s was written as %s and is read as %s", key, text(sent), text(got))
		}
	}
}

// means tells whether a value that was read is the one that was sent.
func means(f *oneroster.Field, sent, got any) bool {
	if r, ok := sent.(map[string]string); ok {
		o, _ := got.(map[string]any)
		return wire.Object(o).ID() == r["sourcedId"]
	}
	a, b := fmt.Sprint(sent), fmt.Sprint(got)
	switch f.Kind {
	case oneroster.Number:
		x, err1 := strconv.ParseFloat(a, 64)
		y, err2 := strconv.ParseFloat(b, 64)
		return err1 == nil && err2 == nil && x == y
	case oneroster.Date, oneroster.Time:
		x, _, err1 := oneroster.ParseInstant(a)
		y, _, err2 := oneroster.ParseInstant(b)
		return err1 == nil && err2 == nil && x.Equal(y)
	}
	return a == b
}

// inList wants the object in a list, or not.
func (p *probe) inList(it written, path string, want bool) {
	a := p.call(provider.Call{Path: path, Query: provider.Query("limit", strconv.Itoa(pageful), "filter",
		"sourcedId="+provider.Quote(it.id))})
	got, err := p.asList(a, it.res)
	if err != nil {
		p.lacks("%s cannot be searched for what was written", path) // others tell
		return
	}
	there := slices.ContainsFunc(got.Objects, func(o wire.Object) bool { return o.ID() == it.id })
	if there != want {
		p.fail(a, "%s %s is %s in %s", it.res.Name, it.id, map[bool]string{true: "still",
			false: "not"}[there], path)
	}
}

// inDelta wants the object, with a status, among what changed after a time.
func (p *probe) inDelta(it written, since, status string) {
	a := p.call(provider.Call{Path: "/" + it.res.Plural, Query: provider.Query("limit",
		strconv.Itoa(pageful), "filter", "dateLastModified>"+provider.Quote(since))})
	for _, o := range p.list(a, it.res.Name).Objects {
		if o.ID() == it.id {
			if o.Text("status") != status {
				p.fail(a, "%s has status %s there; %s was expected", it.id, text(o["status"]), status)
			}
			return
		}
	}
	tell := p.fail
	if status == oneroster.ToBeDeleted { // the standard does not say how long a deleted row stays
		tell = p.advise
	}
	tell(a, "%s %s is not among what changed after %s", it.res.Name, it.id, since)
}

// cleanUp removes what the checks wrote, results before line items.
func (r *run) cleanUp() {
	for i := len(r.written) - 1; i >= 0; i-- {
		it := r.written[i]
		if r.gone != nil {
			r.note("%s %s was written and stays: remove it by hand", it.res.Name, it.id)
			continue
		}
		a, err := r.p.Do(context.WithoutCancel(r.ctx), provider.Call{Method: http.MethodDelete,
			Path: it.path()})
		if err != nil || a.Status >= 300 && a.Status != http.StatusNotFound {
			r.note("%s %s could not be removed again (%d): remove it by hand", it.res.Name, it.id, a.Status)
		}
	}
	r.written = nil
}
