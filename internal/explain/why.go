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
			text,
			strings.Join(f, ", "))}, nil
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

// A loss is that an enrollment is not there any more, or is of another class or person.
type loss struct {
	*life
	was *store.Version // the last that was hers; nil where that is not known any more
	at  int            // of the version that ended it
}

func (l *loss) by() *store.Version { return &l.Versions[l.at] }

// class is the id of the class that was left.
func (l *loss) class() string {
	if l.was == nil {
		return l.get("class")
	}
	return l.was.Record.Get("class")
}

// losses are those of classes that she is not in by another enrollment.
func (q *inquiry) losses() (out []*loss) {
	in := map[string]bool{}
	for _, e := range q.there() {
		in[e.get("class")] = true
	}
	for _, e := range q.enrollments {
		for i := len(e.Versions) - 1; i >= 0; i-- {
			v := &e.Versions[i]
			if q.counts(e, v) && !in[v.Record.Get("class")] {
				out = append(out, &loss{e, v, i + 1})
				break
			}
			if i == 0 && !e.Whole && !e.active() && !in[e.get("class")] {
				out = append(out, &loss{e, nil, 0})
			}
		}
	}
	return out
}

// enrolled tells of a person who has no enrollment, or lost some lately.
func (q *inquiry) enrolled(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	in := ""
	if q.Class != "" {
		in = " in class " + q.Class
		if g := q.grounds["classes/"+q.Class]; g != nil {
			in = " in " + q.name(g)
		}
	}
	there, gone := q.there(), q.losses()
	role := q.subject.get("role")
	switch {
	case len(there)+len(gone) > 0:
	case in == "" && (role == "guardian" || role == "parent" || role == "relative"):
		return q.guards(), nil
	case in == "" && (role == "administrator" || role == "sysadmin"):
		return reason{}, nil
	default:
		return reason{"no enrollment", fmt.Sprintf("%s has no enrollment%s, and none is known of before",
			q.name(q.subject), in)}, nil
	}
	if len(gone) == 0 {
		return q.role(ctx, c, k)
	}
	last := slices.MaxFunc(gone, func(a, b *loss) int { return cmp.Compare(a.by().Rev, b.by().Rev) })
	by := last.by()
	if len(there) > 0 && q.now.Sub(stampTime(by.Stamp)) > recently {
		return q.role(ctx, c, k)
	}
	gone = slices.DeleteFunc(gone, func(e *loss) bool {
		return e.by().Rev != by.Rev || active(e.by()) != active(by)
	})
	whose, err := q.by(ctx, last.life, by)
	if err != nil {
		return reason{}, err
	}
	titles, lives := make([]string, len(gone)), make([]*life, len(gone))
	for i, e := range gone {
		titles[i], lives[i] = q.class(e.class()), e.life
	}
	slices.Sort(titles)
	what, kind := "retired", "enrollment retired"
	if active(by) { // its id was used again
		what, kind = "changed", "enrollment changed"
		if len(gone) == 1 {
			whose += fmt.Sprintf(" (%s)", q.step(last.life, last.at))
		}
	}
	happened := fmt.Sprintf("on %s the enrollment%s was %s by %s", when(by), more(" in ", titles, 5), what,
		whose)
	if len(gone) > 1 {
		happened = fmt.Sprintf("on %s the enrollments%s were %s by %s", when(by), more(" in ", titles, 5),
			what,
			whose)
	}
	happened += q.with(lives, by.Rev)
	if was, is := q.moved(by.Rev); was != is {
		kind = "moved"
		happened += fmt.Sprintf(", and in the same change orgs went from %q to %q", was, is)
	}
	if c == nil {
		return reason{kind, fmt.Sprintf("%s is served as active; %s", q.name(q.subject), happened)}, nil
	}
	known, err := q.knows(ctx, c, q.enrollments)
	if err != nil {
		return reason{}, err
	}
	ke := known[last.ID]
	head := k.last
	if k.good != nil {
		head = k.good
	}
	if ke.good != nil && ke.good.version.Rev < by.Rev { // when it read the enrollment, not only the person
		head = ke.good
	}
	classes := map[string]bool{}
	for _, e := range q.enrollments {
		if v := e.At(head.LastEdition); known[e.ID].good != nil && v != nil && q.counts(e, v) {
			classes[v.Record.Get("class")] = true
		}
	}
	text := fmt.Sprintf("%s read %s on %s as active in %s; %s", c.Name, q.name(q.subject), head.when(),
		words.Count(len(classes), "class"), happened)
	if len(classes) == 0 {
		text = fmt.Sprintf("%s read %s on %s as active; %s", c.Name, q.name(q.subject), head.when(), happened)
	}
	told, err := q.toldOf(ctx, c, ke, by)
	return reason{kind, text + told}, err
}

// moved is in which orgs a person was before a change and after it.
func (q *inquiry) moved(rev int64) (was, is string) {
	for i, v := range q.subject.Versions {
		if i > 0 && v.Rev == rev {
			was, is = q.subject.Versions[i-1].Record.Get("orgs"), v.Record.Get("orgs")
		}
	}
	return oneroster.Spelled(was), oneroster.Spelled(is)
}

// toldOf says whether a client has read a change of an enrollment.
func (q *inquiry) toldOf(ctx context.Context, c *auth.Client, k *known, by *store.Version) (string, error) {
	switch {
	case k.last != nil && (k.last.version == nil || k.last.version.Rev >= by.Rev):
		return fmt.Sprintf("; %s read that on %s", c.Name, k.last.when()), nil
	case k.forgotten():
		return fmt.Sprintf("; %s %s, and what was served of it then is not known any more", c.Name,
			k.miss.text), nil
	case k.good == nil:
		return fmt.Sprintf(", before %s had read it", c.Name), nil
	}
	next, err := q.next(ctx, c, k, by)
	return fmt.Sprintf("; %s has not read that yet%s", c.Name, next), err
}

// role tells of an enrollment that was given another role lately, as the last that became of any.
func (q *inquiry) role(ctx context.Context, c *auth.Client, k *known) (reason, error) {
	for _, e := range q.there() {
		now, at := e.Now(), len(e.Versions)-1
		if at == 0 || !q.counts(e, &e.Versions[at-1]) || q.now.Sub(stampTime(now.Stamp)) > recently {
			continue
		}
		was, is := e.Versions[at-1].Record.Get("role"), now.Record.Get("role")
		if was == is {
			continue
		}
		by, err := q.by(ctx, e, now)
		if err != nil {
			return reason{}, err
		}
		happened := fmt.Sprintf("on %s the role in %s was changed from %s to %s by %s", when(now),
			q.classOf(e), was,
			is, by)
		if c == nil {
			return reason{"role changed", fmt.Sprintf("%s is served as active; %s", q.name(q.subject),
				happened)}, nil
		}
		known, err := q.knows(ctx, c, []*life{e})
		if err != nil || known[e.ID].last == nil {
			return reason{}, err
		}
		told, err := q.toldOf(ctx, c, known[e.ID], now)
		return reason{"role changed", q.readAs(c, k, -1) + "; " + happened + told}, err
	}
	return reason{}, nil
}

// guards tells of who is there for pupils, and has none.
func (q *inquiry) guards() reason {
	if q.subject.get("agents") != "" {
		return reason{}
	}
	return reason{"no pupil",
		fmt.Sprintf("%s is a %s of nobody: agents is empty, and readers take contacts by their "+
			"pupils", q.name(q.subject), q.subject.get("role"))}
}

// with is what records lean on, all of them, that was retired in the same change: the highest.
func (q *inquiry) with(all []*life, rev int64) string {
	below := func(l *life) (out []*life) {
		for layer := []*life{l}; len(layer) > 0; {
			l, layer = layer[0], layer[1:]
			for _, f := range l.r.Fields {
				if to := oneroster.ByName(f.To); to == nil || f.Inverse != "" || to.Name == "user" {
					continue
				}
				for _, g := range q.refs(l, f.Name) {
					if !slices.Contains(out, g) {
						out, layer = append(out, g), append(layer, g)
					}
				}
			}
		}
		return out
	}
	common := below(all[0])
	for _, l := range all[1:] {
		more := below(l)
		common = slices.DeleteFunc(common, func(g *life) bool { return !slices.Contains(more, g) })
	}
	common = slices.DeleteFunc(common, func(g *life) bool { return g.active() || g.left().Rev != rev })
	if len(common) == 0 {
		return ""
	}
	return ", with " + q.name(slices.MinFunc(common, func(a, b *life) int {
		return cmp.Or(slices.Index(oneroster.Resources(), a.r)-slices.Index(oneroster.Resources(), b.r),
			strings.Compare(a.ID, b.ID))
	}))
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
