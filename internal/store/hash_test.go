package store

import (
	"testing"

	"rollbook/internal/oneroster"
)

// What a source states of a record has the hash that earlier programs stored: by another one all
// records would be taken for changed after an upgrade.
func TestContentHash(t *testing.T) {
	rec := oneroster.NewRecord(oneroster.ByName("user"))
	for field, value := range map[string]string{"sourcedId": "u1", "status": oneroster.Active,
		"givenName": "Änne",
		"orgs":      oneroster.Join("o1", "o2"), "metadata": `{"k":"v"}`,
		"agents": "of others too", "dateLastModified": "2026-09-01T08:00:00.000Z"} {
		rec.Set(field, value)
	}
	const want = "tc-0yibn7Kfig7P_OPWqAw"
	if got := tables[rec.Resource].contentHash(rec.Values); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
