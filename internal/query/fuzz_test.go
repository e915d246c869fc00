package query_test

import (
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// Whatever a client sends is read or refused; what is read can be matched, and
// prints alike when it is read again.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"status='active'", "familyName='O'Brien' AND role!='x'", "metadata.a.b~'%' OR grades='1,2'", "dateLastModified>='2020-01-01T00:00:00.0001 02:00'", "userIds.type=’x’", "a=(", "='"} {
		f.Add(seed)
	}
	user := oneroster.ByName("user")
	rec := oneroster.NewRecord(user)
	rec.Set("grades", oneroster.Join("1", "2"))
	f.Fuzz(func(t *testing.T, text string) {
		e, err := query.ParseFilter(user, text)
		if err != nil {
			return
		}
		query.Match(e, rec)
		again, err := query.ParseFilter(user, text)
		if err != nil || again.String() != e.String() {
			t.Errorf("%q reads as %s, then as %s %v", text, e, again, err)
		}
	})
}
