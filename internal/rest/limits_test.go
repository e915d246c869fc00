package rest_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"rollbook/internal/auth"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
)

// What a client asks beyond its budget, and from where it may not come, is refused in the standard's
// shape, and the log has the reason. What was answered, however, gives its place back.
func TestLimitsOfAClient(t *testing.T) {
	var kept *store.Store
	f := framed(t, func(c *rest.Config) { kept, c.TrustProxy = c.Store, true })
	limit := func(perMinute, atOnce int, allowed ...string) {
		t.Helper()
		ranges, err := auth.ParseRanges(allowed)
		if err == nil {
			err = kept.Limit(t.Context(), f.id, ranges, auth.Budget{PerMinute: perMinute, AtOnce: atOnce})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	base := oneroster.V1p1.Base
	refused := func(name string, w *httptest.ResponseRecorder, line map[string]any, status int, minor,
		reason string) {
		t.Helper()
		said, _ := line["reason"].(string)
		if w.Code != status || !strings.Contains(w.Body.String(), `"imsx_codeMinor":"`+minor+`"`) ||
			(w.Header().Get("Retry-After") != "") != (status == 429) || line["client"] != f.id ||
			!strings.Contains(said, reason) || !strings.Contains(w.Body.String(), said) {
			t.Errorf("%s: %d %v %s\n%v", name, w.Code, w.Header(), w.Body, line)
		}
	}
	limit(0, 0, "192.0.2.0/24")
	for from, status := range map[string]int{"192.0.2.9": 200, "203.0.113.9": 403} {
		r := f.request("GET", base+"/orgs", "")
		r.Header.Set("X-Forwarded-For", from)
		w, line := f.answer(r)
		if status == 200 && w.Code != 200 {
			t.Errorf("from %s: %d %s", from, w.Code, w.Body)
		} else if status == 403 {
			refused("from "+from, w, line, 403, "forbidden", "not let in from "+from)
		}
		r = httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth(f.id, f.secret)
		r.Header.Set("X-Forwarded-For", from)
		if w, line := f.answer(r); w.Code != status || (line["reason"] != nil) != (status == 403) {
			t.Errorf("a token from %s: %d %v", from, w.Code, line)
		}
	}
	limit(0, 1)
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"GET", "/orgs", "", 200}, {"GET", "/orgs/nobody", "", 404}, {"POST", "/orgs", "", 405},
		{"GET", "/users?filter=x", "", 400}, {"PUT", "/categories/k", `{"category":{"title":"x"}}`, 201},
		{"DELETE", "/categories/k", "", 204}, {"HEAD", "/users", "", 200}, {"GET", "/users", "", 200},
	} {
		if w, _ := f.answer(f.request(c.method, base+c.target, c.body)); w.Code != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.target, w.Code, c.want, w.Body)
		}
	}
	met := false
	f.take(f.handler, "/users", func([]byte) error {
		if !met {
			met = true
			w, line := f.answer(f.request("GET", base+"/orgs", ""))
			refused("two at once", w, line, 429, "server_busy", "(requests at once: 1)")
		}
		return nil
	})
	if !met {
		t.Error("nobody asked in between")
	}
	limit(2, 0)
	for range 2 {
		f.answer(f.request("GET", base+"/orgs", ""))
	}
	w, line := f.answer(f.request("GET", base+"/orgs", ""))
	refused("too many", w, line, 429, "server_busy", "(requests a minute: 2)")
}
