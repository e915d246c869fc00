// Package look owns the look of the pages that people send on: their type, colours, marks and
// paper. Each is one file that needs nothing else: no script, no font, no network. What stands
// on a page its own package knows.
package look

import (
	_ "embed"
	"html/template"
)

//go:embed look.html
var templates string

// New reads a page, which may use the templates look and print (within its style), marks (at the
// beginning of its body) and mark (which of them: failed, advice, passed, unchecked, outside).
func New(text string, funcs template.FuncMap) *template.Template {
	return template.Must(template.Must(template.New("page").Funcs(funcs).Parse(templates)).Parse(text))
}
