package intake_test

import (
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/intake"
)

// A link whose class or resource is not there is told on its own line; the good ones come, and
// what is stored of them stays. With a class its links go.
func TestCheckOfLinks(t *testing.T) {
	const head = "classSourcedId,resourceSourcedId\n"
	for _, c := range []struct {
		name  string
		files []string
		want  []string // problems
		rows  string   // the courses and classes
	}{
		{"of a class that is not there", bulktest.BulkLinks("classResources.csv", head+"c1,r2\nc9,r1\n"),
			[]string{bulktest.Nowhere("classResources.csv:3: classSourcedId", "class", "c9")},
			"course/k1 keeps, class/c1 keeps +r2 -, class/c2 keeps"},
		{"that cannot be read", bulktest.BulkLinks("classResources.csv", head+"c1,\nc2,r2\n"),
			[]string{"classResources.csv:2: resourceSourcedId: is required and empty: fill it in"},
			"course/k1 keeps, class/c1 keeps, class/c2 keeps +r2 -"},
		{"to resources that are not there",
			bulktest.BulkLinks("classResources.csv", head+"c1,r8\nc1,r2\nc2,r9\n"),
			[]string{bulktest.Nowhere("classResources.csv:2: resourceSourcedId", "resource", "r8"),
				bulktest.Nowhere("classResources.csv:4: resourceSourcedId", "resource", "r9")},
			"course/k1 keeps, class/c1 keeps +r2 -, class/c2 keeps + -"},
		{"that went from a class that is not there", bulktest.DeltaLinks("c1,active,r1\nc9,tobedeleted,r1\n" +
			"c9,active,r1\n"),
			[]string{`classResources.csv:3: classSourcedId: "c9" has no row in classes.csv that can be ` +
				`used: in a delta, ` +
				`add the row of each class whose resources change`}, "course/k1 keeps, class/c1 keeps +r1 -"},
		{"many that are wrong", bulktest.BulkLinks("classResources.csv",
			head+"c1,r8\nc3,r1\nc2,r9\nc4,r1\nc1,r7\nc2,r2\n"),
			[]string{bulktest.Nowhere("classResources.csv:2: resourceSourcedId", "resource", "r8"),
				bulktest.Nowhere("classResources.csv:3: classSourcedId", "class", "c3"),
				bulktest.Nowhere("classResources.csv:4: resourceSourcedId", "resource", "r9"),
				bulktest.Nowhere("classResources.csv:5: classSourcedId", "class", "c4"),
				bulktest.Nowhere("classResources.csv:6: resourceSourcedId", "resource", "r7")},
			"course/k1 keeps, class/c1 keeps + -, class/c2 keeps +r2 -"},
		{"of a class that goes", append(bulktest.DeltaLinks("c1,active,r9\n"), "classes.csv",
			"sourcedId,status,title,courseSourcedId,"+
				"classType,schoolSourcedId,termSourcedIds\nc1,tobedeleted,,,,,\n"), nil,
			"course/k1 keeps, class/c1 goes keeps +r9 -"},
		{"of a class whose row is wrong", append(bulktest.DeltaLinks("c1,active,r1\n"), "classes.csv",
			"sourcedId,status,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\n"+
				"c1,active,,k1,scheduled,o1,t1\n"),
			[]string{"classes.csv:2: title: is required and empty: fill it in"},
			"course/k1 keeps, class/c1 skipped +r1 -"},
		{"to a resource whose row is wrong", bulktest.BulkLinks("classResources.csv", head+"c1,r1\nc1,r2\n",
			"resources.csv", "sourcedId,vendorResourceId\nr1,x\nr2,\n"),
			[]string{"resources.csv:3: vendorResourceId: is required and empty: fill it in",
				bulktest.Hang("classResources.csv:3", "1 reference", "1 in classResources.csv")},
			"course/k1 keeps, class/c1 keeps +r1 -, class/c2 keeps"},
		{"of a delta, to nothing", bulktest.DeltaLinks("c1,active,r9\n"),
			[]string{bulktest.Nowhere("classResources.csv:2: resourceSourcedId", "resource", "r9")},
			"course/k1 keeps, class/c1 keeps + -"},
	} {
		path := bulktest.Folder(t, c.files...)
		_, rows, _ := bulktest.ReadInto(t, path, bulk.Options{}, false, intake.Stored{})
		if len(c.want) > 0 && len(rows) > 0 {
			t.Errorf("%s: %d rows are yielded beside problems", c.name, len(rows))
		}
		problems, rows, _ := bulktest.ReadInto(t, path, bulk.Options{}, true, intake.Stored{})
		if strings.Join(problems, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, problems, c.want)
		}
		if got := bulktest.Told(rows, "course", "class"); got != c.rows {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.rows)
		}
	}
}
