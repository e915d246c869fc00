package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
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

// clientsOf reads client list --json, by name.
func clientsOf(t *testing.T, out string) map[string]listed {
	t.Helper()
	var list []listed
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err, out)
	}
	named := map[string]listed{}
	for _, c := range list {
		named[c.Name] = c
	}
	return named
}

// What is said of a client's secrets, addresses and budget holds while the service runs; what it did
// with them is listed. A link is opened once.
func TestClientsOfAService(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		run := runs(t, dir, dsn)
		run("init")
		c := clientOf(t, run("client", "add", "School Data Sync", "--for", "sds", "--expires", "365d",
			"--json"))
		address, cmd := start(t, dir, dsn)
		base := "http://" + address
		token := func() (status int, text string) {
			r, _ := http.NewRequest("POST", base+"/token", nil)
			r.SetBasicAuth(c.ClientID, c.ClientSecret)
			return fetch(t, r)
		}
		status, text := token()
		_, bearer, _ := strings.Cut(text, `"access_token":"`)
		bearer, _, _ = strings.Cut(bearer, `"`)
		users := func() (int, string) {
			r, _ := http.NewRequest("GET", base+"/ims/oneroster/v1p1/users", nil)
			r.Header.Set("Authorization", "Bearer "+bearer)
			return fetch(t, r)
		}
		if got, text := users(); status != 200 || got != 200 {
			t.Fatal(status, got, text)
		}
		for _, step := range []struct {
			say   string // to rollbook client
			told  string
			users int
			find  string
		}{
			{"allow school_data_sync 192.0.2.0/24", "no client", 200, ""},
			{"allow ID 192.0.2.0/24 2001:db8::7", "may come from 192.0.2.0/24, 2001:db8::7/128", 403,
				"not let in from 127.0.0.1"},
			{"allow ID", "may come from 192.0.2.0/24, 2001:db8::7/128", 403, ""},
			{"allow ID 127.0.0.0/8 --json", `"allowed":["127.0.0.0/8"]`, 200, ""},
			{"allow ID 300.0.0.1", "neither an address nor a range", 200, ""},
			{"allow ID --anywhere ::1", "give ranges, or --anywhere", 200, ""},
			{"budget ID --requests-per-minute 1 --at-once 7", ": requests a minute 1, at once 7", 429,
				"server_busy"},
			{"budget ID --requests-per-minute -1", "give a number from 1", 429, ""},
			{"budget ID --requests-per-minute 0 --json", `"atOnce":7,"id":"ID","requestsPerMinute":120000`,
				200, ""},
		} {
			args := strings.Fields("client " + strings.ReplaceAll(step.say, "ID", c.ClientID))
			out, errs, _ := rollbook(t, dir, append(args, "--db", dsn)...)
			if want := strings.ReplaceAll(step.told, "ID", c.ClientID); !strings.Contains(out+errs, want) {
				t.Errorf("%s: %s%s", step.say, out, errs)
			}
			users() // which may be the first of a minute
			if got, text := users(); got != step.users || !strings.Contains(text, step.find) {
				t.Errorf("%s: then %d %s", step.say, got, text)
			}
		}
		link := run("client", "handover", "school data SYNC", "--url",
			"https://roster.example.org/ims/oneroster/v1p1/",
			"--expires", "2099-01-01", "--json")
		var handed struct{ ClientID, Link, Expires string }
		if err := json.Unmarshal([]byte(link), &handed); err != nil || handed.ClientID != c.ClientID {
			t.Fatal(link, err)
		}
		u, err := url.Parse(handed.Link)
		if err != nil || u.Host != "roster.example.org" || !strings.HasPrefix(u.Path, "/handover/") {
			t.Fatal(link)
		}
		list := func() listed { return clientsOf(t, run("client", "list", "--json"))["School Data Sync"] }
		if l := list(); l.Link == nil || l.Link.State != "open" || l.Working != 2 || l.AtOnce != 7 ||
			len(l.Allowed) != 1 {
			t.Errorf("with a link: %+v %+v", l, l.Link)
		}
		shown := 0
		for range 2 {
			r, _ := http.NewRequest("POST", base+u.Path, nil)
			_, page := fetch(t, r)
			_, secret, _ := strings.Cut(page, `<code id="secret">`)
			if secret, _, ok := strings.Cut(secret, "<"); ok && secret != "" {
				shown++
				c.ClientSecret = secret
			}
		}
		if status, text := token(); status != 200 || shown != 1 {
			t.Errorf("the secret was shown %d times: %d %s", shown, status, text)
		}
		stop(cmd)
		l := list()
		first, second := l.Secrets[0], l.Secrets[1]
		for _, s := range l.Secrets {
			if used, err := time.Parse(time.RFC3339, s.Used); err != nil ||
				time.Since(used) > 10*time.Minute ||
				s.UsedFrom != "127.0.0.1" || s.Expired {
				t.Errorf("a secret is listed as %+v", s)
			}
		}
		if old, err := time.Parse(time.RFC3339, first.Expires); err != nil ||
			time.Until(old).Round(time.Hour) != 240*time.Hour ||
			second.Expires != "2099-01-01T00:00:00Z" || l.Link.State != "opened" ||
			l.Link.OpenedFrom != "127.0.0.1" || l.Note != "" {
			t.Errorf("after all: %+v %+v", l, l.Link)
		}
		out := run("client", "list")
		for _, want := range []string{", used 20", " from 127.0.0.1", "link opened 20",
			"ends 2099-01-01 00:00",
			"come from 127.0.0.0/8", "ask 7 at once"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		// What was printed and listed has no secret but where one was to be shown.
		if strings.Contains(out+link, c.ClientSecret) {
			t.Error("a secret is listed")
		}
	})
}

// fetch sends a request, and returns what came.
func fetch(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// What is told of a client's secrets, by the list and by the log of a service that starts.
func TestSecretsThatEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := runs(t, dir, "d.db")
	run("init")
	now := time.Now().Truncate(time.Second)
	day := func(n float64) time.Time {
		return now.Add(time.Duration(n * 24 * float64(time.Hour))).Add(9 * time.Minute)
	}
	s := storetest.Open(t, filepath.Join(dir, "d.db"), store.Options{})
	want := map[string]string{}
	for _, c := range []struct {
		name    string
		secrets []auth.Secret // made, ends, used
		note    string
	}{
		{"for ever", []auth.Secret{{Created: day(-9)}}, ""},
		{"next year", []auth.Secret{{Created: day(-9), Expires: day(300)}}, ""},
		{"in a month and a day", []auth.Secret{{Created: day(-9), Expires: day(31)}}, ""},
		{"in a month", []auth.Secret{{Created: day(-9), Expires: day(29)}},
			" UTC, in 29 days; rollbook client rotate "},
		{"tomorrow", []auth.Secret{{Created: day(-9), Expires: day(1)}},
			"in 24 hours; rollbook client rotate "},
		{"today", []auth.Secret{{Created: day(-9), Expires: day(0.25)}},
			"in 6 hours; rollbook client rotate "},
		{"ended", []auth.Secret{{Created: day(-9), Expires: day(-3)}, {Created: day(-8), Expires: day(-2)}},
			"has ended, on " + day(-2).UTC().Format("2006-01-02 15:04") + " UTC: it gets no more tokens"},
		{"rotated", []auth.Secret{{Created: day(-9), Expires: day(2), Used: day(-7)},
			{Created: day(-2), Used: day(-1)}}, ""},
		{"not handed over", []auth.Secret{{Created: day(-9), Expires: day(2), Used: day(-0.5)},
			{Created: day(-2)}}, "still uses its old secret, which ends on "},
		{"just rotated", []auth.Secret{{Created: day(-9), Expires: day(2), Used: day(-0.5)},
			{Created: day(-0.5)}}, ""},
		{"rotated in haste", []auth.Secret{{Created: day(-9), Expires: day(0.5), Used: day(-0.5)},
			{Created: day(-0.5)}}, "still uses its old secret, which ends on "},
		{"neither was used", []auth.Secret{{Created: day(-9), Expires: day(2)}, {Created: day(-2)}}, ""},
		{"both end", []auth.Secret{{Created: day(-9), Expires: day(2)}, {Created: day(-2), Expires: day(20)}},
			"in 20 days; rollbook client rotate "},
		{"without any", nil, ""},
	} {
		uses := map[string]auth.Use{}
		for i := range c.secrets {
			c.secrets[i].ID = c.name + string(rune('a'+i))
			uses[c.secrets[i].ID] = auth.Use{At: c.secrets[i].Used, From: "192.0.2.1"}
		}
		if err := s.AddClient(t.Context(), auth.Client{ID: "id-" + strings.ReplaceAll(c.name, " ", "-"),
			Name:    c.name,
			Secrets: c.secrets}); err != nil {
			t.Fatal(err)
		}
		if err := s.KeepUses(t.Context(), uses); err != nil {
			t.Fatal(err)
		}
		want[c.name] = c.note
	}
	list := clientsOf(t, run("client", "list", "--json"))
	told := 0
	for name, note := range want {
		got := list[name].Note
		if !strings.Contains(got, note) || (got == "") != (note == "") || got != "" &&
			!strings.Contains(got, name+" (id-") {
			t.Errorf("%s: %q, not %q", name, got, note)
		}
		if note != "" {
			told++
			if out := run("client", "list"); !strings.Contains(out, "note: "+got+"\n") {
				t.Errorf("%s is not told a person:\n%s", name, out)
			}
		}
	}
	cmd := program(dir, "serve", "--addr", "127.0.0.1:0", "--db", "d.db")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	for lines := bufio.NewScanner(log); told > 0 && lines.Scan(); {
		var line struct{ Msg, Client, Problem, Do string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Msg != "secrets" {
			continue
		}
		told--
		name := strings.ReplaceAll(strings.TrimPrefix(line.Client, "id-"), "-", " ")
		if line.Problem+"; "+line.Do != list[name].Note {
			t.Errorf("the log tells %+v of %q, not %q", line, name, list[name].Note)
		}
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_, _ = io.Copy(io.Discard, log)
	if err := cmd.Wait(); err != nil || told > 0 {
		t.Errorf("%d were not told: %v", told, err)
	}
}

// When a secret ends, and what a link needs, is said in one way or refused.
func TestHowClientsAreAdded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := runs(t, dir, "d.db")
	run("init")
	for _, c := range []struct {
		args string
		code int
		find string
	}{
		{"client add a --expires 0d", 2, "give a time to come, such as 365d, 72h or 2027-08-01"},
		{"client add a --expires -72h", 2, "give a time to come"}, {"client add a --expires 2020-01-01", 2,
			"time to come"},
		{"client add a --expires soon", 2, "give a time to come"},
		{"client add a --link", 2, "a link needs the public base URL"},
		{"client add a --link --url http://roster.example.org", 2, "give an https:// URL"},
		{"client add a --link --url roster", 2, "is not an absolute URL"},
		{"client handover a --url https://roster.example.org", 1, `there is no client "a"`},
		{"client handover a", 2, "a link needs the public base URL"},
		{"client add a --link --url https://roster.example.org/x/", 0,
			"link       https://roster.example.org/x/handover/"},
		{"client add b --link --url http://127.0.0.1:8080 --json", 0,
			`"link":"http://127.0.0.1:8080/handover/`},
		{"client add c --expires 2h --json --url https://roster.example.org", 0, `"clientSecret":"`},
		{"client rotate C --expires 2099-08-01", 0, "client secret  "},
		{"client handover a --url https://roster.example.org --overlap -1h", 2, "--overlap -1h0m0s"},
		{"client remove B", 0, ""},
		{"client list --json", 0, `"expires":"2099-08-01T00:00:00Z"`},
	} {
		out, errs, code := rollbook(t, dir, append(strings.Fields(c.args), "--db", "d.db")...)
		if code != c.code || !strings.Contains(out+errs, c.find) {
			t.Errorf("%s: %d %s%s", c.args, code, out, errs)
		}
		if strings.Contains(c.args, "--link") && code == 0 && strings.Contains(out, "secret  ") {
			t.Errorf("%s shows a secret: %s", c.args, out)
		}
	}
	if list := clientsOf(t, run("client", "list", "--json")); len(list) != 2 ||
		list["a"].Link.State != "open" {
		t.Errorf("%+v", list)
	}
}
