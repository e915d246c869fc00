package gradesync

import (
	"fmt"
	"slices"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// A Receipt is what came of a run.
type Receipt struct {
	Teacher       Person   `json:"teacher"`
	Chosen        string   `json:"chosen,omitempty"` // which class was taken, where none was asked for
	GradingPeriod string   `json:"gradingPeriod"`    // "": there is none
	Items         []*Item  `json:"lineItems"`
	Warnings      []string `json:"warnings"`
	Totals        Totals   `json:"totals"`
	Slowest       Slowest  `json:"slowest"` // PUT, or DELETE
}

// A Person of the rosters.
type Person struct {
	ID   string `json:"sourcedId"`
	Name string `json:"name"`
}

// A Status is what became of one object.
type Status string

const (
	Created     Status = "created"
	Unchanged   Status = "unchanged"
	Overwritten Status = "overwritten"
	Failed      Status = "failed"
	Removed     Status = "removed"
	Gone        Status = "gone" // was not there to be removed
)

// An Entry is one object on its way.
type Entry struct {
	ID     string   `json:"sourcedId"`
	Status Status   `json:"status"`
	Notes  []string `json:"notes,omitempty"` // why it failed, or how what is there differs

	of     *oneroster.Resource
	wanted wire.Object // as it is sent
	sent   bool
	read   wire.Object // as it was read back; nil when it was not
}

// An Item is a line item with its results.
type Item struct {
	Entry
	Assignment int      `json:"assignment"`
	Title      string   `json:"title"`
	Class      string   `json:"class"`
	ClassTitle string   `json:"classTitle,omitempty"`
	Max        int      `json:"resultValueMax"`
	Grades     []*Grade `json:"results"`
}

// A Grade is one student's result.
type Grade struct {
	Entry
	Student Person  `json:"student"`
	Score   float64 `json:"score"`
}

// Totals count line items and results by what became of them.
type Totals struct {
	Items   map[Status]int `json:"lineItems"`
	Results map[Status]int `json:"results"`
}

// Slowest is the call that took longest.
type Slowest struct {
	Call         string  `json:"call"`
	Milliseconds float64 `json:"milliseconds"`
}

// Failures counts the objects that failed.
func (r *Receipt) Failures() int { return r.Totals.Items[Failed] + r.Totals.Results[Failed] }

// sum ends a receipt.
func (r *run) sum() *Receipt {
	items, grades := r.receipt.entries()
	notes := [][]string{r.receipt.Warnings}
	count := func(of []*Entry) map[Status]int {
		n := map[Status]int{}
		for _, e := range of {
			n[e.Status]++
			notes = append(notes, e.Notes)
		}
		return n
	}
	r.receipt.Totals = Totals{count(items), count(grades)}
	for _, list := range notes {
		for i := range list {
			list[i] = r.veil.Text(list[i], nil)
		}
	}
	return r.receipt
}

func (r *run) warn(format string, args ...any) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.receipt.Warnings, text) {
		r.receipt.Warnings = append(r.receipt.Warnings, text)
	}
}

// timed keeps the slowest call that changes something.
func (r *run) timed(a *provider.Answer) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if ms := float64(a.Took) / float64(time.Millisecond); ms > r.receipt.Slowest.Milliseconds {
		r.receipt.Slowest = Slowest{a.Line(), ms}
	}
}

func (e *Entry) path() string { return "/" + e.of.Plural + "/" + oneroster.EscapeID(e.ID) }

// fail notes why an object is not as it should be.
func (e *Entry) fail(format string, args ...any) {
	e.Status = Failed
	e.Notes = append(e.Notes, fmt.Sprintf(format, args...))
}

// entries are all line items, and all results, in the order of the receipt.
func (r *Receipt) entries() (items, grades []*Entry) {
	for _, it := range r.Items {
		items = append(items, &it.Entry)
		for _, g := range it.Grades {
			grades = append(grades, &g.Entry)
		}
	}
	return items, grades
}
