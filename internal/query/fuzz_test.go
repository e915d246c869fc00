package query_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// Whatever a client sends is read or refused. What is read keeps its meaning when
// another condition is joined to it, so that no quote and no word swallows what
// comes before or after, and a plain filter selects what it says.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"status='active'", "familyName='O'Brien' AND role!='x'",
		"metadata.a.b~'%' OR grades='1,2'",
		"dateLastModified>='2020-01-01T00:00:00.0001 02:00'", "userIds.type=’x’", "a=(", "='",
		"role='student' OR role='teacher' AND status='active'", "grades!='09' AND familyName>='Ng'",
		"familyName=Ng OR orgs~'s'",
		"familyName='x AND role='student'", "identifier='ST1' and sourcedId!='A1'",
		"dateLastModified<'2026-01-01T00:00:00.0005Z'"} {
		f.Add(seed)
	}
	user := oneroster.ByName("user")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := query.ParseFilter(user, text)
		if err != nil {
			return
		}
		rng := rand.New(rand.NewPCG(1, uint64(len(text))))
		read := func(text string) (query.Expr, bool) {
			e, err := query.ParseFilter(user, text)
			if err != nil && len(text) < 4000 &&
				strings.Count(strings.ToLower(text), "and")+strings.Count(strings.ToLower(text), "or") < 40 {
				t.Fatalf("%q is refused: %v", text, err)
			}
			return e, err == nil
		}
		for range 8 {
			rec := someone(rng, user)
			agrees(t, user, text, rec)
			if strings.TrimSpace(text) == "" {
				continue
			}
			was, enabled := query.Match(e, rec), rec.Get("enabledUser") == "true"
			if joined, ok := read("enabledUser='true' OR " + text); ok &&
				query.Match(joined, rec) != (enabled || was) {
				t.Errorf("%q behind OR reads as %s, alone as %s", text, joined, e)
			}
			if joined, ok := read(text + " OR enabledUser='true'"); ok &&
				query.Match(joined, rec) != (was || enabled) {
				t.Errorf("%q before OR reads as %s, alone as %s", text, joined, e)
			}
			// (text OR x) AND (text OR not x) is text; the language writes it without parentheses only so.
			both, ok := read(text + " AND enabledUser='true' OR " + text + " AND enabledUser!='true'")
			if e.Op != query.Or && ok && query.Match(both, rec) != was {
				t.Errorf("%q with a condition and without it reads as %s, alone as %s", text, both, e)
			}
		}
	})
}
