package wire

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"rollbook/internal/oneroster"
)

// Set makes the object what a reader decodes of a record, without its JSON and without hrefs.
// It was empty, or set to another record of the same resource, and takes over the memory of
// what it was.
func (o Object) Set(rec oneroster.Record) {
	for i := range rec.Resource.Fields {
		f, v := &rec.Resource.Fields[i], rec.Values[i]
		if v == "" && f.Name == "score" {
			v = "0" // as oneroster.Writer has it
		}
		switch {
		case f.Kind.IsList():
			list, _ := o[f.Name].([]any)
			was := list
			list = list[:0]
			for n, item := range oneroster.Items(v) {
				var before any
				if n < len(was) {
					before = was[n]
				}
				list = append(list, valueOf(f, item, before))
			}
			if list == nil {
				list = []any{}
			}
			o[f.Name] = list
		case v == "":
			delete(o, f.Name)
		default:
			before := o[f.Name]
			if text, _ := before.(string); text != v { // many are those of the record before
				o[f.Name] = valueOf(f, v, before)
			}
		}
	}
}

// valueOf is one value, or one item of a list, in the memory of the one before.
func valueOf(f *oneroster.Field, v string, before any) any {
	switch f.Kind {
	case oneroster.Number:
		return json.Number(v)
	case oneroster.Ref, oneroster.Refs:
		ref, _ := before.(map[string]any)
		if ref == nil {
			ref = map[string]any{"type": f.To}
		}
		if text, _ := ref["sourcedId"].(string); text != v {
			ref["sourcedId"] = valid(v)
		}
		return ref
	case oneroster.UserIDs:
		typ, id, _ := strings.Cut(v, oneroster.PartSep)
		return map[string]any{"type": valid(typ), "identifier": valid(id)}
	case oneroster.Metadata:
		object, _ := Decode([]byte(v)) // canonical, or it would not be stored
		return object
	}
	return valid(v)
}

// valid makes U+FFFD of each byte that is not UTF-8.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}
