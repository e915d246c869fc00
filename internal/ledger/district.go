package ledger

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
)

// Bounds of what scrapers may ask of the database.
const (
	lookTime  = 2 * time.Second
	lookEvery = 5 * time.Second
	// Records are counted one by one: only when some have changed, and not more often than this.
	countEvery = time.Minute
	countTime  = 5 * time.Second
)

// Watched is what a service is, for who counts.
type Watched struct {
	Store   *store.Store
	Version string
	// Certificate is when that of the service ends; nil where it has none of its own.
	Certificate func() (time.Time, error)
	// Districts are how many there are, are open, and cannot be opened; nil is a service of one.
	Districts func() [3]int
}

// A district is read when somebody scrapes, as often as it can bear.
type district struct {
	Watched
	know func(client string)

	mu      sync.Mutex
	looked  time.Time
	seen    []prometheus.Metric
	stamp   time.Time // of the last change; zero where there is none
	counted time.Time
	rev     int64 // that the records were counted at
	records []prometheus.Metric
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	databaseUp   = gauge("rollbook_database_up", "1 while the database answers.")
	lastChange   = gauge("rollbook_last_change", "Number of the last change of the district.")
	lastStamp    = gauge("rollbook_last_change_timestamp_seconds", "What the last change is stamped with.")
	clockAhead   = gauge("rollbook_clock_ahead_seconds", "How far that is ahead of now; well below 0.")
	clockProblem = gauge("rollbook_clock_problem", "1 while /readyz tells a problem of clocks.")
	standbyIll   = gauge("rollbook_standby_problem", "1 while the standby to read from is left alone.")
	records      = gauge("rollbook_records", "Active records, counted once a minute at most.", "collection")
	size         = gauge("rollbook_database_bytes", "What the database takes.")
	publications = gauge("rollbook_publications", "Publications by what has become of them.", "state")
	lastImport   = gauge("rollbook_last_import_timestamp_seconds", "When the last package came.")
	lastPublish  = gauge("rollbook_last_publication_timestamp_seconds", "When the last was published.")
	heldSince    = gauge("rollbook_held_timestamp_seconds", "Since when a publication is held.")
	packages     = gauge("rollbook_kept_packages", "Packages that are kept.")
	packageBytes = gauge("rollbook_kept_packages_bytes", "Bytes of the kept packages, as they came.")
	secrets      = gauge("rollbook_client_secrets", "Secrets of a client that work.", "client")
	secretEnd    = gauge("rollbook_client_secret_end_timestamp_seconds",
		"When the next of the secrets of a client that work ends, where one does.", "client")
	pulled   = gauge("rollbook_pulls", "Pulls that a client went on with in the last day.", "client", "became")
	lastPull = gauge("rollbook_client_last_pull_timestamp_seconds",
		"When a client last read a page of a list, within thirty days.", "client")
	certificateEnd = gauge("rollbook_certificate_end_timestamp_seconds", "When the certificate ends.")
)

// Describe says nothing: what there is to tell depends on the district.
func (d *district) Describe(chan<- *prometheus.Desc) {}

// Collect tells what the district is like, or was seconds ago.
func (d *district) Collect(out chan<- prometheus.Metric) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Store != nil && time.Since(d.looked) >= lookEvery {
		d.look()
		d.looked = time.Now()
	}
	for _, m := range d.seen {
		out <- m
	}
	if d.Store != nil && !d.stamp.IsZero() {
		out <- one(clockAhead, time.Until(d.stamp).Seconds())
	}
	if d.Certificate != nil {
		if end, err := d.Certificate(); err == nil {
			out <- one(certificateEnd, seconds(end))
		}
	}
}

func one(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// look reads the district. What cannot be read is left out, and never told as it was.
func (d *district) look() {
	ctx, stop := context.WithTimeout(context.Background(), lookTime)
	defer stop()
	d.stamp = time.Time{}
	d.seen = []prometheus.Metric{one(databaseUp, flag(d.Store.Ping(ctx) == nil)),
		one(standbyIll, flag(d.Store.StandbyProblem() != ""))}
	f, err := d.Store.Figures(ctx)
	if err != nil {
		return
	}
	add := func(desc *prometheus.Desc, value float64, labels ...string) {
		d.seen = append(d.seen, one(desc, value, labels...))
	}
	at := func(desc *prometheus.Desc, t time.Time, labels ...string) {
		if !t.IsZero() {
			add(desc, seconds(t), labels...)
		}
	}
	add(lastChange, float64(f.Rev))
	if d.stamp, err = time.Parse(oneroster.TimeLayout, f.Stamp); err == nil { // "" before the first change
		at(lastStamp, d.stamp)
	}
	for state, n := range f.States {
		add(publications, float64(n), string(state))
	}
	at(lastImport, f.Came)
	at(lastPublish, f.Published)
	at(heldSince, f.Held)
	add(packages, float64(f.Packages))
	add(packageBytes, float64(f.PackageBytes))
	if problem, err := d.Store.ClockProblem(ctx); err == nil {
		add(clockProblem, flag(problem != ""))
	}
	if n, err := d.Store.Bytes(ctx); err == nil {
		add(size, float64(n))
	}
	clients, err := d.Store.Clients(ctx)
	if err == nil {
		for _, c := range clients[:min(len(clients), mostClients)] {
			d.know(c.ID)
			working, next := c.Working(time.Now())
			add(secrets, float64(working), c.ID)
			at(secretEnd, next, c.ID)
		}
	}
	d.seen = append(d.seen, d.pulls(ctx, clients)...)
	d.seen = append(d.seen, d.count(f.Rev)...)
}

// pulls tells what clients have read lately: the latest pulls of each, not all of one that begins
// one a second.
func (d *district) pulls(ctx context.Context, clients []auth.Client) (out []prometheus.Metric) {
	now := time.Now()
	for _, c := range clients[:min(len(clients), mostClients)] {
		all, err := d.Store.Pulls(ctx, store.PullsOf{Client: c.ID, Since: now.Add(-30 * 24 * time.Hour),
			Limit: 200})
		if err != nil {
			return nil
		}
		became, last := map[string]int{"whole": 0, "broken off": 0, "going on": 0}, time.Time{}
		for i := range all {
			if p := &all[i]; p.Last.After(last) {
				last = p.Last
			}
			switch p := &all[i]; {
			case now.Sub(p.Last) > 24*time.Hour:
			case p.Whole():
				became["whole"]++
			case Ended(p, now):
				became["broken off"]++
			default:
				became["going on"]++
			}
		}
		for what, n := range became {
			out = append(out, one(pulled, float64(n), c.ID, what))
		}
		if !last.IsZero() {
			out = append(out, one(lastPull, seconds(last), c.ID))
		}
	}
	return out
}

// count counts the records, or tells what they were a minute ago.
func (d *district) count(rev int64) []prometheus.Metric {
	if rev == d.rev && d.records != nil || time.Since(d.counted) < countEvery {
		return d.records
	}
	ctx, stop := context.WithTimeout(context.Background(), countTime)
	defer stop()
	d.counted = time.Now()
	n, err := d.Store.Counts(ctx)
	if err != nil {
		return nil
	}
	d.rev, d.records = rev, nil
	for _, r := range oneroster.Resources() {
		d.records = append(d.records, one(records, float64(n[r]), r.Plural))
	}
	return d.records
}
