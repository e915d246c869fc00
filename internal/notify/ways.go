package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"rollbook/internal/provider"
)

// sendTime is how long the other side may take.
const sendTime = time.Minute

// Mail is how messages go by e-mail.
type Mail struct {
	// URL is smtp://user@host:587, which must speak STARTTLS, smtps://user@host:465, or
	// smtp+plain://host:25 without TLS and without login, for a server on the same machine.
	URL  string   `json:"url"`
	From string   `json:"from"`
	To   []string `json:"to"`
	CA   string   `json:"ca,omitempty"` // PEM of an authority to trust beside the system's
}

type mailer struct {
	*Mail
	addr, host, user, password string
	tls                        string // "starttls", "tls", ""
	roots                      *x509.CertPool
}

func (m *Mail) way(secrets Secrets) (Way, error) {
	u, err := url.Parse(m.URL)
	if err != nil || u.Host == "" {
		return nil, errors.New("--smtp: write smtp://user@host:587, smtps://user@host:465 or " +
			"smtp+plain://localhost:25")
	}
	w := &mailer{Mail: m, host: u.Hostname(), user: u.User.Username(), password: secrets[Password]}
	if _, is := u.User.Password(); is {
		return nil, errors.New("--smtp: leave the password out of the URL, it would be shown: it is asked " +
			"for, or taken from ROLLBOOK_PASSWORD")
	}
	port := ""
	switch u.Scheme {
	case "smtp":
		w.tls, port = "starttls", "587"
	case "smtps":
		w.tls, port = "tls", "465"
	case "smtp+plain":
		if port = "25"; w.user != "" {
			return nil, errors.New("--smtp: a login goes over TLS only: smtp:// or smtps://")
		}
	default:
		return nil, fmt.Errorf("--smtp: %s:// is not known: smtp, smtps, smtp+plain", u.Scheme)
	}
	if w.addr = u.Host; u.Port() == "" {
		w.addr = net.JoinHostPort(w.host, port)
	}
	for _, address := range append([]string{m.From}, m.To...) {
		if _, err := mail.ParseAddress(address); err != nil {
			return nil, fmt.Errorf("%q is no address: give --from, and one or more --to", address)
		}
	}
	if len(m.To) == 0 {
		return nil, errors.New("say to whom: --to office@district.example")
	}
	w.roots, err = authorities(m.CA)
	return w, err
}

// authorities are those of the system, and one more.
func authorities(pem string) (*x509.CertPool, error) {
	roots, more := provider.Authorities([]byte(pem))
	if pem != "" && !more {
		return nil, errors.New("--ca: there is no certificate in it, in PEM")
	}
	return roots, nil
}

// mostSaid is how many bytes a mail server may say in all: a line is read to its end, which may be never.
const mostSaid = 1 << 20

// A brief connection ends where the other side says too much.
type brief struct {
	net.Conn
	left int
}

func (b *brief) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("it says more than %d bytes: that is no mail server", mostSaid)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (w *mailer) Send(ctx context.Context, m *Message) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return "", fmt.Errorf("%s cannot be reached: %w", w.addr, err)
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	conn = &brief{Conn: conn, left: mostSaid}
	security := &tls.Config{ServerName: w.host, RootCAs: w.roots}
	if w.tls == "tls" {
		conn = tls.Client(conn, security)
	}
	c, err := smtp.NewClient(conn, w.host)
	if err != nil {
		return "", fmt.Errorf("%s does not answer as a mail server: %w", w.addr, err)
	}
	defer c.Close()
	if w.tls == "starttls" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return "", fmt.Errorf("%s has no STARTTLS: nothing is sent in the clear; use smtps://, or "+
				"another port", w.addr)
		}
		if err := c.StartTLS(security); err != nil {
			return "", fmt.Errorf("%s: TLS could not be agreed upon: %w", w.addr, err)
		}
	}
	if w.user != "" {
		if err := c.Auth(w.login(c)); err != nil {
			return "", fmt.Errorf("%s does not let %s in: %w", w.addr, w.user, err)
		}
	}
	from, _ := mail.ParseAddress(w.From) // was looked at
	if err := c.Mail(from.Address); err != nil {
		return "", fmt.Errorf("%s does not take mail from %s: %w", w.addr, from.Address, err)
	}
	var refused []error
	for _, to := range w.To {
		address, _ := mail.ParseAddress(to)
		if err := c.Rcpt(address.Address); err != nil {
			err = fmt.Errorf("%s does not take mail to %s: %w", w.addr, address.Address, err)
			var says *textproto.Error // 5yz is for ever, and keeps nobody else from being told
			if refused = append(refused, err); !errors.As(err, &says) || says.Code/100 != 5 ||
				len(refused) == len(w.To) {
				return "", err
			}
		}
	}
	out, err := c.Data()
	if err != nil {
		return "", fmt.Errorf("%s: %w", w.addr, err)
	}
	if _, err = out.Write(w.text(m)); err == nil {
		err = out.Close()
	}
	if err != nil {
		return "", fmt.Errorf("%s did not take the message: %w", w.addr, err)
	}
	_ = c.Quit() // the message was taken
	if len(refused) > 0 {
		return "the mail server took it, but: " + errors.Join(refused...).Error(), nil
	}
	return "the mail server took it", nil
}

// login is PLAIN, or LOGIN where the server has only that.
func (w *mailer) login(c *smtp.Client) smtp.Auth {
	if _, ways := c.Extension("AUTH"); !strings.Contains(ways, "PLAIN") && strings.Contains(ways, "LOGIN") {
		return loginAuth{w.user, w.password}
	}
	return smtp.PlainAuth("", w.user, w.password, w.host)
}

type loginAuth struct{ user, password string }

func (l loginAuth) Start(*smtp.ServerInfo) (string, []byte, error) { return "LOGIN", nil, nil }

func (l loginAuth) Next(from []byte, more bool) ([]byte, error) {
	switch question := strings.ToLower(string(from)); {
	case !more:
		return nil, nil
	case strings.HasPrefix(question, "user"):
		return []byte(l.user), nil
	case strings.HasPrefix(question, "pass"):
		return []byte(l.password), nil
	}
	return nil, errors.New("the server asks for something else than user and password")
}

// text is the message as RFC 5322 has it. The same news have the same Message-ID.
func (w *mailer) text(m *Message) []byte {
	var b bytes.Buffer
	to := make([]string, len(w.To))
	for i, address := range w.To {
		a, _ := mail.ParseAddress(address)
		to[i] = a.String()
	}
	from, _ := mail.ParseAddress(w.From)
	domain := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	plain := strings.NewReplacer("\r", " ", "\n", " ")
	for _, header := range [][2]string{{"From", from.String()}, {"To", strings.Join(to, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", plain.Replace(m.Subject))},
		{"Date", m.At.Format(time.RFC1123Z)}, {"Message-ID", "<" + m.ID + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"}} {
		fmt.Fprintf(&b, "%s: %s\r\n", header[0], plain.Replace(header[1]))
	}
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	_, _ = io.WriteString(q, strings.ReplaceAll(m.Body(), "\n", "\r\n")) // into memory
	_ = q.Close()
	return b.Bytes()
}

// Webhook is how messages go to a web service. Its URL is a secret: those of chats have a token in them.
type Webhook struct {
	Host string `json:"host"`         // of the URL, for people
	Kind string `json:"kind"`         // json, slack, teams
	CA   string `json:"ca,omitempty"` // PEM
}

type hook struct {
	*Webhook
	url, sign string
	client    *http.Client
}

func (h *Webhook) way(secrets Secrets) (Way, error) {
	u, err := url.Parse(secrets[URL])
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, errors.New("--webhook: write https://host/path; a user does not belong there")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil ||
		!ip.IsLoopback()) {
		return nil, errors.New("--webhook: plain http:// is for this very machine: use https://")
	}
	if h.Kind != "json" && h.Kind != "slack" && h.Kind != "teams" {
		return nil, fmt.Errorf("--body %q: give json, slack or teams", h.Kind)
	}
	roots, err := authorities(h.CA)
	w := &hook{h, u.String(), secrets[Sign], &http.Client{Timeout: sendTime,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots},
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	return w, err
}

// webhookTries is how often a message is offered before it is left for later.
const webhookTries = 3

func (w *hook) Send(ctx context.Context, m *Message) (said string, err error) {
	body, err := w.body(m)
	if err != nil {
		return "", err
	}
	for try := range webhookTries {
		var again bool
		if said, again, err = w.post(ctx, m, body); err == nil || !again || try == webhookTries-1 {
			return said, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Second << (2 * try)):
		}
	}
	return said, err
}

func (w *hook) post(ctx context.Context, m *Message, body []byte) (said string, again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return "", false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Rollbook")
	if w.Kind == "json" {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		r.Header.Set("Rollbook-Message", m.ID)
		r.Header.Set("Rollbook-Timestamp", at)
		if w.sign != "" {
			r.Header.Set("Rollbook-Signature", Signature(w.sign, at, body))
		}
	}
	answer, err := w.client.Do(r)
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) { // which has the URL
			err = wrong.Err
		}
		return "", true, fmt.Errorf("%s cannot be reached: %w", w.Host, err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 300)) // a word of it will do
	switch s := answer.StatusCode; {
	case s/100 == 2:
		return answer.Status, false, nil
	case s/100 == 3:
		return "", false, fmt.Errorf("%s redirects (%s): give the final URL", w.Host, answer.Status)
	default:
		return "", s >= 500 || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout,
			fmt.Errorf("%s answers %s: %s", w.Host, answer.Status, strings.TrimSpace(string(text)))
	}
}

// Signature is what the header Rollbook-Signature says of a body that was sent at a time (Unix seconds):
// HMAC-SHA256 of the time, a full stop and the body, in hex.
func Signature(secret, at string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func (w *hook) body(m *Message) ([]byte, error) {
	text := strings.TrimSpace(m.Body())
	switch w.Kind {
	case "slack":
		safe := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
		return json.Marshal(map[string]any{"text": "*" + safe.Replace(m.Subject) + "*\n" + safe.Replace(text)})
	case "teams":
		block := func(text, weight string) map[string]any {
			return map[string]any{"type": "TextBlock", "text": text, "wrap": true, "weight": weight}
		}
		blocks := []any{block(m.Subject, "Bolder")}
		for _, l := range m.Lines {
			for _, part := range []string{l.Text, l.Do, strings.Join(l.IDs, ", ")} {
				if part != "" {
					blocks = append(blocks, block(part, "Default"))
				}
			}
		}
		card := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
			"type": "AdaptiveCard", "version": "1.4", "body": blocks}
		return json.Marshal(map[string]any{"type": "message", "attachments": []any{map[string]any{
			"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}})
	}
	return json.Marshal(m)
}

// command is a program that is given the message as JSON on its standard input.
type command []string

func (c command) Send(ctx context.Context, m *Message) (string, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c[0], c[1:]...)
	cmd.Stdin = bytes.NewReader(body)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SystemRoot=" + os.Getenv("SystemRoot"),
		"HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8"}
	cmd.WaitDelay = 5 * time.Second
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("it took longer than %s", sendTime)
		}
		return "", fmt.Errorf("%s: %w: %s", c[0], err, out.text)
	}
	return strings.TrimSpace(string(out.text)), nil
}

// tail keeps the beginning of what a program writes.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[:min(len(p), 300-len(t.text))]...)
	return len(p), nil
}
