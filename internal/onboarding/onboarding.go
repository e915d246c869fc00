// Package onboarding owns the folder in which a vendor gathers what Microsoft asks for before a
// provider is let in to School Data Sync or Grade Sync: the answers of the form, the evidence of
// every step, what the pilots came to, and the pages on which an engineer checks them line by line.
// How a provider is held to something, packages verify, sds and gradesync know.
package onboarding

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// State of a line.
type State string

const (
	Done    State = "done"
	Missing State = "missing"
	Failed  State = "failed"
)

// A Finding is what a step found of one line.
type Finding struct {
	State State  `json:"state"`
	Says  string `json:"says"`
	Next  string `json:"next,omitempty"` // what to do; "" where it is done
}

// A File is evidence. What was changed since it was written is none.
type File struct {
	Path   string `json:"path"` // below the folder, with slashes
	SHA256 string `json:"sha256"`
}

// A record is one line of what was done, when, by what. Nothing is ever taken away.
type record struct {
	Step      string             `json:"step"`
	At        time.Time          `json:"at"`
	Version   string             `json:"version"` // of this program
	Command   string             `json:"command,omitempty"`
	Programme string             `json:"programme,omitempty"`
	URL       string             `json:"url,omitempty"`
	TokenURL  string             `json:"tokenUrl,omitempty"`
	Client    string             `json:"client,omitempty"`
	Found     map[string]Finding `json:"found,omitempty"` // by line
	Files     []File             `json:"files,omitempty"`
	Item      string             `json:"item,omitempty"` // that was ticked, by hand or by a run
	By        string             `json:"by,omitempty"`   // who ticked it; "" was a run
	Note      string             `json:"note,omitempty"`
	Kind      string             `json:"kind,omitempty"` // of a pilot's run: full or delta
}

// Steps of records.
const (
	begun = "begin" // a programme, or with another service or client than before
	tick  = "tick"
	pull  = "run" // of a pilot
)

const (
	recordFile = "record.jsonl"
	answerFile = "onboarding.yaml"
	pilotDir   = "pilots"
)

// A Folder holds one onboarding.
type Folder struct {
	Path    string
	Answers *Answers

	now     time.Time
	version string
	records []record
	pilots  []*pilot
}

// Open reads a folder, or makes one: with a file of questions to be answered.
func Open(path, version string, now time.Time) (*Folder, error) {
	f := &Folder{Path: path, now: now.UTC(), version: version}
	if err := f.ours(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.at(answerFile)); errors.Is(err, os.ErrNotExist) {
		if err := f.write(answerFile, blank()); err != nil {
			return nil, err
		}
	}
	if err := f.readAnswers(); err != nil {
		return nil, err
	}
	var err error
	if f.records, err = readRecords(f.at(recordFile)); err != nil {
		return nil, err
	}
	return f, f.readPilots()
}

// Known tells whether there is such a folder yet.
func Known(path string) bool {
	_, asked := os.Stat(filepath.Join(path, answerFile))
	_, begun := os.Stat(filepath.Join(path, recordFile))
	return asked == nil || begun == nil
}

// ours makes the folder, or sees that nothing else is in it: its files are sent on.
func (f *Folder) ours() error {
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		return err
	}
	if len(entries) > 0 && !Known(f.Path) {
		return fmt.Errorf("%s holds other things than an onboarding, such as %s: give a new folder with "+
			"--folder", f.Path, entries[0].Name())
	}
	return os.Chmod(f.Path, 0o700)
}

func (f *Folder) at(name string) string { return filepath.Join(f.Path, filepath.FromSlash(name)) }

// write puts a whole file in its place. Nobody else on this machine reads it.
func (f *Folder) write(name string, text []byte) error {
	at := f.at(name)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	unfinished := filepath.Join(filepath.Dir(at), "."+filepath.Base(at)+".unfinished")
	if err := os.WriteFile(unfinished, text, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, at)
}

// keep writes a file of evidence, which the record then names.
func (f *Folder) keep(r *record, name string, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Files = append(r.Files, File{name, sum(text.Bytes())})
	return f.write(name, text.Bytes())
}

// keepJSON writes evidence that programs read, and people too.
func (f *Folder) keepJSON(r *record, name string, v any) error {
	return f.keep(r, name, func(w io.Writer) error {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(v)
	})
}

func sum(text []byte) string {
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:])
}

// fileOf is a file as it is now; the zero File where there is none.
func (f *Folder) fileOf(name string) (File, time.Time) {
	text, err := os.ReadFile(f.at(name))
	info, wrong := os.Stat(f.at(name))
	if err != nil || wrong != nil {
		return File{}, time.Time{}
	}
	return File{name, sum(text)}, info.ModTime().UTC()
}

// note adds a record to a file of them, and says when and by what it was made.
func (f *Folder) note(name string, r record) (record, error) {
	r.At, r.Version = f.now, f.version
	line, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	if err := os.MkdirAll(filepath.Dir(f.at(name)), 0o700); err != nil {
		return r, err
	}
	to, err := os.OpenFile(f.at(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return r, err
	}
	_, err = to.Write(append(line, '\n'))
	return r, errors.Join(err, to.Close())
}

// readRecords reads a file of records; none where there is no file.
func readRecords(path string) ([]record, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []record
	for n, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var r record
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, fmt.Errorf("%s:%d is no record (%w): put the line back as it was, or take it out",
				path, n+1, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// last is the latest record of a step.
func (f *Folder) last(step string) (record, bool) {
	for i := len(f.records) - 1; i >= 0; i-- {
		if f.records[i].Step == step {
			return f.records[i], true
		}
	}
	return record{}, false
}

// begin notes that a programme goes on with a service, where that is news.
func (f *Folder) begin(r record) error {
	r.Step = begun
	for i := len(f.records) - 1; i >= 0; i-- {
		was := f.records[i]
		if was.Step == begun && (was.URL != r.URL || was.Client != r.Client || was.TokenURL != r.TokenURL) {
			break
		}
		if was.Step == begun && was.Programme == r.Programme {
			return nil
		}
	}
	return f.add(r)
}

func (f *Folder) add(r record) error {
	r, err := f.note(recordFile, r)
	if err == nil {
		f.records = append(f.records, r)
	}
	return err
}

// programmes that were begun, in their order.
func (f *Folder) programmes() []Programme {
	var out []Programme
	for _, p := range Programmes {
		for _, r := range f.records {
			if r.Step == begun && r.Programme == p.Name {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// Tick notes that a person did something: an item of this folder, or pilot/item.
func (f *Folder) Tick(item, by, remark string) error {
	r := record{Step: tick, Item: item, By: by, Note: remark}
	if name, of, ok := strings.Cut(item, "/"); ok {
		i := f.pilot(name)
		if i < 0 {
			return fmt.Errorf("there is no pilot %q yet: rollbook onboarding pilot %s URL … begins it", name,
				name)
		}
		if !byHand(of) {
			return fmt.Errorf("%q is no item of a pilot that is ticked by hand: these are %s", of,
				strings.Join(handItems(), ", "))
		}
		r.Item = of
		return f.pilots[i].add(f, r)
	}
	if item != handedOver {
		return fmt.Errorf("there is no item %q: %s, or PILOT/%s", item, handedOver, strings.Join(handItems(),
			", PILOT/"))
	}
	return f.add(r)
}

// handedOver is ticked when the engineer has the secret.
const handedOver = "handed-over"
