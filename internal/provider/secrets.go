package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"

	"rollbook/internal/wire"
)

// A keeper knows what only the two sides of a connection may: the secret, what a Basic
// header makes of it, the tokens. A gateway that sends a request back, in an error or a
// name, would have it in files and on screens: what came is read without it.
type keeper struct {
	lock   sync.RWMutex
	secret [][]byte // as it may be spelled
	tokens [][]byte // likewise, the latest last
}

const (
	quickly     = 32  // bytes that a processor looks for at once
	leastSecret = 6   // letters: a shorter one stands in names and ids by chance
	mostTokens  = 256 // spellings of tokens that are remembered: some live for seconds
	leftOut     = "(left out)"
)

func newKeeper(id, secret string) *keeper {
	k := &keeper{secret: spellings(secret)}
	for _, pair := range []string{id + ":" + secret, url.QueryEscape(id) + ":" + url.QueryEscape(secret),
		secret} {
		for _, code := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			k.secret = append(k.secret, spellings(strings.TrimRight(code.EncodeToString([]byte(pair)),
				"="))...)
		}
	}
	return k
}

// Veil is what people are called by in what is told of this service: the same in every run.
func (p *Provider) Veil() *wire.Veil { return wire.NewVeil(p.URL + "\n" + p.Client + "\n" + p.Secret) }

// add makes a token one of the secrets.
func (k *keeper) add(token string) {
	k.lock.Lock()
	defer k.lock.Unlock()
	if slices.ContainsFunc(k.tokens, func(known []byte) bool { return string(known) == token }) {
		return
	}
	k.tokens = append(k.tokens, spellings(token)...)
	k.tokens = k.tokens[max(0, len(k.tokens)-mostTokens):]
}

var (
	escape   = regexp.MustCompile(`%[0-9A-F]{2}`)
	unspaced = strings.NewReplacer("+", "%20")
	// inScript is what encodeURIComponent leaves as it is.
	inScript = strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")
)

// inJSON writes signs, and letters beyond ASCII, as some writers of JSON do.
func inJSON(text, signs, format string) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		if unit > '~' || strings.ContainsRune(signs, rune(unit)) {
			fmt.Fprintf(&out, format, unit)
		} else {
			out.WriteByte(byte(unit))
		}
	}
	return out.String()
}

// spellings are how a text comes back: as it was sent, encoded as in a URL (or in one within one), as
// in HTML, and as the writers of JSON in Go, PHP and .NET have it.
func spellings(text string) (out [][]byte) {
	if len(text) < leastSecret {
		return nil
	}
	query := url.QueryEscape(text)
	quoted, _ := json.Marshal(text) // a text can be written
	for _, s := range []string{text, string(quoted[1 : len(quoted)-1]), html.EscapeString(text), query,
		url.QueryEscape(query), unspaced.Replace(query), inScript.Replace(query), url.PathEscape(text),
		escape.ReplaceAllStringFunc(query, strings.ToLower), strings.ReplaceAll(text, "/", `\/`),
		strings.ReplaceAll(inJSON(text, "", `\u%04x`), "/", `\/`), strings.ReplaceAll(text, "+", `\u002B`),
		inJSON(text, "+&<>'\"`", `\u%04X`)} {
		if !slices.ContainsFunc(out, func(known []byte) bool { return string(known) == s }) {
			out = append(out, []byte(s))
		}
	}
	return out
}

// clean is a text without the secrets, of which a nil keeper knows none. It is nearly always
// the text itself.
func (k *keeper) clean(text []byte) []byte {
	if k == nil {
		return text
	}
	k.lock.RLock()
	defer k.lock.RUnlock()
	for _, list := range [][][]byte{k.secret, k.tokens} {
		for _, s := range list {
			// What begins it is looked for quickly, a token of 500 bytes is not.
			if bytes.Contains(text, s[:min(len(s), quickly)]) {
				text = bytes.ReplaceAll(text, s, []byte(leftOut))
			}
		}
	}
	return text
}

// cleanIn is clean in the texts of a decoded JSON value: a letter may have come as \u0041.
func (k *keeper) cleanIn(v any) any {
	switch v := v.(type) {
	case string:
		if len(v) >= leastSecret {
			return string(k.clean([]byte(v)))
		}
	case []any:
		for i := range v {
			v[i] = k.cleanIn(v[i])
		}
	case map[string]any:
		for name, inner := range v {
			if fit := string(k.clean([]byte(name))); fit != name {
				delete(v, name)
				name = fit
			}
			v[name] = k.cleanIn(inner)
		}
	}
	return v
}

// kept are the headers that anybody reads.
var kept = []string{"Cache-Control", "Content-Encoding", "Content-Type", "Date", "Link", "Location",
	"Retry-After", "Www-Authenticate", "X-Total-Count"}

const (
	mostHeaders = 64 << 10 // bytes of an answer's headers; more is no answer
	mostHeader  = 8 << 10  // of all lines of one of them
)

// headers are those of an answer that anybody reads, as a terminal can show them.
func (k *keeper) headers(of http.Header) http.Header {
	out := http.Header{}
	for _, name := range kept {
		left := mostHeader
		for _, v := range of.Values(name) {
			if left -= len(v); left < 0 {
				break
			}
			out.Add(name, Signs(string(k.clean([]byte(v)))))
		}
	}
	return out
}

// sentence is an error whose text came from outside, in part.
func (k *keeper) sentence(err error) error {
	if t, ok := errors.AsType[*Trouble](err); ok {
		t.Text = Signs(string(k.clean([]byte(t.Text))))
	}
	return err
}

// Signs shows what a terminal would obey: control characters as ␛ and its like, what turns
// the direction of writing as �.
func Signs(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c < ' ':
			return '␀' + c
		case c == 0x7f:
			return '␡'
		case unicode.IsControl(c), c >= '\u202a' && c <= '\u202e', c >= '\u2066' && c <= '\u2069':
			return unicode.ReplacementChar
		}
		return c
	}, text)
}
