package sds

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rollbook/internal/quality"
	"rollbook/internal/words"
)

// Results is the result file of a run: one row a record and rule that failed. It
// is written beside its place, and takes it when it is whole.
type Results struct {
	path string
	file *os.File
	csv  *csv.Writer
}

// NewResults begins a result file.
func NewResults(path string) (*Results, error) {
	// What a killed run left under this name is written over. The values are of
	// children: nobody else on this machine reads them.
	dir, name := filepath.Split(path)
	f, err := os.OpenFile(filepath.Join(dir, "."+name+".unfinished"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY,
		0o600)
	if err != nil {
		return nil, fmt.Errorf("--results %s: %w", path, err)
	}
	r := &Results{path, f, csv.NewWriter(f)}
	return r, r.csv.Write([]string{"resource", "sourcedId", "rule", "severity", "field", "value", "what",
		"fix"})
}

// Add writes one finding.
func (r *Results) Add(f quality.Finding) error {
	severity := f.Rule.Severity.String()
	if f.Tests {
		severity = "tests"
	}
	return r.csv.Write([]string{f.Resource, f.SourcedID, f.Rule.ID, severity, f.Field,
		words.Cell(f.Value), words.Cell(f.Text), f.Rule.Fix}) // an id stays as it is: it is looked up
}

// Discard leaves the file of an earlier run in its place.
func (r *Results) Discard() error { return errors.Join(r.file.Close(), os.Remove(r.file.Name())) }

// Close puts the file in its place.
func (r *Results) Close() error {
	r.csv.Flush()
	err := errors.Join(r.csv.Error(), r.file.Close())
	if err == nil {
		err = os.Rename(r.file.Name(), r.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(r.file.Name()))
	}
	return nil
}
