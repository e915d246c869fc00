package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollbook/internal/oneroster"
)

// classRenamed: another kind of the same lesson, in another room.
func (l *Life) classRenamed() {
	class := l.anyClass()
	title, kind, _ := strings.Cut(class.Get("title"), " (")
	kinds := []string{"Honors)", "Extended)", "Mornings)", "Bilingual)"}
	next := kinds[l.roll(len(kinds))]
	if next == kind {
		next = kinds[(slices.Index(kinds, kind)+1)%len(kinds)]
	}
	title += " (" + next
	l.edit(class, class.Get("title")+" is now called "+title, "title", title, "location",
		fmt.Sprintf("Room %d", 100+l.roll(300)))
}

// classOpens: a few students of a class get one of their own.
func (l *Life) classOpens() {
	for range 8 {
		full := l.anyClass()
		pupils := l.linked("enrollment", "class", full.ID())
		pupils = slices.DeleteFunc(pupils,
			func(e oneroster.Record) bool { return e.Get("role") != "student" })
		if full.ID() == l.first || len(pupils) < 4 {
			continue
		}
		id := l.serialID("cls")
		class := oneroster.Record{Resource: full.Resource, Values: slices.Clone(full.Values)}
		title, _, _ := strings.Cut(full.Get("title"), ", Section")
		class.Set("sourcedId", id)
		class.Set("title", fmt.Sprintf("%s, Group %d", title, l.serial["cls"]))
		class.Set("classCode", fmt.Sprintf("%s-G%d", class.Get("classCode"), l.serial["cls"]))
		class.Set("location", fmt.Sprintf("Room %d", 100+l.roll(300)))
		book := l.roll(resourceCount)
		class.Set("resources", oneroster.Join(resourceID(book), resourceID(book+5)))
		what := class.Get("title") + " opened"
		l.add(class, what)
		staff := l.linked("user", "orgs", class.Get("school"))
		teacher := staff[l.roll(len(staff))]
		l.enroll(teacher, class, "teacher", "true", fullName(teacher)+" teaches "+class.Get("title"))
		for _, e := range pupils[len(pupils)/2:] {
			student, _ := l.get("user", e.Get("user"))
			l.drops([]oneroster.Record{e})
			l.enroll(student, class, "student", "", fullName(student)+" takes "+class.Get("title"))
		}
		return
	}
}

func (l *Life) workMarked() { l.mark(l.anyClass()) }

// mark sets a piece of work in a class, and what its students got.
func (l *Life) mark(class oneroster.Record) {
	kind, size := l.roll(3), l.roll(len(tops))
	var periods []span
	for _, t := range terms(l.ends) {
		periods = append(periods, gradingPeriods(t)...)
	}
	item := work(l.serialID("itm"), class.ID(), kind, size, l.date, current(periods, l.date).id)
	item.Set("title", fmt.Sprintf("%s of %s", categories[kind], l.Date()))
	item.Set("description", "Made-up work of the day")
	l.add(item, fmt.Sprintf("%s in %s", item.Get("title"), class.Get("title")))
	for _, e := range l.linked("enrollment", "class", class.ID()) {
		if e.Get("role") != "student" {
			continue
		}
		r := marked(l.serialID("rlt"), item.ID(), e.Get("user"), tops[size], l.date, uint64(l.roll(1<<30)))
		l.add(r, fmt.Sprintf("%s: %s", l.nameOf("user", e.Get("user")), got(r, item)))
	}
}

// got says what a result is.
func got(result, item oneroster.Record) string {
	if !strings.HasSuffix(result.Get("scoreStatus"), "graded") {
		return result.Get("scoreStatus") + " in " + item.Get("title")
	}
	return fmt.Sprintf("%s of %s in %s", result.Get("score"), item.Get("resultValueMax"), item.Get("title"))
}

// anyResult picks one by the dice, with its line item.
func (l *Life) anyResult() (result, item oneroster.Record, ok bool) {
	y := l.layers[oneroster.ByName("lineItem")]
	for range 40 {
		if n := len(y.added); n > 0 && (!y.computed || l.roll(2) == 0) {
			item, ok = l.get("lineItem", y.added[l.roll(n)])
		} else if items := l.linked("lineItem", "class", l.anyClass().ID()); len(items) > 0 {
			item, ok = items[l.roll(len(items))], true
		}
		if !ok {
			continue
		}
		if results := l.linked("result", "lineItem", item.ID()); len(results) > 0 {
			return results[l.roll(len(results))], item, true
		}
	}
	return result, item, false
}

func (l *Life) scoreCorrected() {
	result, item, ok := l.anyResult()
	if !ok {
		return
	}
	score := oneroster.FormatNumber(float64(1 + l.roll(10)))
	if score == result.Get("score") {
		score = "0.5"
	}
	l.edit(result, fmt.Sprintf("%s has %s of %s in %s, corrected", l.nameOf("user", result.Get("student")),
		score, item.Get("resultValueMax"), item.Get("title")),
		"score", score, "scoreStatus", "fully graded")
}

func (l *Life) commented() {
	result, item, ok := l.anyResult()
	if !ok {
		return
	}
	comments := []string{"Well argued.", "Show your working.", "Much better than last time.",
		"See me after class.", "Careful with units."}
	comment := comments[l.roll(len(comments))]
	if comment == result.Get("comment") {
		comment += " Again."
	}
	l.edit(result, fmt.Sprintf("%s reads about %s: %s", l.nameOf("user", result.Get("student")),
		item.Get("title"), comment), "comment", comment)
}

// groupChanges: a class comes or goes.
func (l *Life) groupChanges() {
	group, _ := l.get("classGroup", fmt.Sprintf("grp-%d", 1+l.roll(3)))
	members := oneroster.Items(group.Get("classes"))
	if len(members) > 2 {
		gone := members[len(members)-1]
		l.edit(group, fmt.Sprintf("%s left %s", l.nameOf("class", gone), group.Get("title")), "classes",
			oneroster.Join(members[:len(members)-1]...))
		return
	}
	first, _ := l.get("class", members[0])
	classes := l.linked("class", "school", first.Get("school"))
	class := classes[l.roll(len(classes))]
	if !slices.Contains(members, class.ID()) {
		l.edit(group, fmt.Sprintf("%s joined %s", class.Get("title"), group.Get("title")), "classes",
			oneroster.Join(append(members, class.ID())...))
	}
}

// departmentOpens at a school; those that a life opens close again.
func (l *Life) departmentOpens() {
	school := l.schools[l.roll(len(l.schools))]
	id := l.serialID("dep")
	name := pick([]string{"Music", "Languages", "Sports", "Technology"}, uint64(l.serial["dep"])) +
		" Department"
	l.add(record("org", "sourcedId", id, "name", name, "type", "department", "identifier",
		strings.ToUpper(id), "parent", school),
		fmt.Sprintf("%s has a %s", l.nameOf("org", school), name))
}

func (l *Life) departmentCloses() {
	y := l.layers[oneroster.ByName("org")]
	for _, id := range y.added {
		if rec, ok := y.held[id]; ok && strings.HasPrefix(id, "dep-x") {
			l.leave(rec, fmt.Sprintf("%s has no %s any more", l.nameOf("org", rec.Get("parent")),
				rec.Get("name")))
			return
		}
	}
}

// periodOpens: two weeks in which progress is reported.
func (l *Life) periodOpens() {
	id := l.serialID("per")
	s := span{id, l.date, l.date.Add(14 * 24 * time.Hour)}
	parent := current(terms(l.ends), l.date)
	l.add(session(s, "gradingPeriod", "Progress Reports from "+l.Date(), parent.id, l.ends),
		"Progress is reported from "+l.Date())
}

func (l *Life) periodCloses() {
	y := l.layers[oneroster.ByName("academicSession")]
	for _, id := range y.added {
		if rec, ok := y.held[id]; ok && strings.HasPrefix(id, "per-x") {
			l.leave(rec, rec.Get("title")+" ended")
			return
		}
	}
}
