package gradesync

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
	"rollbook/internal/words"
)

// found is what the rosters say.
type found struct {
	classes  []class
	period   wire.Object   // nil: none
	category []wire.Object // active ones
}

type class struct {
	id, title string
	students  []wire.Object
}

// read makes the calls that Grade Sync makes before it writes, in its order and
// with its limits. It never asks for a second page.
func (r *run) read(ctx context.Context) (found, error) {
	var f found
	teacher, err := r.teacher(ctx)
	if err != nil {
		return f, err
	}
	if f.classes, err = r.classes(ctx, teacher); err != nil {
		return f, err
	}
	if !r.clean { // else ids are enough
		categories, err := r.list(ctx, "/categories", firstPage, "categories")
		if err != nil {
			return f, err
		}
		for _, c := range categories {
			if strings.EqualFold(c.Text("status"), oneroster.Active) {
				f.category = append(f.category, c)
			}
		}
		if f.period, err = r.gradingPeriod(ctx); err != nil {
			return f, err
		}
	}
	for i := range f.classes {
		err := r.students(ctx, &f.classes[i])
		if err != nil && !r.clean {
			return f, err
		}
		if err != nil { // who has left since is found in the results
			r.warn("%v", err)
		}
	}
	return f, nil
}

// firstPage is what Grade Sync asks of most lists.
const firstPage = "limit=7000"

// list reads a collection as far as its first page goes, and warns of what the
// server keeps back.
func (r *run) list(ctx context.Context, path, query string, wrappers ...string) ([]wire.Object, error) {
	a, err := r.call(ctx, provider.Call{Path: path, Query: query})
	if err == nil {
		err = refused(a)
	}
	if err != nil {
		return nil, err
	}
	page, err := a.List(wrappers...)
	if err != nil {
		return nil, a.In(err)
	}
	if short := page.Total - len(page.Objects); short > 0 {
		r.warn("%s: %d of %d came. Grade Sync never asks for a second page, and never sees the rest (%d); let "+
			"limit be 10,000", a.Line(), len(page.Objects), page.Total, short)
	} else if page.More {
		r.warn("%s: %d came, and the answer links to a next page. Grade Sync never asks for it, and never sees "+
			"the rest; let limit be 10,000", a.Line(), len(page.Objects))
	}
	return page.Objects, nil
}

// teacher finds the one whose e-mail address or username is given.
func (r *run) teacher(ctx context.Context) (wire.Object, error) {
	all, err := r.list(ctx, "/teachers", firstPage, "users", "teachers")
	if err != nil {
		return nil, err
	}
	of := slices.DeleteFunc(slices.Clone(all), func(t wire.Object) bool {
		return !strings.EqualFold(t.Text("email"), r.Teacher) &&
			!strings.EqualFold(t.Text("username"), r.Teacher)
	})
	hits := slices.DeleteFunc(slices.Clone(of), wire.Object.Deleted)
	switch {
	case len(hits) == 1 && hits[0].ID() == "":
		return nil, fmt.Errorf("the teacher with the e-mail address or username %q has no sourcedId that is a text: "+
			"Grade Sync asks for her classes by it", r.Teacher)
	case len(hits) == 1:
		t := hits[0]
		r.receipt.Teacher = Person{t.ID(), r.name(t)}
		return t, nil
	case len(hits) > 1:
		return nil, fmt.Errorf("%d teachers have the e-mail address or username %q: %s. Grade Sync needs "+
			"exactly one", len(hits), r.Teacher, r.named(hits))
	case len(of) > 0:
		return nil, fmt.Errorf("the teacher with the e-mail address or username %q is tobedeleted: %s",
			r.Teacher, r.named(of))
	}
	return nil, fmt.Errorf("none of the %d teachers that GET /teachers lists has the e-mail address or "+
		"username %q%s", len(all), r.Teacher, r.soFar())
}

// soFar repeats the warnings where they may be the reason.
func (r *run) soFar() string {
	if len(r.receipt.Warnings) == 0 {
		return ""
	}
	return " (" + strings.Join(r.receipt.Warnings, "; ") + ")"
}

// classes are those whose grades are written: one of hers, or those of a group.
func (r *run) classes(ctx context.Context, teacher wire.Object) ([]class, error) {
	hers, err := r.list(ctx, "/teachers/"+oneroster.EscapeID(teacher.ID())+"/classes", firstPage, "classes")
	if err != nil {
		return nil, err
	}
	if r.Group != "" {
		return r.members(ctx, hers)
	}
	if r.clean {
		return r.anywhere(hers), nil
	}
	var ids []string
	for _, c := range hers {
		if r.Class == "" && len(hers) > 1 && !c.Deleted() {
			r.receipt.Chosen = fmt.Sprintf("%s (%s), the first of her %d; --class chooses another", c.ID(),
				c.Text("title"), len(hers))
		}
		if r.Class == "" && !c.Deleted() || r.Class != "" && r.Class == c.ID() {
			return []class{{id: c.ID(), title: c.Text("title")}}, nil
		}
		if !c.Deleted() {
			ids = append(ids, c.ID())
		}
	}
	who := r.named([]wire.Object{teacher})
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s teaches no active class", who)
	}
	return nil, fmt.Errorf("%s does not teach class %q; hers are %s", who, r.Class, strings.Join(ids, ", "))
}

// anywhere are the classes in which something may have been made: the one that
// is named, hers or not any more, or all of hers.
func (r *run) anywhere(hers []wire.Object) []class {
	if r.Class != "" {
		hers = []wire.Object{{"sourcedId": r.Class}}
	}
	var out []class
	for _, c := range hers {
		out = append(out, class{id: c.ID(), title: c.Text("title")})
	}
	return out
}

// members are the classes of the group, by title where they are hers.
func (r *run) members(ctx context.Context, hers []wire.Object) ([]class, error) {
	a, err := r.call(ctx, provider.Call{Path: "/classGroups/" + oneroster.EscapeID(r.Group),
		Query: firstPage})
	if err == nil && a.Status == http.StatusNotFound {
		err = a.In(fmt.Errorf("there is no class group %q, or the provider has none at all: they are no "+
			"part of OneRoster 1.1", r.Group))
	}
	if err == nil {
		err = refused(a)
	}
	if err != nil {
		return nil, err
	}
	group, _, err := a.One("classGroup")
	if err != nil {
		return nil, a.In(err)
	}
	titles := map[string]string{}
	for _, c := range hers {
		titles[c.ID()] = c.Text("title")
	}
	var out []class
	for _, ref := range group.Refs("classes") {
		if _, known := titles[ref.ID]; !known {
			r.warn("class %s of the group is not one of the teacher's", ref.ID)
		}
		out = append(out, class{id: ref.ID, title: titles[ref.ID]})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("class group %q has no classes", r.Group)
	}
	return out, nil
}

// students reads who is in a class, and whether the enrollments agree.
func (r *run) students(ctx context.Context, c *class) error {
	all, err := r.list(ctx, "/classes/"+oneroster.EscapeID(c.id)+"/students", firstPage, "users", "students")
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	c.students = slices.DeleteFunc(all, func(s wire.Object) bool {
		twice := listed[s.ID()]
		if listed[s.ID()] = s.ID() != ""; twice {
			r.warn("class %s lists the student %s twice: Grade Sync would write each of her grades twice", c.id,
				s.ID())
		}
		return twice || s.Deleted()
	})
	if len(c.students) == 0 {
		r.warn("class %s has no students: no grades to write", c.id)
	}
	filter := "classSourcedId=" + provider.Quote(c.id)
	enrollments, err := r.list(ctx, "/enrollments", provider.Query("limit", "5000", "filter", filter),
		"enrollments")
	if err != nil {
		return err
	}
	enrolled := map[string]bool{}
	for _, e := range enrollments {
		if at := e.RefID("class"); at != c.id {
			r.warn("the filter %s is not obeyed: enrollment %s is in class %q", filter, e.ID(), at)
			return nil
		}
		if strings.EqualFold(e.Text("role"), "student") && !e.Deleted() {
			enrolled[e.RefID("user")] = true
		}
	}
	without := slices.DeleteFunc(slices.Clone(c.students),
		func(s wire.Object) bool { return enrolled[s.ID()] })
	n := words.Count(len(without), "student")
	switch {
	case len(without) > 0 && len(enrollments) == 0:
		r.warn("GET /enrollments with the filter %s brought nothing, and class %s lists %s: does the filter "+
			"know classSourcedId?", filter, c.id, n)
	case len(without) > 0:
		r.warn("class %s lists %s whom /enrollments with the filter %s does not have as students of it: %s",
			c.id, n, filter, r.named(without))
	}
	return nil
}

// gradingPeriod is the one that covers today, else the one that ends last.
func (r *run) gradingPeriod(ctx context.Context) (wire.Object, error) {
	all, err := r.list(ctx, "/academicSessions", provider.Query("limit", "5000", "filter",
		"type='gradingPeriod'"), "academicSessions")
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, wire.Object.Deleted)
	for _, s := range all {
		if s.Text("type") != "gradingPeriod" {
			return nil, fmt.Errorf("the filter type='gradingPeriod' is not obeyed: academicSession %s is "+
				"a %s, and Grade Sync would take it for a grading period", s.ID(), s.Text("type"))
		}
	}
	var latest wire.Object
	end := ""
	for _, s := range all {
		from, errFrom := day(s.Text("startDate"))
		to, errTo := day(s.Text("endDate"))
		if err := errors.Join(errFrom, errTo); err != nil {
			return nil, fmt.Errorf("academicSession %s: %w: Grade Sync ends here", s.ID(), err)
		}
		if from <= r.Today && r.Today < to {
			r.receipt.GradingPeriod = s.ID()
			return s, nil
		}
		if to > end {
			latest, end = s, to
		}
	}
	if latest == nil {
		r.warn("there is no grading period: line items are sent with an empty one")
		return nil, nil
	}
	r.receipt.GradingPeriod = latest.ID()
	r.warn("no grading period covers %s: the one that ends last is taken, %s (%s)", r.Today, latest.ID(), end)
	return latest, nil
}

// day is the YYYY-MM-DD of a date or dateTime.
func day(text string) (string, error) {
	t, _, err := oneroster.ParseInstant(text)
	return t.Format(oneroster.DateLayout), err
}

// name is what somebody is called in the receipt.
func (r *run) name(o wire.Object) string {
	return r.veil.Name(strings.TrimSpace(o.Text("givenName") + " " + o.Text("familyName")))
}

// named lists people for a sentence, the first of many.
func (r *run) named(people []wire.Object) string {
	const most = 5
	var out []string
	for i, o := range people {
		if i == most {
			return fmt.Sprintf("%s and %d more", strings.Join(out, ", "), len(people)-most)
		}
		out = append(out, fmt.Sprintf("%s (%s)", r.name(o), o.ID()))
	}
	return strings.Join(out, ", ")
}
