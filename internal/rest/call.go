package rest

import (
	"log/slog"
	"time"
)

// A Call is what a request was and how it was answered, for who keeps a log, counts, or knows what a
// client has read. Filters may name people: Query is not for a log.
type Call struct {
	ID       string // X-Request-Id
	District string // short name, where there are several; "" is none
	Op       string // of the route table; "token", "healthz" and so on; "none" where nothing matches
	Method   string
	Path     string // as it came, escaped; at most 200 bytes
	Client   string // that called, or was tried
	Remote   string // address of the client
	At       time.Time
	Took     time.Duration
	Parent   string // traceparent of the caller (W3C Trace Context), as it came; at most 55 bytes

	Status  int
	Reason  string // of a refusal
	Rows    int
	Bytes   int64 // of the body, before compression
	Aborted bool  // the answer broke off, or its reader has gone

	Page *Page // of a list; nil for everything else
}

// A Page is what a list was asked for, and what was answered of it.
type Page struct {
	// Of is the path of the list without the base: "users", "schools/SCH-1/students", ids
	// escaped.
	Of string
	// Question is what is asked of the list but for limit and offset, as it came.
	Question      string
	Limit, Offset int
	Total         int   // rows of the whole list; 0 where it was not answered
	Edition       int64 // change (rev) that it is as of; 0 where it was not answered
}

// begin is what a text begins with, at most so many bytes.
func begin(text string, most int) string { return text[:min(len(text), most)] }

// Logged writes a line of a log for each call.
func Logged(log *slog.Logger) func(Call) {
	return func(c Call) {
		line := []any{"op", c.Op, "method", c.Method, "client", c.Client, "status", c.Status, "rows", c.Rows,
			"bytes", c.Bytes, "ms", c.Took.Milliseconds(), "remote", c.Remote, "request", c.ID,
			"aborted", c.Aborted}
		if c.Op == "none" { // no filter, which may name people
			line = append(line, "path", c.Path)
		}
		if c.District != "" {
			line = append(line, "district", c.District)
		}
		if c.Reason != "" {
			line = append(line, "reason", c.Reason)
		}
		log.Info("request", line...)
	}
}
