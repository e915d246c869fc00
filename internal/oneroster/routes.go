package oneroster

import "strings"

// A View is a collection that is a part of another: schools are the orgs whose
// type is school. The zero View is the whole.
type View struct{ Field, Value string }

// A Match holds a field to a path variable (Var) or to a constant (Value). A
// list-valued field matches when it has the value among its items. A
// metadata.key matches also records that lack the key: a category without
// metadata.classId belongs to every class.
type Match struct{ Field, Var, Value string }

// A Scope says how a nested collection hangs on its path: by fields of its own
// (By), or through the active records of another resource. Deleted records
// connect nothing.
type Scope struct {
	By      []Match
	Through *Through
	// Parent names a resource whose record, given by the path variable Var, must
	// exist for the list to hold anything. Only needed where By can match
	// without the parent (categories that belong to every class).
	Parent *Parent
}

// Through selects the records whose Own field equals the Link field of a record
// of Resource that fulfils Match. A list-valued Link equals each of its items.
type Through struct {
	Resource string
	Own      string
	Link     string
	Match    []Match
}

// Parent: see Scope.
type Parent struct{ Resource, Var string }

// A Route is one operation of a face.
type Route struct {
	Op       string // operation name of tables 3.1a, 3.1b, 3.1c
	Table    string // "3.1a", "3.1b", "3.1c", "" for an extension
	Method   string // GET, PUT or DELETE
	Path     string // below the face's base; {variables} are sourcedIds
	Resource *Resource
	One      bool // a single object; its id is the last path variable
	View     View
	Scope    Scope
	OAuth    []string // short names of the OAuth scopes any of which opens the route

	Segments []string // Path split at "/", made once
}

// Nested tells whether the collection hangs on a parent in the path.
func (r *Route) Nested() bool { return len(r.Scope.By) > 0 || r.Scope.Through != nil }

// A Face is one version of the standard as it goes over the wire.
type Face struct {
	Name        string
	Base        string // path prefix
	ScopePrefix string // of OAuth scope names
	Routes      []Route
}

// OAuth scopes of OneRoster 1.1, without the prefix.
const (
	RosterCore    = "roster-core.readonly"
	Roster        = "roster.readonly"
	Demographics  = "roster-demographics.readonly"
	ResourceRead  = "resource.readonly"
	GradebookRead = "gradebook.readonly"
	GradebookPut  = "gradebook.createput"
	GradebookDel  = "gradebook.delete"
)

// ScopeAliases are names of OneRoster 1.2 for scopes of 1.1.
var ScopeAliases = map[string]string{"gradebook-core.readonly": GradebookRead,
	"resource-core.readonly": ResourceRead}

// Flags is what a client holds beside Demographics to see UserFlags: whether a
// pupil has a disability or gets free lunch. It is no scope of the standard.
const Flags = "flags"

// UserFlags is the metadata key under which School Data Sync's flags are kept.
const UserFlags = "microsoft.userFlags"

// FlagValues are the user flags that School Data Sync knows.
var FlagValues = []string{"freeLunch", "reducedLunch", "homeless", "giftedOrTalented", "504", "ELL", "LEP",
	"IEP"}

// Scopes lists the OAuth scopes of the face, short names, in a fixed order.
func Scopes() []string {
	return []string{RosterCore, Roster, Demographics, ResourceRead, GradebookRead, GradebookPut, GradebookDel}
}

var (
	core      = []string{RosterCore, Roster}
	demog     = []string{Demographics}
	resource  = []string{ResourceRead}
	gradeRead = []string{GradebookRead}
	gradePut  = []string{GradebookPut}
	gradeDel  = []string{GradebookDel}
)

func by(pairs ...string) Scope {
	var s Scope
	for i := 0; i < len(pairs); i += 2 {
		s.By = append(s.By, Match{Field: pairs[i], Var: pairs[i+1]})
	}
	return s
}

func through(resource, own, link string, match ...Match) Scope {
	return Scope{Through: &Through{resource, own, link, match}}
}

func given(field, variable string) Match { return Match{Field: field, Var: variable} }
func fixed(field, value string) Match    { return Match{Field: field, Value: value} }

var (
	wholeView     View
	schools       = View{"type", "school"}
	terms         = View{"type", "term"}
	periods       = View{"type", "gradingPeriod"}
	students      = View{"role", "student"}
	teachers      = View{"role", "teacher"}
	noScope       Scope
	v1p1Extension = []Route{
		list("", "getAllClassGroups", "/classGroups", "classGroup", wholeView, noScope, core),
		one("", "getClassGroup", "/classGroups/{id}", "classGroup", wholeView, core),
		list("", "getEnrollmentsForClass", "/classes/{class_id}/enrollments", "enrollment", wholeView,
			by("class", "class_id"), core),
		list("", "getCategoriesForClass", "/classes/{class_id}/categories", "category", wholeView, Scope{
			By:     []Match{given("metadata.classId", "class_id")},
			Parent: &Parent{"class", "class_id"},
		}, gradeRead),
	}
)

func list(table, op, path, res string, v View, s Scope, oauth []string) Route {
	return Route{Op: op, Table: table, Method: "GET", Path: path, Resource: mustResource(res), View: v,
		Scope: s, OAuth: oauth}
}

func one(table, op, path, res string, v View, oauth []string) Route {
	return Route{Op: op, Table: table, Method: "GET", Path: path, Resource: mustResource(res), One: true,
		View: v, OAuth: oauth}
}

func write(op, method, path, res string, oauth []string) Route {
	return Route{Op: op, Table: "3.1c", Method: method, Path: path, Resource: mustResource(res), One: true,
		OAuth: oauth}
}

// mustResource runs before init fills byName.
func mustResource(name string) *Resource {
	for _, r := range resources {
		if r.Name == name {
			return r
		}
	}
	panic("oneroster: no resource " + name)
}

// V1p1 is OneRoster 1.1: the 61 operations of its tables and four more that
// Microsoft's and Google's clients call.
var V1p1 = &Face{
	Name:        "v1p1",
	Base:        "/ims/oneroster/v1p1",
	ScopePrefix: "https://purl.imsglobal.org/spec/or/v1p1/scope/",
	Routes: append([]Route{
		list("3.1a", "getAllAcademicSessions", "/academicSessions", "academicSession", wholeView, noScope,
			core),
		one("3.1a", "getAcademicSession", "/academicSessions/{id}", "academicSession", wholeView, core),
		list("3.1a", "getAllClasses", "/classes", "class", wholeView, noScope, core),
		one("3.1a", "getClass", "/classes/{id}", "class", wholeView, core),
		list("3.1a", "getAllCourses", "/courses", "course", wholeView, noScope, core),
		one("3.1a", "getCourse", "/courses/{id}", "course", wholeView, core),
		list("3.1a", "getAllGradingPeriods", "/gradingPeriods", "academicSession", periods, noScope, core),
		one("3.1a", "getGradingPeriod", "/gradingPeriods/{id}", "academicSession", periods, core),
		list("3.1a", "getAllDemographics", "/demographics", "demographics", wholeView, noScope, demog),
		one("3.1a", "getDemographics", "/demographics/{id}", "demographics", wholeView, demog),
		list("3.1a", "getAllEnrollments", "/enrollments", "enrollment", wholeView, noScope, core),
		one("3.1a", "getEnrollment", "/enrollments/{id}", "enrollment", wholeView, core),
		list("3.1a", "getAllOrgs", "/orgs", "org", wholeView, noScope, core),
		one("3.1a", "getOrg", "/orgs/{id}", "org", wholeView, core),
		list("3.1a", "getAllSchools", "/schools", "org", schools, noScope, core),
		one("3.1a", "getSchool", "/schools/{id}", "org", schools, core),
		list("3.1a", "getAllStudents", "/students", "user", students, noScope, core),
		one("3.1a", "getStudent", "/students/{id}", "user", students, core),
		list("3.1a", "getAllTeachers", "/teachers", "user", teachers, noScope, core),
		one("3.1a", "getTeacher", "/teachers/{id}", "user", teachers, core),
		list("3.1a", "getAllTerms", "/terms", "academicSession", terms, noScope, core),
		one("3.1a", "getTerm", "/terms/{id}", "academicSession", terms, core),
		list("3.1a", "getAllUsers", "/users", "user", wholeView, noScope, core),
		one("3.1a", "getUser", "/users/{id}", "user", wholeView, core),

		list("3.1a", "getCoursesForSchool", "/schools/{id}/courses", "course", wholeView, by("org", "id"),
			core),
		list("3.1a", "getEnrollmentsForClassInSchool",
			"/schools/{school_id}/classes/{class_id}/enrollments", "enrollment", wholeView,
			by("school", "school_id", "class", "class_id"), core),
		list("3.1a", "getStudentsForClassInSchool", "/schools/{school_id}/classes/{class_id}/students",
			"user", wholeView,
			through("enrollment", "sourcedId", "user", given("class", "class_id"),
				given("school", "school_id"), fixed("role", "student")), core),
		list("3.1a", "getTeachersForClassInSchool", "/schools/{school_id}/classes/{class_id}/teachers",
			"user", wholeView,
			through("enrollment", "sourcedId", "user", given("class", "class_id"),
				given("school", "school_id"), fixed("role", "teacher")), core),
		list("3.1a", "getEnrollmentsForSchool", "/schools/{school_id}/enrollments", "enrollment", wholeView,
			by("school", "school_id"), core),
		list("3.1a", "getStudentsForSchool", "/schools/{school_id}/students", "user", students,
			by("orgs", "school_id"), core),
		list("3.1a", "getTeachersForSchool", "/schools/{school_id}/teachers", "user", teachers,
			by("orgs", "school_id"), core),
		// The model has no link from a session to a school: the terms that the
		// school's classes run in.
		list("3.1a", "getTermsForSchool", "/schools/{school_id}/terms", "academicSession", terms,
			through("class", "sourcedId", "terms", given("school", "school_id")), core),
		list("3.1a", "getClassesForTerm", "/terms/{term_id}/classes", "class", wholeView,
			by("terms", "term_id"), core),
		list("3.1a", "getGradingPeriodsForTerm", "/terms/{term_id}/gradingPeriods", "academicSession",
			periods, by("parent", "term_id"), core),
		list("3.1a", "getClassesForCourse", "/courses/{course_id}/classes", "class", wholeView,
			by("course", "course_id"), core),
		list("3.1a", "getClassesForStudent", "/students/{student_id}/classes", "class", wholeView,
			through("enrollment", "sourcedId", "class", given("user", "student_id"),
				fixed("role", "student")), core),
		list("3.1a", "getClassesForTeacher", "/teachers/{teacher_id}/classes", "class", wholeView,
			through("enrollment", "sourcedId", "class", given("user", "teacher_id"),
				fixed("role", "teacher")), core),
		list("3.1a", "getClassesForSchool", "/schools/{school_id}/classes", "class", wholeView,
			by("school", "school_id"), core),
		list("3.1a", "getClassesForUser", "/users/{user_id}/classes", "class", wholeView,
			through("enrollment", "sourcedId", "class", given("user", "user_id")), core),
		list("3.1a", "getStudentsForClass", "/classes/{class_id}/students", "user", wholeView,
			through("enrollment", "sourcedId", "user", given("class", "class_id"),
				fixed("role", "student")), core),
		list("3.1a", "getTeachersForClass", "/classes/{class_id}/teachers", "user", wholeView,
			through("enrollment", "sourcedId", "user", given("class", "class_id"),
				fixed("role", "teacher")), core),

		list("3.1b", "getAllResources", "/resources", "resource", wholeView, noScope, resource),
		one("3.1b", "getResource", "/resources/{id}", "resource", wholeView, resource),
		list("3.1b", "getResourcesForCourse", "/courses/{course_id}/resources", "resource", wholeView,
			through("course", "sourcedId", "resources", given("sourcedId", "course_id")), resource),
		list("3.1b", "getResourcesForClass", "/classes/{class_id}/resources", "resource", wholeView,
			through("class", "sourcedId", "resources", given("sourcedId", "class_id")), resource),

		list("3.1c", "getAllCategories", "/categories", "category", wholeView, noScope, gradeRead),
		one("3.1c", "getCategory", "/categories/{id}", "category", wholeView, gradeRead),
		write("deleteCategory", "DELETE", "/categories/{id}", "category", gradeDel),
		write("putCategory", "PUT", "/categories/{id}", "category", gradePut),
		list("3.1c", "getAllLineItems", "/lineItems", "lineItem", wholeView, noScope, gradeRead),
		one("3.1c", "getLineItem", "/lineItems/{id}", "lineItem", wholeView, gradeRead),
		write("deleteLineItem", "DELETE", "/lineItems/{id}", "lineItem", gradeDel),
		write("putLineItem", "PUT", "/lineItems/{id}", "lineItem", gradePut),
		list("3.1c", "getAllResults", "/results", "result", wholeView, noScope, gradeRead),
		one("3.1c", "getResult", "/results/{id}", "result", wholeView, gradeRead),
		write("deleteResult", "DELETE", "/results/{id}", "result", gradeDel),
		write("putResult", "PUT", "/results/{id}", "result", gradePut),
		list("3.1c", "getResultsForClass", "/classes/{class_id}/results", "result", wholeView,
			through("lineItem", "lineItem", "sourcedId", given("class", "class_id")), gradeRead),
		list("3.1c", "getLineItemsForClass", "/classes/{class_id}/lineItems", "lineItem", wholeView,
			by("class", "class_id"), gradeRead),
		list("3.1c", "getResultsForLineItemForClass", "/classes/{class_id}/lineItems/{li_id}/results",
			"result", wholeView, Scope{
				By:      []Match{given("lineItem", "li_id")},
				Through: &Through{"lineItem", "lineItem", "sourcedId", []Match{given("class", "class_id")}},
			}, gradeRead),
		list("3.1c", "getResultsForStudentForClass", "/classes/{class_id}/students/{student_id}/results",
			"result", wholeView, Scope{
				By:      []Match{given("student", "student_id")},
				Through: &Through{"lineItem", "lineItem", "sourcedId", []Match{given("class", "class_id")}},
			}, gradeRead),
	}, v1p1Extension...),
}

func init() {
	for i := range V1p1.Routes {
		r := &V1p1.Routes[i]
		r.Segments = strings.Split(strings.TrimPrefix(r.Path, "/"), "/")
	}
}
