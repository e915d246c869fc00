package provider

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Kind of trouble.
type Kind uint8

const (
	Unreachable Kind = iota // no connection, or no answer began
	Certificate             // TLS could not be agreed upon
	TooSlow                 // the time of a call ran out
	BrokenOff               // the connection ended inside an answer
	Endless                 // more than MaxBody bytes
	Busy                    // the token endpoint cannot just now (429, 5xx)
	Refused                 // a status that is no success
	Redirected              // 3xx
	NotJSON                 // an answer of another kind
	Misshapen               // JSON, but not what was asked for
)

// Trouble is a call that brought nothing to work with. Its text is a sentence
// for the person who can do something about it.
type Trouble struct {
	Kind  Kind
	Text  string
	after time.Duration // that a server asks to wait; 0: it does not
}

func (t *Trouble) Error() string { return t.Text }

func trouble(kind Kind, format string, args ...any) error {
	return &Trouble{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// Passing tells troubles that may be over soon.
func (t *Trouble) Passing() bool {
	return t.Kind == Unreachable || t.Kind == TooSlow || t.Kind == BrokenOff || t.Kind == Busy
}

// troubleOf makes a sentence of an exchange that brought no answer.
func troubleOf(ctx context.Context, at *url.URL, err error, timeout time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	host := at.Host
	var (
		unknown  x509.UnknownAuthorityError
		wrong    x509.HostnameError
		invalid  x509.CertificateInvalidError
		notTLS   tls.RecordHeaderError
		verify   *tls.CertificateVerificationError
		noSuch   *net.DNSError
		timedOut net.Error
	)
	switch {
	case errors.As(err, &unknown):
		return trouble(Certificate, "the certificate of %s is not signed by an authority that this machine "+
			"knows (self-signed?): readers refuse it; install one of a public authority, or trust it here "+
			"with --ca FILE.pem", host)
	case errors.As(err, &wrong):
		return trouble(Certificate, "the certificate of %s is for another name: %v", host, wrong)
	case errors.As(err, &invalid):
		return trouble(Certificate, "the certificate of %s is not valid: %v", host, invalid)
	case errors.As(err, &verify):
		return trouble(Certificate, "the certificate of %s cannot be verified: %v", host, verify.Err)
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return trouble(Certificate, "%s does not speak TLS at this port: if it is a service under test, "+
			"write http://, and put TLS in front before others read it", host)
	case errors.As(err, &noSuch):
		return trouble(Unreachable, "there is no host %q (%s): is the URL spelled right?", at.Hostname(),
			noSuch.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return trouble(Unreachable, "nobody listens at %s: is the service running, and the port right?", host)
	case errors.As(err, &timedOut) && timedOut.Timeout():
		return trouble(TooSlow, "%s gave no answer within %v", host, timeout)
	case strings.Contains(err.Error(), "response header"):
		return trouble(Endless, "the answer of %s has more than %d KiB of headers and was given up", host,
			mostHeaders>>10)
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(),
		"readLoopPeekFailLocked"):
		return trouble(NotJSON, "%s does not speak HTTP at this port", host)
	}
	var inner *url.Error
	if errors.As(err, &inner) { // its text has the method and the URL, which the caller names too
		err = inner.Err
	}
	return trouble(Unreachable, "%s hung up without an answer: %v", host, err)
}

// brokeOff makes a sentence of an answer that ended before its end.
func brokeOff(ctx context.Context, at *url.URL, err error, read int, timeout time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var timedOut net.Error
	if errors.As(err, &timedOut) && timedOut.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return trouble(TooSlow, "the answer of %s was not complete within %v (%d bytes had come)", at.Host,
			timeout, read)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("fewer bytes than announced")
	}
	return trouble(BrokenOff, "the answer of %s broke off after %d bytes: %v", at.Host, read, err)
}

// Excerpt is the beginning of a body on one line, for people and their terminals.
func (a *Answer) Excerpt() string { return beginning(a.Body, 200) }

func beginning(body []byte, most int) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), 10*most)]), "�")
	if text = strings.Join(strings.Fields(text), " "); len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	if text == "" {
		return "(an empty body)"
	}
	return Signs(text)
}

// Said is what the server itself says of a failure: the description of its
// status information (OneRoster 1.1, and 1.2 at the root) or of its token endpoint
// (RFC 6749 §5.2), else the beginning of the body.
func (a *Answer) Said() string { return cmp.Or(a.said(), a.Excerpt()) }

// said is Said; "" where the body is no such description.
func (a *Answer) said() string {
	type info struct {
		Description string `json:"imsx_description"`
	}
	var body struct {
		info
		Set   []info `json:"statusInfoSet"`
		OAuth string `json:"error_description"`
	}
	if json.Unmarshal(a.Body, &body) == nil {
		for _, i := range append(body.Set, body.info, info{body.OAuth}) {
			if i.Description != "" {
				return beginning(a.keeper.clean([]byte(i.Description)), 1000)
			}
		}
	}
	return ""
}
