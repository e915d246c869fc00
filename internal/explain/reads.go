package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/ledger"
	"rollbook/internal/oneroster"
	"rollbook/internal/query"
	"rollbook/internal/store"
	"rollbook/internal/words"
)

// A read is a pull that told a client of a record: as of a version, or, where version is nil, that
// it is not there any more, since the list was whole and lacked it.
type read struct {
	*ledger.Question
	version *store.Version
}

func (r *read) when() string { return words.When(r.Began) }

// A known is what a client knows of a record.
type known struct {
	last  *read // that told of it last
	good  *read // the last in which it was active
	pulls int   // of lists of its kind
	miss  *miss // why the latest list that could have had it had it not
	// passed is a delta that begins after the record was last changed, to passedBy, and by which the
	// client therefore learns nothing of that.
	passed   *ledger.Question
	passedBy *store.Version
	left     map[string]*miss // by list: the latest that it does not belong to, or is filtered from
}

// gone tells whether the client knows the record as retired.
func (k *known) gone() bool { return k.last != nil && !active(k.last.version) }

// forgotten tells whether what a client read of a record cannot be known any more.
func (k *known) forgotten() bool { return k.last == nil && k.miss != nil && k.miss.kind == "unknown" }

// A miss is why a pull that was made had a record not.
type miss struct {
	*ledger.Question
	kind string // "came later", "filter", "elsewhere", "broke off", "left out", "unchanged", "no answer", …
	text string // after the name of the client
}

// mostSought bounds the rows that are looked for in walks that were not whole: each costs a look at
// the whole list as it was.
const mostSought = 10

// errSought: that many have been looked at.
var errSought = errors.New("too many walks that were not whole")

// asked are the pulls of a client, the latest first, each read once.
func (q *inquiry) asked(ctx context.Context, c *auth.Client) ([]*ledger.Question, error) {
	if all, known := q.questions[c.ID]; known {
		return all, nil
	}
	pulls, err := q.Pulls(ctx, store.PullsOf{Client: c.ID, Until: q.At})
	out := make([]*ledger.Question, 0, len(pulls))
	for i := range pulls {
		if asked := ledger.Ask(&pulls[i]); asked != nil {
			out = append(out, asked)
		}
	}
	q.questions[c.ID] = out
	return out, err
}

// knows finds what a client knows of some records of one resource.
func (q *inquiry) knows(ctx context.Context, c *auth.Client, lives []*life) (map[string]*known, error) {
	out := map[string]*known{}
	for _, l := range lives {
		out[l.ID] = &known{left: map[string]*miss{}}
	}
	if len(lives) == 0 {
		return out, nil
	}
	pulls, err := q.asked(ctx, c)
	for _, asked := range pulls {
		if err != nil || !slices.ContainsFunc(lives, func(l *life) bool { return out[l.ID].good == nil }) {
			break
		}
		if asked.Selection.Route.Resource == lives[0].r {
			err = q.look(ctx, asked, lives, out)
		}
	}
	return out, err
}

// look looks what one pull, earlier than those before, told of some records.
func (q *inquiry) look(ctx context.Context, asked *ledger.Question, lives []*life,
	into map[string]*known) error {
	places, err := q.places(ctx, asked, lives)
	var untold *miss // of any of them
	switch {
	case errors.Is(err, store.ErrNotEarlier):
		untold = forgot(asked)
	case errors.Is(err, errSought):
		untold = &miss{asked, "broke off",
			fmt.Sprintf("has begun %s on %s and not read it to its end (pull %d)",
				asked.List, words.When(asked.Began), asked.ID)}
	case err != nil:
		return err
	}
	for _, l := range lives {
		k := into[l.ID]
		k.pulls++
		if asked.Total == 0 && !asked.Since.IsZero() && (k.passed != nil || k.last != nil) {
			continue // clients ask for what has changed by the ten thousand
		}
		v, miss := (*store.Version)(nil), untold
		if untold == nil {
			v, miss = q.told(asked, l, places)
		}
		switch {
		case miss == nil && k.last == nil:
			k.last = &read{asked, v}
			if k.passed != nil && k.passedBy.Rev <= asked.LastEdition { // it was read already
				k.passed = nil
			}
		case miss != nil && miss.kind == "unchanged" && k.last == nil && k.passed == nil:
			k.passed, k.passedBy = asked, l.At(asked.LastEdition)
		}
		if miss == nil && q.counts(l, v) && k.good == nil {
			k.good = &read{asked, v}
		}
		if miss != nil && (miss.kind == "filter" || miss.kind == "elsewhere") && k.last == nil &&
			k.left[asked.List] == nil {
			k.left[asked.List] = miss
		}
		// A list whole says more of what it lacks than a delta does.
		if miss != nil && (k.miss == nil || k.miss.kind == "unchanged" && miss.kind != "unchanged") {
			k.miss = miss
		}
	}
	return nil
}

// forgot is of a pull that is older than what the journal knows of a record.
func forgot(asked *ledger.Question) *miss {
	return &miss{asked, "unknown", fmt.Sprintf("read %s on %s", asked.List, words.When(asked.Began))}
}

// places are where records stood in a list, from 0 on; nil where that need not be known: the list
// was read whole, or lacks them all, and each record says itself whether it belongs to it.
func (q *inquiry) places(ctx context.Context, asked *ledger.Question, lives []*life) (map[string]int, error) {
	selects := q.Selects(asked.Selection)
	if asked.Total < 0 || selects != nil && (asked.Whole() || !slices.ContainsFunc(lives, func(l *life) bool {
		v := l.At(asked.LastEdition)
		return v != nil && selects(v.Record.Values)
	})) {
		return nil, nil
	}
	all, err := q.listed(ctx, asked)
	out := map[string]int{}
	for _, l := range lives {
		if n := slices.Index(all, uint32(l.Place)); n >= 0 {
			out[l.ID] = n
		}
	}
	return out, err
}

// listed is a list as a pull was answered it, by places. Who breaks off begins the same one again.
func (q *inquiry) listed(ctx context.Context, asked *ledger.Question) (all []uint32, err error) {
	key := fmt.Sprint(asked.List, "?", asked.Question, " ", asked.LastEdition)
	if all, known := q.lists[key]; known {
		return all, nil
	}
	if len(q.lists) >= mostSought {
		return nil, errSought
	}
	err = q.View(ctx, func(v *store.View) error {
		all, err = v.PlacesEarlier(ctx, asked.Selection, min(asked.LastEdition, v.Rev))
		return err
	})
	if err == nil {
		q.lists[key] = all
	}
	return all, err
}

// told is the version of a record that a pull told of, nil where it told that it is gone; or why it
// did not.
func (q *inquiry) told(asked *ledger.Question, l *life, places map[string]int) (*store.Version, *miss) {
	no := func(kind, format string, args ...any) *miss {
		return &miss{asked, kind, fmt.Sprintf(format, args...)}
	}
	if asked.Total < 0 {
		return nil, no("no answer", "got no page of %s on %s: %s", asked.List, words.When(asked.Began),
			plain(asked.Reason))
	}
	v := l.At(asked.LastEdition)
	if v == nil && !l.Whole {
		return nil, forgot(asked)
	}
	if v == nil {
		return nil, no("came later", "read %s last on %s, before that", asked.List, words.When(asked.Began))
	}
	row, listed := places[l.ID]
	if places == nil {
		listed = q.Selects(asked.Selection)(v.Record.Values)
	}
	switch {
	case listed && (asked.Whole() || asked.Read.Has(row)):
		return v, nil
	case listed && !ledger.Ended(asked.Pull, q.now):
		return nil, no("goes on", "is reading %s since %s, and has not come to it yet: it is row %s of %s",
			asked.List, words.When(asked.Began), words.Thousands(row+1), words.Thousands(asked.Total))
	case listed:
		kind := "left out"
		if missing := asked.Read.Missing(asked.Total); missing[len(missing)-1].From <= row &&
			missing[len(missing)-1].To == asked.Total {
			kind = "broke off"
		}
		return nil, no(kind, "has begun %s on %s and not read it: it is row %s of %s, and the pull %s "+
			"(pull %d)",
			asked.List, words.When(asked.Began), words.Thousands(row+1), words.Thousands(asked.Total),
			ledger.Told(asked.Pull, q.now), asked.ID)
	}
	return q.unlisted(asked, l, v, no)
}

// unlisted is why a list has not a record that was there.
func (q *inquiry) unlisted(asked *ledger.Question, l *life, v *store.Version,
	no func(kind, format string, args ...any) *miss) (*store.Version, *miss) {
	route := asked.Selection.Route
	var failed []string
	conditions := []query.Expr{asked.Selection.Query.Filter}
	if conditions[0].Op == query.And {
		conditions = conditions[0].Args
	}
	unchanged := false
	for _, e := range conditions {
		switch {
		case query.Match(e, v.Record):
		case e.Mentions("dateLastModified") && !asked.Since.IsZero():
			unchanged = true
		default:
			failed = append(failed, e.Written())
		}
	}
	retired := v.Record.Get("status") != oneroster.Active
	switch {
	case retired && asked.Since.IsZero() && asked.Whole() && q.had(asked, l, v):
		return nil, nil
	case retired && asked.Since.IsZero() && asked.Whole():
		return nil, no("other list", "read %s on %s, to which it did not belong", asked.List,
			words.When(asked.Began))
	case retired && len(failed) > 0 && !unchanged:
		return nil, no("filter", "asks for %s only, and so is never told who has left", strings.Join(failed,
			" and "))
	case route.View.Field != "" && v.Record.Get(route.View.Field) != route.View.Value:
		return nil, no("elsewhere", "reads %s only, where %s is %s; here it is %s", asked.List,
			route.View.Field, route.View.Value, v.Record.Get(route.View.Field))
	case len(failed) > 0:
		return nil, no("filter", "asks for %s where %s only, which leaves it out", asked.List,
			strings.Join(failed, " and "))
	case unchanged:
		return nil, no("unchanged", "asked on %s for what has changed in %s since %s; this was changed on %s",
			words.When(asked.Began), asked.List, words.When(asked.Since), when(v))
	case route.Nested():
		return nil, no("elsewhere", "read %s on %s, to which it does not belong", asked.List,
			words.When(asked.Began))
	}
	return nil, no("left out", "read %s on %s without it", asked.List, words.When(asked.Began))
}

// had tells whether a list had a record before a version retired it: one that never had it, such as
// the pupils of another school, does not tell that it has left.
func (q *inquiry) had(asked *ledger.Question, l *life, left *store.Version) bool {
	if q.ByStamps(asked.Selection) != nil {
		return true // it is of all that is there
	}
	selects := q.Selects(asked.Selection)
	for i := len(l.Versions) - 1; i >= 0; i-- {
		if v := &l.Versions[i]; v.Rev < left.Rev && active(v) {
			return selects != nil && selects(v.Record.Values)
		}
	}
	return false
}

// never says why a client has not read a record that is there.
func (q *inquiry) never(ctx context.Context, c *auth.Client, k *known, l *life) (kind, text string,
	err error) {
	name := q.name(l)
	if k.pulls == 0 {
		return q.neverCalled(ctx, c, l)
	}
	came := l.came()
	by, err := q.by(ctx, l, came)
	m := k.miss
	bring := fmt.Sprintf(": the next time it reads %s brings it", l.r.Plural)
	if err == nil {
		var why string
		if why, err = q.since(ctx, c); why != "" {
			bring = why
		}
	}
	switch {
	case m.kind == "unknown":
		return m.kind, fmt.Sprintf("%s %s, and what %s was then is not known any more: the journal does not "+
			"go back to it", c.Name, m.text, name), err
	case k.passed != nil && m.kind == "came later":
		return "gap", fmt.Sprintf("%s came on %s by %s; %s had read %s last on %s, and asked then for what "+
			"has changed "+
			"since %s: it does not learn of what came in between", name, when(came), by, c.Name, m.List,
			words.When(m.Began), words.When(k.passed.Since)), err
	case m.kind == "unchanged":
		return "only deltas", fmt.Sprintf("%s has never read %s whole: it %s", c.Name, l.r.Plural,
			strings.Replace(m.text, "; this", ", and "+name, 1)), err
	case m.kind == "came later":
		return m.kind, fmt.Sprintf("%s came on %s by %s; %s %s%s", name, when(came), by, c.Name, m.text,
			bring), err
	}
	return m.kind, fmt.Sprintf("%s has not read %s: it %s", c.Name, name, m.text), err
}

// neverCalled says why a client has read no list of a kind.
func (q *inquiry) neverCalled(ctx context.Context, c *auth.Client, l *life) (kind, text string, err error) {
	var opens []string
	for _, route := range oneroster.V1p1.Routes {
		if route.Resource == l.r && route.Method == "GET" && !route.One && !route.Nested() {
			opens = route.OAuth
		}
	}
	may := slices.ContainsFunc(opens, func(scope string) bool { return slices.Contains(c.Scopes, scope) })
	calls, err := q.CallsSince(ctx, c.ID, q.now.Add(-400*24*time.Hour))
	var sum, tokens, lists store.Calls
	singles := 0
	for i := range calls {
		if calls[i].Hour.After(q.now) {
			continue
		}
		sum.Add(&calls[i])
		switch {
		case calls[i].Op == "token":
			tokens.Add(&calls[i])
			tokens.Hour = calls[i].Hour
		case reads(calls[i].Op, l.r, true):
			singles += calls[i].Calls
		case reads(calls[i].Op, l.r, false):
			lists.Add(&calls[i])
			lists.Hour = calls[i].Hour
		}
	}
	valid := slices.ContainsFunc(c.Secrets, func(s auth.Secret) bool {
		return s.Expires.IsZero() || q.now.Before(s.Expires)
	})
	switch {
	case err != nil:
	case !may:
		return "scope", fmt.Sprintf("%s may not read %s: it has none of the scopes that open them (%s)",
			c.Name, l.r.Plural, strings.Join(opens, ", ")), nil
	case !valid && sum.Calls == tokens.Calls:
		return "secret", fmt.Sprintf("%s has no secret that is still good: it gets no token, and has read "+
			"nothing", c.Name), nil
	case sum.Calls == 0:
		return "never called", fmt.Sprintf("%s has never called this service: nothing was read, and "+
			"nothing is lacking here", c.Name), nil
	case tokens.Refused > 0 && sum.Calls == tokens.Refused:
		return "refused", fmt.Sprintf("%s got no token in %s, the last time about %s: %s", c.Name,
			words.Count(tokens.Refused, "call"), words.When(tokens.Hour), plain(tokens.Reason)), nil
	case lists.Failed+lists.Aborted > 0 && lists.Rows == 0:
		return "no answer", fmt.Sprintf("%s has asked for %s in %s, and this service failed or its "+
			"answer broke "+
			"off in %d of them, the last time about %s", c.Name, l.r.Plural, words.Count(lists.Calls, "call"),
			lists.Failed+lists.Aborted, words.When(lists.Hour)), nil
	case lists.Refused > 0 && lists.Rows == 0:
		return "refused", fmt.Sprintf("%s was refused %s in each of %s, the last time about %s: %s", c.Name,
			l.r.Plural, words.Count(lists.Refused, "call"), words.When(lists.Hour), plain(lists.Reason)), nil
	}
	if singles > 0 {
		return "never read",
			fmt.Sprintf("%s has never read the list of %s: it has asked for single ones only, %s",
				c.Name, l.r.Plural, words.Count(singles, "time")), err
	}
	return "never read", fmt.Sprintf("%s has never read %s; it has called this service %s", c.Name,
		l.r.Plural, words.Count(sum.Calls, "time")), err
}

// reads tells whether an operation reads lists of a resource, or one of it.
func reads(op string, r *oneroster.Resource, one bool) bool {
	return slices.ContainsFunc(oneroster.V1p1.Routes, func(route oneroster.Route) bool {
		return route.Op == op && route.Resource == r && route.One == one && route.Method == "GET"
	})
}

// since says what has become of a client since it read last, where that keeps it from reading more.
func (q *inquiry) since(ctx context.Context, c *auth.Client) (string, error) {
	pulls, err := q.asked(ctx, c)
	var last time.Time
	for _, asked := range pulls {
		if asked.Total >= 0 && asked.Last.After(last) {
			last = asked.Last
		}
	}
	if err != nil || last.IsZero() {
		return "", err
	}
	calls, err := q.CallsSince(ctx, c.ID, last.Truncate(time.Hour).Add(time.Hour))
	var bad store.Calls // none of them was answered
	for i := range calls {
		if calls[i].Hour.After(q.now) {
			continue
		}
		if calls[i].Calls > calls[i].Refused {
			return "", err
		}
		bad.Add(&calls[i])
		bad.Hour = calls[i].Hour
	}
	switch {
	case err != nil:
	case bad.Calls > 0:
		return fmt.Sprintf("; since then it was refused in each of %s, the last time about %s: %s",
			words.Count(bad.Calls, "call"), words.When(bad.Hour), plain(bad.Reason)), nil
	case !slices.ContainsFunc(c.Secrets, func(s auth.Secret) bool {
		return s.Expires.IsZero() || q.now.Before(s.Expires)
	}):
		return "; it has no secret that is still good, and can read nothing more", nil
	}
	return "", err
}

// plain is a reason in words; one that is in words already is as it was.
func plain(reason string) string {
	switch oneroster.CodeMinor(reason) {
	case oneroster.InvalidFilter:
		return "its filter cannot be read (invalid_filter_field)"
	case oneroster.InvalidSelection, oneroster.BlankSelection:
		return "it asks for a field that is not there (" + reason + ")"
	case oneroster.InvalidSort:
		return "it sorts by a field that is not there (invalid_sort_field)"
	case oneroster.InvalidData:
		return "what it asks for cannot be read (invalid data)"
	case oneroster.Forbidden:
		return "it has no scope for that (forbidden)"
	case oneroster.ServerBusy:
		return "the service was too busy (server_busy)"
	case oneroster.InternalError:
		return "this service made a mistake, which its log tells of (internal_server_error)"
	}
	return reason
}
