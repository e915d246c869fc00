package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// An authority is Let's Encrypt's own test server: it really looks at the domain, at the
// ports that it is told, and finds every domain on this machine.
type authority struct {
	*httptest.Server
	trust string // a file with the certificate of its own service
	roots *x509.CertPool

	ports  chan [2]int // for plain HTTP and TLS, when they are known
	orders chan string
}

// It waits for nothing, and refuses nothing for practice.
func init() {
	_ = os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	_ = os.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{ports: make(chan [2]int, 1), orders: make(chan string, 100)}
	names := nameServer(t)
	handler := sync.OnceValue(func() http.Handler {
		ports := <-a.ports
		quiet := log.New(io.Discard, "", 0)
		memory := db.NewMemoryStore()
		issues := ca.New(quiet, memory, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
		a.roots = x509.NewCertPool()
		a.roots.AppendCertsFromPEM(issues.GetRootCert(0).PEM())
		looks := va.New(quiet, ports[0], ports[1], false, names, memory)
		front := wfe.New(quiet, memory, looks, issues, []string{"pebble"}, false, false, 1, 1)
		return front.Handler()
	})
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "order-plz") {
			a.orders <- r.URL.Path
		}
		handler().ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	a.trust = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(a.trust, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// nameServer says of every name that it is this machine.
func nameServer(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{A: net.IPv4(127, 0, 0, 1),
				Hdr: dns.RR_Header{Name: q.Question[0].Name,
					Rrtype: dns.TypeA, Class: dns.ClassINET}}}
		}
		_ = w.WriteMsg(answer) // who asked is told nothing then
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return l.Addr().String()
}

// A service gets its certificate by itself, however the authority looks at it, and keeps
// it: started anew it asks for no other.
func TestDomain(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]string{"looks at plain HTTP": "127.0.0.1:0", "looks at TLS": "none"} {
		t.Run(name, func(t *testing.T) {
			dir, a := t.TempDir(), newAuthority(t)
			runs(t, dir, "rollbook.db")("init")
			s := startDomain(t, dir, a, plain)
			if plain == "none" {
				a.ports <- [2]int{1, s.port}
			} else {
				a.ports <- [2]int{s.plainPort, 1}
			}
			s.lines(t, "the certificate is in place")
			if plain == "none" && s.problems != nil { // else TLS may be tried first
				t.Errorf("told: %q", s.problems)
			}
			orders := len(a.orders)
			first := s.serves(t, a)
			s.stop(t)
			again := startDomain(t, dir, a, plain, "the certificate is in place")
			if second := again.serves(t, a); !second.Equal(first) || len(a.orders) != orders ||
				again.problems != nil {
				t.Errorf("another certificate, %d orders, not %d; %q", len(a.orders), orders, again.problems)
			}
			if plain != "none" {
				again.sendsElsewhere(t)
			}
			again.stop(t)
		})
	}
}

// A domainService is a service that gets its certificate by itself.
type domainService struct {
	cmd             *exec.Cmd
	log             *json.Decoder
	problems        []string // that the log told
	port, plainPort int
}

func startDomain(t *testing.T, dir string, a *authority, plain string, and ...string) *domainService {
	t.Helper()
	cmd := program(dir, "serve", "--addr", "127.0.0.1:0", "--domain", "roster.example.org", "--acme-url",
		a.URL+wfe.DirectoryPath, "--acme-email", "it@example.org", "--acme-addr", plain)
	cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+a.trust)
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
	s := &domainService{cmd: cmd, log: json.NewDecoder(log)}
	if plain != "none" {
		s.plainPort = s.lines(t, "plain HTTP")
	}
	s.port = s.lines(t, append(and, "serving")...)
	return s
}

// lines reads the log until it has had some lines, and returns the port of an address in them.
func (s *domainService) lines(t *testing.T, wanted ...string) (port int) {
	t.Helper()
	for len(wanted) > 0 {
		var text json.RawMessage
		var line struct{ Level, Msg, Address, Problem string }
		if err := s.log.Decode(&text); err != nil || json.Unmarshal(text, &line) != nil {
			rest, _ := io.ReadAll(io.LimitReader(s.log.Buffered(), 1000))
			t.Fatalf("no lines %q: %v %s%s", wanted, err, text, rest)
		}
		// The authority itself looks at TLS and hangs up.
		if line.Level != "INFO" && !strings.Contains(line.Msg, "TLS handshake error") {
			s.problems = append(s.problems, line.Problem)
		}
		if strings.Contains(line.Problem, "will retry") { // in a minute
			t.Fatalf("no lines %q: %q %s", wanted, s.problems, text)
		}
		if i := slices.Index(wanted, line.Msg); i >= 0 {
			wanted = slices.Delete(wanted, i, i+1)
			if _, at, err := net.SplitHostPort(line.Address); err == nil {
				port, _ = strconv.Atoi(at)
			}
		}
	}
	return port
}

// serves returns the certificate of an answer.
func (s *domainService) serves(t *testing.T, a *authority) *x509.Certificate {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.roots},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1",
				strconv.Itoa(s.port)))
		}}}
	defer c.CloseIdleConnections()
	answer, err := c.Get("https://roster.example.org/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
		t.Errorf("%s %s", answer.Proto, answer.Status)
	}
	return answer.TLS.PeerCertificates[0]
}

// sendsElsewhere: plain HTTP is for the authority; who brings a secret there is told.
func (s *domainService) sendsElsewhere(t *testing.T) {
	t.Helper()
	c := &http.Client{CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}}
	for header, want := range map[string]string{"": "301 https://roster.example.org/a%2Fb?c=d",
		"Basic eDp5": "403 "} {
		r, _ := http.NewRequest("GET", "http://127.0.0.1:"+strconv.Itoa(s.plainPort)+"/a%2Fb?c=d", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := strconv.Itoa(answer.StatusCode) + " " + answer.Header.Get("Location"); got != want {
			t.Errorf("with %q: %s, want %s", header, got, want)
		}
	}
}

func (s *domainService) stop(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(os.Interrupt)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}
