package bulk_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// Every row of any file is yielded whole and canonical, or told about.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,userIds," +
		"metadata.x\nu1,true,o1,student,a,A,B,\"{a:b},{c:d}\",é\n"))
	f.Add([]byte("sourcedId\n\"\"\"\n"))
	f.Add([]byte("\xef\xbb\xbfsourcedId,sourcedId\n"))
	f.Add([]byte("\xff\xfe\x00"))
	f.Fuzz(func(t *testing.T, users []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "orgs.csv"), []byte(orgs), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "users.csv"), users, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := bulk.Open(dir, bulk.Options{})
		if err != nil {
			t.Fatal(err) // the names are right
		}
		checked, err := intake.Check(context.Background(), p, intake.Stored{},
			intake.CheckOptions{SkipBad: true})
		if err != nil {
			return
		}
		skipped := 0
		err = checked.Records(context.Background(), func(r oneroster.Row) error {
			if r.Skip {
				skipped++
				return nil
			}
			if bad := oneroster.Check(r.Record); len(bad) > 0 {
				t.Errorf("%q is yielded with %v", r.Values, bad)
			}
			for i := range r.Resource.Fields {
				fld := &r.Resource.Fields[i]
				if fld.Kind.IsList() || fld.Kind == oneroster.Metadata {
					continue
				}
				if v, err := fld.Parse(r.Values[i]); err != nil || v != r.Values[i] {
					t.Errorf("%s is yielded as %q: %v", fld.Name, r.Values[i], err)
				}
			}
			return nil
		})
		if err == nil && skipped > checked.Problems.Total {
			t.Errorf("%d rows left out, %d problems told", skipped, checked.Problems.Total)
		}
	})
}
