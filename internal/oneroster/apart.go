package oneroster

// Apart is what a package of files holds beside its records.
type Apart struct {
	Rows   []Row // that make no record: only their place, and what is wrong with them
	Stuck  error // why it does not help to pass them over; nil where it does
	Losses []Loss
	Links  []Link // course by course, class by class; those that are wrong come first
}

// A Loss is a part of a package that has no rows: what is stored of it would be retired.
type Loss struct {
	Of          *Resource
	Filter, But string // of what is stored: what is selected, and what is not counted of that
	What        string // one of them: "student"
	File        string
	Missing     bool // it is not there
}

// A Link is a line that puts a resource into the list of a class or course.
type Link struct {
	Of       *Resource
	Owner    string // the class or course
	Resource string // "" where it is taken out of the list
	File     string
	Line     int
	Wrong    *Wrong // where it cannot be read; only the place counts then
}
