// Package bulk reads and writes districts as packages of CSV files: the
// OneRoster 1.1 CSV binding, as a zip or a folder. Reading turns files into a
// stream of records with what could not be read of them, by file, row and column;
// whether they can be used is judged elsewhere.
package bulk

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding"

	"rollbook/internal/oneroster"
)

// Options of a package.
type Options struct {
	// Encoding is what files are written in that are not UTF-8; nil is
	// Windows-1252, where it is plausible.
	Encoding encoding.Encoding
	// Now tells today, for packages that name no school year; nil is time.Now.
	Now func() time.Time
}

// A Package is an opened set of files, and a oneroster.Source of what is in them, right or
// wrong: it is to be checked.
type Package struct {
	files  map[*oneroster.Resource]*file
	links  map[*oneroster.Resource]*file // classResources, courseResources
	found  map[string]*file              // all files that are known, by the name that the format gives them
	absent []*file                       // those that the manifest says are not there
	closer io.Closer
	sds    *converter // the files come from School Data Sync's; nil when not

	// Notes are what was noticed, for people.
	Notes []string

	encoding  encoding.Encoding
	resources map[*oneroster.Resource]map[string]*linked // from the link files, by owner
	told      []oneroster.Link                           // in them
	unread    []oneroster.Link                           // that cannot be used
	plain     bool                                       // there is no manifest: it may be OneRoster 1.0
	now       func() time.Time
}

type file struct {
	name   string
	mode   oneroster.Mode
	open   func() (io.ReadCloser, error)
	nature *nature // once it was looked at
	made   *made   // instead of open, for files made of another format's
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

// Open reads the table of contents of a zip or a folder.
func Open(name string, opt Options) (*Package, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	p := &Package{files: map[*oneroster.Resource]*file{}, links: map[*oneroster.Resource]*file{},
		encoding: opt.Encoding, now: opt.Now}
	if p.now == nil {
		p.now = time.Now
	}
	var list []*file
	switch {
	case info.IsDir():
		list, p.closer, err = folder(name)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is a pipe or a device: give a folder with CSV files, or a zip of it", name)
	default:
		list, p.closer, err = archive(name)
	}
	if err == nil {
		err = p.assign(name, list)
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

// assign gives the files found their resources and modes.
func (p *Package) assign(name string, list []*file) error {
	found, err := p.recognise(name, list)
	if err != nil {
		return err
	}
	p.found = found
	manifest, err := p.readManifest(found["manifest.csv"])
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := p.foreign(found); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.plain = manifest == nil
	if manifest == nil {
		if done, err := p.fromSDS(found); done || err != nil {
			return err
		}
	}
	var names []string
	for _, ours := range sortedKeys(found) {
		f := found[ours]
		names = append(names, f.name)
		stem := strings.TrimSuffix(ours, path.Ext(ours))
		owner := oneroster.ByName(strings.TrimSuffix(stem, "Resources"))
		isLink := stem == "classResources" || stem == "courseResources"
		r := oneroster.ByName(stem)
		if ours == "manifest.csv" {
			continue
		}
		if !isLink && (r == nil || r.Plural != stem) {
			p.note(f.name + " is not a file of OneRoster 1.1 and was not read")
			continue
		}
		f.mode = oneroster.Bulk
		switch m, told := manifest["file."+stem]; {
		case m == "delta":
			f.mode = oneroster.Delta
		case m == "absent":
			p.absent = append(p.absent, f)
			continue
		case !told && manifest != nil && !(r != nil && r.Extension):
			return fmt.Errorf("%s: manifest.csv does not say whether %s is bulk or delta: add the row "+
				"file.%s,bulk or file.%s,delta", name, f.name, stem, stem)
		}
		if isLink {
			p.links[owner] = f
		} else {
			p.files[r] = f
		}
	}
	for key, m := range manifest {
		stem, isFile := strings.CutPrefix(key, "file.")
		if isFile && m != "absent" && found[stem+".csv"] == nil {
			return fmt.Errorf("%s: manifest.csv promises %s.csv, and it is missing%s", name, stem,
				p.noticed())
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%s: there is no CSV file in it%s", name, p.noticed())
	}
	if len(p.files) == 0 && manifest == nil {
		return fmt.Errorf("%s: no OneRoster 1.1 files (orgs.csv, users.csv, classes.csv, …) among %s", name,
			strings.Join(names, ", "))
	}
	for r, f := range p.links {
		if owner := p.files[r]; owner == nil || owner.mode != f.mode {
			return fmt.Errorf("%s: %s needs %s.csv beside it, both as bulk or both as delta", name, f.name,
				r.Plural)
		}
	}
	p.older(manifest)
	return nil
}

// noticed are the notes so far, for an error that they may explain: nobody is told
// them otherwise where the package cannot be opened.
func (p *Package) noticed() string {
	if len(p.Notes) == 0 {
		return ""
	}
	return " (" + strings.Join(p.Notes, "; ") + ")"
}

// older says aloud that a package is of OneRoster 1.0, whose columns are read.
func (p *Package) older(manifest map[string]string) {
	if manifest != nil {
		return
	}
	for r, f := range p.files {
		head := p.header(f)
		for _, col := range []string{"termSourcedId", "schoolYearId", "userId", "agents",
			"metadata.classification"} {
			if slices.Contains(head, col) {
				p.note(fmt.Sprintf("%s has the columns of OneRoster 1.0 and was read as such: %s.csv "+
					"without a manifest holds all %s", f.name, r.Plural, r.Plural))
				return
			}
		}
	}
}

// Modes tells how each resource is carried.
func (p *Package) Modes() map[*oneroster.Resource]oneroster.Mode {
	out := map[*oneroster.Resource]oneroster.Mode{}
	for r, f := range p.files {
		out[r] = f.mode
	}
	return out
}

// Columns are the columns that are read of each CSV file, by the name that its format gives
// the file, as they are meant; and those that are not read. Only resources that modes has as
// Bulk are told of: a delta holds what changed and no more.
func (p *Package) Columns(modes map[*oneroster.Resource]oneroster.Mode) (read, unread map[string][]string) {
	read, unread = map[string][]string{}, map[string][]string{}
	if p.sds != nil {
		for name, f := range p.found {
			read[name] = p.header(f)
		}
		return read, unread
	}
	for r, f := range p.files {
		if modes[r] != oneroster.Bulk {
			continue
		}
		name, v := r.Plural+".csv", vocabularyOf(r)
		read[name] = []string{}
		for _, col := range p.header(f) {
			ours, key := v.meant(col)
			if n, is := v.fields[ours]; key != "" || is && n >= 0 {
				read[name] = append(read[name], ours)
			} else {
				unread[name] = append(unread[name], col)
			}
		}
	}
	return read, unread
}

// Format is what the package was written for, as people call it.
func (p *Package) Format() string {
	switch {
	case p.sds == nil:
		return "OneRoster CSV"
	case p.sds.version == "v2.1" && p.found["roles.csv"] == nil:
		return "School Data Sync v2, the early four files"
	}
	return "School Data Sync " + p.sds.version
}

// Tells is true where a manifest says which files the package has, so that one that is
// not there is not missing.
func (p *Package) Tells() bool { return !p.plain }
