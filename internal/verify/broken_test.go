package verify_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/verify"
)

// A spoiler makes a broken provider of a correct one: one thing is wrong.
type spoiler func(s *service) http.Handler

// broken is a provider that does one thing wrong, and the check that is there
// to tell. The name is what its engineer would say.
type broken struct {
	name, check string
	cause       string // the check that tells the cause of it, where that is another
	spoil       spoiler
	rows        string // SQL that makes its rows of right ones, where they are what is wrong
	oauth1      bool
	config      func(*provider.Config)
}

// of is the correct provider that it is made of: one that remembers, one that remembers what
// no write changes, or, where each token must be a new one, one that remembers nothing; or one of
// rows of its own.
func (b broken) of(t testing.TB, read, quick, half *service) *service {
	switch kind, _, _ := strings.Cut(b.check, "."); {
	case b.rows != "":
		return holding(t, t.TempDir()+"/rows.db", b.rows)
	case b.check == "access.earlier-token" || b.check == "access.lasting-token":
		return read
	case kind == "put", kind == "delete":
		return half
	}
	return quick
}

// neverPassed are the rules that the made-up district breaks a little, as advice:
// it was imported in one go, has aides, and courses that no class is of.
var neverPassed = []string{"SDS-G04", "SDS-U07", "Q-08"}

// Every broken provider is caught by the check that is meant for it, on a
// target where the correct provider passes; and every check catches one.
func TestBrokenProviders(t *testing.T) {
	rows := brokenProviders()
	caught := map[string]bool{}
	names := map[string]bool{}
	for _, b := range rows {
		if names[b.name] {
			t.Errorf("two broken providers are named %q", b.name)
		}
		names[b.name], caught[b.check] = true, true
	}
	for _, c := range verify.Checks {
		if !caught[c.ID] && !slices.Contains(neverPassed, c.ID) {
			t.Errorf("no broken provider shows that %s can fail", c.ID)
		}
	}

	read, written := correct(t, t.TempDir()+"/read.db"), correct(t, t.TempDir()+"/written.db")
	quick, half := read.remembered(everything), written.remembered(roster)
	// By check and target. That the tests are on one machine keeps access.https from judging it.
	passed := map[string]bool{"access.https": true, "access.https ": true}
	for _, oauth1 := range []bool{false, true} {
		opt := verify.Options{Profiles: []string{"all"}, Write: true}
		if oauth1 {
			opt.Only = []string{"access"}
		}
		report, err := verified(t, written, written, opt, func(c *provider.Config) { c.OAuth1 = oauth1 })
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Of(verify.Passed) {
			passed[r.Check.ID+" "+r.Target], passed[r.Check.ID] = true, true
		}
	}
	stages := make(chan *stage, runtime.GOMAXPROCS(0))
	for range cap(stages) {
		st := newStage()
		t.Cleanup(st.server.Close)
		stages <- st
	}
	if len(rows) < 400 {
		t.Errorf("%d broken providers; there were 440", len(rows))
	}
	for _, b := range rows {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			st := <-stages
			defer func() { stages <- st }()
			s := b.of(t, read, quick, half)
			if !passed[b.check] {
				t.Errorf("the correct provider does not pass %s anywhere", b.check)
			}
			report, err := st.verified(t, s, b, verify.Options{Profiles: []string{"all"}, Write: s == half,
				Only: []string{b.check}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range append(report.Of(verify.Failed), report.Of(verify.Advised)...) {
				if passed[r.Check.ID+" "+r.Target] {
					t.Logf("%s %s: %s", b.check, r.Target, r.Failures[0].Text)
					return
				}
			}
			for _, r := range report.Of(verify.Unchecked) {
				t.Logf("not checked: %s: %s", r.Target, r.Lacks)
			}
			t.Errorf("%s does not tell: %+v", b.check, report.Counts())
		})
	}
}

func brokenProviders() []broken {
	return slices.Concat(brokenAccess, brokenRoutes, brokenPages, brokenFilters, brokenOrders,
		brokenObjects, brokenNested, brokenData, brokenReaders, brokenRules, brokenField, brokenWrites,
		brokenQuietly)
}

// A stage is one address at which broken providers are played one after the
// other, so that the answers behind them, which name the address, can be
// remembered.
type stage struct {
	server *httptest.Server
	played atomic.Pointer[http.Handler]
}

func newStage() *stage {
	st := &stage{}
	st.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		(*st.played.Load()).ServeHTTP(w, r)
	}))
	return st
}

func (st *stage) verified(t testing.TB, s *service, b broken, opt verify.Options) (*verify.Report, error) {
	h := http.Handler(s)
	if b.spoil != nil {
		h = b.spoil(s)
	}
	st.played.Store(&h)
	c := provider.Config{URL: st.server.URL + oneroster.V1p1.Base, TokenURL: st.server.URL + "/token",
		Client: s.id, Secret: s.secret, OAuth1: b.oauth1, Timeout: 20 * time.Second, Wait: time.Millisecond}
	if b.config != nil {
		b.config(&c)
	}
	p, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Run(t.Context(), p, opt)
}

// remembered is the provider with a memory for some of its answers: those that
// nobody's writing changes.
func (s *service) remembered(is func(r *http.Request) bool) *service {
	out := *s
	out.Handler = remembered(s, is)
	return &out
}

func everything(*http.Request) bool { return true }

// roster tells reads of what a PUT does not change.
func roster(r *http.Request) bool {
	route := routeOf(r)
	return r.URL.Path == "/token" || route != nil && !route.Resource.Gradebook
}

func remembered(next http.Handler, is func(r *http.Request) bool) http.Handler {
	var lock sync.Mutex
	answers, made := map[string]*answer{}, map[string]time.Time{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Path == "/token"
		if r.Method != http.MethodGet && !token || !is(r) {
			next.ServeHTTP(w, r)
			return
		}
		var body bytes.Buffer
		if r.Body != nil {
			_, _ = body.ReadFrom(r.Body) // what broke off is a key of its own
			r.Body = http.NoBody
		}
		if token {
			r = r.Clone(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
		}
		key := strings.Join([]string{r.Host, r.URL.String(), r.Header.Get("Authorization"), body.String()},
			"\n")
		lock.Lock()
		a := answers[key]
		if a == nil {
			lock.Unlock()
			a = ask(next, r)
			lock.Lock()
			answers[key], made[key] = a, time.Now()
		}
		since := time.Since(made[key])
		lock.Unlock()
		if token {
			a = a.after(since)
		}
		a.write(w)
	})
}

// after is an answer of a while ago, with a token that is still to last for what is left of it.
func (a *answer) after(d time.Duration) *answer {
	g := a.members()
	n, isNumber := g["expires_in"].(json.Number)
	seconds, err := n.Float64()
	if !isNumber || err != nil {
		return a
	}
	out := *a
	g["expires_in"] = int(seconds - d.Seconds())
	out.setMembers(g)
	return &out
}
