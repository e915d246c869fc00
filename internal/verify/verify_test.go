package verify_test

import (
	"testing"

	"rollbook/internal/provider"
	"rollbook/internal/store/storetest"
	"rollbook/internal/verify"
)

// The correct provider passes every check of every profile, on both engines,
// with tokens and with signatures, and nearly every check finds what it needs.
func TestCorrectProvider(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		s := correct(t, dsn)
		for _, oauth1 := range []bool{false, true} {
			report, err := verified(t, s, s, verify.Options{Profiles: []string{"all"}, Write: true}, func(c *provider.Config) { c.OAuth1 = oauth1 })
			if err != nil {
				t.Fatal(err)
			}
			for _, state := range []verify.State{verify.Failed, verify.Advised, verify.Unchecked} {
				for _, r := range report.Of(state) {
					text := r.Lacks
					if len(r.Failures) > 0 {
						f := r.Failures[0]
						text = f.Text + "\n  " + f.Request + "\n  " + f.Body
					}
					t.Logf("%s: %s %s: %s", state, r.Check.ID, r.Target, text)
				}
			}
			c := report.Counts()
			t.Logf("%+v in %v, %d calls", c, report.Took, len(report.Calls))
			if c.Failed > 0 {
				t.Errorf("%d failures", c.Failed)
			}
		}
	})
}
