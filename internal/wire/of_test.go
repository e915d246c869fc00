package wire_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// An object that is set to one record after another is each time what a reader decodes
// of its JSON, but for hrefs.
func TestSetIsWhatAReaderDecodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	texts := []string{"", "", "a", "é😀", `"\`, "a/b c", "..", "\xff\xfe", "\u2028", "<&>", "0"}
	text := func() string { return texts[rng.IntN(len(texts))] + texts[rng.IntN(len(texts))] }
	value := func(f *oneroster.Field) string {
		switch f.Kind {
		case oneroster.Number:
			return []string{"", "0", "9.5", "1e+21"}[rng.IntN(4)]
		case oneroster.UserIDs:
			return oneroster.Join(text()+oneroster.PartSep+text(), text())
		case oneroster.Strings, oneroster.Refs:
			return oneroster.Join(text(), text(), text())
		case oneroster.Metadata:
			return []string{"", `{"a":{"b":[1,null,"x"]},"n":12345678901234567890}`}[rng.IntN(2)]
		}
		return text()
	}
	for _, r := range oneroster.Resources() {
		w, got := oneroster.NewWriter(r, "", nil), wire.Object{}
		for range 300 {
			rec := oneroster.NewRecord(r)
			for i := range rec.Values {
				rec.Values[i] = value(&r.Fields[i])
			}
			var want wire.Object
			dec := json.NewDecoder(bytes.NewReader(w.Append(nil, rec.Values)))
			dec.UseNumber()
			if err := dec.Decode(&want); err != nil {
				t.Fatal(err)
			}
			withoutHrefs(map[string]any(want))
			if got.Set(rec); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s %q\n got %#v\nwant %#v", r.Name, rec.Values, got, want)
			}
		}
	}
}

func withoutHrefs(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "href")
		for _, member := range v {
			withoutHrefs(member)
		}
	case []any:
		for _, item := range v {
			withoutHrefs(item)
		}
	}
}
