// Package sourcetest has servers that tests fetch from, and deliver to.
package sourcetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// NewKey makes a key of SSH.
func NewKey(t testing.TB) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// Password is that of the user rollbook.
const Password = "right horse"

// SFTP serves a folder to the user rollbook, who has the password, or the allowed key.
func SFTP(t testing.TB, dir string, allowed ssh.PublicKey) (addr, fingerprint string) {
	t.Helper()
	return serve(t, allowed, func(channel ssh.Channel) {
		if s, err := sftp.NewServer(channel, sftp.WithServerWorkingDirectory(dir)); err == nil {
			_ = s.Serve()
		}
		_ = channel.Close()
	})
}

// SilentSFTP lets the user in as SFTP does, and says nothing then.
func SilentSFTP(t testing.TB, allowed ssh.PublicKey) (addr, fingerprint string) {
	t.Helper()
	return serve(t, allowed, func(channel ssh.Channel) { _, _ = io.Copy(io.Discard, channel) })
}

func serve(t testing.TB, allowed ssh.PublicKey, do func(ssh.Channel)) (addr, fingerprint string) {
	t.Helper()
	host, _ := NewKey(t)
	config := &ssh.ServerConfig{
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if c.User() == "rollbook" && string(password) == Password {
				return nil, nil
			}
			return nil, fmt.Errorf("no")
		},
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if bytes.Equal(key.Marshal(), allowed.Marshal()) {
				return nil, nil
			}
			return nil, fmt.Errorf("no")
		}}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, channels, requests, err := ssh.NewServerConn(conn, config)
				if err != nil {
					return
				}
				go ssh.DiscardRequests(requests)
				for offered := range channels {
					channel, asked, err := offered.Accept()
					if err != nil {
						return
					}
					go func() {
						for r := range asked {
							_ = r.Reply(r.Type == "subsystem", nil)
						}
					}()
					do(channel)
				}
			}()
		}
	}()
	return l.Addr().String(), ssh.FingerprintSHA256(host.PublicKey())
}
