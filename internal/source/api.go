package source

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rollbook/internal/bulk"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

// Service is another OneRoster 1.1 service, and who we are there.
type Service struct {
	URL      string `json:"url"`
	TokenURL string `json:"tokenUrl,omitempty"`
	Client   string `json:"client"` // its secret is a password
	Scope    string `json:"scope,omitempty"`
	OAuth1   bool   `json:"oauth1,omitempty"`
	CA       string `json:"ca,omitempty"` // PEM
}

// Config is how it is called.
func (s Service) Config(secrets Secrets) provider.Config {
	c := provider.Config{URL: s.URL, TokenURL: s.TokenURL, Client: s.Client, Secret: secrets[Password],
		Scope: s.Scope, OAuth1: s.OAuth1}
	if s.CA != "" {
		c.CA = []byte(s.CA)
	}
	return c
}

// Provider is a service that rosters are read from.
type Provider struct {
	Service
	Limit   int      `json:"limit,omitempty"`   // rows a page; 0 is 5,000
	Without []string `json:"without,omitempty"` // lists that are not read, such as results
	// Delta reads only what has changed, and all once a day.
	Delta bool `json:"delta,omitempty"`
}

// needed are the lists without which there is no roster.
var needed = []string{"orgs", "academicSessions", "courses", "classes", "users", "enrollments"}

const (
	// walkTries is how often a list is walked that moves meanwhile.
	walkTries = 4
	// mostRows bounds a list that does not end.
	mostRows = 50_000_000
	// sinceMargin is how much earlier a delta begins than the latest change that was seen: what comes
	// twice does no harm.
	sinceMargin = time.Hour
	// wholeEvery is when all is read again, whatever deltas told.
	wholeEvery = 20 * time.Hour
)

type api struct {
	*Provider
	p     *provider.Provider
	notes []string
	seed  maphash.Seed // of sums of ids
	soon  string       // a later stamp is no time that anybody has passed
}

func (s *Provider) place(secrets Secrets) (Place, error) {
	a := &api{Provider: s, seed: maphash.MakeSeed()}
	for _, name := range s.Without {
		if slices.Contains(needed, name) || !slices.ContainsFunc(oneroster.Resources(), func(
			r *oneroster.Resource) bool {
			return r.Plural == name
		}) {
			return nil, fmt.Errorf("--without %s: give lists that a roster can do without, such as "+
				"demographics, lineItems, results, resources", name)
		}
	}
	c := s.Config(secrets)
	c.MaxBody, c.Note = 256<<20, func(text string) {
		if len(a.notes) < 20 {
			a.notes = append(a.notes, text)
		}
	}
	var err error
	a.p, err = provider.New(c)
	return a, err
}

func (a *api) Test(ctx context.Context) (string, error) {
	var told []string
	for _, plural := range needed {
		page, _, err := a.p.List(ctx, "/"+plural, provider.Query("limit", "1", "offset", "0"), plural)
		if err != nil {
			return "", err
		}
		count := "some"
		switch {
		case page.Total >= 0:
			count = fmt.Sprint(page.Total)
		case len(page.Objects) == 0:
			count = "no"
		}
		told = append(told, count+" "+plural)
	}
	return strings.Join(told, ", "), nil
}

// since is what is known of a provider after a fetch.
type since struct {
	Latest string    `json:"latest"` // dateLastModified that was seen, the greatest
	Whole  time.Time `json:"whole"`  // when all was read
}

func (a *api) Fetch(ctx context.Context, dir string, memory json.RawMessage) (got Fetched, err error) {
	var last since
	_ = json.Unmarshal(memory, &last) // nil is none
	now := time.Now().UTC()
	filter := ""
	if at, _, err := oneroster.ParseInstant(last.Latest); a.Delta && err == nil &&
		now.Sub(last.Whole) < wholeEvery && !last.Whole.After(now) { // by a clock that was wrong
		filter = "dateLastModified>='" + oneroster.FormatTime(at.Add(-sinceMargin)) + "'"
		if err := a.filters(ctx); err != nil {
			a.notes = append(a.notes, err.Error()+": all was read instead")
			filter = ""
		}
	}
	latest, next := last.Latest, since{last.Latest, last.Whole}
	if filter == "" {
		latest, next.Whole = "", now
	}
	a.soon = oneroster.FormatTime(now.Add(sinceMargin))
	pulled, rows := map[*oneroster.Resource]string{}, 0
	for _, r := range oneroster.Resources() {
		if slices.Contains(a.Without, r.Plural) {
			continue
		}
		name := filepath.Join(dir, ".rows-"+r.Plural)
		n, newest, err := a.pull(ctx, r, filter, name)
		var lacks *lacking
		switch {
		case errors.As(err, &lacks) && !slices.Contains(needed, r.Plural):
			a.notes = append(a.notes, fmt.Sprintf("%s: left as they are, since the provider has none: %v",
				r.Plural, err))
			continue
		case err != nil:
			return got, fmt.Errorf("%s: %w", r.Plural, err)
		case n == 0 && filter == "" && slices.Contains(needed, r.Plural):
			return got, fmt.Errorf("%s: the provider has none: a district without is not published", r.Plural)
		}
		pulled[r], rows = name, rows+n
		if newest > latest {
			latest = newest
		}
	}
	next.Latest = latest
	got = Fetched{Name: "pull of " + now.Format("2006-01-02 15:04"), Path: filepath.Join(dir, "pull.zip"),
		Memory: next, Notes: a.notes}
	if filter != "" {
		got.Name = "delta of " + now.Format("2006-01-02 15:04")
		if rows == 0 {
			return Fetched{Nothing: "nothing has changed", Memory: next, Notes: a.notes}, nil
		}
	}
	return got, write(got.Path, pulled, filter != "", latest)
}

// filters tells whether the provider pays heed to a filter of dateLastModified: nothing has changed in
// the year 2200.
func (a *api) filters(ctx context.Context) error {
	page, _, err := a.p.List(ctx, "/users", provider.Query("limit", "10", "offset", "0", "filter",
		"dateLastModified>='2200-01-01T00:00:00.000Z'"), "users")
	if err == nil && (len(page.Objects) > 0 || page.Total > 0) {
		err = errors.New("the provider pays no heed to filters of dateLastModified")
	}
	return err
}

// A lacking list is one that the provider says it does not have.
type lacking struct{ error }

func (l *lacking) Unwrap() error { return l.error }

// pull walks a list until it holds still, into a file. A list of several pages is walked twice: where a row
// goes before the page that is read, and another comes, one slips across the border of two pages unread, and
// nothing that is counted tells. Twice the same ids is the list.
func (a *api) pull(ctx context.Context, r *oneroster.Resource, filter, name string) (n int, newest string,
	err error) {
	var moved error
	var before *walked
	for range walkTries {
		var w *walked
		if w, moved, err = a.walk(ctx, r, filter, name); err != nil {
			return 0, "", err
		}
		switch {
		case moved != nil:
			before = nil
		case w.pages < 2 && w.counted, before != nil && before.rows == w.rows && before.ids == w.ids:
			return w.rows, w.newest, nil
		case before != nil:
			moved = fmt.Errorf("%d rows came, and then %d, or others", before.rows, w.rows)
			fallthrough
		default:
			before = w
		}
	}
	if moved == nil {
		moved = errors.New("the list moved while it was read")
	}
	return 0, "", fmt.Errorf("%w, %d times: nothing was taken", moved, walkTries)
}

// walked is what a walk through a list brought.
type walked struct {
	rows, pages int
	newest      string // dateLastModified, the greatest
	ids         uint64 // of all of them, whatever their order
	counted     bool   // the provider told how many there are
}

// walk goes through a list once. moved is why what came is not the list as it was at any time.
func (a *api) walk(ctx context.Context, r *oneroster.Resource, filter, name string) (got *walked,
	moved, err error) {
	got = &walked{}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	buf := bufio.NewWriter(&bounded{out, mostBytes})
	defer func() {
		if err == nil {
			err = buf.Flush()
		}
		err = errors.Join(err, out.Close())
	}()
	limit := a.Limit
	if limit <= 0 {
		limit = 5000
	}
	w, seed, came, total := wire.Walk{Limit: limit, Most: mostRows}, a.seed, map[uint64]bool{}, -1
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	for last := false; !last; {
		query := []string{"limit", fmt.Sprint(limit), "offset", fmt.Sprint(w.Offset)}
		if filter != "" {
			query = append(query, "filter", filter)
		}
		page, answer, err := a.p.List(ctx, "/"+r.Plural, provider.Query(query...), r.Plural)
		if err != nil {
			if s := answer.Status; w.Offset == 0 && (s == http.StatusNotFound || s == http.StatusForbidden ||
				s == http.StatusNotImplemented || s == http.StatusMethodNotAllowed) {
				err = &lacking{err}
			}
			return nil, nil, err
		}
		if total >= 0 && page.Total >= 0 && page.Total != total {
			return nil, fmt.Errorf("the list moved while it was read: X-Total-Count was %d, and then %d",
				total, page.Total), nil
		}
		total, got.pages = max(total, page.Total), got.pages+1 // some count on the first page alone
		for _, o := range page.Objects {
			id := o.ID()
			if id == "" {
				return nil, nil, errors.New("a row has no sourcedId")
			}
			h := maphash.String(seed, id)
			if came[h] {
				return nil, fmt.Errorf("row %q came twice", id), nil
			}
			came[h], got.ids = true, got.ids+h
			rec := o.Record(r)
			if at := rec.Values[oneroster.Modified]; at > got.newest && at < a.soon {
				got.newest = at
			}
			if err := enc.Encode(rec.Values); err != nil {
				return nil, nil, err
			}
			got.rows++
		}
		if last, err = w.Next(page); err != nil {
			return nil, nil, err
		}
	}
	if total >= 0 && got.rows != total {
		return nil, fmt.Errorf("%d rows came of %d that X-Total-Count tells", got.rows, total), nil
	}
	got.counted = total >= 0
	return got, nil, nil
}

// write makes a package of what was pulled.
func write(name string, pulled map[*oneroster.Resource]string, delta bool, modified string) error {
	each := func(r *oneroster.Resource, yield func(oneroster.Record) error) error {
		file, ok := pulled[r]
		if !ok {
			return nil
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		for in := json.NewDecoder(bufio.NewReader(f)); ; {
			rec := oneroster.NewRecord(r)
			if err := in.Decode(&rec.Values); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if rec.Values[oneroster.Status] == "" {
				rec.Values[oneroster.Status] = oneroster.Active
			}
			if err := yield(rec); err != nil {
				return err
			}
		}
	}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if delta {
		_, err = bulk.WriteDelta(out, func(r *oneroster.Resource, yield func(before,
			after oneroster.Record) error) error {
			return each(r, func(rec oneroster.Record) error {
				if rec.Values[oneroster.Status] != oneroster.Active {
					return yield(rec, oneroster.Record{})
				}
				return yield(oneroster.Record{}, rec)
			})
		}, modified)
	} else {
		_, err = bulk.Write(out, each)
	}
	err = errors.Join(err, out.Close())
	for _, file := range pulled {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}
