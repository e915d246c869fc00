package sds

import (
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"

	"rollbook/internal/quality"
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
	f, err := os.CreateTemp(filepath.Dir(path), ".results-*")
	if err != nil {
		return nil, err
	}
	r := &Results{path, f, csv.NewWriter(f)}
	return r, r.csv.Write([]string{"resource", "sourcedId", "rule", "severity", "field", "value", "what", "fix"})
}

// Add writes one finding.
func (r *Results) Add(f quality.Finding) error {
	return r.csv.Write([]string{f.Resource, f.SourcedID, f.Rule.ID, f.Rule.Severity.String(), f.Field, f.Value, f.Text, f.Rule.Fix})
}

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
