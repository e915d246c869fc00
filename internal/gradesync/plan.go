package gradesync

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

// ours is the namespace of the ids that are made here (RFC 9562 §5.5).
var ours = uuid.MustParse("6f1d3c5e-2f0b-4c5a-9d55-0b7e6c1a8f42")

// tasks are what a teacher sets: a title, instructions as the editor of an
// assignment writes them, and the most that can be reached.
var tasks = []struct {
	title, text string
	max         int
}{
	{"Reading log", "<div><p>Read <b>chapter 3</b> and note three things that surprised you.</p></div>", 10},
	{"Worksheet – fractions & decimals",
		"<div><p>Is 2/3 &lt; 0.7? Explain &amp; draw.</p><ul><li>page 41</li><li>page 42</li></ul></div>",
		20},
	{"Project: “Our river”", "<div><p>Présentation of <i>five minutes</i>, in pairs.</p></div>", 100},
	{"Quiz", "<div>Ten questions.</div>", 50},
}

// made is the id of an object of these options. group stands for the class in
// group mode: there a student has one result however many classes she is in.
func (r *run) made(kind, class string, assignment int, student string) uuid.UUID {
	scope := "class " + class
	if r.Group != "" {
		scope = "group " + r.Group
	}
	text, err := json.Marshal([]any{kind, r.Seed, scope, assignment, student})
	if err != nil {
		panic(err) // texts and numbers
	}
	return uuid.NewSHA1(ours, text)
}

func (r *run) resultID(class string, assignment int, student string) string {
	return r.made("result", class, assignment, student).String()
}

// itemID: in group mode each class has the line item under an id of its own.
func (r *run) itemID(class string, assignment int) string {
	id := r.made("lineItem", class, assignment, "").String()
	if r.Group != "" {
		id += "-" + class
	}
	return id
}

// plan makes the line items and results of every class.
func (r *run) plan(f found) []*Item {
	var out []*Item
	for n := 1; n <= r.Assignments; n++ {
		for _, c := range f.classes {
			it := r.item(f, c, n)
			for _, s := range c.students {
				it.Grades = append(it.Grades, r.grade(f, it, s))
			}
			out = append(out, it)
		}
	}
	return out
}

// item is a line item as Grade Sync sends it: no status and no
// dateLastModified, references of sourcedId and type, a category only where the
// teacher chose one, a dueDate only where the work has one.
func (r *run) item(f found, c class, n int) *Item {
	task := tasks[(n-1)%len(tasks)]
	it := &Item{Assignment: n, Title: fmt.Sprintf("%s (sample %d)", task.title, n), Class: c.id,
		ClassTitle: c.title, Max: task.max}
	assigned := firstDay(f.period, r.Today).Add(time.Duration(7*60+n%600) * time.Minute)
	body := wire.Object{
		"sourcedId": r.itemID(c.id, n), "title": it.Title, "description": task.text,
		"assignDate": roundTrip(assigned),
		"class":      ref(c.id, "class"), "gradingPeriod": "", "resultValueMin": 0,
		"resultValueMax": task.max,
	}
	if f.period != nil {
		body["gradingPeriod"] = ref(f.period.ID(), "academicSession")
	}
	if fitting := f.fitting(c.id); len(fitting) > 0 && n%3 != 0 { // the third has none
		body["category"] = ref(fitting[(n-1)%len(fitting)], "category")
	}
	if n%2 == 0 {
		body["dueDate"] = roundTrip(assigned.AddDate(0, 0, 7))
	}
	it.Entry = Entry{ID: body.ID(), of: oneroster.ByName("lineItem"), wanted: body}
	return it
}

// fitting are the categories of a class: its own (metadata.classId), else those
// that belong to no class.
func (f found) fitting(class string) []string {
	var own, shared []string
	for _, c := range f.category {
		metadata, _ := c["metadata"].(map[string]any)
		switch id, given := metadata["classId"]; {
		case !given || id == "":
			shared = append(shared, c.ID())
		case id == class:
			own = append(own, c.ID())
		}
	}
	return append(own, shared...)
}

// grade is a result as Grade Sync sends it: scoreDate is a dateTime, a comment
// that was not written is an empty text.
func (r *run) grade(f found, it *Item, student wire.Object) *Grade {
	made := r.made("result", it.Class, it.Assignment, student.ID())
	dice := binary.BigEndian.Uint32(made[12:])
	quarters := int(dice % uint32(4*it.Max+1))
	score := float64(quarters) / 4
	comment := ""
	if dice%5 == 0 {
		comment = "Well argued – see <b>page 2</b> & try the last one again."
	}
	body := wire.Object{
		"sourcedId": made.String(), "lineItem": ref(it.ID, "lineItem"), "student": ref(student.ID(), "user"),
		"score": json.Number(oneroster.FormatNumber(score)), "scoreStatus": "fully graded",
		"scoreDate": roundTrip(firstDay(f.period, r.Today).Add(14 * time.Hour)), "comment": comment,
	}
	g := &Grade{Entry: Entry{ID: made.String(), of: oneroster.ByName("result"), wanted: body},
		Student: Person{student.ID(), r.name(student)}, Score: score}
	if student.ID() == "" && !r.clean {
		g.fail("not sent: the class lists the student with %s for a sourcedId, and not a text: grades of all such "+
			"students would be written over each other", shown(student["sourcedId"]))
	}
	return g
}

// firstDay is when the grading period begins. Without one it is the 1st of
// September that the school year began with: the day of the run would make
// other dates tomorrow.
func firstDay(period wire.Object, today string) time.Time {
	if t, _, err := oneroster.ParseInstant(period.Text("startDate")); err == nil {
		return t
	}
	now, err := time.Parse(oneroster.DateLayout, today)
	if err != nil {
		panic(err) // ours
	}
	year := now.Year()
	if now.Month() < time.September {
		year--
	}
	return time.Date(year, time.September, 1, 0, 0, 0, 0, time.UTC)
}

// roundTrip writes an instant with seven fraction digits, as .NET does.
func roundTrip(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + ".1234567Z" }

func ref(id, kind string) map[string]any { return map[string]any{"sourcedId": id, "type": kind} }
