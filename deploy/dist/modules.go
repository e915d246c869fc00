package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// A module that is linked into a program.
type module struct{ path, version, dir string }

// listModules writes the bill of materials, and NOTICES: the licences of all that is in the
// programs.
func (r *release) listModules() error {
	modules, err := r.modules()
	if err != nil {
		return err
	}
	if err := r.notices(modules); err != nil {
		return err
	}
	return r.write("rollbook_"+r.version+"_sbom.cdx.json", func(w io.Writer) error {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		return out.Encode(r.bill(modules))
	})
}

// modules are those of the programs for all systems, with Go's own library; of what can
// be had already, nothing is fetched.
func (r *release) modules() ([]module, error) {
	found := map[string]module{}
	for _, t := range targets {
		out, err := r.ask("env", "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "go", "list", "-deps", "-f",
			"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}",
			"./cmd/rollbook")
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(out, "\n") {
			if cells := strings.Split(line, "\t"); len(cells) == 3 {
				found[cells[0]] = module{cells[0], cells[1], cells[2]}
			}
		}
	}
	own, err := r.ask("go", "env", "GOVERSION", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, root, _ := strings.Cut(own, "\n")
	found["std"] = module{"std", strings.TrimPrefix(version, "go"), root}
	var all []module
	for _, m := range found {
		all = append(all, m)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].path < all[j].path })
	return all, nil
}

// bill is a CycloneDX document.
func (r *release) bill(modules []module) any {
	type component struct {
		Type    string `json:"type"`
		Ref     string `json:"bom-ref"`
		Name    string `json:"name"`
		Version string `json:"version"`
		URL     string `json:"purl"`
	}
	part := func(kind string, m module) component {
		url := "pkg:golang/" + m.path + "@" + m.version
		return component{kind, url, m.path, m.version, url}
	}
	parts := []component{}
	for _, m := range modules {
		parts = append(parts, part("library", m))
	}
	return map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": parts,
		"metadata": map[string]any{"timestamp": r.when.Format(time.RFC3339),
			"component": part("application", module{path: "rollbook", version: r.version})}}
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)`)

func (r *release) notices(modules []module) error {
	var b strings.Builder
	b.WriteString("Rollbook has in it what others wrote. These are their licences.\n")
	for _, m := range modules {
		files, err := fs.ReadDir(os.DirFS(m.dir), ".")
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n==== %s %s\n", m.path, m.version)
		none := true
		for _, f := range files {
			if f.IsDir() || !licenceFile.MatchString(f.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(m.dir, f.Name()))
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(string(text)))
			none = false
		}
		if none {
			return errors.New(m.path + ": it has no licence")
		}
	}
	return os.WriteFile(filepath.Join(r.stage, "NOTICES"), []byte(b.String()), 0o644)
}
