package verify_test

import (
	"slices"
	"strings"
	"testing"

	"rollbook/internal/provider"
	"rollbook/internal/store/storetest"
	"rollbook/internal/verify"
)

// The correct provider passes every check of every profile, on both engines,
// with tokens and with signatures, and nearly every check finds what it needs.
func TestCorrectProvider(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := correct(t, dsn)
		for _, oauth1 := range []bool{false, true} {
			if oauth1 && strings.HasPrefix(dsn, "postgres") {
				continue // signatures are not the database's
			}
			report, err := verified(t, s, s, verify.Options{Profiles: []string{"all"}, Write: true},
				func(c *provider.Config) { c.OAuth1 = oauth1 })
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Of(verify.Failed) {
				t.Errorf("%s %s: %s (%s)", r.Check.ID, r.Target, r.Failures[0].Text, r.Failures[0].Request)
			}
			for state, known := range map[verify.State]string{
				// The district was imported a moment ago, in two steps; it has aides, and courses
				// that no class is of.
				verify.Advised: "delta.constant SDS-G04 SDS-U07 Q-08",
				// Teachers have no grades, there are three schools and three class groups, and the
				// second import retired pupils only. The service is on this machine.
				verify.Unchecked: "access.https filter.list sort.ties delta.deleted delta.constant " +
					"nested.deleted-links nested.both-parents sort.nested",
			} {
				for _, r := range report.Of(state) {
					if !slices.Contains(strings.Fields(known), r.Check.ID) {
						t.Errorf("%s: %s %s: %s %v", state, r.Check.ID, r.Target, r.Lacks, r.Failures)
					}
				}
			}
			if c := report.Counts(); c.Passed < 1500 || c.Unchecked > 24 {
				t.Errorf("%+v", c)
			}
		}
	})
}
