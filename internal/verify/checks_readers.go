package verify

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

var (
	sdsProfiles   = []string{"sds", "sds-classic"}
	gradeProfiles = []string{"gradesync"}
	microsoft     = slices.Concat(sdsProfiles, gradeProfiles)
)

// sdsChecks are what School Data Sync asks on the wire.
var sdsChecks = []Check{
	{ID: "sds.base-url", On: Once, Profiles: sdsProfiles, Advice: true,
		Title: "The base URL ends in /ims/oneroster/v1p1",
		Rule:  ruleSDS + " (SDS-A02): its connector asks for it",
		Fix:   "Serve the standard's path, at the root of a host if need be.", Run: func(p *probe) {
			if !strings.HasSuffix(strings.ToLower(p.p.URL), oneroster.V1p1.Base) {
				p.fail(nil, "the base URL is %s", p.p.URL)
			}
		}},
	{ID: "sds.pull", On: Wholes, Profiles: []string{"sds"}, Where: pulled,
		Title: "The pull offset=0&limit=5000&filter=status='active' brings what is active, counted, " +
			"within 30 seconds",
		Rule: ruleSDS + " (SDS-A03, A04, A08)",
		Fix:  "Serve pages of 5,000 from an index on status; stream.", Run: func(p *probe) {
			c := p.collection()
			a := p.raw(p.route.Path, "offset=0&limit=5000&filter=status=%27active%27")
			got := p.list(a)
			if len(got.Objects) == 0 {
				p.fail(a, "nothing came: School Data Sync takes an empty %s for a broken connection",
					p.route.Path)
			}
			if got.Total < len(got.Objects) || got.Total > len(got.Objects) && len(got.Objects) < 5000 {
				p.fail(a, "%s came, X-Total-Count is %d", plural(len(got.Objects), "row"), got.Total)
			}
			if a.Took > 30*time.Second {
				p.fail(a, "took %.1f s", a.Took.Seconds())
			}
			p.pulls(c, "status=%27active%27", 5000, active)
		}},
	{ID: "sds.pages", On: Wholes, Profiles: []string{"sds"}, Where: pulled,
		Title: "The pull in pages brings every active row once",
		Rule:  ruleSDS + ", paging of a filtered list",
		Fix:   "Filter first, order by a unique key, then page.", Run: func(p *probe) {
			c := p.collection()
			p.pulls(c, "status=%27active%27", c.part(4), active)
		}},
	{ID: "sds.paging", On: Wholes, Profiles: sdsProfiles, Where: pulled,
		Title: "offset=2&limit=1 brings another row than the first: there are three",
		Rule:  ruleSDS + " (SDS-A05), published calls",
		Fix:   "Give the test district three rows of everything.", Advice: true, Run: func(p *probe) {
			if c := p.collection(); c.count < 3 {
				p.fail(c.first, "the list has %s", plural(c.count, "row"))
			}
		}},
	{ID: "sds.school-year", On: Once, Profiles: sdsProfiles,
		Title: "schoolYear='…' AND status='active' selects sessions",
		Rule:  ruleSDS + ", published calls",
		Fix:   "Let schoolYear be filtered, as the string of four digits that it is.", Run: func(p *probe) {
			c := p.all("academicSession")
			if c == nil {
				p.leave("there are no sessions")
			}
			p.route = c.route
			p.filtered(c, exactly("schoolYear", c.record(0).Get("schoolYear")).and(active))
		}},
	{ID: "sds.terms", On: Once, Profiles: sdsProfiles,
		Title: "The first class's first term is read under /terms and under /academicSessions",
		Rule:  ruleSDS + ", published calls", Fix: "Give classes terms of type term.", Run: func(p *probe) {
			other := map[string]bool{} // a class may be taught all the year
			for _, rec := range p.active("academicSession") {
				other[rec.ID()] = rec.Get("type") != "term"
			}
			for _, rec := range p.active("class") {
				terms := slices.DeleteFunc(oneroster.Items(rec.Get("terms")),
					func(id string) bool { return other[id] })
				if len(terms) == 0 {
					continue
				}
				for _, path := range []string{"/academicSessions/", "/terms/"} {
					a := p.get(path + oneroster.EscapeID(terms[0]))
					p.ok()
					if a.Status != http.StatusOK {
						p.fail(a, "answered %d for a term of class %s", a.Status, rec.ID())
					}
				}
				return
			}
			p.lacks("no class has a term of type term")
		}},
	{ID: "sds.contacts", On: Once, Profiles: sdsProfiles,
		Title: "Guardians are found by role='guardian' and have agents",
		Rule:  ruleSDS + ", contacts (SDS-U06)", Fix: "Serve guardians, with agents both ways.",
		Run: func(p *probe) {
			a := p.get("/users", "filter", "role='guardian'")
			active := slices.DeleteFunc(p.list(a, "user").Objects, wire.Object.Deleted) // whose agents are gone
			if len(active) == 0 {
				p.held = false
				p.leave("there are no guardians; contacts are optional")
			}
			if len(active[0].Refs("agents")) == 0 {
				p.fail(a, "the first guardian, %s, has no agents", active[0].ID())
			}
		}},
	{ID: "sds.user-flags", On: Once, Profiles: sdsProfiles, Advice: true,
		Title: "metadata microsoft.userFlags has flags that School Data Sync knows",
		Rule:  ruleSDS + ", user flags (SDS-U07)",
		Fix:   "Write a comma-separated list of " + strings.Join(oneroster.FlagValues, ", ") + ".",
		Run: func(p *probe) {
			c := p.all("user")
			if c == nil {
				p.leave("there are no users")
			}
			metadata := c.route.Resource.MetadataIndex()
			for n := range c.count {
				value, err := wire.Decode([]byte(c.text(n, metadata)))
				if err != nil {
					continue // it has none
				}
				flags, unknown := quality.Flags(wire.Object{"metadata": value})
				for _, flag := range unknown {
					p.fail(nil, "user %s has the flag %q", c.id(n), flag)
				}
				if len(flags) > 0 {
					p.ok()
				}
			}
			p.lacks("no user has flags; they are optional")
		}},
	{ID: "sds.usernames", On: Once, Profiles: sdsProfiles, Advice: true,
		Title: "Usernames of students and teachers have no @",
		Rule:  ruleSDS + ", published calls",
		Fix:   "Serve the part before the @ as username, and the address as email.", Run: func(p *probe) {
			for _, rec := range p.active("user") {
				p.ok()
				if role := rec.Get("role"); (role == "student" || role == "teacher") &&
					strings.Contains(rec.Get("username"), "@") {
					p.fail(nil, "the %s %s has the username %q", role, rec.ID(), rec.Get("username"))
				}
			}
			p.lacks("there are no users")
		}},
}

// pullPages are as many as any list has, and an end of a list that has none.
const pullPages = MostRows / pageMost

// pulls walks a filtered list as a reader does, page after page, and wants every
// walked row that the filter selects, each once.
func (p *probe) pulls(c *collection, filter string, limit int, want condition) {
	if !c.whole {
		p.leave("%s was not read whole", p.route.Path)
	}
	seen := map[string]bool{}
	var a *provider.Answer
	for offset, pages := 0, 0; ; pages++ {
		if pages == pullPages {
			p.held = false
			p.lacks("%d pages of it did not reach the end", pages)
			return
		}
		a = p.raw(p.route.Path, fmt.Sprintf("offset=%d&limit=%d&filter=%s", offset, limit, filter))
		got := p.list(a)
		for _, o := range got.Objects {
			if seen[o.ID()] {
				p.fatal(a, "row %s came a second time, at offset %d", o.ID(), offset)
			}
			seen[o.ID()] = true
		}
		if offset += len(got.Objects); len(got.Objects) == 0 || offset >= got.Total && got.Total >= 0 {
			break
		}
		// Deleted rows that plain lists hide come too, and may be many more.
		limit = max(limit, min(pageMost, got.Total/100))
	}
	for _, rec := range c.records() {
		if want.must(rec) && !seen[rec.ID()] {
			p.fatal(a, "row %s did not come on any of the pages of %d, which held %d", rec.ID(), limit,
				len(seen))
		}
	}
}

func pulled(r *oneroster.Route) bool {
	return slices.Contains([]string{"/academicSessions", "/orgs", "/users", "/classes", "/enrollments"}, r.Path)
}

var gradeChecks = []Check{
	{ID: "gradesync.jwt", On: Once, OAuth2: true, Profiles: gradeProfiles,
		Title: "The access token is a JWT whose exp is more than five minutes away",
		Rule:  ruleGS + " reads exp and renews five minutes before",
		Fix:   "Issue signed JWTs with exp, an hour ahead.", Run: func(p *probe) {
			claims := p.claims()
			if claims == nil {
				p.fatal(nil, "the token is no JWT of three parts, the second of them JSON: Grade Sync refuses the "+
					"connection")
			}
			n, err := number(claims["exp"]).Float64()
			if err != nil {
				p.fail(nil, "the token has no exp")
			} else if left := time.Until(time.Unix(int64(n), 0)); left < 5*time.Minute {
				p.fail(nil, "the token ends in %v", left.Round(time.Second))
			}
		}},
	{ID: "gradesync.teacher", On: Once, Profiles: gradeProfiles,
		Title: "A teacher is found by e-mail, alone",
		Rule:  ruleGS + "; Google's suite wants exactly one",
		Fix:   "Give every teacher an e-mail address that nobody else has.", Run: func(p *probe) {
			email := p.teacher().Get("email")
			a := p.get("/teachers", "limit", "10000", "filter", "email="+provider.Quote(email))
			if got, ok := p.page(a, "user"); ok && len(got.Objects) != 1 {
				p.fail(a, "%s have the email %q", plural(len(got.Objects), "teacher"), email)
			}
		}},
	{ID: "gradesync.classes", On: Once, Profiles: gradeProfiles,
		Title: "A teacher's classes and their students come whole with limit=7000",
		Rule:  ruleGS + " does not read a second page", Fix: "Serve a limit of 7,000 in full.",
		Run: func(p *probe) {
			teacher := p.teacher()
			a := p.get("/teachers/"+oneroster.EscapeID(teacher.ID())+"/classes", "limit", "7000")
			classes := p.list(a, "class")
			p.uncut(a, classes)
			if len(classes.Objects) == 0 {
				p.fatal(nil, "the teacher %s, who has enrollments, has no classes", teacher.ID())
			}
			a = p.get("/classes/"+oneroster.EscapeID(classes.Objects[0].ID())+"/students", "limit", "7000")
			students := p.list(a, "user")
			p.uncut(a, students)
			for _, s := range students.Objects {
				if s.Text("email") == "" && s.Text("username") == "" {
					p.fail(a, "the student %s has neither e-mail nor username to be matched by", s.ID())
				}
			}
		}},
	{ID: "gradesync.periods", On: Once, Profiles: gradeProfiles,
		Title: "Grading periods are found by type, and one covers today",
		Rule:  ruleGS + " files grades under it, else under the latest", Advice: true,
		Fix: "Serve the grading periods of the current year.", Run: func(p *probe) {
			a := p.get("/academicSessions", "limit", "5000", "filter", "type='gradingPeriod'")
			got := p.list(a, "academicSession")
			today, covered := p.opt.Now.UTC().Format(oneroster.DateLayout), false
			for _, o := range got.Objects {
				if o.Text("type") != "gradingPeriod" {
					p.fail(a, "%s is of type %s", o.ID(), text(o["type"]))
				}
				covered = covered || o.Text("startDate") <= today && today <= o.Text("endDate")
			}
			if !covered {
				p.fail(a, "none of %s covers %s", plural(len(got.Objects), "grading period"), today)
			}
		}},
	{ID: "gradesync.categories", On: Once, Profiles: gradeProfiles, Advice: true,
		Title: "There is an active category",
		Rule:  ruleGS + "; Google's suite wants one for each class",
		Fix:   "Serve categories; metadata.classId ties one to a class.", Run: func(p *probe) {
			a := p.get("/categories", "limit", "7000")
			got := p.list(a, "category")
			for _, o := range got.Objects {
				if o.Text("status") == oneroster.Active {
					return
				}
			}
			p.fail(a, "none of %s is active", plural(len(got.Objects), "category"))
		}},
	{ID: "gradesync.absent", On: Once, Profiles: gradeProfiles,
		Title: "An absent line item or result is 404, exactly",
		Rule:  ruleGS + " ends the sync at any other status",
		Fix:   "Answer 404 to an unknown id, whatever it looks like.", Run: func(p *probe) {
			for _, path := range []string{"/lineItems/", "/results/"} {
				for _, id := range []string{newID(), newID() + "-no.such class"} {
					p.wants(p.get(path+oneroster.EscapeID(id)), http.StatusNotFound)
				}
			}
		}},
	{ID: "gradesync.vendor-header", On: Once, Profiles: gradeProfiles,
		Title: "The header x-vendor-authorization does no harm",
		Rule:  ruleGS + " may send it with everything", Fix: "Pass unknown headers over.",
		Run: func(p *probe) {
			a := p.call(provider.Call{Path: p.door, Query: "limit=1",
				Header: http.Header{"X-Vendor-Authorization": {"key:secret"}}})
			p.wants(a, http.StatusOK)
		}},
	{ID: "gradesync.two-questions", On: Lists, Profiles: gradeProfiles, Advice: true,
		Title: "A number with more behind it is read as its leading digits: offset=0?limit=7000",
		Rule:  ruleGS + ": a build of August 2023 asks so",
		Fix:   "Read limit and offset up to the first character that is no digit.", Run: func(p *probe) {
			p.collection()
			a := p.raw(p.route.Path, "limit=1&offset=0?limit=7000")
			if got, err := p.asList(a, p.route.Resource); a.Status != http.StatusOK || err != nil ||
				len(got.Objects) != 1 {
				p.fail(a, "answered %d with %s where limit is 1", a.Status, plural(len(got.Objects), "row"))
			}
		}},
	{ID: "gradesync.links", On: Once, Profiles: gradeProfiles, Advice: true,
		Title: "The Link header is one line, next first, without a bare comma inside a URL",
		Rule:  ruleGS + ": one build splits it at commas and counts from next",
		Fix:   "Write next, last, first, prev in this order, commas in URLs as %2C.", Run: func(p *probe) {
			a := p.get("/users", "limit", "1", "fields", "sourcedId,status")
			header := a.Header.Get("Link")
			if header == "" {
				p.leave("there is no Link header (link.there)")
			}
			p.ok()
			parts := strings.Split(header, ",")
			for _, part := range parts {
				if part = strings.TrimSpace(part); !strings.HasPrefix(part, "<") || !strings.Contains(part,
					">; rel=\"") {
					p.fail(a, "split at commas, a part of the header is %q", part)
				}
			}
			if !strings.Contains(parts[0], `rel="next"`) && a.Total() > 1 {
				p.fail(a, "next is not the first link")
			}
		}},
}

// uncut wants as many rows as are counted, up to the 7,000 that were asked for.
func (p *probe) uncut(a *provider.Answer, got wire.Page) {
	if len(got.Objects) < min(7000, got.Total) {
		p.fail(a, "%s came of %d with limit=7000: Grade Sync does not read on",
			plural(len(got.Objects), "row"), got.Total)
	}
}

// teacher is an active teacher with a class and an e-mail address. The check ends where there is
// none.
func (p *probe) teacher() (teacher oneroster.Record) {
	c := p.reading("/teachers")
	for _, e := range p.active("enrollment") {
		if !c.usable() || e.Get("role") != "teacher" {
			continue
		}
		if at, there := c.find(e.Get("user")); there && c.record(at).Get("email") != "" {
			return c.record(at)
		}
	}
	p.leave("no teacher has an e-mail address and a class")
	return teacher
}
