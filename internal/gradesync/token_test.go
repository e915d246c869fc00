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
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.PostFormValue("scope") != "" {
			t.Error("a scope is asked for")
		}
		claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, exp.Unix()))
		w.WriteHeader(http.StatusCreated) // any 2xx does
		fmt.Fprintf(w, `{"access_token":"e30.%s.x","expires_in":1}`, claims)
	}))
	defer server.Close()
	p, err := provider.New(provider.Config{URL: server.URL, TokenURL: server.URL, Client: "c", Secret: "s",
		Scope: "x"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	p.Now = func() time.Time { return now }
	r := &run{p: p, receipt: &Receipt{}}
	if err := r.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = exp.Add(-5*time.Minute - 1)
	if _, err := p.Token(t.Context()); err != nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	now = exp.Add(-5 * time.Minute)
	if _, err := p.Token(t.Context()); err == nil || asked != 2 { // the same one, which has not five minutes
		t.Errorf("asked %d times: %v", asked, err)
	}
}
