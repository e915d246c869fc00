package ledger

import (
	"net/url"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
)

// A Question is what a pull asked, read again.
type Question struct {
	*store.Pull
	Selection store.Selection
	Filter    string    // as it came; "" is none
	Since     time.Time // a delta begins after it; the zero time for a list whole
}

// Ask reads what a pull asked; nil where that cannot be: it is of a version of this program that
// served other lists, or was too long to be kept.
func Ask(p *store.Pull) *Question {
	q := &Question{Pull: p}
	for i := range oneroster.V1p1.Routes {
		if r := &oneroster.V1p1.Routes[i]; r.Op == p.Op {
			q.Selection.Route = r
		}
	}
	segments := strings.Split(p.List, "/")
	if r := q.Selection.Route; r == nil || len(segments) != len(r.Segments) ||
		len(p.Question) >= store.QuestionKept-4 {
		return nil
	}
	q.Selection.Vars = map[string]string{}
	for i, segment := range q.Selection.Route.Segments {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			id, err := url.PathUnescape(segments[i])
			if err != nil {
				return nil
			}
			q.Selection.Vars[strings.TrimSuffix(name, "}")] = id
		}
	}
	var err error
	if q.Selection.Query, err = query.Parse(q.Selection.Route.Resource, p.Question); err != nil {
		return nil
	}
	q.Since = since(q.Selection.Query.Filter)
	if values, err := url.ParseQuery(p.Question); err == nil {
		q.Filter = values.Get("filter")
	}
	return q
}

// since is the latest time after which a filter asks for changes; the zero time where it asks for
// all.
func since(e query.Expr) (latest time.Time) {
	switch {
	case e.Op == query.And:
		for _, arg := range e.Args {
			if t := since(arg); t.After(latest) {
				latest = t
			}
		}
	case e.Op == query.Compare && e.Field.Name == "dateLastModified" &&
		(e.Rel == query.Greater || e.Rel == query.GreaterEqual):
		latest, _, _ = oneroster.ParseInstant(e.Text)
	}
	return latest
}

// shape is what two deltas of one kind have in common: the question without its time.
func (q *Question) shape() string {
	return q.Client + "\x00" + q.List + "\x00" + without(q.Selection.Query.Filter).String()
}

// without is a filter without the conditions that make it a delta.
func without(e query.Expr) query.Expr {
	if e.Op == query.Compare && !since(e).IsZero() {
		return query.Expr{}
	}
	if e.Op == query.And {
		args := make([]query.Expr, len(e.Args))
		for i, arg := range e.Args {
			args[i] = without(arg)
		}
		e.Args = args
	}
	return e
}
