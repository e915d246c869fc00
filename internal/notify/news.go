package notify

import (
	"context"
	"encoding/json"
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
	// publicationsSeen is how many of the latest are looked at: of more nobody would read one by one.
	publicationsSeen = 500
	// planTime is after which a publication that is being planned is nobody's any more.
	planTime = time.Hour
	// sameLines is how many lines of one event a message has one by one.
	sameLines = 5
	// idsTold is how many sourcedIds a line has at most.
	idsTold = 20
)

// news is what is to be told of a district now, and what will have been told then.
func (k *Notifiers) news(ctx context.Context, s Settings, f store.Feed) (out []*Message, after memory,
	err error) {
	var m memory
	if err := json.Unmarshal([]byte(f.Memory), &m); err != nil {
		return nil, m, fmt.Errorf("what was told is not known any more: remove the notifier, and add it "+
			"anew: %w", err)
	}
	now := k.now()
	after = m
	after.Failed, after.Waits, after.Troubles = 0, nil, maps.Clone(m.Troubles)
	if after.Troubles == nil {
		after.Troubles = map[string]trouble{}
	}
	zone, err := k.Zone(ctx)
	if err != nil {
		return nil, m, err
	}
	fates, err := k.fates(ctx, s, m, &after, now)
	if err != nil {
		return nil, m, err
	}
	goesOn, err := k.conditions(ctx, s, m, fates, now)
	if err != nil {
		return nil, m, err
	}
	var begun, again, over []Line
	var begunKeys, againKeys, overKeys []string
	for _, key := range slices.Sorted(maps.Keys(goesOn)) {
		line := goesOn[key]
		was, known := m.Troubles[key]
		switch {
		case !known:
			begun, begunKeys = append(begun, line), append(begunKeys, key)
			after.Troubles[key] = trouble{now, now, line.Text}
		case now.Sub(was.Told) >= s.remind():
			line.Text = fmt.Sprintf("Still, since %s: %s", was.Since.In(zone).Format("2006-01-02 15:04"),
				line.Text)
			again, againKeys = append(again, line), append(againKeys, fmt.Sprint(key, was.Told))
			was.Told = now
			after.Troubles[key] = was
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Troubles)) {
		if _, is := goesOn[key]; !is {
			over, overKeys = append(over, Line{Event: "over", Text: "It is over: " + m.Troubles[key].Text}),
				append(overKeys, fmt.Sprint(key, m.Troubles[key].Since))
			delete(after.Troubles, key)
		}
	}
	var published []Line
	for _, l := range fates.lines {
		if l.Event == "published" {
			published = append(published, l)
			continue
		}
		begun, begunKeys = append(begun, l), append(begunKeys, fmt.Sprint(l.Event, l.Publication))
	}
	tell := func(kind string, lines []Line, keys []string) {
		if len(lines) == 0 {
			return
		}
		lines = together(lines)
		subject := lines[0].Text
		if len(lines) > 1 {
			subject = fmt.Sprintf("%s, and %d more", strings.TrimSuffix(subject, "."), len(lines)-1)
		}
		out = append(out, &Message{ID: idOf(kind, keys), Kind: kind, District: s.District, At: now,
			Subject: s.titled(short(subject)), Lines: lines})
	}
	tell("trouble", begun, begunKeys)
	tell("reminder", again, againKeys)
	tell("over", over, overKeys)
	if len(s.Digest.At) == 0 {
		tell("news", published, keysOf(published))
		return out, after, nil
	}
	if due := s.Digest.Next(m.Digest, zone); !due.IsZero() && !due.After(now) {
		lines, err := k.digest(ctx, m.Digest, after)
		if err != nil {
			return nil, m, err
		}
		out = append(out, &Message{ID: idOf("digest", []string{due.String()}), Kind: "digest",
			District: s.District,
			At:       now, Subject: s.titled(short(lines[0].Text)), Lines: lines})
		after.Digest = now
	}
	return out, after, nil
}

func keysOf(lines []Line) (out []string) {
	for _, l := range lines {
		out = append(out, fmt.Sprint(l.Event, l.Publication))
	}
	return out
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
	held  map[int64]store.Publication // that are held now
}

func (k *Notifiers) fates(ctx context.Context, s Settings, m memory, after *memory, now time.Time) (out fated,
	err error) {
	out.held = map[int64]store.Publication{}
	all, err := k.Store.Publications(ctx, publicationsSeen)
	if err != nil {
		return out, err
	}
	slices.Reverse(all)
	for _, p := range all {
		if p.State == store.StateHeld {
			out.held[p.ID] = p
		}
		if p.ID <= m.Last && !slices.Contains(m.Waits, p.ID) {
			continue
		}
		after.Last = max(after.Last, p.ID)
		at, _ := time.Parse(oneroster.TimeLayout, p.At)
		switch p.State {
		case store.StatePlanning:
			if now.Sub(at) < planTime {
				after.Waits = append(after.Waits, p.ID)
				continue
			}
			out.add(s, "refused", p, "was broken off: its process was ended", "import the package again")
		case store.StateRefused:
			out.add(s, "refused", p, "is refused: its package cannot be used, and nothing was changed",
				fmt.Sprintf("rollbook publications show %d", p.ID))
		case store.StatePublished:
			out.add(s, "published", p, fmt.Sprintf("is published: %s added, %s changed, %s retired",
				words.Thousands(p.Added), words.Thousands(p.Changed), words.Thousands(p.Retired)), "")
		}
	}
	return out, nil
}

func (f *fated) add(s Settings, event string, p store.Publication, what, do string) {
	if slices.Contains(s.On, event) {
		f.lines = append(f.lines, Line{Event: event, Publication: p.ID, Do: do,
			Text: fmt.Sprintf("Publication %d %s.", p.ID, what)})
	}
}

// conditions are the troubles that there are now, by their key.
func (k *Notifiers) conditions(ctx context.Context, s Settings, m memory, f fated,
	now time.Time) (map[string]Line,
	error) {
	out := map[string]Line{}
	on := func(event string) bool { return slices.Contains(s.On, event) }
	if on("held") {
		for id, p := range f.held {
			key := fmt.Sprint("held-", id)
			if was, known := m.Troubles[key]; known && now.Sub(was.Told) < s.remind() {
				out[key] = Line{} // is not told now
				continue
			}
			line, err := k.heldLine(ctx, s, p)
			if err != nil {
				return nil, err
			}
			out[key] = line
		}
	}
	feeds, err := k.Store.Feeds(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, feed := range feeds {
		if feed.Kind == store.FeedNotify || !on("failed") && !on("silent-source") {
			continue
		}
		runs, err := k.Store.Runs(ctx, feed.Kind, feed.Name, 0)
		if err != nil {
			return nil, err
		}
		key, name := fmt.Sprintf("%s-%s", feed.Kind, feed.Name), fmt.Sprintf("%s %s", feed.Kind, feed.Name)
		runs = slices.DeleteFunc(runs, func(r store.Run) bool { return r.State == store.RunRunning })
		if on("failed") && len(runs) > 0 && (runs[0].State == store.RunFailed ||
			runs[0].State == store.RunBroken) {
			out["failed-"+key] = Line{Event: "failed", Name: feed.Name, Do: fmt.Sprintf("rollbook %s show %s",
				feed.Kind,
				feed.Name), Text: fmt.Sprintf("The %s fails.", name)}
		}
		if limit := span(s.SilentSource, 26*time.Hour); on("silent-source") &&
			feed.Kind == store.FeedSource &&
			feed.Due != "" {
			last := feed.Made
			for _, r := range runs {
				if r.State != store.RunFailed && r.State != store.RunBroken {
					last = r.Ended
					break
				}
			}
			if at, err := time.Parse(oneroster.TimeLayout, last); err == nil && now.Sub(at) > limit {
				out["silent-"+key] = Line{Event: "silent-source", Name: feed.Name,
					Do: "rollbook source show " + feed.Name,
					Text: fmt.Sprintf("The %s has brought nothing for more than %s.", name,
						words.Lasting(limit))}
			}
		}
	}
	if on("silent-reader") {
		silent, err := k.silent(ctx, m, now, span(s.SilentReader, 26*time.Hour))
		if err != nil {
			return nil, err
		}
		maps.Copy(out, silent)
	}
	return out, nil
}

func (k *Notifiers) heldLine(ctx context.Context, s Settings, p store.Publication) (Line, error) {
	doc, err := (&intake.Intake{Store: k.Store}).Document(ctx, p.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Line{}, err
	}
	line := Line{Event: "held", Publication: p.ID, Do: fmt.Sprintf("rollbook publications show %[1]d, then "+
		"rollbook "+
		"publish %[1]d --reason \"…\" or rollbook discard %[1]d", p.ID),
		Text: fmt.Sprintf("Publication %d is held by %s. Readers are served what they were served before.",
			p.ID,
			doc.Guards())}
	for _, e := range doc.Examples {
		if s.IDs && len(line.IDs) < idsTold {
			line.IDs = append(line.IDs, e.ID)
		}
	}
	return line, nil
}

// readings is when clients were here last, which is asked now and then.
type readings struct {
	mu    sync.Mutex
	at    time.Time
	calls []store.Calls
}

// Readers that have come on so many days of the last two weeks are expected again.
const (
	usualDays   = 3
	readerWeeks = 15 * 24 * time.Hour
	readersFor  = 10 * time.Minute
)

func (k *Notifiers) silent(ctx context.Context, m memory, now time.Time,
	limit time.Duration) (map[string]Line,
	error) {
	k.read.mu.Lock()
	defer k.read.mu.Unlock()
	if now.Sub(k.read.at) > readersFor || now.Before(k.read.at) {
		calls, err := k.Store.CallsSince(ctx, "", now.Add(-readerWeeks))
		if err != nil {
			return nil, err
		}
		k.read.at, k.read.calls = now, calls
	}
	last, days := map[string]time.Time{}, map[string]map[string]bool{}
	for _, c := range k.read.calls {
		if c.Client == "" || c.Rows == 0 {
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
	clients, err := k.Store.Clients(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]Line{}
	for _, c := range clients {
		if len(days[c.ID]) >= usualDays && now.Sub(last[c.ID]) > limit &&
			last[c.ID].After(m.Begun.Add(-limit)) {
			out["silent-reader-"+c.ID] = Line{Event: "silent-reader", Name: c.ID,
				Do:   "rollbook pulls --client " + c.ID,
				Text: fmt.Sprintf("The reader %s has not come for more than %s.", c.ID, words.Lasting(limit))}
		}
	}
	return out, nil
}

// digest is what has happened since the last one, and what goes on.
func (k *Notifiers) digest(ctx context.Context, since time.Time, after memory) (out []Line, err error) {
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
	switch n := len(after.Troubles); n {
	case 0:
		text += "; no trouble goes on."
	case 1:
		text += "; one trouble goes on."
	default:
		text += fmt.Sprintf("; %d troubles go on.", n)
	}
	out = append(out, Line{Event: "published", Text: text})
	for _, key := range slices.Sorted(maps.Keys(after.Troubles)) {
		out = append(out, Line{Event: "trouble", Text: after.Troubles[key].Text})
	}
	return out, nil
}
