package rest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/edition"
	"rollbook/internal/machine"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A taker is a reader that does something before it takes a part of an answer.
type taker struct {
	*httptest.ResponseRecorder
	before func(part []byte) error
}

func (w taker) Write(part []byte) (int, error) {
	if err := w.before(part); err != nil {
		return 0, err
	}
	return w.ResponseRecorder.Write(part)
}

// take asks for a list, and tells whether its answer broke off.
func (s *service) take(h http.Handler, target string, before func(part []byte) error) (body []byte,
	broke bool) {
	r := httptest.NewRequest("GET", oneroster.V1p1.Base+target, nil)
	r.Header.Set("Authorization", "Bearer "+s.token)
	w := taker{httptest.NewRecorder(), before}
	defer func() {
		body = w.Body.Bytes()
		if broken := recover(); broken != nil && broken != http.ErrAbortHandler {
			panic(broken)
		} else if broken != nil {
			broke = true
		}
	}()
	h.ServeHTTP(w, r)
	if w.Code != 200 {
		s.t.Errorf("%s: %d %s", target, w.Code, w.Body)
	}
	return
}

// putAside are the files in a folder that this process has open, also those that have
// no name any more.
func putAside(t *testing.T, dir string) (out []os.FileInfo) {
	t.Helper()
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(open) == 0 {
		machine.Leave(t, "this system does not tell which files are open")
	}
	for _, path := range open {
		if name, err := os.Readlink(path); err != nil || !strings.HasPrefix(name, dir+"/") {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info)
	}
	return out
}

// A list comes byte for byte the same from memory, from a temporary file, and from
// both. The file is for nobody else, has no name, and is gone with the answer, also
// with one that breaks off; so is the memory that it held.
func TestListsThatArePutAside(t *testing.T) {
	const memory = 150 << 10
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	handlers := map[int64]http.Handler{}
	s := serveDistrict(t, storetest.SQLite(t), oneroster.Scopes(), 300, func(c *rest.Config) {
		for _, held := range []int64{1, memory, 0} {
			c.District = edition.New(c.Store, edition.Options{Plain: true, Memory: held})
			handlers[held] = rest.New(*c)
		}
	})
	const all, few = "/enrollments?limit=50000", "/enrollments?limit=300"
	whole, _ := s.take(handlers[0], all, func([]byte) error { return nil })
	if len(whole) < 3*memory || bytes.Count(whole, []byte(`{"sourcedId"`)) < 1500 {
		t.Fatalf("%d bytes are too few", len(whole))
	}
	for _, c := range []struct {
		memory int64
		target string
		cut    int // parts that are taken; 0 is all
		aside  int64
	}{
		{0, all, 0, 0}, {1, all, 0, int64(len(whole))}, {memory, all, 0, int64(len(whole)) - memory},
		{1, all, 3, int64(len(whole))}, {memory, all, 1, int64(len(whole)) - memory},
		{memory, all, 5, int64(len(whole)) - memory},
		{memory, few, 0, 0}, {memory, all, 0, int64(len(whole)) - memory},
	} {
		parts := 0
		got, broke := s.take(handlers[c.memory], c.target, func([]byte) error {
			var aside int64
			for _, f := range putAside(t, dir) {
				aside += f.Size()
				if f.Mode() != 0o600 {
					t.Errorf("%+v: it has mode %v", c, f.Mode())
				}
			}
			// The last part is on neither side; the one that fits no more is aside.
			if aside > 0 && c.aside == 0 || aside > c.aside+64<<10 || aside < c.aside-64<<10 {
				t.Errorf("%+v: %d bytes are put aside", c, aside)
			}
			if named, err := os.ReadDir(dir); err != nil || len(named) > 0 {
				t.Errorf("%+v: %v %v", c, named, err)
			}
			if parts++; c.cut > 0 && parts > c.cut {
				return io.ErrClosedPipe
			}
			return nil
		})
		switch {
		case broke != (c.cut > 0), broke && !bytes.HasPrefix(whole, got):
			t.Errorf("%+v: broke off: %v, %d bytes", c, broke, len(got))
		case !broke && c.target == all && !bytes.Equal(got, whole):
			t.Errorf("%+v: %d bytes are not as from memory", c, len(got))
		}
		if left := putAside(t, dir); len(left) > 0 {
			t.Errorf("%+v: %d files are still open", c, len(left))
		}
	}
}

// The memory may be filled to its last byte; a list that needs one more is put aside.
func TestMemoryIsUsedWhole(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var config rest.Config
	s := serveDistrict(t, storetest.SQLite(t), oneroster.Scopes(), 300, func(c *rest.Config) { config = *c })
	const all = "/enrollments?limit=50000"
	aside := func(memory int64) (aside bool, held int64) {
		config.District = edition.New(config.Store, edition.Options{Plain: true, Memory: memory})
		var last int64
		body, _ := s.take(rest.New(config), all, func(part []byte) error {
			aside = aside || len(putAside(t, dir)) > 0
			last = int64(len(part)) // which is never held
			return nil
		})
		return aside, int64(len(body)) - last
	}
	_, held := aside(0)
	for memory, want := range map[int64]bool{held: false, held - 1: true} {
		if got, _ := aside(memory); got != want {
			t.Errorf("a list that holds %d bytes of %d is put aside: %v", held, memory, got)
		}
	}
}

// A reader that stalls does not keep SQLite's log from being used anew: with one in
// the middle of a large page the log stays as small as without.
func TestStalledReaderAndTheLog(t *testing.T) {
	var kept *store.Store
	var handler http.Handler
	path := storetest.SQLite(t)
	s := serveDistrict(t, path, oneroster.Scopes(), 300, func(c *rest.Config) {
		kept, handler = c.Store, rest.New(*c)
	})
	begun, leave := make(chan struct{}), make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		first := sync.OnceFunc(func() { close(begun) })
		s.take(handler, "/enrollments?limit=50000", func([]byte) error {
			first()
			<-leave
			return nil
		})
	})
	<-begun
	var largest int64
	for n := range 1000 {
		rec := storetest.Rec("category", "sourcedId", fmt.Sprint("k", n%50), "title", fmt.Sprint(n))
		if _, _, err := kept.Put(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		if n%100 == 99 {
			info, err := os.Stat(path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, info.Size())
		}
	}
	close(leave)
	reader.Wait()
	if largest > 16<<20 {
		t.Errorf("the log grew to %d MB", largest>>20)
	}
}
