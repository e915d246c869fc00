package verify

import (
	"fmt"
	"io"
	"strings"
)

// WriteCatalogue writes docs/checks.md: every check by area, with its id, what
// must hold, whose rule it is and what to change.
func WriteCatalogue(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# The checks of rollbook verify

Generated from the catalogue in internal/verify by make docs. A check runs on every path of the route table that it
concerns and that the chosen profiles need. A required check that fails makes the exit code 1; advice does not. A check
that finds nothing to work on is neither passed nor failed, and says what the data lacks. Neither is one that stands on
another which failed on the same path: what fails for itself is told as a cause, what only follows from it is not judged.

| Profile | Whose needs |
|---|---|
`)
	for _, p := range Profiles {
		fmt.Fprintf(&b, "| `%s` | %s |\n", p.Name, p.About)
	}
	fmt.Fprintf(&b, "| `all` | all of these |\n\n%d checks. With `--only` they run alone: `--only "+
		"page.total,filter`.\n", len(Checks))
	for _, area := range Areas {
		first := true
		for _, c := range Checks {
			if c.Area() != area {
				continue
			}
			if first {
				fmt.Fprintf(&b, "\n## %s\n\n| Check | What must hold | Whose rule | What to change "+
					"|\n|---|---|---|---|\n", strings.ToUpper(area[:1])+area[1:])
				first = false
			}
			fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s |\n", c.ID, c.marks(), cell(c.Title), cell(c.Rule),
				cell(c.Fix))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// marks tells on what terms a check runs.
func (c *Check) marks() string {
	var out []string
	if c.Advice {
		out = append(out, "advice")
	}
	if len(c.Profiles) > 0 {
		out = append(out, strings.Join(c.Profiles, ", "))
	}
	if len(c.Required) > 0 {
		out = append(out, "advice but for "+strings.Join(c.Required, ", "))
	}
	if c.writes() {
		out = append(out, "--write")
	}
	if c.OAuth1 {
		out = append(out, "--oauth1")
	}
	if len(out) == 0 {
		return ""
	}
	return "<br>" + strings.Join(out, "; ")
}

func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "\n", " ").Replace(text)
}
