// Package support gathers what somebody else's engineer needs to know of a service, and nothing that
// names a person, a school or the district.
package support

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/query"
	"rollbook/internal/store"
	"rollbook/internal/wire"
)

// A Bundle is what is told.
type Bundle struct {
	Made, Since string // RFC 3339, UTC
	Version     string
	System      string
	Engine      string // "SQLite" or "PostgreSQL"
	Client      Client
	Settings    map[string]string
	Health      []string // a sentence each
	LastChange  string   // dateLastModified of the last
	Rows        map[string]int
	Nights      []Night
	Pulls       []Pull
	Notices     []string
	Failures    []Failure
	Hours       []Hour
	Rules       []Rule
	Probes      []Probe
}

// A Client is the one that it is about.
type Client struct {
	Mark   string
	Scopes []string
	Since  string // when it was added
}

// A Night is a publication.
type Night struct {
	ID                            int64
	At, State                     string
	Rows, Added, Changed, Retired int
}

// A Pull is a walk of the client through a list.
type Pull struct {
	ID                          int64
	Began, Last, List, Question string
	Edition                     int64
	Pages, Rows, Total          int
	Milliseconds                int64
	Became                      string
}

// A Failure is a call that was refused, failed or broke off.
type Failure struct {
	At, Request, Operation string
	Status                 int
	Reason                 string
	Milliseconds           int64
}

// An Hour is the calls of one operation in it.
type Hour struct {
	Hour, Operation                        string
	Calls, Refused, Failed, BrokeOff, Rows int
	Milliseconds                           int64 // a call, in the middle
}

// A Rule is one of School Data Sync, and how often it is broken.
type Rule struct {
	Rule, Severity, Resource, Title string
	Found                           int
}

// A Probe is a list that the service was asked for by itself.
type Probe struct {
	List         string
	Status       int
	Total, Rows  int
	Stored       int // rows that the database has; -1 where that is not the same list
	Milliseconds int64
	Right        bool
	Text         string
}

// Of is what a bundle is made of.
type Of struct {
	*store.Store
	Client   auth.Client
	Since    time.Time
	Now      time.Time
	Version  string
	Engine   string
	Settings map[string]string
	Health   []string
}

// Gather makes a bundle.
func Gather(ctx context.Context, of Of) (*Bundle, error) {
	g := &gathering{Of: of, key: []byte(rand.Text()), Bundle: &Bundle{Made: stamp(of.Now),
		Since:   stamp(of.Since),
		Version: of.Version, Engine: of.Engine, System: runtime.GOOS + "/" + runtime.GOARCH +
			", " + runtime.Version(),
		Settings: of.Settings, Health: of.Health, Rows: map[string]int{}}}
	g.Bundle.Client = Client{g.mark(of.Client.ID), slices.Clone(of.Client.Scopes), stamp(of.Client.Created)}
	for _, step := range []func(context.Context) error{g.district, g.nights, g.reading, g.failures, g.hours,
		g.judge,
		g.probe} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return g.Bundle, nil
}

type gathering struct {
	Of
	*Bundle
	key []byte
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// mark stands for a text: the same all over a bundle, and another in the next.
func (g *gathering) mark(text string) string {
	if text == "" {
		return ""
	}
	hash := hmac.New(sha256.New, g.key)
	hash.Write([]byte(text))
	return "id-" + hex.EncodeToString(hash.Sum(nil))[:10]
}

func (g *gathering) district(ctx context.Context) error {
	counts, err := g.Counts(ctx)
	for r, n := range counts {
		g.Rows[r.Plural] = n
	}
	if err == nil {
		var m store.Moment
		m, err = g.Moment(ctx)
		g.LastChange = m.Stamp
	}
	return err
}

func (g *gathering) nights(ctx context.Context) error {
	all, err := g.Publications(ctx, 20)
	for _, p := range all {
		g.Nights = append(g.Nights, Night{p.ID, cmp.Or(p.Decided, p.At), string(p.State), p.Tally.Rows,
			p.Added, p.Changed,
			p.Retired})
	}
	return err
}

// reading tells what the client read. Its ids and what its filters name are marks before anything
// is said of them.
func (g *gathering) reading(ctx context.Context) error {
	pulls, err := g.Of.Pulls(ctx, store.PullsOf{Client: g.Of.Client.ID,
		Since: g.Of.Now.Add(-30 * 24 * time.Hour)})
	if err != nil {
		return err
	}
	for i := range pulls {
		p := &pulls[i]
		g.hide(p)
		if p.Last.Before(g.Of.Since) {
			continue
		}
		g.Bundle.Pulls = append(g.Bundle.Pulls, Pull{p.ID, stamp(p.Began), stamp(p.Last), p.List, p.Question,
			p.LastEdition, p.Pages, p.Rows, p.Total, p.Took.Milliseconds(), ledger.Told(p, g.Of.Now)})
	}
	calls, err := g.CallsSince(ctx, g.Of.Client.ID, g.Of.Now.Add(-25*time.Hour))
	for i := range calls {
		calls[i].Reason = g.clean(calls[i].Reason)
	}
	for _, n := range ledger.Notices(pulls, calls, g.Of.Now) {
		g.Notices = append(g.Notices, "the client "+n.Text)
	}
	return err
}

// hide puts marks for what names somebody in a pull.
func (g *gathering) hide(p *store.Pull) {
	asked := ledger.Ask(p)
	parts := strings.Split(p.List, "/")
	for i := 1; i < len(parts); i += 2 { // /schools/{id}/classes/{id}/students
		parts[i] = g.mark(parts[i])
	}
	p.List, p.Reason = strings.Join(parts, "/"), g.clean(p.Reason)
	if p.Question == "" {
		return
	}
	if asked == nil {
		p.Question = "(cannot be read)"
		return
	}
	var out []string
	if q := asked.Selection.Query; q.Filter.Op != query.Everything {
		out = append(out, "filter="+g.veil(q.Filter).Written())
	}
	q := asked.Selection.Query
	if q.Sort != nil {
		out = append(out, "sort="+q.Sort.Name)
		if q.Desc {
			out = append(out, "orderBy=desc")
		}
	}
	if q.Fields != nil {
		fields := slices.Clone(q.Fields)
		for i, name := range fields {
			if key, ok := strings.CutPrefix(name, "metadata."); ok {
				fields[i] = "metadata." + g.mark(key)
			}
		}
		out = append(out, "fields="+strings.Join(fields, ","))
	}
	p.Question = strings.Join(out, "&")
}

// veil is a filter whose constants are marks, but for words of the standard and stamps.
func (g *gathering) veil(e query.Expr) query.Expr {
	args := make([]query.Expr, len(e.Args))
	for i, arg := range e.Args {
		args[i] = g.veil(arg)
	}
	e.Args = args
	if e.Field != nil && e.Field.Name != "dateLastModified" && !slices.Contains(e.Field.Enum, e.Text) {
		e.Text = g.mark(e.Text)
	}
	if e.Field != nil && e.Field.Kind == oneroster.Metadata { // a district's own word
		e.Key = g.mark(e.Key)
	}
	return e
}

var (
	// quoted is from the first quote to the last of its kind: a name may have one in it.
	quoted = regexp.MustCompile(`".*"|'.*'`)
	// addresses are of machines, of people, of files and of the web.
	addresses = regexp.MustCompile(`\S*[@/\\]\S*|\b\d{1,3}(\.\d{1,3}){3}\b|` +
		`\b[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*\b`)
	// drawn is a request id that nobody thought of.
	drawn = regexp.MustCompile(`^([A-Z2-7]{16}|[0-9a-fA-F]{32}|` +
		`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)
)

// clean is a reason without what it quotes.
func (g *gathering) clean(text string) string {
	text = quoted.ReplaceAllStringFunc(text, func(q string) string {
		return `"` + g.mark(q[1:len(q)-1]) + `"`
	})
	return addresses.ReplaceAllString(text, "(an address)")
}

// request is a request id; readers may send words of their own.
func (g *gathering) request(id string) string {
	if drawn.MatchString(id) {
		return id
	}
	return g.mark(id)
}

func (g *gathering) failures(ctx context.Context) error {
	all, err := g.Of.Failures(ctx, g.Of.Client.ID, g.Of.Since, 200)
	for _, f := range all {
		g.Bundle.Failures = append(g.Bundle.Failures, Failure{stamp(f.At), g.request(f.Request), f.Op,
			f.Status,
			g.clean(f.Reason),
			f.Took.Milliseconds()})
	}
	return err
}

func (g *gathering) hours(ctx context.Context) error {
	all, err := g.CallsSince(ctx, g.Of.Client.ID, g.Of.Since)
	for _, c := range all {
		g.Hours = append(g.Hours, Hour{stamp(c.Hour), c.Op, c.Calls, c.Refused, c.Failed, c.Aborted, c.Rows,
			c.Took.Milliseconds() / int64(max(c.Calls, 1))})
	}
	return err
}

// judge counts the rules of School Data Sync that are broken.
func (g *gathering) judge(ctx context.Context) error {
	found := map[string]*Rule{}
	err := g.Snapshot(ctx, func(each func(*oneroster.Resource, func(oneroster.Record) error) error) error {
		objects := func(resource string, yield func(wire.Object) error) error {
			o := wire.Object{}
			return each(oneroster.ByName(resource), func(rec oneroster.Record) error {
				o.Set(rec)
				return yield(o)
			})
		}
		_, err := quality.Judge(ctx, quality.Options{Today: g.Of.Now}, objects, func(f quality.Finding) {
			key := f.Rule.ID + " " + f.Resource + " " + f.Rule.Severity.String()
			if found[key] == nil {
				found[key] = &Rule{f.Rule.ID, f.Rule.Severity.String(), f.Resource, f.Rule.Title, 0}
			}
			found[key].Found++
		})
		return err
	})
	for _, key := range slices.Sorted(maps.Keys(found)) {
		g.Rules = append(g.Rules, *found[key])
	}
	return err
}
