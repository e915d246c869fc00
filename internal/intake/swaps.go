package intake

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rollbook/internal/oneroster"
)

// owned are what a person has alone: where another one has it the next day, somebody
// opens somebody else's account.
var owned = []string{"email", "username", "identifier", "name", "userIds", "phone", "sms"}

// lent are those of them that go round in a family, and are given to the next.
var lent = []string{"phone", "sms"}

// steady are fields that hardly ever change, whatever the day.
var steady = []string{"givenName", "familyName", "birthDate", "sex"}

// swaps are what one has after a night that was another's before it.
type swaps struct {
	owner    map[string]map[uint64]uint64 // field and value to the user, by hash; 0 where several have it
	taken    map[string]int
	first    map[string]Example
	homes    map[uint64]family   // of pupils that have agents, as they are served now
	kids     map[uint64][]uint64 // of agents; made when the first family differs
	families int                 // pupils that have agents now, and would
	strange  int                 // of them with none of those
	beside   int                 // of them with those of other families beside theirs
	seats    int                 // enrollments that stay and are of another user or class
	sitters  int                 // of them of another user
	taught   int                 // seats of teachers that are another's
	gave     map[uint64]bool     // the teachers who had them
	risen    int                 // pupils and families who would be staff
	served   map[uint64]bool     // who has an enrollment as staff
	raised   map[uint64]int      // enrollments as staff of pupils and families who have none yet
	firsts   map[string]string   // sourcedIds of one of each
}

// A family is what is kept of a pupil that has agents.
type family struct{ name, agents string }

func newSwaps() *swaps {
	s := &swaps{owner: map[string]map[uint64]uint64{}, taken: map[string]int{}, first: map[string]Example{},
		homes: map[uint64]family{}, firsts: map[string]string{},
		gave: map[uint64]bool{}, served: map[uint64]bool{}, raised: map[uint64]int{}}
	for _, f := range owned {
		s.owner[f] = map[uint64]uint64{}
	}
	return s
}

func ownedValue(user oneroster.Record, field string) string {
	value := user.Get(field)
	switch field {
	case "name":
		value = user.Get("givenName") + " " + user.Get("familyName")
	case "userIds":
		value = oneroster.Spelled(value)
	}
	return strings.ToLower(value)
}

// learn takes a user as it is.
func (s *swaps) learn(user oneroster.Record) {
	id := hash(user.ID())
	for _, f := range owned {
		if v := ownedValue(user, f); v != "" {
			h := hash(v)
			if other, is := s.owner[f][h]; is && other != id {
				s.owner[f][h] = 0
			} else {
				s.owner[f][h] = id
			}
		}
	}
	if agents := user.Get("agents"); agents != "" && user.Get("role") == "student" {
		s.homes[id] = family{strings.Clone(user.Get("familyName")), strings.Clone(agents)}
	}
}

// family looks whether a pupil keeps one of the agents, as they would be served, and
// gets none of another family.
func (s *swaps) family(user oneroster.Record) {
	was, is := s.homes[hash(user.ID())], user.Get("agents")
	if was.agents == "" || is == "" {
		return
	}
	s.families++
	if was.agents == is {
		return
	}
	old, now := oneroster.Items(was.agents), oneroster.Items(is)
	of := func(list []string) func(string) bool {
		return func(id string) bool { return slices.Contains(list, id) }
	}
	come := slices.DeleteFunc(slices.Clone(now), of(old))
	switch {
	case !slices.ContainsFunc(old, of(now)):
		s.strange++
		s.firsts["families"] = cmp.Or(s.firsts["families"], user.ID())
	case slices.ContainsFunc(come,
		func(id string) bool { return s.stranger(id, user.Get("familyName"), was) }):
		s.beside++
		s.firsts["beside"] = cmp.Or(s.firsts["beside"], user.ID())
	}
}

// stranger tells whether an agent has children, and none of them is kin of a pupil: by the
// name, or by an agent of both.
func (s *swaps) stranger(agent, name string, pupil family) bool {
	if s.kids == nil {
		s.kids = map[uint64][]uint64{}
		for kid, of := range s.homes {
			for _, id := range oneroster.Items(of.agents) {
				s.kids[hash(id)] = append(s.kids[hash(id)], kid)
			}
		}
	}
	kids := s.kids[hash(agent)]
	own := oneroster.Items(pupil.agents)
	return len(kids) > 0 && !slices.ContainsFunc(kids, func(kid uint64) bool {
		of := s.homes[kid]
		return of.name == name || of.name == pupil.name || slices.ContainsFunc(oneroster.Items(of.agents),
			func(id string) bool { return slices.Contains(own, id) })
	})
}

var staff = []string{"administrator", "aide", "proctor", "teacher"}

// serve takes an enrollment as it is.
func (s *swaps) serve(rec oneroster.Record) {
	if rec.Resource.Name == "enrollment" && slices.Contains(staff, rec.Get("role")) {
		s.served[hash(rec.Get("user"))] = true
	}
}

// seat takes an enrollment that comes, or is another's or in another role.
func (s *swaps) seat(rec oneroster.Record, people map[uint64]person) {
	if rec.Resource.Name != "enrollment" || !slices.Contains(staff, rec.Get("role")) {
		return
	}
	user := hash(rec.Get("user"))
	if role := people[user].role; role == "" || slices.Contains(staff, role) || s.served[user] {
		return
	}
	if s.raised[user]++; s.raised[user] == 1 || s.raised[user] == few+1 {
		s.firsts["raised"] = rec.Get("user") // who is in many, if one is
	}
}

// differ takes a user or an enrollment that stays and is another.
func (s *swaps) differ(j *judgement, before, after oneroster.Record) {
	switch before.Resource.Name {
	case "result":
		giver := hash(before.Get("student"))
		_, was := j.now.people[giver]
		_, is := j.then.people[giver]
		if another(before, after, "student") && was == is { // else two accounts of a pupil become one
			j.tally(j.groupOf(before, j.now.people)).passed++
			s.firsts["result"] = cmp.Or(s.firsts["result"], before.ID())
		}
	case "enrollment":
		if another(before, after, "user") {
			s.sitters++
			if before.Get("role") == "teacher" {
				s.taught++
				s.gave[hash(before.Get("user"))] = true
			}
		}
		if another(before, after, "user") || another(before, after, "class") {
			s.seats++
			s.firsts["seats"] = cmp.Or(s.firsts["seats"], before.ID())
		}
	case "user":
		if !slices.Contains(staff, before.Get("role")) && slices.Contains(staff, after.Get("role")) {
			s.risen++
			s.firsts["rises"] = cmp.Or(s.firsts["rises"], before.ID())
		}
		for _, f := range owned {
			was, is := ownedValue(before, f), ownedValue(after, f)
			if owner := s.owner[f][hash(is)]; was != is && is != "" && owner != 0 &&
				owner != hash(before.ID()) {
				e := Example{"hands", "users", before.ID(), f, was, is}
				if s.taken[f]++; s.taken[f] == 1 {
					s.first[f] = e
				}
				if f != "name" { // namesakes are many, and its parts are looked at
					j.rounds.take(j, e)
				}
			}
		}
	}
}

// guardSwaps holds what one would have that was another's.
func (j *judgement) guardSwaps() {
	users, enrollments := oneroster.ByName("user"), oneroster.ByName("enrollment")
	told := j.guardOwned()
	j.guardMarks()
	if of := j.swaps.families; j.Imported(users) > 0 {
		j.judge("families", users.Plural, j.swaps.strange, of, j.limits.of("guard-families"),
			fmt.Sprintf("%s would have none of the agents that they have: %s is one",
				count(j.swaps.strange, of, "students"), j.swaps.firsts["families"]))
		j.judge("families", users.Plural, j.swaps.beside, of, j.limits.of("guard-families"),
			fmt.Sprintf("%s would get an agent of another family beside their own: %s is one",
				count(j.swaps.beside, of, "students"), j.swaps.firsts["beside"]))
	}
	seats := j.swaps.seats
	if j.Day&Rollover != 0 {
		seats = j.swaps.sitters // classes change with the year, pupils do not
	}
	of := j.now.total[enrollments]
	if j.Imported(enrollments) > 0 && !j.judge("seats", enrollments.Plural, seats, of,
		j.limits.of("guard-seats"), fmt.Sprintf("%s would keep the id and be of another user or class: %s is one",
			count(seats, of, enrollments.Plural), j.swaps.firsts["seats"])) {
		j.guardTaught()
	}
	j.guardRises()
	j.guardGrades()
	j.guardRounds(append(told, j.guardSteady()...))
}

// guardOwned holds addresses and the like of others; phones only where many of those that
// one has alone change hands. It tells which it objected to.
func (j *judgement) guardOwned() (told []string) {
	r := oneroster.ByName("user")
	if j.Imported(r) == 0 {
		return nil
	}
	for _, f := range owned {
		n, of, limit := j.swaps.taken[f], j.now.total[r], j.limits.of("guard-hands")
		if slices.Contains(lent, f) {
			of, limit = 0, max(some, limit)
			for _, user := range j.swaps.owner[f] {
				of += int(min(user, 1))
			}
		}
		if e := j.swaps.first[f]; n > 1 && j.judge("hands", r.Plural, n, of, limit, fmt.Sprintf(
			"%s would get the %s of another: %s, and %s is one", count(n, of, r.Plural), f, e.After, e.ID)) {
			j.verdict.Examples = append(j.verdict.Examples, e)
			told = append(told, f)
		}
	}
	return told
}

// guardMarks holds results of other pupils, of all schools or of one.
func (j *judgement) guardMarks() {
	r, limit := oneroster.ByName("result"), j.limits.of("guard-seats")
	s := share{of: r}
	n, of := j.counted(s, func(t *tally) int { return t.passed }), min(j.now.total[r], j.Imported(r))
	text := func(n, of int, where string) string {
		return fmt.Sprintf("%s%s would keep the id and be of another student: %s is one",
			count(n, of, r.Plural), where, j.swaps.firsts["result"])
	}
	if of == 0 || j.judge("seats", r.Plural, n, of, limit, text(n, of, "")) {
		return
	}
	schools := map[string]*part{}
	for g, t := range j.groups {
		if g.of == r {
			into(schools, g.at.school, place{school: g.at.school}, t.passed, t.before)
		}
	}
	for _, p := range sorted(schools) {
		if many(p.n, p.of, max(quarter, limit)) {
			j.object(Objection{"seats", r.Plural, text(p.n, p.of, " of pupils of "+j.schoolName(p.school)),
				p.n, p.of, max(quarter, limit)})
		}
	}
}

// guardTaught holds classes that are other teachers': not those of one or two who leave.
func (j *judgement) guardTaught() {
	s := share{of: oneroster.ByName("enrollment"), role: "teacher"}
	of := j.counted(s, func(t *tally) int { return t.before })
	if of < few || len(j.swaps.gave) <= pair || j.Day&Rollover != 0 {
		return
	}
	j.judge("seats", s.of.Plural, j.swaps.taught, of, max(quarter, j.limits.of("guard-seats")),
		count(j.swaps.taught, of, s.noun())+" would keep the id and be of another user")
}

// guardRises holds pupils and families who would be staff, or be in classes as staff: more
// than a tenth of few pupils, and one who would be in many classes.
func (j *judgement) guardRises() {
	users, enrollments := oneroster.ByName("user"), oneroster.ByName("enrollment")
	limit := j.limits.of("guard-rises")
	if limit <= five {
		pupils := j.counted(share{of: users, role: "student"}, func(t *tally) int { return t.before })
		limit = min(limit, max(pair, pupils/10))
	}
	if n := j.swaps.risen; n > limit && j.Imported(users) > 0 {
		j.object(Objection{"rises", users.Plural, fmt.Sprintf("%s pupils or family members would become "+
			"staff: %s is one", number(n), j.swaps.firsts["rises"]), n, j.now.total[users], limit})
	}
	n, most := len(j.swaps.raised), 0
	for _, in := range j.swaps.raised {
		most = max(most, in)
	}
	classes := oneroster.ByName("class")
	many := most > limit && (most > few || 2*most > j.now.total[classes])
	if (n > limit || many) && j.Imported(enrollments) > 0 {
		who := number(n) + " pupils or family members"
		if n == 1 {
			who = "1 pupil or family member"
		}
		j.object(Objection{"rises", enrollments.Plural, fmt.Sprintf("%s would be staff in up to %s: %s is one",
			who, several(most, classes), j.swaps.firsts["raised"]), n,
			j.now.total[users], limit})
	}
}

// guardSteady holds names, birth dates and the like that would change in many. It tells which.
func (j *judgement) guardSteady() (told []string) {
	limit := j.limits.of("guard-steady")
	for _, r := range []*oneroster.Resource{oneroster.ByName("user"), oneroster.ByName("demographics")} {
		for _, name := range steady {
			i := r.Index(name)
			if i < 0 || j.changes[r] == nil || j.Imported(r) == 0 {
				continue
			}
			changed, had := 0, 0
			for k, f := range j.fields {
				if k.of == r && !k.closing {
					changed, had = changed+f.other[i], had+f.had[i]
				}
			}
			if j.judge("steady", r.Plural, changed, had, limit,
				fmt.Sprintf("%s would have another %s", count(changed, had, r.Plural), name)) {
				told = append(told, name)
			}
		}
	}
	return told
}
