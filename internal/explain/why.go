package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
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
	changes, err := q.changes(ctx)
	if err != nil {
		return nil, err
	}
	a.Changes = append(a.Changes, changes...)
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
		if own := q.own(ctx); own.err != nil || own.text != "" {
			first, err = own.reason, own.err
		}
	}
	if first.text == "" {
		first = reason{"served", a.Served[0] + "; no client is there to read it"}
	}
	a.Sentence, a.Kind = first.text+".", first.kind
	return a, err
}

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
		return reason{"not read yet", fmt.Sprintf("%s came back on %s by %s; %s read on %s that it had "+
			"left, and has "+
			"not read it since%s", q.name(s), when(back), by, c.Name, k.last.when(), q.next(c, k))}, err
	}
	why, err := q.lacks(ctx, c, k)
	if err != nil || why.text != "" {
		return why, err
	}
	text := q.readAs(c, k, -1)
	if s.Now().Rev > k.last.version.Rev {
		by, err := q.by(ctx, s, s.Now())
		return reason{"not read yet", fmt.Sprintf("%s; on %s it was changed by %s (%s), and %s has not "+
			"read that yet%s",
			text, when(s.Now()), by, q.step(s, len(s.Versions)-1), c.Name, q.next(c, k))}, err
	}
	return reason{"read", text + ", which is what is served; nothing that it needs is lacking here, so " +
		"look at the " +
		"reader's side"}, nil
}

// next says whether the next read brings a change.
func (q *inquiry) next(c *auth.Client, k *known) string {
	if k.passed != nil {
		return fmt.Sprintf(": it asked on %s for what has changed since %s, so it never reads that",
			words.When(k.passed.Began), words.When(k.passed.Since))
	}
	return ""
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
	return fmt.Sprintf("%s read %s on %s as %s", c.Name, q.name(q.subject), at.when(), as)
}

// retired is the sentence of a record that has left.
func (q *inquiry) retired(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	s := q.subject
	left := s.left()
	by, err := q.by(ctx, s, left)
	if err != nil {
		return reason{}, err
	}
	text := fmt.Sprintf("%s was retired on %s by %s", q.name(s), when(left), by)
	if k.good != nil {
		text = fmt.Sprintf("%s; on %s it was retired by %s", q.readAs(c, k, -1), when(left), by)
	}
	switch {
	case k.gone():
		text += fmt.Sprintf("; %s read that on %s", c.Name, k.last.when())
	case k.good == nil:
		text += fmt.Sprintf(", and %s has never read it", c.Name)
	default:
		text += fmt.Sprintf("; %s has not read that yet%s", c.Name, q.next(c, k))
	}
	return reason{"retired", text}, nil
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
			"account, or "+
			"leave it out", q.name(s))}, nil
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

// recently is how long ago an enrollment may have been retired to be the reason that somebody asks.
const recently = 45 * 24 * time.Hour

// enrolled tells of a person who has no enrollment, or lost some lately.
func (q *inquiry) enrolled(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	in := ""
	if q.Class != "" {
		in = " in class " + q.Class
		if g := q.grounds["classes/"+q.Class]; g != nil {
			in = " in " + q.name(g)
		}
	}
	if len(q.enrollments) == 0 {
		return reason{"no enrollment", fmt.Sprintf("%s has no enrollment%s: none has come", q.name(q.subject),
			in)}, nil
	}
	there := q.there()
	var gone []*life
	for _, e := range q.enrollments {
		if !e.active() && !slices.ContainsFunc(there,
			func(o *life) bool { return o.get("class") == e.get("class") }) {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return reason{}, nil
	}
	last := slices.MaxFunc(gone, func(a, b *life) int { return int(a.left().Rev - b.left().Rev) })
	left := last.left()
	if len(there) > 0 && q.now.Sub(stampTime(left.Stamp)) > recently {
		return reason{}, nil
	}
	gone = slices.DeleteFunc(gone, func(e *life) bool { return e.left().Rev != left.Rev })
	by, err := q.by(ctx, last, left)
	if err != nil {
		return reason{}, err
	}
	titles := make([]string, len(gone))
	for i, e := range gone {
		titles[i] = q.classOf(e)
	}
	slices.Sort(titles)
	what := "the enrollment" + more(" in ", titles, 5) + " was"
	if len(gone) > 1 {
		what = "the enrollments" + more(" in ", titles, 5) + " were"
	}
	for _, e := range gone { // it went because what it leans on went
		for _, field := range []string{"class", "school"} {
			if g := q.ground(e, field); g != nil && !g.active() && g.left().Rev == left.Rev &&
				len(gone) == 1 {
				by += ", with " + q.name(g)
				break
			}
		}
	}
	happened := fmt.Sprintf("on %s %s retired by %s", when(left), what, by)
	if c == nil {
		return reason{"enrollment retired", fmt.Sprintf("%s is served as active; %s", q.name(q.subject),
			happened)}, nil
	}
	known, err := q.knows(ctx, c, append(slices.Clone(there), gone...))
	if err != nil {
		return reason{}, err
	}
	n := 0
	for _, e := range append(slices.Clone(there), gone...) {
		if known[e.ID].good != nil {
			n++
		}
	}
	ke := known[last.ID]
	head := q.readAs(c, k, n)
	if ke.good != nil { // when it read the enrollment, not only the person
		head = fmt.Sprintf("%s read %s on %s as active in %s", c.Name, q.name(q.subject), ke.good.when(),
			words.Count(n, "class"))
	}
	switch {
	case ke.gone():
		happened += fmt.Sprintf("; %s read that on %s", c.Name, ke.last.when())
	case ke.good == nil:
		happened += fmt.Sprintf(", before %s had read it", c.Name)
	default:
		happened += fmt.Sprintf("; %s has not read that yet%s", c.Name, q.next(c, ke))
	}
	return reason{"enrollment retired", head + "; " + happened}, nil
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
			return known[l.ID].last != nil && !known[l.ID].gone()
		})
		if len(lacking) == 0 {
			continue
		}
		l := lacking[0]
		if known[l.ID].gone() {
			by, err := q.by(ctx, l, l.came())
			return reason{"not read yet", fmt.Sprintf("%s; %s came back on %s by %s, and %s has not read "+
				"that yet%s",
				q.readAs(c, k, -1), q.name(l), when(l.came()), by, c.Name, q.next(c, known[l.ID]))}, err
		}
		kind, text, err := q.never(ctx, c, known[l.ID], l)
		if len(lacking) > 1 {
			text += fmt.Sprintf("; so it is with %d of %s", len(lacking), words.Count(len(lives), name))
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
