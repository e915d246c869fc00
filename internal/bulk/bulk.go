// Package bulk reads and writes districts as packages of CSV files: the
// OneRoster 1.1 CSV binding, as a zip or a folder. Reading turns files into a
// stream of records and tells every problem by file, row and column.
package bulk

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"

	"rollbook/internal/oneroster"
)

// Bounds of a package.
const (
	maxEntries  = 1000
	maxUnpacked = 8 << 30 // bytes in all files
	maxRatio    = 200     // unpacked to packed, of a file beyond 10 MiB
	freeRatio   = 10 << 20
)

// A Package is an opened set of files. It is a oneroster.Source once Check has
// looked at it.
type Package struct {
	files  map[*oneroster.Resource]*file
	links  map[*oneroster.Resource]*file // classResources, courseResources
	closer io.Closer

	// Notes are what was noticed on opening, for people.
	Notes []string
	// Rows is how many rows there are, known once Check has run.
	Rows int

	resources map[*oneroster.Resource]map[string]*linked // from the link files, by owner
	bad       map[place]bool                             // rows with errors
	checked   bool
	hollow    bool // a bulk file has no row
	skipBad   bool
}

type file struct {
	name string
	mode oneroster.Mode
	open func() (io.ReadCloser, error)
	made *made // instead of open, for files made of another format's
}

// place is where the row came from that is said to begin on a line.
func (f *file) place(line int) place {
	if f.made != nil {
		return f.made.from[line]
	}
	return place{f.name, line}
}

type place struct {
	file string
	line int
}

// Open reads the table of contents of a zip or a folder. skipBad lets Records
// leave out rows that Check found wrong, instead of refusing.
func Open(name string, skipBad bool) (*Package, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	p := &Package{files: map[*oneroster.Resource]*file{}, links: map[*oneroster.Resource]*file{}, bad: map[place]bool{}, skipBad: skipBad}
	var found map[string]*file
	if info.IsDir() {
		found, err = folder(name)
	} else {
		found, err = p.archive(name)
	}
	if err == nil {
		err = p.assign(name, found)
	}
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Close releases the files.
func (p *Package) Close() error {
	if p.closer == nil {
		return nil
	}
	return p.closer.Close()
}

func folder(name string) (map[string]*file, error) {
	root, err := os.OpenRoot(name) // links cannot lead out of it
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	found := map[string]*file{}
	for _, e := range entries {
		base := e.Name()
		if !e.IsDir() && strings.HasSuffix(strings.ToLower(base), ".csv") && !strings.HasPrefix(base, ".") {
			found[base] = &file{name: base, open: func() (io.ReadCloser, error) { return root.Open(base) }}
		}
	}
	return found, nil
}

func (p *Package) archive(name string) (map[string]*file, error) {
	z, err := zip.OpenReader(name)
	if errors.Is(err, zip.ErrFormat) {
		return nil, fmt.Errorf("%s is neither a folder nor a zip: give the folder with the CSV files, or a zip of it", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.closer = z
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("%s: %d entries; a package has at most %d", name, len(z.File), maxEntries)
	}
	found := map[string]*file{}
	var total uint64
	for _, f := range z.File {
		clean := path.Clean(f.Name)
		if strings.HasPrefix(f.Name, "/") || strings.Contains(f.Name, "\\") || strings.HasPrefix(clean, "..") {
			return nil, fmt.Errorf("%s: the entry %q leads out of the package: make the zip anew from the files alone", name, f.Name)
		}
		base, dir := path.Base(clean), path.Dir(clean)
		if f.FileInfo().IsDir() || strings.HasPrefix(clean, "__MACOSX") || strings.HasPrefix(base, ".") || !strings.HasSuffix(strings.ToLower(base), ".csv") {
			continue
		}
		if strings.Contains(dir, "/") {
			return nil, fmt.Errorf("%s: %q lies more than one folder deep: put the files at the top of the zip", name, f.Name)
		}
		total += f.UncompressedSize64
		if total > maxUnpacked || f.UncompressedSize64 > freeRatio && f.UncompressedSize64 > maxRatio*max(1, f.CompressedSize64) {
			return nil, fmt.Errorf("%s: %q unpacks to far more than a district holds; it was not opened", name, f.Name)
		}
		if found[base] != nil {
			return nil, fmt.Errorf("%s: there are two files %s: keep one", name, base)
		}
		found[base] = &file{name: base, open: f.Open}
	}
	return found, nil
}

// assign gives the files found their resources and modes.
func (p *Package) assign(name string, found map[string]*file) error {
	if done, err := p.fromSDS(found); done || err != nil {
		return err
	}
	manifest, err := readManifest(found["manifest.csv"])
	if err != nil {
		return err
	}
	var names []string
	for base, f := range found {
		names = append(names, base)
		stem := strings.TrimSuffix(base, path.Ext(base))
		f.mode = oneroster.Bulk
		if m, ok := manifest["file."+stem]; ok {
			switch strings.ToLower(m) {
			case "bulk":
			case "delta":
				f.mode = oneroster.Delta
			case "absent":
				return fmt.Errorf("%s: manifest.csv says that %s is absent, and it is there: correct the manifest", name, base)
			default:
				return fmt.Errorf("%s: manifest.csv: file.%s is %q: write bulk, delta or absent", name, stem, m)
			}
		}
		switch {
		case stem == "classResources":
			p.links[oneroster.ByName("class")] = f
		case stem == "courseResources":
			p.links[oneroster.ByName("course")] = f
		default:
			if r := oneroster.ByName(stem); r != nil && r.Plural == stem {
				p.files[r] = f
			} else if base != "manifest.csv" {
				p.Notes = append(p.Notes, base+" is not a file of OneRoster 1.1 and was not read")
			}
		}
	}
	sort.Strings(names)
	for key, m := range manifest {
		stem, isFile := strings.CutPrefix(key, "file.")
		if isFile && !strings.EqualFold(m, "absent") && found[stem+".csv"] == nil {
			return fmt.Errorf("%s: manifest.csv promises %s.csv, and it is missing", name, stem)
		}
	}
	if len(p.files) == 0 && manifest == nil {
		return fmt.Errorf("%s: no OneRoster 1.1 files (orgs.csv, users.csv, classes.csv, …) among %s", name, strings.Join(names, ", "))
	}
	for r, f := range p.links {
		if owner := p.files[r]; owner == nil || owner.mode != f.mode {
			return fmt.Errorf("%s: %s needs %s.csv beside it, both as bulk or both as delta", name, f.name, r.Plural)
		}
	}
	return nil
}

// Modes tells how each resource is carried.
func (p *Package) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := map[*oneroster.Resource]oneroster.Mode{}
	for r, f := range p.files {
		out[r] = f.mode
	}
	return out
}
