package rest_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rollbook/internal/auth"
	"rollbook/internal/machine"
	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// Who opens a link in a browser needs the keyboard alone, no script and no other page; what is seen is
// what was kept. axe-core finds nothing on any of the pages, in either colour scheme.
func TestHandoverInABrowser(t *testing.T) {
	machine.Has(t, "chromium", "chromium")
	found, _ := filepath.Glob("../*/*/axe-core/axe.min.js")
	if len(found) == 0 {
		t.Fatal("axe-core is not there")
	}
	axe, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var kept *store.Store
	s := serveDistrict(t, storetest.SQLite(t), oneroster.Scopes(), 30,
		func(c *rest.Config) { kept = c.Store })
	secret, path := handing(t, kept, "sds", 0)
	_, late := handing(t, kept, "late", auth.HandoverLife)

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	if err := chromedp.Do(ctx); err != nil { // starts the browser, whose life must have no limit of time
		t.Fatalf("chromium does not start: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	var lock sync.Mutex
	var asked, complaints []string
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	err = chromedp.Listen(ctx, func(event any) {
		lock.Lock()
		defer lock.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			asked = append(asked, e.Request.Method+" "+strings.TrimPrefix(e.Request.URL, s.URL))
		case *cdplog.EventEntryAdded: // a status of 410 is one
			if !strings.Contains(e.Entry.Text, "410") {
				complaints = append(complaints, e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	in := func(expression string) string {
		t.Helper()
		out, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%.60s: %v", expression, err)
		}
		return out
	}
	for _, c := range []struct {
		name, path, heading string
		press               bool
	}{
		{"before", path, "Credentials for a OneRoster service", false},
		{"the button", path, "Your credentials", true},
		{"again", path, "This link was opened", false},
		{"too late", late, "This link has ended", false},
	} {
		do(chromedp.EmulateViewport(360, 800), chromedp.Navigate(s.URL+c.path))
		if c.press {
			do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#secret"))
			if got := in(
				`document.querySelector("#client").textContent + " " + document.querySelector("#secret").textContent`); got != "sds "+secret {
				t.Errorf("%s: %s", c.name, got)
			}
		}
		if got := in(`document.querySelector("h1").textContent`); got != c.heading {
			t.Errorf("%s: %s", c.name, got)
		}
		if over := in(`String(Math.max(0, document.documentElement.scrollWidth - innerWidth))`); over != "0" {
			t.Errorf("%s: %s px too wide", c.name, over)
		}
		if font := in(
			`getComputedStyle(document.querySelector("main")).maxWidth + getComputedStyle(document.body).maxWidth`); !strings.HasSuffix(font, "672px") {
			t.Errorf("%s: the style is not taken: %s", c.name, font)
		}
		do(chromedp.Evaluate[chromedp.Void](string(axe)))
		for _, scheme := range []string{"light", "dark"} {
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme",
					Value: scheme}}}); err != nil {
				t.Fatal(err)
			}
			in(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(""))))`)
			if found := in(
				`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.help + " " + v.nodes[0].html).join("\n"))`); found != "" {
				t.Errorf("%s, %s: %s", c.name, scheme, found)
			}
		}
	}
	lock.Lock()
	defer lock.Unlock()
	asked = slices.DeleteFunc(asked, func(a string) bool { return strings.HasSuffix(a, "/favicon.ico") })
	if want := []string{"GET " + path, "GET " + path, "POST " + path, "GET " + path, "GET " +
		late}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, not %q", asked, want)
	}
	if len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	if u, err := url.Parse(in("location.href")); err != nil || "/"+strings.TrimPrefix(u.Path, "/") != late {
		t.Error(u, err)
	}
}
