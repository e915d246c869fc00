package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Folder is one that files are put into, or one file of it, on this machine or a share of another.
type Folder struct {
	Path string `json:"path"` // a folder, a file, or a pattern such as /srv/drop/*.zip
	Drop
}

// A Drop is how files that somebody puts into a folder are taken.
type Drop struct {
	// Done takes nothing before a file of the same name and .done lies beside it (.done in a folder of
	// CSV files).
	Done bool `json:"done,omitempty"`
}

// Bounds of what is fetched.
const (
	mostFiles = 200
	mostLooks = 24
)

// mostBytes of one file; tests set it.
var mostBytes int64 = 8 << 30

// A bounded writer takes so many bytes: rows may come without end, faster than their time is over.
type bounded struct {
	io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("more than %d bytes came: that is no list of a district", mostBytes)
	}
	return b.Writer.Write(p)
}

// betweenLooks is how long a file must stay as it is; tests set it.
var betweenLooks = 5 * time.Second

// A tree is a file system that packages lie in.
type tree interface {
	list(dir string) ([]fs.FileInfo, error)
	stat(name string) (fs.FileInfo, error)
	open(name string) (io.ReadCloser, error)
	join(dir, name string) string
	split(name string) (dir, base string)
}

type dropped struct {
	Drop
	path string
	tree func(ctx context.Context) (t tree, close func(), err error)
	slow bool // looks cost more than a look
}

func (f *Folder) place() (Place, error) {
	if !filepath.IsAbs(f.Path) {
		return nil, fmt.Errorf("--folder %q: write the whole path, since a service does not run in this "+
			"folder", f.Path)
	}
	if _, err := filepath.Match(f.Path, ""); err != nil {
		return nil, fmt.Errorf("--folder %q: %w", f.Path, err)
	}
	return &dropped{Drop: f.Drop, path: f.Path,
		tree: func(context.Context) (tree, func(), error) { return local{}, func() {}, nil }}, nil
}

type local struct{}

func (local) list(dir string) (out []fs.FileInfo, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if info, wrong := os.Stat(filepath.Join(dir, e.Name())); wrong == nil { // else it has gone meanwhile
			out = append(out, named{info, e.Name()})
		}
	}
	return out, err
}

// named is what a link leads to, by the name of the link.
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

func (local) stat(name string) (fs.FileInfo, error)   { return os.Stat(name) }
func (local) open(name string) (io.ReadCloser, error) { return os.Open(name) }
func (local) join(dir, name string) string            { return filepath.Join(dir, name) }
func (local) split(name string) (dir, base string)    { return filepath.Dir(name), filepath.Base(name) }

// A look is what lies there: the files of the package that would be taken.
type look struct {
	dir   string
	files []seen
	done  bool // somebody says that they are whole
	zip   bool
}

// seen is a file, as a look shows it.
type seen struct {
	Name string    `json:"name"`
	Size int64     `json:"size"`
	At   time.Time `json:"at"`
}

func (l *look) same(files []seen) bool {
	return slices.EqualFunc(l.files, files, func(a, b seen) bool {
		return a.Name == b.Name && a.Size == b.Size && a.At.Equal(b.At)
	})
}

// look finds the package that would be taken: the newest zip, or else the CSV files of the folder.
func (d *dropped) look(t tree) (*look, error) {
	dir, meant := d.path, func(string) bool { return true }
	info, err := t.stat(d.path)
	switch {
	case err == nil && info.IsDir():
	case err == nil: // whatever signs of a pattern its name has
		var only string
		dir, only = t.split(d.path)
		meant = func(name string) bool { return name == only }
	case strings.ContainsAny(d.path, "*?["):
		var pattern string
		dir, pattern = t.split(d.path)
		meant = func(name string) bool { is, _ := path.Match(pattern, name); return is }
	default:
		return nil, err
	}
	entries, err := t.list(dir)
	if err != nil {
		return nil, err
	}
	there := map[string]fs.FileInfo{}
	for _, e := range entries {
		there[strings.ToLower(e.Name())] = e
	}
	said := func(name string, at time.Time) bool {
		mark := there[strings.ToLower(name+".done")]
		if mark == nil {
			mark = there[strings.ToLower(strings.TrimSuffix(name, path.Ext(name))+".done")]
		}
		return mark != nil && !mark.ModTime().Before(at)
	}
	l := &look{dir: dir}
	var newest fs.FileInfo
	var last time.Time
	for _, e := range entries {
		if !meant(e.Name()) || !e.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		switch strings.ToLower(path.Ext(e.Name())) {
		case ".zip":
			if d.Done && !said(e.Name(), e.ModTime()) {
				continue
			}
			if newest == nil || cmp.Or(e.ModTime().Compare(newest.ModTime()), cmp.Compare(e.Name(),
				newest.Name())) > 0 {
				newest = e
			}
		case ".csv":
			l.files = append(l.files, seen{e.Name(), e.Size(), e.ModTime().UTC()})
			if e.ModTime().After(last) {
				last = e.ModTime()
			}
		}
	}
	if newest != nil {
		l.zip, l.files = true, []seen{{newest.Name(), newest.Size(), newest.ModTime().UTC()}}
		l.done = said(newest.Name(), newest.ModTime())
		return l, nil
	}
	l.done = len(l.files) > 0 && (said("", last) || said("package", last))
	if d.Done && !l.done {
		l.files = nil
	}
	slices.SortFunc(l.files, func(a, b seen) int { return cmp.Compare(a.Name, b.Name) })
	if len(l.files) > mostFiles {
		return nil, fmt.Errorf("%s has %d CSV files: keep those of one package in a folder of their own", dir,
			len(l.files))
	}
	return l, nil
}

func (l *look) text() string {
	var bytes int64
	for _, f := range l.files {
		bytes += f.Size
	}
	switch {
	case len(l.files) == 0:
		return "there is no zip and no CSV file to take"
	case l.zip:
		return fmt.Sprintf("%s, %d bytes, of %s", l.files[0].Name, bytes, l.files[0].At.Format(time.RFC3339))
	}
	return fmt.Sprintf("%d CSV files, %d bytes", len(l.files), bytes)
}

func (d *dropped) Test(ctx context.Context) (string, error) {
	t, done, err := d.tree(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	l, err := d.look(t)
	if err != nil {
		return "", err
	}
	return l.text(), nil
}

// wanted looks, on this machine, whether there is another package than the last one.
func (d *dropped) wanted(memory json.RawMessage) bool {
	if d.slow {
		return true
	}
	var last []seen
	_ = json.Unmarshal(memory, &last) // nil is none
	t, _, _ := d.tree(context.Background())
	l, err := d.look(t)
	return err != nil || len(l.files) > 0 && !l.same(last)
}

// Fetch takes the newest package once two looks, some seconds apart, show it the same, or somebody says
// that it is whole.
func (d *dropped) Fetch(ctx context.Context, dir string, memory json.RawMessage) (got Fetched, err error) {
	var last []seen
	_ = json.Unmarshal(memory, &last) // nil is none
	t, done, err := d.tree(ctx)
	if err != nil {
		return got, err
	}
	defer done()
	l, err := d.look(t)
	for n := 0; err == nil && len(l.files) > 0 && !l.same(last) && !l.done; n++ {
		if n == mostLooks {
			return got, fmt.Errorf("%s is still being written: %s", t.join(l.dir, l.files[0].Name), l.text())
		}
		if err = pause(ctx, betweenLooks); err != nil {
			return got, err
		}
		before := l.files
		if l, err = d.look(t); err == nil && l.same(before) {
			break
		}
	}
	switch {
	case err != nil:
		return got, err
	case len(l.files) == 0:
		return Fetched{Nothing: l.text()}, nil
	case l.same(last):
		return Fetched{Nothing: "nothing new: " + l.text()}, nil
	}
	for _, f := range l.files {
		if err := d.copy(ctx, t, l.dir, f, dir); err != nil {
			return got, err
		}
	}
	again, err := d.look(t)
	if err != nil {
		return got, err
	}
	if !again.same(l.files) {
		return got, fmt.Errorf("%s was changed while it was read: it is read again later", l.text())
	}
	got = Fetched{Path: dir, Memory: l.files}
	_, got.Name = t.split(l.dir)
	if l.zip {
		got.Path, got.Name = filepath.Join(dir, l.files[0].Name), l.files[0].Name
	}
	return got, nil
}

// pause waits, unless the work ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// copy copies a file, which must be as long as it was seen to be.
func (d *dropped) copy(ctx context.Context, t tree, from string, f seen, dir string) error {
	name := t.join(from, f.Name)
	in, err := t.open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if filepath.Base(f.Name) != f.Name || strings.ContainsAny(f.Name, `/\:`) {
		return fmt.Errorf("%q is no name of a file here", f.Name)
	}
	n, err := writeFile(ctx, filepath.Join(dir, f.Name), in)
	if err == nil && n != f.Size {
		err = fmt.Errorf("%s has %d bytes, and %d came: it is read again later", name, f.Size, n)
	}
	return err
}

// writeFile writes what comes into a new file, within bounds.
func writeFile(ctx context.Context, name string, in io.Reader) (n int64, err error) {
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(out, &until{ctx, io.LimitReader(in, mostBytes+1)})
	if err = errors.Join(err, out.Close()); err == nil && n > mostBytes {
		err = fmt.Errorf("%s has more than %d bytes: that is no package of a district", filepath.Base(name),
			mostBytes)
	}
	return n, err
}

// until reads until the work ends.
type until struct {
	ctx context.Context
	io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}
