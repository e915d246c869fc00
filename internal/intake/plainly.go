package intake

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// plain is what a guard objects to, in words that name nobody: {n} of {of} {what}. Where it counts
// nothing the second is told.
var plain = map[string][2]string{
	"loss":     {"{n} of {of} {what} would go"},
	"change":   {"{n} of {of} {what} would change"},
	"emptied":  {"{n} of {of} {what} would lose a value"},
	"garbled":  {"{n} of {of} {what} would have garbled letters"},
	"hands":    {"{n} of {of} {what} would be somebody or something else"},
	"falls":    {"{n} of {of} {what} of one school or grade would go"},
	"moves":    {"{n} of {of} {what} of one school would be at another"},
	"sds":      {"School Data Sync would drop {n} of {of} {what}", "School Data Sync would stop"},
	"steady":   {"{n} of {of} {what} would have another name, grade or the like"},
	"families": {"{n} of {of} {what} would have another family"},
	"seats":    {"{n} of {of} {what} would be of another person or class"},
	"growth":   {"{n} {what} would be added to {of}", "a school would be added of which nobody is known"},
	"returns":  {"{n} of {of} {what} would be enabled, and are in no class"},
	"twice":    {"{n} of {of} {what} would be there twice"},
	"rises":    {"{n} of {of} {what} would become staff"},
	"columns":  {"", "a file or a column is missing that was there last time"},
	"again":    {"", "it is an earlier package again"},
	"empties":  {"none of {of} {what} would be left"},
	"without":  {"", "{n} {what} would be left without what they need"},
	"calendar": {"", "the calendar does not allow it today"},
}

// Plainly is what the guards object to, with numbers, and without a name or an id.
func (d *Document) Plainly() string {
	var out []string
	for _, o := range d.Objections {
		text := plain[o.Guard][0]
		if o.Of == 0 || text == "" {
			text = plain[o.Guard][1]
		}
		text = strings.NewReplacer("{n}", number(o.Count), "{of}", number(o.Of),
			"{what}", o.Resource).Replace(cmp.Or(text, "a guard objects"))
		if text = fmt.Sprintf("%s (%s)", text, o.Guard); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}
