package support

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	token, err := tokenOf(ctx, base, own.ID, secret)
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
			g.Probes = append(g.Probes, ask(ctx, base, token, route, filter, stored))
		}
	}
	return nil
}

func tokenOf(ctx context.Context, base, id, secret string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/token",
		strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.Token == "" {
		return "", fmt.Errorf("the service gave itself no token: %s %w", answer.Status, err)
	}
	return got.Token, nil
}

// ask reads one page, and says whether it is right.
func ask(ctx context.Context, base, token string, route *oneroster.Route, filter string, stored int) Probe {
	p := Probe{List: strings.TrimPrefix(route.Path, "/") + "?filter=" + filter, Stored: stored}
	asked := url.Values{"limit": {strconv.Itoa(probed)}, "filter": {filter}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet,
		base+oneroster.V1p1.Base+route.Path+"?"+asked.Encode(), nil)
	if err != nil {
		p.Text = err.Error()
		return p
	}
	r.Header.Set("Authorization", "Bearer "+token)
	began := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Text = "no answer"
		return p
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	p.Status, p.Milliseconds = answer.StatusCode, time.Since(began).Milliseconds()
	p.Total, _ = strconv.Atoi(answer.Header.Get("X-Total-Count"))
	var page map[string][]json.RawMessage
	switch {
	case p.Status == http.StatusForbidden:
		p.Right, p.Text = true, "the client has no scope for it"
	case p.Status != http.StatusOK:
		p.Text = "not answered"
	case err != nil || json.Unmarshal(body, &page) != nil:
		p.Text = "not JSON of a list"
	default:
		p.Rows = len(page[route.Resource.Plural])
		switch {
		case p.Rows != min(p.Total, probed):
			p.Text = "rows are missing"
		case stored >= 0 && stored != p.Total:
			p.Text = "not as many as the database has"
		default:
			p.Right = true
		}
	}
	return p
}

// wrong are the probes that were not answered rightly.
func wrong(all []Probe) []Probe {
	return slices.DeleteFunc(slices.Clone(all), func(p Probe) bool { return p.Right })
}
