package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

const (
	// publicationsSeen is how many of the latest a digest counts.
	publicationsSeen = 500
	// planTime is after which a publication that is still being planned is trouble.
	planTime = time.Hour
	// settled is how long a feed that failed has to go well before that is over: one that fails now and
	// then is told of once.
	settled = time.Hour
	// beginsAnew is how soon a turn that was broken off has another.
	beginsAnew = 10 * time.Minute
	// sameLines is how many lines of one event a message has one by one.
	sameLines = 5
	// waitsKept is how many publications are remembered to be open.
	waitsKept = 1000
	// idsTold is how many sourcedIds a line has at most.
	idsTold = 20
)

// news is what is to be told of a district now.
func (k *Notifiers) news(ctx context.Context, s Settings, name string, m memory) ([]told, error) {
	now := k.now()
	zone, err := k.Zone(ctx)
	if err != nil {
		return nil, err
	}
	fates, err := k.fates(ctx, s, m)
	if err != nil {
		return nil, err
	}
	are, err := k.conditions(ctx, s, m, fates.open, now)
	if err != nil {
		return nil, err
	}
	begun, again := are.since(m, now, s.remind(), zone)
	over, err := k.over(ctx, m, are)
	if err != nil {
		return nil, err
	}
	t := teller{s, name, m, now, nil}
	t.fated(fates, begun)
	t.tell("reminder", fmt.Sprint(keys(again)), again, func(m *memory) {
		for _, l := range again {
			was := m.Troubles[l.key]
			was.Told = now
			m.Troubles[l.key] = was
		}
	})
	t.tell("over", fmt.Sprint(keys(over)), over, func(m *memory) {
		for _, l := range over {
			delete(m.Troubles, l.key)
		}
	})
	if due := s.Digest.Next(m.Digest, zone); !due.IsZero() && !due.After(now) {
		lines, err := k.digest(ctx, m.Digest, len(m.Troubles)+len(begun)-len(over))
		if err != nil {
			return nil, err
		}
		for _, l := range are.sorted() {
			lines = append(lines, Line{Event: l.Event, Text: l.Text})
		}
		t.tell("digest", due.String(), lines, func(m *memory) { m.Digest = now })
	}
	return t.out, nil
}

// A told message changes what is remembered, once it was sent.
type told struct {
	*Message
	remember func(*memory)
}

// A teller puts news into messages.
type teller struct {
	Settings
	name string // of the notifier
	m    memory
	now  time.Time
	out  []told
}

func (t *teller) tell(kind, of string, lines []Line, remember func(*memory)) {
	if len(lines) == 0 {
		return
	}
	id := idOf(t.name, t.m.Begun.Format(time.RFC3339Nano), fmt.Sprint(t.m.Sent+len(t.out)), kind, of)
	lines = together(lines)
	for i := range lines {
		lines[i].Do = t.verbs(lines[i].Do)
	}
	subject := lines[0].Text
	if len(lines) > 1 && kind != "digest" {
		subject = fmt.Sprintf("%s, and %d more", strings.TrimSuffix(subject, "."), len(lines)-1)
	}
	t.out = append(t.out, told{&Message{ID: id, Kind: kind, District: t.District, At: t.now,
		Subject: t.titled(short(subject)), Lines: lines}, remember})
}

// fated tells what became of publications in one message with new trouble, so that each is remembered whole.
func (t *teller) fated(fates fated, begun []Line) {
	kind := "news"
	refused := func(l Line) bool { return l.Event == "refused" }
	if len(begun) > 0 || slices.ContainsFunc(fates.lines, refused) {
		kind = "trouble"
	}
	slices.SortStableFunc(fates.lines, func(a, b Line) int { return -cmp.Compare(a.Event, b.Event) })
	t.tell(kind, fmt.Sprint(keys(begun), fates.last), slices.Concat(begun, fates.lines), func(m *memory) {
		m.Last, m.Waits = fates.last, fates.waits[max(0, len(fates.waits)-waitsKept):]
		for _, l := range begun {
			m.Troubles[l.key] = trouble{t.now, t.now, l.Text, l.over, l.Publication}
		}
	})
}

// keys of troubles, of which lines are.
func keys(lines []Line) (out []string) {
	for _, l := range lines {
		out = append(out, l.key)
	}
	return out
}

// over are the troubles that are over, and how.
func (k *Notifiers) over(ctx context.Context, m memory, are are) (out []Line, err error) {
	for _, key := range slices.Sorted(maps.Keys(m.Troubles)) {
		if _, is := are.lines[key]; is {
			continue
		}
		t := m.Troubles[key]
		line := Line{Event: "over", Text: "It is there no more: " + t.Text, Publication: t.Publication,
			key: key}
		if t.Publication > 0 {
			p, err := k.Store.Publication(ctx, t.Publication)
			if err != nil {
				return nil, err
			}
			line.Text = fmt.Sprintf("Publication %d is %s now.", t.Publication, p.State)
		} else if are.there[key] {
			line.Text = t.Over
		}
		out = append(out, line)
	}
	return out, nil
}

// verbs are those of what to do, which say which district is meant.
func (s Settings) verbs(do string) string {
	if s.Short == "" {
		return do
	}
	return strings.ReplaceAll(do, "rollbook ", "rollbook --district "+s.Short+" ")
}

// short is a text that fits a subject.
func short(text string) string {
	if r := []rune(text); len(r) > 110 {
		return string(r[:109]) + "…"
	}
	return text
}

// together makes one line of many of the same event.
func together(lines []Line) (out []Line) {
	of := map[string][]Line{}
	for _, l := range lines {
		of[l.Event] = append(of[l.Event], l)
	}
	for _, l := range lines {
		same := of[l.Event]
		switch {
		case len(same) <= sameLines:
			out = append(out, l)
		case l.Text == same[0].Text && l.Publication == same[0].Publication:
			last := same[len(same)-1]
			last.Text = fmt.Sprintf("This happened %d times, the last: %s", len(same), last.Text)
			out = append(out, last)
		}
	}
	return out
}

// fated is what has become of publications since they were looked at last.
type fated struct {
	lines []Line
	open  []store.Publication // that wait for something
	last  int64               // the latest that is told of
	waits []int64             // earlier ones that are open
}

func (k *Notifiers) fates(ctx context.Context, s Settings, m memory) (out fated, err error) {
	var states []store.State
	if slices.Contains(s.On, "refused") {
		states = append(states, store.StateRefused)
	}
	if slices.Contains(s.On, "published") && len(s.Digest.At) == 0 {
		states = append(states, store.StatePublished)
	}
	all, err := k.Store.PublicationsAfter(ctx, m.Last, m.Waits, states)
	if err != nil {
		return out, err
	}
	out.last = m.Last
	for _, p := range all {
		if p.State == store.StateHeld || p.State == store.StatePlanning {
			out.open, out.waits = append(out.open, p), append(out.waits, p.ID)
			continue
		}
		out.last = max(out.last, p.ID)
		switch p.State {
		case store.StateRefused:
			out.add("refused", p, "is refused: its package cannot be used, and nothing was changed",
				fmt.Sprintf("rollbook publications show %d", p.ID))
		case store.StatePublished:
			out.add("published", p, fmt.Sprintf("is published: %s added, %s changed, %s retired",
				words.Thousands(p.Added), words.Thousands(p.Changed), words.Thousands(p.Retired)), "")
		}
	}
	return out, nil
}

func (f *fated) add(event string, p store.Publication, what, do string) {
	f.lines = append(f.lines, Line{Event: event, Publication: p.ID, Do: do,
		Text: fmt.Sprintf("Publication %d %s.", p.ID, what)})
}

// are is the trouble that there is, by its key, and the keys of all that could have some.
type are struct {
	lines map[string]Line
	there map[string]bool
}

// sorted are the lines in the order of their keys, which they are given.
func (a are) sorted() (out []Line) {
	for _, key := range slices.Sorted(maps.Keys(a.lines)) {
		line := a.lines[key]
		line.key = key
		out = append(out, line)
	}
	return out
}

// since tells what of the trouble is new, and what is to be told again.
func (a are) since(m memory, now time.Time, remind time.Duration, zone *time.Location) (begun, again []Line) {
	for _, line := range a.sorted() {
		was, known := m.Troubles[line.key]
		switch {
		case !known:
			begun = append(begun, line)
		case now.Sub(was.Told) >= remind:
			line.Text = fmt.Sprintf("Still, since %s: %s", was.Since.In(zone).Format("2006-01-02 15:04"),
				line.Text)
			again = append(again, line)
		}
	}
	return begun, again
}

func (k *Notifiers) conditions(ctx context.Context, s Settings, m memory, open []store.Publication,
	now time.Time) (out are, err error) {
	out = are{map[string]Line{}, map[string]bool{}}
	on := func(event string) bool { return slices.Contains(s.On, event) }
	for _, p := range open {
		at, _ := time.Parse(oneroster.TimeLayout, p.At)
		key := fmt.Sprint("held-", p.ID)
		was, known := m.Troubles[key]
		switch {
		case known && p.State == store.StateHeld && now.Sub(was.Told) < s.remind():
			out.lines[key] = Line{Event: "held", Text: was.Text} // is told in a digest at most
		case p.State == store.StateHeld && on("held"):
			if out.lines[key], err = k.heldLine(ctx, s, p); err != nil {
				return out, err
			}
		case p.State == store.StatePlanning && on("refused") && now.Sub(at) >= planTime:
			out.lines[fmt.Sprint("stuck-", p.ID)] = Line{Event: "refused", Publication: p.ID,
				Do: fmt.Sprintf("rollbook publications show %d; import the package again if nobody is at it",
					p.ID),
				Text: fmt.Sprintf("Publication %d came more than an hour ago and nothing has become of it: "+
					"its process may have been ended.", p.ID)}
		}
	}
	if on("failed") || on("silent-source") {
		feeds, err := k.Store.Feeds(ctx, "")
		if err != nil {
			return out, err
		}
		for _, f := range feeds {
			if err := k.feed(ctx, s, m, f, now, out); err != nil {
				return out, err
			}
		}
	}
	if on("silent-reader") {
		err = k.silent(ctx, m, now, span(s.SilentReader, 26*time.Hour), out)
	}
	return out, err
}

// feed tells whether a source or an outlet fails, or a source brings nothing.
func (k *Notifiers) feed(ctx context.Context, s Settings, m memory, f store.Feed, now time.Time,
	out are) error {
	if f.Kind == store.FeedNotify {
		return nil
	}
	name, do := fmt.Sprintf("%s %s", f.Kind, f.Name), fmt.Sprintf("rollbook %s show %s", f.Kind, f.Name)
	key, silent := fmt.Sprintf("failed-%s-%s", f.Kind, f.Name), "silent-source-"+f.Name
	out.there[key], out.there[silent] = true, true
	_, known := m.Troubles[key]
	most := 3 // one of which may be running, and one stopped
	if known {
		most = 0
	}
	runs, err := k.Store.Runs(ctx, f.Kind, f.Name, most)
	if err != nil {
		return err
	}
	runs = slices.DeleteFunc(runs, func(r store.Run) bool { return r.State == store.RunRunning })
	brought := f.Made
	for i, r := range runs {
		ended, _ := time.Parse(oneroster.TimeLayout, r.Ended)
		failed := r.State == store.RunFailed || r.State == store.RunBroken
		if r.State == store.RunBroken && i == 0 && now.Sub(ended) < beginsAnew {
			// The service was started anew, say; it is trouble when the turn before did not go well either.
			failed = len(runs) > 1 && (runs[1].State == store.RunFailed || runs[1].State == store.RunBroken)
		}
		if failed && slices.Contains(s.On, "failed") && (i == 0 || known && now.Sub(ended) < settled) {
			out.lines[key] = Line{Event: "failed", Name: f.Name, Do: do,
				Text: fmt.Sprintf("The %s fails.", name), over: fmt.Sprintf("The %s works again.", name)}
		}
		if r.Publication > 0 {
			brought = max(brought, r.Ended)
		}
	}
	limit := span(s.SilentSource, 26*time.Hour)
	if f.Kind != store.FeedSource || f.Due == "" || !slices.Contains(s.On, "silent-source") ||
		!since(brought, now, limit) {
		return nil
	}
	last, err := k.Store.LastBrought(ctx, name)
	if err == nil && since(max(brought, last), now, limit) {
		out.lines[silent] = Line{Event: "silent-source", Name: f.Name, Do: do,
			Text: fmt.Sprintf("The %s has brought nothing for more than %s.", name, words.Lasting(limit)),
			over: fmt.Sprintf("The %s has brought something again.", name)}
	}
	return err
}

func since(stamp string, now time.Time, limit time.Duration) bool {
	at, err := time.Parse(oneroster.TimeLayout, stamp)
	return err == nil && now.Sub(at) > limit
}

func (k *Notifiers) heldLine(ctx context.Context, s Settings, p store.Publication) (Line, error) {
	doc, err := (&intake.Intake{Store: k.Store}).Document(ctx, p.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Line{}, err
	}
	line := Line{Event: "held", Publication: p.ID,
		Do: fmt.Sprintf("rollbook publications show %[1]d, then rollbook publish %[1]d --reason \"…\" or "+
			"rollbook discard %[1]d", p.ID),
		Text: fmt.Sprintf("Publication %d is held: %s. Readers are served what they were served before.",
			p.ID, doc.Plainly())}
	for _, e := range doc.Examples {
		if s.IDs && len(line.IDs) < idsTold {
			line.IDs = append(line.IDs, e.ID)
		}
	}
	return line, nil
}

// readings is when clients were here last, which is asked now and then.
type readings struct {
	mu      sync.Mutex
	at      time.Time
	calls   []store.Calls
	clients []auth.Client
}

// Readers that have come on so many days of the last two weeks are expected again.
const (
	usualDays   = 3
	readerWeeks = 15 * 24 * time.Hour
	readersFor  = 10 * time.Minute
)

func (r *readings) look(ctx context.Context, s *store.Store, now time.Time) error {
	if now.Sub(r.at) <= readersFor && !now.Before(r.at) {
		return nil
	}
	calls, err := s.CallsSince(ctx, "", now.Add(-readerWeeks))
	if err != nil {
		return err
	}
	clients, err := s.Clients(ctx)
	if err == nil {
		r.at, r.calls, r.clients = now, calls, clients
	}
	return err
}

func (k *Notifiers) silent(ctx context.Context, m memory, now time.Time, limit time.Duration, out are) error {
	k.read.mu.Lock()
	defer k.read.mu.Unlock()
	if err := k.read.look(ctx, k.Store, now); err != nil {
		return err
	}
	last, days := map[string]time.Time{}, map[string]map[string]bool{}
	for _, c := range k.read.calls {
		// A delta without a row is a visit too; a token alone, or a call that was refused, is none.
		if c.Client == "" || c.Op == "token" || c.Calls <= c.Refused+c.Failed+c.Aborted {
			continue
		}
		if days[c.Client] == nil {
			days[c.Client] = map[string]bool{}
		}
		days[c.Client][c.Hour.Format(time.DateOnly)] = true
		if end := c.Hour.Add(time.Hour); end.After(last[c.Client]) {
			last[c.Client] = end
		}
	}
	for _, client := range k.read.clients {
		c := client.ID
		key := "silent-reader-" + c
		out.there[key] = true
		was, known := m.Troubles[key] // which outlives what is looked at
		if known && !last[c].After(was.Since) || !known && len(days[c]) >= usualDays &&
			now.Sub(last[c]) > limit && last[c].After(m.Begun.Add(-limit)) {
			out.lines[key] = Line{Event: "silent-reader", Name: c, Do: "rollbook pulls --client " + c,
				Text: fmt.Sprintf("The reader %s has not come for more than %s.", c, words.Lasting(limit)),
				over: fmt.Sprintf("The reader %s has come again.", c)}
		}
	}
	return nil
}

// digest is what has happened since the last one, and how much trouble goes on.
func (k *Notifiers) digest(ctx context.Context, since time.Time, troubles int) (out []Line, err error) {
	all, err := k.Store.Publications(ctx, publicationsSeen)
	if err != nil {
		return nil, err
	}
	count := map[store.State]int{}
	added, changed, retired := 0, 0, 0
	for _, p := range all {
		if at, err := time.Parse(oneroster.TimeLayout, p.At); err == nil && at.After(since) {
			count[p.State]++
			if p.State == store.StatePublished {
				added, changed, retired = added+p.Added, changed+p.Changed, retired+p.Retired
			}
		}
	}
	text := "Nothing was published"
	if n := count[store.StatePublished]; n > 0 {
		text = fmt.Sprintf("%s published: %s added, %s changed, %s retired", words.Count(n, "publication"),
			words.Thousands(added), words.Thousands(changed), words.Thousands(retired))
	}
	for _, state := range []store.State{store.StateHeld, store.StateRefused} {
		if n := count[state]; n > 0 {
			text += fmt.Sprintf("; %d %s", n, state)
		}
	}
	switch troubles {
	case 0:
		text += "; no trouble goes on."
	case 1:
		text += "; one trouble goes on."
	default:
		text += fmt.Sprintf("; %d troubles go on.", troubles)
	}
	return []Line{{Event: "published", Text: text}}, nil
}
