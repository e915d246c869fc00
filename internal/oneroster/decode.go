package oneroster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode reads one object, in its wrapper ({"lineItem": {…}}) or bare, into a
// record. status and dateLastModified are the server's and are left out; a status
// other than active is told. Members that are unknown, null or empty are passed
// over, and so are templates that a client did not fill in, and a sourcedId that
// cannot be one, which a path has too. Another member that cannot be read leaves
// its field absent and is told in problems. err means that there is no object at
// all.
func Decode(r *Resource, body []byte) (rec Record, problems []Problem, err error) {
	if err := legible(body); err != nil {
		return Record{}, nil, err
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	members, err := object(body)
	if err == nil {
		err = once(body)
	}
	if err != nil {
		return Record{}, nil, err
	}
	return DecodeMembers(r, members)
}

// DecodeMembers is Decode of an object whose JSON was looked at already: it is UTF-8,
// and no member comes twice.
func DecodeMembers(r *Resource, members map[string]json.RawMessage) (rec Record, problems []Problem,
	err error) {
	if inner, ok := members[r.Wrapper()]; ok {
		if members, err = object(inner); err != nil {
			return Record{}, nil, fmt.Errorf("%q: %w", r.Wrapper(), err)
		}
	} else if len(members) == 1 {
		for key, inner := range members {
			if r.Index(key) < 0 && bytes.HasPrefix(inner, []byte("{")) {
				return Record{}, nil, fmt.Errorf("the object is wrapped in %q; wrap it in %q", key,
					r.Wrapper())
			}
		}
	}
	rec = NewRecord(r)
	for i := range r.Fields {
		f := &r.Fields[i]
		raw, ok := members[f.Name]
		if !ok || i == Modified || f.Derived() || unfilled(raw) {
			continue
		}
		v, err := f.decode(raw)
		switch {
		case err != nil && i == SourcedID:
		case err != nil:
			problems = append(problems, Problem{f.Name, err.Error()})
		case f.Required && v != "" && blank(v):
			problems = append(problems, Problem{f.Name, "is blank: fill it in"})
		case i != Status:
			rec.Values[i] = v
		case v == ToBeDeleted:
			problems = append(problems, Problem{f.Name,
				"a PUT does not delete: send DELETE, or leave status out"})
		}
	}
	return rec, problems, nil
}

// template is what published clients send for a value that they did not fill in.
var template = regexp.MustCompile(`^\s*"\s*\{\{[^{}"]*\}\}\s*"\s*$`)

func unfilled(raw []byte) bool { return bytes.Contains(raw, []byte("{{")) && template.Match(raw) }

// legible tells why a body is not text in UTF-8. encoding/json puts U+FFFD in
// the place of what it cannot read: of bytes, and of escaped halves of a pair.
func legible(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not UTF-8: encode it as UTF-8")
	}
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		switch unit := escaped(body[i:]); {
		case utf16.IsSurrogate(unit):
			if utf16.DecodeRune(unit, escaped(body[min(i+6, len(body)):])) == utf8.RuneError {
				return fmt.Errorf("the body holds half of a character at byte %d (%s)", i, body[i:i+6])
			}
			i += 11
		default:
			i++ // what is escaped
		}
	}
	return nil
}

// escaped is the unit that text begins with as \u and four digits; 0 when it does not.
func escaped(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}

// object reads a JSON object and nothing after it.
func object(body []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	var members map[string]json.RawMessage
	if err := dec.Decode(&members); err != nil {
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			return nil, fmt.Errorf("not JSON at byte %d: %v", syntax.Offset, err)
		case errors.Is(err, io.EOF):
			return nil, errors.New("the body is empty; send a JSON object")
		}
		return nil, errors.New("not a JSON object")
	}
	if members == nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more text after the JSON object")
	}
	return members, nil
}

// once tells of a member that comes twice in one object, at any depth: encoding/json
// takes the last. The text is a JSON object.
func once(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	var open []map[string]bool // the members of the objects that are open; nil for a list
	name := false              // the next text is a member's name
	for {
		t, err := dec.Token()
		if err != nil {
			return nil // the end
		}
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			name = len(open) > 0 && open[len(open)-1] != nil
			continue
		case string:
			if name {
				members := open[len(open)-1]
				if members[t] {
					return fmt.Errorf("the member %q comes twice", t)
				}
				members[t], name = true, false
				continue
			}
		}
		name = open[len(open)-1] != nil
	}
}

func (f *Field) decode(raw json.RawMessage) (string, error) {
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return "", nil
	}
	switch f.Kind {
	case Metadata:
		return CanonicalMetadata(raw)
	case Ref:
		return f.decodeRef(raw)
	case Strings, Refs, UserIDs:
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			items = []json.RawMessage{raw} // one value where a list belongs
		}
		var out []string
		for _, it := range items {
			v, err := f.decodeItem(it)
			if err != nil {
				return "", err
			}
			out = append(out, v)
		}
		return Join(out...), nil
	}
	text, err := scalar(raw)
	if err != nil {
		return "", err
	}
	return f.Parse(text)
}

func (f *Field) decodeItem(raw json.RawMessage) (string, error) {
	switch f.Kind {
	case Refs:
		return f.decodeRef(raw)
	case UserIDs:
		var id struct{ Type, Identifier string }
		if err := json.Unmarshal(raw, &id); err != nil {
			return "", errors.New(`a userId is an object {"type": …, "identifier": …}`)
		}
		return id.Type + PartSep + id.Identifier, nil
	}
	text, err := scalar(raw)
	if err != nil {
		return "", err
	}
	return f.Parse(text)
}

// decodeRef takes a GUIDRef with or without href and type, an empty text or
// object as absent (Grade Sync), and a bare sourcedId.
func (f *Field) decodeRef(raw json.RawMessage) (string, error) {
	var ref map[string]any
	if json.Unmarshal(raw, &ref) == nil {
		switch id := ref["sourcedId"].(type) {
		case string:
			return f.Parse(id)
		case nil:
			if _, named := ref["sourcedId"]; named || len(ref) == 0 {
				return "", nil
			}
		}
	}
	if text, err := scalar(raw); err == nil {
		return f.Parse(text)
	}
	return "", errors.New(`a reference is an object with a "sourcedId"`)
}

// scalar reads a JSON string, number or boolean as text.
func scalar(raw json.RawMessage) (string, error) {
	if n := len(raw); n > 1 && raw[0] == '"' && raw[n-1] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : n-1]), nil // most are texts that need no reader
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	}
	return "", errors.New("a text, number or boolean belongs here")
}

// Describe writes problems as one sentence for a person, sorted by field.
func Describe(problems []Problem) string {
	var parts []string
	for _, p := range problems {
		parts = append(parts, p.Field+": "+p.Text)
	}
	sort.Strings(parts)
	return strings.Join(parts, "; ")
}
