package bulk_test

import (
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/bulk/bulktest"
	"rollbook/internal/intake"
)

// Links come with their class: in a bulk file all of them, in a delta those that
// came and went. A link that cannot be used is told on its own line, and with
// --skip-bad the good ones come and what is stored stays.
func TestLinks(t *testing.T) {
	const head = "classSourcedId,resourceSourcedId\n"
	for _, c := range []struct {
		name  string
		files []string
		want  []string // problems
		rows  string   // the courses and classes
	}{
		{"none", bulktest.BulkLinks(), nil, "course/k1 keeps, class/c1 keeps, class/c2 keeps"},
		{"in their order", bulktest.BulkLinks("classResources.csv", head+"c1,r2\nc1,r1\nc2,r1\n"), nil,
			"course/k1 keeps, class/c1 =r2,r1, class/c2 =r1"},
		{"told twice", bulktest.BulkLinks("classResources.csv", head+"c1,r2\nc1,r1\nc1,r2\nc2,r2\n"), nil,
			"course/k1 keeps, class/c1 =r2,r1, class/c2 =r2"},
		{"of courses", bulktest.BulkLinks("courseResources.csv",
			"courseSourcedId,resourceSourcedId\nk1,r1\n"), nil,
			"course/k1 =r1, class/c1 keeps, class/c2 keeps"},
		{"that went", bulktest.BulkLinks("classResources.csv",
			"classSourcedId,resourceSourcedId,status\nc1,r1,tobedeleted\nc1,r2,active\nc2,r1,\n"), nil,
			"course/k1 keeps, class/c1 =r2, class/c2 =r1"},
		{"that went, told first", bulktest.BulkLinks("classResources.csv",
			"status,classSourcedId,resourceSourcedId\ntobedeleted,c1,r1\nactive,c1,r2\n"), nil,
			"course/k1 keeps, class/c1 =r2, class/c2"},
		{"with two columns of no name", bulktest.BulkLinks("classResources.csv",
			",classSourcedId,,resourceSourcedId\nx,c1,y,r1\n"), nil,
			"course/k1 keeps, class/c1 =r1, class/c2"},
		{"in two lines", bulktest.BulkLinks("classResources.csv", "classSourcedId,title,resourceSourcedId\n"+
			"c1,\"A\nB\",r1\nc1,\"A\r\nB\",r9\n"),
			[]string{bulktest.Nowhere("classResources.csv:4: resourceSourcedId", "resource", "r9")},
			"course/k1 keeps, class/c1 keeps +r1 -, class/c2 keeps"},
		{"of nothing and to nothing", bulktest.BulkLinks("classResources.csv", head+",r1\nc1\nc2,r2\n"),
			[]string{"classResources.csv:2: classSourcedId: is required and empty: fill it in",
				"classResources.csv:3: resourceSourcedId: is required and empty: fill it in"},
			"course/k1 keeps, class/c1 keeps, class/c2 keeps +r2 -"},
		{"with a status that is none", bulktest.BulkLinks("classResources.csv",
			"resourceSourcedId,status,classSourcedId\nr1,gone,c1\n"),
			[]string{`classResources.csv:2: status: "gone" is not one of active, tobedeleted`},
			"course/k1 keeps, class/c1 keeps, class/c2 keeps"},
		{"with a quote", bulktest.BulkLinks("classResources.csv", head+"c1,r1\nc1,\"r2\n"),
			[]string{"classResources.csv:3: a quote opens on this line and is not closed before the end of " +
				"the file: close it"},
			"course/k1 keeps, class/c1 keeps +r1 -, class/c2 keeps"},
		{"without a column", bulktest.BulkLinks("classResources.csv", "classSourcedId,resource\nc1,r1\n"),
			[]string{"classResources.csv:1: the columns classSourcedId and resourceSourcedId are " +
				"required"}, ""},
		{"without the other", bulktest.BulkLinks("courseResources.csv", "course,resourceSourcedId\nk1,r1\n"),
			[]string{"courseResources.csv:1: the columns courseSourcedId and resourceSourcedId are " +
				"required"}, ""},
		{"with a column twice", bulktest.BulkLinks("classResources.csv",
			"classSourcedId,resourceSourcedId,title,title\nc1,r1,,\n"),
			[]string{"classResources.csv:1: column title is there twice: keep one"}, ""},
		{"with a column by two names", bulktest.BulkLinks("courseResources.csv",
			"courseSourcedId,resourceSourcedId,Resource Sourced ID,,\nk1,r1,r2,,\n"),
			[]string{"courseResources.csv:1: the columns resourceSourcedId and Resource Sourced ID are " +
				"both meant as resourceSourcedId: keep one"}, ""},
		{"with columns without a name", bulktest.BulkLinks("classResources.csv",
			"classSourcedId,resourceSourcedId,,\nc1,r1,,\n"), nil,
			"course/k1 keeps, class/c1 =r1, class/c2"},
		{"without a status behind them", append(bulktest.DeltaLinks(""), "classResources.csv",
			"classSourcedId,resourceSourcedId,status\nc1,r1\n"),
			[]string{"classResources.csv:2: status: is empty in a delta file: write active or tobedeleted"},
			"course/k1 keeps, class/c1 keeps"},
		{"with their status first", append(bulktest.DeltaLinks(""), "classResources.csv",
			"status,classSourcedId,resourceSourcedId\nactive,c1,r1\n"), nil,
			"course/k1 keeps, class/c1 keeps +r1 -"},
		{"that came and went", append(bulktest.DeltaLinks("c1,active,r1\nc1,tobedeleted,r7\n"),
			"resources.csv", "sourcedId,status,vendorResourceId\nr1,active,x\n"), nil,
			"course/k1 keeps, class/c1 keeps +r1 -r7"},
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

// Link files come in the mode of the classes or courses beside them, or not at all.
func TestLinksNeedTheirOwners(t *testing.T) {
	const needs = " beside it, both as bulk or both as delta"
	all := bulktest.BulkLinks("classResources.csv", "classSourcedId,resourceSourcedId,status\nc1,r1,active\n",
		"courseResources.csv", "courseSourcedId,resourceSourcedId,status\nk1,r1,active\n")
	manifest := func(modes string) string {
		text := manifestHead
		stems := "orgs resources academicSessions courses courseResources classes classResources"
		for i, stem := range strings.Fields(stems) {
			mode := map[byte]string{'b': "bulk", 'd': "delta", 'a': "absent"}[modes[i]]
			text += "file." + stem + "," + mode + "\n"
		}
		return text
	}
	for modes, want := range map[string]string{
		"bbbbbbb": "", "ddddddd": "", "bbbbbdd": "", "bbbddbb": "", "bbbaaaa": "", "bbbbaba": "",
		"bbbbbbd": "classResources.csv needs classes.csv" + needs,
		"bbbbbdb": "classResources.csv needs classes.csv" + needs,
		"bbbbbab": "classResources.csv needs classes.csv" + needs,
		"dddddad": "classResources.csv needs classes.csv" + needs,
		"bbbbdbb": "courseResources.csv needs courses.csv" + needs,
		"bbbdbbb": "courseResources.csv needs courses.csv" + needs,
		"bbbabbb": "courseResources.csv needs courses.csv" + needs,
	} {
		p, err := bulk.Open(bulktest.Folder(t, append(all, "manifest.csv", manifest(modes))...),
			bulk.Options{})
		if err == nil {
			_ = p.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", modes, err, want)
		}
	}
}
