package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollbook/internal/store/storetest"
)

// A service reads from the standby of its database; readers notice nothing while that stays
// behind, hangs, crashes and comes again: no request fails, and who has written reads it.
func TestServeFromStandby(t *testing.T) {
	t.Parallel()
	dsn, standby := storetest.Standby(t)
	dir := t.TempDir()
	run := runs(t, dir, dsn)
	run("sandbox", "d.zip", "--students", "300", "--seed", "7")
	run("import", "--new", "d.zip")
	var client struct{ ClientID, ClientSecret string }
	added := run("client", "add", "x", "--for", "all", "--json")
	if err := json.Unmarshal([]byte(added), &client); err != nil {
		t.Fatal(err)
	}
	_, errs, code := rollbook(t, dir, "serve", "--read-db", standby.DSN, "--db", "d.db")
	if code != exitUsage || !strings.Contains(errs, "PostgreSQL") {
		t.Errorf("beside SQLite: %d %s", code, errs)
	}
	address, _ := start(t, dir, dsn, "--read-db", standby.DSN)
	host := "http://" + address
	token := newReader(t, "", host+"/token", client.ClientID, client.ClientSecret).token
	call := func(method, path, body string) string {
		r, err := http.NewRequest(method, host+"/ims/oneroster/v1p1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return ""
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode > 201 {
			t.Errorf("%s %s: %d %v %.200s", method, path, answer.StatusCode, err, text)
		}
		return string(text)
	}
	whole := strings.Count(call("GET", "/enrollments?limit=1000", ""), `"sourcedId":"`)
	over, asked := make(chan struct{}), atomic.Int64{}
	var readers sync.WaitGroup
	defer readers.Wait()
	defer sync.OnceFunc(func() { close(over) })()
	for n := range 2 {
		readers.Go(func() {
			for i := 0; !t.Failed(); i++ {
				select {
				case <-over:
					return
				default:
				}
				asked.Add(1)
				title := fmt.Sprint("title ", n, " ", i)
				id := fmt.Sprint("/categories/k", n)
				call("PUT", id, `{"category":{"title":"`+title+`"}}`)
				list := call("GET", "/categories?filter="+url.QueryEscape("title='"+title+"'"), "")
				one := call("GET", id, "")
				if !strings.Contains(one, title) || !strings.Contains(list, title) {
					t.Errorf("%s was written; read: %s %s", title, one, list)
				}
				filter := url.QueryEscape(fmt.Sprintf("sourcedId!='%d %d'", n, i))
				if rows := strings.Count(call("GET", "/enrollments?limit=1000&filter="+filter, ""),
					`"sourcedId":"`); rows != whole {
					t.Errorf("%d of %d rows", rows, whole)
				}
			}
		})
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not come", what)
			}
		}
	}
	ready := func() string {
		status, body := answered(t, host+"/readyz", "")
		if status != 200 {
			t.Errorf("readyz: %d %s", status, body)
		}
		return body
	}
	says := func(part string) {
		t.Helper()
		until(part, func() bool { return strings.Contains(ready(), "reads go to the primary: it "+part) })
		from := asked.Load()
		until("what is asked meanwhile", func() bool { return asked.Load() > from+6 })
	}
	used := func() {
		t.Helper()
		from := standby.Read(`FROM "enrollments"`)
		until("the standby", func() bool { return standby.Read(`FROM "enrollments"`) > from })
		until("readiness without a word", func() bool { return ready() == `{"status":"ok"}` })
	}
	used()
	standby.Replay(t, false)
	says("is behind")
	standby.Replay(t, true)
	used()
	standby.CrashIn(`FROM "enrollments"`)
	says("")
	standby.Restart(t)
	used()
	goOn := standby.Hang(t)
	says("does not answer")
	goOn()
	used()
}
