package provider_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollbook/internal/provider"
)

// A token endpoint that is busy is asked again; one that refuses is not.
func TestTokenEndpointIsBusy(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int // of the answers before a token is given
		asked    int
		err      string
	}{
		{"at once", nil, 1, ""},
		{"down for a moment", []int{503, 502}, 3, ""},
		{"too many at once", []int{429}, 2, ""},
		{"down", []int{503, 503, 503, 503}, 3, "the token endpoint answered 503: busy (tried 3 times)"},
		{"refused", []int{401}, 1, "the token endpoint answered 401: busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/token" {
					_, _ = w.Write([]byte(`{"users":[]}`))
					return
				}
				if asked++; asked <= len(c.statuses) {
					w.WriteHeader(c.statuses[asked-1])
					_, _ = w.Write([]byte("busy"))
					return
				}
				_, _ = w.Write([]byte(`{"access_token":"t","token_type":"bearer","expires_in":3600}`))
			}))
			defer server.Close()
			p, err := provider.New(provider.Config{URL: server.URL, TokenURL: server.URL + "/token",
				Client: "c", Secret: "s", Tries: 3, Wait: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = p.List(context.Background(), "/users", "", "users")
			if asked != c.asked || (err == nil) != (c.err == "") || err != nil &&
				!strings.Contains(err.Error(), c.err) {
				t.Errorf("asked %d times: %v", asked, err)
			}
		})
	}
}
