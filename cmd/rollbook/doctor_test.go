package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// An installation that is well, and what a test does to it.
type installation struct {
	t   *testing.T
	dir string
	dsn string
	run func(args ...string) string
}

// installed is a district that was imported and can be read.
func installed(t *testing.T, dsn string) *installation {
	t.Helper()
	dir := t.TempDir()
	in := &installation{t: t, dir: dir, dsn: dsn, run: runs(t, dir, dsn)}
	in.run("init")
	in.write("p/orgs.csv", "sourcedId,name,type\no1,School,school\n")
	in.run("import", "--new", "p")
	in.run("client", "add", "sds", "--oauth1")
	return in
}

// again is the same installation in another folder.
func (in *installation) again() *installation {
	in.t.Helper()
	out := *in
	out.dir = in.t.TempDir()
	out.run = runs(in.t, out.dir, in.dsn)
	files, err := filepath.Glob(filepath.Join(in.dir, "d.db*"))
	if err != nil {
		in.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			in.t.Fatal(err)
		}
		out.write(filepath.Base(file), string(text))
	}
	return &out
}

func (in *installation) write(name, text string) {
	in.t.Helper()
	path := filepath.Join(in.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		in.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		in.t.Fatal(err)
	}
}

// at opens the district as it would be so long from now.
func (in *installation) at(from time.Duration, do func(s *store.Store) error) {
	in.t.Helper()
	s := storetest.Open(in.t, filepath.Join(in.dir, in.dsn), store.Options{Now: func() time.Time {
		return time.Now().Add(from)
	}})
	if err := do(s); err != nil {
		in.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) byHand(text string) {
	in.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(in.dir, in.dsn))
	if err != nil {
		in.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		in.t.Fatal(err)
	}
}

// doctor is what doctor finds, and its exit code.
func (in *installation) doctor(args ...string) (found []finding, code int) {
	in.t.Helper()
	out, errs, code := rollbook(in.t, in.dir, append([]string{"doctor", "--json", "--db", in.dsn, "--room",
		"1"}, args...)...)
	var told struct {
		Wrong  int
		Checks []finding
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		in.t.Fatalf("%s%s", out, errs)
	}
	wrong := 0
	for _, f := range told.Checks {
		if f.State == "wrong" {
			wrong++
		}
		if (f.State == "ok") != (f.Do == "") || f.Text == "" || f.Check == "" {
			in.t.Errorf("%+v", f)
		}
	}
	if wrong != told.Wrong || (code == 0) != (wrong == 0) || code > 1 {
		in.t.Errorf("%d of %d are wrong, and it ends with %d", told.Wrong, wrong, code)
	}
	return told.Checks, code
}

// A fault is planted, and told in a sentence, alone.
type fault struct {
	name, args  string
	plant       func(in *installation)
	check, text string
	do          string
}

func (in *installation) told(f fault) {
	in.t.Helper()
	found, code := in.doctor(strings.Fields(f.args)...)
	var wrong []finding
	for _, c := range found {
		if c.State == "wrong" {
			wrong = append(wrong, c)
		}
	}
	if code != 1 || len(wrong) != 1 || wrong[0].Check != f.check || !strings.Contains(wrong[0].Text,
		f.text) ||
		!strings.Contains(wrong[0].Do, f.do) {
		in.t.Errorf("%s: %d %+v", f.name, code, wrong)
	}
}

func since(id string, ago time.Duration, secrets ...auth.Secret) func(s *store.Store) error {
	return func(s *store.Store) error {
		made := time.Now().Add(-ago)
		for i := range secrets {
			secrets[i].ID, secrets[i].Created = fmt.Sprint(id, i), made
		}
		return s.AddClient(context.Background(), auth.Client{ID: id, Name: "The " + id, Created: made,
			Secrets: secrets})
	}
}

// Nothing is wrong with what is well; each fault is told, with what to do about it.
func TestDoctor(t *testing.T) {
	t.Parallel()
	none := func(*installation) {}
	arrive := func(state store.State) func(s *store.Store) error {
		return func(s *store.Store) error {
			id, err := s.Arrive(context.Background(), "night.zip", "")
			if err != nil {
				return err
			}
			return s.Decide(context.Background(), id, state, []store.State{store.StatePlanning}, "", "")
		}
	}
	well := installed(t, "d.db")
	for _, f := range []fault{
		{"no database", "--db none.db", none, "database", "there is no district at ", "rollbook init"},
		{"another file", "--db text", func(in *installation) { in.write("text", strings.Repeat("x", 99)) },
			"database", "text is not a SQLite database", "this user may open it"},
		{"no PostgreSQL", "--db postgres://u:geheim@127.0.0.1:1/d", none, "database", "refused", ""},
		{"a newer schema", "",
			func(in *installation) { in.byHand(`INSERT INTO "migrations" ("number") VALUES (1000)`) },
			"database", "its schema is version 1000 and this program knows ", "use the newer rollbook"},
		{"a key for all", "", func(in *installation) {
			_ = os.Chmod(filepath.Join(in.dir, "d.db.key"),
				0o644)
		},
			"files", "d.db.key can be read by others on this machine (-rw-r--r--)", "chmod 600 "},
		{"no key", "", func(in *installation) { _ = os.Remove(filepath.Join(in.dir, "d.db.key")) },
			"key file", "d.db.key is missing", "put that file back"},
		{"another key", "", func(in *installation) { in.write("d.db.key", auth.NewKeyText()) },
			"key file", "d.db.key holds key ", "put that file back"},
		{"no key at all", "", func(in *installation) { in.write("d.db.key", "nonsense") },
			"key file", "the sealing key is not 32 bytes", "put the right file there"},
		{"no room", "--room 2000000000", none, "disk", " MB are free in ", "make room"},
		{"a clock that was ahead", "", func(in *installation) {
			in.at(time.Hour, func(s *store.Store) error {
				_, _, err := s.Put(context.Background(), storetest.Rec("category", "sourcedId", "k",
					"title", "x"))
				return err
			})
		}, "clock", "the last change is stamped ", "set the clock"},
		{"an older copy", "", func(in *installation) {
			in.write("d.db.mark",
				`{"rev":1000,"stamp":"2026-09-01T00:00:00.000Z"}`)
		},
			"clock", "the database is an older copy", "stamps everything anew"},
		{"a mark that cannot be read", "", func(in *installation) { in.write("d.db.mark", `{`) },
			"clock", "which remembers how far", "take the file away"},
		{"held", "", func(in *installation) { in.at(0, arrive(store.StateHeld)) },
			"imports", "publication 2, night.zip of ", "rollbook publications show 2"},
		{"no import for days", "", func(in *installation) {
			in.byHand(`UPDATE "publications" SET "at" = '2026-01-02T03:04:05.678Z'`)
		}, "imports", " days: the last was p of 2026-01-02 03:04 UTC", "docs/nightly.md"},
		{"nobody may read", "", func(in *installation) { in.run("client", "remove", "sds") },
			"clients", "there is none", "rollbook client add"},
		{"a secret that ends", "", func(in *installation) {
			in.at(0, since("c", 0, auth.Secret{Expires: time.Now().Add(50 * time.Hour)}))
		}, "clients", "the secret of The c (c) ends on ", "rollbook client rotate c"},
		{"a secret that has ended", "", func(in *installation) {
			in.at(0, since("c", 0, auth.Secret{Expires: time.Now().Add(-time.Hour)}))
		}, "clients", "the secret of The c (c) has ended", "rollbook client rotate c gives"},
		{"never used", "", func(in *installation) { in.at(0, since("c", 31*24*time.Hour, auth.Secret{})) },
			"clients", "The c (c) of ", "rollbook client remove c"},
		{"a certificate that has ended", "--cert old.pem --key old.key",
			func(in *installation) { in.pair("old", -time.Hour) },
			"certificate", "that of old.pem has ended, on ", "renew it"},
		{"a certificate that ends", "--cert soon.pem --key soon.key",
			func(in *installation) { in.pair("soon", 50*time.Hour) },
			"certificate", "that of soon.pem ends on ", "renew it"},
		{"a certificate and another key", "--cert a.pem --key b.key", func(in *installation) {
			in.pair("a", 9999*time.Hour)
			in.pair("b", 9999*time.Hour)
		}, "certificate", "private key does not match", "belong together"},
	} {
		in := well.again()
		f.plant(in)
		in.told(f)
	}
	in := well.again()
	in.pair("good", 9999*time.Hour)
	in.at(0, since("used", 99*24*time.Hour, auth.Secret{From: "?"}))
	in.byHand(`UPDATE "secrets" SET "usedFrom" = '?' WHERE "client" = 'used'`)
	if found, code := in.doctor("--cert", "good.pem", "--key", "good.key"); code != 0 {
		t.Errorf("what is well: %+v", found)
	}
	in.byHand(`DELETE FROM "migrations" WHERE "number" >= 8`)
	before, err := os.ReadFile(filepath.Join(in.dir, "d.db"))
	if err != nil {
		t.Fatal(err)
	}
	found, code := in.doctor()
	if code != 0 || !strings.Contains(fmt.Sprint(found), "unchecked its schema is version 7") &&
		!strings.Contains(fmt.Sprint(found), "unchecked its schema is version 6") {
		t.Errorf("an earlier schema: %d %+v", code, found)
	}
	if after, err := os.ReadFile(filepath.Join(in.dir, "d.db")); err != nil ||
		string(after) != string(before) {
		t.Errorf("doctor has changed the database: %v", err)
	}
	out, _, _ := rollbook(t, in.dir, "doctor", "--db", "none.db")
	for _, want := range []string{"wrong      database   there is no district at",
		"           do         say where it is", "\n1 thing is wrong\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out, errs, _ := rollbook(t, in.dir, "doctor", "--db",
		"postgres://u:geheim@127.0.0.1:1/d"); strings.Contains(out+errs, "geheim") {
		t.Errorf("a password is told: %s%s", out, errs)
	}
	cmd := program(in.dir, "doctor", "--db", "d.db", "--json")
	cmd.Env = append(cmd.Env, "TMPDIR=/nowhere")
	if out, _ := cmd.Output(); !strings.Contains(string(out),
		"this user cannot write in /nowhere: no such file") {
		t.Errorf("no folder for temporary files: %s", out)
	}
}

// pair writes a certificate for localhost that is good for a while, and its key.
func (in *installation) pair(name string, left time.Duration) {
	in.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		in.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1),
		DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-9999 * time.Hour),
		NotAfter: time.Now().Add(left)},
		&x509.Certificate{}, key.Public(), key)
	if err != nil {
		in.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		in.t.Fatal(err)
	}
	in.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	in.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
}

// The service is asked at its URL, through what stands before it.
func TestDoctorOfAService(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		in := installed(t, dsn)
		address, _ := start(t, in.dir, dsn)
		if found, code := in.doctor("--url", "http://"+address+"/ims/oneroster/v1p1/"); code != 0 ||
			len(found) < 8 ||
			strings.Contains(fmt.Sprint(found), "unchecked") {
			t.Errorf("what is well: %d %+v", code, found)
		}
		if strings.HasPrefix(dsn, "postgres") {
			in.dsn = storetest.Postgres(t)
			in.told(fault{"an empty schema", "", nil, "database", "there is no district at postgres://",
				"rollbook init"})
			return // what follows is not about the database
		}
		target, _ := url.Parse("http://" + address)
		through := func(change func(*http.Request), answers ...func(w http.ResponseWriter,
			r *http.Request) bool) string {
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host
				change(r.Out)
			}}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, answer := range answers {
					if answer(w, r) {
						return
					}
				}
				proxy.ServeHTTP(w, r)
			}))
			t.Cleanup(s.Close)
			return s.URL
		}
		at := func(path string, status int, header, value, body string) func(http.ResponseWriter,
			*http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path {
					return false
				}
				w.Header().Set(header, value)
				w.WriteHeader(status)
				fmt.Fprint(w, body)
				return true
			}
		}
		same := func(*http.Request) {}
		foreign := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(foreign.Close)
		secured := httptest.NewUnstartedServer(http.NotFoundHandler())
		secured.Config.ErrorLog = log.New(io.Discard, "", 0)
		secured.StartTLS()
		t.Cleanup(secured.Close)
		for _, f := range []fault{
			{"nobody there", "--url http://127.0.0.1:1", nil, "service", "/healthz is not reached",
				"start the service"},
			{"another program", "--url " + foreign.URL, nil, "service", "healthz answers 404",
				"the proxy sends all paths"},
			{"a certificate that nobody trusts", "--url " + secured.URL, nil, "service", "certificate",
				"that readers trust"},
			{"plain HTTP", "--url http://0.0.0.0:" + target.Port(), nil, "service", "is plain HTTP",
				"give the https:// URL"},
			{"a redirect", "--url " + through(same, at("/healthz", 308, "Location",
				"https://else.example/healthz", "")), nil,
				"service", "redirects to https://else.example/healthz", "end the redirect"},
			{"not ready", "--url " + through(same, at("/readyz", 503, "X", "",
				`{"status":"the database does not answer"}`)), nil,
				"service", "it is not ready: {\"status\":\"the database does not answer\"}",
				"look at its log"},
			{"a standby", "--url " + through(same, at("/readyz", 200, "X", "",
				`{"status":"ok","standby":"it is behind"}`)), nil,
				"service", "the standby is not read from: it is behind", "--read-db"},
			{"a clock", "--url " + through(same, at("/healthz", 200, "Date", "Thu, 01 Oct 2026 08:00:00 GMT",
				`{"status":"ok"}`)), nil, "clock", "the clock of 127.0.0.1:", "set the clocks"},
			{"another host", "--url " + through(func(r *http.Request) { r.Host = target.Host }), nil, "proxy",
				"the service takes itself to be at http://" + address +
					"/ims/oneroster/v1p1, not at http://", "X-Forwarded-Host"},
			{"no Authorization", "--url " +
				"" + through(func(r *http.Request) { r.Header.Del("Authorization") }), nil, "proxy",
				"the Authorization header does not come", "let the proxy pass it on"},
			{"a page of the proxy", "--url " + through(same, at("/ims/oneroster/v1p1/orgs", 403, "X", "",
				"<h1>No</h1>")), nil,
				"proxy", "orgs answers 403 <h1>No</h1>", "send all paths"},
		} {
			in.told(f)
		}
	})
}
