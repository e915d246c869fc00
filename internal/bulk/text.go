package bulk

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	uni "golang.org/x/text/encoding/unicode"
)

// A nature is what the first reading of a file found. Every later reading must
// find the same bytes: what was checked is what is imported.
type nature struct {
	sum      [sha256.Size]byte
	encoding encoding.Encoding // nil is UTF-8
	end      byte              // of lines, \n or \r
	err      error
}

// Encoding finds an encoding by one of the names that web pages use for it.
func Encoding(name string) (encoding.Encoding, error) {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(name))
	web := name
	switch { // names that people use and web pages do not
	case plain == "macroman" || plain == "macosroman":
		web = "macintosh"
	case plain == "ansi":
		web = "windows-1252"
	case len(plain) == 6 && strings.HasPrefix(plain, "cp125"), len(plain) == 11 && strings.HasPrefix(plain,
		"windows125"):
		web = "windows-125" + plain[len(plain)-1:]
	}
	e, err := htmlindex.Get(web)
	if err != nil {
		return nil, fmt.Errorf("%q is no encoding that is known here: give a name such as windows-1252, "+
			"macintosh, shift_jis or utf-16le", name)
	}
	return e, nil
}

// text opens a file as UTF-8 without a byte order mark, whatever it is written in.
func (p *Package) text(f *file) (io.ReadCloser, error) {
	if f.nature == nil {
		n := p.look(f)
		f.nature = &n
	}
	if f.nature.err != nil {
		return nil, f.nature.err
	}
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	same := &sameBytes{r: r, name: f.name, want: f.nature.sum, sum: sha256.New()}
	var text io.Reader = bufio.NewReaderSize(same, 1<<16)
	if f.nature.encoding != nil {
		text = f.nature.encoding.NewDecoder().Reader(text)
	}
	buffered := bufio.NewReaderSize(text, 1<<16)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	return struct {
		io.Reader
		io.Closer
	}{buffered, r}, nil
}

// sameBytes ends with an error where a file is no longer what it was.
type sameBytes struct {
	r    io.Reader
	name string
	want [sha256.Size]byte
	sum  hash.Hash
}

func (s *sameBytes) Read(buf []byte) (int, error) {
	n, err := s.r.Read(buf)
	s.sum.Write(buf[:n])
	if err == io.EOF && !bytes.Equal(s.sum.Sum(nil), s.want[:]) {
		return 0, fmt.Errorf("%s has changed while it was read: wait until it is written whole, and "+
			"import again", s.name)
	}
	return n, err
}

// look reads a file once: its hash, and what it is written in.
func (p *Package) look(f *file) (n nature) {
	r, err := f.open()
	if err != nil {
		n.err = fmt.Errorf("%s: %w", f.name, err)
		return n
	}
	defer r.Close()
	sum := sha256.New()
	var g glyphs
	buf := make([]byte, 1<<16)
	begin := []byte{}
	for {
		k, err := r.Read(buf)
		sum.Write(buf[:k])
		if len(begin) < 8 {
			begin = append(begin, buf[:min(k, 8)]...)
		}
		g.take(buf[:k])
		if err == io.EOF {
			break
		}
		if err != nil {
			n.err = fmt.Errorf("%s cannot be read, it is damaged: make the package anew (%w)", f.name, err)
			return n
		}
	}
	g.end()
	if n.end = '\n'; g.crs > 0 && g.lfs == 0 {
		n.end = '\r'
	}
	n.sum = [sha256.Size]byte(sum.Sum(nil))
	switch kind := kindOf(begin); {
	case kind != "":
		n.err = fmt.Errorf("%s is %s, not a CSV file: save it as CSV (UTF-8)", f.name, kind)
	case bytes.HasPrefix(begin, []byte("\xff\xfe")), bytes.HasPrefix(begin, []byte("\xfe\xff")):
		n.encoding = uni.UTF16(uni.LittleEndian, uni.UseBOM)
		p.note(f.name + " is UTF-16 and was read as such")
	case p.encoding != nil && (g.invalid > 0 || g.multibyte == 0):
		n.encoding = p.encoding
	case g.zeros > 0:
		n.err = fmt.Errorf("%s holds NUL bytes: it is UTF-16 without its mark, or no text; save it as "+
			"UTF-8, or say --encoding utf-16le", f.name)
	case g.invalid == 0 || g.multibyte >= g.invalid:
		// UTF-8; the rows with other bytes are told one by one.
	default:
		if what := g.implausible(); what != "" {
			n.err = fmt.Errorf("%s is not UTF-8, and read as Windows-1252 it would say %s: save it as "+
				"UTF-8, or say what it is written in with --encoding "+
				"(windows-1252 where that is right)", f.name, what)
			return n
		}
		n.encoding = charmap.Windows1252
		p.note(fmt.Sprintf("%s is not UTF-8 and was read as Windows-1252, which makes %s of it: save it "+
			"as UTF-8, or say --encoding",
			f.name, strings.Join(g.examples(), ", ")))
	}
	return n
}

// kindOf names files of other kinds by how they begin.
func kindOf(begin []byte) string {
	for mark, kind := range map[string]string{
		"PK\x03\x04": "a zip or an Excel workbook", "\xd0\xcf\x11\xe0": "an old Excel workbook",
		"%PDF": "a PDF", "\x1f\x8b": "a gzip archive",
		"7z\xbc\xaf": "a 7z archive", "Rar!": "a RAR archive", "SQLite f": "a SQLite database",
	} {
		if bytes.HasPrefix(begin, []byte(mark)) {
			return kind
		}
	}
	return ""
}

// glyphs gathers what tells encodings apart.
type glyphs struct {
	multibyte, invalid, zeros int
	crs, lfs                  int
	kept                      []byte // the beginning of a character
	word                      []byte // the word that is being read
	words                     [][]byte
	high                      [256]int
}

func (g *glyphs) take(text []byte) {
	for _, c := range text { // words with letters beyond ASCII, as bytes
		switch {
		case c == '\r':
			g.crs++
			g.endWord()
		case c == '\n':
			g.lfs++
			g.endWord()
		case c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '\'':
			if len(g.word) < 64 {
				g.word = append(g.word, c)
			}
			if c >= 0x80 {
				g.high[c]++
			}
		default:
			g.endWord()
		}
	}
	if len(g.kept) > 0 {
		text = append(g.kept, text...)
		g.kept = nil
	}
	g.zeros += bytes.Count(text, []byte{0})
	for {
		for len(text) > 0 && text[0] < utf8.RuneSelf {
			text = text[1:]
		}
		if len(text) == 0 {
			return
		}
		if !utf8.FullRune(text) {
			g.kept = append([]byte(nil), text...)
			return
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			g.invalid++
		case size > 2 || r < 0x460 && !unicode.IsControl(r): // rarer letters come about by chance
			g.multibyte++
		}
		text = text[size:]
	}
}

func (g *glyphs) end() {
	g.endWord()
	g.invalid += len(g.kept)
}

func (g *glyphs) endWord() {
	if len(g.words) < 100000 && bytes.ContainsFunc(g.word, func(r rune) bool { return r >= 0x80 }) {
		g.words = append(g.words, append([]byte(nil), g.word...))
	}
	g.word = g.word[:0]
}

// examples are three words as Windows-1252 has them.
func (g *glyphs) examples() (out []string) {
	for _, w := range g.words {
		text := fmt.Sprintf("%q", windows(w))
		if !contains(out, text) && len(out) < 3 {
			out = append(out, text)
		}
	}
	return out
}

func windows(word []byte) string {
	text, err := charmap.Windows1252.NewDecoder().Bytes(word)
	if err != nil {
		return ""
	}
	return string(text)
}

// implausible tells what a file would say that no name in Western Europe says:
// signs inside a word, a capital behind a small letter, a word that is mostly
// accents (Cyrillic, Chinese, Japanese), letters of languages that do not meet.
func (g *glyphs) implausible() string {
	for _, w := range g.words {
		text := []rune(strings.TrimLeft(windows(w), "„")) // which opens a quotation
		high, letters := 0, 0
		for i, c := range text {
			before := rune(' ')
			if i > 0 {
				before = text[i-1]
			}
			switch {
			case c == utf8.RuneError || unicode.IsControl(c):
				return fmt.Sprintf("%q", string(text))
			case c < 0x80:
			case !unicode.IsLetter(c) && !strings.ContainsRune("‘’“”–—…´`ªº°·«»¿¡\u00a0€§©®", c):
				return fmt.Sprintf("%q", string(text))
			case !unicode.IsLetter(c) && unicode.IsLetter(before) && i+1 < len(text) &&
				unicode.IsLetter(text[i+1]) && !strings.ContainsRune("‘’´·", c):
				return fmt.Sprintf("%q", string(text))
			case unicode.IsUpper(c) && (unicode.IsLower(before) || unicode.IsLetter(before) &&
				i+1 < len(text) && unicode.IsLower(text[i+1])):
				return fmt.Sprintf("%q", string(text))
			}
			if unicode.IsLetter(c) {
				letters++
				if c >= 0x80 {
					high++
				}
			}
		}
		if letters >= 4 && 2*high > letters {
			return fmt.Sprintf("%q", string(text))
		}
	}
	if g.high[0xf8] > 0 && g.high[0xe5]+g.high[0xe6] == 0 &&
		g.high[0xec]+g.high[0xf9]+g.high[0x9a]+g.high[0x9e] > 0 {
		return "ø beside ì, ù, š or ž, as a Czech file would"
	}
	if what := g.odd(); what != "" {
		return fmt.Sprintf("%q", what)
	}
	return ""
}

// note adds a note, once.
func (p *Package) note(text string) {
	if !contains(p.Notes, text) {
		p.Notes = append(p.Notes, text)
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
