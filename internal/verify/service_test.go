package verify_test

import (
	"context"
	"database/sql"
	"flag"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
	"rollbook/internal/verify"
)

func TestMain(m *testing.M) { flag.Parse(); storetest.Main(m) }

// A service is a correct provider, with a district that has been imported three
// times and shrank, so that there are deleted rows, and no dateLastModified that
// most rows share.
type service struct {
	http.Handler
	id, secret string
}

func correct(t testing.TB, dsn string) *service { return holding(t, dsn, "") }

// holding is a correct provider of a district that no import would take: its rows are changed by SQL.
func holding(t testing.TB, dsn, rows string) *service {
	t.Helper()
	ctx := context.Background()
	s := storetest.Open(t, dsn, store.Options{})
	for _, students := range []int{36, 27, 18} {
		if _, err := s.Import(ctx, sandbox.New(sandbox.Options{Students: students, Seed: 1}),
			store.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if rows != "" {
		file, err := sql.Open("sqlite", dsn)
		if err == nil {
			defer file.Close()
			_, err = file.ExecContext(ctx, rows)
		}
		if err != nil {
			t.Fatal(rows, err)
		}
	}
	return serving(t, s)
}

// serving makes a provider of a database.
func serving(t testing.TB, s *store.Store) *service {
	t.Helper()
	key := resttest.Key(t)
	secret := resttest.Admit(t, s, key, auth.Client{ID: "verifier", OAuth1: true,
		Scopes: append(oneroster.Scopes(), oneroster.Flags)})
	return &service{resttest.Service(t, s, key), "verifier", secret}
}

// verified runs the verifier against a handler.
func verified(t testing.TB, s *service, h http.Handler, opt verify.Options,
	change ...func(*provider.Config)) (*verify.Report, error) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	c := provider.Config{URL: server.URL + oneroster.V1p1.Base, TokenURL: server.URL + "/token",
		Client: s.id, Secret: s.secret, Timeout: 20 * time.Second}
	for _, do := range change {
		do(&c)
	}
	p, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Run(context.Background(), p, opt)
}
