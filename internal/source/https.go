package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"rollbook/internal/provider"
)

// HTTPS is a zip that a web server has.
type HTTPS struct {
	URL  string `json:"url"`            // without its query, which may be a token: the secret Query
	User string `json:"user,omitempty"` // of Basic; the password is a secret
	CA   string `json:"ca,omitempty"`   // PEM of an authority to trust beside the system's
}

// httpsTime is how long a server may let wait for the beginning of its answer; the rest takes what it
// takes, as long as it goes on. Tests set it.
var httpsTime = 60 * time.Second

// Hide takes the query out of the URL, and returns it: it is a secret.
func (h *HTTPS) Hide() (query string) {
	h.URL, query, _ = strings.Cut(h.URL, "?")
	return query
}

type web struct {
	*HTTPS
	client  *http.Client
	secrets Secrets
}

func (h *HTTPS) place(secrets Secrets) (Place, error) {
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("--https %q: write https://host/path/of/package.zip", hideURL(h.URL))
	case u.User != nil:
		return nil, errors.New("--https: give the user by --user, and leave the password out of the URL: " +
			"it is asked for, or taken from ROLLBOOK_PASSWORD")
	}
	roots, more := provider.Authorities([]byte(h.CA))
	if h.CA != "" && !more {
		return nil, errors.New("--ca: there is no certificate in it, in PEM")
	}
	w := &web{h, &http.Client{}, secrets}
	w.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout: httpsTime, ResponseHeaderTimeout: httpsTime, Proxy: http.ProxyFromEnvironment,
		DisableCompression: true}
	w.client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case len(via) > 5:
			return errors.New("it redirects without end")
		case r.URL.Scheme != "https" || r.URL.Host != u.Host:
			return fmt.Errorf("it redirects to %s://%s, which is not %s: give the final URL", r.URL.Scheme,
				r.URL.Host, u.Host)
		}
		return nil
	}
	return w, nil
}

// version is what a server says of the file that it gave last.
type version struct {
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

func (w *web) ask(ctx context.Context, method string, last version) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, w.URL, nil)
	if err != nil {
		return nil, err
	}
	if query := w.secrets[Query]; query != "" {
		r.URL.RawQuery = query
	}
	r.Header.Set("User-Agent", "Rollbook")
	r.Header.Set("Accept", "application/zip, */*;q=0.5")
	switch {
	case w.secrets[Bearer] != "":
		r.Header.Set("Authorization", "Bearer "+w.secrets[Bearer])
	case w.User != "" || w.secrets[Password] != "":
		r.SetBasicAuth(w.User, w.secrets[Password])
	}
	if last.ETag != "" {
		r.Header.Set("If-None-Match", last.ETag)
	} else if last.Modified != "" {
		r.Header.Set("If-Modified-Since", last.Modified)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		if wrong := new(url.Error); errors.As(err, &wrong) { // which has the whole URL
			err = wrong.Err
		}
		return nil, fmt.Errorf("%s: %w", w.URL, err)
	}
	switch answer.StatusCode {
	case http.StatusOK, http.StatusNotModified:
		return answer, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		err = fmt.Errorf("%s answers %s: look at the user and the password, or the token", w.URL,
			answer.Status)
	case http.StatusNotFound:
		err = fmt.Errorf("%s answers %s: there is no file of that name", w.URL, answer.Status)
	default:
		err = fmt.Errorf("%s answers %s", w.URL, answer.Status)
	}
	_ = answer.Body.Close()
	return nil, err
}

func (w *web) Test(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer, err := w.ask(ctx, http.MethodGet, version{})
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	defer time.AfterFunc(httpsTime, cancel).Stop()
	begin := make([]byte, 4)
	n, err := io.ReadFull(answer.Body, begin)
	if err != nil && ctx.Err() != nil {
		return "", fmt.Errorf("%s broke off after %d bytes: %w", w.URL, n, err)
	}
	if !isZip(begin[:n]) {
		return "", w.noZip(answer)
	}
	return fmt.Sprintf("a zip of %d bytes, of %s", answer.ContentLength, answer.Header.Get("Last-Modified")),
		nil
}

func (w *web) noZip(answer *http.Response) error {
	return fmt.Errorf("%s is no zip but %q: give the URL of the package itself", w.URL,
		answer.Header.Get("Content-Type"))
}

func isZip(begin []byte) bool {
	return bytes.HasPrefix(begin, []byte("PK\x03\x04")) || bytes.HasPrefix(begin, []byte("PK\x05\x06"))
}

func (w *web) Fetch(ctx context.Context, dir string, memory json.RawMessage) (got Fetched, err error) {
	var last version
	_ = json.Unmarshal(memory, &last) // nil is none
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer, err := w.ask(ctx, http.MethodGet, last)
	if err != nil {
		return got, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotModified {
		if last == (version{}) {
			return got, fmt.Errorf("%s answers %s, and nothing was taken from it yet: is a cache in front?",
				w.URL, answer.Status)
		}
		return Fetched{Nothing: "nothing new: the server has the file that was taken last"}, nil
	}
	name := nameOf(answer)
	stalled := time.AfterFunc(httpsTime, cancel)
	defer stalled.Stop()
	n, err := writeFile(ctx, filepath.Join(dir, name), &moving{answer.Body, stalled})
	if err == nil {
		err = ctx.Err() // a server that sees us go may end its answer as if it were whole
	}
	switch {
	case err != nil:
		return got, fmt.Errorf("%s broke off after %d bytes: %w", w.URL, n, err)
	case answer.ContentLength >= 0 && n != answer.ContentLength:
		return got, fmt.Errorf("%s broke off after %d of %d bytes", w.URL, n, answer.ContentLength)
	}
	got = Fetched{Path: filepath.Join(dir, name), Name: name,
		Memory: version{answer.Header.Get("Etag"), answer.Header.Get("Last-Modified")}}
	f, err := os.Open(got.Path)
	if err != nil {
		return got, err
	}
	defer f.Close()
	begin := make([]byte, 4)
	if n, _ := io.ReadFull(f, begin); !isZip(begin[:n]) {
		return got, w.noZip(answer)
	}
	return got, nil
}

// moving lets a timer wait as long as something comes.
type moving struct {
	io.Reader
	stalled *time.Timer
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.stalled.Reset(httpsTime)
	return n, err
}

// nameOf is a name for the file of an answer, which ends in .zip.
func nameOf(answer *http.Response) string {
	_, params, _ := mime.ParseMediaType(answer.Header.Get("Content-Disposition"))
	name := params["filename"]
	if name == "" {
		name = path.Base(answer.Request.URL.Path)
	}
	name = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.",
			c) {
			return c
		}
		return '_'
	}, name)
	name = strings.TrimLeft(name, ".")
	if len(name) > 100 {
		name = name[:100]
	}
	if name == "" || !strings.EqualFold(path.Ext(name), ".zip") {
		name += "package.zip"
	}
	return name
}
