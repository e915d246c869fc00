package outlet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"

	"rollbook/internal/bulk"
	"rollbook/internal/oneroster"
	"rollbook/internal/source"
	"rollbook/internal/store"
)

// name of the package of a delivery: one that is made again, after a crash, takes the place of the first.
func (d *Delivery) name() string { return fmt.Sprintf("grades-%012d.zip", d.From) }

// pack is a delivery as a OneRoster 1.1 delta package.
func (d *Delivery) pack() ([]byte, error) {
	var out bytes.Buffer
	_, err := bulk.WriteDelta(&out, func(r *oneroster.Resource, yield func(before,
		after oneroster.Record) error) error {
		for _, g := range d.Put {
			if g.Resource == r {
				if err := yield(oneroster.Record{}, g.Record); err != nil {
					return err
				}
			}
		}
		for _, g := range d.Deleted {
			if g.Resource == r {
				if err := yield(g.Record, oneroster.Record{}); err != nil {
					return err
				}
			}
		}
		return nil
	}, d.Modified)
	return out.Bytes(), err
}

type folder string

func newFolder(dir string) (Place, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("--folder %q: write the whole path, since a service does not run in this "+
			"folder", dir)
	}
	return folder(dir), nil
}

func (f folder) Test(context.Context) (string, error) {
	tmp, err := os.CreateTemp(string(f), ".grades-*")
	if err != nil {
		return "", err
	}
	return "it can be written to", errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// Deliver writes a package beside its place and moves it there when it is on the disk.
func (f folder) Deliver(_ context.Context, d *Delivery) ([]store.Undelivered, error) {
	text, err := d.pack()
	if err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(string(f), ".grades-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(0o640), tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	return nil, os.Rename(tmp.Name(), filepath.Join(string(f), d.name()))
}

// SFTP is a folder of an SFTP server.
type SFTP struct {
	URL     string `json:"url"`     // sftp://user@host[:port]/path
	HostKey string `json:"hostKey"` // fingerprint of the server's key: SHA256:…
}

type remote struct {
	*SFTP
	url     *url.URL
	secrets source.Secrets
}

func (s *SFTP) place(secrets source.Secrets) (Place, error) {
	// What a source takes is right here too.
	if _, err := (source.Settings{SFTP: &source.SFTP{URL: s.URL,
		HostKey: s.HostKey}}).Place(secrets); err != nil {
		return nil, err
	}
	u, err := url.Parse(s.URL)
	return &remote{s, u, secrets}, err
}

func (r *remote) within(ctx context.Context, do func(c *sftp.Client, dir string) error) error {
	c, done, err := source.DialSFTP(ctx, r.url, r.HostKey, r.secrets)
	if err != nil {
		return err
	}
	defer done()
	return do(c, path.Clean("/"+strings.TrimPrefix(r.url.Path, "/")))
}

func (r *remote) Test(ctx context.Context) (string, error) {
	err := r.within(ctx, func(c *sftp.Client, dir string) error {
		info, err := c.Stat(dir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", dir)
		}
		return err
	})
	return "the folder is there", err
}

func (r *remote) Deliver(ctx context.Context, d *Delivery) ([]store.Undelivered, error) {
	text, err := d.pack()
	if err != nil {
		return nil, err
	}
	return nil, r.within(ctx, func(c *sftp.Client, dir string) error {
		part := path.Join(dir, "."+d.name()+".part")
		f, err := c.Create(part)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		name := path.Join(dir, d.name())
		if err = c.PosixRename(part, name); err != nil { // a server that has only the old way
			_ = c.Remove(name)
			err = c.Rename(part, name)
		}
		return err
	})
}
