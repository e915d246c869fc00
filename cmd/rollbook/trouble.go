package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"rollbook/internal/oneroster"
)

// troubleKinds are the ways in which a demo misbehaves when it is asked to, in
// the order in which they come when several are waiting.
var troubleKinds = []struct{ name, does string }{
	{"429", "refuses a call: too many, Retry-After 1"},
	{"503", "refuses a call: busy, Retry-After as a date"},
	{"expired", "takes the token of a call as expired, until another comes"},
	{"torn", "breaks off in the middle of an answer"},
	{"moves", "lets a school day pass behind an answer: the next page is of another day"},
}

func troubleNames() (out []string) {
	for _, k := range troubleKinds {
		out = append(out, k.name)
	}
	return out
}

// A troubled demo misbehaves, call by call, as often as it was asked to.
type troubled struct {
	*living
	mu      sync.Mutex
	left    map[string]int // calls still to come, by kind
	expired string         // the Authorization header that is refused
}

// troublePath asks for trouble: POST ?kind=torn&times=2.
const troublePath = "/demo/trouble"

func (d *troubled) handler(service http.Handler) http.Handler {
	ask := ownPagesOnly(http.HandlerFunc(d.serveTrouble))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == troublePath:
			ask.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, oneroster.V1p1.Base+"/"):
			d.serve(w, r, service)
		default:
			service.ServeHTTP(w, r)
		}
	})
}

func (d *troubled) serveTrouble(w http.ResponseWriter, r *http.Request) {
	kind, times := r.URL.Query().Get("kind"), 1
	if text := r.URL.Query().Get("times"); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil || times < 0 || times > 1000 {
			answer(w, http.StatusBadRequest, refusal{fmt.Sprintf("times=%s: give a number from 0 to 1000",
				text)})
			return
		}
	}
	names := troubleNames()
	if !slices.Contains(names, kind) {
		text := fmt.Sprintf("kind=%s: give one of %s", kind, strings.Join(names, ", "))
		answer(w, http.StatusBadRequest, refusal{text})
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left[kind] = times
	answer(w, http.StatusOK, d.left)
}

// next is the trouble that this call gets, "" for none.
func (d *troubled) next(r *http.Request) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	authorization := r.Header.Get("Authorization")
	if d.expired != "" && authorization == d.expired {
		return "expired"
	}
	for _, k := range troubleKinds {
		if d.left[k.name] == 0 {
			continue
		}
		d.left[k.name]--
		if k.name == "expired" {
			d.expired = authorization
		}
		return k.name
	}
	return ""
}

func (d *troubled) serve(w http.ResponseWriter, r *http.Request, service http.Handler) {
	switch d.next(r) {
	case "429":
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusTooManyRequests, refusal{"trouble on demand: too many requests"})
	case "503":
		w.Header().Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
		answer(w, http.StatusServiceUnavailable, refusal{"trouble on demand: busy"})
	case "expired":
		w.Header().Set("WWW-Authenticate", `Bearer realm="rollbook", error="invalid_token"`)
		answer(w, http.StatusUnauthorized, refusal{"trouble on demand: the token has expired"})
	case "torn":
		whole := &kept{header: http.Header{}, status: http.StatusOK}
		service.ServeHTTP(whole, r)
		for name, values := range whole.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(whole.body.Len()))
		w.WriteHeader(whole.status)
		_, _ = w.Write(whole.body.Bytes()[:whole.body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "moves":
		service.ServeHTTP(w, r)
		_, _ = d.move(1) // a day that fails ends the demo, and tells why
	default:
		service.ServeHTTP(w, r)
	}
}

// kept is an answer that is held back.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(p []byte) (int, error) { return k.body.Write(p) }

// troubleCommand asks a demo --trouble for trouble, where there is no curl.
func troubleCommand() *cobra.Command {
	var times int
	var url string
	long := "Ask a demo --trouble that is running to misbehave. KIND is one of\n\n"
	for _, k := range troubleKinds {
		long += fmt.Sprintf("  %-8s it %s\n", k.name, k.does)
	}
	cmd := &cobra.Command{
		Use:   "trouble KIND [URL]",
		Short: "Let a demo --trouble misbehave in its next answers",
		Long:  long + "\nURL is any that the demo prints; without it, that of its usual port.",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if url, err = ofDemo(args[1:], troublePath); err != nil {
				return err
			}
			left := map[string]int{}
			url = fmt.Sprintf("%s?kind=%s&times=%d", url, args[0], times)
			if err := post(cmd.Context(), url, "demo --trouble", &left); err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(left)
		},
	}
	cmd.Flags().IntVar(&times, "times", 1, "how many answers")
	return cmd
}
