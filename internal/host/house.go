package host

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rollbook/internal/store"
)

// A House is where several districts lie side by side: a folder with a SQLite file for each, or a
// PostgreSQL database with a schema for each.
type House struct {
	place   string         // folder, or DSN
	keyFile string         // that all are sealed with; "" is one for each
	schemas *store.Schemas // nil is a folder
}

// An Entry is what a house knows of a district without opening it.
type Entry struct {
	ID      string `json:"-"`
	Title   string `json:"name"`
	Host    string `json:"host,omitempty"` // that it is served at by itself
	Sandbox bool   `json:"sandbox,omitempty"`
}

// IsHouse tells a folder from the path of a SQLite file.
func IsHouse(dsn string) bool {
	if IsPostgres(dsn) {
		return false // whoever means one says so
	}
	info, err := os.Stat(strings.TrimPrefix(dsn, "sqlite://"))
	return err == nil && info.IsDir()
}

// OpenHouse opens a folder or a database of districts; keyFile is the key of all, or "" where each has
// its own. Close is to be called.
func OpenHouse(ctx context.Context, dsn, keyFile string) (h *House, err error) {
	h = &House{place: dsn, keyFile: keyFile}
	if IsPostgres(dsn) {
		h.schemas, err = store.OpenSchemas(ctx, dsn)
		return h, err
	}
	h.place = store.Place(dsn)
	if info, err := os.Stat(h.place); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder of districts", h.place)
	}
	return h, nil
}

// Close releases the database.
func (h *House) Close() error {
	if h.schemas == nil {
		return nil
	}
	return h.schemas.Close()
}

// Place is where the house is, for people.
func (h *House) Place() string { return store.Place(h.place) }

var isID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// reserved are first segments of paths that are the service's own, or may become so.
var reserved = []string{"ims", "token", "oauth", "oauth2", "healthz", "readyz", "metrics", "handover",
	"openapi", "demo", "admin", "api", "static", "learningdata", "districts", "district", "well-known",
	"favicon", "robots"}

// RightID tells what is wrong with the short name of a district.
func RightID(id string) error {
	switch {
	case !isID.MatchString(id):
		return fmt.Errorf("%q cannot name a district: write small letters of a to z, digits and -, at most "+
			"40, a letter first, such as springfield", id)
	case slices.Contains(reserved, id):
		return fmt.Errorf("%q cannot name a district: it is a path of the service; take another name", id)
	}
	return nil
}

// isHostName is the name of a host, in small letters and without a port.
var isHostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// Entries are the districts by their short names.
func (h *House) Entries(ctx context.Context) (out []Entry, err error) {
	notes := map[string]string{}
	if h.schemas != nil {
		if notes, err = h.schemas.List(ctx); err != nil {
			return nil, err
		}
	} else {
		files, err := os.ReadDir(h.place)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if id, is := strings.CutSuffix(f.Name(), ".db"); is && isID.MatchString(id) && !f.IsDir() {
				text, _ := os.ReadFile(h.file(id, ".json")) // one that was put there by hand has none
				notes[id] = string(text)
			}
		}
	}
	for id, note := range notes {
		e := Entry{}
		_ = json.Unmarshal([]byte(note), &e) // what cannot be read is not known
		if e.ID = id; RightID(id) == nil {
			e.Title = cmp.Or(e.Title, id)
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// An UnknownDistrict is one that a house has not.
type UnknownDistrict struct {
	ID, Place string
	Known     []Entry
}

func (e *UnknownDistrict) Error() string {
	names := make([]string, 0, len(e.Known))
	for _, k := range e.Known {
		names = append(names, k.ID)
	}
	there := "there is none yet: rollbook district add NAME makes one"
	if len(names) > 0 {
		there = "there are " + strings.Join(names, ", ")
	}
	if e.ID == "" {
		return fmt.Sprintf("%s holds several districts: say which with --district NAME "+
			"(ROLLBOOK_DISTRICT); %s", e.Place, there)
	}
	return fmt.Sprintf("there is no district %q in %s; %s", e.ID, e.Place, there)
}

// Find is a district of the house; an UnknownDistrict where it has none of that name.
func (h *House) Find(ctx context.Context, id string) (Entry, error) {
	all, err := h.Entries(ctx)
	if err != nil {
		return Entry{}, err
	}
	for _, e := range all {
		if e.ID == id {
			return e, nil
		}
	}
	return Entry{}, &UnknownDistrict{id, h.Place(), all}
}

// file is one of those of a district in a folder.
func (h *House) file(id, end string) string { return filepath.Join(h.place, id+end) }

// At is where a district of the house lies, and its key.
func (h *House) At(id string) (dsn, keyFile string, err error) {
	if h.schemas == nil {
		dsn = h.file(id, ".db")
		return dsn, cmp.Or(h.keyFile, dsn+".key"), nil
	}
	dsn = store.InSchema(h.place, id)
	if h.keyFile != "" {
		return dsn, h.keyFile, nil
	}
	dir, err := ConfigFolder()
	if err != nil {
		return "", "", fmt.Errorf("where is the sealing key? give --key-file: %w", err)
	}
	sum := sha256.Sum256([]byte(store.Place(dsn)))
	return dsn, filepath.Join(dir, id+"-"+hex.EncodeToString(sum[:6])+".key"), nil
}

// Open opens a district of the house.
func (h *House) Open(ctx context.Context, e Entry, opt Options) (*District, error) {
	dsn, keyFile, err := h.At(e.ID)
	if err != nil {
		return nil, err
	}
	opt.Entry = e
	return Open(ctx, dsn, keyFile, opt)
}

// Note keeps what the house knows of a district.
func (h *House) Note(ctx context.Context, e Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if h.schemas != nil {
		return h.schemas.Note(ctx, e.ID, string(text))
	}
	return writeWhole(h.file(e.ID, ".json"), append(text, '\n'))
}

// Add makes a district. One whose making was broken off is made to its end.
func (h *House) Add(ctx context.Context, e Entry, opt Options) (*District, error) {
	if err := RightID(e.ID); err != nil {
		return nil, err
	}
	if err := h.rightHost(ctx, e); err != nil {
		return nil, err
	}
	dsn, keyFile, err := h.At(e.ID)
	if err != nil {
		return nil, err
	}
	if _, err := h.Find(ctx, e.ID); err == nil {
		s, err := store.Open(ctx, dsn, store.Options{Existing: true, Throwaway: opt.Throwaway})
		if err == nil {
			_, key := os.Stat(keyFile)
			if err = s.Close(); key == nil || err != nil {
				return nil, errors.Join(fmt.Errorf("there is a district %q already", e.ID), err)
			}
		} else if !errors.Is(err, store.ErrMissing) {
			return nil, fmt.Errorf("there is a district %q already: %w", e.ID, err)
		}
	}
	if err := h.Note(ctx, e); err != nil {
		return nil, err
	}
	opt.Existing = false
	return h.Open(ctx, e, opt)
}

func (h *House) rightHost(ctx context.Context, e Entry) error {
	if e.Host == "" {
		return nil
	}
	if !isHostName.MatchString(e.Host) || len(e.Host) > 253 {
		return fmt.Errorf("%q is not the name of a host, such as roster.springfield.example", e.Host)
	}
	all, err := h.Entries(ctx)
	for _, other := range all {
		if other.Host == e.Host && other.ID != e.ID {
			err = fmt.Errorf("%s is the host of %q already", e.Host, other.ID)
		}
	}
	return err
}

// Remove removes a district and all that is its own.
func (h *House) Remove(ctx context.Context, id string) error {
	dsn, keyFile, err := h.At(id)
	if err != nil {
		return err
	}
	mark, err := WatermarkOf(dsn)
	if err != nil {
		return err
	}
	err = h.drop(ctx, id)
	if err == nil && h.schemas == nil {
		err = removeAll(h.file(id, ""), ".json")
	}
	if err == nil && h.keyFile == "" {
		err = removeAll(keyFile, "")
	}
	if err == nil {
		err = removeAll(string(mark), "")
	}
	return err
}

func removeAll(path string, ends ...string) error {
	for _, end := range ends {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Retire removes a district, when all that it is has been brought into a new file, and its key beside that.
// From the beginning on it takes nothing more. One that was broken off is done again, into the same file,
// which is returned.
func (h *House) Retire(ctx context.Context, e Entry, file string, opt Options) (kept string, err error) {
	const into = "backup "
	dsn, keyFile, err := h.At(e.ID)
	if err != nil {
		return "", err
	}
	s, err := store.Open(ctx, dsn, store.Options{Existing: true, Left: true, Throwaway: opt.Throwaway})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	where, err := s.LeftFor(ctx)
	if err != nil {
		return "", err
	}
	kept, begun := strings.CutPrefix(where, into)
	if !begun {
		kept = store.Place(file)
		for _, path := range []string{kept, kept + ".key"} {
			if _, err := os.Lstat(path); err == nil {
				return "", fmt.Errorf("%s is there already: give another name", path)
			}
		}
		if err := s.Leave(ctx, into+kept); err != nil {
			return "", err
		}
	}
	part := kept + ".part"
	if err := removeAll(part, append([]string{""}, beside...)...); err != nil {
		return "", err
	}
	t, err := store.Open(ctx, part, store.Options{Throwaway: opt.Throwaway})
	if err != nil {
		return "", err
	}
	err = errors.Join(s.MoveTo(ctx, t), t.Close())
	if err == nil {
		err = removeAll(part, beside...)
	}
	if err == nil {
		err = os.Rename(part, kept)
	}
	if _, lost := os.Stat(keyFile); err == nil && lost == nil {
		err = copyKey(keyFile, kept+".key")
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		return "", err
	}
	return kept, h.Remove(ctx, e.ID)
}
