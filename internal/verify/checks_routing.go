package verify

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode"

	"rollbook/internal/oneroster"
	"rollbook/internal/provider"
	"rollbook/internal/wire"
)

var routeChecks = []Check{
	{ID: "route.letter-case", On: Lists, Where: hasCapitals, Required: microsoft,
		Title: "Path segments are taken in any letter case",
		Rule:  ruleSDS + "'s and Grade Sync's own calls write /lineitems and /lineItems",
		Fix:   "Compare the fixed segments of a path without regard to case; ids stay as they are.",
		Run: func(p *probe) {
			p.sameAs(strings.ToLower(p.route.Path), "the path in lower case")
		}},
	{ID: "route.slashes", On: Lists, Required: microsoft,
		Title: "A doubled and a trailing slash are served in place",
		Rule:  "in the field: " + ruleSDS + " calls //classes/…, user-sync calls /courses/?limit=…",
		Fix:   "Leave empty segments out before matching the path. Do not redirect.", Run: func(p *probe) {
			p.sameAs("/"+p.route.Path, "the path with a doubled slash")
			p.sameAs(p.route.Path+"/", "the path with a trailing slash")
		}},
	{ID: "route.unknown-path", On: Once,
		Title: "A path that OneRoster does not have is answered 404",
		Rule:  ruleREST + ", HTTP status codes",
		Fix:   "Answer 404 in JSON, not with a web page and not with data.", Run: func(p *probe) {
			p.wants(p.get("/noSuchCollection"), http.StatusNotFound)
		}},
	{ID: "route.method", On: Lists,
		Title: "A verb that OneRoster 1.1 does not have changes nothing",
		Rule:  ruleREST + ": no POST; RFC 9110 §15.5.6",
		Fix:   "Answer 405 with an Allow header to POST, PATCH and DELETE on a collection.",
		Run: func(p *probe) {
			a := p.call(provider.Call{Method: http.MethodPost, Path: p.route.Path, Body: []byte("{}")})
			p.ok()
			if a.Err != nil {
				p.fail(a, "no answer: %v", a.Err)
			} else if a.Status < 400 || a.Status >= 500 {
				p.fail(a, "POST is answered %d; 405 was expected", a.Status)
			}
		}},
	{ID: "route.redirect", On: Lists, Title: "Nothing is redirected",
		Rule: "in the field: a redirect drops the Authorization header and breaks a signature",
		Fix:  "Serve where you are asked.", Run: func(p *probe) {
			for _, path := range []string{p.route.Path, p.route.Path + "/", "/" + p.route.Path,
				strings.ToLower(p.route.Path)} {
				if a := p.get(path, "limit", "1"); a.Status >= 300 && a.Status < 400 {
					p.fail(a, "redirected (%d) to %s", a.Status, a.Header.Get("Location"))
				}
			}
		}},
	{ID: "route.extra-parameters", On: Lists,
		Title: "Unknown and oddly spelled parameters do no harm",
		Rule:  "in the field: ext_basic=True, an empty pair, limit%20=1 (" + ruleSDS + "'s published calls)",
		Fix:   "Pass unknown parameters over; trim the names of those you know.", Run: checkParameters},
	{ID: "route.body-on-get", On: Wholes,
		Title: "A GET with a Content-Type and a body is a GET",
		Rule:  "in the field: Google's suite and several clients send one",
		Fix:   "Do not look at the body or the Content-Type of a GET.", Run: func(p *probe) {
			p.collection()
			want := p.list(p.get(p.route.Path, "limit", "1"))
			a := p.call(provider.Call{Path: p.route.Path, Query: "limit=1", Body: []byte("{}")})
			if got, ok := p.page(a); ok && ids(got.Objects) != ids(want.Objects) {
				p.fail(a, "other rows came than without a body: %s instead of %s", ids(got.Objects),
					ids(want.Objects))
			}
		}},
	{ID: "route.identity", On: Once, Title: "A client that takes no compression gets none",
		Rule: "RFC 9110 §12.5.3; Grade Sync and Moodle's older clients offer none",
		Fix:  "Compress only where Accept-Encoding offers it, and say so in Content-Encoding and Vary.",
		Run: func(p *probe) {
			a := p.call(provider.Call{Path: p.door, Query: "limit=1",
				Header: http.Header{"Accept-Encoding": {"identity"}}})
			if _, err := a.Members(); a.Status != http.StatusOK || err != nil ||
				a.Header.Get("Content-Encoding") != "" {
				p.fail(a, "answered %d, Content-Encoding %q", a.Status, a.Header.Get("Content-Encoding"))
			}
		}},
	{ID: "route.escaped-id", On: Singles,
		Title: "An id whose letters are percent-encoded is the same id",
		Rule:  "RFC 3986 §6.2.2.2", Fix: "Decode each path segment once, after splitting the path at " +
			"its slashes.", Run: func(p *probe) {
			id, path := p.single()
			p.object(id)
			var escaped strings.Builder
			for _, c := range []byte(id) {
				escaped.WriteString("%" + strings.ToUpper(hex(c)))
			}
			a := p.get(strings.Replace(path, oneroster.EscapeID(id), escaped.String(), 1))
			if o, _, err := a.One(p.route.Resource.Wrapper()); a.Status != http.StatusOK || err != nil ||
				o.ID() != id {
				p.fail(a, "answered %d for %s with its letters percent-encoded", a.Status, id)
			}
		}},
}

func hex(c byte) string { return string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]) }

func hasCapitals(r *oneroster.Route) bool {
	return strings.ContainsFunc(r.Path, unicode.IsUpper)
}

// sameAs wants another spelling of the route's path to bring the same rows.
func (p *probe) sameAs(path, what string) {
	p.collection()
	want := p.list(p.get(p.route.Path, "limit", "3"))
	a := p.get(path, "limit", "3")
	if a.Err != nil || a.Status != http.StatusOK {
		p.fail(a, "%s is answered %d", what, a.Status)
	} else if got, ok := p.page(a); ok && ids(got.Objects) != ids(want.Objects) {
		p.fail(a, "%s brings other rows: %s instead of %s", what, ids(got.Objects), ids(want.Objects))
	}
}

func checkParameters(p *probe) {
	p.collection()
	want := p.list(p.get(p.route.Path, "limit", "1"))
	for _, query := range []string{"limit=1&ext_basic=True&noSuchParameter=1", "&limit=1&"} {
		a := p.raw(p.route.Path, query)
		got, ok := p.page(a)
		if ok && ids(got.Objects) != ids(want.Objects) {
			p.fail(a, "other rows came than for limit=1: %s instead of %s", ids(got.Objects),
				ids(want.Objects))
		}
	}
	p.list(p.raw(p.route.Path, "limit%20=1")) // read as limit, or as a name that is unknown
}

// ids lists the ids of a few objects.
func ids(objects []wire.Object) string {
	var out []string
	for i, o := range objects {
		if i == 5 {
			out = append(out, "…")
			break
		}
		out = append(out, o.ID())
	}
	return strings.Join(out, " ")
}

// lasting, softly and steady look back on all others.
var lasting = Check{ID: "access.lasting-token", On: Once, OAuth2: true,
	Title: "A token opens until the end that was told with it",
	Rule:  "RFC 6749 §5.1: expires_in; " + ruleSDS + " reads a whole list with one token",
	Fix: "Take every token until its own exp: no count of requests, no address and no instance of the " +
		"server ends it sooner.",
	Run: func(p *probe) {
		end, err := number(p.claims()["exp"]).Float64()
		if told, wrong := p.grant.ExpiresIn.Float64(); err == nil && wrong == nil &&
			time.Until(time.Unix(int64(end), 0)).Seconds() < told-120-time.Since(p.began).Seconds() {
			p.fail(nil, "expires_in said %s, and the token's own exp is before that: readers that believe the "+
				"answer are refused in the middle of a pull", p.grant.ExpiresIn)
		}
		for range 10 {
			p.call(provider.Call{Path: p.door, Query: "limit=1"})
		}
		for _, a := range p.passing {
			if a.Status == http.StatusUnauthorized {
				p.fail(a, "the token is refused before its end; with a new one the same is answered well")
			}
		}
	}}

var softly = Check{ID: "error.status", On: Once, Title: "An error is answered with the status of an error",
	Rule: ruleREST + ", status information beside the status of HTTP; a reader that is answered 200 takes an " +
		"error for an empty list, or a write for done",
	Fix: "Set the status where the error is made (400, 401, 403, 404, 422, 500), and write the status " +
		"information below it.",
	Run: func(p *probe) {
		p.get(p.door+"/no-such-id", "limit", "1")
		p.call(provider.Call{Path: p.door, Who: provider.Who{Nobody: true}})
		for _, a := range p.soft {
			p.fail(a, "answered %d with a status information that says failure", a.Status)
		}
	}}

var steady = Check{ID: "error.steady", On: Once, Title: "A read does not break now and then",
	Rule: "in the field: a pull of a thousand pages ends at the one that breaks",
	Fix:  "Look the requests up in the server's log: a pool that runs dry, or one worker that is ill.",
	Run: func(p *probe) {
		for range 10 {
			if a := p.call(provider.Call{Path: p.door, Query: "limit=1"}); a.Status >= 500 {
				p.leave("%s is always answered %d", a.Line(), a.Status)
			}
		}
		for _, a := range p.passing {
			if a.Err != nil {
				p.fail(a, "no answer: %v; asked again, it was answered well", a.Err)
			} else if a.Status != http.StatusUnauthorized { // access.lasting-token
				p.fail(a, "answered %d, and well when it was asked again", a.Status)
			}
		}
	}}

var errorChecks = []Check{
	{ID: "error.unknown-id", On: Singles,
		Title: "An unknown id is answered 404, in JSON, as the standard's status information",
		Rule: ruleREST + ", status information: unknown object; Grade Sync takes 404, and nothing " +
			"else, for absent", Fix: "Answer 404 with {\"statusInfoSet\":[{imsx_codeMajor, imsx_severity, " +
			"imsx_codeMinor, imsx_description}]}.", Run: func(p *probe) {
			a := p.get(fill(p.route.Path, map[string]string{"id": "no-such-id-" + p.route.Resource.Name}))
			p.must(a, http.StatusNotFound)
			if !p.listOf().usable() {
				p.lacks("no object shows that %s is served", p.route.Path)
				return
			}
			p.toldAs(a)
		}},
	{ID: "error.bad-filter", On: Wholes,
		Title: "A refused filter is told of in JSON, as the standard's status information",
		Rule:  ruleREST + ", status information: invalid_filter_field",
		Fix: "Answer 400 with a statusInfoSet whose imsx_codeMinor is invalid_filter_field and whose " +
			"description names the field.", Run: func(p *probe) {
			p.collection()
			a := p.get(p.route.Path, "filter", "noSuchField='1'")
			if a.Err != nil || a.Status < 400 {
				p.leave("the filter was not refused (filter.unknown-field)")
			}
			p.toldAs(a)
		}},
	{ID: "error.no-token", On: Once,
		Title: "A missing token is told of in JSON, as the standard's status information",
		Rule:  ruleREST + ", status information: unauthorized; clients parse every error as JSON",
		Fix:   "Answer 401 with Content-Type application/json and a statusInfoSet.", Run: func(p *probe) {
			a := p.call(provider.Call{Path: p.door, Query: "limit=1", Who: provider.Who{Nobody: true}})
			if a.Err != nil || a.Status < 400 {
				p.leave("the request was not refused (access.no-token)")
			}
			p.toldAs(a)
		}},
}

// statusInfo reads a body of status information.
func statusInfo(a *provider.Answer) (o wire.Object, ok bool) {
	if set, err := a.List("statusInfoSet"); err == nil && len(set.Objects) > 0 {
		return set.Objects[0], true
	}
	err := json.Unmarshal(a.Body, &o) // the published schema has it bare
	return o, err == nil && o["imsx_codeMajor"] != nil
}

// toldAs wants an error's body in the shape of 1.1: a statusInfoSet, or the
// bare imsx_StatusInfo of the published schema.
func (p *probe) toldAs(a *provider.Answer) {
	p.ok()
	if !isJSON(a) {
		p.fail(a, "the error's Content-Type is %q, not application/json", a.Header.Get("Content-Type"))
	}
	o, ok := statusInfo(a)
	if members, err := a.Members(); !ok && err == nil && (members["statusInfo"] != nil ||
		members["errors"] != nil) {
		p.advise(a, "the status information is that of some vendors: the standard has a statusInfoSet, or its "+
			"members at the root")
		return
	}
	if !ok {
		p.fatal(a, "the body is no status information: neither a statusInfoSet nor an object with "+
			"imsx_codeMajor")
	}
	for _, name := range []string{"imsx_codeMajor", "imsx_severity"} {
		if o.Text(name) == "" {
			p.fail(a, "the status information has no %s", name)
		}
	}
	if major := o.Text("imsx_codeMajor"); major == "success" {
		p.fail(a, "imsx_codeMajor of an error is success")
	}
	if o.Text("imsx_description") == "" || o["imsx_codeMinor"] == nil && o["imsx_CodeMinor"] == nil {
		p.advise(a, "the status information has no imsx_description, or no imsx_codeMinor")
	}
}
