package support

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"

	"rollbook/internal/words"
)

// Write writes a bundle as a zip: report.md is its first page, bundle.json has all of it.
func (b *Bundle) Write(w io.Writer) error {
	out := zip.NewWriter(w)
	page, err := out.Create("report.md")
	if err == nil {
		err = report.Execute(page, b)
	}
	if err != nil {
		return err
	}
	data, err := out.Create("bundle.json")
	if err == nil {
		enc := json.NewEncoder(data)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(b)
	}
	if err != nil {
		return err
	}
	return out.Close()
}

// Verdict says in a sentence each what matters most.
func (b *Bundle) Verdict() (out []string) {
	if bad := wrong(b.Probes); len(bad) > 0 {
		out = append(out, fmt.Sprintf("**%d of %d lists were not answered rightly** when the service asked "+
			"itself; the first is "+
			"%s: %s.", len(bad), len(b.Probes), bad[0].List, bad[0].Text))
	} else {
		out = append(out, fmt.Sprintf("All %s were answered rightly when the service asked itself, the "+
			"slowest in %d ms.",
			words.Count(len(b.Probes), "list"), b.slowest()))
	}
	whole := 0
	for _, p := range b.Pulls {
		if p.Became == "was read whole" {
			whole++
		}
	}
	switch {
	case len(b.Pulls) == 0:
		out = append(out, "The client has read no list since then.")
	default:
		out = append(out, fmt.Sprintf("The client has begun %s since then and read %d of them whole; the "+
			"last one began at %s.",
			words.Count(len(b.Pulls), "pull"), whole, b.Pulls[0].Began))
	}
	calls, failed, refused := 0, 0, 0
	for _, h := range b.Hours {
		calls, failed, refused = calls+h.Calls, failed+h.Failed+h.BrokeOff, refused+h.Refused
	}
	out = append(out, fmt.Sprintf("Of its %s, %d failed or broke off and %d were refused.", words.Count(calls,
		"call"), failed,
		refused))
	for _, n := range b.Notices {
		out = append(out, strings.ToUpper(n[:1])+n[1:]+".")
	}
	errors := 0
	for _, r := range b.Rules {
		if r.Severity == "error" || r.Severity == "catastrophic" {
			errors += r.Found
		}
	}
	if errors > 0 {
		out = append(out, fmt.Sprintf("School Data Sync drops %s of what is served, by its own rules.",
			words.Count(errors, "record")))
	} else {
		out = append(out, "By the rules of School Data Sync nothing of what is served is dropped.")
	}
	return out
}

func (b *Bundle) slowest() (ms int64) {
	for _, p := range b.Probes {
		ms = max(ms, p.Milliseconds)
	}
	return ms
}

var report = template.Must(template.New("report").Funcs(template.FuncMap{"thousands": words.Thousands,
	"cell": func(text string) string { return strings.ReplaceAll(text, "|", `\|`) },
	"keys": func(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }}).Parse(`# A OneRoster service, from {{.Since}} to {{.Made}}

For who helps with it. Nobody is named here: what stands for a person, a school, a class or the client
({{.Client.Mark}}) is the same mark wherever it is meant in this bundle, and another in the next one.
Times are UTC. Whoever sent this finds a call by its request id in the log of the service.

{{range .Verdict}}- {{.}}
{{end}}
| | |
|---|---|
| service | Rollbook {{.Version}}, {{.System}}, {{.Engine}} |
| client | {{.Client.Mark}}, since {{.Client.Since}}, with {{range $i, $s := .Client.Scopes}}{{if $i}}, {{end}}{{$s}}{{end}} |
| last change | {{.LastChange}} |
| health | {{range $i, $h := .Health}}{{if $i}}; {{end}}{{cell $h}}{{else}}nothing is wrong{{end}} |

## What the client read
{{if .Pulls}}
| pull | began | list | rows | of | pages | ms | what became of it |
|---|---|---|---|---|---|---|---|
{{range .Pulls}}| {{.ID}} | {{.Began}} | {{.List}}{{if .Question}}?{{cell .Question}}{{end}} | {{thousands .Rows}} | {{thousands .Total}} | {{.Pages}} | {{.Milliseconds}} | {{cell .Became}} |
{{end}}{{else}}
No list.
{{end}}
## What was refused, failed or broke off
{{if .Failures}}
| at | request | operation | status | reason | ms |
|---|---|---|---|---|---|
{{range .Failures}}| {{.At}} | {{.Request}} | {{.Operation}} | {{.Status}} | {{cell .Reason}} | {{.Milliseconds}} |
{{end}}{{else}}
Nothing.
{{end}}
## What was published
{{if .Nights}}
| number | at | state | rows | added | changed | retired |
|---|---|---|---|---|---|---|
{{range .Nights}}| {{.ID}} | {{.At}} | {{.State}} | {{thousands .Rows}} | {{thousands .Added}} | {{thousands .Changed}} | {{thousands .Retired}} |
{{end}}{{else}}
Nothing.
{{end}}
## What the service answers itself

| list | status | rows of all | in the database | ms | |
|---|---|---|---|---|---|
{{range .Probes}}| {{cell .List}} | {{.Status}} | {{thousands .Rows}} of {{thousands .Total}} | {{if ge .Stored 0}}{{thousands .Stored}}{{end}} | {{.Milliseconds}} | {{if not .Right}}**{{.Text}}**{{else}}{{.Text}}{{end}} |
{{end}}
## What School Data Sync says of what is served
{{if .Rules}}
| rule | | of | what must hold | broken |
|---|---|---|---|---|
{{range .Rules}}| {{.Rule}} | {{.Severity}} | {{.Resource}} | {{cell .Title}} | {{thousands .Found}} |
{{end}}{{else}}
Nothing is wrong.
{{end}}
## Rows
{{$rows := .Rows}}
| collection | active rows |
|---|---|
{{range keys .Rows}}| {{.}} | {{thousands (index $rows .)}} |
{{end}}
Calls by the hour, settings and all of the above are in bundle.json.
`))
