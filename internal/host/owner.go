package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"rollbook/internal/feed"
	"rollbook/internal/store"
)

// An Owner opens the districts of a house when they are asked for, watches them, and closes them when
// nobody has asked for a while. What it has not opened costs nothing.
type Owner struct {
	house *House
	opt   OwnerOptions
	begin Begin
	ctx   context.Context
	stop  context.CancelFunc
	work  sync.WaitGroup

	mu      sync.Mutex
	kept    map[string]*owned
	hosts   map[string]*owned
	listed  time.Time // when the house was last looked at
	unknown time.Time // the same, because somebody asked for what it has not
	wrong   error     // why it could not be
	open    int       // districts, those that are being opened or closed included
	freed   chan struct{}
}

// OwnerOptions say how districts are owned.
type OwnerOptions struct {
	Options
	Log  *slog.Logger
	Idle time.Duration // after which nobody's district is closed; 0 is five minutes
	Most int           // that are open at once; 0 is 64
}

// A Begin lets an opened district be served. The context is that of its being open.
type Begin func(ctx context.Context, d *District) (Serving, error)

// Serving is what answers for an opened district.
type Serving struct {
	ByPath http.Handler // below its short name
	ByHost http.Handler // at its own host; nil where it has none
	End    func()
}

// owned is a district of the house, open or not. What changes of it is the owner's mu's.
type owned struct {
	id     string
	entry  Entry
	turn   chan struct{} // of who opens it
	now    *instance     // nil while it is closed
	failed error         // why it could not be opened
	pause  time.Duration
	again  time.Time // when that is tried again
	due    time.Time // when to open it for the next of its feeds; zero is never
	seen   string    // when that was due as it was seen last, TimeLayout
}

// An instance is a district while it is open.
type instance struct {
	of      *owned
	d       *District
	serving Serving
	began   time.Time
	stop    context.CancelFunc
	work    sync.WaitGroup
	feeds   map[store.FeedKind]feed.Kind
	running atomic.Int64 // turns of feeds

	users int // under the owner's mu, as what follows
	used  time.Time
	over  bool // nobody is given it any more
	ends  bool // somebody ends it
}

// Pauses before a district that cannot be opened is tried again, how often a house is looked at, and an
// opened district.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Minute
	listEvery  = 5 * time.Second
	listTime   = 10 * time.Second
	watchEvery = 10 * time.Second
	feedsEvery = 5 * time.Minute
	// soonestAgain is how long a district at least stays closed that had to make room.
	soonestAgain = 2 * time.Minute
	// turnTime is how long a feed may take to begin its turn, and lookAgain when one that had nothing to
	// do is looked at again.
	turnTime  = 20 * time.Second
	lookAgain = 30 * time.Minute
	roomTime  = 10 * time.Second // that a request waits until a district can be opened, or another has been
	openTime  = 10 * time.Minute // a migration may take its time
)

// ErrBroken: a district cannot be opened now.
var ErrBroken = errors.New("the district cannot be opened now")

// NewOwner looks which districts a house has. It owns them until Close.
func NewOwner(ctx context.Context, h *House, opt OwnerOptions) (*Owner, error) {
	opt.Idle, opt.Most = cmp.Or(opt.Idle, 5*time.Minute), cmp.Or(opt.Most, 64)
	opt.Options.Existing, opt.Options.Beside = true, true
	o := &Owner{house: h, opt: opt, kept: map[string]*owned{}, hosts: map[string]*owned{},
		freed: make(chan struct{}, 1)}
	if err := o.list(ctx); err != nil {
		return nil, err
	}
	o.ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx))
	return o, nil
}

// Start lets districts be opened: it comes before Find.
func (o *Owner) Start(begin Begin) {
	o.begin = begin
	o.work.Go(o.attend)
	o.work.Go(o.lookForFeeds)
}

// Close closes all districts, when those who are served have been.
func (o *Owner) Close() {
	o.stop()
	o.work.Wait()
	for {
		o.mu.Lock()
		left := o.open
		var all []*instance
		for _, k := range o.kept {
			if k.now != nil {
				all = append(all, o.detach(k))
			}
		}
		o.mu.Unlock()
		for _, i := range all {
			o.endIfFree(i)
		}
		if left == 0 {
			return
		}
		if len(all) == 0 {
			<-o.freed // by who is served still, or closes one
		}
	}
}

// list looks which districts the house has.
func (o *Owner) list(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, listTime)
	defer stop()
	entries, err := o.house.Entries(ctx)
	o.mu.Lock()
	o.listed, o.wrong = time.Now(), err
	if err != nil {
		o.mu.Unlock()
		return err
	}
	there, hosts := map[string]bool{}, map[string]*owned{}
	var ended []*instance
	for _, e := range entries {
		there[e.ID] = true
		k := o.kept[e.ID]
		if k == nil {
			k = &owned{id: e.ID, entry: e, turn: make(chan struct{}, 1)}
			o.kept[e.ID] = k
		}
		if k.entry != e && k.now != nil { // it is served elsewhere
			ended = append(ended, o.detach(k))
		}
		k.entry = e
		if e.Host != "" && hosts[e.Host] == nil {
			hosts[e.Host] = k
		}
	}
	for id, k := range o.kept {
		if !there[id] {
			delete(o.kept, id)
			if k.now != nil {
				ended = append(ended, o.detach(k))
			}
		}
	}
	o.hosts = hosts
	o.mu.Unlock()
	for _, i := range ended {
		o.endIfFree(i)
	}
	return nil
}

// Find opens the district that is served at a host, or below a path that begins with a segment.
func (o *Owner) Find(ctx context.Context, host, first string) (h http.Handler, done func(), err error) {
	o.mu.Lock()
	k := o.hosts[host]
	byHost := k != nil
	if k == nil {
		k = o.kept[first]
	}
	look := k == nil && time.Since(o.unknown) > time.Second && (isID.MatchString(first) ||
		isHostName.MatchString(host))
	if look {
		o.unknown = time.Now()
	}
	o.mu.Unlock()
	if look && o.list(ctx) == nil { // it may have been added just now
		o.mu.Lock()
		if k = o.hosts[host]; k == nil {
			k = o.kept[first]
		} else {
			byHost = true
		}
		o.mu.Unlock()
	}
	if k == nil {
		return nil, nil, nil
	}
	i, err := o.take(ctx, k)
	if err != nil {
		return nil, nil, err
	}
	h = i.serving.ByPath
	if byHost {
		h = i.serving.ByHost
	}
	if h == nil { // it has got the host just now
		o.give(i)
		return nil, nil, nil
	}
	return h, func() { o.give(i) }, nil
}

// take opens a district, where nobody has; give is to be called.
func (o *Owner) take(ctx context.Context, k *owned) (*instance, error) {
	if i, err := o.opened(k); i != nil || err != nil {
		return i, err
	}
	late := time.NewTimer(roomTime)
	defer late.Stop()
	select {
	case k.turn <- struct{}{}:
	case <-late.C:
		return nil, fmt.Errorf("%w: it is being opened", ErrBroken)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.turn }()
	if i, err := o.opened(k); i != nil || err != nil {
		return i, err
	}
	if err := o.room(ctx); err != nil {
		return nil, err
	}
	i, err := o.openUp(k) // whoever asked first may have gone meanwhile
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.open--
		o.tellFree()
		if k.failed == nil || k.failed.Error() != err.Error() {
			o.opt.Log.Error("a district cannot be opened", "district", k.id, "error", err)
		}
		k.pause = min(max(2*k.pause, firstPause), lastPause)
		k.failed, k.again = err, time.Now().Add(k.pause)
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if k.failed != nil {
		o.opt.Log.Info("a district can be opened again", "district", k.id)
	}
	k.failed, k.pause, k.now = nil, 0, i
	i.users, i.used = 1, time.Now()
	if o.ctx.Err() != nil || o.kept[k.id] != k { // it was removed meanwhile
		o.detach(k)
	}
	return i, nil
}

// opened gives a district that is open; nil where it is not, and is to be.
func (o *Owner) opened(k *owned) (*instance, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ctx.Err() != nil:
		return nil, o.ctx.Err()
	case k.now != nil:
		k.now.users++
		k.now.used = time.Now()
		return k.now, nil
	case k.failed != nil && time.Now().Before(k.again):
		return nil, fmt.Errorf("%w: %w", ErrBroken, k.failed)
	}
	return nil, nil
}

func (o *Owner) give(i *instance) {
	o.mu.Lock()
	i.users--
	i.used = time.Now()
	o.mu.Unlock()
	o.endIfFree(i)
	o.tellFree()
}

func (o *Owner) tellFree() {
	select {
	case o.freed <- struct{}{}:
	default:
	}
}

// room waits until another district may be opened, and closes the one that was used longest ago.
func (o *Owner) room(ctx context.Context) error {
	late := time.NewTimer(roomTime)
	defer late.Stop()
	for {
		o.mu.Lock()
		if o.open < o.opt.Most {
			o.open++
			o.mu.Unlock()
			o.tellFree()
			return nil
		}
		var oldest *instance
		for _, k := range o.kept {
			if i := k.now; i != nil && i.users == 0 && i.running.Load() == 0 &&
				(oldest == nil || i.used.Before(oldest.used)) {
				oldest = i
			}
		}
		if oldest != nil {
			o.detach(oldest.of)
		}
		o.mu.Unlock()
		if oldest != nil {
			o.endIfFree(oldest)
			continue
		}
		select {
		case <-o.freed:
		case <-late.C:
			return fmt.Errorf("%w: %d are open, and all are busy", ErrBroken, o.opt.Most)
		case <-ctx.Done():
			return ctx.Err()
		case <-o.ctx.Done():
			return o.ctx.Err()
		}
	}
}

// openUp opens a district and lets it be served.
func (o *Owner) openUp(k *owned) (i *instance, err error) {
	o.mu.Lock()
	e := k.entry
	o.mu.Unlock()
	log := o.opt.Log.With("district", e.ID)
	i = &instance{of: k, began: time.Now()}
	ctx, stop := context.WithCancel(o.ctx)
	i.stop = stop
	opt := o.opt.Options
	opt.Log, opt.Note = log, func(text string) { log.Warn("district", "note", text) }
	opening, opened := context.WithTimeout(ctx, openTime)
	defer opened()
	if i.d, err = o.house.Open(opening, e, opt); err != nil {
		stop()
		return nil, err
	}
	if i.serving, err = o.begin(ctx, i.d); err != nil {
		stop()
		return nil, errors.Join(err, i.d.Close())
	}
	i.work.Go(func() { o.watch(ctx, i, log) })
	feeds := i.d.Feeds(log)
	for name, kind := range feeds.Kinds {
		feeds.Kinds[name] = running{kind, &i.running}
	}
	i.feeds = feeds.Kinds
	i.work.Go(func() { feeds.Serve(ctx) })
	return i, nil
}

// running is a kind of feeds whose turns are counted while they last.
type running struct {
	feed.Kind
	n *atomic.Int64
}

func (r running) Do(ctx context.Context, turn *store.Turn) (store.Run, error) {
	r.n.Add(1)
	defer r.n.Add(-1)
	return r.Kind.Do(ctx, turn)
}

// watch looks what is beneath an opened district. When that is another one it is closed, and opened anew
// for who asks next.
func (o *Owner) watch(ctx context.Context, i *instance, log *slog.Logger) {
	told := false
	err := i.d.Watch(ctx, watchEvery, func(m store.Moment) {
		if err := i.d.Passed(m); err != nil && !told {
			log.Warn("watermark", "error", err)
			told = true
		}
	})
	if err == nil {
		return
	}
	log.Warn("another database is beneath the district, which is closed", "error", err)
	o.mu.Lock()
	if i.of.now == i {
		o.detach(i.of)
	}
	o.mu.Unlock()
	go o.endIfFree(i) // which waits for this; Close waits for that
}

// detach lets nobody be given what is open of a district; it is called with mu.
func (o *Owner) detach(k *owned) *instance {
	i := k.now
	i.over, k.now = true, nil
	return i
}

// endIfFree ends what was detached, where nobody uses it any more.
func (o *Owner) endIfFree(i *instance) {
	o.mu.Lock()
	free := i.over && i.users == 0 && !i.ends
	i.ends = i.ends || free
	o.mu.Unlock()
	if free {
		o.end(i)
	}
}

// end closes a district.
func (o *Owner) end(i *instance) {
	seen, due := i.nextDue(context.WithoutCancel(o.ctx))
	if soonest := time.Now().Add(soonestAgain); !due.IsZero() && due.Before(soonest) {
		due = soonest // others want to be open too
	}
	i.stop()
	i.work.Wait()
	i.serving.End()
	if err := i.d.Close(); err != nil {
		o.opt.Log.Warn("a district was closed", "district", i.d.Entry.ID, "error", err)
	}
	o.mu.Lock()
	o.open--
	i.of.seen, i.of.due = seen, due
	o.mu.Unlock()
	o.tellFree()
}

// attend looks at the house, closes what nobody uses, and opens what has something to do.
func (o *Owner) attend() {
	tick := time.NewTicker(min(listEvery, max(o.opt.Idle/4, 10*time.Millisecond)))
	defer tick.Stop()
	for wrong := ""; ; {
		select {
		case <-o.ctx.Done():
			return
		case <-tick.C:
		}
		err := o.list(o.ctx)
		if err != nil && err.Error() != wrong && o.ctx.Err() == nil {
			o.opt.Log.Error("the districts cannot be listed", "error", err)
			wrong = err.Error()
		} else if err == nil {
			wrong = ""
		}
		o.closeIdle()
		o.openDue()
	}
}

// closeIdle closes what nobody has used for a while, and where no feed is due soon.
func (o *Owner) closeIdle() {
	idles := func(i *instance) bool {
		return i != nil && i.users == 0 && i.running.Load() == 0 && time.Since(i.used) > o.opt.Idle
	}
	o.mu.Lock()
	var idle []*instance
	for _, k := range o.kept {
		if idles(k.now) {
			idle = append(idle, k.now)
		}
	}
	o.mu.Unlock()
	for _, i := range idle {
		_, due := i.nextDue(o.ctx)
		soon := !due.IsZero() && time.Until(due) < max(o.opt.Idle, time.Minute)
		o.mu.Lock()
		switch {
		case i.of.now != i || !idles(i):
		case soon:
			i.used = time.Now()
		default:
			o.detach(i.of)
		}
		o.mu.Unlock()
		o.endIfFree(i)
	}
}

// Ready tells what is wrong with the house as a whole, and which districts of it cannot be opened.
func (o *Owner) Ready(context.Context) (says map[string]string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	says = map[string]string{}
	for id, k := range o.kept {
		if k.failed != nil {
			says["district "+id] = k.failed.Error()
		}
	}
	return says, o.wrong
}

// Count is how many districts there are, are open, and could not be opened.
func (o *Owner) Count() (n [3]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range o.kept {
		if k.failed != nil {
			n[2]++
		}
	}
	n[0], n[1] = len(o.kept), o.open
	return n
}
