package wire

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"rollbook/internal/oneroster"
)

// Of is the object as a reader decodes it, made without its JSON; hrefs are those
// of an empty base. It shares nothing that a caller may change with the record.
func Of(rec oneroster.Record) Object {
	out := make(Object, len(rec.Values))
	for i := range rec.Resource.Fields {
		f, v := &rec.Resource.Fields[i], rec.Values[i]
		if f.Kind.IsList() {
			list := make([]any, 0, 1)
			for _, item := range oneroster.Items(v) {
				list = append(list, valueOf(f, item))
			}
			out[f.Name] = list
			continue
		}
		if v == "" && f.Name == "score" {
			v = "0" // as oneroster.Writer has it
		}
		if v != "" {
			out[f.Name] = valueOf(f, v)
		}
	}
	return out
}

// valueOf is one value, or one item of a list.
func valueOf(f *oneroster.Field, v string) any {
	switch f.Kind {
	case oneroster.Number:
		return json.Number(v)
	case oneroster.Ref, oneroster.Refs:
		return map[string]any{"href": "/" + oneroster.ByName(f.To).Plural + "/" + oneroster.EscapeID(v),
			"sourcedId": valid(v), "type": f.To}
	case oneroster.UserIDs:
		typ, id, _ := strings.Cut(v, oneroster.PartSep)
		return map[string]any{"type": valid(typ), "identifier": valid(id)}
	case oneroster.Metadata:
		var object map[string]any
		dec := json.NewDecoder(strings.NewReader(v))
		dec.UseNumber()
		_ = dec.Decode(&object) // canonical, or it would not be stored
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
