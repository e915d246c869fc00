package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// A file of an archive; what has no source is a folder.
type file struct {
	name, source string
	mode         fs.FileMode
	owner        int // by number: user and group
}

// supervised are the files by which a system runs the service.
var supervised = map[string][]string{"linux": {"rollbook.service", "rollbook.env", "rollbook.1"},
	"darwin": {"org.rollbook.plist", "rollbook.1"}}

// archive makes the tar of a system, or for Windows the zip.
func (r *release) archive(t target) error {
	top := "rollbook_" + r.version + "_" + t.String()
	files := []file{{top + "/" + t.program(), filepath.Join(r.stage, t.String(), t.program()), 0o755, 0},
		{top + "/NOTICES", filepath.Join(r.stage, "NOTICES"), 0o644, 0}}
	for _, pattern := range []string{"LICENSE", "README.md", "CHANGELOG.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(r.root, pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			name, err := filepath.Rel(r.root, f)
			if err != nil {
				return err
			}
			files = append(files, file{top + "/" + filepath.ToSlash(name), f, 0o644, 0})
		}
	}
	if t.os == "windows" {
		return r.write(top+".zip", func(w io.Writer) error { return zipped(w, files, r.when) })
	}
	for _, name := range completionFiles {
		files = append(files, file{top + "/completions/" + name, filepath.Join(r.stage, "completions", name),
			0o644, 0})
	}
	for _, name := range supervised[t.os] {
		files = append(files, file{top + "/deploy/" + name, filepath.Join(r.root, "deploy", name), 0o644, 0})
	}
	return r.write(top+".tar.gz", func(w io.Writer) error {
		pressed := gzip.NewWriter(w)
		return errors.Join(tarred(pressed, files, r.when), pressed.Close())
	})
}

func tarred(w io.Writer, files []file, when time.Time) error {
	sort.Slice(files, func(i, j int) bool { return files[i].name < files[j].name })
	out := tar.NewWriter(w)
	for _, f := range files {
		head := &tar.Header{Name: f.name, Mode: int64(f.mode), Uid: f.owner, Gid: f.owner, ModTime: when,
			Typeflag: tar.TypeDir}
		var text []byte
		if f.source != "" {
			var err error
			if text, err = os.ReadFile(f.source); err != nil {
				return err
			}
			head.Typeflag, head.Size = tar.TypeReg, int64(len(text))
		}
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return out.Close()
}

func zipped(w io.Writer, files []file, when time.Time) error {
	sort.Slice(files, func(i, j int) bool { return files[i].name < files[j].name })
	out := zip.NewWriter(w)
	for _, f := range files {
		text, err := os.ReadFile(f.source)
		if err != nil {
			return err
		}
		head := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: when}
		head.SetMode(f.mode)
		part, err := out.CreateHeader(head)
		if err != nil {
			return err
		}
		if _, err := part.Write(text); err != nil {
			return err
		}
	}
	return out.Close()
}

// write makes one file of the release.
func (r *release) write(name string, fill func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

// sums writes SHA256SUMS, as sha256sum -c reads it.
func (r *release) sums() error {
	made, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, f := range made {
		text, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(text), f.Name())
	}
	return r.write("SHA256SUMS", func(w io.Writer) error {
		_, err := io.WriteString(w, lines.String())
		return err
	})
}
