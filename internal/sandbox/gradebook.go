package sandbox

import (
	"fmt"
	"time"

	"rollbook/internal/oneroster"
)

var categories = []string{"Homework", "Quizzes", "Projects", "Exams"}

func (d *District) categories(give func(oneroster.Record) error) error {
	for i, title := range categories {
		if err := give(record("category", "sourcedId", categoryID(i), "title", title)); err != nil {
			return err
		}
	}
	for s := range d.schools {
		if err := give(participation(classID(s, 0, 0))); err != nil {
			return err
		}
	}
	return nil
}

func categoryID(i int) string { return fmt.Sprintf("cat-%d", i+1) }

// participation is a category of one class.
func participation(class string) oneroster.Record {
	return record("category", "sourcedId", "cat"+class[3:], "title", "Class Participation", "metadata",
		oneroster.MetadataOf(map[string]any{"classId": class}))
}

// graded classes have marks: one period in four of each cohort, the first class among them.
func graded(c, p int) bool { return (c+p)%4 == 0 }

func (d *District) eachItem(do func(s, c, p, week int) error) error {
	return d.eachClass(func(s, c, p int) error {
		if !graded(c, p) {
			return nil
		}
		for week := range weeks {
			if err := do(s, c, p, week); err != nil {
				return err
			}
		}
		return nil
	})
}

const weeks = 3 // that have marks

func itemID(s, c, p, week int) string { return fmt.Sprintf("itm%s-%d", classID(s, c, p)[3:], week+1) }

// handed is the day by which a line item was due, one to three weeks ago.
func (d *District) handed(week int) time.Time { return d.today.AddDate(0, 0, -7*(3-week)) }

func (d *District) lineItems(give func(oneroster.Record) error) error {
	return d.eachItem(func(s, c, p, week int) error { return give(d.lineItem(s, c, p, week)) })
}

func (d *District) lineItem(s, c, p, week int) oneroster.Record {
	var periods []span
	for _, y := range []int{d.year, d.year - 1} {
		for _, t := range terms(y) {
			periods = append(periods, gradingPeriods(t)...)
		}
	}
	return work(itemID(s, c, p, week), classID(s, c, p), (p+week)%3, week, d.handed(week),
		current(periods, d.handed(week)).id)
}

// work is a line item that was due on a day, the size-th of tops is its best score.
func work(id, class string, category, size int, day time.Time, period string) oneroster.Record {
	due := day.Add(15 * time.Hour)
	return record("lineItem", "sourcedId", id, "title", fmt.Sprintf("%s %d", categories[category], size+1),
		"description", "Made-up work of the past weeks", "assignDate",
		oneroster.FormatTime(due.AddDate(0, 0, -5)), "dueDate", oneroster.FormatTime(due),
		"class", class, "category", categoryID(category), "gradingPeriod", period,
		"resultValueMin", "0", "resultValueMax", oneroster.FormatNumber(float64(tops[size])))
}

var tops = []int{10, 20, 100}

func (d *District) results(give func(oneroster.Record) error) error {
	return d.eachItem(func(s, c, p, week int) error {
		for i := range d.cohort(s, c) {
			if err := give(d.result(s, c, p, week, i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func resultID(s, c, p, week, i int) string {
	return fmt.Sprintf("rlt%s-%02d", itemID(s, c, p, week)[3:], i+1)
}

func (d *District) result(s, c, p, week, i int) oneroster.Record {
	return marked(resultID(s, c, p, week, i), itemID(s, c, p, week),
		studentID(d.student(s, c*cohortSize+i)), tops[week], d.handed(week),
		d.dice("result", (classNumber(s, c, p)*3+week)*cohortSize+i))
}

// marked is what a student got, of a top score that is even.
func marked(id, item, student string, top int, day time.Time, n uint64) oneroster.Record {
	r := record("result", "score", "0", "sourcedId", id, "lineItem", item, "student", student,
		"scoreStatus", "fully graded", "scoreDate", day.Format(oneroster.DateLayout))
	switch n % 20 {
	case 0:
		r.Set("scoreStatus", "exempt")
	case 1:
		r.Set("scoreStatus", "not submitted")
	case 2:
		r.Set("scoreStatus", "submitted")
	default:
		if n%20 == 3 {
			r.Set("scoreStatus", "partially graded")
		}
		r.Set("score", oneroster.FormatNumber(float64(top)-float64(n>>8%uint64(top))/2))
	}
	if n%7 == 0 {
		r.Set("comment", "Well argued.")
	}
	return r
}
