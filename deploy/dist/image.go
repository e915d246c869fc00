package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// nobody is who runs the program in a container.
const nobody = 65532

// roots are where systems keep the certificates that they trust: an image needs its own.
var roots = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem"}

// A blob of an image, as others name it (OCI image specification, descriptors).
type blob struct {
	Type     string            `json:"mediaType"`
	Digest   string            `json:"digest"`
	Size     int               `json:"size"`
	Platform map[string]string `json:"platform,omitempty"`
	Names    map[string]string `json:"annotations,omitempty"`

	bytes []byte
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func blobOf(kind string, b []byte) blob {
	return blob{Type: "application/vnd.oci.image." + kind, Digest: digest(b), Size: len(b), bytes: b}
}

func document(kind string, v any) (blob, error) {
	b, err := json.Marshal(v)
	return blobOf(kind+".v1+json", b), err
}

// image makes an image for containers, of the programs for Linux and nothing else but the
// certificates that they trust: an OCI layout in one tar.
func (r *release) image() error {
	var all, manifests []blob
	for _, t := range targets {
		if t.os != "linux" {
			continue
		}
		made, err := r.imageOf(t)
		if err != nil {
			return err
		}
		all = append(all, made...)
		manifests = append(manifests, made[len(made)-1])
	}
	index, err := document("index", map[string]any{"schemaVersion": 2,
		"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
	if err != nil {
		return err
	}
	all = append(all, index)
	tag := strings.ReplaceAll(r.version, "~", "-")
	index.Names = map[string]string{"org.opencontainers.image.ref.name": tag,
		"io.containerd.image.name": "localhost/rollbook:" + tag}
	top, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []blob{index}})
	if err != nil {
		return err
	}
	return r.write("rollbook_"+r.version+"_oci.tar", func(w io.Writer) error {
		out := tar.NewWriter(w)
		put := func(name string, b []byte) error {
			err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(b)), ModTime: r.when})
			if err != nil {
				return err
			}
			_, err = out.Write(b)
			return err
		}
		if err := errors.Join(put("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)), put("index.json",
			top)); err != nil {
			return err
		}
		for _, b := range all {
			if err := put("blobs/sha256/"+b.Digest[len("sha256:"):], b.bytes); err != nil {
				return err
			}
		}
		return out.Close()
	})
}

// imageOf makes the blobs for one system, its manifest last.
func (r *release) imageOf(t target) ([]blob, error) {
	layer, err := r.layer(t)
	if err != nil {
		return nil, err
	}
	var pressed bytes.Buffer
	z := gzip.NewWriter(&pressed)
	if _, err := z.Write(layer); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	files := blobOf("layer.v1.tar+gzip", pressed.Bytes())
	config, err := document("config", map[string]any{
		"architecture": t.arch, "os": t.os, "created": r.when.Format(time.RFC3339),
		"config": map[string]any{
			"User":         fmt.Sprintf("%d:%d", nobody, nobody),
			"Entrypoint":   []string{"/usr/bin/rollbook"},
			"Cmd":          []string{"serve"},
			"WorkingDir":   "/var/lib/rollbook",
			"Volumes":      map[string]any{"/var/lib/rollbook": struct{}{}},
			"ExposedPorts": map[string]any{"8080/tcp": struct{}{}},
			"Env": []string{"PATH=/usr/bin", "HOME=/var/lib/rollbook", "ROLLBOOK_ADDR=:8080",
				"ROLLBOOK_DB=/var/lib/rollbook/rollbook.db"},
			"Labels": map[string]string{"org.opencontainers.image.title": "rollbook",
				"org.opencontainers.image.version":  r.version,
				"org.opencontainers.image.licenses": "Apache-2.0"},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := document("manifest", map[string]any{"schemaVersion": 2,
		"mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []blob{files}})
	manifest.Platform = map[string]string{"os": t.os, "architecture": t.arch}
	return []blob{files, config, manifest}, err
}

func (r *release) layer(t target) ([]byte, error) {
	trusted := ""
	for _, f := range roots {
		if _, err := os.Stat(f); err == nil {
			trusted = f
			break
		}
	}
	if trusted == "" {
		return nil,
			errors.New("the image needs the certificates that a system trusts: install ca-certificates")
	}
	users := filepath.Join(r.stage, "passwd")
	text := fmt.Sprintf("rollbook:x:%d:%d::/var/lib/rollbook:/sbin/nologin\n", nobody, nobody)
	if err := os.WriteFile(users, []byte(text), 0o644); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err := tarred(&b, []file{
		{"usr/bin/rollbook", filepath.Join(r.stage, t.String(), t.program()), 0o755, 0},
		{"usr/share/doc/rollbook/NOTICES", filepath.Join(r.stage, "NOTICES"), 0o644, 0},
		{"etc/ssl/certs/ca-certificates.crt", trusted, 0o644, 0},
		{"etc/passwd", users, 0o644, 0},
		{"tmp/", "", 0o1777, 0},
		{"var/lib/rollbook/", "", 0o750, nobody},
	}, r.when)
	return b.Bytes(), err
}
