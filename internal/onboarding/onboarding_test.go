package onboarding_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollbook/internal/look/looktest"
	"rollbook/internal/onboarding"
)

var today = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

// opened is a folder with such files, in memory and on disk.
func opened(t *testing.T, dir string, files map[string]string) *onboarding.Folder {
	t.Helper()
	if _, err := onboarding.Open(dir, "1.0", today); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := onboarding.Open(dir, "1.0", today)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What is wrong with an answer is told with its line, and what to do.
func TestAnswers(t *testing.T) {
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	for _, c := range []struct{ yaml, key, state, says string }{
		{"product: Contoso SIS\n", "product", "done", "Contoso SIS"},
		{"\n\nproduct:\n", "product", "missing", "onboarding.yaml:3: answer product"},
		{"vendor: x\n", "product", "missing", "onboarding.yaml: answer product"},
		{"product: TBD\n", "product", "failed", "onboarding.yaml:1: correct product"},
		{"minimum_version: 0123\n", "minimum_version", "done", "0123"},
		{"minimum_version: latest\n", "minimum_version", "failed", "no number"},
		{"produkt: x\n", "file-1", "failed", `onboarding.yaml:1: nothing is asked that is called "produkt"`},
		{"product: x\nproduct: y\n", "file-1", "failed", "onboarding.yaml"},
		{"vendor: x\nproduct: {a: b}\n", "file-1", "failed", "onboarding.yaml:2: product: a value is a text"},
		{"vendor: x\nproduct: \"y\n", "file-1", "failed", "cannot be read"},
		{"- product\n", "file-1", "failed", "there are no answers here"},
		{"# nothing\n", "product", "missing", "not answered"},
		{"contact_business: Ana\n", "contact_business", "failed", `"Ana" is no e-mail address`},
		{"authentication: saml\n", "authentication", "failed", `"saml" is not one of oauth2, oauth1`},
		{"endpoints: /orgs, /pupils\n", "endpoints", "failed", `"/pupils" is no path of OneRoster 1.1`},
		{"endpoints: [/orgs, /users]\n", "endpoints", "done", "/orgs, /users"},
		{"data_categories: [students, phones]\n", "data_categories", "failed", `"phones" is not one of`},
		{"escalation: our team\n", "escalation", "failed", "no address and no telephone number"},
		{"escalation: +49 30 5550100\n", "escalation", "done", ""},
		{"handover: https://roster.example.org/once/0123456789abcdefghijklmn\n", "handover", "failed",
			"this is the link itself"},
		{"logo: ../logo.png\n", "logo", "failed", "is not in this folder"},
		{"logo: none.png\n", "logo", "failed", "there is no file none.png"},
		{"logo: text.png\n", "logo", "failed", "neither PNG, JPEG nor SVG"},
		{"logo: right.png\n", "logo", "done", "right.png"},
	} {
		f := opened(t, t.TempDir(), map[string]string{"onboarding.yaml": c.yaml, "right.png": png,
			"text.png": "no picture"})
		found := false
		for _, l := range f.Sheet().Lines {
			if l.ID != c.key {
				continue
			}
			found = true
			if text := l.Says + " " + l.Next; string(l.State) != c.state || !strings.Contains(text, c.says) {
				t.Errorf("%q: %s is %s: %s", c.yaml, c.key, l.State, text)
			}
		}
		if !found {
			t.Errorf("%q: there is no line %s", c.yaml, c.key)
		}
	}
}

// begun is a record of a folder that has begun with a service.
const begun = `{"step":"begin","at":"2026-11-01T10:00:00Z","programme":"sds","url":"https://a.example"}
`

// What a record says counts for a month, and of the service that it was made with.
func TestEvidenceGrowsOld(t *testing.T) {
	full := `{"step":"full","at":"%s","url":"%s","found":{"full":{"state":"done","says":"well"}}}` + "\n"
	for _, c := range []struct{ at, url, state, says string }{
		{"2026-11-01T10:00:00Z", "https://a.example", "done", "well"},
		{"2026-10-20T10:00:00Z", "https://a.example", "missing", "older than 30 days"},
		{"2026-11-01T10:00:00Z", "https://b.example", "missing", "done with another service"},
	} {
		f := opened(t, t.TempDir(), map[string]string{"record.jsonl": begun + fmt.Sprintf(full, c.at, c.url)})
		for _, l := range f.Sheet().Lines {
			if l.ID == "full" && (string(l.State) != c.state || !strings.Contains(l.Says, c.says)) {
				t.Errorf("%s %s: %+v", c.at, c.url, l)
			}
		}
	}
}

// A record that cannot be read is told with its line, and nothing is made of the others.
func TestBrokenRecord(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir, map[string]string{"record.jsonl": begun})
	if err := os.WriteFile(filepath.Join(dir, "record.jsonl"), []byte(begun+"{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := onboarding.Open(dir, "1.0", today); err == nil ||
		!strings.Contains(err.Error(), "record.jsonl:2 is no record") {
		t.Error(err)
	}
}

// The pilots' deltas: an earlier failure is history when five have been right since.
func TestPilotDeltas(t *testing.T) {
	for _, c := range []struct{ runs, state, says string }{
		{"f", "missing", "no delta yet"},
		{"fdddd", "missing", "4, without a failure"},
		{"fddddd", "done", "5, without a failure"},
		{"fdddddx", "failed", "the last one: torn"},
		{"fdxddddd", "done", "5, without a failure"},
		{"fdxdddd", "missing", "4, without a failure"},
	} {
		var text strings.Builder
		for _, run := range c.runs {
			kind, state := "delta", "done"
			if run == 'f' {
				kind = "full"
			}
			if run == 'x' {
				state = "failed"
			}
			fmt.Fprintf(&text, `{"step":"run","at":"2026-11-01T10:00:00Z","kind":"%s","found":{"run":`+
				`{"state":"%s","says":"torn"}}}`+"\n", kind, state)
		}
		f := opened(t, t.TempDir(), map[string]string{"pilots/north.jsonl": text.String()})
		for _, l := range f.Sheet().Lines {
			if l.ID == "north/deltas" && (string(l.State) != c.state || !strings.Contains(l.Says, c.says)) {
				t.Errorf("%s: %+v", c.runs, l)
			}
		}
	}
}

const hostile = `<script>window.hacked=1</script><img src=x onerror="window.hacked=2">`

// The pages stand alone, are for everybody, and are whole on paper; what is told of a provider or
// written by a vendor is quoted.
func TestPages(t *testing.T) {
	dir := t.TempDir()
	record := begun + `{"step":"full","at":"2026-11-20T10:00:00Z","version":"1.0",` +
		`"url":"https://a.example","files":[{"path":"sync/receipt.json","sha256":"` +
		strings.Repeat("0", 64) + `"}],"found":{"full":` +
		`{"state":"done","says":"well"}}}` + "\n" +
		`{"step":"delta","at":"2026-11-20T10:00:00Z","url":"https://a.example","found":` +
		fmt.Sprintf(`{"delta":{"state":"failed","says":%q,"next":"mend it"}}}`, hostile) + "\n"
	f := opened(t, dir, map[string]string{"record.jsonl": record,
		"logo.svg": `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">` +
			`<script>window.hacked=3</script><path d="M0 0h40v20H0z"/></svg>`,
		"onboarding.yaml": "product: Contoso\nvendor: '" + hostile + "'\nlogo: logo.svg\n" +
			"minimum_version: '1'\nescalation: " +
			strings.Repeat("somebody with a long name, ", 20) + "+49 30 5550100\n"})
	s, err := f.WritePages()
	if err != nil {
		t.Fatal(err)
	}
	var v *looktest.Viewer
	for name, holds := range map[string][]string{
		"index.html": {"School Data Sync onboarding of Contoso", "mend it", "receipt.json was changed since",
			"onboarding.yaml"},
		"go-public.html": {"Connect Contoso to School Data Sync", "Severity 1: who is called",
			"+49 30 5550100"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if kept := os.Getenv("REPORT_DIR"); kept != "" { // to look at it
			_ = os.WriteFile(filepath.Join(kept, name), text, 0o600)
		}
		if v == nil {
			v = looktest.Open(t, string(text))
		} else {
			v.Show(t, string(text))
		}
		t.Log(name)
		v.StandsAlone(t)
		if hacked := looktest.In[string](t, v, `typeof window.hacked`); hacked != "undefined" {
			t.Error("the page ran what it quotes")
		}
		if dead := looktest.In[string](t, v, `[...document.querySelectorAll("a[href^='#']")].filter(`+
			`a => !document.getElementById(a.hash.slice(1))).map(a => a.outerHTML).join()`); dead != "" {
			t.Errorf("dead links: %s", dead)
		}
		if name == "index.html" {
			got := looktest.In[string](t, v, `[...document.querySelectorAll("[data-count]")].map(e => `+
				`e.textContent).join(" ") + " of " + document.querySelectorAll(".lines tbody tr").length`)
			want := fmt.Sprintf("%d %d %d of %d", s.Failed, s.Missing, s.Done, len(s.Lines))
			if got != want {
				t.Errorf("the page counts %s, the lines are %s", got, want)
			}
		}
		v.ForEverybody(t, "undefined")
		paper := looktest.Letters(strings.Join(v.Printed(t), ""))
		for _, want := range holds {
			if !strings.Contains(paper, looktest.Letters(want)) {
				t.Errorf("on paper there is no %q", want)
			}
		}
	}
}
