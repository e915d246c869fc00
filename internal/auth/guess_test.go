package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
)

// A secret is right as a whole or not at all, however a Basic header spells it.
func TestSecretsAreComparedWhole(t *testing.T) {
	g, b, key := gate(t, func() time.Time { return noon })
	secret := b.add(key, "a", noon, "read")
	kept := b.clients["a"].Secrets[0]
	second, keptToo := auth.NewSecret(noon, key, false)
	b.clients["a"].Secrets = append(b.clients["a"].Secrets, keptToo)
	hash := func(text string) auth.Secret {
		sum := sha256.Sum256([]byte(text))
		return auth.Secret{Hash: hex.EncodeToString(sum[:])}
	}
	first, last := hash("secret"), hash("secret")
	first.Hash = map[bool]string{true: "1", false: "0"}[first.Hash[0] == '0'] + first.Hash[1:]
	last.Hash = last.Hash[:63] + map[bool]string{true: "1", false: "0"}[last.Hash[63] == '0']
	for id, s := range map[string]auth.Secret{
		"first": first, "last": last, "whole": hash("secret"), "none": {},
		"a+b": hash("plus"), "a b": hash("space"), "signs": hash("p+%20 :é"),
	} {
		b.clients[id] = &auth.Client{ID: id, Scopes: []string{"read"}, Secrets: []auth.Secret{s}}
	}
	for i, c := range []struct {
		login string
		want  int
	}{
		{"a:" + secret, 200}, {"a:" + second, 200}, {"whole:secret", 200},
		{"first:secret", 401}, {"last:secret", 401}, {"whole:SECRET", 401}, {"none:", 401},
		{"nobody:no such client", 401}, {":", 401}, {"a", 401}, {"A:" + secret, 401},
		{"a: " + secret, 401}, {"a:" + secret + ":", 401},
		{"a:" + secret[:42], 401}, {"a:" + secret + "=", 401}, {"a:" + secret[1:], 401},
		{"a:" + kept.Hash, 401}, {"a:" + kept.Sealed, 401}, {"a:" + kept.ID, 401},
		{"a+b:plus", 200}, {"a%2Bb:plus", 200}, {"a b:space", 200}, {"a+b:space", 200}, {"a%20b:space", 200},
		{"a%2Bb:space", 401}, {"signs:p+%20 :é", 200}, {"signs:p%2B%2520+%3A%C3%A9", 200},
		{"signs:p%2B%2520+%3A%C3%A8", 401}, {"a%ZZ:x", 401},
	} {
		w := post(g, formKind, c.login, "")
		if w.Code != c.want || (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%d. %q: %d, want %d", i, c.login, w.Code, c.want)
		}
	}
	if len(kept.Hash) != 64 || kept.Hash != hash(secret).Hash || kept.Sealed == "" || keptToo.Sealed != "" {
		t.Errorf("kept: %+v, %+v", kept, keptToo)
	}
	if all := fmt.Sprintf("%+v %#v %+v", kept, b.clients["a"], key); leaks(all, secret, second) {
		t.Errorf("a secret is kept as it is: %s", all)
	}
}

// No refusal says a secret, a token or what else came in a header, nor does the
// error for the log.
func TestRefusalsSayNoSecret(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	secret := b.add(key, "a", now, "read")
	text := token(t, g, "a", secret)
	s := &signer{id: "a", secret: secret}
	tell := func(name, said string, secrets ...string) {
		t.Helper()
		if said == "" || leaks(said, secrets...) {
			t.Errorf("%s is told: %s", name, said)
		}
	}
	guess := auth.NewKeyText()
	for name, login := range map[string]string{
		"a wrong secret": "a:" + guess, "no colon": guess, "an unknown client": "b:" + guess,
	} {
		w := post(g, formKind, login, "")
		tell(name, w.Body.String()+fmt.Sprint(w.Header()), guess)
	}
	raw := httptest.NewRequest("POST", "/token", nil)
	raw.Header.Set("Authorization", "Basic "+secret+"*")
	w := httptest.NewRecorder()
	g.ServeToken(w, raw)
	tell("no base64", w.Body.String()+fmt.Sprint(w.Header()), secret)
	for _, body := range []string{"client_id=a&client_secret=" + guess, "client_id=b&client_secret=" + guess,
		"client_id=a&scope=x&client_secret=" + secret,
		"client_id=a&client_secret=" + secret + "&client_secret=" + guess} {
		w := post(g, formKind, "", body)
		tell(strings.NewReplacer(guess, "…", secret, "…").Replace(body), w.Body.String(), guess, secret)
	}
	sending := func(header string) *http.Request {
		r := httptest.NewRequest("GET", "https://sis.example.org/x", nil)
		r.Header.Set("Authorization", header)
		return r
	}
	refused := func(name string, r *http.Request, status int) {
		t.Helper()
		_, d := g.Caller(r, r.URL)
		if d == nil || d.Status != status || (status == 503) != (d.Err != nil) ||
			(status == 401) != (d.Challenge != "") {
			t.Fatalf("%s: %+v", name, d)
		}
		header := r.Header.Get("Authorization")
		_, mac, _ := strings.Cut(header, `oauth_signature="`)
		mac, _, _ = strings.Cut(mac, `"`)
		tell(name, d.Text+d.Challenge+fmt.Sprint(d.Err), secret, guess, text, mac)
	}
	refused("a token that is cut", bearing(text[:len(text)-4]), 401)
	refused("another scheme", sending("Digest "+secret), 401)
	refused("a secret as a token", bearing(secret), 401)
	refused("a secret as a signature", sending(`OAuth `+secret), 400)
	refused("a wrong signature", (&signer{id: "a", secret: guess}).request(now), 401)
	refused("an unknown signer", (&signer{id: "b", secret: guess}).request(now), 401)
	used := s.request(now)
	enter(t, g, used)
	refused("a replay", used, 401)
	refused("an old signature", s.request(now.Add(-time.Hour)), 401)
	// The gate fails shut where its book does.
	b.broken = errors.New("the disk is gone")
	refused("a token without a book", bearing(text), 503)
	refused("a signature without a book", s.request(now), 503)
	w = post(g, formKind, "a:"+secret, "")
	if w.Code != 503 || w.Header().Get("Retry-After") != "5" || leaks(w.Body.String(), secret) {
		t.Errorf("a token request without a book: %d %s", w.Code, w.Body)
	}
	b.broken, b.full = nil, errors.New("the disk is full")
	refused("a signature whose nonce cannot be kept", s.request(now), 503)
	b.full = nil
	other, _ := auth.ParseKey(auth.NewKeyText())
	b.clients["a"].Secrets[0].Sealed = other.Seal(secret)
	refused("a secret under another key", s.request(now), 503)
	now = now.Add(2 * time.Hour)
	refused("a token that has ended", bearing(text), 401)
}

// Wrong signatures are slowed as wrong secrets are, and with them.
func TestForgersAreSlowed(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	right := &signer{id: "a", secret: b.add(key, "a", now, "read")}
	wrong, nobody := &signer{id: "a", secret: "guess"}, &signer{id: "b", secret: "guess"}
	from := func(s *signer, address string) int {
		r := s.request(now)
		r.RemoteAddr = address
		_, got := enter(t, g, r)
		return got
	}
	for _, s := range []*signer{wrong, nobody} {
		count := map[int]int{}
		for n := range 100 {
			count[from(s, fmt.Sprintf("192.0.2.1:%d", 1000+n))]++
		}
		if count[401] != 10 || count[429] != 90 {
			t.Errorf("100 wrong signatures for %s: %v", s.id, count)
		}
	}
	if got := from(right, "192.0.2.1:1"); got != 429 {
		t.Errorf("the right one from there: %d", got)
	}
	if got := from(right, "192.0.2.2:1"); got != 200 {
		t.Errorf("the right one from elsewhere: %d", got)
	}
	// The pause doubles with every wrong one, up to a minute.
	for n, pause := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60} {
		now = now.Add(time.Duration(pause)*time.Second - 1)
		if got := from(right, "192.0.2.1:1"); got != 429 {
			t.Errorf("before the end of pause %d: %d", n+1, got)
		}
		now = now.Add(1)
		if got := from(wrong, "192.0.2.1:1"); got != 401 {
			t.Errorf("at the end of pause %d: %d", n+1, got)
		}
	}
	now = now.Add(time.Minute)
	// A right one makes up for those before it.
	for round := range 3 {
		if got := from(right, "192.0.2.1:1"); got != 200 {
			t.Errorf("round %d: the right one after the pause: %d", round, got)
		}
		for range 9 {
			from(wrong, "192.0.2.1:1")
		}
	}
}

// What is remembered of guessers is bounded, in their number and in the length of
// the ids that they try.
func TestGuessersAreForgotten(t *testing.T) {
	for _, c := range []struct{ guessers, id int }{{20000, 8}, {1000, 32 << 10}} {
		g, b, _ := gate(t, func() time.Time { return noon })
		pad := strings.Repeat("x", c.id)
		before := heap()
		r := httptest.NewRequest("POST", "/token", nil)
		for n := range c.guessers {
			r.SetBasicAuth(fmt.Sprint(n, pad), "guess")
			r.Body = http.NoBody
			g.ServeToken(httptest.NewRecorder(), r)
			b.asked = nil
		}
		if grown := heap() - before; grown > 7<<18 {
			t.Errorf("%d guessers with ids of %d bytes: %d bytes are kept", c.guessers, c.id, grown)
		}
		runtime.KeepAlive(g)
	}
}

// Where guessers are more than are remembered, those whose pause is long over go
// first, and who has just been slowed stays slowed; only where all are new all go.
func TestWhichGuessersAreForgotten(t *testing.T) {
	for _, c := range []struct {
		name string
		old  time.Duration // how long before the last the others came
		want int
	}{
		{"long ago", time.Hour, 429}, {"a minute ago", time.Minute, 401}, {"just now", 0, 401},
		{"more than a minute ago", time.Minute + 1, 429},
	} {
		now := noon
		g, b, _ := gate(t, func() time.Time { return now })
		guess := func(id string) int {
			b.asked = nil
			return post(g, formKind, id+":guess", "").Code
		}
		for n := range 9998 {
			guess(fmt.Sprint(n))
		}
		now = now.Add(c.old)
		for range 10 {
			guess("slowed")
		}
		guess("the last that is remembered")
		if got := guess("slowed"); got != 429 {
			t.Errorf("the others came %s: with 10,000 remembered: %d", c.name, got)
		}
		guess("one too many")
		if got := guess("slowed"); got != c.want {
			t.Errorf("the others came %s: with more: %d, want %d", c.name, got, c.want)
		}
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Whether a client exists cannot be told from the work for a wrong secret: the book
// is asked as often, and as much is hashed, which shows in the memory that is used.
func TestUnknownClientsCostTheSame(t *testing.T) {
	now := noon
	g, b, key := gate(t, func() time.Time { return now })
	for _, id := range []string{"known", "bare "} {
		b.add(key, id, now, "read")
	}
	b.clients["bare "].OAuth1 = false
	work := func(do func()) (asked int, allocs float64) {
		b.asked = nil
		do()
		asked = len(b.asked)
		return asked, testing.AllocsPerRun(20, func() {
			now = now.Add(2 * time.Minute)
			b.asked = b.asked[:0]
			do()
		})
	}
	for _, c := range []struct {
		name  string
		do    func(id string) func()
		apart float64 // by how much the allocations may differ, of one
	}{
		{"secret", func(id string) func() { return func() { post(g, formKind, id+":guess", "") } }, 0.005},
		{"coded secret", func(id string) func() { return func() { post(g, formKind, id+":g%41ss", "") } },
			0.005},
		{"signature", func(id string) func() {
			s := &signer{id: id, secret: "guess"}
			return func() { r := s.request(now); g.Caller(r, r.URL) }
		}, 0.05},
	} {
		asked, allocs := work(c.do("known"))
		for _, id := range []string{"bare ", "other"} {
			if n, a := work(c.do(id)); n != asked || a < allocs*(1-c.apart) || a > allocs*(1+c.apart) {
				t.Errorf("a %s of %q: asked %d, %v allocations; of a known client %d, %v",
					c.name, id, n, a, asked, allocs)
			}
		}
	}
}
