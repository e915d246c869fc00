package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/host"
	"rollbook/internal/store/storetest"
)

// A village is a house of districts of a test.
type village struct {
	t    *testing.T
	dir  string   // that verbs run in
	args []string // that name the house
}

// newVillage is a folder or a database of districts, by the DSN of an empty district.
func newVillage(t *testing.T, dsn string, more ...string) *village {
	v := &village{t: t, dir: t.TempDir(), args: []string{"--db", dsn, "--districts"}}
	if !host.IsPostgres(dsn) {
		v.args = []string{"--db", strings.TrimSuffix(dsn, ".db")}
	}
	v.args = append(v.args, more...)
	return v
}

func (v *village) run(code int, args ...string) string {
	v.t.Helper()
	out, errs, got := rollbook(v.t, v.dir, append(args, v.args...)...)
	if got != code {
		v.t.Fatalf("%s: %d %s%s", args, got, out, errs)
	}
	return out + errs
}

func (v *village) client(district string) credential {
	v.t.Helper()
	var c credential
	out := v.run(0, "client", "add", "x", "--for", "all", "--oauth1", "--json", "--district", district)
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		v.t.Fatal(out)
	}
	return c
}

// A houseService serves a house.
type houseService struct {
	address, metrics string
	log              func() string
}

func (v *village) serve(more ...string) *houseService {
	v.t.Helper()
	cmd := program(v.dir, slices.Concat([]string{"serve", "--addr", "127.0.0.1:0"}, v.args, more)...)
	pipe, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	line, err := lines.ReadBytes('\n')
	var first toldServing
	if err != nil || json.Unmarshal(line, &first) != nil || first.Msg != "serving" {
		_ = cmd.Process.Kill() // nobody else would end it
		v.t.Fatalf("%s %v", line, err)
	}
	var mu sync.Mutex
	var log bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			line, err := lines.ReadBytes('\n')
			mu.Lock()
			log.Write(line)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	v.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-read
		if err := cmd.Wait(); err != nil {
			v.t.Errorf("the service ended with %v\n%s", err, log.String())
		}
	})
	return &houseService{"http://" + first.Address, first.Metrics, func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}}
}

// get asks a service, at a host where one is named.
func (s *houseService) get(t *testing.T, method, path, at, authorization string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = at
	r.Header.Set("Authorization", authorization)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(a.Body)
	return a.StatusCode, body.String() + a.Header.Get("Link")
}

// What lets a caller into one district lets nobody into another, whether each has its key file or all
// have one, and where one began as a copy of another; addresses carry the district.
func TestDistrictsApart(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		for _, shared := range []bool{false, true} {
			if shared {
				dsn = strings.Replace(dsn, "district", "shared", 1)
			}
			t.Run(fmt.Sprint("shared ", shared), func(t *testing.T) { keepsApart(t, dsn, shared) })
		}
	})
}

func keepsApart(t *testing.T, dsn string, shared bool) {
	v := newVillage(t, dsn)
	if shared {
		v.args = append(v.args, "--key-file", filepath.Join(v.dir, "all.key"))
	}
	in, names := write(t, right), []string{"springfield", "shelby"}
	v.run(0, "district", "add", "springfield", "--name", "Springfield Schools")
	v.run(0, "district", "add", "shelby", "--host", "Shelby.example")
	of, link := map[string]credential{}, map[string]string{}
	for _, name := range names {
		v.run(0, "import", in, "--district", name)
		of[name] = v.client(name)
	}
	s := v.serve()
	const base = "/ims/oneroster/v1p1"
	if house := v.args[1]; !host.IsPostgres(house) {
		c := of["springfield"]
		newReader(t, "", s.address+"/springfield/token", c.ClientID, c.ClientSecret) // makes its signing key
		v.run(0, "backup", filepath.Join(house, "twin.db"), "--district", "springfield")
		if key, err := os.ReadFile(filepath.Join(house, "springfield.db.key")); err == nil {
			err = os.WriteFile(filepath.Join(house, "twin.db.key"), key, 0o600)
			if err != nil {
				t.Fatal(err)
			}
		}
		names, of["twin"] = append(names, "twin"), c
	}
	token := map[string]string{}
	for _, name := range names {
		c := of[name]
		r := newReader(t, s.address+"/"+name+base, s.address+"/"+name+"/token", c.ClientID, c.ClientSecret)
		token[name] = "Bearer " + r.token
		out := v.run(0, "client", "handover", c.ClientID, "--url", s.address, "--json", "--district", name)
		var made struct{ Link string }
		at := s.address + "/" + name
		if json.Unmarshal([]byte(out), &made) != nil || !strings.HasPrefix(made.Link, at+"/handover/") {
			t.Fatal(out)
		}
		link[name] = strings.TrimPrefix(made.Link, at)
	}
	for _, whose := range names {
		for _, at := range names {
			own, path := whose == at, "/"+at+base+"/users?limit=1"
			want := func(what string, got, yes, no int, body string) {
				t.Helper()
				if (own && got != yes) || (!own && got != no) {
					t.Errorf("%s of %s at %s: %d %s", what, whose, at, got, body)
				}
			}
			status, body := s.get(t, "GET", path, "", token[whose])
			want("token", status, 200, 401, body)
			if own && (strings.Count(body, s.address+"/"+at+base+"/") < 3 ||
				strings.Count(body, s.address) != strings.Count(body, s.address+"/"+at+base+"/")) {
				t.Error(body)
			}
			sign := signed(s.address+"/"+whose+base+"/users", of[whose])
			status, body = s.get(t, "GET", "/"+at+base+"/users", "", sign)
			want("signature", status, 200, 401, body)
			status, body = s.get(t, "GET", "/"+at+link[whose], "", "")
			want("link", status, 200, 404, body)
			if of[whose] != of[at] || own {
				r, _ := http.NewRequest("POST", s.address+"/"+at+"/token", nil)
				r.SetBasicAuth(of[whose].ClientID, of[whose].ClientSecret)
				status, body = s.get(t, "POST", "/"+at+"/token", "", r.Header.Get("Authorization"))
				want("secret", status, 200, 401, body)
			}
			status, _ = s.get(t, "GET", base+"/users", "shelby.EXAMPLE:8080", token[whose])
			if (whose == "shelby") != (status == 200) {
				t.Errorf("token of %s at the host of shelby: %d", whose, status)
			}
		}
	}
	for path, want := range map[string]string{
		"/springfield/openapi.json": `200 "url": "/springfield/ims/oneroster/v1p1"`,
		"/SpringField/healthz":      `200 {"status":"ok"}`, "/healthz": `200 {"status":"ok"}`,
		"/readyz": `200 {"status":"ok"}`, "/token": `404 {"statusInfoSet"`, "/": `404 {"statusInfoSet"`,
		"/nosuch/token": `404 {"statusInfoSet"`, "/%73pringfield/healthz": `404 {"statusInfoSet"`,
		base + "/users": `404 {"statusInfoSet"`, "/springfield/shelby/healthz": `404 {"statusInfoSet"`,
	} {
		status, body := s.get(t, "GET", path, "", "")
		code, text, _ := strings.Cut(want, " ")
		if fmt.Sprint(status) != code || !strings.Contains(body, text) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := s.get(t, "GET", "/springfield/healthz", "shelby.example", ""); status != 404 {
		t.Error("a district below the host of another:", status, body)
	}
}

// A district that cannot be opened leaves the others served, is told of once with why, and is served
// when it can be opened again; one that is added or removed is found by the service that runs.
func TestDistrictsBroken(t *testing.T) {
	t.Parallel()
	v := newVillage(t, storetest.SQLite(t))
	house := v.args[1]
	for _, name := range []string{"whole", "lost", "newer", "spoilt"} {
		v.run(0, "district", "add", name)
		v.client(name)
	}
	key := filepath.Join(house, "lost.db.key")
	kept, err := os.ReadFile(key)
	if err == nil {
		spoilt := filepath.Join(house, "spoilt.db")
		err = errors.Join(os.Remove(key), os.WriteFile(spoilt, []byte("no"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	newer := &installation{t: t, dsn: filepath.Join(house, "newer.db")}
	newer.byHand(`INSERT INTO "migrations" VALUES (9999)`)
	s := v.serve("--metrics-addr", "127.0.0.1:0")
	for range 2 {
		for name, want := range map[string]int{"whole": 200, "lost": 503, "newer": 503, "spoilt": 503,
			"later": 404} {
			status, body := s.get(t, "GET", "/"+name+"/readyz", "", "")
			if status != want || want == 503 && !strings.Contains(body, `"imsx_codeMinor":"server_busy"`) {
				t.Errorf("%s: %d %s", name, status, body)
			}
		}
	}
	log := s.log()
	for name, why := range map[string]string{"lost": "key", "newer": "version 9999",
		"spoilt": "not a SQLite database"} {
		line := `"msg":"a district cannot be opened","district":"` + name + `"`
		if strings.Count(log, line) != 1 || !strings.Contains(log, why) {
			t.Errorf("%s: %s", name, log)
		}
		if _, body := s.get(t, "GET", "/readyz", "", ""); !strings.Contains(body, `"district `+name+`":"`) {
			t.Error(body)
		}
	}
	if status, body := answered(t, "http://"+s.metrics+"/metrics", ""); status != 200 ||
		!strings.Contains(body, `rollbook_districts{state="broken"} 3`) {
		t.Error(status, body)
	}
	listed := v.run(0, "district", "list")
	for _, part := range []string{"note: newer cannot be opened: its schema is version 9999",
		"note: spoilt cannot", "note: lost cannot", "| whole "} {
		if !strings.Contains(listed, part) {
			t.Error(listed)
		}
	}
	if err := os.WriteFile(key, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	v.run(0, "district", "add", "later")
	out := v.run(2, "district", "remove", "whole", "--yes-remove", "hole")
	if !strings.Contains(out, "nothing was removed") {
		t.Error(out)
	}
	v.run(0, "district", "remove", "whole", "--yes-remove", "whole", "--backup", "whole.db")
	for name, want := range map[string]int{"lost": 200, "later": 200, "whole": 404} {
		status, body := 0, ""
		for deadline := time.Now().Add(30 * time.Second); status != want && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
			status, body = s.get(t, "GET", "/"+name+"/readyz", "", "")
		}
		if status != want {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	v.run(0, "district", "add", "whole")
	v.run(0, "restore", "whole.db", "--moves", "--district", "whole")
	for _, wrong := range [][]string{{"district", "add", "token"}, {"district", "add", "Big"}, {"doctor"},
		{"client", "list"}, {"client", "list", "--district", "nosuch"}, {"init"}} {
		v.run(2, wrong...)
	}
}

// all is what a district has: its records with their stamps, acts, clients and publications.
func (v *village) all(name string) map[string]string {
	v.t.Helper()
	out := map[string]string{}
	for _, args := range []string{"client list --json", "publications --json", "settings --json"} {
		out[args] = v.run(0, append(strings.Fields(args), "--district", name)...)
	}
	return out
}

// A district moves between engines and back with all that it is, also where the move is killed at any
// moment: tokens are good and deltas go on, and nobody is served what was left behind.
func TestDistrictMoves(t *testing.T) {
	t.Parallel()
	folder, dsn := newVillage(t, storetest.SQLite(t)), storetest.Postgres(t)
	schemas := newVillage(t, dsn)
	schemas.dir = folder.dir // one user's configuration
	in := write(t, right)
	folder.run(0, "district", "add", "springfield", "--name", "It's Springfield", "--host", "s.example")
	folder.run(0, "import", in, "--district", "springfield")
	folder.run(0, "settings", "guard-loss", "20", "--district", "springfield")
	c := folder.client("springfield")
	const base = "/springfield/ims/oneroster/v1p1"
	from, to := folder.serve(), schemas.serve()
	r := newReader(t, from.address+base, from.address+"/springfield/token", c.ClientID, c.ClientSecret)
	if status, _, text := r.call("PUT", "/categories/k1", `{"category":{"title":"x"}}`); status != 201 {
		t.Fatal(status, text)
	}
	was, stamp := r.since(t, "2000-01-01")
	once := signed("http://roster.example"+base+"/orgs", c) // as a proxy in front of both passes it on
	if status, text := from.get(t, "GET", base+"/orgs", "roster.example", once); status != 200 {
		t.Fatal(status, text)
	}
	all := folder.all("springfield")
	for n, at := range []struct {
		v, to   *village
		s, left *houseService
	}{{folder, schemas, to, from}, {schemas, folder, from, to}} {
		move := append([]string{"district", "move", "springfield", "--to", at.to.args[1]}, at.v.args...)
		for kill := range 4 {
			cmd := program(at.v.dir, move...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Duration(20+40*kill+7*n)*time.Millisecond, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
		}
		out, errs, code := rollbook(t, at.v.dir, move...)
		if code != 0 && !strings.Contains(errs, "there is no district") { // it was killed too late
			t.Fatal(out, errs)
		}
		r.base = at.s.address + base
		status, text := 0, ""
		for deadline := time.Now().Add(30 * time.Second); status != 200 && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
			status, _, text = r.call("GET", "/orgs", "")
		}
		if status != 200 {
			t.Fatal(status, text)
		}
		if status, text := at.s.get(t, "GET", base+"/orgs", "roster.example", once); status != 401 {
			t.Error("a signature is taken again:", status, text)
		}
		now, _ := r.since(t, "2000-01-01")
		if changed, _ := r.since(t, stamp); !slices.Equal(now, was) || len(changed) > 0 {
			t.Errorf("%q is not %q; changed: %q", now, was, changed)
		}
		have := at.to.all("springfield")
		if !maps.Equal(have, all) {
			t.Errorf("%s\nwas %s", have, all)
		}
		if status, _ := at.left.get(t, "GET", base+"/orgs", "", "Bearer "+r.token); status == 200 {
			t.Error("what was left behind is served")
		}
		if out := at.to.run(0, "audit", "verify", "--district", "springfield"); out == "" {
			t.Error("no audit")
		}
		if out := at.v.run(0, "district", "list"); strings.Contains(out, "springfield") {
			t.Error(out)
		}
		status, text = at.s.get(t, "GET", "/ims/oneroster/v1p1/orgs", "s.example", "Bearer "+r.token)
		if status != 200 {
			t.Error(status, text)
		}
		title := fmt.Sprintf(`{"category":{"title":"%d"}}`, n)
		if status, _, text := r.call("PUT", "/categories/k1", title); status != 200 && status != 201 {
			t.Fatal(status, text)
		}
		var changed []string
		if changed, stamp = r.since(t, stamp); !slices.Equal(changed, []string{"active categories/k1"}) {
			t.Error(changed)
		}
	}
}
