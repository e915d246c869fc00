package intake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"rollbook/internal/oneroster"
	"rollbook/internal/quality"
	"rollbook/internal/wire"
)

// Marks of a record.
const (
	taken  = 1 << iota // School Data Sync takes it as it is served now
	active             // and it is there afterwards
)

// sds is what School Data Sync makes of one side.
type sds struct {
	outcome quality.Outcome
	stopped string         // why
	sizes   map[uint64]int // findings by hash
	list    []found
}

// A found is the findings of a rule in a resource, and whether they are new.
type found struct {
	rule       *quality.Rule
	resource   string
	new, known int
	first      []string
}

// stamps are rules of dateLastModified, which is the service's own and not yet
// given.
var stamps = map[string]bool{"SDS-G03": true, "SDS-G04": true}

// judgeSDS judges a side as "rollbook sync sds" does by default.
func (j *judgement) judgeSDS(ctx context.Context, s *side, into *sds) error {
	stamp := oneroster.FormatTime(j.Today)
	into.sizes = map[uint64]int{}
	opt := quality.Options{Today: j.Today, Kept: func(resource string, o wire.Object) {
		switch key := hash(resource + "/" + o.ID()); {
		case s.isNow:
			j.marks[key] = taken
		case j.marks[key] == taken|active:
			j.stay[resource]++
		}
	}}
	each := func(resource string, yield func(wire.Object) error) error {
		o := wire.Object{}
		return s.each(ctx, oneroster.ByName(resource), func(rec oneroster.Record) error {
			o.Set(rec)
			if o["dateLastModified"] == nil {
				o["dateLastModified"] = stamp
			}
			if key := key(rec); !s.isNow && j.marks[key] == taken && !j.closed[key] {
				j.marks[key] |= active
				j.active[resource]++
			}
			return yield(o)
		})
	}
	var err error
	into.outcome, err = quality.Judge(ctx, opt, each, func(f quality.Finding) { j.find(s, into, f) })
	return err
}

// find takes a finding. One of a whole collection counts as many as it says.
func (j *judgement) find(s *side, into *sds, f quality.Finding) {
	if stamps[f.Rule.ID] {
		return
	}
	if f.Rule.Severity == quality.Catastrophic {
		into.stopped = f.Text
	}
	size := 1
	if n, err := strconv.Atoi(f.Value); f.SourcedID == "" && err == nil && n > 0 {
		size = n
	}
	key := hash(f.Rule.ID + "\x00" + f.Resource + "\x00" + f.SourcedID + "\x00" + f.Field)
	if s.isNow {
		into.sizes[key] += size
		return
	}
	known := min(size, j.before.sizes[key])
	j.before.sizes[key] -= known
	i := slices.IndexFunc(into.list, func(o found) bool {
		return o.rule.ID == f.Rule.ID && o.rule.Severity == f.Rule.Severity && o.resource == f.Resource
	})
	if i < 0 {
		i = len(into.list)
		into.list = append(into.list, found{rule: f.Rule, resource: f.Resource})
	}
	o := &into.list[i]
	o.known += known
	o.new += size - known
	if size > known && len(o.first) < mostExamples {
		text := f.Text
		if f.SourcedID != "" {
			text = f.SourcedID + ": " + text
		}
		o.first = append(o.first, text)
	}
}

// guardSDS holds what School Data Sync would drop that it takes today, and what it
// would stop at. A district that it stops at today has no such measure.
func (j *judgement) guardSDS() {
	list := j.after.list
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.rule.Severity, b.rule.Severity), b.new-a.new,
			cmp.Compare(a.rule.ID, b.rule.ID), cmp.Compare(a.resource, b.resource))
	})
	for _, f := range list {
		r := oneroster.ByName(f.resource)
		j.verdict.Findings = append(j.verdict.Findings, Finding{f.rule.ID, f.rule.Severity.String(), r.Plural,
			f.rule.Title, f.new, f.known, append([]string{}, f.first...)})
		if f.rule.Severity > quality.Error && f.new >= some && f.new*100 > j.then.total[r] &&
			j.Imported(r) > 0 {
			j.note(fmt.Sprintf("%s (%s) would have %s new findings: %s", f.rule.ID, f.rule.Title,
				number(f.new), f.first[0]))
		}
	}
	switch {
	case j.before.outcome.Stopped && len(j.now.orgs) == 0: // the first import
		return
	case j.before.outcome.Stopped:
		j.note("School Data Sync stops at the district as it is: " + j.before.stopped)
		return
	case j.after.outcome.Stopped:
		j.object(Objection{Guard: "sds", Text: "School Data Sync would stop: " + j.after.stopped})
		return
	}
	limit := j.limits.of("guard-sds")
	for _, r := range oneroster.Resources() {
		of := j.before.outcome.Kept[r.Name]
		n := j.active[r.Name] - j.stay[r.Name]
		j.judge("sds", r.Plural, n, of, limit, "School Data Sync would drop "+count(n, of, r.Plural)+
			" that it takes today"+why(list, r.Name))
	}
}

// why is an example of what new findings of a resource say most.
func why(list []found, resource string) string {
	for _, f := range list {
		if f.resource == resource && f.new > 0 && f.rule.Severity == quality.Error {
			return fmt.Sprintf(" (%s, %s)", f.rule.ID, f.first[0])
		}
	}
	return ""
}
