package gradesync

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"rollbook/internal/provider"
)

// A token serves until five minutes before its exp, whatever expires_in says.
func TestTokenIsRenewedEarly(t *testing.T) {
	asked := 0
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, exp.Unix()))
		w.WriteHeader(http.StatusCreated) // any 2xx does
		fmt.Fprintf(w, `{"access_token":"e30.%s.x","expires_in":1}`, claims)
	}))
	defer server.Close()
	p, err := provider.New(provider.Config{URL: server.URL, TokenURL: server.URL, Client: "c", Secret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{p: p, receipt: &Receipt{}}
	for _, want := range []int{1, 1, 2} {
		if want == 2 {
			r.renewAt = time.Now()
		}
		if _, err := r.bearer(t.Context()); err != nil || asked != want {
			t.Errorf("asked %d times, wanted %d: %v", asked, want, err)
		}
		if !r.renewAt.Equal(exp.Add(-5 * time.Minute)) {
			t.Errorf("a token that ends at %v is renewed at %v", exp, r.renewAt)
		}
	}
}
