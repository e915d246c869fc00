package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rollbook/internal/store"
	"rollbook/internal/words"
)

// A Notice is what somebody should know of a client, in words.
type Notice struct {
	Client string `json:"client"` // by its id
	Kind   string `json:"kind"`   // "silent", "broken off", "endless", "refused", "failed", "stale", "gap"
	Text   string `json:"text"`   // begins with what the client does
}

// Notices are what is wrong with how clients read, by the pulls and calls of the last weeks. now
// is when they are told.
func Notices(pulls []store.Pull, calls []store.Calls, now time.Time) (out []Notice) {
	byClient, byShape := map[string][]*Question{}, map[string][]*Question{}
	for i := range pulls {
		p := &pulls[i]
		q := Ask(p)
		if q == nil {
			q = &Question{Pull: p}
		} else {
			byShape[q.shape()] = append(byShape[q.shape()], q)
		}
		byClient[p.Client] = append(byClient[p.Client], q)
	}
	add := func(client, kind, text string) {
		if text != "" {
			out = append(out, Notice{client, kind, text})
		}
	}
	for client, all := range byClient {
		inOrder(all)
		add(client, "silent", silent(all, now))
	}
	for _, all := range byShape {
		inOrder(all)
		client := all[0].Client
		add(client, "broken off", brokenOff(all, now))
		add(client, "endless", endless(all, now))
		add(client, "stale", stale(all, now))
		add(client, "gap", gap(all, now))
	}
	out = append(out, refusals(calls, now)...)
	slices.SortFunc(out, func(a, b Notice) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text,
			b.Text))
	})
	return slices.Compact(out)
}

func inOrder(all []*Question) {
	slices.SortFunc(all, func(a, b *Question) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID))
	})
}

// lately is what notices look at: what is older is over.
func lately(all []*Question, now time.Time) []*Question {
	return slices.DeleteFunc(slices.Clone(all),
		func(q *Question) bool { return now.Sub(q.Last) > 2*24*time.Hour })
}

// silent tells of a client that has fallen behind its rhythm: the middle of the times between
// its visits.
func silent(all []*Question, now time.Time) string {
	var visits []time.Time
	last := time.Time{}
	for _, q := range all {
		if len(visits) == 0 || q.Began.Sub(last) > WalkEnds {
			visits = append(visits, q.Began)
		}
		if q.Last.After(last) {
			last = q.Last
		}
	}
	visits = visits[max(0, len(visits)-20):]
	if len(visits) < 4 {
		return ""
	}
	var pauses []time.Duration
	for i := range visits[1:] {
		pauses = append(pauses, visits[i+1].Sub(visits[i]))
	}
	slices.Sort(pauses)
	rhythm := pauses[len(pauses)/2]
	// One visit late is nothing; a week-end is not told of a client that rests there.
	if quiet := now.Sub(last); quiet > 2*rhythm+time.Hour && quiet > pauses[len(pauses)-1]+rhythm/2 {
		return fmt.Sprintf("reads every %s or so, and has read nothing since %s (%s)", words.Lasting(rhythm),
			words.When(last), words.Lasting(quiet))
	}
	return ""
}

// brokenOff tells of lists that are begun again and again, and never read to their end.
func brokenOff(all []*Question, now time.Time) string {
	// Who asks for one row looks whether there is an answer.
	all = slices.DeleteFunc(slices.Clone(all), func(q *Question) bool { return q.Limit == 1 && q.Pages == 1 })
	if len(all) == 0 {
		return ""
	}
	n := 0
	for i := len(all) - 1; i >= 0 && !all[i].Whole(); i-- {
		if all[i].Ended(now) {
			n++
		}
	}
	if last := all[len(all)-1]; n >= 3 && now.Sub(last.Last) < 7*24*time.Hour {
		return fmt.Sprintf("has begun %s %d times since %s and has not once read it to its end: the last "+
			"time it %s", last.List, n, words.When(all[len(all)-n].Began), last.Told(now))
	}
	return ""
}

// endless tells of walks that do not stop where a list ends, and of lists that are begun
// without a pause.
func endless(all []*Question, now time.Time) string {
	recent := lately(all, now)
	for _, q := range recent {
		switch {
		case q.Beyond >= 3:
			return fmt.Sprintf("asked for %d pages of %s after its end (%s rows): it does not look where a "+
				"list ends", q.Beyond, q.List, words.Thousands(q.Total))
		case q.Total > 0 && q.Twice > 2*q.Total:
			return fmt.Sprintf("has read the %s rows of %s %d times in one walk: it does not look where a "+
				"list ends", words.Thousands(q.Total), q.List, 1+q.Twice/q.Total)
		}
	}
	// Who asks every few seconds what is new reads little, and reads it to its end.
	recent = slices.DeleteFunc(recent, func(q *Question) bool { return !q.Since.IsZero() && q.Whole() })
	for i := range recent {
		const many = 60
		if i+many < len(recent) && recent[i+many].Began.Sub(recent[i].Began) < time.Hour {
			return fmt.Sprintf("has begun %s more than %d times within an hour, at %s", recent[i].List, many,
				words.When(recent[i].Began))
		}
	}
	return ""
}

// stale tells of deltas that do not move on, and of those that begin in the future.
func stale(all []*Question, now time.Time) string {
	last := all[len(all)-1]
	if last.Since.IsZero() || now.Sub(last.Last) > 7*24*time.Hour {
		return ""
	}
	if last.Since.Sub(last.Began) > 5*time.Minute {
		return fmt.Sprintf("asked at %s for what has changed in %s since %s, which had not come yet: it "+
			"gets nothing", words.When(last.Began), last.List, words.When(last.Since))
	}
	same := len(all) - 1
	for same > 0 && all[same-1].Since.Equal(last.Since) {
		same--
	}
	// Where nothing changes, a time that was taken from the last row rightly stays.
	if n := len(all) - same; n >= 4 && last.Total > all[same].Total &&
		last.Began.Sub(all[same].Began) > 26*time.Hour {
		return fmt.Sprintf("has asked %d times since %s for what has changed in %s since %s: its time does "+
			"not move on", n, words.When(all[same].Began), last.List, words.When(last.Since))
	}
	return ""
}

// gap tells of deltas that begin after what was read before: what changed in between is never
// read.
func gap(all []*Question, now time.Time) string {
	for i := len(all) - 1; i > 0; i-- {
		q := all[i]
		if q.Since.IsZero() || now.Sub(q.Last) > 7*24*time.Hour {
			return ""
		}
		var before *Question
		for _, b := range all[:i] {
			if b.Whole() && (before == nil || b.Began.After(before.Began)) {
				before = b
			}
		}
		if before != nil && q.Since.Sub(before.Last) > time.Minute &&
			q.Since.Before(q.Began.Add(5*time.Minute)) {
			return fmt.Sprintf("asked at %s for what has changed in %s since %s, and had read it until %s "+
				"only: what "+
				"changed in between it does not get", words.When(q.Began), q.List, words.When(q.Since),
				words.When(before.Began))
		}
	}
	return ""
}

// refusals tell of clients that are refused, or whose calls fail, again and again.
func refusals(calls []store.Calls, now time.Time) (out []Notice) {
	type key struct{ client, op string }
	day := map[key]*store.Calls{}
	for i := range calls {
		c := &calls[i]
		if c.Client == "" || now.Sub(c.Hour) > 25*time.Hour {
			continue
		}
		sum := day[key{c.Client, c.Op}]
		if sum == nil {
			sum = &store.Calls{Client: c.Client, Op: c.Op}
			day[key{c.Client, c.Op}] = sum
		}
		sum.Add(c)
	}
	for _, c := range day {
		what := c.Op
		if c.Op == "token" {
			what = "a token"
		}
		if c.Refused >= 5 && 2*c.Refused >= c.Calls {
			out = append(out, Notice{c.Client, "refused", fmt.Sprintf("was refused %s %d of %d times in "+
				"the last day: %s", what, c.Refused, c.Calls, c.Reason)})
		}
		if c.Failed >= 5 || c.Failed > 0 && 10*c.Failed >= c.Calls {
			out = append(out, Notice{c.Client, "failed", fmt.Sprintf("met %d failures of this service in "+
				"%d calls of %s in the last day: see the log", c.Failed, c.Calls, what)})
		}
	}
	return out
}

// WalkEnds is how long a client may take for its next page.
const WalkEnds = store.WalkEnds

// Ended tells whether a pull has come to its end, or is not gone on with.
func (q *Question) Ended(now time.Time) bool { return Ended(q.Pull, now) }

// Ended tells whether a pull has come to its end, or is not gone on with.
func Ended(p *store.Pull, now time.Time) bool { return p.Whole() || now.Sub(p.Last) > WalkEnds }

// Told is what became of a pull, in words after "it".
func (q *Question) Told(now time.Time) string { return Told(q.Pull, now) }

// Told is what became of a pull, in words after "it".
func Told(p *store.Pull, now time.Time) string {
	missing := p.Read.Missing(max(p.Total, 0))
	switch {
	case p.Whole():
		return "was read whole"
	case p.Total < 0 && p.Reason != "":
		return "got no page: " + p.Reason
	case !Ended(p, now):
		return "goes on"
	case !p.Begun:
		return "was read without its first page"
	case len(missing) == 1 && missing[0].To == p.Total:
		text := fmt.Sprintf("broke off at %s of %s rows", words.Thousands(missing[0].From),
			words.Thousands(p.Total))
		if p.Failed > 0 {
			text += " (" + p.Reason + ")"
		}
		return text
	}
	return fmt.Sprintf("left out %s, the first of them row %s", words.Count(missing.Rows(), "row"),
		words.Thousands(missing[0].From+1))
}
