// Package resttest serves a district to the tests of those who read one, with the clients that they let in;
// what it answers may be spoiled on the way.
package resttest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
)

// Key is a fresh one, by which secrets are sealed.
func Key(t testing.TB) *auth.Key {
	t.Helper()
	key, err := auth.ParseKey(auth.NewKeyText())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Admit lets a client into a district, with every scope where it names none, and gives its secret.
func Admit(t testing.TB, s *store.Store, key *auth.Key, c auth.Client) (secret string) {
	t.Helper()
	secret, kept := auth.NewSecret(time.Now(), key, c.OAuth1)
	if c.Secrets = []auth.Secret{kept}; c.Scopes == nil {
		c.Scopes = oneroster.Scopes()
	}
	if err := s.AddClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return secret
}

// Service serves a district as the program does; change says what is otherwise.
func Service(t testing.TB, s *store.Store, key *auth.Key, change ...func(*rest.Config)) http.Handler {
	t.Helper()
	gate, err := auth.New(context.Background(), s, key, rest.Words(oneroster.V1p1))
	if err != nil {
		t.Fatal(err)
	}
	c := rest.Config{Store: s, Gate: gate, Face: oneroster.V1p1,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))} // which writes out what it is given
	for _, do := range change {
		do(&c)
	}
	return rest.New(c)
}

// Spoiled answers what h answers, after spoil has seen it and may have changed it. The body of the request is
// there for both.
func Spoiled(h http.Handler, spoil func(*http.Request, *httptest.ResponseRecorder)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Del("Accept-Encoding") // what is packed cannot be spoiled
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		r.Body = io.NopCloser(bytes.NewReader(body))
		spoil(r, a)
		a.Header().Del("Content-Length")
		maps.Copy(w.Header(), a.Header())
		w.WriteHeader(a.Code)
		_, _ = w.Write(a.Body.Bytes())
	})
}

// Listen serves until the test ends, and gives the URL.
func Listen(t testing.TB, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
