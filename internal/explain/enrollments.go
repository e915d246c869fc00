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
	"rollbook/internal/store"
	"rollbook/internal/words"
)

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
	return q.lost(ctx, c, k, there, gone)
}

// lost tells of the enrollments that a person lost last, unless that was long ago.
func (q *inquiry) lost(ctx context.Context, c *auth.Client, k *known, there []*life, gone []*loss) (reason,
	error) {
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
			what, whose)
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
	told, err := q.toldOf(ctx, c, known[last.ID], by)
	return reason{kind, q.readIn(c, k, known, last.ID, by) + "; " + happened + told}, err
}

// readIn is the sentence of what a client read of a person, and in how many classes, before a change
// of one enrollment.
func (q *inquiry) readIn(c *auth.Client, k *known, of map[string]*known, id string,
	by *store.Version) string {
	ke := of[id]
	head := k.last
	if k.good != nil {
		head = k.good
	}
	if ke.good != nil && ke.good.version.Rev < by.Rev { // when it read the enrollment, not only the person
		head = ke.good
	}
	classes := map[string]bool{}
	for _, e := range q.enrollments {
		if v := e.At(head.LastEdition); of[e.ID].good != nil && v != nil && q.counts(e, v) {
			classes[v.Record.Get("class")] = true
		}
	}
	text := fmt.Sprintf("%s read %s on %s as active", c.Name, q.name(q.subject), head.when())
	if len(classes) > 0 {
		text += " in " + words.Count(len(classes), "class")
	}
	return text
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
			q.classOf(e), was, is, by)
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
