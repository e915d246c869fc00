package support

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/rest"
)

// A book of one client, that nobody else can read: the bundle's own.
type book struct{ client auth.Client }

func (b *book) Client(_ context.Context, id string) (*auth.Client, error) {
	if id != b.client.ID {
		return nil, nil
	}
	return &b.client, nil
}

func (b *book) Version(context.Context) (int64, error) { return 1, nil }

func (b *book) SigningKey(_ context.Context, make func() (string, error)) (string, error) {
	return make()
}

func (b *book) UseNonce(context.Context, string, string, time.Time, time.Time) (bool, error) {
	return true, nil
}

func (b *book) KeepUses(context.Context, map[string]auth.Use) error { return nil }

// probed is how many rows of a list are looked at.
const probed = 1000

// probe asks the service itself for each list of the client's, as the client would, at an address
// of this machine that is there for as long: what it answers is held against the database.
func (g *gathering) probe(ctx context.Context) (err error) {
	key, err := auth.ParseKey(auth.NewKeyText())
	if err != nil {
		return err
	}
	secret, kept := auth.NewSecret(g.Of.Now, key, false)
	own := auth.Client{ID: "bundle", Name: "bundle", Scopes: g.Of.Client.Scopes, Secrets: []auth.Secret{kept}}
	gate, err := auth.New(ctx, &book{own}, key, rest.Words(oneroster.V1p1))
	if err != nil {
		return err
	}
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := rest.NewServer(rest.New(rest.Config{Store: g.Store, Gate: gate, Face: oneroster.V1p1,
		Log: slog.New(slog.DiscardHandler)}))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(at) }()
	defer func() {
		_ = server.Close()
		if gone := <-ended; err == nil && !errors.Is(gone, http.ErrServerClosed) {
			err = gone
		}
	}()
	base := "http://" + at.Addr().String()
	p, err := provider.New(provider.Config{URL: base + oneroster.V1p1.Base, TokenURL: base + "/token",
		Client: own.ID,
		Secret: secret, Version: g.Of.Version})
	if err != nil {
		return err
	}
	counts, err := g.Counts(ctx)
	if err != nil {
		return err
	}
	for i := range oneroster.V1p1.Routes {
		route := &oneroster.V1p1.Routes[i]
		if route.Method != http.MethodGet || route.One || route.Nested() {
			continue
		}
		stored := -1
		if route.View.Field == "" {
			stored = counts[route.Resource]
		}
		changed := " AND dateLastModified>'" + oneroster.FormatTime(g.Of.Now.Add(-24*time.Hour)) + "'"
		for _, more := range []string{"", changed} {
			filter := "status='active'" + more
			if more != "" {
				stored = -1
			}
			g.Probes = append(g.Probes, ask(ctx, p, route, filter, stored))
		}
	}
	return nil
}

// ask reads one page, and says whether it is right.
func ask(ctx context.Context, service *provider.Provider, route *oneroster.Route, filter string,
	stored int) Probe {
	p := Probe{List: strings.TrimPrefix(route.Path, "/") + "?filter=" + filter, Stored: stored}
	asked := url.Values{"limit": {strconv.Itoa(probed)}, "filter": {filter}}
	began := time.Now()
	answer, err := service.Do(ctx, provider.Call{Path: route.Path, Query: asked.Encode()})
	p.Milliseconds = time.Since(began).Milliseconds()
	if err != nil {
		p.Text = "no answer"
		return p
	}
	p.Status, p.Total = answer.Status, max(answer.Total(), 0)
	if p.Status == http.StatusForbidden {
		p.Right, p.Text = true, "the client has no scope for it"
		return p
	}
	if p.Status != http.StatusOK {
		p.Text = "not answered"
		return p
	}
	page, err := answer.List(route.Resource.Plural)
	p.Rows = len(page.Objects)
	switch {
	case err != nil:
		p.Text = "not a list"
	case p.Rows != min(p.Total, probed):
		p.Text = "rows are missing"
	case stored >= 0 && stored != p.Total:
		p.Text = "not as many as the database has"
	default:
		p.Right = true
	}
	return p
}

// wrong are the probes that were not answered rightly.
func wrong(all []Probe) []Probe {
	return slices.DeleteFunc(slices.Clone(all), func(p Probe) bool { return p.Right })
}
