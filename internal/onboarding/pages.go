package onboarding

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"os"
	"strings"
	"sync"
	"time"

	"rollbook/internal/look"
)

//go:embed index.html
var indexHTML string

//go:embed public.html
var publicHTML string

var indexPage = sync.OnceValue(func() *template.Template {
	return look.New(indexHTML, template.FuncMap{"mark": mark, "day": func(at time.Time) string {
		return at.Format("2 January 2006, 15:04 UTC")
	}})
})

var publicTemplate = sync.OnceValue(func() *template.Template { return look.New(publicHTML, nil) })

const (
	publicPage  = "go-public.html"
	sandboxPage = "sandbox.md"
)

// mark names a state in the pages' symbols.
func mark(s State) string {
	return map[State]string{Done: "passed", Missing: "unchecked", Failed: "failed"}[s]
}

// WritePages writes the pages of a folder from what is in it, and returns what they say.
func (f *Folder) WritePages() (Sheet, error) {
	public := f.public()
	var out bytes.Buffer
	if err := publicTemplate().Execute(&out, public); err != nil {
		return Sheet{}, err
	}
	err := errors.Join(f.write(publicPage, out.Bytes()), f.write("go-public.md", []byte(public.markdown())),
		f.write(sandboxPage, []byte(f.sandbox())))
	if err != nil {
		return Sheet{}, err
	}
	s := f.Sheet() // with the sums of these
	out.Reset()
	if err := indexPage().Execute(&out, s); err != nil {
		return Sheet{}, err
	}
	return s, errors.Join(f.write("index.html", out.Bytes()), f.write("index.md", []byte(s.markdown())))
}

// A publicSheet is what customers are told.
type publicSheet struct {
	Product, Vendor string
	Logo            template.URL // the picture itself; "" for none
	Items           []publicItem
}

type publicItem struct {
	Title  string
	Values []string // none where it is not answered yet, or wrongly
}

var publicTitles = map[string]string{"minimum_version": "Minimum version",
	"prerequisites": "Before you begin", "credentials": "How to get client id, secret and URLs",
	"instructions": "Special instructions", "contact_support": "Contact",
	"escalation": "Severity 1: who is called"}

func (f *Folder) public() publicSheet {
	s := publicSheet{Product: f.one("product"), Vendor: f.one("vendor")}
	for _, q := range Questions {
		right := f.Find(q).State == Done
		switch {
		case q.sheet != ofPublic:
		case q.Key == "logo" && right:
			if text, err := os.ReadFile(f.at(f.one(q.Key))); err == nil {
				s.Logo = template.URL("data:" + logoType(text) + ";base64," +
					base64.StdEncoding.EncodeToString(text))
			}
		case q.Key != "logo":
			item := publicItem{Title: publicTitles[q.Key]}
			if right {
				item.Values = f.Answers.value[q.Key]
			}
			s.Items = append(s.Items, item)
		}
	}
	return s
}

func (s publicSheet) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Connect %s to School Data Sync\n\nBy %s\n", line(s.Product), line(s.Vendor))
	for _, it := range s.Items {
		fmt.Fprintf(&b, "\n## %s\n\n", it.Title)
		if len(it.Values) == 0 {
			b.WriteString("(not answered yet)\n")
		}
		for _, v := range it.Values {
			b.WriteString("- " + line(v) + "\n")
		}
	}
	return b.String()
}

// sandbox tells how the engineer gets in. The secret is not here.
func (f *Folder) sandbox() string {
	r, known := f.last(begun)
	if !known {
		return "# Sandbox\n\nNo service has been named yet: rollbook onboarding sds URL --client … " +
			"--token-url …\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Sandbox\n\n- Base URL: %s\n", r.URL)
	if r.TokenURL != "" {
		fmt.Fprintf(&b, "- Token URL: %s\n", r.TokenURL)
	} else {
		b.WriteString("- Requests are signed (OAuth 1.0a)\n")
	}
	fmt.Fprintf(&b, "- Client id: %s\n- Secret: not here. It reaches the engineer by a link that opens once",
		line(r.Client))
	if f.Find(question("handover")).State == Done {
		b.WriteString(": " + line(f.one("handover")))
	}
	return b.String() + "\n"
}

// line is a text in a line of Markdown: no cell ends, and no markup begins, within it.
func line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'", "*", `\*`, "[", `\[`).Replace(text)
}

func (s Sheet) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n**%s** %d of %d lines are done.\n\n%s, Rollbook %s\n", line(s.Title()),
		s.Verdict(), s.Done, len(s.Lines), s.At.Format("2 January 2006, 15:04 UTC"), s.Version)
	if s.URL != "" {
		fmt.Fprintf(&b, "\nService: %s, client %s\n", s.URL, line(s.Client))
	}
	for _, section := range s.Sections {
		fmt.Fprintf(&b, "\n## %s\n\n| State | Asked | Found | Evidence | When | Version |\n"+
			"|---|---|---|---|---|---|\n", section.Title)
		for _, l := range section.Lines {
			found, evidence := line(l.Says), ""
			if l.Next != "" {
				found += "<br>Next: " + line(l.Next)
			}
			if l.File.Path != "" {
				evidence = fmt.Sprintf("[%s](%s)<br>%s", l.File.Path, l.File.Path, l.File.SHA256)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", l.State, line(l.Asks), found, evidence, l.At,
				line(l.Version))
		}
	}
	return b.String()
}

// Title names what is let in to what.
func (s Sheet) Title() string {
	what, to := s.Product, strings.Join(s.Programmes, " and ")
	if what == "" {
		what = "A product without a name"
	}
	if s.Vendor != "" {
		what += " by " + s.Vendor
	}
	if to == "" {
		return "Onboarding of " + what
	}
	return to + " onboarding of " + what
}
