package query_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// A plain filter has its values in straight quotes, without a quote or a comma
// inside, and its words between single spaces: it can be read by eye.
var (
	plainClause = `([A-Za-z.]+)(!=|>=|<=|=|>|<|~)'([A-Za-z0-9:. _%-]*)'`
	plainFilter = regexp.MustCompile(`^` + plainClause + `( (?i:and|or) ` + plainClause + `)*$`)
	plainParts  = regexp.MustCompile(`(?i:(?: (and|or) )?)` + plainClause)
)

// means reads a plain filter as docs/filter.md has it and applies it to a record,
// without anything of the package. known is false for a text that is not plain or
// asks for what cannot be compared.
func means(text string, rec oneroster.Record) (yes, known bool) {
	if !plainFilter.MatchString(text) {
		return false, false
	}
	chain := true // AND binds tighter
	for _, p := range plainParts.FindAllStringSubmatch(text, -1) {
		if strings.EqualFold(p[1], "or") {
			yes, chain = yes || chain, true
		}
		holds, ok := holds(rec, p[2], p[3], p[4])
		if !ok {
			return false, false
		}
		chain = chain && holds
	}
	return yes || chain, true
}

// kinds of the fields that the oracle knows.
var kinds = map[string]string{"sourcedId": "exact", "class": "exact", "familyName": "text", "comment": "text",
	"identifier": "text", "status": "word", "role": "word", "enabledUser": "word", "grades": "list",
	"orgs":             "exact list",
	"dateLastModified": "time", "beginDate": "date", "score": "number"}

func holds(rec oneroster.Record, field, predicate, want string) (yes, known bool) {
	if predicate == "!=" {
		yes, known = holds(rec, field, "=", want)
		return !yes, known
	}
	kind, have := kinds[field], rec.Get(field)
	if kind == "" || rec.Resource.Index(field) < 0 || want == "" || strings.TrimSpace(want) != want {
		return false, false
	}
	if strings.Contains(want, " ") && field != "familyName" && field != "comment" { // a plus, perhaps
		return false, false
	}
	if kind == "text" || kind == "word" || kind == "list" {
		have, want = strings.ToLower(have), strings.ToLower(want)
	}
	if strings.HasSuffix(kind, "list") {
		items := strings.Split(have, oneroster.ListSep)
		in := func(item string) bool { return strings.Contains(item, want) }
		return predicate == "=" && slices.Contains(items, want) ||
				predicate == "~" && slices.ContainsFunc(items, in),
			predicate == "=" || predicate == "~"
	}
	order := strings.Compare(have, want)
	switch {
	case predicate == "~":
		return strings.Contains(have, want), kind == "text" || kind == "exact"
	case kind == "word":
		f := rec.Resource.Field(field)
		if field != "enabledUser" && !slices.Contains(f.Enum, want) ||
			field == "enabledUser" && want != "true" && want != "false" {
			return false, true
		}
	case kind == "number":
		a, _ := strconv.ParseFloat(have, 64)
		b, err := strconv.ParseFloat(want, 64)
		if err != nil {
			return false, false
		}
		order = int(max(-1, min(1, (a-b)*1e9)))
	case kind == "time" || kind == "date":
		a, _ := time.Parse(time.RFC3339Nano, have+map[bool]string{true: "T00:00:00Z"}[kind == "date"])
		b, err := time.Parse(time.RFC3339Nano, strings.ToUpper(midnight(want)))
		if err != nil || b.Year() < 1900 || b.Year() > 2100 {
			return false, false
		}
		if kind == "date" { // the day counts as it is written
			_, zone := b.Zone()
			b = b.Add(time.Duration(zone) * time.Second)
		}
		order = a.Compare(b)
	}
	if have == "" {
		return false, true
	}
	return map[string]bool{"=": order == 0, "<": order < 0, "<=": order <= 0, ">": order > 0,
		">=": order >= 0}[predicate], true
}

// midnight gives a bare date its midnight.
func midnight(text string) string {
	if len(text) == len("2026-01-01") {
		return text + "T00:00:00Z"
	}
	return text
}

// values of each field, of records and of filters; and some that only filters have.
var values = map[string][]string{
	"sourcedId": {"a1", "A1", "a10", "b"}, "class": {"c1", "C1", ""},
	"familyName": {"Ng", "ng", "Nguyen", "van Ng", ""},
	"identifier": {"ST1", "st1", "ST10", ""}, "comment": {"good", "Good", ""},
	"status": {"active", "tobedeleted"},
	"role":   {"student", "teacher"}, "enabledUser": {"true", "false"}, "grades": {"09", "10", "KG", ""},
	"orgs":             {"s1", "S1", "s10", ""},
	"dateLastModified": {"2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z", "2026-01-02T00:00:00.000Z"},
	"beginDate":        {"2026-01-01", "2026-01-02", ""}, "score": {"9", "10", "9.5", "-1", "0", ""},
}

var onlyAsked = map[string][]string{
	"familyName": {"N", "NG", "none"}, "status": {"ACTIVE", "norecords"}, "role": {"Student", "none"},
	"enabledUser": {"TRUE", "none"},
	"grades":      {"kg", "1", "none"}, "orgs": {"s"}, "score": {"9.50", "8", "1e1"},
	"dateLastModified": {"2026-01-01", "2026-01-01T00:00:00.0005Z", "2026-01-01T02:00:00-01:00",
		"2026-01-01t00:00:00.001z"},
	"beginDate": {"2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z", "2026-01-02T00:00:00-11:00"},
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

// someone is a record with values that filters ask for.
func someone(rng *rand.Rand, r *oneroster.Resource) oneroster.Record {
	rec := oneroster.NewRecord(r)
	for _, f := range r.Fields {
		switch {
		case values[f.Name] == nil:
		case f.Kind.IsList():
			rec.Set(f.Name, oneroster.Join(pick(rng, values[f.Name]), pick(rng, values[f.Name])))
		default:
			rec.Set(f.Name, pick(rng, values[f.Name]))
		}
	}
	return rec
}

// What a filter selects is what docs/filter.md says, read a second time by means.
func TestFilterSelectsWhatItSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	judged, refused := 0, 0
	for range 20000 {
		r := oneroster.ByName(pick(rng, []string{"user", "enrollment", "result"}))
		var known []string
		for _, f := range r.Fields {
			if kinds[f.Name] != "" {
				known = append(known, f.Name)
			}
		}
		text := ""
		for n := rng.IntN(4); n >= 0; n-- {
			field := pick(rng, known)
			asks := slices.Concat(values[field], onlyAsked[field])
			text += field + pick(rng, []string{"=", "!=", ">", ">=", "<", "<=", "~"}) + "'" +
				pick(rng, asks) + "'"
			if n > 0 {
				text += pick(rng, []string{" AND ", " OR ", " and ", " Or "})
			}
		}
		for range 4 {
			switch agrees(t, r, text, someone(rng, r)) {
			case "judged":
				judged++
			case "refused":
				refused++
			}
		}
	}
	if judged < 20000 || refused > 0 {
		t.Errorf("%d judged; %d refused that can be read", judged, refused)
	}
}

// agrees holds a filter to its plain meaning for a record.
func agrees(t *testing.T, r *oneroster.Resource, text string, rec oneroster.Record) string {
	t.Helper()
	want, known := means(text, rec)
	if !known {
		return "not plain"
	}
	e, err := query.ParseFilter(r, text)
	if err != nil {
		return "refused"
	}
	if got := query.Match(e, rec); got != want {
		t.Errorf("%s\nread as %s\nis %v, want %v, of %s", text, e, got, want, fmt.Sprintf("%q", rec.Values))
	}
	return "judged"
}
