package bulk_test

import (
	"slices"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// bulkLinks is a whole bulk package with two classes, two resources, and the files given.
func bulkLinks(files ...string) []string {
	return append([]string{"orgs.csv", orgs, "resources.csv", "sourcedId,vendorResourceId\nr1,x\nr2,y\n",
		"academicSessions.csv", terms, "courses.csv", courses, "classes.csv",
		classes + "c2,C,k1,scheduled,o1,t1\n"},
		files...)
}

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
		{"none", bulkLinks(), nil, "course/k1 keeps, class/c1 keeps, class/c2 keeps"},
		{"in their order", bulkLinks("classResources.csv", head+"c1,r2\nc1,r1\nc2,r1\n"), nil,
			"course/k1 keeps, class/c1 =r2,r1, class/c2 =r1"},
		{"told twice", bulkLinks("classResources.csv", head+"c1,r2\nc1,r1\nc1,r2\nc2,r2\n"), nil,
			"course/k1 keeps, class/c1 =r2,r1, class/c2 =r2"},
		{"of courses", bulkLinks("courseResources.csv", "courseSourcedId,resourceSourcedId\nk1,r1\n"), nil,
			"course/k1 =r1, class/c1 keeps, class/c2 keeps"},
		{"that went", bulkLinks("classResources.csv",
			"classSourcedId,resourceSourcedId,status\nc1,r1,tobedeleted\nc1,r2,active\nc2,r1,\n"), nil,
			"course/k1 keeps, class/c1 =r2, class/c2 =r1"},
		{"that went, told first", bulkLinks("classResources.csv",
			"status,classSourcedId,resourceSourcedId\ntobedeleted,c1,r1\nactive,c1,r2\n"), nil,
			"course/k1 keeps, class/c1 =r2, class/c2"},
		{"of a class that is not there", bulkLinks("classResources.csv", head+"c1,r2\nc9,r1\n"),
			[]string{nowhere("classResources.csv:3: classSourcedId", "class", "c9")},
			"course/k1 keeps, class/c1 keeps +r2 -, class/c2 keeps"},
		{"to resources that are not there", bulkLinks("classResources.csv", head+"c1,r8\nc1,r2\nc2,r9\n"),
			[]string{nowhere("classResources.csv:2: resourceSourcedId", "resource", "r8"),
				nowhere("classResources.csv:4: resourceSourcedId", "resource", "r9")},
			"course/k1 keeps, class/c1 keeps +r2 -, class/c2 keeps + -"},
		{"in two lines", bulkLinks("classResources.csv", "classSourcedId,title,resourceSourcedId\n"+
			"c1,\"A\nB\",r1\nc1,\"A\r\nB\",r9\n"),
			[]string{nowhere("classResources.csv:4: resourceSourcedId", "resource", "r9")},
			"course/k1 keeps, class/c1 keeps +r1 -, class/c2 keeps"},
		{"of nothing and to nothing", bulkLinks("classResources.csv", head+",r1\nc1\nc2,r2\n"),
			[]string{"classResources.csv:2: classSourcedId: is required and empty: fill it in",
				"classResources.csv:3: resourceSourcedId: is required and empty: fill it in"},
			"course/k1 keeps, class/c1 keeps, class/c2 keeps +r2 -"},
		{"with a status that is none", bulkLinks("classResources.csv",
			"resourceSourcedId,status,classSourcedId\nr1,gone,c1\n"),
			[]string{`classResources.csv:2: status: "gone" is not one of active, tobedeleted`},
			"course/k1 keeps, class/c1 keeps, class/c2 keeps"},
		{"with a quote", bulkLinks("classResources.csv", head+"c1,r1\nc1,\"r2\n"),
			[]string{"classResources.csv:3: a quote opens on this line and is not closed before the end of " +
				"the file: close it"},
			"course/k1 keeps, class/c1 keeps +r1 -, class/c2 keeps"},
		{"without a column", bulkLinks("classResources.csv", "classSourcedId,resource\nc1,r1\n"),
			[]string{"classResources.csv:1: the columns classSourcedId and resourceSourcedId are " +
				"required"}, ""},
		{"without the other", bulkLinks("courseResources.csv", "course,resourceSourcedId\nk1,r1\n"),
			[]string{"courseResources.csv:1: the columns courseSourcedId and resourceSourcedId are " +
				"required"}, ""},
		{"with a column twice", bulkLinks("classResources.csv",
			"classSourcedId,resourceSourcedId,title,title\nc1,r1,,\n"),
			[]string{"classResources.csv:1: column title is there twice: keep one"}, ""},
		{"with a column by two names", bulkLinks("courseResources.csv",
			"courseSourcedId,resourceSourcedId,Resource Sourced ID,,\nk1,r1,r2,,\n"),
			[]string{"courseResources.csv:1: the columns resourceSourcedId and Resource Sourced ID are " +
				"both meant as resourceSourcedId: keep one"}, ""},
		{"with columns without a name", bulkLinks("classResources.csv",
			"classSourcedId,resourceSourcedId,,\nc1,r1,,\n"), nil,
			"course/k1 keeps, class/c1 =r1, class/c2"},
		{"without a status behind them", append(deltaLinks(""), "classResources.csv",
			"classSourcedId,resourceSourcedId,status\nc1,r1\n"),
			[]string{"classResources.csv:2: status: is empty in a delta file: write active or tobedeleted"},
			"course/k1 keeps, class/c1 keeps"},
		{"with their status first", append(deltaLinks(""), "classResources.csv",
			"status,classSourcedId,resourceSourcedId\nactive,c1,r1\n"), nil,
			"course/k1 keeps, class/c1 keeps +r1 -"},
		{"that came and went", append(deltaLinks("c1,active,r1\nc1,tobedeleted,r7\n"), "resources.csv",
			"sourcedId,status,vendorResourceId\nr1,active,x\n"), nil,
			"course/k1 keeps, class/c1 keeps +r1 -r7"},
		{"that went from a class that is not there", deltaLinks("c1,active,r1\nc9,tobedeleted,r1\n" +
			"c9,active,r1\n"),
			[]string{`classResources.csv:3: classSourcedId: "c9" has no row in classes.csv that can be ` +
				`used: in a delta, ` +
				`add the row of each class whose resources change`}, "course/k1 keeps, class/c1 keeps +r1 -"},
		{"many that are wrong", bulkLinks("classResources.csv",
			head+"c1,r8\nc3,r1\nc2,r9\nc4,r1\nc1,r7\nc2,r2\n"),
			[]string{nowhere("classResources.csv:2: resourceSourcedId", "resource", "r8"),
				nowhere("classResources.csv:3: classSourcedId", "class", "c3"),
				nowhere("classResources.csv:4: resourceSourcedId", "resource", "r9"),
				nowhere("classResources.csv:5: classSourcedId", "class", "c4"),
				nowhere("classResources.csv:6: resourceSourcedId", "resource", "r7")},
			"course/k1 keeps, class/c1 keeps + -, class/c2 keeps +r2 -"},
		{"of a class that goes", append(deltaLinks("c1,active,r9\n"), "classes.csv",
			"sourcedId,status,title,courseSourcedId,"+
				"classType,schoolSourcedId,termSourcedIds\nc1,tobedeleted,,,,,\n"), nil,
			"course/k1 keeps, class/c1 goes keeps +r9 -"},
		{"of a class whose row is wrong", append(deltaLinks("c1,active,r1\n"), "classes.csv",
			"sourcedId,status,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\n"+
				"c1,active,,k1,scheduled,o1,t1\n"),
			[]string{"classes.csv:2: title: is required and empty: fill it in"},
			"course/k1 keeps, class/c1 skipped +r1 -"},
		{"to a resource whose row is wrong", bulkLinks("classResources.csv", head+"c1,r1\nc1,r2\n",
			"resources.csv", "sourcedId,vendorResourceId\nr1,x\nr2,\n"),
			[]string{"resources.csv:3: vendorResourceId: is required and empty: fill it in",
				hang("classResources.csv:3", "1 reference", "1 in classResources.csv")},
			"course/k1 keeps, class/c1 keeps +r1 -, class/c2 keeps"},
	} {
		path := folder(t, c.files...)
		_, rows, _ := readInto(t, path, bulk.Options{}, false, intake.Stored{})
		if len(c.want) > 0 && len(rows) > 0 {
			t.Errorf("%s: %d rows are yielded beside problems", c.name, len(rows))
		}
		problems, rows, _ := readInto(t, path, bulk.Options{}, true, intake.Stored{})
		if strings.Join(problems, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", c.name, problems, c.want)
		}
		var got []string
		for _, row := range rows {
			i := row.Resource.Index("resources")
			if i < 0 {
				continue
			}
			text := told(row)
			if slices.Contains(row.Keep, i) && !row.Skip {
				text += " keeps"
			}
			for _, e := range row.Edits {
				text += " +" + strings.Join(e.Came, ",") + " -" + strings.Join(e.Gone, ",")
			}
			if links := row.Values[i]; links != "" {
				text += " =" + strings.Join(oneroster.Items(links), ",")
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != c.rows {
			t.Errorf("%s:\n got %s\nwant %s", c.name, strings.Join(got, ", "), c.rows)
		}
	}
}

// Link files come in the mode of the classes or courses beside them, or not at all.
func TestLinksNeedTheirOwners(t *testing.T) {
	const needs = " beside it, both as bulk or both as delta"
	all := bulkLinks("classResources.csv", "classSourcedId,resourceSourcedId,status\nc1,r1,active\n",
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
		p, err := bulk.Open(folder(t, append(all, "manifest.csv", manifest(modes))...), bulk.Options{})
		if err == nil {
			_ = p.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", modes, err, want)
		}
	}
}
