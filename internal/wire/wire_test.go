package wire_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"rollbook/internal/wire"
)

// Two objects have one canonical text when they say the same: the order of members and of
// references, where a reference leads by address, and zeros at the end of a number are no part of it;
// all else is. The text is what encoding/json makes of such an object, so that a mirror knows again what
// it kept.
func TestCanonical(t *testing.T) {
	for _, c := range [][2]string{
		{`{}`, `{}`},
		{`{"b":"é😀 \" \\ \n <&> ` + "\u2028" + `","a":[1.50,100.0,-0.5,1e400,12345678901234567890],"c":[true,null,{}]}`,
			`{"a":[1.5,100,-0.5,1e400,12345678901234567890],"b":"é😀 \" \\ \n <&> \u2028","c":[true,null,{}]}`},
		{`{"sourcedId":"u","orgs":[{"sourcedId":"b","href":"/x"},{"href":"/y","sourcedId":"a"}]}`,
			`{"orgs":[{"sourcedId":"a"},{"sourcedId":"b"}],"sourcedId":"u"}`},
		{`{"metadata":{"href":"/kept"},"grades":["b","a"],"":1}`,
			`{"":1,"grades":["b","a"],"metadata":{"href":"/kept"}}`},
	} {
		in, want := c[0], c[1]
		v, err := wire.Decode([]byte(in))
		o, isObject := v.(map[string]any)
		if err != nil || !isObject {
			t.Fatal(in, err)
		}
		if got := wire.Object(o).Canonical(); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s\n is %s\nnot %s", in, got, want)
		}
	}
	a, _ := wire.Decode([]byte(`{"sourcedId":"u","href":"/a","n":1,"gone":null,"same":{"b":1,"a":2},"orgs":[{"sourcedId":"a"}]}`))
	b, _ := wire.Decode([]byte(`{"sourcedId":"u","href":"/b","n":"1","new":"x","same":{"a":2,"b":1},"orgs":[{"sourcedId":"a","href":"/a"}]}`))
	one, other := wire.Object(a.(map[string]any)), wire.Object(b.(map[string]any))
	if got := fmt.Sprint(wire.Differ(one, other)); got != `[{gone null } {n 1 "1"} {new  "x"}]` {
		t.Error(got)
	}
	for _, broken := range []string{"", " ", `{"a":1`, `{"a":1} x`, `{} {}`, `{"a":01}`} {
		if v, err := wire.Decode([]byte(broken)); err == nil {
			t.Errorf("%q is read as %v", broken, v)
		}
	}
}
