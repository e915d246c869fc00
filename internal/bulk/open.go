package bulk

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// Bounds of a package.
const (
	maxEntries  = 1000
	maxUnpacked = 8 << 30 // bytes in all files
	maxRatio    = 200     // unpacked to packed, of a file beyond 10 MiB
	freeRatio   = 10 << 20
)

// folder lists the files of a folder. Pipes and devices would never end.
func folder(name string) ([]*file, io.Closer, error) {
	root, err := os.OpenRoot(name) // links cannot lead out of it
	if err != nil {
		return nil, nil, err
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		_ = root.Close()
		return nil, nil, err
	}
	var found []*file
	var folders []string
	stray := "" // a manifest that is not where it belongs
	for _, e := range entries {
		base := e.Name()
		switch {
		case e.IsDir():
			inner, err := fs.ReadDir(root.FS(), base)
			if err != nil {
				break // nothing in it is ours to read
			}
			for _, i := range inner {
				if isCSV(i.Name()) && (len(folders) == 0 || folders[len(folders)-1] != filepath.Join(name,
					base)) {
					folders = append(folders, filepath.Join(name, base))
				}
				if isStray(i.Name()) {
					stray = base + "/" + i.Name()
				}
			}
		case strings.HasPrefix(base, "."):
			if isStray(base) {
				stray = base
			}
		default:
			info, err := root.Stat(base)
			if err == nil && !info.Mode().IsRegular() && isCSV(base) {
				err = errors.New("it is a pipe or a device, not a file")
			}
			if err != nil && isCSV(base) {
				_ = root.Close()
				return nil, nil, fmt.Errorf("%s: %s cannot be read: %w", name, base, err)
			}
			found = append(found, &file{name: base, open: func() (io.ReadCloser,
				error) {
				return regular(root, base)
			}})
		}
	}
	if len(found) == 0 && len(folders) > 0 {
		_ = root.Close()
		return nil, nil, fmt.Errorf("%s: there is no CSV file in this folder; there are in %s: give that",
			name, strings.Join(folders, ", "))
	}
	if stray != "" {
		_ = root.Close()
		return nil, nil, misplaced(name, stray)
	}
	return found, root, nil
}

// Files yields the files that a package is made of, as they are: the zip itself, or the
// CSV files of a folder in the order of their names.
func Files(name string, yield func(name string, r io.Reader) error) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	dir, bases := name, []string{}
	switch {
	case info.Mode().IsRegular():
		dir, bases = filepath.Dir(name), append(bases, filepath.Base(name))
	case !info.IsDir():
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if info.IsDir() {
		entries, err := fs.ReadDir(root.FS(), ".")
		if err != nil {
			return err
		}
		for _, e := range entries {
			if at, err := root.Stat(e.Name()); err == nil && at.Mode().IsRegular() && isCSV(e.Name()) {
				bases = append(bases, e.Name())
			}
		}
	}
	for _, base := range bases {
		f, err := regular(root, base)
		if err != nil {
			return err
		}
		if err := errors.Join(yield(base, f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// isStray tells a manifest by its name; those that begin with "._" are a Mac's.
func isStray(base string) bool {
	return isCSV(base) && meantAs(base) == "manifest.csv" && !strings.HasPrefix(base, "._")
}

func misplaced(name, stray string) error {
	return fmt.Errorf("%s: %s may be meant as the manifest: put it beside the other files as "+
		"manifest.csv, or take it out", name, stray)
}

// regular opens a file that may have become something else since it was listed:
// a pipe is not waited for.
func regular(root *os.Root, base string) (io.ReadCloser, error) {
	f, err := root.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%s has gone or cannot be opened any more: wait until the package is "+
			"whole, and import again (%w)", base, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is a pipe or a device, not a file", base))
	}
	return f, nil
}

func isCSV(base string) bool { return strings.EqualFold(path.Ext(base), ".csv") }

// archive lists the files of a zip, which lie in one folder of it.
func archive(name string) ([]*file, io.Closer, error) {
	z, err := zip.OpenReader(name)
	if err != nil {
		return nil, nil, noZip(name, err)
	}
	found, err := entries(name, z.File)
	if err != nil {
		_ = z.Close()
		return nil, nil, err
	}
	return found, z, nil
}

// noZip says what a file is that is no zip.
func noZip(name string, err error) error {
	begin := make([]byte, 8)
	if f, e := os.Open(name); e == nil {
		n, _ := io.ReadFull(f, begin)
		begin = begin[:n]
		_ = f.Close()
	}
	kind := kindOf(begin)
	switch {
	case !errors.Is(err, zip.ErrFormat):
		return fmt.Errorf("%s: %w", name, err)
	case len(begin) == 0:
		return fmt.Errorf("%s is empty: export or upload it again", name)
	case strings.HasPrefix(kind, "a zip"):
		return fmt.Errorf("%s is a zip that breaks off: the upload may have been cut; send it again", name)
	case kind != "":
		return fmt.Errorf("%s is %s: give the folder with the CSV files, or a zip of it", name, kind)
	}
	return fmt.Errorf("%s is neither a folder nor a zip: give the folder with the CSV files, or "+
		"a zip of it", name)
}

func entries(name string, list []*zip.File) ([]*file, error) {
	if len(list) > maxEntries {
		return nil, fmt.Errorf("%s: %d entries; a package has at most %d", name, len(list), maxEntries)
	}
	var found []*file
	var zips []string
	folders := map[string]bool{}
	var total uint64
	for _, f := range list {
		whole := strings.ReplaceAll(f.Name, `\`, "/") // some tools of Windows write it so
		clean := path.Clean(whole)
		if strings.HasPrefix(whole, "/") || strings.HasPrefix(clean, "..") || strings.Contains(clean, ":") {
			return nil, fmt.Errorf("%s: the entry %q leads out of the package: make the zip anew from the "+
				"files alone", name, f.Name)
		}
		base, dir := path.Base(clean), path.Dir(clean)
		switch {
		case clean == "xl/workbook.xml":
			return nil, fmt.Errorf("%s is an Excel workbook: save each sheet as CSV (UTF-8), and "+
				"give the folder", name)
		case strings.HasPrefix(base, ".") && isStray(base) && !strings.HasPrefix(clean, "__MACOSX"):
			return nil, misplaced(name, f.Name)
		case f.FileInfo().IsDir() || strings.HasSuffix(whole, "/") || strings.HasPrefix(clean,
			"__MACOSX") || strings.HasPrefix(base, "."):
			continue
		case strings.EqualFold(path.Ext(base), ".zip"):
			zips = append(zips, f.Name)
			continue
		}
		if isCSV(base) {
			if err := usable(name, f, &total); err != nil {
				return nil, err
			}
			folders[dir] = true
		}
		found = append(found, &file{name: base, open: f.Open})
	}
	if len(folders) > 1 {
		var names []string
		for d := range folders {
			names = append(names, d)
		}
		sort.Strings(names)
		return nil, fmt.Errorf("%s: there are CSV files in several folders (%s): make a zip of the one "+
			"that is meant", name, strings.Join(names, ", "))
	}
	switch {
	case len(folders) == 0 && len(zips) > 0:
		return nil, fmt.Errorf("%s holds another zip, %s: unpack it, and give that one", name, zips[0])
	case len(found) == 0:
		return nil, fmt.Errorf("%s is an empty zip: export it again", name)
	}
	return found, nil
}

// usable tells why an entry cannot be unpacked.
func usable(name string, f *zip.File, total *uint64) error {
	switch *total += f.UncompressedSize64; {
	case f.Flags&1 != 0:
		return fmt.Errorf("%s: %s is locked with a password: make the zip without one", name, f.Name)
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return fmt.Errorf("%s: %s is compressed in a way that is not read here (method %d): make an "+
			"ordinary zip", name, f.Name, f.Method)
	case *total > maxUnpacked || f.UncompressedSize64 > freeRatio && f.UncompressedSize64 > maxRatio*max(1,
		f.CompressedSize64):
		return fmt.Errorf("%s: %q unpacks to far more than a district holds; it was not opened", name, f.Name)
	}
	return nil
}
