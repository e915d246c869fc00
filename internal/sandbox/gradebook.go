package sandbox

import (
	"fmt"
	"time"

	"rollbook/internal/oneroster"
)

var categories = []string{"Homework", "Quizzes", "Projects", "Exams"}

func (d *District) categories(give func(oneroster.Record) error) error {
	for i, title := range categories {
		if err := give(record("category", "sourcedId", fmt.Sprintf("cat-%d", i+1), "title", title)); err != nil {
			return err
		}
	}
	for s := range d.schools {
		class := classID(s, 0, 0)
		if err := give(record("category", "sourcedId", "cat"+class[3:], "title", "Class Participation", "metadata", oneroster.MetadataOf(map[string]any{"classId": class}))); err != nil {
			return err
		}
	}
	return nil
}

// graded classes: one period in three of each cohort has marks, the first among them.
func (d *District) eachItem(do func(s, c, p, week int) error) error {
	return d.eachClass(func(s, c, p int) error {
		if (c+p)%4 != 0 {
			return nil
		}
		for week := range 3 {
			if err := do(s, c, p, week); err != nil {
				return err
			}
		}
		return nil
	})
}

func itemID(s, c, p, week int) string { return fmt.Sprintf("itm%s-%d", classID(s, c, p)[3:], week+1) }

// handed is the day by which a line item was due, one to three weeks ago.
func (d *District) handed(week int) time.Time { return d.today.AddDate(0, 0, -7*(3-week)) }

func (d *District) lineItems(give func(oneroster.Record) error) error {
	var periods []span
	for _, y := range []int{d.year, d.year - 1} {
		for _, t := range terms(y) {
			periods = append(periods, gradingPeriods(t)...)
		}
	}
	return d.eachItem(func(s, c, p, week int) error {
		due := d.handed(week).Add(15 * time.Hour)
		return give(record("lineItem", "sourcedId", itemID(s, c, p, week), "title", fmt.Sprintf("%s %d", categories[(p+week)%3], week+1),
			"description", "Made-up work of the past weeks", "assignDate", oneroster.FormatTime(due.AddDate(0, 0, -5)), "dueDate", oneroster.FormatTime(due),
			"class", classID(s, c, p), "category", fmt.Sprintf("cat-%d", (p+week)%3+1), "gradingPeriod", current(periods, d.handed(week)).id,
			"resultValueMin", "0", "resultValueMax", []string{"10", "20", "100"}[week]))
	})
}

func (d *District) results(give func(oneroster.Record) error) error {
	return d.eachItem(func(s, c, p, week int) error {
		top := uint64([]int{10, 20, 100}[week])
		for i := range d.cohort(s, c) {
			n := d.dice("result", (classNumber(s, c, p)*3+week)*cohortSize+i)
			r := record("result", "sourcedId", fmt.Sprintf("rlt%s-%02d", itemID(s, c, p, week)[3:], i+1), "lineItem", itemID(s, c, p, week),
				"student", studentID(d.student(s, c*cohortSize+i)), "scoreStatus", "fully graded", "scoreDate", d.handed(week).Format(oneroster.DateLayout))
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
				r.Set("score", oneroster.FormatNumber(float64(top)-float64(n>>8%(top/2*2))/2))
			}
			if n%7 == 0 {
				r.Set("comment", "Well argued.")
			}
			if err := give(r); err != nil {
				return err
			}
		}
		return nil
	})
}
