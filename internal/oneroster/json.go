package oneroster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Writer appends objects of one resource as JSON. It is made once for a
// request and holds what every row of it shares: the base URL of references and
// the selected fields.
type Writer struct {
	fields []column
}

type column struct {
	field  *Field
	at     int    // position in Record.Values
	key    string // `"name":`
	before string // start of a reference up to the escaped id
	after  string // its rest, from the end of href: `","sourcedId":"`
}

// NewWriter makes a Writer of r. base is the absolute URL that the collections
// hang on, without a final slash (https://host/ims/oneroster/v1p1). keep names
// the selected fields; nil selects all.
func NewWriter(r *Resource, base string, keep []string) *Writer {
	selected := map[string]bool{}
	for _, name := range keep {
		selected[name] = true
	}
	w := &Writer{}
	for i := range r.Fields {
		f := &r.Fields[i]
		if keep != nil && !selected[f.Name] {
			continue
		}
		c := column{field: f, at: i, key: strconv.Quote(f.Name) + ":"}
		if f.To != "" {
			to := ByName(f.To)
			c.before = `{"href":` + strings.TrimSuffix(string(AppendString(nil, base+"/"+to.Plural+"/")), `"`)
			c.after = `","sourcedId":`
		}
		w.fields = append(w.fields, c)
	}
	return w
}

// Append writes one object. values are canonical texts in the order of
// Resource.Fields. Lists are always there, as arrays; other absent values are
// left out.
func (w *Writer) Append(dst []byte, values []string) []byte {
	dst = append(dst, '{')
	first := true
	for i := range w.fields {
		c := &w.fields[i]
		v := values[c.at]
		if v == "" && c.field.Name == "score" {
			v = "0" // as Complete has it, of rows from before it did
		}
		if v == "" && !c.field.Kind.IsList() {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, c.key...)
		switch c.field.Kind {
		case Number, Metadata:
			dst = append(dst, v...)
		case Ref:
			dst = c.appendRef(dst, v)
		case Strings, Refs, UserIDs:
			dst = c.appendList(dst, v)
		default:
			dst = AppendString(dst, v)
		}
	}
	return append(dst, '}')
}

func (c *column) appendList(dst []byte, v string) []byte {
	dst = append(dst, '[')
	for n := 0; v != ""; n++ {
		item, rest, _ := strings.Cut(v, ListSep)
		v = rest
		if n > 0 {
			dst = append(dst, ',')
		}
		switch c.field.Kind {
		case Refs:
			dst = c.appendRef(dst, item)
		case UserIDs:
			dst = appendUserID(dst, item)
		default:
			dst = AppendString(dst, item)
		}
	}
	return append(dst, ']')
}

func appendUserID(dst []byte, item string) []byte {
	typ, id, _ := strings.Cut(item, PartSep)
	dst = append(dst, `{"type":`...)
	dst = AppendString(dst, typ)
	dst = append(dst, `,"identifier":`...)
	dst = AppendString(dst, id)
	return append(dst, '}')
}

func (c *column) appendRef(dst []byte, id string) []byte {
	dst = append(dst, c.before...)
	dst = append(dst, EscapeID(id)...)
	dst = append(dst, c.after...)
	dst = AppendString(dst, id)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, c.field.To...)
	return append(dst, `"}`...)
}

// EscapeID writes a sourcedId as one URL path segment.
func EscapeID(id string) string {
	if id == "." || id == ".." { // a client would resolve these away
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return url.PathEscape(id)
}

const hexDigits = "0123456789abcdef"

// AppendString writes a JSON string without HTML escapes. Invalid UTF-8 becomes
// U+FFFD; U+2028 and U+2029 are escaped as encoding/json does.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, `\n`...)
			case '\r':
				dst = append(dst, `\r`...)
			case '\t':
				dst = append(dst, `\t`...)
			default:
				dst = append(dst, `\u00`...)
				dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' {
			dst = append(dst, s[start:i]...)
			if size == 1 {
				dst = append(dst, `\ufffd`...)
			} else {
				dst = append(dst, `\u202`...)
				dst = append(dst, hexDigits[r&15])
			}
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// CanonicalMetadata reads a JSON object and writes it compactly with sorted
// keys, numbers kept digit for digit; an empty object is "".
func CanonicalMetadata(raw []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return "", fmt.Errorf("metadata is not a JSON object: %v", err)
	}
	printable(object)
	return MetadataOf(object), nil
}

// printable makes a space of every control character in the texts of a JSON
// value.
func printable(v any) any {
	switch v := v.(type) {
	case string:
		return plain(OneLine(v))
	case []any:
		for i := range v {
			v[i] = printable(v[i])
		}
	case map[string]any:
		for k, inner := range v {
			if p := plain(OneLine(k)); p != k {
				delete(v, k)
				k = p
			}
			v[k] = printable(inner)
		}
	}
	return v
}

// MetadataOf writes the canonical text of a metadata object.
func MetadataOf(object map[string]any) string {
	if len(object) == 0 {
		return ""
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object); err != nil {
		panic(err) // only strings, numbers, booleans, lists and maps come here
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// WithoutKey takes a member, named by its flattened key, out of a canonical
// metadata text.
func WithoutKey(metadata, key string) string {
	dec := json.NewDecoder(strings.NewReader(metadata))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return ""
	}
	drop(object, key)
	return MetadataOf(object)
}

// Veil takes the flags of a user out of its metadata, for who may not see them.
func Veil(r *Resource, values []string) {
	at := r.MetadataIndex()
	if r.Name == "user" && strings.Contains(values[at], "userFlags") {
		values[at] = WithoutKey(values[at], UserFlags)
	}
}

func drop(object map[string]any, key string) {
	delete(object, key)
	for k, v := range object {
		inner, is := v.(map[string]any)
		if rest, below := strings.CutPrefix(key, k+"."); is && below {
			drop(inner, rest)
		}
	}
}

// A Pair is one flattened member of a metadata object.
type Pair struct{ Key, Text string }

// FlattenMetadata lists the members of a canonical metadata text as filters see
// them, by key: inner objects by dotted keys, strings as they are, null as an
// empty text, other values as their JSON text.
func FlattenMetadata(metadata string) []Pair {
	if metadata == "" {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(metadata))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil
	}
	seen := map[string]string{}
	flatten(seen, "", object)
	out := make([]Pair, 0, len(seen))
	for k, v := range seen {
		out = append(out, Pair{plain(k), plain(v)})
	}
	slices.SortFunc(out, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// plain makes spaces of control characters, which no filter can name.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, s)
}

func flatten(seen map[string]string, prefix string, object map[string]any) {
	keys := make([]string, 0, len(object))
	for k := range object {
		keys = append(keys, k)
	}
	slices.Sort(keys) // where two spellings meet in one dotted key, the first by name wins
	for _, k := range keys {
		key := prefix + k
		if inner, ok := object[k].(map[string]any); ok {
			flatten(seen, key+".", inner)
			continue
		}
		if _, taken := seen[key]; taken {
			continue
		}
		switch v := object[k].(type) {
		case string:
			seen[key] = v
		case nil:
			seen[key] = ""
		default:
			text, _ := json.Marshal(v)
			seen[key] = string(text)
		}
	}
}
