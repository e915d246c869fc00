package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// BenchmarkPages holds pages of the service, with authentication and its log, against
// nginx with the same bytes in files, and pages in the middle and at the end of a list
// against the first: CPU of the serving processes for a request, the median of five rounds
// in turn. It prints a table, and fails where a bar is missed. ROLLBOOK_PUPILS is how many
// students the district has: 160000 make 1,000,000 enrollments; the bars are for that.
func BenchmarkPages(b *testing.B) {
	students := pupils(b, "16000")
	for _, e := range storetest.All {
		b.Run(e.Name, func(b *testing.B) {
			for range b.N {
				pages(b, e.Empty(b), students, e.Name == "postgres")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// uuids is a district whose ids are as long as those of real systems, and as hard to
// compress; grades are left out.
type uuids struct{ *sandbox.District }

func (u uuids) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := u.District.Modes()
	for r := range out {
		if r.Gradebook {
			out[r] = oneroster.Absent
		}
	}
	return out
}

func (u uuids) Records(ctx context.Context, yield func(oneroster.Row) error) error {
	id := func(of string) string {
		if of == "" {
			return ""
		}
		return uuid.NewSHA1(uuid.NameSpaceURL, []byte(of)).String()
	}
	return u.District.Records(ctx, func(row oneroster.Row) error {
		if row.Resource.Gradebook {
			return nil
		}
		for i, f := range row.Resource.Fields {
			if i != oneroster.SourcedID && f.To == "" {
				continue
			}
			items := oneroster.Items(row.Values[i])
			for n := range items {
				items[n] = id(items[n])
			}
			row.Values[i] = oneroster.Join(items...)
		}
		return yield(row)
	})
}

// A target is an address and the processes that answer there.
type target struct {
	url, token string
	gzip       bool
	pids       []int
}

// at is what lies at a path.
func (t target) at(path string) target { t.url += path; return t }

// A contest is two of them, and what the first may cost of the second.
type contest struct {
	work         string
	ours, theirs target
	bar          float64 // of theirs / ours at least
}

func pages(b *testing.B, dsn string, students int, postgres bool) {
	b.StopTimer()
	dir := b.TempDir()
	s := storetest.Open(b, dsn, store.Options{})
	_, err := s.Import(context.Background(), uuids{sandbox.New(sandbox.Options{Students: students, Seed: 7,
		Today: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)})}, store.ImportOptions{})
	if err != nil {
		b.Fatal(err)
	}
	base, token, pid := service(b, dir, dsn, "reader")
	ours := target{url: base, token: token, pids: []int{pid}}
	if postgres {
		ours.pids = append(ours.pids, 0) // and every process of the server
	}
	at := target.at
	zipped := func(of target) target { of.gzip = true; return of }
	total := editionOf(b, ours)
	files := filepath.Join(dir, "files")
	list := func(limit, offset int, more string) string {
		return fmt.Sprintf("/enrollments?limit=%d&offset=%d%s", limit, offset, more)
	}
	middle := total / 2 / 5000 * 5000
	keep := func(name, path string) string { return keepFile(b, files, name, at(ours, path)) }
	keep("100.json", list(100, middle, ""))
	text := keep("5000.json", list(5000, middle, ""))
	var page struct{ Enrollments []struct{ SourcedID string } }
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Enrollments) != 5000 {
		b.Fatal(err, len(page.Enrollments))
	}
	one := "/enrollments/" + page.Enrollments[0].SourcedID
	keep("one.json", one)
	var small bytes.Buffer
	out, _ := gzip.NewWriterLevel(&small, 1)
	_, _ = out.Write([]byte(text))
	if err := errors.Join(out.Close(), os.WriteFile(filepath.Join(files, "5000.json.gz"), small.Bytes(),
		0o644)); err != nil {
		b.Fatal(err)
	}
	static, onTheFly, secure := nginx(b, dir, files)
	_, zip := fetched(b, zipped(at(ours, list(5000, middle, ""))))
	if plain, err := gzip.NewReader(bytes.NewReader(zip)); err != nil {
		b.Fatal(err)
	} else if got, err := io.ReadAll(plain); err != nil || string(got) != text {
		b.Fatal("the compressed page is not the page", err)
	}
	bars := map[bool][]float64{false: {0.7, 0.25, 20, 0.25, 0.25}, true: {0.7, 0.2, 20, 0.25, 0.15}}[postgres]
	contests := []contest{
		{"page of 5,000, nginx / ours", at(ours, list(5000, middle, "")), at(static, "/5000.json"), bars[0]},
		{"page of 100, nginx / ours", at(ours, list(100, middle, "")), at(static, "/100.json"), bars[1]},
		{"page of 5,000 by gzip, nginx on the fly / ours", zipped(at(ours, list(5000, middle, ""))),
			zipped(at(onTheFly, "/5000.json")), bars[2]},
		{"page of 5,000 by gzip, nginx gzip_static / ours", zipped(at(ours, list(5000, middle, ""))),
			zipped(at(static, "/5000.json")), bars[3]},
		{"by id, nginx / ours", at(ours, one), at(static, "/one.json"), bars[4]},
	}
	for _, q := range []string{"", "&filter=status%3D'active'", "&sort=dateLastModified",
		"&filter=role%3D'student'&sort=user&orderBy=desc"} {
		for _, limit := range []int{100, 5000} {
			header, _ := fetched(b, at(ours, list(1, 0, q)))
			n, _ := strconv.Atoi(header.Get("X-Total-Count"))
			for place, offset := range map[string]int{"middle": n / 2 / 5000 * 5000, "end": n - limit} {
				contests = append(contests, contest{fmt.Sprintf("first page of %d / %s %s", limit, place, q),
					at(ours, list(limit, offset, q)), at(ours, list(limit, 0, q)), 1 / 1.3})
			}
		}
	}
	fmt.Printf("%d enrollments\n%-72s %10s %10s %8s %15s %8s\n", total, "work, µs of CPU unless it says",
		"ours", "other", "ratio", "of five", "bar")
	for _, c := range contests {
		if c.ours.token == c.theirs.token { // ours against ours
			_, _ = fetched(b, c.theirs)
		}
		var mine, others []float64
		for range 5 {
			mine, others = append(mine, cost(b, c.ours)), append(others, cost(b, c.theirs))
		}
		compared(b, c.work, mine, others, c.bar, false)
	}
	readers(b, arena{dsn: dsn, postgres: postgres, dir: dir, files: files, total: total, store: s, ours: ours,
		static: static, secure: secure})
}

// compared prints what was measured of ours and of something else, in rounds: the others by
// ours, of which there is to be as much as the bar, or ours by the others, of which there is
// to be no more (most). It fails where the median is none of that.
func compared(b *testing.B, work string, mine, others []float64, bar float64, most bool) {
	b.Helper()
	var ratios []float64
	for i := range mine {
		ratio := others[i] / mine[i]
		if most {
			ratio = 1 / ratio
		}
		ratios = append(ratios, ratio)
	}
	for _, some := range [][]float64{mine, others, ratios} {
		slices.Sort(some)
	}
	mid := len(ratios) / 2
	missed, sign := "", "≥"
	if most {
		sign = "≤"
	}
	if most && ratios[mid] > bar || !most && ratios[mid] < bar {
		missed = "  missed"
		b.Errorf("%s: %.2f, the bar is %s %.2f", work, ratios[mid], sign, bar)
	}
	fmt.Printf("%-72s %10.3g %10.3g %8.2f %6.2f … %6.2f %s %6.2f%s\n", work, mine[mid], others[mid],
		ratios[mid], ratios[0], ratios[len(ratios)-1], sign, bar, missed)
}

// service starts the service, with a client of a name that reads.
func service(b *testing.B, dir, dsn, name string, more ...string) (base, token string, pid int) {
	b.Helper()
	s := startedWith(b, dir, dsn, []string{name}, more...)
	scheme := "http://"
	if slices.Contains(more, "--cert") {
		scheme = "https://"
	}
	return scheme + s.host + oneroster.V1p1.Base, s.token, s.process.Pid
}

// A server is a service, and a token of a client of it.
type server struct {
	host, token string
	process     *os.Process
}

// startedWith starts the service as its users have it, with a client that is added by some
// arguments.
func startedWith(b testing.TB, dir, dsn string, client []string, more ...string) server {
	b.Helper()
	out, err := program(dir, append([]string{"client", "add", "--json", "--db", dsn}, client...)...).Output()
	var reader struct{ ClientID, ClientSecret string }
	if err != nil || json.Unmarshal(out, &reader) != nil {
		b.Fatalf("%s %v", out, err)
	}
	cmd := lasting(program(dir, append([]string{"serve", "--addr", "127.0.0.1:0", "--db", dsn}, more...)...))
	cmd.Env = append(cmd.Env, "GOGC=") // as its users have it
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() })
	lines := bufio.NewReader(log)
	line, _ := lines.ReadBytes('\n')
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	var first struct{ Address string }
	if err := json.Unmarshal(line, &first); err != nil {
		b.Fatalf("%s %v", line, err)
	}
	host := "http://" + first.Address
	if slices.Contains(more, "--cert") {
		host = "https://" + first.Address
	}
	r, _ := http.NewRequest("POST", host+"/token", strings.NewReader(url.Values{"grant_type": {
		"client_credentials"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(reader.ClientID, reader.ClientSecret)
	answer, err := fetcher.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&granted); err != nil || granted.Token == "" {
		b.Fatal(answer.Status, err)
	}
	return server{first.Address, granted.Token, cmd.Process}
}

// nginx serves files, the same compressed anew each time, and the same over TLS 1.3 with the
// certificate and the key that it makes, cert.pem and key.pem.
func nginx(b *testing.B, dir, files string) (static, onTheFly, secure target) {
	b.Helper()
	place, err := exec.LookPath("nginx")
	if err != nil {
		b.Fatal("nginx is needed: apt-get install nginx-light")
	}
	certificate(b, dir)
	var ports [3]string
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		ports[i] = l.Addr().String()
		_ = l.Close()
	}
	config := filepath.Join(dir, "nginx.conf")
	err = os.WriteFile(config, fmt.Appendf(nil, `user root; worker_processes 1; daemon off;
pid %[1]s/nginx.pid; error_log %[1]s/nginx.log;
events { worker_connections 512; }
http { access_log off; sendfile on; keepalive_requests 100000000; types { application/json json; } root %[2]s;
  server { listen %[3]s; gzip_static on; }
  server { listen %[4]s; gzip on; gzip_comp_level 1; gzip_types application/json; }
  server { listen %[5]s ssl; ssl_protocols TLSv1.3; ssl_certificate %[1]s/cert.pem;
    ssl_certificate_key %[1]s/key.pem; } }
`, dir, files, ports[0], ports[1], ports[2]), 0o600)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(place, "-c", config, "-e", filepath.Join(dir, "nginx.log"))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() })
	static = target{url: "http://" + ports[0]}
	for range 100 {
		if answer, err := http.Get(static.url + "/one.json"); err == nil {
			_ = answer.Body.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	static.pids = children(cmd.Process.Pid)
	onTheFly, secure = static, static
	onTheFly.url, secure.url = "http://"+ports[1], "https://"+ports[2]
	return static, onTheFly, secure
}

// certificate writes a certificate and its key, which nobody trusts.
func certificate(b testing.TB, dir string) {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert},
		"key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// children are the processes that a process has started.
func children(of int) (out []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		text, _ := os.ReadFile(file)
		_, rest, _ := bytes.Cut(text, []byte(") "))
		if f := bytes.Fields(rest); len(f) > 1 && string(f[1]) == strconv.Itoa(of) {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			out = append(out, pid)
		}
	}
	return out
}

// spent is the CPU time that processes have used, in ns; 0 stands for the PostgreSQL that
// was started here.
func spent(pids []int) (ns float64) {
	for _, pid := range pids {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if pid == 0 {
			all, _ := filepath.Glob("/proc/[0-9]*/comm")
			for _, file := range all {
				dir := filepath.Dir(file)
				name, _ := os.ReadFile(file)
				if server := parent(dir); string(name) == "postgres\n" &&
					(server == os.Getpid() || parent(fmt.Sprint("/proc/", server)) == os.Getpid()) {
					files = append(files, filepath.Join(dir, "schedstat"))
				}
			}
		}
		for _, file := range files {
			text, _ := os.ReadFile(file)
			if f := bytes.Fields(text); len(f) > 0 {
				n, _ := strconv.ParseFloat(string(f[0]), 64)
				ns += n
			}
		}
	}
	return ns
}

// parent is the process that started that of a folder of /proc.
func parent(dir string) int {
	text, _ := os.ReadFile(filepath.Join(dir, "stat"))
	_, rest, _ := strings.Cut(string(text), ") ") // state, ppid, …
	if f := strings.Fields(rest); len(f) > 1 {
		n, _ := strconv.Atoi(f[1])
		return n
	}
	return 0
}

var fetcher = &http.Client{Transport: &http.Transport{DisableCompression: true, ReadBufferSize: 256 << 10,
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func fetched(b *testing.B, s target) (http.Header, []byte) {
	b.Helper()
	r, err := http.NewRequest("GET", s.url, nil)
	if err != nil {
		b.Fatal(err)
	}
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	if s.gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	answer, err := fetcher.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		b.Fatalf("%s: %d %v %.200s", s.url, answer.StatusCode, err, body)
	}
	return answer.Header, body
}

// keepFile puts what is answered into a file for nginx.
func keepFile(b *testing.B, files, name string, from target) string {
	b.Helper()
	_, body := fetched(b, from)
	if err := errors.Join(os.MkdirAll(files, 0o755), os.WriteFile(filepath.Join(files, name), body,
		0o644)); err != nil {
		b.Fatal(err)
	}
	return string(body)
}

// cost is what a request costs its server, in µs of CPU: of as many as take half a second.
func cost(b *testing.B, s target) float64 {
	_, want := fetched(b, s)
	before, began, n := spent(s.pids), time.Now(), 0
	for time.Since(began) < time.Second/2 {
		_, body := fetched(b, s)
		if n++; n == 1 && md5.Sum(body) != md5.Sum(want) {
			b.Fatalf("%s: another body", s.url)
		}
	}
	return (spent(s.pids) - before) / float64(n) / 1e3
}
