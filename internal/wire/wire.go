// Package wire owns OneRoster's JSON as it came, whatever was made of the standard on the
// way: objects, how two of them differ, pages, where a list of pages ends, and pseudonyms for
// the people in what is told of it. It calls nobody and judges nothing.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
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

// Deleted tells whether the object is said to be tobedeleted; it may be nil.
func (o Object) Deleted() bool { return strings.EqualFold(o.Text("status"), oneroster.ToBeDeleted) }

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
	if ref, is := o[name].(map[string]any); is { // without a list of it
		return Object(ref).Text("sourcedId")
	}
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
	members := make(map[string]json.RawMessage, len(o))
	for name, v := range o {
		if f := r.Field(name); f != nil && f.To != "" {
			v = bare(v)
		}
		if text, ok := v.(string); ok {
			members[name] = oneroster.AppendString(nil, text)
		} else if text, err := json.Marshal(v); err == nil {
			members[name] = text
		} else {
			return oneroster.NewRecord(r)
		}
	}
	rec, _, err := oneroster.DecodeMembers(r, members)
	if err != nil {
		rec = oneroster.NewRecord(r)
	}
	for _, i := range []int{oneroster.Status, oneroster.Modified} {
		rec.Values[i], _ = r.Fields[i].Parse(o.Text(r.Fields[i].Name))
	}
	return rec
}

// bare is a reference as its id alone, which is read alike in a quarter of the time.
func bare(v any) any {
	if ref, _ := refOf(v); ref.ID != "" {
		return ref.ID
	}
	if list, ok := v.([]any); ok {
		ids := make([]any, len(list))
		for i := range list {
			ids[i] = bare(list[i])
		}
		return ids
	}
	return v
}

// Decode reads one JSON value and nothing after it, numbers digit for digit. Decoded as what it
// is, and not into a type of ours, a page takes encoding/json three fifths of the time.
func Decode(text []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more text after the JSON value")
	}
	return v, nil
}

// Canonical is the object's content as one JSON text: keys sorted, lists of
// references sorted by sourcedId, numbers without zeros at their end, hrefs left out, since two addresses
// of one server are no difference. dateLastModified is part of it.
func (o Object) Canonical() string { return JSON(map[string]any(o)) }

// JSON is any value as Canonical has it.
func JSON(v any) string { return string(appendCanonical(nil, v)) }

func appendCanonical(out []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return oneroster.AppendString(out, v)
	case map[string]any:
		_, isRef := v["sourcedId"]
		out = append(out, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name == "href" && isRef {
				continue
			}
			if out[len(out)-1] != '{' {
				out = append(out, ',')
			}
			out = appendCanonical(append(oneroster.AppendString(out, name), ':'), v[name])
		}
		return append(out, '}')
	case []any:
		v = slices.Clone(v)
		sort.SliceStable(v, func(i, j int) bool {
			a, aRef := refOf(v[i])
			b, bRef := refOf(v[j])
			return aRef && bRef && a.ID < b.ID
		})
		out = append(out, '[')
		for i, item := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendCanonical(out, item)
		}
		return append(out, ']')
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Append(out, v) // not what encoding/json decodes
	}
	if _, isNumber := v.(json.Number); isNumber && bytes.ContainsRune(text, '.') && !bytes.ContainsAny(text, "eE") {
		text = bytes.TrimSuffix(bytes.TrimRight(text, "0"), []byte(".")) // 100.0 is 100
	}
	return append(out, text...)
}

// A Difference is a member that two objects have otherwise, each as canonical JSON; "" for
// one that has none.
type Difference struct{ Name, One, Other string }

// Differ lists the members in which two objects do not say the same, by name. There are
// none where, and only where, Canonical is the same.
func Differ(one, other Object) (out []Difference) {
	members := Object{}
	maps.Copy(members, one)
	maps.Copy(members, other)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		d := Difference{name, one.member(name), other.member(name)}
		if d.One != d.Other {
			out = append(out, d)
		}
	}
	return out
}

func (o Object) member(name string) string {
	v, there := o[name]
	if _, isRef := o["sourcedId"]; !there || name == "href" && isRef {
		return ""
	}
	return JSON(v)
}

// A Page is a list answer, read.
type Page struct {
	Objects []Object
	Key     string // the wrapper that it came in
	Total   int    // X-Total-Count; -1 when it is missing or no number
	More    bool   // a Link header names a next page
	Linked  bool   // there is a Link header with relations
}
