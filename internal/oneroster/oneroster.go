// Package oneroster is the OneRoster standard as data: which resources exist,
// which fields they have, which routes read and write them, which scopes open
// those routes, and how a record looks as JSON. It knows no SQL, no HTTP server
// and no file; everything else in the program is driven by its tables.
package oneroster

// Kind says how the value of a field is written and compared.
type Kind uint8

const (
	String   Kind = iota // any text
	Enum                 // one of Field.Enum, spelled as the standard does
	Bool                 // "true" or "false", a JSON string (1.1 final revision)
	Number               // a JSON number
	Date                 // YYYY-MM-DD
	Time                 // an instant, YYYY-MM-DDTHH:MM:SS.mmmZ
	Strings              // a list of texts
	UserIDs              // a list of {type, identifier}
	Ref                  // a GUIDRef
	Refs                 // a list of GUIDRefs
	Metadata             // a JSON object
)

// IsList tells whether values of this kind hold several items.
func (k Kind) IsList() bool { return k == Strings || k == UserIDs || k == Refs }

// A Field is one property of a resource.
type Field struct {
	Name     string
	Kind     Kind
	Required bool     // a record without it is refused
	Enum     []string // the values of an Enum field, or of the items of a Strings field
	To       string   // Name of the resource that a Ref or Refs points at
	// Refs that are (also) read off another field of To: children off parent, agents off agents
	Inverse string
	// column of the CSV binding where the rule of Column does not give it; "-" when it has none
	CSV      string
	Personal bool // names or describes a person: not for the eyes of those who only look for a mistake
}

// Derived tells whether the field is never stated by a source, only read off
// the records that point here (children).
func (f *Field) Derived() bool { return f.Inverse != "" && f.Inverse != f.Name }

// Symmetric tells whether a link stated on one side is served on both (agents).
func (f *Field) Symmetric() bool { return f.Inverse != "" && f.Inverse == f.Name }

// Column is the field's column name in the CSV binding 1.1, "" when it has none.
func (f *Field) Column() string {
	switch {
	case f.CSV == "-" || f.Kind == Metadata || f.Derived():
		return ""
	case f.CSV != "":
		return f.CSV
	case f.Kind == Ref:
		return f.Name + "SourcedId"
	case f.Kind == Refs:
		return f.Name[:len(f.Name)-1] + "SourcedIds"
	}
	return f.Name
}

// Positions of the fields that every resource begins with. The last field is
// always metadata.
const (
	SourcedID = iota
	Status
	Modified
)

// Values of status.
const (
	Active      = "active"
	ToBeDeleted = "tobedeleted"
)

// A Resource is one kind of object of the standard's data model.
type Resource struct {
	Name      string // singular: JSON wrapper of one object, type of a reference to it
	Plural    string // JSON wrapper of a list, path segment, table name, CSV file name
	Gradebook bool   // written by PUT and DELETE; deletions are hidden from plain reads
	Extension bool   // not in OneRoster 1.1; called by Microsoft's and Google's clients
	Fields    []Field

	index map[string]int
}

// Wrapper is the JSON key that a single object of this resource is served under.
func (r *Resource) Wrapper() string { return r.Name }

// Index returns the position of the named field, or -1. Names are case-sensitive.
func (r *Resource) Index(name string) int {
	if i, ok := r.index[name]; ok {
		return i
	}
	return -1
}

// Field returns the named field, or nil.
func (r *Resource) Field(name string) *Field {
	if i, ok := r.index[name]; ok {
		return &r.Fields[i]
	}
	return nil
}

// MetadataIndex is the position of the metadata field.
func (r *Resource) MetadataIndex() int { return len(r.Fields) - 1 }

// ByName finds a resource by its singular or plural name; nil when unknown.
func ByName(name string) *Resource { return byName[name] }

// Resources lists the resources, parents first: a record refers only to records
// of its own or an earlier resource.
func Resources() []*Resource { return resources }

var byName = map[string]*Resource{}

func init() {
	for _, r := range resources {
		fields := []Field{
			{Name: "sourcedId", Required: true},
			{Name: "status", Kind: Enum, Enum: []string{Active, ToBeDeleted}},
			{Name: "dateLastModified", Kind: Time},
		}
		fields = append(fields, r.Fields...)
		r.Fields = append(fields, Field{Name: "metadata", Kind: Metadata})
		r.index = make(map[string]int, len(r.Fields))
		for i := range r.Fields {
			r.index[r.Fields[i].Name] = i
		}
		byName[r.Name], byName[r.Plural] = r, r
	}
}
