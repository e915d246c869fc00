package bulk

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// fileNames are the names that mean something to one of the formats.
var fileNames = func() map[string]string {
	out := map[string]string{}
	for _, r := range oneroster.Resources() {
		out[r.Plural] = r.Plural + ".csv"
	}
	for _, stem := range strings.Fields("manifest classResources courseResources School Section Student " +
		"Teacher StudentEnrollment " +
		"TeacherRoster User Guardianrelationship roles relationships userFlags") {
		out[stem] = stem + ".csv"
	}
	folded := map[string]string{}
	for stem, name := range out {
		folded[strings.ToLower(stem)] = name
	}
	folded["courseresourses"] = "courseResources.csv" // as the binding's own list misprints it
	return folded
}()

// recognise gives files the names that they are meant by: letter case counts for
// nothing, and a date or prefix that all of them share is taken off. A name that
// is nearly one of ours is refused where it may be meant: a manifest that is
// overlooked turns a delta into the retirement of everybody else.
func (p *Package) recognise(name string, list []*file) (map[string]*file, error) {
	found := map[string]*file{}
	var others []*file
	put := func(ours string, f *file) error {
		if other := found[ours]; other != nil {
			return fmt.Errorf("%s: both %s and %s are meant as %s, or there are two files of that "+
				"name: keep one", name, other.name, f.name, ours)
		}
		found[ours] = f
		return nil
	}
	for _, f := range list {
		ours := fileNames[strings.ToLower(stem(f.name))]
		if !isCSV(f.name) || ours == "" {
			others = append(others, f)
		} else if err := put(ours, f); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		if dressed, decoration := undress(others); dressed != nil {
			for ours, f := range dressed {
				if err := put(ours, f); err != nil {
					return nil, err
				}
			}
			p.note(fmt.Sprintf("%q was taken off the names of all files: %s was read as %s", decoration,
				oneOf(dressed).name, first(dressed)))
			others = slices.DeleteFunc(others,
				func(f *file) bool { return slices.Contains(slices.Collect(maps.Values(dressed)), f) })
		}
	}
	for _, f := range others {
		near := meantAs(f.name)
		switch {
		case near == "manifest.csv" || near != "" && isCSV(f.name) && found[near] == nil:
			return nil, fmt.Errorf("%s: %s may be meant as %s: give it that name, or take it out", name,
				f.name, near)
		case isCSV(f.name):
			found[f.name] = f // told later
		case near != "":
			p.note(f.name + " was not read: it is no CSV file; save it as one")
		}
	}
	return found, nil
}

func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

func first(m map[string]*file) string { return slices.Sorted(maps.Keys(m))[0] }

func oneOf(m map[string]*file) *file { return m[first(m)] }

// undress finds the one prefix or suffix that makes names of ours of all files.
func undress(list []*file) (map[string]*file, string) {
	out, decoration := map[string]*file{}, ""
	for _, f := range list {
		if !isCSV(f.name) {
			continue
		}
		base := strings.ToLower(stem(f.name))
		best, rest := "", ""
		for folded, ours := range fileNames {
			before, is := strings.CutSuffix(base, folded)
			behind, ends := strings.CutPrefix(base, folded)
			switch {
			case is && separated(before, len(before)-1) && len(folded) > len(best):
				best, rest = ours, "^"+stem(f.name)[:len(before)]
			case ends && separated(behind, 0) && len(folded) > len(best):
				best, rest = ours, stem(f.name)[len(folded):]+"$"
			}
		}
		if best == "" || decoration != "" && rest != decoration || out[best] != nil {
			return nil, ""
		}
		decoration = rest
		out[best] = f
	}
	if len(out) == 0 || copied.MatchString(decoration) {
		return nil, ""
	}
	return out, strings.Trim(decoration, "^$")
}

func separated(text string, at int) bool {
	return text != "" && strings.ContainsRune("_-. ", rune(text[at])) || text != "" && text[at] >= '0' &&
		text[at] <= '9'
}

// copied is how systems name a second copy of a file.
var copied = regexp.MustCompile(`(?i)\(\d+\)|copy|kopie|copie`)

// meantAs finds the name that a file name comes near to; "" for none.
func meantAs(name string) string {
	text := strings.ToLower(name)
	begin, _, _ := strings.Cut(text, ".")
	if strings.Contains(text, "manifest") || strings.Contains(text, "mainfest") || Distance(begin,
		"manifest") <= 2 {
		return "manifest.csv"
	}
	words := regexp.MustCompile(`[^a-z]+`).Split(text, -1)
	for folded, ours := range fileNames {
		if slices.Contains(words, folded) {
			return ours
		}
	}
	return ""
}

// manifestKeys are the properties of a manifest.
var manifestKeys = regexp.MustCompile(`^(ma(ni|in)fest\.version|oneroster\.version|source\.\w+|file\.\w+)$`)

// readManifest reads what the manifest says, and refuses one that cannot be
// understood whole: what it does not say is guessed by nobody.
func (p *Package) readManifest(f *file) (map[string]string, error) {
	if f == nil {
		return nil, nil
	}
	out := map[string]string{}
	wrong := func(line int, format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s", f.name, line, fmt.Sprintf(format, args...))
	}
	header := func(cells []string) error {
		if len(cells) < 2 || !strings.EqualFold(strings.TrimSpace(cells[0]), "propertyName") ||
			!strings.EqualFold(strings.TrimSpace(cells[1]), "value") {
			return wrong(1, "the header of a manifest is propertyName,value; this is %q",
				strings.Join(cells, ","))
		}
		return nil
	}
	err := p.rows(f, header, func(line int, cells []string, bad error) error {
		if bad != nil {
			return wrong(line, "%v", bad)
		}
		if len(cells) < 2 {
			return wrong(line, "a row has a name and a value; this is %q", strings.Join(cells, ","))
		}
		key, value := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])
		if !manifestKeys.MatchString(strings.ToLower(key)) {
			return wrong(line, "%q is no property of a manifest", key)
		}
		if kind, name, _ := strings.Cut(key, "."); strings.EqualFold(kind, "file") {
			ours := fileNames[strings.ToLower(name)]
			if ours == "" && !strings.EqualFold(value, "absent") {
				return wrong(line, "%q is no file of OneRoster 1.1", name)
			}
			key = "file." + strings.TrimSuffix(ours, ".csv")
			if value = strings.ToLower(value); value != "bulk" && value != "delta" && value != "absent" {
				return wrong(line, "%s is %q: write bulk, delta or absent", key, value)
			}
		} else {
			key = strings.ToLower(key)
		}
		if before, twice := out[key]; twice && before != value && key != "file." {
			return wrong(line, "%s is there twice, as %q and as %q: keep one", key, before, value)
		}
		out[key] = value
		return nil
	})
	if v := out["oneroster.version"]; err == nil && v != "" && v != "1.1" && v != "1.0" {
		return nil, fmt.Errorf("%s: oneroster.version is %q; this program reads OneRoster 1.1: export the "+
			"package as 1.1", f.name, v)
	}
	return out, err
}

// header reads the column names of a file.
func (p *Package) header(f *file) []string {
	var names []string
	if f == nil {
		return nil
	}
	_ = p.rows(f, func(h []string) error { // an unreadable file is told where it is read
		for _, col := range h {
			names = append(names, strings.TrimSpace(col))
		}
		return io.EOF
	}, func(int, []string, error) error { return nil })
	return names
}

// foreign names packages of other kinds, which have some file names in common
// with ours.
func (p *Package) foreign(found map[string]*file) error {
	has := func(file, column string) bool {
		return slices.ContainsFunc(p.header(found[file]),
			func(c string) bool { return strings.EqualFold(c, column) })
	}
	here := func(names ...string) bool {
		for _, n := range names {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(found)),
				func(f string) bool { return strings.EqualFold(f, n) }) {
				return false
			}
		}
		return true
	}
	switch {
	case here("schools.csv", "students.csv", "sections.csv") || has("enrollments.csv", "Section_id") &&
		has("enrollments.csv", "Student_id"):
		return errors.New("this is a package in Clever's format, which is not read here: export OneRoster " +
			"1.1 or School Data Sync CSV")
	case has("users.csv", "user_id") && has("users.csv", "login_id") || has("enrollments.csv", "user_id") &&
		has("courses.csv", "course_id"):
		return errors.New("this is a package in Canvas's SIS format, which is not read here: export " +
			"OneRoster 1.1 or School Data Sync CSV")
	case has("roles.csv", "roleType") || has("users.csv", "userMasterIdentifier") || here("userProfiles.csv"):
		return errors.New("this is a package of OneRoster 1.2; this program reads 1.1: export the " +
			"package as 1.1")
	}
	return nil
}
