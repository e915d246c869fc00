package onboarding

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Line is one thing that Microsoft asks for, and how far it is.
type Line struct {
	Step string `json:"step"` // the section it stands in
	ID   string `json:"id"`
	Asks string `json:"asks"`
	Finding
	File    File   `json:"evidence,omitzero"`
	At      string `json:"at,omitempty"`      // when the evidence was made
	Version string `json:"version,omitempty"` // of what made it; "" by hand

	question bool // that is answered in onboarding.yaml
}

func (l *Line) stamp(r record) {
	if r.At.IsZero() {
		return
	}
	l.At = r.At.UTC().Format(time.RFC3339)
	if r.By == "" {
		l.Version = r.Version
	}
}

// A Section is a step with its lines.
type Section struct {
	ID, Title, About string
	Lines            []Line
}

// lasts is how long evidence is of use.
const lasts = 30 * 24 * time.Hour

// stepLines are the lines of a step that a run makes, as its latest record has them.
func (f *Folder) stepLines(step string) []Line {
	r, known := f.last(step)
	latest, _ := f.last(begun)
	stale := Finding{}
	switch {
	case !known:
		stale = Finding{Missing, "not run yet", f.again()}
		if step == deltaProof {
			stale.Says = "not run yet: the full sync comes first"
		}
	case r.URL != latest.URL:
		stale = Finding{Missing, "done with another service, " + r.URL, f.again()}
	case f.now.Sub(r.At) > lasts:
		stale = Finding{Missing, "older than 30 days", f.again()}
	}
	for _, file := range r.Files {
		if is, _ := f.fileOf(file.Path); is != file {
			stale = Finding{Failed, file.Path + " was changed since, or is gone", f.again()}
		}
	}
	out := asked(step)
	for i := range out {
		l := &out[i]
		l.stamp(r)
		l.Step, l.Finding = step, r.Found[l.ID]
		if l.State == "" {
			l.Finding = Finding{Missing, "not checked", f.again()}
		}
		if stale.State != "" {
			l.Finding = stale
		}
		if l.State != Done && known && slices.Contains(optional, l.ID) && !f.offers(l.ID, true) {
			l.Finding = Finding{State: Done, Says: "not offered, and it need not be"}
		}
		for n, file := range r.Files {
			if n == 0 || step == gradeSync && strings.HasSuffix(file.Path, "/"+l.ID+".json") {
				l.File = file
			}
		}
	}
	return out
}

func (f *Folder) again() string {
	latest, _ := f.last(begun)
	if latest.Programme == "" {
		return "rollbook onboarding sds URL … makes it"
	}
	return "rollbook onboarding " + latest.Programme + " " + latest.URL + " … makes it"
}

// asked are the lines of a step before anything is found.
func asked(step string) []Line {
	if profile, ok := strings.CutPrefix(step, verifying); ok {
		out := []Line{{ID: service,
			Asks: "A client with id and secret gets a token and is let in; nobody else is"}}
		for _, target := range targets(profile) {
			out = append(out, Line{ID: target, Asks: says(target, profile)})
		}
		return out
	}
	switch step {
	case fullSync:
		return []Line{{ID: step, Asks: "A full sync by limit=5000&filter=status='active' completes, and no " +
			"record is dropped"}}
	case deltaProof:
		return []Line{{ID: step, Asks: "A later sync by filter=dateLastModified>'…' brings every change: " +
			"what it leaves equals another full read"}}
	}
	var out []Line
	for _, part := range gradeParts {
		out = append(out, Line{ID: part.id, Asks: part.asks})
	}
	return out
}

// says what is asked of a route.
func says(target, profile string) string {
	path, put := strings.CutPrefix(target, "PUT ")
	switch {
	case put:
		return "PUT and DELETE " + path + ": makes it (201) or replaces it, answers with what is kept; " +
			"deleted (204) it is in no list"
	case strings.HasSuffix(target, "}"):
		return "GET " + target + ": the one of that sourcedId; 404 where there is none"
	case profile == "sds":
		return "GET " + target + ": in pages of 5,000, by filter=status='active' and " +
			"filter=dateLastModified>'…'"
	}
	return "GET " + target + ": up to 7,000 in one page, with its filters"
}

// Sections are all the lines there are, in the order in which Microsoft asks.
func (f *Folder) Sections() []Section {
	programmes := f.programmes()
	if len(programmes) == 0 {
		programmes = Programmes[:1]
	}
	out := []Section{{"form", "The form", "What Microsoft's partner form asks.", f.answerLines(ofForm)}}
	var later []Section
	had := map[string]bool{}
	for _, p := range programmes {
		for _, step := range p.steps {
			if had[step] {
				continue
			}
			had[step] = true
			lines := f.stepLines(step)
			switch {
			case strings.HasPrefix(step, verifying):
				out = append(out, Section{step, "Endpoints of " + p.Title, "Each path that " + p.Title +
					" reads or writes, with its filters.", lines})
			case step == deltaProof:
				i := slices.IndexFunc(later, func(s Section) bool { return s.ID == fullSync })
				later[i].Lines = append(later[i].Lines, lines...)
			case step == fullSync:
				later = append(later, Section{step, "Full sync and delta",
					"The service pulled as School Data Sync does.", lines})
			default:
				later = append(later, Section{step, "Grades", "A gradebook written as Grade Sync does.",
					lines})
			}
		}
	}
	sandbox := Section{"sandbox", "The sandbox", "A service like that of customers, with credentials of " +
		"its own for Microsoft's engineer.", append(f.answerLines(ofSandbox), f.handoverLine())}
	out = append(append(out, sandbox), later...)
	return append(out, Section{"pilots", "Pilots", "Two customers over two weeks.", f.pilotLines()},
		Section{"public", "Going public", "What customers are told.", f.answerLines(ofPublic)})
}

// answerLines are the questions of a page, each a line.
func (f *Folder) answerLines(page sheet) []Line {
	file, at := f.fileOf(answerFile)
	evidence := file
	if page == ofPublic {
		evidence, _ = f.fileOf(publicPage)
	}
	var out []Line
	if page == ofForm {
		for n, problem := range f.Answers.Problems {
			out = append(out, Line{Step: "form", ID: fmt.Sprintf("file-%d", n+1),
				Asks:    "The answers can be read",
				Finding: Finding{Failed, problem, "correct that line, then: rollbook onboarding status"},
				File:    file})
		}
	}
	for _, q := range Questions {
		if q.sheet != page {
			continue
		}
		l := Line{Step: string(page), ID: q.Key, Asks: q.Asks, Finding: f.Find(q), File: evidence,
			question: true}
		if l.State != Missing {
			l.At = at.Format(time.RFC3339)
		}
		out = append(out, l)
	}
	return out
}

// handoverLine is the sandbox's client, and whether the engineer has its secret.
func (f *Folder) handoverLine() Line {
	l := Line{Step: "sandbox", ID: handedOver, Asks: "Microsoft's engineer has the client id and the secret",
		Finding: Finding{Missing, "not ticked", "when the engineer has opened the link: rollbook " +
			"onboarding tick " + handedOver + " --by NAME"}}
	l.File, _ = f.fileOf(sandboxPage)
	for _, r := range f.records {
		if r.Step == tick && r.Item == handedOver {
			l.Finding = Finding{State: Done, Says: r.ticked()}
			l.stamp(r)
		}
	}
	return l
}

// A Sheet is the whole of an onboarding as its pages show it.
type Sheet struct {
	Product    string    `json:"product,omitempty"`
	Vendor     string    `json:"vendor,omitempty"`
	Programmes []string  `json:"programmes"`
	URL        string    `json:"url,omitempty"`
	Client     string    `json:"client,omitempty"`
	Version    string    `json:"version"`
	At         time.Time `json:"at"`
	Whole      bool      `json:"whole"`
	Done       int       `json:"done"`
	Missing    int       `json:"missing"`
	Failed     int       `json:"failed"`
	Next       []string  `json:"next"` // what to do, the most urgent first; each once
	Sections   []Section `json:"-"`
	Lines      []Line    `json:"lines"`
}

// Sheet sums a folder up.
func (f *Folder) Sheet() Sheet {
	latest, _ := f.last(begun)
	s := Sheet{Product: f.one("product"), Vendor: f.one("vendor"), URL: latest.URL, Client: latest.Client,
		Version: f.version, At: f.now, Sections: f.Sections(), Next: []string{}, Programmes: []string{}}
	for _, p := range f.programmes() {
		s.Programmes = append(s.Programmes, p.Title)
	}
	for _, section := range s.Sections {
		s.Lines = append(s.Lines, section.Lines...)
	}
	for _, state := range []State{Failed, Missing} {
		for _, l := range s.Lines {
			next := l.Next
			if state == Missing && l.question {
				next = fmt.Sprintf("%d questions wait for an answer: edit %s, or run it on a terminal",
					len(f.Unanswered()), answerFile)
			}
			if l.State == state && !slices.Contains(s.Next, next) {
				s.Next = append(s.Next, next)
			}
		}
	}
	for _, l := range s.Lines {
		switch l.State {
		case Done:
			s.Done++
		case Missing:
			s.Missing++
		default:
			s.Failed++
		}
	}
	s.Whole = s.Done == len(s.Lines) && len(s.Programmes) > 0
	return s
}

// Verdict is the sheet in a sentence.
func (s Sheet) Verdict() string {
	switch {
	case s.Whole:
		return "Whole: nothing is missing."
	case s.Failed > 0:
		return fmt.Sprintf("Not whole: %d failed, %d missing.", s.Failed, s.Missing)
	}
	return fmt.Sprintf("Not whole yet: %d missing.", s.Missing)
}

func (f *Folder) one(key string) string { return strings.Join(f.Answers.value[key], ", ") }
