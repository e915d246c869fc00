package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/store/storetest"
)

// A balancer deals requests around, in turn, among the services that say that they are ready.
type balancer struct {
	*httptest.Server
	t      *testing.T
	client http.Client
	mu     sync.Mutex
	behind []*behind
	turn   int
	// again lets what a service did not answer be asked of the next one: it was killed.
	again atomic.Bool
	over  chan struct{}
	looks sync.WaitGroup
}

// behind is a service behind a balancer.
type behind struct {
	address string
	cmd     *exec.Cmd
	ready   atomic.Bool
}

func newBalancer(t *testing.T) *balancer {
	b := &balancer{t: t, over: make(chan struct{})}
	b.client.Transport = &http.Transport{DisableCompression: true}
	b.Server = httptest.NewServer(b)
	return b
}

func (b *balancer) close() {
	close(b.over)
	b.looks.Wait()
	b.Close()
	b.client.CloseIdleConnections()
}

// add starts a service and waits until it gets requests.
func (b *balancer) add(dir, dsn string, more ...string) *behind {
	b.t.Helper()
	s := &behind{}
	s.address, s.cmd = start(b.t, dir, dsn, more...)
	b.looks.Go(func() { // whether it is ready
		for look := time.NewTicker(20 * time.Millisecond); ; {
			answer, err := b.client.Get("http://" + s.address + "/readyz")
			s.ready.Store(err == nil && answer.StatusCode == http.StatusOK)
			if err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			select {
			case <-look.C:
			case <-b.over:
				return
			}
		}
	})
	s.await(b.t, true)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behind = append(b.behind, s)
	return s
}

func (s *behind) await(t *testing.T, ready bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); s.ready.Load() != ready; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not become ready: %t", s.address, ready)
		}
	}
}

// next is whose turn it is.
func (b *balancer) next() *behind {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.behind {
		b.turn++
		if s := b.behind[b.turn%len(b.behind)]; s.ready.Load() {
			return s
		}
	}
	return b.behind[0]
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	for {
		answer, text, err := b.pass(b.next(), r, body)
		if err != nil && b.again.Load() {
			continue
		}
		if err != nil {
			b.t.Errorf("%s %s: %v", r.Method, r.URL, err)
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), answer.Header)
		w.Header().Del("Connection")
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(text)
		return
	}
}

// pass asks one service, once.
func (b *balancer) pass(s *behind, r *http.Request, body []byte) (*http.Response, []byte, error) {
	connections := 0
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connections++ }})
	on, err := http.NewRequestWithContext(ctx, r.Method, "http://"+s.address+r.URL.RequestURI(),
		bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	on.Header, on.Host = r.Header.Clone(), r.Host
	answer, err := b.client.Do(on)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && connections > 1 && !b.again.Load() {
		err = fmt.Errorf("it was asked %d times", connections)
	}
	return answer, text, err
}

// A holding is what a reader behind a balancer has of a collection: what it read, and the latest
// stamp in that.
type holding struct {
	reader
	t          *testing.T
	collection string
	rng        *rand.Rand
	rows       map[string]string // JSON by sourcedId
	latest     string
}

// pull walks a list to its end, and checks that it was of one piece.
func (h *holding) pull(filter string) {
	limit, seen, edition, total := 20+h.rng.IntN(100), map[string]bool{}, "", -1
	for offset := 0; offset < total || total < 0; offset += limit {
		if offset == 3*limit && h.rng.IntN(2) == 0 { // readers may change their mind
			limit += 7
		}
		q := url.Values{"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)}, "filter": {filter}}
		status, header, text := h.call("GET", "/"+h.collection+"?"+q.Encode(), "")
		var page map[string][]json.RawMessage
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			h.t.Errorf("%s: %d %v %.200s", h.collection, status, err, text)
			return
		}
		n, _ := strconv.Atoi(header.Get("X-Total-Count"))
		if total < 0 {
			total, edition = n, header.Get("X-Edition")
		}
		if n != total || header.Get("X-Edition") != edition || header.Get("X-Edition-Left") != "" {
			h.t.Errorf("%s %s at %d: %d records of edition %s, and %d of %s before; left: %q", h.collection, filter,
				offset, n, header.Get("X-Edition"), total, edition, header.Get("X-Edition-Left"))
			return
		}
		for _, raw := range page[h.collection] {
			var row struct{ SourcedID, DateLastModified string }
			if err := json.Unmarshal(raw, &row); err != nil || seen[row.SourcedID] {
				h.t.Errorf("%s: %s comes twice; %v", h.collection, row.SourcedID, err)
			}
			seen[row.SourcedID], h.rows[row.SourcedID] = true, string(raw)
			h.latest = max(h.latest, row.DateLastModified)
		}
	}
	if len(seen) != total {
		h.t.Errorf("%s: %d of %d records came", h.collection, len(seen), total)
	}
}

// call makes a request and reads its answer.
func (r reader) call(method, path, body string) (status int, header http.Header, text string) {
	q, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err.Error()
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return answer.StatusCode, answer.Header, string(read)
}

// Readers of three services over one database, whose pages are dealt around, see whole districts
// while days are imported and grades written, one service is killed and all are started anew, one
// after another: no record twice, none missing, no request that fails; and tokens, keys, nonces
// and what was written are the same everywhere.
func TestServeBehindABalancer(t *testing.T) {
	t.Parallel()
	dsn, dir := storetest.Postgres(t), t.TempDir()
	run := runs(t, dir, dsn)
	const days = "sandbox days --days 3 --students 150 --seed 4 --start 2026-09-01"
	if _, errs, code := rollbook(t, dir, strings.Fields(days)...); code != 0 {
		t.Fatal(errs)
	}
	run("import", "--new", "days/day-00.zip")
	b := newBalancer(t)
	defer b.close()
	client := func(name string, more ...string) (credential, reader) {
		c := clientOf(t, run(append([]string{"client", "add", name, "--for", "all", "--json"}, more...)...))
		return c, newReader(t, b.URL+"/ims/oneroster/v1p1", b.URL+"/token", c.ClientID, c.ClientSecret)
	}
	for range 3 {
		b.add(dir, dsn, "--drain", "3s")
	}
	writing, writer := client("writer", "--oauth1")
	everywhere := func(what string, path string, want int) {
		t.Helper()
		for range 3 {
			if status, _, text := writer.call("GET", path, ""); status != want {
				t.Errorf("%s: %d %s", what, status, text)
			}
		}
	}
	var over atomic.Bool
	var work sync.WaitGroup
	var holdings []*holding
	var asked atomic.Int64
	for n, collection := range []string{"enrollments", "users", "categories"} {
		_, r := client(collection)
		h := &holding{r, t, collection, rand.New(rand.NewPCG(1, uint64(n))), map[string]string{}, "2000-01-01"}
		holdings = append(holdings, h)
		work.Go(func() {
			for n := 0; !over.Load() && !t.Failed(); n++ {
				since := h.latest
				if n%3 == 0 {
					since = "2000-01-01"
				}
				h.pull("dateLastModified>='" + since + "'")
				asked.Add(1)
			}
		})
	}
	work.Go(func() {
		for n := 0; !over.Load() && !t.Failed(); n++ {
			title := fmt.Sprint("title ", n)
			path := fmt.Sprint("/categories/k", n%50)
			status, _, text := writer.call("PUT", path, `{"category":{"title":"`+title+`"}}`)
			_, _, one := writer.call("GET", path, "")
			_, _, list := writer.call("GET", "/categories?filter="+url.QueryEscape("title='"+title+"'"), "")
			if status > 201 || !strings.Contains(one, title) || !strings.Contains(list, title) {
				t.Errorf("%s: %d %s, then %s and %s are read", title, status, text, one, list)
			}
		}
	})
	imports := func(day string) {
		t.Helper()
		var report struct{ DateLastModified string }
		if err := json.Unmarshal([]byte(run("import", "days/day-0"+day+".zip", "--json")), &report); err != nil {
			t.Fatal(err)
		}
		totals := map[string]int{} // seen whole by all
		for range 3 {
			_, header, _ := writer.call("GET", "/enrollments?limit=1&filter="+url.QueryEscape(
				"dateLastModified>='"+report.DateLastModified+"'"), "")
			totals[header.Get("X-Total-Count")]++
		}
		if len(totals) != 1 || totals["0"] > 0 {
			t.Errorf("day %s, of %s: %v records have changed", day, report.DateLastModified, totals)
		}
	}
	more := func() { // everybody has pulled, all through
		t.Helper()
		for from := asked.Load(); asked.Load() < from+9 && !t.Failed(); {
			time.Sleep(5 * time.Millisecond)
		}
	}

	imports("1")
	more()
	header := signed(b.URL+"/ims/oneroster/v1p1/orgs", writing)
	for n, want := range []int{200, 401, 401} {
		q, _ := http.NewRequest("GET", b.URL+"/ims/oneroster/v1p1/orgs", nil)
		q.Header.Set("Authorization", header)
		answer, err := http.DefaultClient.Do(q)
		if err != nil || answer.StatusCode != want {
			t.Fatalf("a signature, sent for the %d. time: %v %v", n+1, answer, err)
		}
		_ = answer.Body.Close()
	}

	b.again.Store(true)
	kill(b.behind[0].cmd)
	imports("2")
	b.add(dir, dsn, "--drain", "3s")
	more()
	b.again.Store(false)

	for _, old := range b.behind[1:] {
		b.add(dir, dsn)
		_ = old.cmd.Process.Signal(os.Interrupt)
		old.await(t, false)
	}
	imports("3")
	more()
	over.Store(true)
	work.Wait()

	everywhere("a token that is good", "/orgs", 200)
	rotated := clientOf(t, run("client", "rotate", writing.ClientID, "--now", "--json"))
	everywhere("a token of a secret that has leaked", "/orgs", 401)
	again := func() {
		writer = newReader(t, writer.base, b.URL+"/token", writing.ClientID, rotated.ClientSecret)
		everywhere("a new token", "/orgs", 200)
	}
	again()
	run("client", "rotate", "--signing-key")
	again() // tokens of the key before end within a minute
	for _, h := range holdings {
		h.pull("dateLastModified>='" + h.latest + "'")
		now := &holding{h.reader, t, h.collection, h.rng, map[string]string{}, ""}
		now.pull("dateLastModified>='2000-01-01'")
		if !maps.Equal(now.rows, h.rows) {
			t.Errorf("%s: pulls and deltas have %d records, which are not the %d that there are", h.collection,
				len(h.rows), len(now.rows))
		}
	}
}

// signed is the header of a GET that a client signs (OAuth 1.0a, RFC 5849 §3.4).
func signed(address string, c credential) string {
	params := fmt.Sprintf("oauth_consumer_key=%s&oauth_nonce=once&oauth_signature_method=HMAC-SHA1&"+
		"oauth_timestamp=%d&oauth_version=1.0", c.ClientID, time.Now().Unix())
	mac := hmac.New(sha1.New, []byte(url.QueryEscape(c.ClientSecret)+"&"))
	mac.Write([]byte("GET&" + url.QueryEscape(address) + "&" + url.QueryEscape(params)))
	return "OAuth " + strings.NewReplacer("=", `="`, "&", `", `).Replace(params) + `", oauth_signature="` +
		url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))) + `"`
}
