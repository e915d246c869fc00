package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/intake"
)

// References to what a file lacks are told row by row where they are few, else in one sentence that
// says what to do; what else is wrong is told beside it, however many they are.
func TestLacks(t *testing.T) {
	const head = "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,agentSourcedIds\n"
	people := func(n int, agent func(i int) string) string {
		text := head
		for i := range n {
			text += fmt.Sprintf("u%d,true,o1,student,n%d,A,B,%s\n", i, i, agent(i))
		}
		return text
	}
	numbered := func(from, to int) func(int) string { // agents who are not there, but for the first ones
		return func(i int) string {
			if i < from || i >= to {
				return "u0"
			}
			return fmt.Sprint("g", i)
		}
	}
	ids := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprint("u", i))
		}
		return out
	}
	for _, c := range []struct {
		name, text string // of users.csv, or demographics.csv
		want       string // lacks, by a line
		rows       int    // problems told row by row
	}{
		{"three rows", people(60, numbered(57, 60)), "", 3},
		{"four rows", people(60, numbered(56, 60)), `users.csv lacks 4 of 5 users that users.csv refers to, in ` +
			`4 references: "g56", "g57", "g58", …. Add them to users.csv, or correct these ids`, 0},
		{"one id in many rows", people(60, func(int) string { return "g1" }), `users.csv lacks 1 of 1 users that ` +
			`users.csv refers to, in 60 references: "g1". Add them to users.csv, or correct these ids`, 0},
		{"nine tenths of another export", "sourcedId,birthDate\n" + strings.Join(ids(40), ",2014-01-01\n") + ",\n",
			`users.csv lacks 36 of 40 users that demographics.csv refers to, in 36 references: "u4", "u5", "u6", …. ` +
				`The two files are probably of different exports: export them together`, 0},
		{"fewer than nine tenths", "sourcedId,birthDate\n" + strings.Join(ids(30), ",2014-01-01\n") + ",\n",
			`users.csv lacks 26 of 30 users that demographics.csv refers to, in 26 references: "u4", "u5", "u6", …. ` +
				`users.csv is probably cut off, or filtered otherwise: export it again, whole`, 0},
		{"a part", people(60, func(i int) string { return fmt.Sprint([]string{"u", "g"}[i%2], i) }),
			`users.csv lacks 30 of 60 users that users.csv refers to, in 30 references: "g1", "g3", "g5", …. ` +
				`users.csv is probably cut off, or filtered otherwise: export it again, whole`, 0},
		{"with an org that is not there at the end", strings.Replace(people(60, numbered(0, 50)), "u59,true,o1,",
			"u59,true,o9,", 1), `users.csv lacks 50 of 51 users that users.csv refers to, in 50 references: ` +
			`"g0", "g1", "g2", …. users.csv is probably cut off, or filtered otherwise: export it again, whole`, 1},
	} {
		files := []string{"orgs.csv", bulktest.Orgs, "users.csv", c.text}
		if !strings.HasPrefix(c.text, head) {
			files = []string{"orgs.csv", bulktest.Orgs, "users.csv", people(4, numbered(0, 0)),
				"demographics.csv", c.text}
		}
		p, err := bulk.Open(bulktest.Folder(t, files...), bulk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		checked, err := intake.Check(t.Context(), p, intake.Stored{}, intake.CheckOptions{Problems: 5})
		var said []string
		for _, l := range checked.Problems.Lacks {
			said = append(said, l.Text)
		}
		told := checked.Problems.Told()
		if got := strings.Join(said, "\n"); err != nil || got != c.want || len(told) != c.rows {
			t.Errorf("%s: %v, %d told: %+v\n got %s\nwant %s", c.name, err, len(told), told, got, c.want)
		}
	}
}
