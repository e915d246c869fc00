package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// An Object is one object as it came: its members as encoding/json makes them,
// numbers as json.Number.
type Object map[string]any

// ID is the sourcedId; "" when there is none, or it is no text.
func (o Object) ID() string { return o.Text("sourcedId") }

// Text is a member that is a JSON string; "" otherwise.
func (o Object) Text(name string) string {
	s, _ := o[name].(string)
	return s
}

// A Ref is a reference as it came (GUIDRef).
type Ref struct{ Href, ID, Type string }

func refOf(v any) (Ref, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return Ref{}, false
	}
	o := Object(m)
	return Ref{o.Text("href"), o.Text("sourcedId"), o.Text("type")}, true
}

// Refs are the references of a member, which is one or a list of them; what is
// no reference is left out.
func (o Object) Refs(name string) []Ref {
	if r, ok := refOf(o[name]); ok {
		return []Ref{r}
	}
	list, _ := o[name].([]any)
	var out []Ref
	for _, it := range list {
		if r, ok := refOf(it); ok {
			out = append(out, r)
		}
	}
	return out
}

// RefID is the sourcedId of a single reference, or "".
func (o Object) RefID(name string) string {
	if refs := o.Refs(name); len(refs) > 0 {
		return refs[0].ID
	}
	return ""
}

// Texts are the texts of a member that is a list of them.
func (o Object) Texts(name string) []string {
	list, _ := o[name].([]any)
	var out []string
	for _, it := range list {
		if s, ok := it.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Record reads the object as a record of r, forgiving as the gradebook is; what
// cannot be read is absent. Unlike a PUT's body, it keeps status and
// dateLastModified.
func (o Object) Record(r *oneroster.Resource) oneroster.Record {
	text, err := json.Marshal(o)
	if err != nil {
		return oneroster.NewRecord(r)
	}
	rec, _, err := oneroster.Decode(r, text)
	if err != nil {
		rec = oneroster.NewRecord(r)
	}
	for _, i := range []int{oneroster.Status, oneroster.Modified} {
		rec.Values[i], _ = r.Fields[i].Parse(o.Text(r.Fields[i].Name))
	}
	return rec
}

// Canonical is the object's content as one JSON text: keys sorted, lists of
// references sorted by sourcedId, hrefs left out, since two addresses of one
// server are no difference. dateLastModified is part of it.
func (o Object) Canonical() string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(canonical(map[string]any(o))); err != nil {
		return fmt.Sprint(o) // not what encoding/json decodes
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func canonical(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		_, isRef := v["sourcedId"]
		for k, inner := range v {
			if k != "href" || !isRef {
				out[k] = canonical(inner)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = canonical(v[i])
		}
		sort.SliceStable(out, func(i, j int) bool {
			a, aRef := refOf(out[i])
			b, bRef := refOf(out[j])
			return aRef && bRef && a.ID < b.ID
		})
		return out
	}
	return v
}

// A Page is a list answer, read.
type Page struct {
	Objects []Object
	Key     string // the wrapper that it came in
	Total   int    // X-Total-Count; -1 when it is missing or no number
	More    bool   // a Link header names a next page
	Linked  bool   // there is a Link header with relations
}

// List reads an answer of status 200 as a list under one of the given keys.
func (a *Answer) List(wrappers ...string) (Page, error) {
	links := a.Links()
	page := Page{Total: a.Total(), More: links["next"] != "", Linked: len(links) > 0}
	members, err := a.object()
	if err != nil {
		return page, err
	}
	for _, key := range wrappers {
		raw, ok := members[key]
		if !ok {
			continue
		}
		page.Key = key
		if err := decode(raw, &page.Objects); err != nil {
			return page, &Trouble{Kind: Misshapen, Text: fmt.Sprintf("%q is not a list of objects: %v", key, err)}
		}
		return page, nil
	}
	return page, &Trouble{Kind: Misshapen, Text: fmt.Sprintf("the list is not under \"%s\"; the answer has %s", strings.Join(wrappers, `" or "`), named(a.Body))}
}

// One reads an answer of status 200 as a single object under one of the keys.
func (a *Answer) One(wrappers ...string) (Object, string, error) {
	members, err := a.object()
	if err != nil {
		return nil, "", err
	}
	for _, key := range wrappers {
		if raw, ok := members[key]; ok {
			var o Object
			if err := decode(raw, &o); err != nil || o == nil {
				return nil, key, &Trouble{Kind: Misshapen, Text: fmt.Sprintf("%q is not an object", key)}
			}
			return o, key, nil
		}
	}
	return nil, "", &Trouble{Kind: Misshapen, Text: fmt.Sprintf("the object is not under \"%s\"; the answer has %s", strings.Join(wrappers, `" or "`), named(a.Body))}
}

// Members are the top-level members of an answer.
func (a *Answer) Members() (map[string]json.RawMessage, error) { return a.object() }

func (a *Answer) object() (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	body := bytes.TrimPrefix(a.Body, []byte("\ufeff"))
	if err := decode(body, &members); err != nil || members == nil {
		kind := NotJSON
		if json200(a) && len(body) > 0 {
			kind = BrokenOff // began as JSON: cut short
		}
		what := "no JSON object"
		if err != nil {
			what = "no whole JSON object (" + err.Error() + ")"
		}
		return nil, &Trouble{Kind: kind, Text: "the body is " + what + ": " + a.Excerpt()}
	}
	return members, nil
}

func named(body []byte) string {
	if k := keys(body); len(k) > 0 {
		sort.Strings(k)
		return `"` + strings.Join(k, `", "`) + `"`
	}
	return "no members"
}

// decode reads one JSON value and nothing after it, numbers digit for digit.
func decode(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("there is more text after the JSON value")
	}
	return nil
}

// Total is X-Total-Count; -1 when it is missing or not digits only.
func (a *Answer) Total() int {
	text := a.Header.Get("X-Total-Count")
	for _, c := range text {
		if c < '0' || c > '9' {
			return -1
		}
	}
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return -1
}

// Links reads the Link header (RFC 8288): relation to URL.
func (a *Answer) Links() map[string]string {
	out := map[string]string{}
	for _, header := range a.Header.Values("Link") {
		for header != "" {
			_, rest, ok := strings.Cut(header, "<")
			if !ok {
				break
			}
			target, after, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			params, next := after, ""
			if i := strings.IndexByte(after, '<'); i >= 0 {
				params, next = after[:i], after[i:]
			}
			for _, p := range strings.FieldsFunc(params, func(c rune) bool { return c == ';' || c == ',' }) {
				if name, value, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(strings.TrimSpace(name), "rel") {
					for _, rel := range strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)) {
						out[strings.ToLower(rel)] = target
					}
				}
			}
			header = next
		}
	}
	return out
}
