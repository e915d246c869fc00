package gradesync

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// write sends the line items all at once, and when they are through the results
// all at once: Grade Sync has no bound on either.
func (r *run) write(ctx context.Context) {
	items, grades := r.receipt.entries()
	r.total = 2 * (len(items) + len(grades))
	r.all(ctx, items, 0, r.put)
	for _, it := range r.receipt.Items {
		for _, g := range it.Grades {
			if it.Status == Failed {
				g.fail("not sent: its line item %s failed", it.ID)
			}
		}
	}
	r.all(ctx, grades, 0, r.put)
}

// put sends one object unless it is there. What is there stays as it is, even where somebody
// has changed it since, unless it is forced.
func (r *run) put(ctx context.Context, e *Entry) error {
	there, err := r.exists(ctx, e)
	if err != nil {
		return err
	}
	if there != nil && !r.Force {
		e.Status = Unchanged
		for _, d := range differences(e.of, e.wanted, there) {
			e.Notes = append(e.Notes, "is there and stays: "+say(d, "ours is", "there"))
		}
		return nil
	}
	text, err := json.Marshal(map[string]any{e.of.Wrapper(): e.wanted})
	if err != nil {
		panic(err) // texts and numbers
	}
	e.sent = true
	a, err := r.call(ctx, provider.Call{Method: http.MethodPut, Path: e.path(), Body: text,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}})
	r.timed(a)
	if err == nil {
		err = refused(a)
	}
	if err == nil {
		err = a.In(e.echoed(a))
	}
	e.Status = Created
	if there != nil {
		e.Status = Overwritten
	}
	return err
}

// exists asks for an object by its id: nil is absent, which only a 404 says.
func (r *run) exists(ctx context.Context, e *Entry) (wire.Object, error) {
	a, err := r.call(ctx, provider.Call{Path: e.path()})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	if a.Status/100 != 2 {
		return nil, fmt.Errorf("%w. Grade Sync takes 404 for absent, and gives this one up at "+
			"anything else", refused(a))
	}
	o, _, err := a.One(e.of.Wrapper())
	switch {
	case r.Force: // it would be sent whatever came
		if o == nil {
			o = wire.Object{}
		}
	case err != nil || o.ID() != e.ID:
		return nil, a.In(fmt.Errorf("answered %d without the %s: Grade Sync takes any success for \"it "+
			"exists\" and never sends it; answer 404 for what is absent", a.Status, e.of.Name))
	case o.Deleted():
		return nil, a.In(fmt.Errorf("answered %d with an object that is tobedeleted: Grade Sync takes it "+
			"for one that exists and never sends it; answer 404 for what is deleted", a.Status))
	}
	return o, nil
}

// echoed checks what a PUT answers: nothing, or the object in its wrapper.
func (e *Entry) echoed(a *provider.Answer) error {
	if len(strings.TrimSpace(string(a.Body))) == 0 {
		return nil
	}
	o, _, err := a.One(e.of.Wrapper())
	if err != nil {
		return fmt.Errorf("%w: Grade Sync reads the answer to a PUT, when there is one", err)
	}
	if id := o.ID(); id != "" && id != e.ID {
		return fmt.Errorf("the answer is about %q", id)
	}
	return nil
}

// say tells of a member that is read otherwise than it was sent.
func say(d wire.Difference, sent, read string) string {
	return fmt.Sprintf("%s: %s %s, %s %s", d.Name, sent, d.One, read, d.Other)
}

// differences compares the fields that were sent with content: numbers as
// numbers, references by sourcedId, times to the millisecond, and scoreDate by
// the day, as the fields of the standard are read.
func differences(of *oneroster.Resource, sent, read wire.Object) (out []wire.Difference) {
	want, got := sent.Record(of), read.Record(of)
	for i := range of.Fields {
		name := of.Fields[i].Name
		if want.Values[i] != "" && want.Values[i] != got.Values[i] {
			out = append(out, wire.Difference{Name: name, One: shown(sent[name]), Other: shown(read[name])})
		}
	}
	// An empty comment must not come back as somebody's words.
	if c := read.Text("comment"); c != "" && sent["comment"] == "" {
		out = append(out, wire.Difference{Name: "comment", One: shown(""), Other: shown(c)})
	}
	if read.Deleted() {
		out = append(out, wire.Difference{Name: "status", One: shown(nil),
			Other: shown(oneroster.ToBeDeleted)})
	}
	return out
}

// shown is a member as a person would see it: a reference by its id.
func shown(v any) string {
	if m, ok := v.(map[string]any); ok {
		if id, ok := m["sourcedId"].(string); ok {
			v = id
		}
	}
	if v == nil {
		return "nothing"
	}
	return wire.JSON(v)
}
