package notify_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/feed"
	"rollbook/internal/notify"
	"rollbook/internal/oneroster"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// A desk has a district, its clock, and a program that writes down what it is told.
type desk struct {
	*testing.T
	s     *store.Store
	k     *notify.Notifiers
	now   time.Time
	key   *auth.Key
	book  string // file that the program writes to
	feeds *feed.Feeds
}

func newDesk(t *testing.T, dsn string, s notify.Settings) *desk {
	t.Helper()
	d := &desk{T: t, now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), book: filepath.Join(t.TempDir(),
		"book")}
	d.s = storetest.Open(t, dsn, store.Options{Now: func() time.Time { return d.now }})
	var err error
	if d.key, err = auth.ParseKey(auth.NewKeyText()); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return d.now }
	d.k = &notify.Notifiers{Store: d.s, Key: d.key, Now: now,
		Zone: func(context.Context) (*time.Location, error) { return zone, nil }}
	d.feeds = &feed.Feeds{Store: d.s, Now: now, Kinds: map[store.FeedKind]feed.Kind{store.FeedNotify: d.k}}
	s.Command = []string{"/bin/sh", "-c", `if test -e "$0.once"; then
		mv "$0.once" "$0.then"; elif test -e "$0.then"; then rm "$0.then"; exit 1; fi
		cat >> "$0"; echo >> "$0"`, d.book}
	if s.On == nil {
		for _, e := range notify.Events {
			if e.Usual {
				s.On = append(s.On, e.Name)
			}
		}
	}
	f, err := s.Feed("office", nil, d.key, d.now, 0)
	if err == nil {
		err = d.s.AddFeed(t.Context(), f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// after lets time pass, and returns the subjects of what is told then.
func (d *desk) after(pass time.Duration) (subjects []string, whole string) {
	d.Helper()
	d.now = d.now.Add(pass)
	f, err := d.s.Feed(d.Context(), store.FeedNotify, "office")
	if err != nil {
		d.Fatal(err)
	}
	_ = os.Remove(d.book)
	wanted, err := d.k.Wanted(d.Context(), f)
	if err != nil {
		d.Fatal(err)
	}
	if !wanted {
		return nil, ""
	}
	if _, err := d.feeds.Run(d.Context(), store.FeedNotify, "office"); err != nil {
		d.Fatal(err)
	}
	text, err := os.ReadFile(d.book)
	if err != nil {
		d.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var m notify.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			d.Fatalf("%v: %s", err, line)
		}
		subjects = append(subjects, m.Kind+": "+m.Subject)
	}
	return subjects, string(text)
}

func (d *desk) want(pass time.Duration, want ...string) (whole string) {
	d.Helper()
	got, whole := d.after(pass)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		d.Errorf("after %s, %s:\n%s\nnot\n%s", pass, d.now, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return whole
}

// publication brings one, which gets a state.
func (d *desk) publication(name string, state store.State, verdict string) int64 {
	d.Helper()
	id, err := d.s.Arrive(d.Context(), name, "Anna Adminsson")
	if err == nil && verdict != "" {
		err = d.s.SetVerdict(d.Context(), id, []byte(verdict))
	}
	if err == nil && state != store.StatePlanning {
		err = d.s.Decide(d.Context(), id, state, []store.State{store.StatePlanning}, "Anna Adminsson", "")
	}
	if err != nil {
		d.Fatal(err)
	}
	return id
}

const verdict = `{"objections":[{"guard":"loss","resource":"users","text":"Zoë Secretname would go",
"count":51,"of":100}],
"examples":[{"guard":"loss","resource":"users","sourcedId":"stu-7","before":"Zoë Secretname"}]}`

// Trouble is told at once and once, again when it goes on for long, and when it is over; nothing is told
// twice, and nobody's name.
func TestTroubleIsToldOnce(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		d := newDesk(t, dsn, notify.Settings{District: "Springfield", IDs: true})
		d.want(time.Minute)
		d.publication("Zoë Secretname.zip", store.StatePlanning, "")
		d.want(time.Minute)
		held := d.publication("Zoë Secretname.zip", store.StateHeld, verdict)
		whole := d.want(time.Minute, "trouble: Springfield: Publication 2 is held: 51 of 100 users would "+
			"go (loss). Readers are served what they were served before.")
		if !strings.Contains(whole, `"stu-7"`) || !strings.Contains(whole, "rollbook publications show 2") {
			t.Error(whole)
		}
		d.want(time.Minute)
		d.want(23*time.Hour, "trouble: Springfield: Publication 1 came more than an hour ago and nothing "+
			"has become of it: its process may have been ended.")
		d.want(time.Hour, "reminder: Springfield: Still, since 2026-11-02 02:03: Publication 2 is held: "+
			"51 of 100 users would go (loss). Readers are served wha…")
		d.want(time.Hour)
		if err := d.s.Decide(t.Context(), held, store.StateDiscarded, []store.State{store.StateHeld},
			"Anna Adminsson",
			"Zoë Secretname stays"); err != nil {
			t.Fatal(err)
		}
		d.want(time.Minute, "over: Springfield: Publication 2 is discarded now.")
		if err := d.s.Decide(t.Context(), 1, store.StateSuperseded, []store.State{store.StatePlanning}, "",
			""); err != nil {
			t.Fatal(err)
		}
		d.want(time.Minute, "over: Springfield: Publication 1 is superseded now.")
		d.publication("fine.zip", store.StatePublished, "")
		d.want(time.Minute) // nobody asked for that
		for range 9 {
			d.publication("Zoë Secretname.zip", store.StateRefused,
				`{"error":"users.csv:3: \"Zoë Secretname\""}`)
		}
		whole = d.want(time.Minute, "trouble: Springfield: This happened 9 times, the last: Publication 12 "+
			"is refused: "+
			"its package cannot be used, and nothing was chang…")
		if strings.Contains(whole, "Secretname") {
			t.Error(whole)
		}
		d.want(time.Minute)
	})
}

// What a person lets through is told to who wants to know what is published; without --ids no id of a
// person leaves, and nothing of what files and people are called.
func TestPublishedByAPerson(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{On: []string{"published", "held", "refused"},
		Short: "spring"})
	id := d.publication("Zoë Secretname.zip", store.StateHeld, verdict)
	whole := d.want(time.Minute, "trouble: Rollbook: Publication 1 is held: 51 of 100 users would go "+
		"(loss). Readers are served what they were served before.")
	if !strings.Contains(whole, "rollbook --district spring publications show 1, then rollbook --district "+
		"spring publish 1") {
		t.Error(whole)
	}
	d.publication("b.zip", store.StatePublished, "")
	d.publication("c.zip", store.StateRefused, `{"error":"users.csv:3: \"Zoë Secretname\""}`)
	more := d.want(time.Minute, "trouble: Rollbook: Publication 3 is refused: its package cannot be used, "+
		"and nothing was changed, and 1 more")
	if err := d.s.Decide(t.Context(), id, store.StatePublished, []store.State{store.StateHeld},
		"Anna Adminsson", "Zoë Secretname may go"); err != nil {
		t.Fatal(err)
	}
	last := d.want(time.Minute, "news: Rollbook: Publication 1 is published: 0 added, 0 changed, 0 retired.",
		"over: Rollbook: Publication 1 is published now.")
	d.want(time.Minute)
	for _, marker := range []string{"Secretname", "stu-7", "Adminsson"} {
		if strings.Contains(whole+more+last, marker) {
			t.Errorf("%s: %s", marker, whole+more+last)
		}
	}
}

// source adds one to a district, and tells how its turns end.
func (d *desk) source() (run func(state store.RunState)) {
	d.Helper()
	if err := d.s.AddFeed(d.Context(), store.Feed{Kind: store.FeedSource, Name: "sis", Settings: "{}",
		Due: oneroster.FormatTime(d.now)}); err != nil {
		d.Fatal(err)
	}
	return func(state store.RunState) {
		d.Helper()
		turn, _, err := d.s.TakeTurn(d.Context(), store.FeedSource, "sis", "")
		if err == nil {
			err = turn.End(d.Context(), store.Run{State: state, Text: "Zoë Secretname"}, d.now)
		}
		if err != nil {
			d.Fatal(err)
		}
	}
}

// One that fails now and then is told of once, and is over when it has gone well for an hour; one whose
// file stays the same brings nothing, and a publication is what it brings.
func TestSources(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{})
	run := d.source()
	run(store.RunNothing)
	d.want(time.Hour)
	run(store.RunFailed)
	first := d.want(time.Minute, "trouble: Rollbook: The source sis fails.")
	for range 3 {
		run(store.RunDone)
		d.want(15 * time.Minute)
		run(store.RunFailed)
		d.want(15 * time.Minute)
	}
	run(store.RunDone)
	d.want(time.Hour, "over: Rollbook: The source sis works again.")
	run(store.RunFailed)
	if again := d.want(time.Minute, "trouble: Rollbook: The source sis fails."); first[:30] == again[:30] {
		t.Errorf("other trouble has the same id: %s", again)
	}
	run(store.RunNothing)
	d.want(time.Hour, "over: Rollbook: The source sis works again.")
	d.want(23*time.Hour, "trouble: Rollbook: The source sis has brought nothing for more than 26 hours.")
	run(store.RunNothing)
	d.want(time.Hour)
	if _, err := d.s.Arrive(t.Context(), "a.zip", "source sis"); err != nil {
		t.Fatal(err)
	}
	d.want(time.Minute, "over: Rollbook: The source sis has brought something again.")
	run(store.RunFailed)
	d.want(time.Minute, "trouble: Rollbook: The source sis fails.")
	if err := d.s.RemoveFeed(t.Context(), store.FeedSource, "sis"); err != nil {
		t.Fatal(err)
	}
	d.want(time.Minute, "over: Rollbook: It is there no more: The source sis fails.")
}

// A reader that comes each day, and then does not, is missed until it comes again; one that came once is
// not. A delta without a row is a visit, a token alone is none.
func TestReaders(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{Remind: "240h"})
	d.now = d.now.Truncate(time.Hour)
	for _, c := range []string{"sds", "once"} {
		if err := d.s.AddClient(t.Context(), auth.Client{ID: c, Name: c, Created: d.now}); err != nil {
			t.Fatal(err)
		}
	}
	visit := func(client, op string) {
		t.Helper()
		if err := d.s.Note(t.Context(), store.Heard{Calls: []*store.Calls{{Client: client, Op: op,
			Hour: d.now, Calls: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	visit("once", "getAllUsers")
	for range 4 {
		visit("sds", "getAllUsers")
		d.want(24 * time.Hour)
	}
	d.want(4*time.Hour, "trouble: Rollbook: The reader sds has not come for more than 26 hours.")
	visit("sds", "token")
	d.want(time.Hour)
	d.want(241*time.Hour, "reminder: Rollbook: Still, since 2026-11-06 06:00: The reader sds has not come "+
		"for more than 26 hours.")
	d.want(200 * time.Hour) // its visits are forgotten, the trouble is not
	visit("sds", "getAllUsers")
	d.want(20*time.Minute, "over: Rollbook: The reader sds has come again.")
}

// One digest a day tells what was published; trouble is told at once all the same.
func TestDigest(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{On: []string{"published", "held"},
		Digest: feed.Schedule{At: []string{"07:00"}}}) // 13:00 UTC
	d.want(time.Hour)
	d.publication("a.zip", store.StatePublished, "")
	d.publication("b.zip", store.StateHeld, verdict)
	d.want(time.Hour, "trouble: Rollbook: Publication 2 is held: 51 of 100 users would go (loss). "+
		"Readers are served what they were served before.")
	d.want(2*time.Hour + 59*time.Minute)
	d.want(time.Minute, "digest: Rollbook: 1 publication published: 0 added, 0 changed, 0 retired; 1 held; "+
		"one trouble "+
		"goes on.")
	d.want(time.Minute)
	d.want(20 * time.Hour)
	d.want(4*time.Hour, "reminder: Rollbook: Still, since 2026-11-02 04:00: Publication 2 is held: "+
		"51 of 100 users would go (loss). Readers are served wha…",
		"digest: Rollbook: Nothing was published; one trouble goes on.")
}

// What cannot be sent waits, ever longer, and is told later in one; a message that was sent before a crash
// has the ID that it has when it is sent again.
func TestWhatCannotBeSentWaits(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t), notify.Settings{})
	if err := os.Mkdir(d.book, 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	d.publication("a.zip", store.StateRefused, "")
	due := func() time.Duration {
		t.Helper()
		_, err := d.feeds.Run(t.Context(), store.FeedNotify, "office")
		if err == nil {
			t.Fatal("it was sent")
		}
		f, err := d.s.Feed(t.Context(), store.FeedNotify, "office")
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(oneroster.TimeLayout, f.Due)
		return at.Sub(d.now)
	}
	if got := []time.Duration{due(), due(), due()}; got[0] != time.Minute || got[1] != 2*time.Minute ||
		got[2] != 4*time.Minute {
		t.Errorf("pauses %v", got)
	}
	d.publication("b.zip", store.StateRefused, "")
	first := d.want(0, "trouble: Rollbook: Publication 1 is refused: its package cannot be used, and "+
		"nothing was changed, and 1 more")
	// What was sent is not sent again for the sake of what could not be.
	run := d.source()
	run(store.RunFailed)
	d.want(time.Minute, "trouble: Rollbook: The source sis fails.")
	if err := d.s.RemoveFeed(t.Context(), store.FeedSource, "sis"); err != nil {
		t.Fatal(err)
	}
	d.publication("c.zip", store.StateRefused, "")
	_ = os.Remove(d.book)
	if err := os.WriteFile(d.book+".once", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.feeds.Run(t.Context(), store.FeedNotify, "office"); err == nil {
		t.Fatal("both were sent")
	}
	d.want(0, "over: Rollbook: It is there no more: The source sis fails.")
	// A process that was killed before it could remember says the same again, and nobody else does.
	ids := func(d *desk) string {
		t.Helper()
		d.publication("d.zip", store.StateRefused, "")
		f, err := d.s.Feed(t.Context(), store.FeedNotify, "office")
		if err != nil {
			t.Fatal(err)
		}
		_, one := d.after(time.Minute)
		turn, _, err := d.s.TakeTurn(t.Context(), store.FeedNotify, "office", "")
		if err == nil {
			turn.Memory = f.Memory
			err = turn.End(t.Context(), store.Run{}, d.now)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, two := d.after(0)
		if one == "" || one[:30] != two[:30] {
			t.Errorf("%s\n%s", one, two)
		}
		return one[:30]
	}
	other := newDesk(t, storetest.SQLite(t), notify.Settings{})
	other.publication("a.zip", store.StateRefused, "")
	_, theirs := other.after(time.Minute)
	if mine := ids(d); mine == ids(other) || theirs[:30] == first[:30] {
		t.Error("two districts have one id")
	}
}

// post is a mail server in a few words: what it is told is kept.
type post struct {
	net.Listener
	config *tls.Config
	mode   string // "", "plain", "login", "busy", "closed", "silent"
	mu     sync.Mutex
	mails  []string
	login  string
}

func newPost(t *testing.T, mode string, certificate tls.Certificate) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{Listener: l, mode: mode, config: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	if mode == "tls" {
		p.Listener = tls.NewListener(l, p.config)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := p.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *post) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	if p.mode == "silent" {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	in := bufio.NewReader(c)
	secure := p.mode == "tls"
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	hear := func() string {
		line, _ := in.ReadString('\n')
		return strings.TrimSpace(line)
	}
	decoded := func(text string) string {
		out, _ := base64.StdEncoding.DecodeString(text)
		return string(out)
	}
	say("220 post ESMTP")
	for {
		line := hear()
		switch verb := strings.ToUpper(strings.SplitN(line+" ", " ", 2)[0]); verb {
		case "":
			return
		case "EHLO":
			say("250-post")
			if !secure && p.mode != "plain" && p.mode != "closed" {
				say("250-STARTTLS")
			} else if p.mode == "login" {
				say("250-AUTH LOGIN")
			} else if secure {
				say("250-AUTH PLAIN LOGIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			up := tls.Server(c, p.config)
			if up.Handshake() != nil {
				return
			}
			c, in, secure = up, bufio.NewReader(up), true
		case "AUTH":
			words := strings.Fields(line)
			who := ""
			if words[1] == "PLAIN" {
				who = decoded(words[2])
			} else {
				say("334 " + base64.StdEncoding.EncodeToString([]byte("Username:")))
				who = "\x00" + decoded(hear())
				say("334 " + base64.StdEncoding.EncodeToString([]byte("Password:")))
				who += "\x00" + decoded(hear())
			}
			if who != "\x00rollbook\x00right horse" {
				say("535 no such user, you said " + words[len(words)-1] + " right mule")
				continue
			}
			p.mu.Lock()
			p.login = words[1]
			p.mu.Unlock()
			say("235 welcome")
		case "RCPT":
			if p.mode == "busy" {
				say("451 greylisted, come again")
				continue
			}
			if strings.Contains(line, "gone@") {
				say("550 no such mailbox")
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go on")
			text := ""
			for {
				part, err := in.ReadString('\n')
				if err != nil || part == ".\r\n" {
					break
				}
				text += strings.TrimPrefix(part, ".")
			}
			p.mu.Lock()
			p.mails = append(p.mails, text)
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // has a certificate for 127.0.0.1
	t.Cleanup(web.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	m := &notify.Message{ID: "abc", Kind: "trouble", At: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC),
		Subject: "Süd: publication 1 is held\r\nBcc: x@y.example",
		Lines:   []notify.Line{{Text: "Publication 1 is held.", Do: "rollbook publications show 1"}}}
	for _, row := range []struct{ mode, scheme, user, password, ca, says string }{
		{"", "smtp", "rollbook@", "right horse", ca, "PLAIN"},
		{"login", "smtp", "rollbook@", "right horse", ca, "LOGIN"},
		{"tls", "smtps", "rollbook@", "right horse", ca, "PLAIN"},
		{"plain", "smtp+plain", "", "", "", ""},
		{"", "smtp", "rollbook@", "right mule", ca, "does not let rollbook in: 535"},
		{"", "smtp", "rollbook@", "right horse", "", "TLS could not be agreed upon"},
		{"closed", "smtp", "rollbook@", "right horse", ca, "has no STARTTLS: nothing is sent in the clear"},
		{"busy", "smtp", "rollbook@", "right horse", ca, "does not take mail to gone@district.example: " +
			"451"},
	} {
		p := newPost(t, row.mode, web.TLS.Certificates[0])
		s := notify.Settings{Mail: &notify.Mail{URL: row.scheme + "://" + row.user + p.Addr().String(),
			CA:   row.ca,
			From: "Rollbook <rollbook@district.example>",
			To:   []string{"gone@district.example", "office@district.example"}}}
		way, err := s.Way(notify.Secrets{notify.Password: row.password})
		if err != nil {
			t.Fatal(err)
		}
		said, err := way.Send(t.Context(), m)
		if err == nil && !strings.Contains(said, "to gone@district.example: 550") {
			t.Errorf("%s %s: %s", row.scheme, row.mode, said)
		}
		if err != nil {
			if row.says == "" || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%s %s: %v", row.scheme, row.mode, err)
			}
			if len(p.mails) > 0 {
				t.Errorf("%s %s: it was sent", row.scheme, row.mode)
			}
			continue
		}
		if len(p.mails) != 1 || p.login != row.says {
			t.Errorf("%s %s: %d mails, login %q", row.scheme, row.mode, len(p.mails), p.login)
			continue
		}
		got, err := mail.ReadMessage(strings.NewReader(p.mails[0]))
		if err != nil {
			t.Fatal(err)
		}
		subject, _ := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		body, _ := io.ReadAll(quotedprintable.NewReader(got.Body))
		if subject != strings.NewReplacer("\r", " ", "\n", " ").Replace(m.Subject) ||
			got.Header.Get("Bcc") != "" ||
			got.Header.Get("Message-Id") != "<abc@district.example>" ||
			!strings.Contains(string(body), "Publication 1 is held.\r\n  rollbook publications show 1\r\n") {
			t.Errorf("%s: %q %v %s", row.scheme, subject, got.Header, body)
		}
	}
	for _, wrong := range []notify.Mail{{URL: "smtp://u:secret@h"}, {URL: "smtp+plain://u@h"},
		{URL: "http://h"},
		{URL: "smtp://h", From: "x"}, {URL: "smtp://h", From: "a@b.example"}} {
		if _, err := (notify.Settings{Mail: &wrong}).Way(nil); err == nil || strings.Contains(err.Error(),
			"secret") {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	// One that never answers stops nobody for long.
	p := newPost(t, "silent", web.TLS.Certificates[0])
	way, err := notify.Settings{Mail: &notify.Mail{URL: "smtp://" + p.Addr().String(), From: "a@b.example",
		To: []string{"c@d.example"}}}.Way(nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := way.Send(ctx, m); err == nil {
		t.Error("a silent server took it")
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	m := &notify.Message{ID: "abc", Kind: "trouble", At: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC),
		Subject: "A <b> & c", Lines: []notify.Line{{Event: "held", Text: "Publication 1 is held.",
			Do: "look"}}}
	var mu sync.Mutex
	var bodies []string
	fails := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/away":
			http.Redirect(w, r, "https://other.example/", http.StatusTemporaryRedirect)
			return
		case r.URL.Path == "/no":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no such token: T0KEN\x1b[2J")
			return
		case fails > 0:
			fails--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if is := r.Header.Get("Rollbook-Signature"); is != "" &&
			is != notify.Signature("sign here", r.Header.Get("Rollbook-Timestamp"), body) {
			t.Errorf("signature %s", is)
		}
		bodies = append(bodies, string(body))
		if r.Header.Get("Rollbook-Signature") != "" {
			verified(t, r.Header, body)
		}
	}))
	t.Cleanup(server.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for _, row := range []struct{ path, kind, want string }{
		{"/", "json", `{"id":"abc","kind":"trouble","at":"2026-11-02T08:00:00Z"`},
		{"/", "slack", `"text":"*A \u0026lt;b\u0026gt; \u0026amp; c*\nPublication 1 is held.`},
		{"/", "teams", `"contentType":"application/vnd.microsoft.card.adaptive"`},
		{"/away", "json", "redirects (307 Temporary Redirect): give the final URL"},
		{"/no", "json", "answers 403 Forbidden: no such token"},
	} {
		way, err := notify.Settings{Webhook: &notify.Webhook{Host: "hooks.example", Kind: row.kind,
			CA: ca}}.Way(
			notify.Secrets{notify.URL: server.URL + row.path, notify.Sign: "sign here"})
		if err != nil {
			t.Fatal(err)
		}
		bodies, fails = nil, 1
		got := ""
		if _, err := way.Send(t.Context(), m); err != nil {
			got = err.Error()
		} else {
			got = strings.Join(bodies, "\n")
		}
		if !strings.Contains(got, row.want) || strings.Contains(got, server.URL) {
			t.Errorf("%s %s: %s", row.path, row.kind, got)
		}
	}
	for _, wrong := range []string{"http://host.example/x", "https://u:p@host/x", "host/x"} {
		s := notify.Settings{Webhook: &notify.Webhook{Kind: "json"}}
		if _, err := s.Way(notify.Secrets{notify.URL: wrong}); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// verified runs what docs/feeds.md has readers write.
func verified(t *testing.T, h http.Header, body []byte) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return
	}
	docs, err := os.ReadFile("../../docs/feeds.md")
	if err != nil {
		t.Error(err)
		return
	}
	_, after, _ := strings.Cut(string(docs), "    import hashlib, hmac, time\n")
	code, _, _ := strings.Cut(after, "\n\n")
	code = "import hashlib, hmac, time, sys\n" + strings.ReplaceAll("\n"+code, "\n    ", "\n") + `
at, said, body = sys.argv[1], sys.argv[2], sys.stdin.buffer.read()
h = {"Rollbook-Timestamp": at, "Rollbook-Signature": said}
print(ours(h, body, "sign here"), ours(h, body + b" ", "sign here"), ours(h, body, "another"))
`
	cmd := exec.Command(python, "-c", code, h.Get("Rollbook-Timestamp"), h.Get("Rollbook-Signature"))
	cmd.Stdin = bytes.NewReader(body)
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "True False False" {
		t.Errorf("%v: %s", err, out)
	}
}
