package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/provider"
)

// A server is given the time that it asks for, and two minutes at most: a
// Retry-After of a day would hold up the school's morning.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct{ asked, waits string }{
		{"7", "trying again in 7s"},
		{"120", "trying again in 2m0s"},
		{"86400", "trying again in 2m0s"},
		{"9223372037", "trying again in 2m0s"}, // more nanoseconds than an int64 has
		{"99999999999999999999", "trying again in 2m0s"},
		{time.Now().AddDate(0, 0, 1).UTC().Format(http.TimeFormat), "trying again in 2m0s"},
		{"Thu, 01 Jan 1970 00:00:00 GMT", "trying again in 1ms"}, // no wait at all is no help to a busy server
		{"0", "trying again in 1ms"},
		{"-5", "trying again in 1ms"},
		{"soon", "trying again in 1ms"},
		{"", "trying again in 1ms"},
	} {
		for name, call := range map[string]func(context.Context, *provider.Provider) error{
			"careful": func(ctx context.Context, p *provider.Provider) error {
				_, _, err := p.List(ctx, "/orgs", "", "orgs")
				return err
			},
			"patient": func(ctx context.Context, p *provider.Provider) error {
				_, err := p.Patient(ctx, provider.Call{Path: "/orgs"})
				return err
			},
		} {
			p, calls, _ := planned(t, status(503, "Retry-After", c.asked))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var notes []string
			p.Note = func(text string) { // of the wait that begins: it is not sat out
				notes = append(notes, text)
				cancel()
			}
			if err := call(ctx, p); err == nil || len(notes) != 1 || !strings.Contains(notes[0], c.waits) ||
				calls.Load() != 1 {
				t.Errorf("%s, asked for %q: %q, %v", name, c.asked, notes, err)
			}
		}
	}
}

// Patient asks a busy server again, within Tries, and takes any other answer as
// it is.
func TestPatient(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []func(http.ResponseWriter, *http.Request)
		calls   int64
		status  int
	}{
		{"busy, then good", list(status(429, "Retry-After", "0"), status(503, "Retry-After", "0"), good), 3,
			200},
		{"busy for good", list(status(503, "Retry-After", "0")), 5, 503},
		{"failing", list(status(500), good), 1, 500},
		{"refused", list(status(401), good), 1, 401},
	} {
		p, calls, _ := planned(t, c.answers...)
		a, err := p.Patient(t.Context(), provider.Call{Path: "/orgs"})
		if err != nil || a.Status != c.status || calls.Load() != c.calls {
			t.Errorf("%s: %d after %d calls, %v", c.name, a.Status, calls.Load(), err)
		}
	}
}

// A token serves until a minute before its end, or half of its life where that
// is shorter; without expires_in that is an hour.
func TestTokenEnds(t *testing.T) {
	for _, c := range []struct {
		says string // of expires_in
		life time.Duration
	}{
		{`,"expires_in":3600`, 59 * time.Minute},
		{`,"expires_in":"600"`, 9 * time.Minute},
		{`,"expires_in":60`, 30 * time.Second},
		{`,"expires_in":0`, 59 * time.Minute},
		{`,"expires_in":"","scope":["a","b"]`, 59 * time.Minute}, // the token is what readers need
		{`,"expires_in":"3600s","token_type":7`, 59 * time.Minute},
		{`,"expires_in":null`, 59 * time.Minute},
		{``, 59 * time.Minute},
	} {
		var used []string
		p, _, _ := granting(t, c.says, func(w http.ResponseWriter, r *http.Request) {
			used = append(used, r.Header.Get("Authorization"))
			good(w, r)
		})
		now := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
		p.Now = func() time.Time { return now }
		for _, later := range []time.Duration{0, c.life - time.Second, time.Second} {
			now = now.Add(later)
			if _, _, err := p.List(t.Context(), "/orgs", "", "orgs"); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(used, ", "); got != "Bearer token-1, Bearer token-1, Bearer token-2" {
			t.Errorf("%q: %s", c.says, got)
		}
	}
}

// Nobody follows a redirect: the token stays with the host that it is for.
func TestRedirectElsewhere(t *testing.T) {
	var led atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		led.Add(1)
		good(w, r)
	}))
	defer elsewhere.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		p, calls, _ := planned(t, status(code, "Location", elsewhere.URL+"/orgs"))
		_, _, err := p.List(t.Context(), "/orgs", "", "orgs")
		if err == nil || !strings.Contains(err.Error(), "to "+elsewhere.URL) || calls.Load() != 1 ||
			led.Load() != 0 {
			t.Errorf("%d: %v; %d calls, %d elsewhere", code, err, calls.Load(), led.Load())
		}
	}
}

var nobody = provider.Who{Nobody: true} // a token is an answer too, and a longer one

// An answer of as many bytes as are allowed is whole; of one more it is not.
func TestLargestAnswer(t *testing.T) {
	for more, want := range []string{"", "goes on past 0 MiB"} {
		p, _, _ := planned(t, good)
		p.MaxBody = int64(len(rows) - more)
		if a, err := p.Do(t.Context(), provider.Call{Path: "/orgs",
			Who: nobody}); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(),
			want) {
			t.Errorf("%d of %d bytes: %v", len(a.Body), len(rows), err)
		}
	}
}

// Of an endless answer no more is read than is allowed.
func TestEndlessAnswerIsLeft(t *testing.T) {
	sent := make(chan int, 1)
	p, _, _ := planned(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for n < 256<<20 {
			more, err := w.Write(make([]byte, 1<<16))
			if n += more; err != nil {
				break
			}
		}
		sent <- n
	})
	p.MaxBody = 1 << 20
	if _, err := p.Do(t.Context(), provider.Call{Path: "/orgs", Who: nobody}); !is(err, provider.Endless) {
		t.Errorf("taken for whole: %v", err)
	}
	if n := <-sent; n > 64<<20 { // what the sockets hold is not much
		t.Errorf("%d bytes were read, of 1 MiB that are allowed", n)
	}
}

// A Retry-After is read by the server's own clock where it is a date, and from the token endpoint too.
func TestRetryAfterOfWhom(t *testing.T) {
	hourBehind := time.Now().Add(-time.Hour).UTC()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		waits  string
	}{
		"a clock behind": {status(503, "Date", hourBehind.Format(http.TimeFormat), "Retry-After",
			hourBehind.Add(7*time.Second).Format(http.TimeFormat)), "trying again in 7s"},
		"the token endpoint": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				status(429, "Retry-After", "9")(w, r)
			}
		}, "trying again in 9s"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told := ""
		p := served(t, provider.Config{Note: func(text string) { // it is not sat out
			told = text
			cancel()
		}}, func(w http.ResponseWriter, r *http.Request) {
			if name == "a clock behind" && r.URL.Path == "/token" {
				fmt.Fprint(w, `{"access_token":"t"}`)
				return
			}
			c.answer(w, r)
		})
		if _, _, err := p.List(ctx, "/orgs", "", "orgs"); err == nil || !strings.Contains(told, c.waits) {
			t.Errorf("%s: %q, %v", name, told, err)
		}
	}
}

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
			p := served(t, provider.Config{Tries: 3}, func(w http.ResponseWriter, r *http.Request) {
				text := `{"users":[]}`
				if r.URL.Path == "/token" {
					text = `{"access_token":"t","token_type":"bearer","expires_in":3600}`
					if asked++; asked <= len(c.statuses) {
						w.WriteHeader(c.statuses[asked-1])
						text = "busy"
					}
				}
				fmt.Fprint(w, text)
			})
			_, _, err := p.List(context.Background(), "/users", "", "users")
			if asked != c.asked || (err == nil) != (c.err == "") || err != nil &&
				!strings.Contains(err.Error(), c.err) {
				t.Errorf("asked %d times: %v", asked, err)
			}
		})
	}
}
