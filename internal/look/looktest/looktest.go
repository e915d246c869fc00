// Package looktest looks at pages as their readers do: in a browser, on a telephone and a desk,
// in the dark, with axe-core, and on paper. A machine without a browser skips such a test.
package looktest

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"rollbook/internal/machine"
)

//go:embed axe-core/axe.min.js
var axe string

// A Viewer is a tab of a browser with a page in it, and what the page asked for
// and complained of.
type Viewer struct {
	ctx  context.Context
	lock sync.Mutex
	seen []string // requests, exceptions and console messages
}

// Open shows a page in a new browser, as a reader has it before he does
// anything.
func Open(t *testing.T, text string) *Viewer {
	t.Helper()
	machine.Has(t, "chromium", "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // waits for the browser's end
	v := &Viewer{}
	if err := chromedp.Do(ctx); err != nil { // starts the browser, whose life must have no limit of time
		t.Fatalf("chromium does not start: %v", err)
	}
	within, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	v.ctx = within
	if _, err := chromedp.Call(within, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(within, v.hear); err != nil {
		t.Fatal(err)
	}
	v.Show(t, text)
	return v
}

// Show shows another page in the tab, on the screen of a desk.
func (v *Viewer) Show(t *testing.T, text string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	v.lock.Lock()
	v.seen = nil
	v.lock.Unlock()
	v.Do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(server.URL+"/"))
}

func (v *Viewer) hear(event any) {
	v.lock.Lock()
	defer v.lock.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			v.seen = append(v.seen, "asked for "+e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		v.seen = append(v.seen, "exception "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		v.seen = append(v.seen, "console "+string(e.Type))
	case *cdplog.EventEntryAdded:
		v.seen = append(v.seen, "log "+e.Entry.Text)
	}
}

// Do does something with the page.
func (v *Viewer) Do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(v.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// In evaluates an expression in the page.
func In[T any](t *testing.T, v *Viewer, expression string) T {
	t.Helper()
	out, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%.80s: %v", expression, err)
	}
	return out
}

// Media makes the page believe in a medium and a colour scheme.
func (v *Viewer) Media(t *testing.T, medium, scheme string) {
	t.Helper()
	if _, err := chromedp.Call(v.ctx, emulation.SetEmulatedMedia,
		emulation.SetEmulatedMediaParams{Media: medium,
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
		t.Fatal(err)
	}
	// What the medium shows and hides is laid out with the next frame.
	In[bool](t, v, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// StandsAlone holds a page to being itself and nothing else: it asks for nothing, complains of
// nothing, and runs nothing.
func (v *Viewer) StandsAlone(t *testing.T) {
	t.Helper()
	if n := In[int](t, v, `document.scripts.length`); n > 0 {
		t.Errorf("the page has %d scripts", n)
	}
	v.lock.Lock()
	defer v.lock.Unlock()
	if len(v.seen) != 1 {
		t.Errorf("more than the page itself: %q", v.seen)
	}
}

// ForEverybody holds a page to axe-core, in either colour scheme, on a telephone and on a desk;
// nothing is cut off at the side, nor when everything is open. Restore says how the page was.
func (v *Viewer) ForEverybody(t *testing.T, restore string) {
	t.Helper()
	v.Do(t, chromedp.Evaluate[chromedp.Void](axe))
	for _, width := range []int64{360, 1280} {
		v.Do(t, chromedp.EmulateViewport(width, 900))
		for _, scheme := range []string{"light", "dark"} {
			v.Media(t, "", scheme)
			found := In[string](t, v, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.length + " such as " + v.nodes[0].html.slice(0, 200) + " " + v.nodes[0].failureSummary).join("\n"))`)
			if found != "" {
				t.Errorf("%d px, %s: %s", width, scheme, found)
			}
		}
		if over := In[int](t, v, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("at %d px the page is %d px too wide: %s", width, over,
				In[string](t, v, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest(".hidden")).slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join("\n")`))
		}
		v.Do(t, chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => d.open = true)`))
		if over := In[int](t, v, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("at %d px the page with everything open is %d px too wide", width, over)
		}
		v.Do(t, chromedp.Evaluate[chromedp.Void](restore))
	}
}

// Printed are the texts of the sheets on which the page is printed, of a screen in the dark; none
// has what is cut off, and the paper is white.
func (v *Viewer) Printed(t *testing.T) []string {
	t.Helper()
	machine.Has(t, "pdftotext", "poppler-utils")
	v.Media(t, "", "dark") // of the screen: not of the paper
	pdf, err := chromedp.Run(v.ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(),
		chromedp.PDFPrintBackground()))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.pdf")
	if dir := os.Getenv("REPORT_DIR"); dir != "" { // to look at it
		file = filepath.Join(dir, "report.pdf")
	}
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("pdftotext", "-raw", file, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	v.Media(t, "print", "dark")
	if ground := In[string](t, v,
		`getComputedStyle(document.body).backgroundColor`); ground != "rgb(255, 255, 255)" {
		t.Errorf("the paper is %s", ground)
	}
	if over := In[int](t, v, `(document.body.style.width = "178mm", [...document.querySelectorAll("main *")].filter(e => !e.closest(".hidden, svg") && e.getBoundingClientRect().right > document.body.getBoundingClientRect().right + 1).length)`); over > 0 {
		t.Errorf("%d parts are cut off at the right of an A4 page", over)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\f"), "\f")
}

// Letters is a text without what a PDF changes: spaces, line ends, ligatures.
func Letters(text string) string {
	return strings.NewReplacer("ﬁ", "fi", "ﬂ", "fl", "ﬀ", "ff", "ﬃ", "ffi", "ﬄ",
		"ffl").Replace(strings.Join(strings.Fields(text), ""))
}
