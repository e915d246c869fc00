package oneroster_test

import (
	"encoding/json"
	"testing"

	"rollbook/internal/oneroster"
)

// A body is read or refused; what is read is written as JSON that reads back
// the same.
func FuzzPutBody(f *testing.F) {
	for _, seed := range []string{`{"lineItem":{"title":"x","class":{"sourcedId":"c"},"resultValueMax":"1e2"}}`, `{"title":"\u0000"}`, `{"lineItem":null}`, `{"result":{}}`,
		`{"lineItem":{"metadata":{"a":{"b":[1,{"c":null}]}},"gradingPeriod":"","dueDate":"2026-01-01T00:00:00+99:00"}}`, `[]`, `{}x`} {
		f.Add([]byte(seed))
	}
	r := oneroster.ByName("lineItem")
	f.Fuzz(func(t *testing.T, body []byte) {
		rec, _, err := oneroster.Decode(r, body)
		if err != nil {
			return
		}
		out := oneroster.NewWriter(r, "http://x", nil).Append(nil, rec.Values)
		if !json.Valid(out) {
			t.Fatalf("%s", out)
		}
		again, problems, err := oneroster.Decode(r, out)
		if err != nil || len(problems) > 0 {
			t.Fatalf("%s: %v %v", out, problems, err)
		}
		for i, v := range rec.Values {
			if again.Values[i] != v {
				t.Errorf("%s: %q came back as %q", r.Fields[i].Name, v, again.Values[i])
			}
		}
	})
}
