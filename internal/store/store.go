// Package store keeps the records of one district, the clients and the keys in
// SQL: one SQLite file or one PostgreSQL schema. One renderer makes the SQL for
// both; sqlite.go and postgres.go say only where they differ. It owns the delta
// clock: dateLastModified is given here and nowhere else.
package store

import (
	"errors"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// ErrNotFound: there is no such object, or a gradebook object was deleted.
var ErrNotFound = errors.New("not found")

// A Refused write breaks a rule of the gradebook: it names an unknown class,
// lacks a required field, …. Its text can be shown to the client.
type Refused struct {
	Field string
	Text  string
}

func (e *Refused) Error() string { return e.Field + ": " + e.Text }

// A Selection is what a request reads: a route with its path variables, and
// the query (for a single object only Fields counts, and the caller applies it).
type Selection struct {
	Route *oneroster.Route
	Vars  map[string]string // path variable name (without braces) to decoded sourcedId
	Query query.Query
}

// The doors of the store, in store_read.go, gradebook.go, import.go and clients.go:
//
//	Open(ctx, dsn string, opt Options) (*Store, error)
//	(*Store) Close() error
//	(*Store) Ping(ctx) error
//
//	// List streams one page from one snapshot. head is called once, before any
//	// row, with the number of records that the filter selects on all pages; then
//	// row once a record, with canonical values in the order of Resource.Fields,
//	// valid only during the call. An error of either ends the list and is returned.
//	(*Store) List(ctx, sel Selection, head func(total int) error, row func(values []string) error) error
//
//	// Get reads the object whose id is the last path variable. ErrNotFound.
//	(*Store) Get(ctx, sel Selection) (oneroster.Record, error)
//
//	// Put creates or replaces a gradebook object, fills in what clients leave out
//	// (category, dueDate, gradingPeriod, …) and returns it as stored. *Refused.
//	(*Store) Put(ctx, rec oneroster.Record) (stored oneroster.Record, created bool, err error)
//
//	// Delete marks a gradebook object tobedeleted. ErrNotFound.
//	(*Store) Delete(ctx, r *oneroster.Resource, id string) error
//
//	// Import publishes a package atomically.
//	(*Store) Import(ctx, src Source, opt ImportOptions) (Report, error)
//
//	(*Store) Client, SigningKey, UseNonce            // auth.Book
//	(*Store) AddClient, Clients, AddSecret, RemoveClient
