package rest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/machine"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store/storetest"
)

// A list that breaks off in the middle must not look whole: here the database ends
// its connections again and again while pages are read.
func TestBrokenListLooksBroken(t *testing.T) {
	dsn := storetest.Postgres(t)
	s := serveDistrict(t, dsn, oneroster.Scopes(), 1000)
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ended := make(chan struct{})
	cutting := sync.WaitGroup{}
	cutting.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			_, err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> " +
				"pg_backend_pid() AND query LIKE '%enrollments%'")
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	broken := 0
	for n := 0; n < 40 && broken < 8; n++ {
		status, header, body := s.call("GET", "/enrollments?limit=50000", "")
		switch n := bytes.Count(body, []byte(`{"sourcedId"`)); {
		case status >= 500:
			broken++
			if header.Get("Retry-After") == "" || bytes.Contains(body, []byte("terminat")) {
				t.Errorf("%v %s", header, body)
			}
		case status != 200 || header.Get("X-Total-Count") != fmt.Sprint(n):
			t.Errorf("%d: %d rows of %s", status, n, header.Get("X-Total-Count"))
		}
	}
	close(ended)
	cutting.Wait()
	if broken == 0 {
		t.Error("no answer was broken: the test shows nothing")
	}
}

// Any number of readers that do not read leave the service to the others, and hold
// nothing of the database.
func TestReadersThatDoNotRead(t *testing.T) {
	if testing.Short() {
		machine.Leave(t, "-short: takes many rows, and many connections")
	}
	storetest.Engines(t, func(t *testing.T, dsn string) {
		var handler http.Handler
		s := serveDistrict(t, dsn, oneroster.Scopes(), 200, func(c *rest.Config) { handler = rest.New(*c) })
		s.Server = httptest.NewUnstartedServer(handler)
		// So little is on its way that a page of 200 students stands still too.
		s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			_ = c.(*net.TCPConn).SetWriteBuffer(4096)
			return ctx
		}
		s.Start()
		t.Cleanup(s.Close)
		s.stall(300, "/enrollments?limit=50000")
		for _, target := range []string{"/orgs?limit=1", "/users?limit=100",
			"/enrollments?limit=5000&offset=1000", "/orgs/dst-1"} {
			if status, _, body := s.call("GET", target, ""); status != 200 {
				t.Errorf("%s: %d %.200s", target, status, body)
			}
		}
		if status, _, body := s.call("PUT", "/categories/c1", `{"category":{"title":"x"}}`); status != 201 {
			t.Errorf("PUT: %d %s", status, body)
		}
		r, _ := http.NewRequest("POST", s.URL+"/token", nil)
		r.SetBasicAuth(s.id, s.secret)
		if status, _, body := s.do(r); status != 200 {
			t.Errorf("/token: %d %s", status, body)
		}
	})
}

// stall sends a request so many times and reads none of the answers until the test
// ends, or the readers are told to go.
func (s *service) stall(readers int, target string) (leave func()) {
	s.t.Helper()
	var all []net.Conn
	leave = func() {
		for _, conn := range all {
			_ = conn.Close()
		}
	}
	s.t.Cleanup(leave)
	host := strings.TrimPrefix(s.URL, "http://")
	for range readers {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, conn)
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
			oneroster.V1p1.Base, target, s.token)
	}
	return leave
}

func TestGzipWhenOffered(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	get := func(offer string) (http.Header, []byte) {
		r, _ := http.NewRequest("GET", s.URL+oneroster.V1p1.Base+"/users", nil)
		r.Header.Set("Authorization", "Bearer "+s.token)
		r.Header.Set("Accept-Encoding", offer)
		_, header, body := s.do(r)
		return header, body
	}
	_, plain := get("identity")
	header, packed := get("gzip, deflate, br")
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("%v %v", err, header)
	}
	whole, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(whole, plain) || header.Get("Vary") != "Accept-Encoding" ||
		header.Get("X-Total-Count") == "" {
		t.Errorf("%d bytes of %d, %v %v", len(whole), len(plain), header, err)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	for _, target := range []string{"/users", "/users/a1", "/users/none"} {
		want, header, _ := s.call("GET", target, "")
		got, headHeader, body := s.call("HEAD", target, "")
		if got != want || len(body) > 0 || headHeader.Get("X-Total-Count") != header.Get("X-Total-Count") {
			t.Errorf("%s: %d %d %v", target, got, len(body), headHeader)
		}
	}
}

// Behind a proxy references, links and signatures are of the public address.
func TestPublicAddress(t *testing.T) {
	public, _ := url.Parse("https://roster.example.org/district7")
	s := serveDistrict(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes(), 90,
		func(c *rest.Config) { c.URL = public })
	_, header, body := s.call("GET", "/schools?limit=1", "")
	if want := "<https://roster.example.org/district7/ims/oneroster/v1p1/schools?limit=1&offset=1>; rel=\"next\""; !strings.HasPrefix(header.Get("Link"), want) {
		t.Errorf("Link %s", header.Get("Link"))
	}
	if !bytes.Contains(body, []byte(`"href":"https://roster.example.org/district7/ims/oneroster/v1p1/orgs/dst-1"`)) {
		t.Errorf("%s", body)
	}
	r, _ := http.NewRequest("GET", public.String()+oneroster.V1p1.Base+"/users?limit=1", nil)
	auth.Sign(r, s.id, s.secret, "HMAC-SHA1", "n", time.Now())
	sent, _ := http.NewRequest("GET", s.URL+oneroster.V1p1.Base+"/users?limit=1", nil)
	sent.Header = r.Header
	if status, _, body := s.do(sent); status != 200 {
		t.Errorf("signed for the public address: %d %s", status, body)
	}
}

// Forwarded headers count only where they are to be believed.
func TestForwardedHeaders(t *testing.T) {
	for _, trust := range []bool{true, false} {
		s := serveDistrict(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes(), 90,
			func(c *rest.Config) { c.TrustProxy = trust })
		r, _ := http.NewRequest("GET", s.URL+oneroster.V1p1.Base+"/orgs/sch-001", nil)
		r.Header.Set("Authorization", "Bearer "+s.token)
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-Host", "evil.example")
		_, _, body := s.do(r)
		if got := bytes.Contains(body, []byte("https://evil.example/ims/")); got != trust {
			t.Errorf("trusted %v: %s", trust, body)
		}
	}
}

// told counts the lines of a log.
type told struct{ atomic.Int64 }

func (n *told) Write(line []byte) (int, error) {
	n.Add(1)
	return len(line), nil
}

func TestCertificateIsReadAgain(t *testing.T) {
	var complaints told
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "first")
	config, _, err := rest.Certificates(cert, key, slog.New(slog.NewTextHandler(&complaints, nil)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rest.NewServer(http.NotFoundHandler())
	server.TLSConfig = config
	server.ErrorLog = log.New(io.Discard, "", 0)
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	defer func() {
		_ = server.Close()
		<-ended
	}()
	name := func() string {
		// the test looks at the name itself
		c, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	until := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); name() != want; {
			if time.Now().After(deadline) {
				t.Fatalf("still %s, want %s", name(), want)
			}
		}
	}
	until("first")
	writePair(t, cert, key, "second")
	until("second")
	if n := complaints.Load(); n > 0 {
		t.Errorf("%d complaints of a good certificate", n)
	}
	if err := os.WriteFile(cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); complaints.Load() == 0; {
		if until("second"); time.Now().After(deadline) { // the old one goes on
			t.Fatal("nobody is told of a certificate that cannot be read")
		}
	}
	until("second")
	if _, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true,
		MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was taken")
	}
}

func writePair(t *testing.T, cert, key, name string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der},
		key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenPaths(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes())
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/healthz", 200, `"ok"`},
		{"GET", "/readyz", 200, `"ok"`},
		{"GET", "/openapi.json", 200, `"openapi"`},
		{"GET", "/.well-known/jwks.json", 200, `"crv":"P-256"`},
		{"POST", "/token", 401, `"invalid_client"`},
		{"POST", "/Token/", 401, `"invalid_client"`},
		{"POST", "/oauth/token", 401, `"invalid_client"`},
		{"POST", "/oauth2/token", 401, `"invalid_client"`},
		{"POST", "/oauth/access_token", 401, `"invalid_client"`},
		{"POST", "/ims/OneRoster/v1p1/token", 401, `"invalid_client"`},
		{"POST", "/ims/oneroster/oauth2/token", 401, `"invalid_client"`},
		{"POST", "/ims/token", 404, `"unknown object"`},
		{"POST", "/ims/oneroster/v1p1/x/token", 404, `"unknown object"`},
		{"GET", "/ims/oneroster/v1p1/users", 401, `"unauthorized"`},
		{"GET", "/ims/oneRoster/users", 401, `"unauthorized"`},
		{"GET", "/", 404, `"unknown object"`},
		{"GET", "/ims/oneroster/v1p1", 404, `"unknown object"`},
	} {
		r, _ := http.NewRequest(c.method, s.URL+c.path, nil)
		if status, _, body := s.do(r); status != c.status || !strings.Contains(string(body), c.want) ||
			strings.Contains(string(body), `"d":`) {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
}

// A mistake of ours, here a service without a database, is a 500 in the
// standard's shape that tells nothing of the inside; the log does.
func TestPanicIsAnAnswer(t *testing.T) {
	var written bytes.Buffer
	server := httptest.NewServer(rest.New(rest.Config{Face: oneroster.V1p1,
		Log: slog.New(slog.NewTextHandler(&written, nil))}))
	answer, err := http.Get(server.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	server.Close()
	if err != nil || answer.StatusCode != 500 || !bytes.Contains(body,
		[]byte(`"imsx_codeMinor":"internal_server_error"`)) || bytes.Contains(body, []byte("nil")) ||
		!strings.Contains(written.String(), "nil pointer") {
		t.Errorf("%d %s %v\n%s", answer.StatusCode, body, err, written.String())
	}
}

// Logs tell who did what, and neither secrets nor names nor what was looked for.
func TestLogsKeepQuiet(t *testing.T) {
	var written bytes.Buffer
	s := serveDistrict(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes(), 90,
		func(c *rest.Config) { c.Log = slog.New(slog.NewJSONHandler(&written, nil)) })
	s.call("GET", "/users?filter=familyName='Nguyen'", "")
	s.call("PUT", "/results/secret-grade", `{"result":{"comment":"whisper"}}`)
	s.Close()
	for _, word := range []string{s.secret, s.token, "Nguyen", "whisper", "secret-grade"} {
		if strings.Contains(written.String(), word) {
			t.Errorf("the log holds %q:\n%s", word, written.String())
		}
	}
	var last map[string]any
	lines := strings.Split(strings.TrimSpace(written.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last["op"] != "putResult" ||
		last["client"] != "tester" || last["status"] != 422.0 || last["request"] == "" {
		t.Errorf("%v %v", last, err)
	}
}

// The log tells who was refused, and why; the operation where the path is one.
func TestLogsTellWhoWasRefused(t *testing.T) {
	var written bytes.Buffer
	s := serveDistrict(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes(), 90,
		func(c *rest.Config) { c.Log = slog.New(slog.NewJSONHandler(&written, nil)) })
	for _, c := range []struct{ method, path, auth, op, client, reason string }{
		{"GET", "/ims/oneroster/v1p1/orgs", "Bearer nonsense", "getAllOrgs", "", "not one of ours"},
		{"GET", "/ims/oneroster/v1p1/nothing", "", "none", "", "unknown object"},
		{"POST", "/token", "Basic dGVzdGVyOndyb25n", "token", "tester", "secret is wrong"},
		{"GET", "/ims/oneroster/v1p1/orgs", `OAuth oauth_consumer_key="tester",oauth_timestamp="1",` +
			`oauth_nonce="n",oauth_signature="x",oauth_signature_method="HMAC-SHA256"`,
			"getAllOrgs", "tester", "too far from this server's clock"},
	} {
		written.Reset()
		r, _ := http.NewRequest(c.method, s.URL+c.path, http.NoBody)
		r.Header.Set("Authorization", c.auth)
		w := httptest.NewRecorder()
		r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "192.0.2.7:80"
		s.Config.Handler.ServeHTTP(w, r)
		lines := strings.Split(strings.TrimSpace(written.String()), "\n")
		var last map[string]any
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last["op"] != c.op ||
			last["client"] != c.client ||
			last["remote"] != "192.0.2.7" || last["bytes"] != float64(w.Body.Len()) ||
			last["reason"] == nil ||
			!strings.Contains(fmt.Sprint(last["reason"]), c.reason) {
			t.Errorf("%s %s: %v", c.method, c.path, last)
		}
	}
}

// Behind a proxy that is trusted, who guesses is known by the client's address: who
// signs rightly from another is let in.
func TestGuessersBehindAProxy(t *testing.T) {
	s := serveDistrict(t, filepath.Join(t.TempDir(), "d.db"), oneroster.Scopes(), 90,
		func(c *rest.Config) { c.TrustProxy = true })
	ask := func(secret, nonce, from string) int {
		r, _ := http.NewRequest("GET", s.URL+oneroster.V1p1.Base+"/orgs?limit=1", nil)
		r.Header.Set("X-Forwarded-For", from)
		auth.Sign(r, s.id, secret, "HMAC-SHA256", nonce, time.Now())
		status, _, _ := s.do(r)
		return status
	}
	for n := range 12 {
		ask("wrong", fmt.Sprint("w", n), "192.0.2.1")
	}
	if got := ask(s.secret, "n1", "192.0.2.1"); got != 429 {
		t.Errorf("the guesser's address: %d", got)
	}
	if got := ask(s.secret, "n2", "192.0.2.2"); got != 200 {
		t.Errorf("another address behind the same proxy: %d", got)
	}
}

// The log says of each guess that it was one, once, and of those that are slowed from where they come.
func TestGuessersAreTold(t *testing.T) {
	f := framed(t, func(*rest.Config) {})
	counts := map[string]int{}
	for range 12 {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth("a%74ester", "a%62") // tried in two spellings
		w, line := f.answer(r)
		if n := strings.Count(f.log.String(), "\n"); n != 1 || line["remote"] != "192.0.2.1" ||
			line["client"] != "atester" {
			t.Errorf("%d lines: %v", n, line)
		}
		said, _, _ := strings.Cut(fmt.Sprint(line["reason"]), ":")
		counts[fmt.Sprint(w.Code, " ", said)]++
	}
	if counts["401 unknown client, or the secret is wrong or has expired"] != 10 ||
		counts["429 too many wrong secrets for this client from this address"] != 2 {
		t.Errorf("%v", counts)
	}
}
