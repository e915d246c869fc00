package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/auth"
	"rollbook/internal/edition"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
)

// A greeting is what a newcomer needs to try the demo.
type greeting struct {
	BaseURL      string `json:"baseUrl"`
	TokenURL     string `json:"tokenUrl"`
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
	TeacherEmail string `json:"teacherEmail"`
	SchoolYear   string `json:"schoolYear"`
	School       string `json:"school"`
	ClassGroup   string `json:"classGroup"`
	DayURL       string `json:"dayUrl,omitempty"`     // moves a living demo
	TroubleURL   string `json:"troubleUrl,omitempty"` // lets a troubled demo misbehave

	every time.Duration
}

// A demonstration is one run of the demo verb.
type demonstration struct {
	addr   string
	opt    sandbox.Options
	start  string
	asJSON bool
	live   bool
	every  time.Duration
	// history is how many school days have passed when the demo begins; past is
	// their clock, as long as they are published.
	history int
	past    func() time.Time
	trouble bool
	sending *rest.Sending
}

func demoCommand() *cobra.Command {
	d := demonstration{sending: &rest.Sending{}}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Serve a made-up district, with nothing to set up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("every") && !d.live {
				return usageError{errors.New("--every tells how often a living demo moves: add --live")}
			}
			if err := madeUp(cmd, d.start, &d.opt); err != nil {
				return err
			}
			if cmd.Flags().Changed("start") && !cmd.Flags().Changed("history") {
				d.history = 0
			}
			if d.history < 0 || d.history > maxDays {
				return usageError{fmt.Errorf("--history %d: give a number of school days from 0 to %d",
					d.history, maxDays)}
			}
			if d.every < 0 {
				return usageError{fmt.Errorf("--every %s: give a time such as 5s, or 0 to move "+
					"by POST only", d.every)}
			}
			dsn, _ := cmd.Flags().GetString("db")
			if !cmd.Flags().Changed("db") {
				dir, err := os.MkdirTemp("", "rollbook-demo-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(dir)
				dsn = filepath.Join(dir, "demo.db")
			}
			keyFile, _ := cmd.Flags().GetString("key-file")
			o, err := openAt(cmd.Context(), place{dsn: dsn, keyFile: keyFile}, store.Options{Now: d.now})
			if err != nil {
				return err
			}
			defer o.Close()
			return d.run(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.addr, "addr", "127.0.0.1:8080",
		"address to listen on; the next free port when it is taken")
	f.IntVar(&d.opt.Students, "students", 1000, "how many students to make up")
	f.Int64Var(&d.opt.Seed, "seed", 1, "another seed, other people")
	f.StringVar(&d.start, "start", "", "the first day, such as 2026-09-01 (default: today)")
	f.BoolVar(&d.asJSON, "json", false, "print one line of JSON")
	f.BoolVar(&d.live, "live", false, "let the district live: a school day passes every few seconds")
	f.IntVar(&d.history, "history", aWeek, "school days that have passed when it begins (with --start: 0)")
	f.BoolVar(&d.trouble, "trouble", false, "misbehave when asked to: see demo trouble")
	f.DurationVar(&d.every, "every", 5*time.Second,
		"with --live: how long a school day takes; 0 moves by POST only")
	cmd.AddCommand(dayCommand(), troubleCommand())
	return cmd
}

func (d *demonstration) run(ctx context.Context, out io.Writer, o *opened) error {
	if err := onlyMadeUp(ctx, o); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	v, err := d.begin(ctx, end, o)
	if err != nil {
		return err
	}
	id, secret, err := o.addClient(ctx, o.demoName(ctx), append(oneroster.Scopes(), oneroster.Flags), true,
		expiry{})
	if err != nil {
		return err
	}
	gate, err := o.Gate(ctx)
	if err != nil {
		return err
	}
	l, err := listenNear(d.addr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	district := edition.New(o.Store, edition.Options{Log: log})
	defer district.Close()
	config := rest.Config{Store: o.Store, District: district, Gate: gate, Face: oneroster.V1p1, Log: log,
		Sending: d.sending}
	defer o.listen(&config)()
	service := rest.New(config)
	host, facts := "http://"+l.Addr().String(), v.life.Facts()
	g := greeting{BaseURL: host + oneroster.V1p1.Base, TokenURL: host + "/token", ClientID: id,
		ClientSecret: secret,
		TeacherEmail: facts.TeacherEmail, SchoolYear: facts.SchoolYear, School: facts.School,
		ClassGroup: facts.ClassGroup, every: d.every}
	if d.live {
		g.DayURL, service = host+dayPath, v.handler(service)
	}
	if d.trouble {
		t := &troubled{living: v, left: map[string]int{}}
		g.TroubleURL, service = host+troublePath, t.handler(service)
	}
	if d.asJSON {
		err = json.NewEncoder(out).Encode(g)
	} else {
		err = g.print(out)
	}
	if err != nil {
		return err
	}
	defer o.attend(ctx, gate, log)()
	return d.serve(ctx, v, rest.NewServer(service), l)
}

// demoName is demo, or of this run where a demo has been served over the same
// database before: names are given once.
func (o *opened) demoName(ctx context.Context) string {
	clients, err := o.Clients(ctx)
	if err == nil && !slices.ContainsFunc(clients, func(c auth.Client) bool { return c.Name == "demo" }) {
		return "demo"
	}
	return "demo " + time.Now().UTC().Format("2006-01-02 15:04:05.000")
}

// begin publishes the first day and those that are history, each with the time
// that it had: what came since yesterday is there to be found.
func (d *demonstration) begin(ctx context.Context, end context.CancelFunc, o *opened) (*living, error) {
	began := time.Now()
	if d.opt.Today.IsZero() {
		d.opt.Today = schoolDaysBefore(began, d.history)
	}
	v := &living{o: o, life: sandbox.NewLife(d.opt), ctx: ctx, end: end}
	d.past = func() time.Time { return schoolDaysBefore(began, d.history-v.life.Day()) }
	defer func() { d.past = nil }()
	if d.live && !d.asJSON {
		v.tell = os.Stderr
	}
	if err := v.start(ctx); err != nil {
		return nil, err
	}
	for range d.history {
		if _, err := v.step(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// now is the clock of the demo's database.
func (d *demonstration) now() time.Time {
	if d.past != nil {
		return d.past()
	}
	return time.Now()
}

// aWeek of school days.
const aWeek = 5

// schoolDaysBefore is the day that so many school days before another lies.
func schoolDaysBefore(day time.Time, n int) time.Time {
	for n > 0 {
		day = day.AddDate(0, 0, -1)
		if day.Weekday() != time.Saturday && day.Weekday() != time.Sunday {
			n--
		}
	}
	return day
}

// serve serves until the demo ends, and moves a living one meanwhile.
func (d *demonstration) serve(ctx context.Context, v *living, server *http.Server, l net.Listener) error {
	still := make(chan struct{})
	go func() {
		defer close(still)
		if d.live && d.every > 0 {
			v.every(d.every)
		}
	}()
	err := serveUntilDone(ctx, server, l, d.sending, 0)
	v.end()
	<-still
	return errors.Join(v.failed, err)
}

// onlyMadeUp keeps the demo out of a real district, all of which its import
// would retire.
func onlyMadeUp(ctx context.Context, o *opened) error {
	empty, err := o.Empty(ctx)
	if err != nil || empty {
		return err
	}
	for name, id := range map[string]string{"org": "dst-1", "user": "a1", "classGroup": "grp-1"} {
		if known, err := o.Known(ctx, oneroster.ByName(name), id); err != nil || !known {
			return errors.Join(err, errors.New("this database holds a district that is not made up: serve "+
				"it with rollbook serve, or give the demo another --db"))
		}
	}
	return nil
}

func (g greeting) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `A made-up district is being served. Ctrl-C ends it.

  base URL       %s
  token URL      %s
  client id      %s
  client secret  %s
  a teacher      %s

Paste this to get a token, and the first page:

  TOKEN=$(curl -s -u '%s:%s' -d grant_type=client_credentials %s | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s -H "Authorization: Bearer $TOKEN" '%s/users?limit=3'

`, g.BaseURL, g.TokenURL, g.ClientID, g.ClientSecret, g.TeacherEmail,
		g.ClientID, g.ClientSecret, g.TokenURL, g.BaseURL)
	if err == nil && g.TroubleURL != "" {
		_, err = fmt.Fprintf(w, `This lets the next answer break off (kinds: %s):

  curl -s -X POST '%s?kind=torn&times=1'

`, strings.Join(troubleNames(), ", "), g.TroubleURL)
	}
	if err != nil || g.DayURL == "" {
		return err
	}
	every := ""
	if g.every > 0 {
		every = fmt.Sprintf("A school day passes every %s. ", g.every)
	}
	_, err = fmt.Fprintf(w, "%sThis moves the district one day on (?days=30: thirty):\n\n  curl -s -X "+
		"POST %s\n\n", every, g.DayURL)
	return err
}

// listenNear takes the address, or one of the ports after it.
func listenNear(addr string) (net.Listener, error) {
	if !loopback(addr) {
		return nil, usageError{fmt.Errorf("--addr %s: the demo speaks plain HTTP and serves this machine "+
			"only: use 127.0.0.1:PORT", addr)}
	}
	host, port, _ := net.SplitHostPort(addr)
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, usageError{fmt.Errorf("--addr %s: %w", addr, err)}
	}
	l, err := net.Listen("tcp", addr)
	for i := 1; err != nil && n > 0 && i < 50; i++ {
		l, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n+i)))
	}
	return l, err
}
