package gradesync_test

import (
	"strings"
	"testing"

	"rollbook/internal/gradesync"
	"rollbook/internal/provider"
	"rollbook/internal/sandbox/odd"
)

// In an odd district a teacher's grades are written, found again and removed as in any other; where no
// teacher has a class, the run says so, and nothing is written.
func TestOddDistricts(t *testing.T) {
	t.Parallel()
	refused := map[string]string{"texts that are equal everywhere": "Grade Sync needs exactly one"}
	alone := map[string]bool{"twelve schools of nobody": true} // her classes have no students
	taught := 0
	for _, d := range odd.Districts() {
		s := opened(t, d.Imports...)
		p := s.provider(t, nil)
		s.teacher = "nobody"
		who, _, err := p.List(t.Context(), "/enrollments", provider.Query("limit", "1", "filter",
			"role='teacher' AND status='active'"), "enrollments")
		if err != nil {
			t.Fatal(d.Name, err)
		}
		for _, e := range who.Objects {
			users, _, err := p.List(t.Context(), "/users", provider.Query("filter",
				"sourcedId="+provider.Quote(e.Refs("user")[0].ID)), "users")
			if err != nil {
				t.Fatal(d.Name, err)
			}
			s.teacher = users.Objects[0].Text("username")
		}
		for _, do := range []struct {
			verb   verb
			status gradesync.Status
		}{{gradesync.Sync, gradesync.Created}, {gradesync.Sync, gradesync.Unchanged},
			{gradesync.Clean, gradesync.Removed}} {
			r, err := s.run(t, do.verb, nil, nil)
			if err != nil {
				said, known := refused[d.Name]
				if s.teacher != "nobody" && (!known || !strings.Contains(err.Error(), said)) || s.count("PUT") > 0 {
					t.Errorf("%s: %v", d.Name, err)
				}
				break
			}
			grades := 0
			for _, it := range r.Items {
				grades += len(it.Grades)
			}
			if n := r.Totals; n.Items[do.status] != 3 || n.Results[do.status] != grades || r.Failures() != 0 ||
				(grades == 0) != alone[d.Name] {
				t.Errorf("%s: not all %s: %s, %q", d.Name, do.status, totals(r), r.Warnings)
			}
			taught++
		}
	}
	if taught < 3*len(odd.Districts())/2 {
		t.Errorf("only %d runs of %d districts were made", taught, len(odd.Districts()))
	}
}
