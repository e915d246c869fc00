// Package explain answers why a reader lacks a record, or has it: what is served of it, what each
// client read of it and when, what changed it and by whom, and what School Data Sync says of it and
// of all that it leans on.
package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"rollbook/internal/auth"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// An Asked is what somebody wants to know.
type Asked struct {
	Resource *oneroster.Resource
	ID       string
	Class    string    // of a person: only what has to do with this class; "" is all
	Client   string    // by its id; "" is the one that read last
	At       time.Time // as things were then; the zero time is now
}

// An Explainer answers for one district.
type Explainer struct {
	*store.Store
	Today time.Time // what the calendar is looked at with; the zero time is now
	// Said is what a publication's package says of some records of one resource, by their ids, such as
	// "users.csv lacks it"; it is empty where the package is not kept. It may be nil.
	Said func(ctx context.Context, p store.Publication, r *oneroster.Resource,
		ids []string) (map[string]string, error)
}

// An Answer is what there is to say of a record.
type Answer struct {
	Sentence string   `json:"sentence"` // the reason, first
	Kind     string   `json:"kind"`     // of the reason, in a word or two
	Resource string   `json:"resource"`
	ID       string   `json:"sourcedId"`
	Name     string   `json:"name"`
	Served   []string `json:"served"`  // what is served of it now, a sentence each
	Clients  []Reader `json:"clients"` // the one that was asked for first
	Changes  []Change `json:"changes"` // the latest first
	Rules    []Broken `json:"rules"`   // of School Data Sync, the worst first
}

// A Reader is what one client knows of the record.
type Reader struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Pull int64  `json:"pull,omitempty"` // in which it was read last
	Read string `json:"read,omitempty"` // when; RFC 3339
	Text string `json:"text"`
}

// A Change is one that the record, or what it leans on, went through.
type Change struct {
	At        string `json:"dateLastModified"`
	Resource  string `json:"resource"`
	SourcedID string `json:"sourcedId"`
	Text      string `json:"text"`
	By        string `json:"by"`
}

// A Broken is a rule of School Data Sync that is broken.
type Broken struct {
	Rule      string `json:"rule"`
	Severity  string `json:"severity"`
	Resource  string `json:"resource"`
	SourcedID string `json:"sourcedId"`
	Text      string `json:"text"`
	Fix       string `json:"fix"`
}

// A Missing error: there is no such record, and there was none.
type Missing struct{ Text string }

func (e *Missing) Error() string { return e.Text }

// An inquiry is one answer in the making.
type inquiry struct {
	*Explainer
	Asked
	now     time.Time
	horizon int64 // the last change that counts
	subject *life
	// Of a person: enrollments, and by their ids what those lean on.
	enrollments []*life
	grounds     map[string]*life // by resource/id
	clients     []auth.Client
	pubs        map[int64]store.Publication  // by rev
	said        map[string]map[string]string // by publication and resource
	broken      []quality.Finding
	questions   map[string][]*ledger.Question // by client, the latest first
	lists       map[string][]uint32           // as they were, by places
	waiting     string                        // of a publication that is not served, after a semicolon
	held        bool                          // it waits for a person
}

// A life is a record's, as far as the horizon.
type life struct {
	*store.Life
	r *oneroster.Resource
}

func (l *life) key() string { return l.r.Plural + "/" + l.ID }

// get reads a field as it is, or as it last was before the record was retired: what has left keeps
// only its name.
func (l *life) get(field string) string {
	for i := len(l.Versions) - 1; i >= 0; i-- {
		if v := l.Versions[i].Record.Get(field); v != "" ||
			l.Versions[i].Record.Get("status") == oneroster.Active {
			return v
		}
	}
	return ""
}

func (l *life) active() bool { return active(l.Now()) }

func active(v *store.Version) bool { return v != nil && v.Record.Get("status") == oneroster.Active }

// Explain answers. *Missing where there is no such record.
func (x *Explainer) Explain(ctx context.Context, asked Asked) (*Answer, error) {
	q := &inquiry{Explainer: x, Asked: asked, now: x.Today, grounds: map[string]*life{}, horizon: 1 << 62,
		pubs: map[int64]store.Publication{}, said: map[string]map[string]string{},
		questions: map[string][]*ledger.Question{}, lists: map[string][]uint32{}}
	if q.now.IsZero() {
		q.now = time.Now()
	}
	if !q.At.IsZero() {
		var err error
		if q.horizon, err = x.RevAt(ctx, q.At); err != nil {
			return nil, err
		}
		q.now = q.At
	}
	var err error
	if q.clients, err = x.Store.Clients(ctx); err != nil {
		return nil, err
	}
	pubs, err := x.Publications(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, p := range pubs {
		if p.Rev > 0 {
			q.pubs[p.Rev] = p
		}
	}
	q.waits(pubs)
	lives, err := q.lives(ctx, q.Resource, "sourcedId", q.ID)
	if err != nil {
		return nil, err
	}
	if len(lives) == 0 {
		return nil, q.missing(ctx, pubs)
	}
	q.subject = lives[0]
	if err := q.lean(ctx); err != nil {
		return nil, err
	}
	if err := q.judge(ctx); err != nil {
		return nil, err
	}
	return q.answer(ctx)
}

// waits finds what came after all that was published, and is not served.
func (q *inquiry) waits(pubs []store.Publication) {
	for _, p := range pubs {
		was := map[store.State]string{store.StateHeld: "has been held since",
			store.StateRefused:   "was refused on",
			store.StateDiscarded: "was discarded on"}[p.State]
		switch {
		case p.State == store.StatePublished:
			return
		case was != "" && !stampTime(p.Decided).After(q.now):
			q.held = p.State == store.StateHeld
			q.waiting = fmt.Sprintf("; publication %d (%s) %s %s: what is new in it is not served", p.ID,
				p.Package, was, words.When(stampTime(p.Decided)))
			return
		}
	}
}

// lives are the lives of records up to the horizon.
func (q *inquiry) lives(ctx context.Context, r *oneroster.Resource, field string, of ...string) (out []*life,
	err error) {
	of = slices.DeleteFunc(slices.Clone(of), func(id string) bool { return id == "" })
	slices.Sort(of)
	if of = slices.Compact(of); len(of) == 0 {
		return nil, nil
	}
	all, err := q.Lives(ctx, r, field, of...)
	for _, l := range all {
		l.Versions = slices.DeleteFunc(l.Versions, func(v store.Version) bool { return v.Rev > q.horizon })
		if len(l.Versions) > 0 {
			out = append(out, &life{l, r})
		}
	}
	return out, err
}

// lean finds what the record leans on: of a person the enrollments, of those the classes, of
// those the courses, terms and schools.
func (q *inquiry) lean(ctx context.Context) error {
	layer := []*life{q.subject}
	if q.Resource.Name == "user" {
		all, err := q.lives(ctx, oneroster.ByName("enrollment"), "user", q.ID)
		if err != nil {
			return err
		}
		for _, e := range all {
			if q.Class == "" || slices.ContainsFunc(e.Versions, func(v store.Version) bool {
				return v.Record.Get("class") == q.Class
			}) {
				q.enrollments = append(q.enrollments, e)
			}
		}
		layer = append(layer, q.enrollments...)
	}
	for len(layer) > 0 {
		wanted := map[*oneroster.Resource][]string{}
		for _, l := range layer {
			for _, f := range l.r.Fields {
				to := oneroster.ByName(f.To)
				if to == nil || f.Inverse != "" || to.Name == "resource" || l.r == to && to.Name == "user" {
					continue
				}
				for _, v := range l.Versions { // what it leant on before is told of too
					for _, id := range oneroster.Items(v.Record.Get(f.Name)) {
						if q.grounds[to.Plural+"/"+id] == nil {
							wanted[to] = append(wanted[to], id)
						}
					}
				}
			}
		}
		layer = nil
		for _, r := range oneroster.Resources() {
			found, err := q.lives(ctx, r, "sourcedId", wanted[r]...)
			if err != nil {
				return err
			}
			for _, l := range found {
				q.grounds[l.key()] = l
			}
			layer = append(layer, found...)
		}
	}
	return nil
}

// ground is what a reference of a record points at; nil where there is none.
func (q *inquiry) ground(l *life, field string) *life {
	f := l.r.Field(field)
	if f == nil {
		return nil
	}
	id, _, _ := strings.Cut(l.get(field), oneroster.ListSep)
	return q.grounds[oneroster.ByName(f.To).Plural+"/"+id]
}

// name is how a person calls a record.
func (q *inquiry) name(l *life) string {
	switch l.r.Name {
	case "user":
		name := strings.TrimSpace(l.get("givenName") + " " + l.get("familyName"))
		return strings.TrimSpace(name + " (" + l.key() + ")")
	case "enrollment":
		return fmt.Sprintf("the enrollment in %s (%s)", q.classOf(l), l.key())
	}
	title := strings.TrimSpace(spaced(l.r.Name) + " " + cmp.Or(l.get("title"), l.get("name")))
	return fmt.Sprintf("%s (%s)", title, l.key())
}

// spaced is a name of the standard as people write it: line item.
func spaced(name string) string {
	var out strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			out.WriteByte(' ')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// classOf is the title of the class of an enrollment.
func (q *inquiry) classOf(e *life) string { return q.class(e.get("class")) }

func (q *inquiry) class(id string) string {
	if c := q.grounds["classes/"+id]; c != nil && c.get("title") != "" {
		return c.get("title")
	}
	return "class " + id
}

// by is who made a change, and what its package said of a record that was retired.
func (q *inquiry) by(ctx context.Context, l *life, v *store.Version) (string, error) {
	p, published := q.pubs[v.Rev]
	switch {
	case published:
		text := fmt.Sprintf("publication %d (%s)", p.ID, p.Package)
		if active(v) {
			return text, nil
		}
		said, err := q.says(ctx, p, l)
		if said != "" {
			text = fmt.Sprintf("publication %d (%s: %s)", p.ID, p.Package, said)
		}
		return text, err
	case v.Cause == "":
		return "an import", nil
	case v.Cause == "restored":
		return "the restoring of an older copy", nil
	}
	if id, ok := strings.CutPrefix(v.Cause, "client "); ok {
		return "client " + q.called(id), nil
	}
	return v.Cause, nil
}

// says is what a package says of a record. It is read once for all of that kind.
func (q *inquiry) says(ctx context.Context, p store.Publication, l *life) (string, error) {
	key := fmt.Sprint(p.ID, " ", l.r.Plural)
	said, known := q.said[key]
	if known || q.Said == nil || len(q.said) > 3 {
		return said[l.ID], nil
	}
	ids := []string{l.ID}
	for _, other := range append(slices.Collect(maps.Values(q.grounds)), q.enrollments...) {
		if other.r == l.r {
			ids = append(ids, other.ID)
		}
	}
	said, err := q.Said(ctx, p, l.r, ids)
	if errors.Is(err, store.ErrNotKept) {
		err = nil
	}
	q.said[key] = said
	return said[l.ID], err
}

// called is the name of a client.
func (q *inquiry) called(id string) string {
	for _, c := range q.clients {
		if c.ID == id && c.Name != "" {
			return c.Name
		}
	}
	return id
}

func stampTime(stamp string) time.Time {
	t, _, _ := oneroster.ParseInstant(stamp)
	return t
}

func when(v *store.Version) string { return words.When(stampTime(v.Stamp)) }

// left is the version by which a record was retired last; nil where it is there.
func (l *life) left() *store.Version {
	if l.active() {
		return nil
	}
	at := len(l.Versions) - 1
	for at > 0 && !active(&l.Versions[at-1]) {
		at--
	}
	return &l.Versions[at]
}

// came is the version with which a record came, or came back.
func (l *life) came() *store.Version {
	at := len(l.Versions) - 1
	for at > 0 && active(&l.Versions[at-1]) {
		at--
	}
	return &l.Versions[at]
}

// missing says why there is no such record, with ids that are near.
func (q *inquiry) missing(ctx context.Context, pubs []store.Publication) error {
	text := fmt.Sprintf("there is no %s %q, and there was none", q.Resource.Name, q.ID)
	if !q.At.IsZero() {
		q.horizon = 1 << 62
		later, err := q.lives(ctx, q.Resource, "sourcedId", q.ID)
		if err != nil {
			return err
		}
		text += " on " + words.When(q.At)
		if len(later) > 0 {
			v := &later[0].Versions[0]
			if !later[0].Whole {
				return &Missing{fmt.Sprintf("what %s was on %s is not known any more: the journal does "+
					"not go back to it", q.name(later[0]), words.When(q.At))}
			}
			by, err := q.by(ctx, later[0], v)
			return cmp.Or(err, error(&Missing{fmt.Sprintf("%s was not there yet on %s: it came on %s by %s",
				q.name(later[0]), words.When(q.At), when(v), by)}))
		}
	}
	var near []string
	err := q.Snapshot(ctx, func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		return each(q.Resource, func(rec oneroster.Record) error {
			if strings.EqualFold(strings.TrimSpace(q.ID), strings.TrimSpace(rec.ID())) && len(near) < 3 {
				near = append(near, q.Resource.Plural+"/"+rec.ID())
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if len(near) > 0 {
		return &Missing{text + ": there is " + strings.Join(near, " and ") + ", which is another sourcedId"}
	}
	for _, p := range pubs[:min(len(pubs), 10)] {
		said := ""
		if q.Said != nil {
			all, err := q.Said(ctx, p, q.Resource, []string{q.ID})
			if err != nil && !errors.Is(err, store.ErrNotKept) {
				return err
			}
			said = all[q.ID]
		}
		if !strings.Contains(said, " has it") {
			continue
		}
		became := fmt.Sprintf("was %s on", p.State)
		next := fmt.Sprintf("see rollbook publications show %d", p.ID)
		switch p.State {
		case store.StatePlanning:
			continue
		case store.StatePublished:
			next = "this row was left out as wrong: " + next
		case store.StateHeld, store.StateRefused:
			became = fmt.Sprintf("has been %s since", p.State)
		}
		if p.State == store.StateHeld {
			next = fmt.Sprintf("see rollbook publish %d", p.ID)
		}
		return &Missing{fmt.Sprintf("%s; publication %d (%s: %s) %s %s: %s", text, p.ID, p.Package, said,
			became, words.When(stampTime(cmp.Or(p.Decided, p.At))), next)}
	}
	return &Missing{text}
}

// changes are those of the record and of what a person's enrollments lean on, the latest first.
func (q *inquiry) changes(ctx context.Context) (out []Change, err error) {
	type step struct {
		*life
		at int
	}
	var steps []step
	all := append([]*life{q.subject}, q.enrollments...)
	for _, l := range q.grounds {
		if l.key() != q.subject.key() {
			all = append(all, l)
		}
	}
	for _, l := range all {
		for i := range l.Versions {
			if i > 0 || l == q.subject || l.r.Name == "enrollment" {
				steps = append(steps, step{l, i})
			}
		}
	}
	slices.SortFunc(steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(b.Versions[b.at].Rev, a.Versions[a.at].Rev), cmp.Compare(a.key(), b.key()))
	})
	for _, s := range steps[:min(len(steps), mostChanges)] {
		v := &s.Versions[s.at]
		by, err := q.by(ctx, s.life, v)
		if err != nil {
			return nil, err
		}
		out = append(out, Change{v.Stamp, s.r.Plural, s.ID, q.step(s.life, s.at), by})
	}
	return out, nil
}

// mostChanges are told.
const mostChanges = 20

// step is what one version changed.
func (q *inquiry) step(l *life, at int) string {
	v := &l.Versions[at]
	if at == 0 {
		return "came"
	}
	was := &l.Versions[at-1]
	switch {
	case active(was) && !active(v):
		return "was retired"
	case !active(was) && active(v):
		return "came back"
	}
	var fields []string
	for i, f := range l.r.Fields {
		if i != oneroster.Modified && was.Record.Values[i] != v.Record.Values[i] {
			fields = append(fields, fmt.Sprintf("%s %q → %q", f.Name, oneroster.Spelled(was.Record.Values[i]),
				oneroster.Spelled(v.Record.Values[i])))
		}
	}
	if len(fields) == 0 {
		return "was stamped anew"
	}
	return strings.Join(fields, ", ")
}

// served says what is served of the record now.
func (q *inquiry) served() (out []string) {
	l := q.subject
	if !l.active() {
		out = append(out, fmt.Sprintf("%s is served as tobedeleted since %s", q.name(l), when(l.left())))
	} else {
		out = append(out, fmt.Sprintf("%s is served as active, last changed %s", q.name(l), when(l.Now())))
	}
	if l.r.Name == "user" {
		there := q.there()
		titles := make([]string, len(there))
		for i, e := range there {
			titles[i] = fmt.Sprintf("%s (%s)", q.classOf(e), e.get("role"))
		}
		slices.Sort(titles)
		out = append(out, words.Count(len(there), "active enrollment")+more(": ", titles, 12))
	}
	return out
}

// more lists some texts, and how many there are beyond them.
func more(head string, texts []string, most int) string {
	switch {
	case len(texts) == 0:
		return ""
	case len(texts) > most:
		return fmt.Sprintf("%s%s and %d more", head, strings.Join(texts[:most], ", "), len(texts)-most)
	case len(texts) > 1:
		return head + strings.Join(texts[:len(texts)-1], ", ") + " and " + texts[len(texts)-1]
	}
	return head + texts[0]
}

// there are the enrollments that are active.
func (q *inquiry) there() (out []*life) {
	for _, e := range q.enrollments {
		if q.counts(e, e.Now()) {
			out = append(out, e)
		}
	}
	return out
}

// counts tells whether a version of a record is what is asked for: of the enrollments of a person,
// whose ids may be used again, those that are hers.
func (q *inquiry) counts(l *life, v *store.Version) bool {
	return active(v) && (q.subject.r.Name != "user" || l.r.Name != "enrollment" ||
		v.Record.Get("user") == q.ID && (q.Class == "" || v.Record.Get("class") == q.Class))
}
