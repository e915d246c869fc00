package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rollbook/internal/store"
)

// coming names what a district is called while it is brought to another place, and gone what is left of
// it where it was: neither is one of a house.
func coming(id string) string { return "_" + id }
func gone(id string) string   { return "_moved_" + id }

// Move brings a district to another house, with all that it is. From its beginning on nobody is served it
// where it was; when it has ended it is served where it is. A move that was broken off is done again,
// from wherever it was. It returns where what was left behind lies.
func (h *House) Move(ctx context.Context, id string, to *House, opt Options) (left string, err error) {
	e, err := h.Find(ctx, id)
	if err != nil {
		return "", err
	}
	dsn, keyFile, err := h.At(id)
	if err != nil {
		return "", err
	}
	there, keyThere, err := to.At(id)
	if err != nil {
		return "", err
	}
	if store.Place(dsn) == store.Place(there) {
		return "", fmt.Errorf("%s is where %q lies already", to.Place(), id)
	}
	s, err := store.Open(ctx, dsn, store.Options{Existing: true, Left: true, Throwaway: opt.Throwaway})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	came, err := to.cameFrom(ctx, id, s, store.Place(there))
	if err != nil {
		return "", err
	}
	if !came {
		if err := to.rightHost(ctx, e); err != nil {
			return "", err
		}
		if err := copyKey(keyFile, keyThere); err != nil {
			return "", err
		}
		if err := s.Leave(ctx, store.Place(there)); err != nil {
			return "", err
		}
		if err := to.bring(ctx, e, s, opt); err != nil {
			return "", fmt.Errorf("%w; nobody is served %q until this is done: run it again", err, id)
		}
	}
	if err := s.Close(); err != nil {
		return "", err
	}
	return h.leave(ctx, id)
}

// cameFrom tells whether a house has the district already that has left for it; another one of that name
// is an error.
func (h *House) cameFrom(ctx context.Context, id string, s *store.Store, place string) (bool, error) {
	_, err := h.Find(ctx, id)
	if errors.As(err, new(*UnknownDistrict)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	where, err := s.LeftFor(ctx)
	if err == nil && where != place {
		err = fmt.Errorf("there is a district %q in %s already", id, h.Place())
	}
	return err == nil, err
}

// bring makes the district here of what has left for here.
func (h *House) bring(ctx context.Context, e Entry, s *store.Store, opt Options) error {
	part := coming(e.ID)
	dsn, _, err := h.At(part)
	if err != nil {
		return err
	}
	if err := h.drop(ctx, part); err != nil {
		return err
	}
	if h.schemas != nil {
		if err := h.schemas.Note(ctx, part, ""); err != nil { // it is made
			return err
		}
	}
	t, err := store.Open(ctx, dsn, store.Options{Throwaway: opt.Throwaway})
	if err != nil {
		return err
	}
	err = s.MoveTo(ctx, t)
	var m store.Moment
	if err == nil {
		m, err = t.Moment(ctx)
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return err
	}
	there, _, err := h.At(e.ID)
	if err != nil {
		return err
	}
	mark, err := WatermarkOf(there)
	if err == nil {
		err = mark.Write(m)
	}
	if err != nil {
		return err
	}
	if h.schemas != nil {
		of := e
		of.ID = part
		if err := h.Note(ctx, of); err != nil {
			return err
		}
		return h.schemas.Rename(ctx, part, e.ID)
	}
	if err := h.Note(ctx, e); err != nil {
		return err
	}
	if err := removeAll(h.file(e.ID, ".db"), beside...); err != nil {
		return err
	}
	for _, end := range []string{".db.nonces", ".db"} { // the district is there when its file is
		if err := os.Rename(h.file(part, end), h.file(e.ID, end)); err != nil {
			return err
		}
	}
	return removeAll(h.file(part, ".db"), beside...)
}

// beside are how the names of files end that SQLite and the store make beside a database.
var beside = []string{"-wal", "-shm", ".nonces", ".nonces-wal", ".nonces-shm"}

// drop removes the database of a district, or what was begun of one.
func (h *House) drop(ctx context.Context, id string) error {
	if h.schemas != nil {
		return h.schemas.Drop(ctx, id)
	}
	return removeAll(h.file(id, ".db"), append([]string{""}, beside...)...)
}

// leave puts aside what is left of a district that has come elsewhere.
func (h *House) leave(ctx context.Context, id string) (left string, err error) {
	if h.schemas != nil {
		dsn, _, err := h.At(gone(id))
		if err == nil {
			err = h.schemas.Rename(ctx, id, gone(id))
		}
		return store.Place(dsn), err
	}
	left = h.file(gone(id), ".db")
	if err := removeAll(left, "-wal", "-shm"); err != nil {
		return left, err
	}
	// The log goes first: without the file it is nothing, and the file without it would lack the end.
	for _, end := range []string{"-wal", ""} {
		err := os.Rename(h.file(id, ".db")+end, left+end)
		if err != nil && !(end != "" && errors.Is(err, os.ErrNotExist)) {
			return left, err
		}
	}
	if h.keyFile == "" {
		if err := removeAll(h.file(id, ".db"), ".key"); err != nil { // it has come there first
			return left, err
		}
	}
	if err := removeAll(h.file(id, ".db"), beside...); err != nil {
		return left, err
	}
	return left, removeAll(h.file(id, ""), ".db.mark", ".json")
}

// copyKey brings the key to where a district is looked for; another key that lies there is left alone.
func copyKey(from, to string) error {
	if from == to {
		return nil
	}
	key, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	there, err := os.ReadFile(to)
	switch {
	case err == nil && bytes.Equal(key, there):
		return nil
	case err == nil:
		return fmt.Errorf("the district is sealed with the key in %s, and %s is another: where all have one "+
			"key file, only those come that are sealed with it", from, to)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	return writeWhole(to, key)
}

// writeWhole writes a file, of mode 0600, that is whole at any time.
func writeWhole(path string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
