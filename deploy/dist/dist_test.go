package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Of the same parts the same bytes are made, whenever their files were written; and the
// image hangs together: each blob is what its digest says, and leads to those below it.
func TestSameBytes(t *testing.T) {
	var sums [2]string
	for i := range sums {
		r := parts(t, time.Now().Add(-time.Duration(i)*time.Hour))
		for _, target := range targets {
			if err := r.archive(target); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.image(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			hangsTogether(t, filepath.Join(r.out, "rollbook_0.1.0~x_oci.tar"))
		}
		if err := r.sums(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(text)
	}
	if sums[0] != sums[1] || strings.Count(sums[0], "\n") != len(targets)+1 {
		t.Errorf("%s\nand then\n%s", sums[0], sums[1])
	}
}

// parts are what a release is put together from, with something small for the programs.
func parts(t *testing.T, written time.Time) *release {
	t.Helper()
	r := &release{root: "../..", stage: t.TempDir(), out: t.TempDir(), version: "0.1.0~x",
		when: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	files := []string{"NOTICES"}
	for _, name := range completionFiles {
		files = append(files, filepath.Join("completions", name))
	}
	for _, target := range targets {
		files = append(files, filepath.Join(target.String(), target.program()))
	}
	for _, name := range files {
		path := filepath.Join(r.stage, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, written, written); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func hangsTogether(t *testing.T, image string) {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := untarred(t, f)
	seen := []string{"index.json", "oci-layout"}
	var follow func(b blob) // what a blob names
	follow = func(b blob) {
		name := "blobs/sha256/" + strings.TrimPrefix(b.Digest, "sha256:")
		text, ok := files[name]
		if !ok || len(text) != b.Size || digest([]byte(text)) != b.Digest {
			t.Fatalf("%+v: %d bytes", b, len(text))
		}
		seen = append(seen, name)
		if strings.HasSuffix(b.Type, "gzip") {
			return
		}
		var d struct {
			Manifests, Layers []blob
			Config            blob
		}
		if strings.Contains(b.Type, ".config.") {
			return
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		for _, below := range append(d.Manifests, d.Layers...) {
			follow(below)
		}
		if len(d.Layers) > 0 {
			follow(d.Config)
			runsAsNobody(t, files, d.Config, d.Layers[0])
		}
	}
	var top struct{ Manifests []blob }
	if err := json.Unmarshal([]byte(files["index.json"]), &top); err != nil || len(top.Manifests) != 1 {
		t.Fatal(err, files["index.json"])
	}
	follow(top.Manifests[0])
	for name := range files {
		if !slices.Contains(seen, name) {
			t.Errorf("nothing leads to %s", name)
		}
	}
	if len(seen) != 2+1+2*3 {
		t.Errorf("the image has %q", seen)
	}
}

func runsAsNobody(t *testing.T, files map[string]string, config, layer blob) {
	t.Helper()
	var c struct {
		Config struct {
			User       string
			Entrypoint []string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	text := func(b blob) string { return files["blobs/sha256/"+strings.TrimPrefix(b.Digest, "sha256:")] }
	if err := json.Unmarshal([]byte(text(config)), &c); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(strings.NewReader(text(layer)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	inside := untarred(t, bytes.NewReader(plain))
	if _, ok := inside[strings.TrimPrefix(c.Config.Entrypoint[0], "/")]; !ok || c.Config.User != "65532:65532" ||
		!slices.Equal(c.RootFS.DiffIDs, []string{digest(plain)}) {
		t.Errorf("%+v", c)
	}
}

func untarred(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for in := tar.NewReader(r); ; {
		head, err := in.Next()
		if err == io.EOF {
			return files
		}
		text, wrong := io.ReadAll(in)
		if err != nil || wrong != nil {
			t.Fatal(err, wrong)
		}
		files[head.Name] = string(text)
	}
}
