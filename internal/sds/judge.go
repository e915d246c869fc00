package sds

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// judge holds the mirror against the rules, finds the people in the directory,
// and counts what School Data Sync would hold.
func (r *run) judge(ctx context.Context) error {
	c := &census{run: r, matched: map[string]bool{}, costs: map[kind]*Cost{}}
	for _, res := range r.resources() {
		n, err := r.Mirror.Active(ctx, res)
		if err != nil {
			return err
		}
		c.left += n
		if res.Name == "user" { // read twice
			c.left += n
		}
	}
	opt := quality.Options{MatchStaff: r.MatchStaff, MatchStudents: r.MatchStudents,
		CreateUsers: r.CreateUsers, Contacts: r.Contacts, Demographics: r.Demographics, Kept: c.kept}
	_, err := quality.Judge(ctx, opt, func(resource string, yield func(wire.Object) error) error {
		return c.each(ctx, resource, yield)
	}, c.found)
	for _, cost := range c.costs {
		r.report.Costs = append(r.report.Costs, *cost)
	}
	slices.SortFunc(r.report.Costs, func(a, b Cost) int {
		return cmp.Or(cmp.Compare(a.severity, b.severity), b.Count-a.Count, cmp.Compare(a.Rule, b.Rule))
	})
	return cmp.Or(err, c.err)
}

// A kind is what findings have in common that cost the same.
type kind struct {
	rule     string
	severity quality.Severity
	tests    bool
}

// cost adds a finding to what is broken in the same way.
func (c *census) cost(f quality.Finding) {
	k := kind{f.Rule.ID, f.Rule.Severity, f.Tests}
	if c.costs[k] == nil {
		loses := map[quality.Severity]string{quality.Catastrophic: "the run stops",
			quality.Error:   "the record is dropped, and what refers to it",
			quality.Warning: "the value is dropped"}[k.severity]
		if f.Tests {
			loses = "nothing that is documented; the tests that Microsoft publishes refuse it"
		}
		c.costs[k] = &Cost{Rule: k.rule, Severity: k.severity.String(), ByTests: f.Tests,
			Title: f.Rule.Title, Loses: loses, Fix: f.Rule.Fix, severity: k.severity,
			First: strings.TrimSpace(f.Resource+" "+f.SourcedID) + ": " + f.Text}
	}
	c.costs[k].Count++
}

// A census counts the records that a judge lets pass.
type census struct {
	*run
	matched map[string]bool // sourcedIds of people who were found
	err     error
	costs   map[kind]*Cost

	read, left int // rows
}

func (c *census) found(f quality.Finding) {
	unseen := outOfSight[f.Rule.ID]
	if c.Classic && f.Rule.Severity > quality.Error && (slices.Contains(unseen, f.Field) ||
		slices.Contains(unseen, "")) {
		return
	}
	of := oneroster.ByName(f.Resource)
	f.Value, f.Text = c.veil.Member(f.Field, f.Value, of), c.veil.Text(f.Text, of)
	switch f.Rule.Severity {
	case quality.Catastrophic:
		c.report.Stopped = f.Rule.ID + ": " + f.Text
	case quality.Error:
		c.report.Counts.Errors++
	case quality.Warning:
		c.report.Counts.Warnings++
	}
	if f.Tests {
		c.report.Counts.ByTests++
	}
	if f.Tests || f.Rule.Severity < quality.Advice {
		c.cost(f)
	}
	c.err = cmp.Or(c.err, c.Found(f))
}

// each streams one resource of the mirror to the judge.
func (c *census) each(ctx context.Context, resource string, yield func(wire.Object) error) error {
	if resource == "course" && !c.Courses {
		return nil
	}
	return c.Mirror.Each(ctx, oneroster.ByName(resource), func(o wire.Object) error {
		if c.Classic && !classicReads(resource, o) {
			return nil
		}
		if c.read++; c.read%1000 == 0 {
			c.Progress("judging", c.read, max(c.left, c.read))
		}
		return cmp.Or(yield(o), c.err)
	})
}

func (c *census) kept(resource string, o wire.Object) {
	n := &c.report.Counts
	switch resource {
	case "org":
		n.Organizations++
	case "class":
		n.Classes++
	case "user":
		c.person(o)
	case "enrollment":
		if c.Directory == nil || c.matched[o.RefID("user")] {
			n.Memberships++
		}
	}
}

func (c *census) person(o wire.Object) {
	n, by := &c.report.Counts, ""
	switch quality.GroupOf(o.Text("role")) {
	case quality.Staff:
		n.Staff++
		by = c.MatchStaff
	case quality.Student:
		n.Students++
		by = c.MatchStudents
	case quality.Contact:
		if !c.Contacts {
			return
		}
		n.Contacts++
	}
	n.People++
	if c.Directory == nil || by == "" {
		return
	}
	rule, text := c.Directory.find(by, o.Text(by))
	if rule == nil {
		n.Matched++
		c.matched[o.ID()] = true
		return
	}
	n.Unmatched++
	c.found(quality.Finding{Rule: rule, Resource: "user", SourcedID: o.ID(), Field: by, Value: o.Text(by),
		Text: text})
}
