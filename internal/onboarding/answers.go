package onboarding

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"rollbook/internal/oneroster"
)

// A Question is asked once; the answer stands in onboarding.yaml.
type Question struct {
	Key  string
	Asks string
	Such string // an example
	sheet
	wrong func(f *Folder, value []string) string // what is wrong with an answer; "" is nothing
}

// sheet says on which page an answer is shown.
type sheet string

const (
	ofForm    sheet = "form"
	ofPublic  sheet = "public"
	ofSandbox sheet = "sandbox"
)

// Questions in the order in which they are asked.
var Questions = []Question{
	{"product", "What is the product called, as customers know it?", "Contoso SIS", ofForm, nil},
	{"vendor", "Who makes it?", "Contoso Ltd", ofForm, nil},
	{"contact_business", "Whom does Microsoft write to about the partnership?", "partners@contoso.example",
		ofForm, noAddress},
	{"contact_technical", "Whom do its engineers write to?", "oneroster@contoso.example", ofForm, noAddress},
	{"authentication", "How do readers prove who they are: oauth2 (client credentials) or oauth1?", "oauth2",
		ofForm, oneOf("oauth2", "oauth1")},
	{"endpoints", "Which lists are offered? Paths, with commas between them; " +
		"/courses, /demographics and /classGroups need not be", strings.Join(must["sds"], ", "),
		ofForm, noEndpoints},
	{"data_categories", "Which data do they hold? Of: " + strings.Join(categories, ", "),
		"students, teachers, classes, enrollments, terms", ofForm, oneOf(categories...)},
	{"hosting_region", "Where is it hosted: which cloud and region, or which country?", "Azure, West Europe",
		ofForm, nil},
	{"handover", "How does the secret of the sandbox reach Microsoft's engineer? By a one-time link: sent " +
		"by whom, to which address; not the link itself", "a one-time link, mailed by Ana Ruiz; valid a week",
		ofSandbox, noHandover},
	{"logo", "The company's logo: a PNG, JPEG or SVG file in this folder", "logo.svg", ofPublic, noLogo},
	{"minimum_version", "From which version of the product on does it work?", "2026.3", ofPublic, noVersion},
	{"prerequisites", "What must a customer have set up before?", "the rollover to this school year is done",
		ofPublic, nil},
	{"credentials", "How does a customer get client id, secret and URLs?",
		"Settings, Integrations, School Data Sync: New client", ofPublic, nil},
	{"instructions", "Special instructions; or: none", "none", ofPublic, nil},
	{"contact_support", "Whom do customers turn to: an address or a page?", "support@contoso.example",
		ofPublic, nobody},
	{"escalation", "Severity 1, at any hour: who is called, who next? Telephone numbers or addresses",
		"+49 30 5550100 (on call), then Ana Ruiz, ana@contoso.example", ofPublic, nobody},
}

var categories = []string{"students", "teachers", "staff", "contacts", "schools", "terms", "courses",
	"classes", "enrollments", "demographics", "user flags", "grades"}

// must are the lists without which a programme makes no sense.
var must = map[string][]string{
	"sds":       {"/orgs", "/academicSessions", "/users", "/classes", "/enrollments"},
	"gradesync": {"/categories", "/lineItems", "/results"},
}

// optional are paths that a provider need not offer: it says by its answer whether it does.
var optional = []string{"/courses", "/demographics", "/classGroups", "/classGroups/{id}",
	"/classes/{class_id}/categories"}

// offers tells whether the answers have a path; unsaid is what holds as long as they do not say.
func (f *Folder) offers(path string, unsaid bool) bool {
	if f.Find(question("endpoints")).State != Done {
		return unsaid
	}
	list := parts(f.Answers.value["endpoints"])
	return slices.Contains(list, path) || slices.Contains(list, strings.TrimSuffix(path, "/{id}"))
}

func question(key string) Question {
	return Questions[slices.IndexFunc(Questions, func(q Question) bool { return q.Key == key })]
}

// Answers are what onboarding.yaml says.
type Answers struct {
	text     []byte
	value    map[string][]string
	line     map[string]int
	Problems []string // of the file: each names its line, and what to do
}

// blank is the file before anything is answered.
func blank() []byte {
	var b bytes.Buffer
	b.WriteString("# What Microsoft's form asks, and the sheet that customers get. Answer behind the\n" +
		"# colon; a list may have commas between its values. `rollbook onboarding status` tells what is\n" +
		"# missing or wrong. This folder is sent on: no secret and no one-time link belongs here.\n")
	for _, q := range Questions {
		fmt.Fprintf(&b, "\n# %s\n# Such as: %s\n%s:\n", q.Asks, q.Such, q.Key)
	}
	return b.Bytes()
}

func (f *Folder) readAnswers() error {
	text, err := os.ReadFile(f.at(answerFile))
	if err != nil {
		return err
	}
	a := &Answers{text: text, value: map[string][]string{}, line: map[string]int{}}
	f.Answers = a
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil && !errors.Is(err, io.EOF) {
		a.Problems = append(a.Problems, fmt.Sprintf("%s cannot be read: %v; correct that line", answerFile,
			strings.Join(strings.Fields(err.Error()), " ")))
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		a.tell(root.Line, "there are no answers here: write a line such as product: Contoso SIS")
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		a.take(root.Content[i], root.Content[i+1])
	}
	return nil
}

func (a *Answers) tell(line int, format string, args ...any) {
	a.Problems = append(a.Problems, fmt.Sprintf("%s:%d: ", answerFile, line)+fmt.Sprintf(format, args...))
}

// take takes one answer: a text, or a list of them.
func (a *Answers) take(key, value *yaml.Node) {
	name := key.Value
	if !slices.ContainsFunc(Questions, func(q Question) bool { return q.Key == name }) {
		a.tell(key.Line, "nothing is asked that is called %q: correct the name, or take the line out", name)
		return
	}
	if a.line[name] > 0 {
		a.tell(key.Line, "%s is answered in line %d already: take one of them out", name, a.line[name])
		return
	}
	a.line[name] = key.Line
	var list []string
	switch value.Kind {
	case yaml.ScalarNode:
		if value.ShortTag() != "!!null" {
			list = []string{value.Value}
		}
	case yaml.SequenceNode:
		for _, v := range value.Content {
			if v.Kind != yaml.ScalarNode {
				a.tell(v.Line, "%s: a value is a text, or a list of them", name)
				return
			}
			list = append(list, v.Value)
		}
	default:
		a.tell(value.Line, "%s: a value is a text, or a list of them", name)
		return
	}
	for _, v := range list {
		if v = strings.TrimSpace(v); v != "" {
			a.value[name] = append(a.value[name], v)
		}
	}
}

// placeholders stand for an answer that is to come.
var placeholders = []string{"todo", "tbd", "?", "…", "...", "xxx"}

// Find is what became of a question.
func (f *Folder) Find(q Question) Finding {
	a := f.Answers
	where := answerFile
	if n := a.line[q.Key]; n > 0 {
		where = fmt.Sprintf("%s:%d", answerFile, n)
	}
	value := a.value[q.Key]
	if len(value) == 0 {
		return Finding{Missing, "not answered", fmt.Sprintf("%s: answer %s: %s (such as: %s)", where, q.Key,
			q.Asks, q.Such)}
	}
	wrong := ""
	for _, v := range value {
		if slices.Contains(placeholders, strings.ToLower(v)) {
			wrong = fmt.Sprintf("%q stands for an answer that is to come", v)
		}
	}
	if wrong == "" && q.wrong != nil {
		wrong = q.wrong(f, value)
	}
	if wrong != "" {
		return Finding{Failed, wrong, fmt.Sprintf("%s: correct %s (such as: %s)", where, q.Key, q.Such)}
	}
	return Finding{State: Done, Says: strings.Join(value, ", ")}
}

// Unanswered are the questions that wait for an answer.
func (f *Folder) Unanswered() []Question {
	return slices.DeleteFunc(slices.Clone(Questions), func(q Question) bool {
		return f.Find(q).State != Missing
	})
}

// Answer writes an answer into the file, and leaves the rest of it as it is. It says what is wrong
// with the answer, which is then not taken.
func (f *Folder) Answer(q Question, text string) (wrong string, err error) {
	text = strings.TrimSpace(text)
	f.Answers.value[q.Key] = []string{text}
	if found := f.Find(q); found.State != Done {
		delete(f.Answers.value, q.Key)
		return found.Says, nil
	}
	line, err := yaml.Dump(map[string]string{q.Key: text}, yaml.WithLineWidth(-1))
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(f.Answers.text), "\n")
	if n := f.Answers.line[q.Key]; n > 0 {
		lines[n-1] = strings.TrimRight(string(line), "\n")
	} else {
		lines = append(lines, string(line))
	}
	if err := f.write(answerFile, []byte(strings.Join(lines, "\n"))); err != nil {
		return "", err
	}
	return "", f.readAnswers()
}

// Holds tells whether the answers hold a secret, which then would be sent on.
func (a *Answers) Holds(secret string) (line int) {
	if len(secret) < 6 { // stands in a name by chance
		return 0
	}
	for n, text := range strings.Split(string(a.text), "\n") {
		if strings.Contains(text, secret) {
			return n + 1
		}
	}
	return 0
}

// parts are the values of an answer, whether a list or commas part them.
func parts(value []string) []string {
	var out []string
	for _, v := range value {
		for _, part := range strings.Split(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func noAddress(_ *Folder, value []string) string {
	for _, v := range parts(value) {
		if at, err := mail.ParseAddress(v); err != nil || at.Address != v {
			return fmt.Sprintf("%q is no e-mail address", v)
		}
	}
	return ""
}

var digits = regexp.MustCompile(`\d(?:[ ()/.-]*\d){5}`)

// nobody wants somebody who can be reached.
func nobody(_ *Folder, value []string) string {
	text := strings.Join(value, " ")
	if strings.Contains(text, "@") || strings.Contains(text, "https://") || digits.MatchString(text) {
		return ""
	}
	return "there is no address and no telephone number in it"
}

func oneOf(words ...string) func(*Folder, []string) string {
	return func(_ *Folder, value []string) string {
		for _, v := range parts(value) {
			if !slices.Contains(words, strings.ToLower(v)) {
				return fmt.Sprintf("%q is not one of %s", v, strings.Join(words, ", "))
			}
		}
		return ""
	}
}

func noEndpoints(f *Folder, value []string) string {
	have := map[string]bool{}
	for _, v := range parts(value) {
		if !slices.ContainsFunc(oneroster.V1p1.Routes, func(r oneroster.Route) bool { return r.Path == v }) {
			return fmt.Sprintf("%q is no path of OneRoster 1.1", v)
		}
		have[v] = true
	}
	for _, p := range f.programmes() {
		for _, path := range must[p.Name] {
			if !have[path] {
				return fmt.Sprintf("%s reads %s, which is not among them", p.Title, path)
			}
		}
	}
	return ""
}

func noVersion(_ *Folder, value []string) string {
	if !strings.ContainsAny(strings.Join(value, ""), "0123456789") {
		return "there is no number in it"
	}
	return ""
}

// linkItself is an address with what nobody could guess in it.
var linkItself = regexp.MustCompile(`https?://\S*[A-Za-z0-9_-]{20,}`)

func noHandover(_ *Folder, value []string) string {
	if linkItself.MatchString(strings.Join(value, " ")) {
		return "this is the link itself: whoever has the folder could open it before the engineer does"
	}
	return ""
}

const mostLogo = 1 << 20 // bytes: it is inside a page

func noLogo(f *Folder, value []string) string {
	name := strings.Join(value, ", ")
	if !filepath.IsLocal(name) {
		return fmt.Sprintf("%q is not in this folder", name)
	}
	text, err := os.ReadFile(f.at(name))
	switch {
	case err != nil:
		return fmt.Sprintf("there is no file %s in this folder", name)
	case len(text) > mostLogo:
		return fmt.Sprintf("%s has more than a megabyte", name)
	case logoType(text) == "":
		return fmt.Sprintf("%s is neither PNG, JPEG nor SVG", name)
	}
	return ""
}

// logoType is the media type of a picture; "" where it is none that pages show.
func logoType(text []byte) string {
	switch kind := http.DetectContentType(text); {
	case kind == "image/png" || kind == "image/jpeg":
		return kind
	case bytes.Contains(text[:min(len(text), 1000)], []byte("<svg")):
		return "image/svg+xml"
	}
	return ""
}
