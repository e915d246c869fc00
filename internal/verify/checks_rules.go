package verify

import (
	"slices"
	"strings"
	"unicode"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// ruleChecks are the rules by which School Data Sync judges what it has read.
// A rule that costs a record is required, one that costs a value, or nothing, is
// advice.
func ruleChecks() []Check {
	var out []Check
	for _, rule := range rules() {
		out = append(out, Check{ID: rule.ID, On: Once, Profiles: sdsProfiles,
			Advice: rule.Severity > quality.Error,
			Title:  sentenced(rule.Title), Rule: ruleSDS + ": " + rule.Why, Fix: sentenced(rule.Fix) + ".",
			Run: func(p *probe) { p.broken(rule) }})
	}
	return out
}

// rules are those that a verifier can judge: whether School Data Sync makes accounts it does not know.
func rules() []quality.Rule {
	return slices.DeleteFunc(quality.Rules(), func(r quality.Rule) bool { return r.ID == "SDS-U04" })
}

// sentenced begins a sentence with a capital, but for the name of an attribute.
func sentenced(text string) string {
	first, _, _ := strings.Cut(text, " ")
	if strings.ContainsFunc(first, unicode.IsUpper) {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// broken tells where the walked rows break a rule.
func (p *probe) broken(rule quality.Rule) {
	if p.judged == nil {
		p.judge()
	}
	for _, resource := range rule.Resources {
		if c := p.listed(resource); c != nil {
			p.ok()
			if !c.whole {
				p.held = false
				p.leave("%s were not read whole: what refers to them cannot be judged", c.route.Path)
			}
		}
	}
	if !p.held && rule.ID != "SDS-X01" {
		p.lacks("there are no rows that the rule is about")
	}
	for _, f := range p.judged[rule.ID] {
		var a *provider.Answer
		c := p.reading("/" + oneroster.ByName(f.Resource).Plural)
		if f.SourcedID == "" && c != nil {
			a = c.first
		} else if c := p.listed(f.Resource); c != nil && len(p.failures) < moreMaximum {
			if at, there := c.find(f.SourcedID); there {
				a = p.rowOf(c, at)
			}
		}
		text := strings.TrimSpace(f.Resource + " " + f.SourcedID)
		if f.Field != "" {
			text += ", " + f.Field
		}
		text += ": " + f.Text
		if f.Rule.Severity > quality.Error && !f.Tests {
			p.advise(a, "%s", text)
		} else {
			p.fail(a, "%s", text)
		}
	}
}

// listed is the walked list of a resource, rows without an id included: a rule
// is about those.
func (r *run) listed(resource string) *collection {
	c := r.reading("/" + oneroster.ByName(resource).Plural)
	if c == nil || c.broken != nil || c.count == 0 {
		return nil
	}
	return c
}

// judge runs the rules once over the walked rows and keeps what they find.
func (r *run) judge() {
	r.judged = map[string][]quality.Finding{}
	opt := quality.Options{Today: r.opt.Now, Demographics: r.listed("demographics") != nil, Contacts: true}
	each := func(resource string, yield func(wire.Object) error) error {
		c := r.listed(resource)
		if c == nil {
			return nil
		}
		for _, o := range r.objects(c, 0) {
			if err := yield(o); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := quality.Judge(r.ctx, opt, each,
		func(f quality.Finding) { r.judged[f.Rule.ID] = append(r.judged[f.Rule.ID], f) })
	if err != nil {
		r.note("the rules of School Data Sync were not judged to the end: %v", err)
	}
}
