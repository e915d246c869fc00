package rest

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificates serves TLS 1.2 and later with a certificate from two PEM files,
// read again when they change, and when again is called. While a new pair cannot
// be read, the old one goes on serving and the log says so.
func Certificates(certFile, keyFile string, log *slog.Logger) (config *tls.Config, again func(), err error) {
	c := &certificate{files: [2]string{certFile, keyFile}, log: log}
	if err := c.load(); err != nil {
		return nil, nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, c.again, nil
}

type certificate struct {
	files [2]string
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time
	looked  time.Time
}

func (c *certificate) load() error {
	var changed [2]time.Time
	for i, f := range c.files {
		info, err := os.Stat(f)
		if err != nil {
			return err
		}
		changed[i] = info.ModTime()
	}
	if changed == c.changed {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.files[0], c.files[1])
	if err != nil {
		return err
	}
	c.current, c.changed = &pair, changed
	return nil
}

// get looks at the files at most once a second.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) > time.Second {
		c.looked = now
		c.reload()
	}
	return c.current, nil
}

// again reads the files whatever their times say.
func (c *certificate) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = [2]time.Time{}
	if c.reload() {
		c.log.Info("the certificate was read again", "until", c.current.Leaf.NotAfter.UTC())
	}
}

func (c *certificate) reload() bool {
	err := c.load()
	if err != nil {
		c.log.Error("the new certificate cannot be read; the old one goes on", "error", err)
	}
	return err == nil
}
