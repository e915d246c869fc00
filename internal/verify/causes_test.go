package verify_test

import (
	"hash/crc32"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"rollbook/internal/verify"
)

// One mistake is told as one cause, or a few, and the cause that it is comes first: of some
// of the broken providers. Where ROLLBOOK_CAUSES says all, it is of four in five of them.
func TestOneMistakeIsOneCause(t *testing.T) {
	t.Parallel()
	read, written := correct(t, t.TempDir()+"/read.db"), correct(t, t.TempDir()+"/written.db")
	quick, half := read.remembered(everything), written.remembered(roster)
	st := newStage()
	defer st.server.Close()
	all := os.Getenv("ROLLBOOK_CAUSES") == "all"
	told, others := map[int]int{}, 0 // how many causes, of how many providers
	tell := t.Errorf
	if all {
		tell = t.Logf
	}
	for _, b := range brokenProviders() {
		if b.oauth1 || !all && crc32.ChecksumIEEE([]byte(b.name))%43 != 7 { // some, whatever stands before them
			continue
		}
		s := b.of(t, read, quick, half)
		report, err := st.verified(t, s, b, verify.Options{Profiles: []string{"all"}, Write: s == half})
		if err != nil {
			t.Fatalf("%s: %v", b.name, err)
		}
		causes := report.Causes()
		told[len(causes)]++
		var ids []string
		for _, c := range causes {
			ids = append(ids, c.Check.ID)
		}
		want := b.check
		if b.cause != "" {
			want = b.cause
		}
		switch advised := slices.ContainsFunc(report.Of(verify.Advised), func(r verify.Result) bool {
			return r.Check.ID == want
		}); {
		case len(ids) == 0 && advised:
		case len(ids) == 0 || ids[0] != want:
			others++
			tell("%s is told as %v, not as %s", b.name, ids, want)
		case len(ids) > 3:
			tell("%s is told as %v", b.name, ids)
		}
	}
	t.Logf("causes, and how many providers have so many: %v", told)
	sum := 0
	for _, n := range told {
		sum += n
	}
	if 2*(told[0]+told[1]) < sum || 5*others > sum {
		t.Errorf("of %d, %d are told as another one, and as so many causes: %v", sum, others, told)
	}
}

// Five mistakes at once are five causes, the worst first.
func TestFiveMistakesAreFiveCauses(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/read.db").remembered(everything)
	st := newStage()
	defer st.server.Close()
	rows := map[string]broken{}
	for _, b := range brokenProviders() {
		rows[b.name] = b
	}
	for _, names := range [][]string{
		{"OR is AND", "courses are not served", "an unknown sort breaks", "roles are capitalised",
			"an unknown id is a web page"},
		{"a nested list lacks its first row", "links drop the sort", "a doubled slash is unknown",
			"references have no href", "lists are text/html"},
	} {
		five := broken{spoil: func(s *service) http.Handler {
			for _, name := range names {
				s = &service{rows[name].spoil(s), s.id, s.secret}
			}
			return s
		}}
		report, err := st.verified(t, s, five, verify.Options{Profiles: []string{"all"}})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for i, c := range report.Causes() {
			got = append(got, c.Check.ID)
			if i > 0 && c.Harm < report.Causes()[i-1].Harm {
				t.Errorf("%s comes after what does less harm", c.Check.ID)
			}
		}
		for _, name := range names {
			if rows[name].spoil == nil {
				t.Fatalf("there is no broken provider named %q", name)
			}
			want = append(want, rows[name].check)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("told as %v, not as %v", got, want)
		}
	}
}

// A report tells requests as they were sent: the provider has each of them in its log.
func TestReportsTellWhatWasSent(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/log.db")
	spoiled := http.Handler(s)
	for _, b := range brokenProviders() {
		if slices.Contains([]string{"OR is AND", "roles are capitalised", "references have no href",
			"a score is rounded", "what was left out stays out", "another object comes"}, b.name) {
			spoiled = b.spoil(&service{spoiled, s.id, s.secret})
		}
	}
	var lock sync.Mutex
	log := map[string]bool{}
	logging := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		log[r.Method+" http://"+r.Host+r.RequestURI] = true
		lock.Unlock()
		spoiled.ServeHTTP(w, r)
	})
	report, err := verified(t, s, logging, verify.Options{Profiles: []string{"all"}, Write: true,
		Personal: true})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, r := range append(report.Of(verify.Failed), report.Of(verify.Advised)...) {
		for _, f := range r.Failures {
			request, _, _ := strings.Cut(f.Request, " with ")
			if request == "" {
				continue
			}
			if told++; !log[request] {
				t.Errorf("%s %s: nobody sent %s", r.Check.ID, r.Target, request)
			}
		}
	}
	if told < 50 || len(report.Causes()) < 3 {
		t.Errorf("%d requests are told of %d causes", told, len(report.Causes()))
	}
}

// Two runs of an unchanged provider tell the same, in the same order.
func TestTwoRunsAreEqual(t *testing.T) {
	t.Parallel()
	s := correct(t, t.TempDir()+"/same.db").remembered(everything)
	st := newStage()
	defer st.server.Close()
	var spoiled http.Handler = linksAt(func(u *url.URL) { u.RawQuery = "limit=1&offset=1" })(s)
	spoiled = where(isNested, func(a *answer) { a.choose(func(map[string]any) bool { return false }) })(
		&service{spoiled, s.id, s.secret})
	spoiled = objects(func(o map[string]any) {
		for _, name := range []string{"email", "phone", "grade", "location", "sms"} { // of many rows, in no order
			o[name] = nil
		}
		o["ours"], o["children"] = "", []any{}
	})(&service{spoiled, s.id, s.secret})
	told := func() (out []string) {
		report, err := st.verified(t, s, broken{spoil: func(*service) http.Handler { return spoiled }},
			verify.Options{Profiles: []string{"core"}, Only: []string{"link", "nested.rows", "data"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range append(report.Of(verify.Failed), report.Of(verify.Advised)...) {
			for _, f := range r.Failures {
				out = append(out, r.Check.ID+" "+r.Target+": "+f.Text+" "+f.Request)
			}
		}
		return out
	}
	first, second := told(), told()
	users := slices.DeleteFunc(slices.Clone(first), func(line string) bool {
		return !strings.HasPrefix(line, "data.empty /users: ")
	})
	// an attribute each, with a count
	for i, name := range []string{"email", "grade", "location", "ours", "phone", "sms"} {
		if i >= len(users) || !strings.Contains(users[i], ": "+name+" is ") ||
			!strings.Contains(users[i], " rows more") {
			t.Errorf("of %s is told %q", name, users)
			break
		}
	}
	if len(first) < 30 || !slices.Equal(first, second) {
		t.Errorf("told first\n%s\nand then\n%s", strings.Join(first, "\n"), strings.Join(second, "\n"))
	}
}
