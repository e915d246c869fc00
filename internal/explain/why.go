package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// A reason is why a client lacks the record, or that it does not.
type reason struct{ kind, text string }

// answer puts together all that there is to say.
func (q *inquiry) answer(ctx context.Context) (*Answer, error) {
	a := &Answer{Resource: q.Resource.Plural, ID: q.ID, Name: q.name(q.subject), Served: q.served(),
		Clients: []Reader{}, Changes: []Change{}, Rules: []Broken{}}
	for _, f := range q.broken {
		a.Rules = append(a.Rules, Broken{f.Rule.ID, f.Rule.Severity.String(),
			oneroster.ByName(f.Resource).Plural, f.SourcedID, f.Text, f.Rule.Fix})
	}
	var first reason
	for i := range q.clients {
		c := &q.clients[i]
		if q.Client != "" && c.ID != q.Client {
			continue
		}
		reader, why, err := q.client(ctx, c)
		if err != nil {
			return nil, err
		}
		// Who read last speaks for all; who has never read says nothing where another has.
		if first.text == "" || reader.Read > a.Clients[0].Read {
			a.Clients, first = append([]Reader{reader}, a.Clients...), why
		} else {
			a.Clients = append(a.Clients, reader)
		}
	}
	if len(a.Clients) == 0 || q.Client == "" && a.Clients[0].Read == "" {
		own := q.own(ctx)
		if own.err != nil {
			return nil, own.err
		}
		if own.text != "" {
			first = own.reason
		}
	}
	if first.text == "" {
		first = reason{"served", a.Served[0] + "; no client is there to read it"}
	}
	if q.waiting != "" && (q.held || first.kind == "no enrollment") {
		if first.kind == "read" || first.kind == "no enrollment" {
			first.kind = map[bool]string{true: "held", false: first.kind}[q.held]
		}
		first.text = strings.TrimSuffix(first.text, readersSide) + q.waiting
	}
	a.Sentence, a.Kind = first.text+".", first.kind
	changes, err := q.changes(ctx) // after the reason: it reads packages as far as it may
	a.Changes = append(a.Changes, changes...)
	return a, err
}

// readersSide ends the sentence where nothing is wrong here.
const readersSide = ", so look at the reader's side"

type ownReason struct {
	reason
	err error
}

// own is what there is to say where no client has read it: of the record alone.
func (q *inquiry) own(ctx context.Context) ownReason {
	s := q.subject
	if !s.active() {
		by, err := q.by(ctx, s, s.left())
		return ownReason{reason{"retired", fmt.Sprintf("%s was retired on %s by %s", q.name(s),
			when(s.left()), by)}, err}
	}
	why, err := q.lacks(ctx, nil, nil)
	return ownReason{why, err}
}

// client tells what one client knows of the record, and why it lacks it.
func (q *inquiry) client(ctx context.Context, c *auth.Client) (Reader, reason, error) {
	if c.Name == "" {
		c.Name = c.ID
	}
	out := Reader{ID: c.ID, Name: c.Name}
	s := q.subject
	all, err := q.knows(ctx, c, []*life{s})
	if err != nil {
		return out, reason{}, err
	}
	k := all[s.ID]
	if k.last != nil {
		out.Pull, out.Read = k.last.ID, k.last.Began.UTC().Format(time.RFC3339)
	}
	why, err := q.why(ctx, c, k)
	out.Text = why.text
	return out, why, err
}

// why is why a client lacks the record.
func (q *inquiry) why(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	s := q.subject
	switch {
	case !s.active():
		return q.retired(ctx, c, k)
	case k.last == nil:
		kind, text, err := q.never(ctx, c, k, s)
		return reason{kind, text}, err
	case k.gone():
		back := s.came()
		by, err := q.by(ctx, s, back)
		next, failed := q.next(ctx, c, k, back)
		text := fmt.Sprintf("%s came back on %s by %s; %s read on %s that it had left, and has not read it "+
			"since%s", q.name(s), when(back), by, c.Name, k.last.when(), next)
		return reason{"not read yet", text}, cmp.Or(err, failed)
	}
	why, err := q.lacks(ctx, c, k)
	if err != nil || why.text != "" {
		return why, err
	}
	text := q.readAs(c, k, -1)
	if now := s.Now(); now.Rev > k.last.version.Rev && !same(now, k.last.version) {
		by, err := q.by(ctx, s, now)
		next, failed := q.next(ctx, c, k, now)
		kind := "not read yet"
		if m := k.leftOut(now); m != nil {
			kind = m.kind
		}
		return reason{kind, fmt.Sprintf("%s; on %s it was changed by %s (%s), and %s has not read that yet%s",
			text, when(now), by, q.step(s, len(s.Versions)-1), c.Name, next)}, cmp.Or(err, failed)
	}
	if f := k.last.Selection.Query.Fields; f != nil && !slices.Contains(f, "sourcedId") {
		return reason{"fields", fmt.Sprintf("%s, but it asked for %s only, and so cannot tell who that is",
			text, strings.Join(f, ", "))}, nil
	}
	return reason{"read", text + ", which is what is served; nothing that it needs is lacking here" +
		readersSide}, nil
}

// same tells whether two versions differ in nothing but their time.
func same(a, b *store.Version) bool {
	for i := range a.Record.Values {
		if i != oneroster.Modified && a.Record.Values[i] != b.Record.Values[i] {
			return false
		}
	}
	return true
}

// leftOut is why the list by which a client knows a record has it no more; nil where that is not so.
func (k *known) leftOut(change *store.Version) *miss {
	if k.last == nil {
		return nil
	}
	if m := k.left[k.last.List]; m != nil && m.LastEdition >= change.Rev {
		return m
	}
	return nil
}

// next says what keeps a client from reading a change; it is empty where the next read brings it.
func (q *inquiry) next(ctx context.Context, c *auth.Client, k *known, change *store.Version) (string, error) {
	left := k.leftOut(change)
	switch {
	case k.passed != nil && k.passedBy.Rev == change.Rev:
		return fmt.Sprintf(": it asked on %s for what has changed since %s, so it never reads that",
			words.When(k.passed.Began), words.When(k.passed.Since)), nil
	case left != nil:
		return ": it " + left.text, nil
	}
	return q.since(ctx, c)
}

// readAs is the sentence of what a client read; n is the number of classes that a person was in, -1
// where that is not to be said.
func (q *inquiry) readAs(c *auth.Client, k *known, n int) string {
	at := k.last
	if k.good != nil {
		at = k.good
	}
	as := "active"
	if n >= 0 {
		as = "active in " + words.Count(n, "class")
	}
	return fmt.Sprintf("%s read %s on %s as %s", c.Name, q.named(at.version), at.when(), as)
}

// named is how the record was called then: an id may be given to somebody else.
func (q *inquiry) named(v *store.Version) string {
	if q.subject.r.Name != "user" || v == nil || v.Record.Get("givenName") == "" {
		return q.name(q.subject)
	}
	return fmt.Sprintf("%s %s (%s)", v.Record.Get("givenName"), v.Record.Get("familyName"), q.subject.key())
}

// retired is the sentence of a record that has left.
func (q *inquiry) retired(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	s := q.subject
	left := s.left()
	by, err := q.by(ctx, s, left)
	if err != nil {
		return reason{}, err
	}
	by += q.with([]*life{s}, left.Rev)
	text := fmt.Sprintf("%s was retired on %s by %s", q.name(s), when(left), by)
	if k.good != nil {
		text = fmt.Sprintf("%s; on %s it was retired by %s", q.readAs(c, k, -1), when(left), by)
	}
	switch {
	case k.gone():
		text += fmt.Sprintf("; %s read that on %s", c.Name, k.last.when())
	case k.forgotten():
		text += fmt.Sprintf("; %s %s, and what was served of it then is not known any more", c.Name,
			k.miss.text)
	case k.good == nil:
		text += fmt.Sprintf(", and %s has never read it", c.Name)
	default:
		var next string
		next, err = q.next(ctx, c, k, left)
		text += fmt.Sprintf("; %s has not read that yet%s", c.Name, next)
	}
	return reason{"retired", text}, err
}

// lacks is what is wrong with a record that is there, or, of a person, with the enrollments and all
// that those lean on: at first what School Data Sync drops the record for. It is empty where nothing
// is. c is nil where no client is asked for.
func (q *inquiry) lacks(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	s := q.subject
	if f := q.dropped(s); f != nil {
		return q.drops(s, f), nil
	}
	steps := []func(context.Context, *auth.Client, *known) (reason, error){q.enrolled, q.unread, q.calendar}
	if s.r.Name != "user" {
		steps = []func(context.Context, *auth.Client, *known) (reason, error){q.calendar}
	}
	for _, step := range steps {
		if why, err := step(ctx, c, k); err != nil || why.text != "" {
			return why, err
		}
	}
	ground := q.concerned()[1:]
	slices.SortStableFunc(ground, func(a, b *life) int { // what others lean on comes first
		return slices.Index(oneroster.Resources(), a.r) - slices.Index(oneroster.Resources(), b.r)
	})
	for _, l := range ground {
		if f := q.dropped(l); f != nil {
			return q.drops(l, f), nil
		}
	}
	if s.get("enabledUser") == "false" {
		return reason{"disabled", fmt.Sprintf("%s is served with enabledUser false: a reader may lock the "+
			"account, or leave it out", q.name(s))}, nil
	}
	return reason{}, nil
}

func (q *inquiry) drops(l *life, f *quality.Finding) reason {
	text := fmt.Sprintf("School Data Sync drops %s: %s (%s)", q.name(l), f.Text, f.Rule.ID)
	if l != q.subject {
		text += ", and with it what leans on it"
	}
	return reason{"dropped", text}
}

// unread tells of what a person's enrollments lean on, or of enrollments, that the client has not
// read.
func (q *inquiry) unread(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	if c == nil {
		return reason{}, nil
	}
	there := q.there()
	layers := map[*oneroster.Resource][]*life{oneroster.ByName("enrollment"): there}
	for _, l := range q.concerned()[1:] {
		if l.r.Name != "enrollment" && l.active() && !slices.Contains(layers[l.r], l) {
			layers[l.r] = append(layers[l.r], l)
		}
	}
	for _, name := range []string{"enrollment", "class", "academicSession", "org"} {
		lives := layers[oneroster.ByName(name)]
		known, err := q.knows(ctx, c, lives)
		if err != nil {
			return reason{}, err
		}
		lacking := slices.DeleteFunc(slices.Clone(lives), func(l *life) bool {
			k := known[l.ID]
			return k.last != nil && !k.gone() || k.forgotten()
		})
		if len(lacking) == 0 {
			continue
		}
		l := lacking[0]
		if known[l.ID].gone() {
			by, err := q.by(ctx, l, l.came())
			next, failed := q.next(ctx, c, known[l.ID], l.came())
			return reason{"not read yet",
				fmt.Sprintf("%s; %s came back on %s by %s, and %s has not read that yet%s",
					q.readAs(c, k, -1), q.name(l), when(l.came()), by, c.Name, next)}, cmp.Or(err, failed)
		}
		kind, text, err := q.never(ctx, c, known[l.ID], l)
		if len(lacking) > 1 && known[l.ID].pulls > 0 {
			text += fmt.Sprintf("; the same holds for %d of %s", len(lacking), words.Count(len(lives), name))
		}
		return reason{kind, q.readAs(c, k, -1) + "; " + text}, err
	}
	return reason{}, nil
}

// calendar tells of days that are over or have not come: of all enrollments of a person, or of the
// record.
func (q *inquiry) calendar(_ context.Context, c *auth.Client, _ *known) (reason, error) {
	day := q.now.Format(oneroster.DateLayout)
	of := q.there()
	if q.subject.r.Name != "user" {
		of = []*life{q.subject}
	}
	var texts []string
	for _, l := range of {
		text := outside(q.name(l), l.get("beginDate"), l.get("endDate"), day)
		terms := q.refs1(l, "terms")
		if class := q.ground(l, "class"); class != nil {
			terms = q.refs1(class, "terms")
		}
		if text == "" && len(terms) > 0 && !slices.ContainsFunc(terms, func(t *life) bool {
			return outside("", t.get("startDate"), t.get("endDate"), day) == ""
		}) {
			t := terms[len(terms)-1]
			text = outside("the term of "+q.name(l)+", "+t.get("title")+",", t.get("startDate"),
				t.get("endDate"), day)
		}
		if text == "" {
			return reason{}, nil
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return reason{}, nil
	}
	text := texts[0]
	if len(texts) > 1 {
		text += fmt.Sprintf("; none of %s is within its days", words.Count(len(texts), "enrollment"))
	}
	return reason{"calendar", text}, nil
}

// refs1 is refs of a field that the record may not have.
func (q *inquiry) refs1(l *life, field string) []*life {
	if l.r.Field(field) == nil {
		return nil
	}
	return q.refs(l, field)
}

// outside says that a day is not within others: endDate is the first day after them (OneRoster 1.1
// §4.1, §4.6).
func outside(what, begin, end, day string) string {
	switch {
	case begin != "" && day < begin:
		return strings.TrimSpace(fmt.Sprintf("%s begins on %s only", what, begin))
	case end != "" && day >= end:
		return strings.TrimSpace(fmt.Sprintf("%s ended on %s", what, end))
	}
	return ""
}
