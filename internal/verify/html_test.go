package verify_test

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rollbook/internal/look/looktest"
	"rollbook/internal/oneroster"
	"rollbook/internal/verify"
)

// spoiled is a provider with three mistakes: it counts one row too many, it
// ignores filters, and an object that is not there is a page of markup.
func spoiled(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Has("filter") {
			q.Del("filter")
			r.URL.RawQuery = q.Encode()
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		for k, v := range answer.Header() {
			w.Header()[k] = v
		}
		if n, err := strconv.Atoi(answer.Header().Get("X-Total-Count")); err == nil {
			w.Header().Set("X-Total-Count", strconv.Itoa(n+1))
		}
		if answer.Code == http.StatusNotFound {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, hostile)
			return
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the verifier has gone
	})
}

const hostile = `<script>window.hacked=1</script><img src="/stolen" onerror="window.hacked=2">"access_token":"abc.def.ghi" Authorization: Bearer 0123456789012345678901234567890123456789`

// pages are the reports of a correct and of a spoiled provider, made once.
var pages struct {
	sync.Once
	reports map[string]*verify.Report
	html    map[string]string
	secret  string
	err     error
}

func report(t *testing.T, name string) (*verify.Report, string) {
	t.Helper()
	pages.Do(func() {
		pages.reports, pages.html = map[string]*verify.Report{}, map[string]string{}
		s := correct(t, filepath.Join(t.TempDir(), "district.db"))
		pages.secret = s.secret
		// Every check of a provider that is wrong everywhere makes a page of
		// megabytes, on which axe-core takes a minute.
		few := []string{"access", "route", "list", "page.total", "page.size", "filter.equal",
			"filter.status", "one", "nested", "error", "delta", "put", "delete", "gradesync"}
		for name, h := range map[string]http.Handler{"correct": s, "spoiled": spoiled(s)} {
			opt := verify.Options{Profiles: []string{"all"}, Write: true}
			if name == "spoiled" {
				opt.Only = few
			}
			r, err := verified(t, s, h, opt)
			if err != nil {
				pages.err = err
				return
			}
			var b bytes.Buffer
			if err := r.WriteHTML(&b); err != nil {
				pages.err = err
				return
			}
			pages.reports[name], pages.html[name] = r, b.String()
			if dir := os.Getenv("REPORT_DIR"); dir != "" { // to look at it
				if err := os.WriteFile(filepath.Join(dir, name+".html"), b.Bytes(), 0o644); err != nil {
					pages.err = err
				}
			}
		}
	})
	if pages.err != nil {
		t.Fatal(pages.err)
	}
	if pages.html[name] == "" {
		t.Fatal("no report was made")
	}
	return pages.reports[name], pages.html[name]
}

func eachReport(t *testing.T, do func(t *testing.T, r *verify.Report, v *looktest.Viewer)) {
	t.Helper()
	for _, name := range []string{"correct", "spoiled"} {
		t.Run(name, func(t *testing.T) {
			r, text := report(t, name)
			do(t, r, looktest.Open(t, text))
		})
	}
}

// The page is itself and nothing else: it asks for nothing, complains of
// nothing, and runs nothing of what a provider sent.
func TestReportStandsAlone(t *testing.T) {
	eachReport(t, func(t *testing.T, r *verify.Report, v *looktest.Viewer) {
		ran := looktest.In[string](t, v, `typeof window.hacked + " " + document.scripts.length + " scripts " + document.images.length + " images"`)
		if ran != "undefined 0 scripts 0 images" {
			t.Errorf("in the page: %s", ran)
		}
		v.StandsAlone(t)
	})
	if _, text := report(t, "spoiled"); !strings.Contains(text, "&lt;script&gt;window.hacked=1") {
		t.Error("the markup that the provider sent is not quoted: this test shows nothing")
	}
}

// No token, no secret, and no header with one, from either side.
func TestReportHoldsNoSecret(t *testing.T) {
	_, text := report(t, "spoiled")
	for _, secret := range []string{pages.secret, "abc.def.ghi", "0123456789012345678901234567890123456789",
		"Authorization: Basic"} {
		if strings.Contains(text, secret) {
			t.Errorf("the page holds %q", secret)
		}
	}
	if n, all := strings.Count(text, "Authorization: Bearer $"),
		strings.Count(text, "Authorization: Bearer"); all-n != strings.Count(text,
		"Authorization: Bearer (left out)") || n == 0 {
		t.Errorf("%d Authorization headers, %d with a variable", all, n)
	}
}

// The numbers on the page are the report's, and its first sentence too.
func TestReportCounts(t *testing.T) {
	eachReport(t, func(t *testing.T, r *verify.Report, v *looktest.Viewer) {
		c := r.Counts()
		var areas []string
		for _, a := range r.Areas() {
			areas = append(areas, fmt.Sprintf("%s %d %d %d %d", a.Area, a.Failed, a.Advice, a.Unchecked,
				a.Passed))
		}
		for _, want := range []struct {
			what, expression, text string
		}{
			{"tally", `[...document.querySelectorAll("[data-count]")].map(e => ` +
				`e.textContent.replace(",", "")).join(" ")`, fmt.Sprintf("%d %d %d %d", len(r.Causes()),
				len(r.Findings(verify.Advised)), c.Passed, c.Unchecked)},
			{"verdict", `document.querySelector(".verdict").textContent`, r.Verdict()},
			{"areas", `[...document.querySelectorAll(".by-area tbody tr")].map(e => [...e.cells].filter(` +
				`c => !c.matches(".bar-cell")).map(c => c.textContent.replace(",", "")).join(" ")).join("\n")`,
				strings.Join(areas, "\n")},
			{"failures", `String(document.querySelectorAll("#failures article").length)`,
				fmt.Sprint(len(r.Findings(verify.Failed)))},
			{"listed causes", `String(document.querySelectorAll(".causes li").length)`,
				fmt.Sprint(len(r.Causes()))},
			{"advice", `String(document.querySelectorAll("#advice article").length)`,
				fmt.Sprint(len(r.Findings(verify.Advised)))},
			{"failed targets", `String(document.querySelectorAll("#failures article details:not(.hang)").length)`,
				fmt.Sprint(len(r.Of(verify.Failed)))},
			{"causes that carry", `String(document.querySelectorAll("#failures .hang").length)`,
				fmt.Sprint(carrying(r))},
			{"gaps", `String(document.querySelectorAll(".gaps > li").length)`, fmt.Sprint(gaps(r))},
			{"passed checks", `String(document.querySelectorAll(".holds li").length)`,
				fmt.Sprint(len(r.Findings(verify.Passed)))},
			{"routes", `String(document.querySelectorAll(".table-map:not(.reader) .tile").length)`,
				fmt.Sprint(len(oneroster.V1p1.Routes))},
			{"what Microsoft's readers call", `[...new Set([...document.querySelectorAll(".reader .path")].map(e => ` +
				`e.textContent.replace(/^(PUT|DELETE) /, "")))].join(" ")`, strings.Join(microsofts(r), " ")},
			{"failed routes", `String(document.querySelectorAll(".table-map:not(.reader) .tile.failed").length)`,
				fmt.Sprint(failedRoutes(r))},
			{"calls", `String([...document.querySelectorAll("#speed .data tbody td:last-child")].reduce(` +
				`(n, e) => n + Number(e.textContent.replace(",", "")), 0))`, fmt.Sprint(len(r.Calls))},
			{"dead links", `[...document.querySelectorAll("a[href]")].filter(a => !a.hash || ` +
				`!document.getElementById(a.hash.slice(1))).map(a => a.outerHTML).join()`, ""},
			{"ids twice", `[...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => ` +
				`all.indexOf(id) < i).join()`, ""},
		} {
			if got := looktest.In[string](t, v, want.expression); got != want.text {
				t.Errorf("%s on the page are %q, of the report %q", want.what, got, want.text)
			}
		}
	})
}

func carrying(r *verify.Report) (n int) {
	for _, c := range r.Causes() {
		if len(c.Hang) > 0 {
			n++
		}
	}
	return n
}

// gaps counts the checks that were not judged for another reason than a cause.
func gaps(r *verify.Report) int {
	ids := map[string]bool{}
	for _, res := range r.Of(verify.Unchecked) {
		if res.Because == nil {
			ids[res.Check.ID] = true
		}
	}
	return len(ids)
}

// microsofts are the paths that Microsoft's readers call, in the order of the profiles of a report.
func microsofts(r *verify.Report) (out []string) {
	for _, p := range verify.Profiles {
		for _, path := range p.Routes {
			if slices.Contains(r.Profiles, p.Name) && strings.Contains(p.About, "Microsoft") &&
				!slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return out
}

func failedRoutes(r *verify.Report) int {
	n := 0
	for _, row := range r.Routes() {
		if row.Failed > 0 {
			n++
		}
	}
	return n
}

// axe-core finds nothing, in either colour scheme, on a telephone and on a desk;
// nothing is cut off at the side.
func TestReportForEverybody(t *testing.T) {
	eachReport(t, func(t *testing.T, _ *verify.Report, v *looktest.Viewer) {
		v.ForEverybody(t, `document.querySelectorAll("#failures details:not(:first-child), #advice details").forEach(d => d.open = false)`)
	})
}

// With the keyboard alone: first past the contents, then to every finding, and
// Enter opens it.
func TestReportByKeyboard(t *testing.T) {
	_, text := report(t, "spoiled")
	v := looktest.Open(t, text)
	const here = `(e => e.tagName === "SUMMARY" ? e.parentElement.id || "table" : e.tagName === "A" ? e.getAttribute("href") : e.tagName)(document.activeElement)`
	v.Do(t, chromedp.KeyEvent(kb.Tab))
	if at := looktest.In[string](t, v, here); at != "#main" {
		t.Fatalf("the first Tab leads to %s, not to the link past the contents", at)
	}
	if box := looktest.In[[]float64](t, v,
		`(r => [r.left, r.top, r.bottom])(document.activeElement.getBoundingClientRect())`); box[0] < 0 ||
		box[1] < 0 {
		t.Errorf("the link past the contents has the focus and is out of sight: %v", box)
	}
	v.Do(t, chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	if !looktest.In[bool](t, v, `document.querySelector("main").contains(document.activeElement)`) {
		t.Errorf("after it, Tab leads to %s, outside of main", looktest.In[string](t, v, here))
	}
	want := looktest.In[[]string](t, v, `[...document.querySelectorAll("article details")].map(d => d.id)`)
	reached := map[string]bool{}
	const most = 2000
	for i := 0; i < most; i++ {
		at := looktest.In[string](t, v, here)
		if at == "BODY" || at == "HTML" { // the end of the page
			break
		}
		if strings.HasPrefix(at, "check-") && !reached[at] {
			reached[at] = true
			if len(reached)%25 == 2 { // each is made by the same lines
				before := looktest.In[bool](t, v, `document.activeElement.parentElement.open`)
				v.Do(t, chromedp.KeyEvent(kb.Enter))
				if looktest.In[bool](t, v, `document.activeElement.parentElement.open`) == before {
					t.Errorf("Enter does not open %s", at)
				}
				if !before && !looktest.In[bool](t, v,
					`document.activeElement.parentElement.querySelector(".what").checkVisibility({contentVisibilityAuto: true})`) {
					t.Errorf("%s is open and its failure is not to be seen", at)
				}
			}
		}
		v.Do(t, chromedp.KeyEvent(kb.Tab))
	}
	if len(want) < 10 {
		t.Fatalf("%d findings: this test shows nothing", len(want))
	}
	for _, id := range want {
		if !reached[id] {
			t.Errorf("%s is not reached by Tab", id)
		}
	}
}

// On paper everything is there: what a click would open is open.
func TestReportOnPaper(t *testing.T) {
	r, page := report(t, "spoiled")
	v := looktest.Open(t, page)
	sheets := v.Printed(t)
	for i, sheet := range sheets {
		for _, want := range []string{r.URL, r.Began.Format("2 January 2006"), fmt.Sprintf("%d / %d", i+1,
			len(sheets))} {
			if !strings.Contains(looktest.Letters(sheet), looktest.Letters(want)) {
				t.Fatalf("page %d of %d has no %q", i+1, len(sheets), want)
			}
		}
	}
	text := strings.Join(sheets, "")
	// a failure may run over the end of a page
	for _, s := range []string{r.URL, r.Began.Format("2 January 2006, 15:04 UTC"), "OneRoster 1.1 report · "} {
		text = strings.ReplaceAll(text, s, "")
	}
	printed := looktest.Letters(text)
	missing := 0
	for _, res := range append(r.Of(verify.Failed), r.Of(verify.Advised)...) {
		for _, f := range res.Failures {
			if want := looktest.Letters(f.Text); !strings.Contains(printed, want) && missing < 5 {
				missing++
				t.Errorf("%s %s: on paper there is no %q", res.Check.ID, res.Target, f.Text)
			}
		}
	}
	if hidden := looktest.In[[]string](t, v,
		`[...document.querySelectorAll(".what, .exchange div:not(.try) > dd, .data td")].filter(e => !e.checkVisibility({contentVisibilityAuto: true}) || e.getBoundingClientRect().height === 0).map(e => e.outerHTML.slice(0, 100))`); len(hidden) > 0 {
		t.Errorf("%d parts of the evidence are hidden on paper, such as %s", len(hidden), hidden[0])
	}
	t.Logf("%d pages", len(sheets))
}

// crowded is a report of so many causes, each on every path that it can be on.
func crowded(causes int) *verify.Report {
	at := "https://roster.district.example.org" + oneroster.V1p1.Base
	r := &verify.Report{URL: at, Version: "1.0", Command: "rollbook verify " + at + " --profile=all",
		Began:    time.Now(),
		Profiles: []string{"core", "sds", "gradesync"}, Rows: map[string]int{}}
	failing := 0
	for i := range verify.Checks {
		c := &verify.Checks[i]
		fails := failing < causes && c.On != verify.Once && !c.Advice
		if fails {
			failing++
		}
		for n := range oneroster.V1p1.Routes {
			route := &oneroster.V1p1.Routes[n]
			if one := strings.Contains(route.Path, "{"); route.Method != "GET" || one == (c.On == verify.Lists) {
				continue
			}
			res := verify.Result{Check: c, Target: route.Path}
			if fails {
				res.State = verify.Failed
				for range 5 {
					res.Failures = append(res.Failures, verify.Failure{Status: 200,
						Text:    strings.Repeat("row stu-000123 came and does not fulfil the filter ", 3),
						Request: "GET " + at + route.Path + "?limit=1000&filter=dateLastModified%3E%3D%272026-11-27T18%3A38%3A01.171Z%27",
						Headers: "Content-Type: application/json\nX-Total-Count: 123\nLink: <" + at + route.Path +
							"?limit=5&offset=5>; rel=\"next\"",
						Body: strings.Repeat(`{"sourcedId":"a",`, 12) + "…"})
				}
			}
			r.Results = append(r.Results, res)
		}
	}
	for _, route := range oneroster.V1p1.Routes {
		r.Calls = append(r.Calls, verify.Timing{Op: route.Op, Took: time.Duration(len(route.Path)) * time.Millisecond,
			Status: 200, Bytes: 1000})
		r.Rows[route.Path] = 123
	}
	return r
}

// However many causes there are, the page is one that can be mailed, with each of them and
// every path on it.
func TestReportStaysSmall(t *testing.T) {
	for _, causes := range []int{0, 5, 50} {
		r := crowded(causes)
		var page strings.Builder
		if err := r.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		if dir := os.Getenv("REPORT_DIR"); dir != "" { // to look at it
			_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("crowded-%d.html", causes)), []byte(page.String()), 0o600)
		}
		if n := page.Len(); n > 300_000 || len(r.Causes()) != causes {
			t.Errorf("%d causes, wanted %d, make a page of %d kB", len(r.Causes()), causes, n/1000)
		}
		for _, c := range r.Causes() {
			_, article, _ := strings.Cut(page.String(), `<article class="finding failed" id="check-`+
				strings.ReplaceAll(c.Check.ID, ".", "-")+`"`)
			article, _, _ = strings.Cut(article, "</article>")
			for _, res := range c.Results {
				if !strings.Contains(article, "<code>"+res.Target+"</code>") {
					t.Errorf("of %d causes, %s does not name %s", causes, c.Check.ID, res.Target)
				}
			}
		}
	}
}

// Reports that no real provider makes on demand, and what their pages say.
func TestReportSays(t *testing.T) {
	must, should := &verify.Check{ID: "list.must", Title: "It must", Rule: "R", Fix: "F"},
		&verify.Check{ID: "list.should", Title: "It should", Rule: "R", Fix: "F", Advice: true}
	failed := func(f verify.Failure) verify.Report {
		return verify.Report{Results: []verify.Result{{Check: must, Target: "/orgs", State: verify.Failed,
			Failures: []verify.Failure{f}, More: 2}}}
	}
	signed := failed(verify.Failure{Text: "no", Request: "GET https://r.example/orgs"})
	signed.OAuth1 = true
	var calls []verify.Timing
	for i := range 100 {
		calls = append(calls, verify.Timing{Op: "getAllOrgs", Took: time.Duration(i+1) * time.Millisecond,
			Status: 200})
	}
	for _, c := range []struct {
		name         string
		report       verify.Report
		wants, never string
	}{
		{"nothing", verify.Report{}, "Nothing could be checked.", "id=\"speed\""},
		{"all holds", verify.Report{Results: []verify.Result{{Check: must, Target: "/orgs"}}},
			"Every required check holds.", "Not ready"},
		{"advice", verify.Report{Results: []verify.Result{{Check: must}, {Check: should, Target: "/orgs",
			State: verify.Advised}}}, "Every required check holds; 1 piece of advice on 1 path.", ""},
		{"one fails once", verify.Report{Results: []verify.Result{{Check: must, State: verify.Failed}}},
			"Not ready: 1 cause.", ""},
		{"one fails", failed(verify.Failure{Text: "no"}), "Not ready: 1 cause on 1 path.",
			"Try it"},
		{"most is not checked", verify.Report{Results: []verify.Result{{Check: must},
			{Check: should, Target: "/orgs",
				State: verify.Unchecked}, {Check: should, Target: "/users", State: verify.Unchecked}}},
			"What could be checked holds, and most could not: 2 results of 3.", "verdict ready"},
		{"more", failed(verify.Failure{Text: "no"}), "And 2 more failures like it on this path.", ""},
		{"asked by the client", failed(verify.Failure{Request: "GET https://r.example/orgs?filter=name%3D%27a%27"}), `curl -i -H "Authorization: Bearer $TOKEN" 'https://r.example/orgs?filter=name%3D%27a%27'`, ""},
		{"asked in plain letters", failed(verify.Failure{Request: "GET https://r.example/orgs?filter=name%3D%27a%27"}), `GET https://r.example/orgs?filter=name='a'`, ""},
		{"asked by nobody", failed(verify.Failure{Request: "GET https://r.example/orgs",
			As: verify.AsNobody}), `curl -i 'https://r.example/orgs'`, "Bearer $"},
		{"asked by another", failed(verify.Failure{Request: "GET https://r.example/orgs",
			As: verify.AsAnother}), `Bearer $OTHER_TOKEN`, "$TOKEN\""},
		{"asked with a quote and braces",
			failed(verify.Failure{Request: "GET https://r.example/orgs/it's{1}"}),
			`curl -i -g -H "Authorization: Bearer $TOKEN" 'https://r.example/orgs/it'\''s{1}'`, ""},
		{"asked with a body", failed(verify.Failure{Request: `PUT https://r.example/results/1 with {"score":1}`}),
			`-X PUT -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' --data '{"score":1}' 'https://r.example/results/1'`, ""},
		{"asked with a long body", failed(verify.Failure{Request: `PUT https://r.example/results/1 with {"score…`}), `--data @body.json`, ""},
		{"signed", signed, "GET https://r.example/orgs", "curl"},
		{"no answer", failed(verify.Failure{Text: "no", Request: "GET https://r.example/orgs"}),
			"no answer", ""},
		{"markup in the URL", verify.Report{URL: `https://r.example/"}</style><script>hush()</script>`}, "",
			"<script>"},
		{"times", verify.Report{Calls: calls},
			"100 calls between 1.0 ms and 100 ms: half of them within 50 ms, 95 of 100 within 95 ms, 99 " +
				"of 100 within 99 ms.", ""},
		{"one call", verify.Report{Calls: calls[:1]}, "1 call between 1.0 ms and 1.0 ms", "NaN"},
		{"no time at all", verify.Report{Calls: []verify.Timing{{Status: 200}}}, "1 call between", "Inf"},
		{"hours", verify.Report{Calls: []verify.Timing{{Took: 3 * time.Hour, Status: 200}}}, "3h0m0s", "NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			if err := c.report.WriteHTML(&b); err != nil {
				t.Fatal(err)
			}
			page := html.UnescapeString(b.String())
			if !strings.Contains(page, c.wants) {
				t.Errorf("the page does not say %q", c.wants)
			}
			if c.never != "" && strings.Contains(b.String(), c.never) {
				t.Errorf("the page says %q", c.never)
			}
		})
	}
}
