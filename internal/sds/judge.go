package sds

import (
	"context"
	"slices"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// judge holds the mirror against the rules, finds the people in the directory,
// and counts what School Data Sync would hold.
func (r *run) judge(ctx context.Context) error {
	c := &census{run: r, matched: map[string]bool{}}
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
	return firstOf(err, c.err)
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// A census counts the records that a judge lets pass.
type census struct {
	*run
	matched map[string]bool // sourcedIds of people who were found
	err     error

	read, left int // rows
}

func (c *census) found(f quality.Finding) {
	if c.Classic && (slices.Contains(outOfSight[f.Rule.ID], f.Field) ||
		slices.Contains(outOfSight[f.Rule.ID], "")) && f.Rule.Severity > quality.Error {
		return
	}
	switch f.Rule.Severity {
	case quality.Catastrophic:
		c.report.Stopped = f.Rule.ID + ": " + f.Text
	case quality.Error:
		c.report.Counts.Errors++
	case quality.Warning:
		c.report.Counts.Warnings++
	}
	c.err = firstOf(c.err, c.Found(f))
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
		return firstOf(yield(o), c.err)
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
