package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"rollbook/internal/host"
	"rollbook/internal/ledger"
	"rollbook/internal/rest"
)

// A place is where the district of a verb lies, and what it is sealed with.
type place struct {
	dsn, keyFile string
	district     host.Entry // where it is one of several
}

// placeOf is what --db, --key-file and --district name.
func placeOf(cmd *cobra.Command) (at place, err error) {
	at.dsn, _ = cmd.Flags().GetString("db") // every verb has them
	at.keyFile, _ = cmd.Flags().GetString("key-file")
	name, _ := cmd.Flags().GetString("district")
	several, _ := cmd.Flags().GetBool("districts")
	switch {
	case name == "" && !several && !host.IsHouse(at.dsn):
		return at, nil
	case !several && !host.IsHouse(at.dsn) && !host.IsPostgres(at.dsn):
		return at, usageError{errors.New("--district names one of several: give the folder that they lie " +
			"in as --db, or a postgres:// URL")}
	}
	h, err := host.OpenHouse(cmd.Context(), at.dsn, at.keyFile)
	if err != nil {
		return at, err
	}
	defer h.Close()
	if at.district, err = h.Find(cmd.Context(), name); err != nil {
		if errors.As(err, new(*host.UnknownDistrict)) {
			err = usageError{err}
		}
		return at, err
	}
	at.dsn, at.keyFile, err = h.At(name)
	return at, err
}

// below is what a public URL lacks to be that of a district.
func below(public string, e host.Entry) string {
	u, err := url.Parse(public)
	if e.ID == "" || err != nil || strings.EqualFold(u.Hostname(), e.Host) ||
		strings.HasSuffix(strings.ToLower(u.Path), "/"+e.ID) {
		return ""
	}
	return "/" + e.ID
}

// servesAll tells whether serve is asked for all districts of a house.
func servesAll(cmd *cobra.Command) bool {
	dsn, _ := cmd.Flags().GetString("db")
	name, _ := cmd.Flags().GetString("district")
	several, _ := cmd.Flags().GetBool("districts")
	return name == "" && (several || host.IsHouse(dsn))
}

// all lets the districts of a house be served.
func (f *serveFlags) all(cmd *cobra.Command, config rest.Config) (*offering, error) {
	if f.standby != "" {
		return nil, usageError{errors.New("--read-db is for a district that is served by itself")}
	}
	dsn, _ := cmd.Flags().GetString("db")
	keyFile, _ := cmd.Flags().GetString("key-file")
	h, err := host.OpenHouse(cmd.Context(), dsn, keyFile)
	if err != nil {
		return nil, err
	}
	opt := host.OwnerOptions{Log: config.Log}
	opt.Throwaway = throwaway
	owner, err := host.NewOwner(cmd.Context(), h, opt)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	door := func(config rest.Config) *rest.Door { return rest.NewDoor(config, foundBy(owner), owner.Ready) }
	return &offering{dsn: dsn, place: h.Place(), watched: ledger.Watched{Districts: owner.Count},
		close: func() {
			owner.Close()
			_ = h.Close()
		},
		handler: func(config rest.Config, m *monitor) (http.Handler, error) {
			all := &housed{config: config, monitor: m, counts: map[string]*ledger.Metrics{}}
			owner.Start(all.begin)
			if m != nil {
				config.Tell = both(config.Tell, m.metrics.Count)
			}
			return door(config), nil
		},
		ready: door(config).Ready,
		while: func(ctx context.Context, serve func(context.Context) error) error { return serve(ctx) },
	}, nil
}

// foundBy lets a door find what an owner has.
func foundBy(owner *host.Owner) func(ctx context.Context, at, first string) rest.Found {
	return func(ctx context.Context, at, first string) rest.Found {
		h, done, err := owner.Find(ctx, at, first)
		return rest.Found{Handler: h, Done: done, Broken: err != nil}
	}
}

// housed are districts that are served side by side.
type housed struct {
	config  rest.Config
	monitor *monitor

	mu     sync.Mutex
	counts map[string]*ledger.Metrics // of each that was ever opened
}

// begin lets a district that was opened be served.
func (all *housed) begin(ctx context.Context, d *host.District) (out host.Serving, err error) {
	o, e, config := &opened{d}, d.Entry, all.config
	config.Name, config.Prefix = e.ID, "/"+e.ID
	config.Log = config.Log.With("district", e.ID)
	count := all.count(e.ID)
	if count != nil {
		config.Tell = both(config.Tell, count.Count)
	}
	s, err := o.serve(ctx, config)
	if err != nil {
		return out, err
	}
	out.ByPath = rest.New(s.Config)
	if config = s.Config; e.Host != "" {
		config.Prefix = ""
		if config.URL != nil {
			config.URL = &url.URL{Scheme: config.URL.Scheme, Host: e.Host}
		}
		out.ByHost = rest.New(config)
	}
	if count != nil {
		count.Watch(d.Store)
	}
	attended := o.attend(ctx, s.Gate, config.Log)
	out.End = func() {
		if count != nil {
			count.Watch(nil)
		}
		attended()
		s.end()
	}
	return out, nil
}

// mostCounted districts have figures of their own; those beyond are counted as no district's.
const mostCounted = 1000

// count counts what a district answers; nil where nobody asks for that.
func (all *housed) count(name string) *ledger.Metrics {
	if all.monitor == nil {
		return nil
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.counts[name] == nil {
		if len(all.counts) == mostCounted {
			return nil
		}
		all.counts[name] = all.monitor.metrics.Of(name)
	}
	return all.counts[name]
}
