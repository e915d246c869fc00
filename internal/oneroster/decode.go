package oneroster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

// Decode reads one object, in its wrapper ({"lineItem": {…}}) or bare, into a
// record. status and dateLastModified are the server's and are ignored.
// Members that are unknown, null or empty are passed over. A member that cannot
// be read leaves its field absent and is told in problems, so that the caller
// decides whether it matters. err means that there is no object at all.
func Decode(r *Resource, body []byte) (rec Record, problems []Problem, err error) {
	members, err := object(body)
	if err != nil {
		return Record{}, nil, err
	}
	if inner, ok := members[r.Wrapper()]; ok {
		if members, err = object(inner); err != nil {
			return Record{}, nil, fmt.Errorf("%q: %w", r.Wrapper(), err)
		}
	} else if len(members) == 1 {
		for key, inner := range members {
			if trimmed := bytes.TrimSpace(inner); r.Index(key) < 0 && len(trimmed) > 0 && trimmed[0] == '{' {
				return Record{}, nil, fmt.Errorf("the object is wrapped in %q; wrap it in %q", key, r.Wrapper())
			}
		}
	}
	rec = NewRecord(r)
	for i := range r.Fields {
		f := &r.Fields[i]
		raw, ok := members[f.Name]
		if !ok || i == Status || i == Modified || f.Derived() {
			continue
		}
		v, err := f.decode(raw)
		if err != nil {
			problems = append(problems, Problem{f.Name, err.Error()})
			continue
		}
		rec.Values[i] = v
	}
	return rec, problems, nil
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

// decodeRef takes a GUIDRef with or without href and type, an empty text as
// absent (Grade Sync), and a bare sourcedId.
func (f *Field) decodeRef(raw json.RawMessage) (string, error) {
	var ref struct {
		SourcedID *string `json:"sourcedId"`
	}
	if json.Unmarshal(raw, &ref) == nil && ref.SourcedID != nil {
		return f.Parse(*ref.SourcedID)
	}
	if text, err := scalar(raw); err == nil {
		return f.Parse(text)
	}
	return "", errors.New(`a reference is an object with a "sourcedId"`)
}

// scalar reads a JSON string, number or boolean as text.
func scalar(raw json.RawMessage) (string, error) {
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
