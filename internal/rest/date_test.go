package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// The Date of an answer is never later than the stamp of a change that the answer
// lacks: a reader that begins its next delta there loses nothing. The clock goes a
// second at every look, so that whatever comes between shows.
func TestDateIsNeverLate(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, dsn string) {
		var seconds atomic.Int64
		clock := func() time.Time { return today.Add(time.Duration(seconds.Add(1)) * time.Second) }
		s := storetest.Open(t, dsn, store.Options{Now: clock})
		key := resttest.Key(t)
		secret := resttest.Admit(t, s, key, auth.Client{ID: "tester"})
		service := resttest.Service(t, s, key)
		form := httptest.NewRequest("POST", "/token",
			strings.NewReader("client_id=tester&client_secret="+secret))
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		granted := httptest.NewRecorder()
		service.ServeHTTP(granted, form)
		var token struct {
			Text string `json:"access_token"`
		}
		if err := json.Unmarshal(granted.Body.Bytes(), &token); err != nil {
			t.Fatal(granted.Body)
		}
		call := func(method, path, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, "/ims/oneroster/v1p1"+path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token.Text)
			w := httptest.NewRecorder()
			service.ServeHTTP(w, r)
			return w
		}
		type page struct {
			Categories []struct{ SourcedID, DateLastModified string }
		}
		read := func() (time.Time, map[string]string) {
			w := call("GET", "/categories?limit=1000", "")
			date, err := time.Parse(http.TimeFormat, w.Header().Get("Date"))
			var p page
			if err != nil || json.Unmarshal(w.Body.Bytes(), &p) != nil {
				t.Errorf("%v %s", err, w.Body)
			}
			stamps := map[string]string{}
			for _, c := range p.Categories {
				stamps[c.SourcedID] = c.DateLastModified
			}
			return date, stamps
		}
		writes := storetest.Tries(60)
		var writing sync.WaitGroup
		for w := range 2 {
			writing.Add(1)
			go func() {
				defer writing.Done()
				for i := range writes {
					path := fmt.Sprintf("/categories/k%d-%d", w, i)
					if got := call("PUT", path, `{"category":{"title":"x"}}`); got.Code != 201 {
						t.Errorf("%d %s", got.Code, got.Body)
					}
				}
			}()
		}
		type seen struct {
			date   time.Time
			stamps map[string]string
		}
		var all []seen
		for len(all) == 0 || len(all[len(all)-1].stamps) < 2*writes {
			date, stamps := read()
			if all = append(all, seen{date, stamps}); t.Failed() {
				break
			}
		}
		writing.Wait()
		_, last := read()
		for _, one := range all {
			for id, stamp := range last {
				if one.stamps[id] == stamp {
					continue
				}
				at, err := time.Parse(time.RFC3339, stamp)
				if err != nil || at.Before(one.date) {
					t.Fatalf("%s is stamped %s and not in the answer of %s", id, stamp, one.date)
				}
			}
		}
	})
}
