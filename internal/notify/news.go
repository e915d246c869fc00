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

// A told message changes what is remembered, once it was sent.
type told struct {
	*Message
	remember func(*memory)
}

// news is what is to be told of a district now.
func (k *Notifiers) news(ctx context.Context, s Settings, name string, m memory) (out []told, err error) {
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
	var begun, again, over []Line
	var begunKeys, againKeys, overKeys []string
	for _, key := range slices.Sorted(maps.Keys(are.lines)) {
		line := are.lines[key]
		was, known := m.Troubles[key]
		switch {
		case !known:
			begun, begunKeys = append(begun, line), append(begunKeys, key)
		case now.Sub(was.Told) >= s.remind():
			line.Text = fmt.Sprintf("Still, since %s: %s", was.Since.In(zone).Format("2006-01-02 15:04"),
				line.Text)
			again, againKeys = append(again, line), append(againKeys, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Troubles)) {
		if _, is := are.lines[key]; !is {
			line, err := k.over(ctx, m.Troubles[key], are.there[key])
			if err != nil {
				return nil, err
			}
			over, overKeys = append(over, line), append(overKeys, key)
		}
	}
	troubles := len(m.Troubles) + len(begun) - len(over)
	tell := func(kind, of string, lines []Line, remember func(*memory)) {
		if len(lines) == 0 {
			return
		}
		id := idOf(name, m.Begun.Format(time.RFC3339Nano), fmt.Sprint(m.Sent+len(out)), kind, of)
		lines = together(lines)
		for i := range lines {
			lines[i].Do = s.verbs(lines[i].Do)
		}
		subject := lines[0].Text
		if len(lines) > 1 && kind != "digest" {
			subject = fmt.Sprintf("%s, and %d more", strings.TrimSuffix(subject, "."), len(lines)-1)
		}
		out = append(out, told{&Message{ID: id, Kind: kind, District: s.District, At: now,
			Subject: s.titled(short(subject)), Lines: lines}, remember})
	}
	// What became of publications is one message with new trouble, so that each is remembered whole.
	kind := "news"
	refused := func(l Line) bool { return l.Event == "refused" }
	if len(begun) > 0 || slices.ContainsFunc(fates.lines, refused) {
		kind = "trouble"
	}
	slices.SortStableFunc(fates.lines, func(a, b Line) int { return -cmp.Compare(a.Event, b.Event) })
	tell(kind, fmt.Sprint(begunKeys, fates.last), slices.Concat(begun, fates.lines), func(m *memory) {
		m.Last, m.Waits = fates.last, fates.waits[max(0, len(fates.waits)-waitsKept):]
		for i, key := range begunKeys {
			m.Troubles[key] = trouble{now, now, begun[i].Text, begun[i].over, begun[i].Publication}
		}
	})
	tell("reminder", fmt.Sprint(againKeys), again, func(m *memory) {
		for _, key := range againKeys {
			was := m.Troubles[key]
			was.Told = now
			m.Troubles[key] = was
		}
	})
	tell("over", fmt.Sprint(overKeys), over, func(m *memory) {
		for _, key := range overKeys {
			delete(m.Troubles, key)
		}
	})
	if len(s.Digest.At) == 0 {
		return out, nil
	}
	if due := s.Digest.Next(m.Digest, zone); !due.IsZero() && !due.After(now) {
		lines, err := k.digest(ctx, m.Digest, troubles)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(are.lines)) {
			lines = append(lines, Line{Event: are.lines[key].Event, Text: are.lines[key].Text})
		}
		tell("digest", due.String(), lines, func(m *memory) { m.Digest = now })
	}
	return out, nil
}

// over tells that a trouble is over, and how.
func (k *Notifiers) over(ctx context.Context, t trouble, there bool) (Line, error) {
	line := Line{Event: "over", Text: "It is there no more: " + t.Text, Publication: t.Publication}
	if t.Publication > 0 {
		p, err := k.Store.Publication(ctx, t.Publication)
		line.Text = fmt.Sprintf("Publication %d is %s now.", t.Publication, p.State)
		return line, err
	}
	if there {
		line.Text = t.Over
	}
	return line, nil
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
	line := Line{Event: "held", Publication: p.ID, Do: fmt.Sprintf("rollbook publications show %[1]d, then "+
		"rollbook "+
		"publish %[1]d --reason \"…\" or rollbook discard %[1]d", p.ID),
		Text: fmt.Sprintf("Publication %d is held: %s. Readers are served what they were served before.",
			p.ID,
			doc.Plainly())}
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
	clients []string
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
	if err != nil {
		return err
	}
	r.at, r.calls, r.clients = now, calls, nil
	for _, c := range clients {
		r.clients = append(r.clients, c.ID)
	}
	return nil
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
	for _, c := range k.read.clients {
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
	switch n := troubles; n {
	case 0:
		text += "; no trouble goes on."
	case 1:
		text += "; one trouble goes on."
	default:
		text += fmt.Sprintf("; %d troubles go on.", n)
	}
	return []Line{{Event: "published", Text: text}}, nil
}
