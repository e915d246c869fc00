package source_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"rollbook/internal/feed"
	"rollbook/internal/rest/resttest"
	"rollbook/internal/source"
	"rollbook/internal/source/sourcetest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) {
	source.SetBetweenLooks(50 * time.Millisecond)
	source.SetMostBytes(16 << 20)
	source.SetSilence(2 * time.Second)
	source.SetHTTPSTime(3 * time.Second)
	storetest.Main(m)
}

// archive is a zip with one file.
func archive(text string) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	f, _ := z.Create("users.csv")
	_, _ = io.WriteString(f, text)
	_ = z.Close()
	return out.Bytes()
}

// fetch fetches, as the fetch before left it, and returns the package, or why there is none.
func fetch(t *testing.T, p source.Place, memory *json.RawMessage) (name, text, why string) {
	t.Helper()
	got, err := p.Fetch(t.Context(), t.TempDir(), *memory)
	switch {
	case err != nil:
		return "", "", err.Error()
	case got.Path == "":
		return "", "", got.Nothing
	}
	if *memory, err = json.Marshal(got.Memory); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(got.Path); err != nil || info.IsDir() {
		files, _ := os.ReadDir(got.Path)
		for _, f := range files {
			part, _ := os.ReadFile(filepath.Join(got.Path, f.Name()))
			text += f.Name() + "=" + string(part) + " "
		}
		return got.Name, text, ""
	}
	whole, err := os.ReadFile(got.Path)
	if err != nil {
		t.Fatal(err)
	}
	return got.Name, string(whole), ""
}

func place(t *testing.T, s source.Settings, secrets source.Secrets) source.Place {
	t.Helper()
	p, err := s.Place(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// dropping is a story of files that are put into a folder, however it is reached.
func dropping(t *testing.T, dir string, at func(path string, done bool) source.Place) {
	put := func(name, text string, age time.Duration) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	var memory json.RawMessage
	want := func(p source.Place, what string, parts ...string) {
		t.Helper()
		name, text, why := fetch(t, p, &memory)
		for _, part := range parts {
			if !strings.Contains(name+"|"+text+"|"+why, part) {
				t.Errorf("%s: %q, %d bytes, %q; it lacks %q", what, name, len(text), why, part)
			}
		}
	}
	p := at("", false)
	want(p, "an empty folder", "||there is no zip and no CSV file")
	old, young := string(archive("old")), string(archive("young"))
	put("b.zip", old, 2*time.Hour)
	put("a.zip", young, time.Hour)
	put(".hidden.zip", "half", 0)
	put("c.zip.part", "half", 0)
	want(p, "the newest of two", "a.zip|", young)
	want(p, "the same again", "nothing new: a.zip")
	put("a.zip", old, time.Minute)
	want(p, "another of that name", "a.zip|", old)
	want(at("b*.zip", false), "a pattern", "b.zip|", old)
	waits := at("", true)
	memory = nil
	want(waits, "nobody says that it is whole", "there is no zip and no CSV file")
	put("b.zip.done", "", time.Hour)
	want(waits, "somebody does", "b.zip|", old)
	put("b.zip", young, time.Minute)
	want(waits, "of the file before", "there is no zip and no CSV file")
	put("export[1].zip", young, 3*time.Hour)
	want(at("export[1].zip", false), "a file whose name looks like a pattern", "export[1].zip|", young)
	want(at("export[[]1*.zip", false), "a pattern of such names", "nothing new: export[1].zip")
	for _, name := range []string{"a.zip", "b.zip", "b.zip.done", "export[1].zip"} {
		_ = os.Remove(filepath.Join(dir, name))
	}
	put("users.csv", "u", time.Minute)
	put("orgs.csv", "o", time.Minute)
	put("readme.txt", "no", time.Minute)
	want(p, "CSV files", filepath.Base(dir)+"|orgs.csv=o users.csv=u |")

	// A file that grows is never taken; when it has come to rest it is.
	ended, stop := make(chan struct{}), make(chan struct{})
	name := filepath.Join(dir, "grows.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				_, _ = f.WriteAt(archive("whole"), 0)
				_ = f.Truncate(int64(len(archive("whole"))))
				_ = f.Close()
				return
			case <-time.After(time.Millisecond):
				_, _ = f.WriteString("more")
			}
		}
	}()
	want(p, "a file that grows", "||", "grows.zip is still being written")
	close(stop)
	<-ended
	want(p, "and has come to rest", "grows.zip|", string(archive("whole")))
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dropping(t, dir, func(path string, done bool) source.Place {
		return place(t, source.Settings{Folder: &source.Folder{Path: filepath.Join(dir, path),
			Drop: source.Drop{Done: done}}}, nil)
	})
	for _, wrong := range []string{"drop", "./drop", "/srv/[drop"} {
		if _, err := (source.Settings{Folder: &source.Folder{Path: wrong}}).Place(nil); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
	if _, _, why := fetch(t, place(t, source.Settings{Folder: &source.Folder{Path: "/nowhere/x"}}, nil),
		new(json.RawMessage)); !strings.Contains(why, "/nowhere") {
		t.Errorf("a folder that is not there: %q", why)
	}
}

func TestSFTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine, private := sourcetest.NewKey(t)
	addr, fingerprint := sourcetest.SFTP(t, dir, mine.PublicKey())
	settings := func(path, host string, done bool) source.Settings {
		return source.Settings{SFTP: &source.SFTP{URL: "sftp://rollbook@" + addr + dir + "/" + path,
			HostKey: host,
			Drop:    source.Drop{Done: done}}}
	}
	password := source.Secrets{source.Password: "right horse"}
	dropping(t, dir, func(path string, done bool) source.Place {
		return place(t, settings(path, fingerprint, done), password)
	})
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := string(pem.EncodeToMemory(block))
	for _, row := range []struct {
		name    string
		host    string
		secrets source.Secrets
		says    string
	}{
		{"a password", fingerprint, password, "grows.zip"},
		{"a key", fingerprint, source.Secrets{source.PrivateKey: sealed, source.Passphrase: "open sesame"},
			"grows.zip"},
		{"a key without its passphrase", fingerprint, source.Secrets{source.PrivateKey: sealed},
			"ROLLBOOK_PASSPHRASE"},
		{"another password", fingerprint, source.Secrets{source.Password: "wrong"},
			"does not let rollbook in"},
		{"a host that nobody has vouched for", "", password, "--host-key " + fingerprint},
		{"another host than before", "SHA256:other", password, "somebody may stand between"},
	} {
		told, err := place(t, settings("", row.host, false), row.secrets).Test(t.Context())
		if err != nil {
			told = err.Error()
		}
		if !strings.Contains(told, row.says) || strings.Contains(told, "right horse") {
			t.Errorf("%s: %s", row.name, told)
		}
	}
	for _, wrong := range []string{"sftp://rollbook:secret@host/x", "ftp://rollbook@host/x",
		"sftp://host/x"} {
		_, err := source.Settings{SFTP: &source.SFTP{URL: wrong}}.Place(password)
		if err == nil || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// A server that lets us in and says nothing then is given up, and its source fails.
func TestSilentSFTP(t *testing.T) {
	t.Parallel()
	mine, _ := sourcetest.NewKey(t)
	addr, fingerprint := sourcetest.SilentSFTP(t, mine.PublicKey())
	p := place(t, source.Settings{SFTP: &source.SFTP{URL: "sftp://rollbook@" + addr + "/x",
		HostKey: fingerprint}}, source.Secrets{source.Password: sourcetest.Password})
	if _, _, why := fetch(t, p, new(json.RawMessage)); !strings.Contains(why, addr) ||
		!strings.Contains(why, "said nothing for") {
		t.Error(why)
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	whole, mode := archive("one"), ""
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("rollbook:right horse"))
		if is := r.Header.Get("Authorization"); is != basic && is != "Bearer long token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		etag := fmt.Sprintf(`"%d"`, len(whole))
		w.Header().Set("ETag", etag)
		switch {
		case mode == "torn":
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			_, _ = w.Write(whole[:len(whole)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case mode == "page":
			_, _ = io.WriteString(w, "<html>Please log in")
		case mode == "away":
			http.Redirect(w, r, "https://other.example/export.zip", http.StatusFound)
		case mode == "down":
			http.Redirect(w, r, "http://"+r.Host+"/export.zip", http.StatusFound)
		case mode == "moved" && r.URL.Path != "/new.zip":
			http.Redirect(w, r, "/new.zip", http.StatusFound)
		case mode == "asks" && r.URL.RawQuery != "sig=T0ken":
			w.WriteHeader(http.StatusForbidden)
		case mode == "gone":
			w.WriteHeader(http.StatusNotFound)
		case r.Header.Get("If-None-Match") == etag:
			w.WriteHeader(http.StatusNotModified)
		default:
			_, _ = w.Write(whole)
		}
	}))
	t.Cleanup(server.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	basic := source.Secrets{source.Password: "right horse"}
	var memory json.RawMessage
	for _, row := range []struct {
		mode    string
		ca      string
		secrets source.Secrets
		want    string
	}{
		{"", "", basic, "||"}, // not trusted
		{"", ca, source.Secrets{source.Password: "wrong"}, "401 Unauthorized: look at the user"},
		{"torn", ca, basic, "broke off"},
		{"page", ca, basic, "is no zip"},
		{"away", ca, basic, "it redirects to https://other.example, which is not"},
		{"down", ca, basic, "it redirects to http://"},
		{"gone", ca, basic, "there is no file of that name"},
		{"moved", ca, basic, "new.zip|" + string(whole)},
		{"", ca, basic, "nothing new"},
		{"grown", ca, source.Secrets{source.Bearer: "long token"}, "export.zip|"},
	} {
		if mode = row.mode; mode == "grown" {
			whole = archive("one and two")
		}
		p := place(t, source.Settings{HTTPS: &source.HTTPS{URL: server.URL + "/export.zip", User: "rollbook",
			CA: row.ca}}, row.secrets)
		name, text, why := fetch(t, p, &memory)
		if got := name + "|" + text + "|" + why; !strings.Contains(got, row.want) || name == "" && why == "" {
			t.Errorf("%s: %q", row.mode, got)
		}
	}
	// A token in the URL is nowhere but in the request.
	tokens := &source.HTTPS{URL: server.URL + "/export.zip?sig=T0ken", CA: ca}
	hidden := source.Secrets{source.Password: "right horse", source.Query: tokens.Hide()}
	mode, tokens.User = "asks", "rollbook"
	if _, text, why := fetch(t, place(t, source.Settings{HTTPS: tokens}, hidden),
		new(json.RawMessage)); text == "" {
		t.Errorf("a URL with a token: %s", why)
	}
	server.Close()
	_, _, why := fetch(t, place(t, source.Settings{HTTPS: tokens}, hidden), new(json.RawMessage))
	if strings.Contains(why+tokens.URL, "T0ken") || !strings.Contains(why, "/export.zip: ") {
		t.Errorf("%s, %s", tokens.URL, why)
	}
	for _, wrong := range []string{"http://host/x.zip", "https://rollbook:secret@host/x.zip"} {
		_, err := source.Settings{HTTPS: &source.HTTPS{URL: wrong}}.Place(nil)
		if err == nil || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func sorted(lines []string) []string { slices.Sort(lines); return lines }

// differ is the first line of each that the other lacks.
func differ(one, other string) string {
	var out []string
	for _, side := range [][2]string{{one, other}, {other, one}} {
		for _, line := range strings.Split(side[0], "\n") {
			if !strings.Contains(side[1], line) {
				out = append(out, line)
				break
			}
		}
	}
	return strings.Join(out, "\n")
}

// A server that stalls after its first bytes is given up, by a test and by a fetch; one that goes on without
// end a byte at a time, by the turn; and 304 is no answer to who has nothing yet.
func TestSlowHTTPS(t *testing.T) {
	defer source.SetFetchTime(time.Second)()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cache.zip" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		begin := "PK\x03\x04"
		if r.URL.Path == "/stalls.zip" {
			begin = "PK"
		}
		_, _ = io.WriteString(w, begin)
		_ = http.NewResponseController(w).Flush()
		for r.URL.Path == "/drips.zip" && r.Context().Err() == nil {
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Millisecond):
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
			}
		}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	settings := func(name string) source.Settings {
		return source.Settings{HTTPS: &source.HTTPS{URL: server.URL + "/" + name, CA: ca}}
	}
	if told, err := place(t, settings("stalls.zip"), nil).Test(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "broke off after 2 bytes") {
		t.Errorf("%s, %v", told, err)
	}
	for name, want := range map[string]string{"stalls.zip": "broke off after 2 bytes",
		"cache.zip": "nothing was taken from it yet"} {
		_, _, why := fetch(t, place(t, settings(name), nil), new(json.RawMessage))
		if !strings.Contains(why, want) {
			t.Errorf("%s: %s", name, why)
		}
	}
	s := storetest.Open(t, storetest.SQLite(t), store.Options{})
	key := resttest.Key(t)
	utc := func(context.Context) (*time.Location, error) { return time.UTC, nil }
	f, err := settings("drips.zip").Feed("sis", nil, key, time.Now(), time.UTC)
	if err == nil {
		err = s.AddFeed(t.Context(), f)
	}
	if err != nil {
		t.Fatal(err)
	}
	feeds := &feed.Feeds{Store: s, Kinds: map[store.FeedKind]feed.Kind{
		store.FeedSource: &source.Sources{Key: key, Zone: utc}}}
	if run, err := feeds.Run(t.Context(), store.FeedSource, "sis"); err == nil || run.State != store.RunFailed ||
		!strings.Contains(err.Error(), "given up after 1s") {
		t.Errorf("%+v, %v", run, err)
	}
}
