package notify_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
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
	"strings"
	"sync"
	"testing"
	"time"

	"rollbook/internal/notify"
)

// post is a mail server in a few words: what it is told is kept.
type post struct {
	net.Listener
	config *tls.Config
	mode   string // "", "plain", "login", "busy", "closed", "silent", "endless"
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
	for line := "220 "; p.mode == "endless"; line = strings.Repeat("x", 1<<16) {
		if _, err := io.WriteString(c, line); err != nil {
			return
		}
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
			got.Header.Get("Bcc") != "" || got.Header.Get("Message-Id") != "<abc@district.example>" ||
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
	// Nor one whose line has no end, of which no more is kept than a mail server says.
	way, err := notify.Settings{Mail: &notify.Mail{
		URL:  "smtp://" + newPost(t, "endless", web.TLS.Certificates[0]).Addr().String(),
		From: "a@b.example", To: []string{"c@d.example"}}}.Way(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := way.Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "says more than") {
		t.Errorf("an endless line: %.200v", err)
	}
	way, err = notify.Settings{Mail: &notify.Mail{URL: "smtp://" + p.Addr().String(), From: "a@b.example",
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
