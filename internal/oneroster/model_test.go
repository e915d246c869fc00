package oneroster_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
)

// table reads a table of the standard: its rows by the names of the columns.
func table(t *testing.T, file string) (rows []map[string]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	names := strings.Split(lines[0], "\t")
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range strings.Split(line, "\t") {
			row[names[i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

// The routes are the 61 operations of tables 3.1a, 3.1b and 3.1c, and classGroup's
// and two lists of a class, which are in no table. The scope that a table names opens
// its operation.
func TestRoutesAreTheStandards(t *testing.T) {
	routes := map[string]oneroster.Route{}
	extensions := []string{}
	for _, r := range oneroster.V1p1.Routes {
		if r.Table == "" {
			extensions = append(extensions, r.Method+" "+r.Path)
			continue
		}
		routes[r.Op] = r
	}
	rows := table(t, "operations.tsv")
	for _, row := range rows {
		r, ok := routes[row["operation"]]
		if !ok {
			t.Errorf("%s has no route", row["operation"])
			continue
		}
		wrapper := r.Resource.Plural
		if r.One {
			wrapper = r.Resource.Wrapper()
		}
		if r.Method == http.MethodDelete {
			wrapper = "" // a deletion has no body
		}
		got := []string{r.Table, r.Method, r.Path, wrapper}
		want := []string{row["table"], row["method"], row["path"], row["wrapper"]}
		if !slices.Equal(got, want) || !slices.Contains(r.OAuth, row["scope"]) {
			t.Errorf("%s is %q, open to %q; want %q, %s", r.Op, got, r.OAuth, want, row["scope"])
		}
	}
	if len(rows) != 61 || len(routes) != len(rows) {
		t.Errorf("%d operations, %d routes", len(rows), len(routes))
	}
	slices.Sort(extensions)
	want := []string{"GET /classGroups", "GET /classGroups/{id}", "GET /classes/{class_id}/categories",
		"GET /classes/{class_id}/enrollments"}
	if !slices.Equal(extensions, want) {
		t.Errorf("beside the standard: %q", extensions)
	}
}

// What a list hangs on stands in its path, all of it, and names fields that are
// there. A list with a variable in its path is nested, no other is.
func TestScopesOfRoutes(t *testing.T) {
	known := oneroster.Scopes()
	for _, r := range oneroster.V1p1.Routes {
		if "/"+strings.Join(r.Segments, "/") != r.Path {
			t.Errorf("%s: %q are not %s", r.Op, r.Segments, r.Path)
		}
		for _, scope := range r.OAuth {
			if !slices.Contains(known, scope) {
				t.Errorf("%s is opened by %q", r.Op, scope)
			}
		}
		var asked, used []string
		for _, segment := range r.Segments {
			if name, isVar := strings.CutPrefix(segment, "{"); isVar {
				asked = append(asked, strings.TrimSuffix(name, "}"))
			}
		}
		match := func(of *oneroster.Resource, m oneroster.Match) {
			field, _, _ := strings.Cut(m.Field, ".")
			if of.Field(field) == nil || (m.Var == "") == (m.Value == "") {
				t.Errorf("%s: %s has no %+v", r.Op, of.Name, m)
			}
			if m.Var != "" {
				used = append(used, m.Var)
			}
		}
		for _, m := range r.Scope.By {
			match(r.Resource, m)
		}
		if through := r.Scope.Through; through != nil {
			of := oneroster.ByName(through.Resource)
			if of.Field(through.Link) == nil || r.Resource.Field(through.Own) == nil {
				t.Errorf("%s: no such link: %+v", r.Op, through)
			}
			for _, m := range through.Match {
				match(of, m)
			}
		}
		if r.View.Field != "" && !slices.Contains(r.Resource.Field(r.View.Field).Enum, r.View.Value) {
			t.Errorf("%s: no such part: %+v", r.Op, r.View)
		}
		slices.Sort(asked)
		slices.Sort(used)
		if !r.One && !slices.Equal(asked, used) || r.One && len(asked) != 1 {
			t.Errorf("%s asks for %q and looks at %q", r.Op, asked, used)
		}
		if r.Nested() != (!r.One && len(asked) > 0) {
			t.Errorf("%s: nested is %v", r.Op, r.Nested())
		}
	}
}

// The fields of the standard's resources are the columns of its files, required
// where the file requires them. A line item's grading period and a result's score
// are filled in. Columns that other files carry (password) are nowhere.
func TestColumnsAreTheStandards(t *testing.T) {
	for _, r := range oneroster.Resources() {
		var want, got []string
		for _, row := range table(t, "columns.tsv") {
			if row["file"] == r.Plural+".csv" && row["column"] != "password" {
				want = append(want, row["column"]+" "+row["required"])
			}
		}
		for i, f := range r.Fields {
			column := f.Column()
			filled := column == "gradingPeriodSourcedId" || column == "score" && r.Name == "result"
			switch {
			case column == "":
			case f.Required || filled:
				got = append(got, column+" Yes")
			case i == oneroster.Status || i == oneroster.Modified:
				got = append(got, column+" Yes for Delta")
			default:
				got = append(got, column+" No")
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !r.Extension && !slices.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q", r.Plural, got, want)
		}
	}
	if got := oneroster.ByName("classGroup").Field("classes").Column(); got != "classSourcedIds" {
		t.Errorf("the classes of a group stand in the column %q", got)
	}
}

// Resources, fields and their places are found by name.
func TestModel(t *testing.T) {
	place := map[*oneroster.Resource]int{}
	for n, r := range oneroster.Resources() {
		place[r] = n
		if oneroster.ByName(r.Name) != r || oneroster.ByName(r.Plural) != r {
			t.Errorf("%s is not found by its names", r.Name)
		}
		for i, f := range r.Fields {
			if r.Index(f.Name) != i || r.Field(f.Name) != &r.Fields[i] {
				t.Errorf("%s.%s is found at %d", r.Name, f.Name, r.Index(f.Name))
			}
			if to := oneroster.ByName(f.To); f.To != "" && place[to] == 0 && to.Name != "org" {
				t.Errorf("%s.%s points at %s, which comes later", r.Name, f.Name, f.To)
			}
		}
		for i, name := range map[int]string{oneroster.SourcedID: "sourcedId", oneroster.Status: "status",
			oneroster.Modified: "dateLastModified", r.MetadataIndex(): "metadata"} {
			if r.Fields[i].Name != name {
				t.Errorf("%s: %s is not at %d", r.Name, name, i)
			}
		}
		for _, name := range []string{"nosuch", "SourcedId", ""} {
			if r.Index(name) != -1 || r.Field(name) != nil {
				t.Errorf("%s has a field %q", r.Name, name)
			}
		}
	}
	for _, name := range []string{"nosuch", "Users", ""} {
		if oneroster.ByName(name) != nil {
			t.Errorf("there is a resource %q", name)
		}
	}
}

// Of links that are read off the other side, children are only so, and agents
// both ways; no other is.
func TestInverses(t *testing.T) {
	for _, r := range oneroster.Resources() {
		for _, f := range r.Fields {
			if got, want := f.Derived(), f.Name == "children"; got != want {
				t.Errorf("%s.%s is derived: %v", r.Name, f.Name, got)
			}
			if got, want := f.Symmetric(), f.Name == "agents"; got != want {
				t.Errorf("%s.%s is symmetric: %v", r.Name, f.Name, got)
			}
		}
	}
}

// Failures have the statuses of HTTP that readers look at.
func TestStatuses(t *testing.T) {
	for minor, want := range map[oneroster.CodeMinor]int{
		"unknown object": 404, "unauthorized": 401, "forbidden": 403, "server_busy": 429, "unsupported": 405,
		"internal_server_error": 500, "invalid data": 400, "invalid_filter_field": 400,
		"invalid_blank_selection_field": 400, "never heard of": 400,
	} {
		if got := minor.HTTPStatus(); got != want {
			t.Errorf("%s is answered with %d, want %d", minor, got, want)
		}
	}
}
