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
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rollbook/internal/edition"
	"rollbook/internal/host"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
)

// opened is the district that a verb works on.
type opened struct{ *host.District }

// openDistrict opens what --db and --key-file name; make lets it be made where it
// is missing.
func openDistrict(cmd *cobra.Command, make bool) (*opened, error) {
	return openWith(cmd, store.Options{Existing: !make})
}

func openWith(cmd *cobra.Command, opt store.Options) (*opened, error) {
	at, err := placeOf(cmd)
	if err != nil {
		return nil, err
	}
	o, err := openAt(cmd.Context(), at, opt)
	return o, host.Missing(err)
}

// throwaway is set by tests alone: see store.Options.
var throwaway bool

func openAt(ctx context.Context, at place, opt store.Options) (*opened, error) {
	opt.Throwaway = throwaway
	d, err := host.Open(ctx, at.dsn, at.keyFile, host.Options{Options: opt, Note: note, Entry: at.district})
	if err != nil {
		return nil, err
	}
	return &opened{d}, nil
}

// note tells a person at the terminal what is worth to know.
func note(text string) { fmt.Fprintln(os.Stderr, "note:", text) }

const defaultAddr = "127.0.0.1:8080"

// serveFlags are what a person asks of serve.
type serveFlags struct {
	addr, public, cert, key, standby, metrics, otel string
	trust                                           bool
	drain                                           time.Duration
	acme                                            acmeFlags
}

func serveCommand() *cobra.Command {
	var asked serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the district, or several",
		Long: `Serve the district at --db until it is told to stop.

Where --db is a folder of districts, or has a schema for each (--districts), all of them are
served: below their short names, as /springfield/ims/oneroster/v1p1 and /springfield/token,
or at hosts of their own. Each is opened when it is first asked for.

/healthz answers as long as the process lives; /readyz only while the database
answers and is the one that was opened. The base URL is /ims/oneroster/v1p1, the
token endpoint /token, the description /openapi.json. Certificate files are read
again when they change, and at SIGHUP, which ends nothing.

--drain lets a service that is told to stop go on for a while, in which /readyz
answers 503: a load balancer sends what comes next to others.

--metrics-addr is another address, for Prometheus and who runs the service: /metrics, and
/healthz and /readyz with their reasons. Let only them reach it.

--read-db names a streaming standby of the PostgreSQL server of --db: lists, objects
and editions are read from it while it keeps up, and from --db while it does not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return asked.serve(cmd) },
	}
	asked.flags(cmd.Flags())
	return cmd
}

func (asked *serveFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&asked.addr, "addr", defaultAddr, "address to listen on")
	f.StringVar(&asked.public, "url", "", "public base URL, where it differs (behind a proxy)")
	f.StringVar(&asked.cert, "cert", "", "PEM file of the certificate")
	f.StringVar(&asked.key, "key", "", "PEM file of its key")
	f.StringVar(&asked.standby, "read-db", "",
		"postgres:// URL of a streaming standby of --db, to read from what is served while it keeps up")
	f.DurationVar(&asked.drain, "drain", 0,
		"how long to go on when told to stop, while /readyz sends a load balancer to others")
	f.StringVar(&asked.metrics, "metrics-addr", "",
		"address of a listener of its own for /metrics, such as 127.0.0.1:9464; none by default")
	f.StringVar(&asked.otel, "otel-endpoint", "",
		"URL of an OpenTelemetry collector to tell of requests, such as http://127.0.0.1:4318 (OTLP over "+
			"HTTP); OTEL_EXPORTER_OTLP_ENDPOINT does as well")
	f.BoolVar(&asked.trust, "trust-proxy", false,
		"believe X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-For")
	asked.acme.flags(f)
}

func (f *serveFlags) serve(cmd *cobra.Command) error {
	config, err := f.config()
	if err != nil {
		return err
	}
	// A terminal that closes, or who wants certificates read again, does not end the
	// service.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	if os.Getenv("GOGC") == "" { // a request leaves little behind: memory is worth more than the time
		debug.SetGCPercent(50)
	}
	begin := f.one
	if servesAll(cmd) {
		begin = f.all
	}
	a, err := begin(cmd, config)
	if err != nil {
		return err
	}
	defer a.close()
	var certificates *tls.Config
	again := func() {}
	if f.cert != "" {
		if certificates, again, err = rest.Certificates(f.cert, f.key, config.Log); err != nil {
			return err
		}
	}
	defer atEach(hangup, again)()
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		return err
	}
	if f.acme.domain != "" {
		certificate, err := f.acme.manage(cmd.Context(), a.dsn, l, config.Log)
		if err != nil {
			return err
		}
		defer certificate.close()
		certificates = certificate.tls
	}
	endTraces, err := f.traces(&config)
	if err != nil {
		return err
	}
	defer endTraces()
	m, err := f.monitor(a, certificates)
	if err != nil {
		return err
	}
	defer m.close()
	h, err := a.handler(config, m)
	if err != nil {
		return err
	}
	server := rest.NewServer(m.around(h))
	server.ErrorLog = slog.NewLogLogger(config.Log.Handler(), slog.LevelWarn)
	server.TLSConfig = certificates
	config.Log.Info("serving", append([]any{"address", l.Addr().String(), "database", a.place,
		"version", version()}, m.told()...)...)
	return a.while(cmd.Context(), func(ctx context.Context) error {
		return serveUntilDone(ctx, server, l, config.Sending, f.drain)
	})
}

// An offering is what serve serves: a district, or several.
type offering struct {
	dsn, place string
	// handler answers; it is made last, of a config that is whole.
	handler func(rest.Config, *monitor) (http.Handler, error)
	ready   func(context.Context) (status int, says map[string]string)
	watched ledger.Watched
	// while does what is to be done beside a service.
	while func(ctx context.Context, serve func(context.Context) error) error
	close func()
}

// one opens the district that is served by itself.
func (f *serveFlags) one(cmd *cobra.Command, config rest.Config) (*offering, error) {
	at, err := placeOf(cmd)
	if err != nil {
		return nil, err
	}
	if f.standby != "" && !(host.IsPostgres(at.dsn) && host.IsPostgres(f.standby)) {
		return nil, usageError{errors.New("--read-db is a standby of PostgreSQL: give postgres:// URLs for " +
			"both")}
	}
	o, err := openWith(cmd, store.Options{Existing: true, Standby: f.standby, Log: config.Log})
	if err != nil {
		return nil, err
	}
	var s *speaking
	a := &offering{dsn: at.dsn, place: o.Place, watched: ledger.Watched{Store: o.Store}}
	a.close = func() {
		if s != nil {
			s.end()
		}
		_ = o.Close()
	}
	a.ready = func(ctx context.Context) (int, map[string]string) {
		status, says, _ := rest.Ready(ctx, o.Store, config.Sending) // it says what is wrong
		return status, says
	}
	a.handler = func(config rest.Config, m *monitor) (http.Handler, error) {
		if m != nil {
			config.Tell = both(config.Tell, m.metrics.Count)
		}
		if s, err = o.serve(cmd.Context(), config); err != nil {
			return nil, err
		}
		if problem, err := o.ClockProblem(cmd.Context()); err != nil {
			return nil, err
		} else if problem != "" {
			config.Log.Warn("clock", "problem", problem)
		}
		return rest.New(s.Config), nil
	}
	a.while = func(ctx context.Context, serve func(context.Context) error) error {
		return o.whileThere(ctx, config.Log, func(ctx context.Context) error {
			defer o.attend(ctx, s.Gate, config.Log)()
			defer o.feeds(ctx, config.Log)()
			return serve(ctx)
		})
	}
	return a, nil
}

// speaking is a district that answers.
type speaking struct {
	rest.Config
	end func()
}

// serve lets a district answer, and a ledger hear what.
func (o *opened) serve(ctx context.Context, config rest.Config) (*speaking, error) {
	config.Store = o.Store
	config.District = edition.New(o.Store, edition.Options{Log: config.Log})
	end := o.listen(&config)
	s := &speaking{end: func() { end(); config.District.Close() }}
	var err error
	if config.Gate, err = o.Gate(ctx); err != nil {
		s.end()
		return nil, err
	}
	s.Config = config
	return s, nil
}

// listen lets a ledger hear what a service answers; end lets it write the last of that.
func (o *opened) listen(config *rest.Config) (end func()) {
	kept := ledger.New(o.Store, config.Log)
	if config.Tell == nil {
		config.Tell = kept.Hear
	} else {
		config.Tell = both(config.Tell, kept.Hear)
	}
	ctx, stop := context.WithCancel(context.Background())
	written := make(chan struct{})
	go func() {
		defer close(written)
		kept.Run(ctx)
	}()
	return func() { stop(); <-written }
}

// atEach does something at each signal, until it is told to stop.
func atEach(signals <-chan os.Signal, do func()) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
				do()
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// config is what the flags say of the service, before its district is opened; what
// they cannot mean is a usageError.
func (f *serveFlags) config() (rest.Config, error) {
	log := newLog(os.Stderr)
	config := rest.Config{Face: oneroster.V1p1, TrustProxy: f.trust, Sending: &rest.Sending{}, Log: log,
		Tell: rest.Logged(log)}
	if err := f.acme.check(f.cert); err != nil {
		return config, usageError{err}
	}
	if f.acme.domain != "" {
		if f.addr == defaultAddr {
			f.addr = ":443"
		}
		config.URL = &url.URL{Scheme: "https", Host: f.acme.domain}
	}
	if f.public != "" {
		var err error
		if config.URL, err = publicURL(f.public); err != nil {
			return config, err
		}
	}
	if f.cert == "" && config.URL == nil && !loopback(f.addr) {
		return config, usageError{fmt.Errorf("plain HTTP on %s: give --domain, or --cert and --key, or the "+
			"--url of the proxy in front, or listen on 127.0.0.1", f.addr)}
	}
	return config, nil
}

// whileThere runs serve, and ends it with ErrMoved when another database is found
// beneath it.
func (o *opened) whileThere(ctx context.Context, log *slog.Logger, serve func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		stop(o.Watch(ctx, watchEvery, o.remember(log)))
	}()
	err := serve(ctx)
	stop(nil)
	<-watched
	if gone := context.Cause(ctx); errors.Is(gone, store.ErrMoved) {
		return gone
	}
	return err
}

// watchEvery is how soon a service notices that another database is beneath it.
const watchEvery = 2 * time.Second

// remember keeps the watermark while the service goes on.
func (o *opened) remember(log *slog.Logger) func(store.Moment) {
	last, told := int64(0), false
	return func(m store.Moment) {
		if m.Rev == last {
			return
		}
		last = m.Rev
		if err := o.Passed(m); err != nil && !told {
			log.Warn("watermark", "error", err)
			told = true
		}
	}
}

// publicURL reads --url.
func publicURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" ||
		u.Fragment != "" {
		return nil, usageError{fmt.Errorf("--url %q is not an absolute URL such as "+
			"https://roster.example.org", text)}
	}
	if u, err = withoutBase(u, oneroster.V1p1); err != nil {
		return nil, usageError{err}
	}
	return u, nil
}

// withoutBase takes the base URL of the service, which demo prints and Microsoft's
// form asks for, for the address that it hangs on.
func withoutBase(u *url.URL, face *oneroster.Face) (*url.URL, error) {
	path := strings.TrimRight(u.Path, "/")
	whole := strings.ToLower(path + "/")
	base := strings.ToLower(face.Base)
	switch at := strings.Index(whole, "/ims/"); {
	case at >= 0 && whole[at:] == base+"/":
		path = path[:len(path)-len(base)]
	case at >= 0:
		return nil, fmt.Errorf("--url %s: give the address without %s, which the service adds: %s://%s%s",
			u, u.Path[at:], u.Scheme, u.Host, u.Path[:at])
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}, nil
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// serveUntilDone serves until the context ends, goes on for a while with /readyz saying so,
// then lets answers that are under way finish, as long as their readers read.
func serveUntilDone(ctx context.Context, server *http.Server, l net.Listener, sending *rest.Sending,
	drain time.Duration) error {
	ended := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			ended <- server.ServeTLS(l, "", "")
			return
		}
		ended <- server.Serve(l)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	sending.End()
	if errors.Is(context.Cause(ctx), store.ErrMoved) {
		drain = 0 // nobody is served what is gone
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(drain):
	}
	asked := time.Now()
	finished := make(chan error, 1)
	go func() { finished <- server.Shutdown(context.Background()) }()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for waits := true; waits; {
		select {
		case err := <-finished:
			if stopped := <-ended; !errors.Is(stopped, http.ErrServerClosed) {
				return stopped
			}
			return err
		case <-look.C:
			last := sending.Moved()
			if last.Before(asked) {
				last = asked
			}
			waits = time.Since(last) < patience && time.Since(asked) < time.Minute
		}
	}
	_ = server.Close() // those who are left do not read
	<-finished
	<-ended
	return nil
}

// patience is how long an ending service waits for a reader to take a part of its
// answer.
const patience = 5 * time.Second
