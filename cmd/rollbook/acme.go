package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"rollbook/internal/host"
	"rollbook/internal/rest"
)

// acmeFlags are what a person asks of a service that gets its certificate by itself
// (RFC 8555).
type acmeFlags struct {
	domain, authority, email, dir, plain string
}

func (a *acmeFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&a.domain, "domain", "",
		"name by which readers find the service: its certificate comes from an authority, whose terms are "+
			"agreed to, and is renewed (--addr is :443 then)")
	f.StringVar(&a.authority, "acme-url", certmagic.LetsEncryptProductionCA, "directory of the authority")
	f.StringVar(&a.email, "acme-email", "", "where the authority may write to")
	f.StringVar(&a.dir, "acme-dir", "",
		"folder of certificates and their keys (default: beside the SQLite file; for PostgreSQL "+
			"rollbook/acme in your configuration folder)")
	f.StringVar(&a.plain, "acme-addr", ":80",
		"address for plain HTTP, where the authority asks; others are sent to https; none: it asks "+
			"at --addr alone")
}

// check tells what the flags cannot mean.
func (a *acmeFlags) check(cert string) error {
	switch {
	case a.domain == "":
		return nil
	case cert != "":
		return errors.New("--domain gets a certificate, and --cert has one: give one of them")
	case strings.ContainsAny(a.domain, "/:*") || !certmagic.SubjectQualifiesForCert(a.domain):
		return fmt.Errorf("--domain %q is not a name such as roster.example.org", a.domain)
	}
	return nil
}

// defaultACME lies where the key file lies by default.
func defaultACME(dsn string) (string, error) {
	if !host.IsPostgres(dsn) {
		return strings.TrimPrefix(dsn, "sqlite://") + ".acme", nil
	}
	dir, err := host.ConfigFolder()
	return filepath.Join(dir, "acme"), err
}

// A managed certificate is got and renewed while the service runs.
type managed struct {
	tls   *tls.Config
	plain *http.Server // nil where the authority asks at the service's own address alone
	l     net.Listener
	ended chan error
	cache *certmagic.Cache
}

// manage begins to look after the certificate of a service that listens on l. A first
// one is got while the service already listens, since that is where the authority looks.
func (a *acmeFlags) manage(ctx context.Context, dsn string, l net.Listener,
	log *slog.Logger) (*managed, error) {
	dir := a.dir
	if dir == "" {
		var err error
		if dir, err = defaultACME(dsn); err != nil {
			return nil, err
		}
	}
	quiet := zap.New(zapSlog{log: log})
	var config *certmagic.Config
	m := &managed{cache: certmagic.NewCache(certmagic.CacheOptions{Logger: quiet,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return config, nil }})}
	config = certmagic.New(m.cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: dir},
		Logger: quiet, DefaultServerName: a.domain, OnEvent: a.telling(log)})
	host, port, err := addressOf(l)
	if err != nil {
		return nil, err
	}
	issuer := certmagic.ACMEIssuer{CA: a.authority, Email: a.email, Agreed: true, Logger: quiet,
		ListenHost: host, AltTLSALPNPort: port, DisableHTTPChallenge: a.plain == "none"}
	if a.plain != "none" {
		if m.l, err = net.Listen("tcp", a.plain); err != nil {
			return nil, fmt.Errorf("%w: give another --acme-addr, or --acme-addr none", err)
		}
		if _, issuer.AltHTTPPort, err = addressOf(m.l); err != nil {
			return nil, err
		}
		log.Info("plain HTTP", "address", m.l.Addr().String())
	}
	asks := certmagic.NewACMEIssuer(config, issuer)
	config.Issuers = []certmagic.Issuer{asks}
	m.tls = config.TLSConfig()
	m.tls.MinVersion = tls.VersionTLS12
	m.tls.NextProtos = append([]string{"h2", "http/1.1"}, m.tls.NextProtos...)
	if m.l != nil {
		m.ended = make(chan error, 1)
		m.plain = rest.NewServer(asks.HTTPChallengeHandler(http.HandlerFunc(a.elsewhere)))
		m.plain.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
		go func() { m.ended <- m.plain.Serve(m.l) }()
	}
	if err := config.ManageAsync(ctx, []string{a.domain}); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// telling tells what has been achieved; of what fails certmagic's log tells.
func (a *acmeFlags) telling(log *slog.Logger) func(context.Context, string, map[string]any) error {
	return func(_ context.Context, event string, about map[string]any) error {
		switch {
		case event == "cached_managed_cert":
			log.Info("the certificate is in place", "domain", a.domain)
		case event == "cert_obtained" && about["renewal"] == true:
			log.Info("the certificate was renewed", "domain", a.domain)
		}
		return nil
	}
}

// elsewhere sends who asks by plain HTTP to the service, but for requests that carry
// what was not to be told.
func (a *acmeFlags) elsewhere(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Authorization") != "" {
		http.Error(w, "ask https://"+a.domain+"; what was sent here was sent in the open",
			http.StatusForbidden)
		return
	}
	to := url.URL{Scheme: "https", Host: a.domain, Path: r.URL.Path, RawPath: r.URL.RawPath,
		RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, to.String(), http.StatusMovedPermanently)
}

func (m *managed) close() {
	m.cache.Stop()
	if m.plain != nil {
		_ = m.plain.Close()
		<-m.ended
	}
}

func addressOf(l net.Listener) (host string, port int, err error) {
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return "", 0, fmt.Errorf("%s is no TCP address", l.Addr())
	}
	if !at.IP.IsUnspecified() {
		host = at.IP.String()
	}
	return host, at.Port, nil
}

// zapSlog takes what certmagic tells a zap log of problems into the log of the service.
type zapSlog struct {
	log  *slog.Logger
	with []zapcore.Field
}

func (z zapSlog) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (z zapSlog) With(fields []zapcore.Field) zapcore.Core {
	return zapSlog{z.log, append(z.with[:len(z.with):len(z.with)], fields...)}
}

func (z zapSlog) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if z.Enabled(e.Level) {
		return to.AddCore(e, z)
	}
	return to
}

func (z zapSlog) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range append(z.with[:len(z.with):len(z.with)], fields...) {
		f.AddTo(values)
	}
	level := slog.LevelWarn
	if e.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	z.log.Log(context.Background(), level, "certificate", "problem", e.Message, "about", values.Fields)
	return nil
}

func (z zapSlog) Sync() error { return nil }
