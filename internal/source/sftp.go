package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SFTP is a folder, or a file, of an SFTP server.
type SFTP struct {
	URL     string `json:"url"`     // sftp://user@host[:port]/path, /path may be a pattern
	HostKey string `json:"hostKey"` // fingerprint of the server's key: SHA256:…
	Drop
}

// An UnknownHost is a server whose key nobody has vouched for yet.
type UnknownHost struct{ Host, Fingerprint string }

func (e *UnknownHost) Error() string {
	return fmt.Sprintf("%s has the key %s, which nobody has vouched for: ask who runs it, and give "+
		"--host-key %s", e.Host, e.Fingerprint, e.Fingerprint)
}

// sftpTime is how long a server may let wait for a connection.
const sftpTime = 30 * time.Second

// sftpSilence is how long it may say nothing afterwards; tests set it.
var sftpSilence = 2 * time.Minute

// An awaited connection ends when nothing has come for long: a server that goes silent would have the turn of
// a source for good.
type awaited struct {
	net.Conn
	ready  atomic.Bool // the handshake, which has a deadline of its own, is over
	silent atomic.Bool
}

func (a *awaited) Read(p []byte) (int, error) {
	if a.ready.Load() {
		if err := a.SetReadDeadline(time.Now().Add(sftpSilence)); err != nil {
			return 0, err
		}
	}
	n, err := a.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		a.silent.Store(true)
	}
	return n, err
}

func (a *awaited) Write(p []byte) (int, error) {
	if a.ready.Load() {
		if err := a.SetWriteDeadline(time.Now().Add(sftpSilence)); err != nil {
			return 0, err
		}
	}
	return a.Conn.Write(p)
}

func (s *SFTP) place(secrets Secrets) (Place, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "sftp" || u.Host == "" || u.User.Username() == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("--sftp %q: write sftp://user@host/path/to/folder", hideURL(s.URL))
	}
	if _, is := u.User.Password(); is {
		return nil, errors.New("--sftp: leave the password out of the URL, it would be shown: it is asked " +
			"for, or taken from ROLLBOOK_PASSWORD")
	}
	if secrets[Password] == "" && secrets[PrivateKey] == "" {
		return nil, errors.New("--sftp needs a password or a private key (--identity)")
	}
	name := path.Clean("/" + strings.TrimPrefix(u.Path, "/"))
	return &dropped{Drop: s.Drop, path: name, slow: true,
		tree: func(ctx context.Context) (tree, func(), error) { return s.dial(ctx, u, secrets) }}, nil
}

func (s *SFTP) dial(ctx context.Context, u *url.URL, secrets Secrets) (tree, func(), error) {
	c, done, err := DialSFTP(ctx, u, s.HostKey, secrets)
	return remote{c}, done, err
}

// hideURL is a URL as it may be shown.
func hideURL(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Redacted()
	}
	return "what was given" // there may be a password in it
}

// DialSFTP connects to a server whose key has a fingerprint. The connection ends with the context.
func DialSFTP(ctx context.Context, u *url.URL, hostKey string, secrets Secrets) (*sftp.Client, func(),
	error) {
	addr := u.Host
	if u.Port() == "" {
		addr = net.JoinHostPort(u.Hostname(), "22")
	}
	var wrong error
	config := &ssh.ClientConfig{User: u.User.Username(), Timeout: sftpTime,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			switch is := ssh.FingerprintSHA256(key); {
			case hostKey == "":
				wrong = &UnknownHost{u.Host, is}
			case is != hostKey:
				wrong = fmt.Errorf("%s has the key %s, not %s as before: somebody may stand between; if "+
					"its owner "+
					"has changed the key, remove the source and add it with the new one", u.Host, is, hostKey)
			}
			return wrong
		}}
	if text := secrets[PrivateKey]; text != "" {
		signer, err := signerOf(text, secrets[Passphrase])
		if err != nil {
			return nil, nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if text := secrets[Password]; text != "" {
		config.Auth = append(config.Auth, ssh.Password(text), ssh.KeyboardInteractive(
			func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range answers {
					answers[i] = text
				}
				return answers, nil
			}))
	}
	dialed, err := (&net.Dialer{Timeout: sftpTime}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be reached: %w", addr, err)
	}
	conn := &awaited{Conn: dialed}
	ended := context.AfterFunc(ctx, func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(sftpTime))
	c, channels, requests, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		_ = conn.Close()
		if wrong != nil {
			return nil, nil, wrong
		}
		return nil, nil, fmt.Errorf("%s does not let %s in: %w", addr, u.User.Username(), err)
	}
	conn.ready.Store(true)
	_ = conn.SetDeadline(time.Now().Add(sftpSilence)) // of what is being read already
	client := ssh.NewClient(c, channels, requests)
	files, err := sftp.NewClient(client)
	if err != nil {
		_ = client.Close()
		if conn.silent.Load() {
			return nil, nil, fmt.Errorf("%s said nothing for %s, and was given up", addr, sftpSilence)
		}
		return nil, nil, fmt.Errorf("%s has no SFTP: %w", addr, err)
	}
	return files, func() { ended(); _ = files.Close(); _ = client.Close() }, nil
}

func signerOf(text, passphrase string) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey([]byte(text))
	if missing := new(ssh.PassphraseMissingError); errors.As(err, &missing) {
		if passphrase == "" {
			return nil, errors.New("the private key has a passphrase: give it by ROLLBOOK_PASSPHRASE")
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(text), []byte(passphrase))
	}
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	return signer, nil
}

type remote struct{ *sftp.Client }

func (r remote) list(dir string) (out []fs.FileInfo, err error) {
	entries, err := r.ReadDir(dir)
	for _, e := range entries {
		if e.Mode()&fs.ModeSymlink != 0 {
			info, wrong := r.Stat(path.Join(dir, e.Name()))
			if wrong != nil {
				continue
			}
			e = named{info, e.Name()}
		}
		out = append(out, e)
	}
	return out, err
}

func (r remote) stat(name string) (fs.FileInfo, error)   { return r.Stat(name) }
func (r remote) open(name string) (io.ReadCloser, error) { return r.Open(name) }
func (remote) join(dir, name string) string              { return path.Join(dir, name) }
func (remote) split(name string) (dir, base string)      { return path.Dir(name), path.Base(name) }
