package intake

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"rollbook/internal/oneroster"
)

// An id changes hands where it names another person, or another thing, than it
// did. A name alone does not tell: people marry, schools are renamed. So no word
// of the name may be left, and something else that tells them apart differs too.
// A night that only renames accounts leaves the names, and is none.
// Of orgs one suffices that takes the name of another, or is a school no more: there are
// few of them, and their names have words in common.
type hands struct {
	changed  map[*oneroster.Resource]int
	first    map[*oneroster.Resource]Example
	suspects map[uint64]Example // users with another name, by hash: the birth date is still to come
	titles   map[*oneroster.Resource]int
	words    map[*oneroster.Resource]map[string]int // of titles, and how many have them
	taken    bool                                   // an org has the name of another, or is a school no more
	lost     map[uint64]bool                        // titles that classes have no more, with their school
	got      []got                                  // titles that classes get
}

// A got is a title with its school, by hash, and the class that gets it.
type got struct {
	name uint64
	Example
}

func newHands() *hands {
	return &hands{map[*oneroster.Resource]int{}, map[*oneroster.Resource]Example{}, map[uint64]Example{},
		map[*oneroster.Resource]int{}, map[*oneroster.Resource]map[string]int{}, false,
		map[uint64]bool{}, nil}
}

// tells are the fields besides the name that tell two of a resource apart. A class
// has another course where it is another class; its code follows its title.
var tells = map[string][]string{
	"user": {"email", "username", "identifier"}, "org": {"identifier", "type", "parent"},
	"course": {"courseCode", "org"}, "class": {"course", "school"},
}

// learn counts words of titles as they are: those that many have tell nothing.
func (h *hands) learn(rec oneroster.Record) {
	r := rec.Resource
	if tells[r.Name] == nil || r.Name == "user" {
		return
	}
	if h.words[r] == nil {
		h.words[r] = map[string]int{}
	}
	h.titles[r]++
	for _, w := range wordsOf(rec.Get(nameField[r.Name])) {
		h.words[r][w]++
	}
}

func (h *hands) differ(j *judgement, before, after oneroster.Record) {
	r := before.Resource
	if r.Name == "demographics" {
		e, suspect := h.suspects[hash(before.ID())]
		if suspect && another(before, after, "birthDate") {
			h.change(j, oneroster.ByName("user"), e)
		}
		return
	}
	fields := tells[r.Name]
	was, is := j.called(before), j.called(after)
	if r.Name == "class" && !slices.Equal(wordsOf(was), wordsOf(is)) {
		h.lost[hash(before.Get("school")+"/"+was)] = true
		h.got = append(h.got, got{hash(after.Get("school") + "/" + is),
			Example{"hands", r.Plural, before.ID(), "title", was, is}})
	}
	if r.Name == "org" && (j.takes(before.ID(), is) || j.unschooled(before, after)) {
		if was == is {
			was, is = was+" ("+before.Get("type")+")", is+" ("+after.Get("type")+")"
		}
		h.taken = true
		h.change(j, r, Example{"hands", r.Plural, before.ID(), "", was, is})
		return
	}
	if fields == nil || was == is || !h.apart(r, was, is) {
		return
	}
	e := Example{"hands", r.Plural, before.ID(), "", was, is}
	for _, name := range fields {
		if another(before, after, name) {
			h.change(j, r, e)
			return
		}
	}
	if r.Name == "user" {
		h.suspects[hash(before.ID())] = e
	}
}

// takes tells whether an org gets the name of another one that has it no more, or a
// school that of another school.
func (j *judgement) takes(id, name string) bool {
	if j.now.orgs[id] == name {
		return false
	}
	for other, had := range j.now.orgs {
		switch {
		case other == id:
		case had == name && j.then.orgs[other] != name:
			return true
		case j.then.orgs[other] == name && had != j.now.orgs[id] && j.school(id) && j.school(other):
			return true
		}
	}
	return false
}

// school tells whether an org is a school that stays one.
func (j *judgement) school(id string) bool {
	return j.now.schools[id] && j.then.schools[id] && !j.Closing[id]
}

// unschooled tells whether a school becomes something else.
func (j *judgement) unschooled(before, after oneroster.Record) bool {
	return before.Get("type") == "school" && another(before, after, "type") && !j.Closing[before.ID()]
}

func (h *hands) change(j *judgement, r *oneroster.Resource, e Example) {
	if h.changed[r]++; h.changed[r] == 1 {
		h.first[r] = e
	}
	if h.changed[r] <= mostExamples {
		j.verdict.Examples = append(j.verdict.Examples, e)
	}
}

// another tells whether a value was there, and is another one.
func another(before, after oneroster.Record, field string) bool {
	was, is := before.Get(field), after.Get(field)
	return was != "" && is != "" && !strings.EqualFold(was, is)
}

// apart tells whether two names have no word in common that says something.
func (h *hands) apart(r *oneroster.Resource, was, is string) bool {
	old := map[string]bool{}
	for _, w := range wordsOf(was) {
		if h.says(r, w) {
			old[w] = true
		}
	}
	some := false
	for _, w := range wordsOf(is) {
		if old[w] {
			return false
		}
		some = some || h.says(r, w)
	}
	return some && len(old) > 0
}

// says: a word that every fourth of many titles has, or half of few, says nothing.
func (h *hands) says(r *oneroster.Resource, word string) bool {
	n, have := h.titles[r], h.words[r][word]
	return n < five || 2*have < n && (n < few || 4*have < n)
}

// wordsOf are the words of a name in small letters, without numbers.
func wordsOf(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name),
		func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsMark(c) && c != '\'' })
}

// guardHands holds ids that name others. Where there are few a note tells of one or two.
func (j *judgement) guardHands() {
	for _, r := range oneroster.Resources() {
		n, e := j.hands.changed[r], j.hands.first[r]
		if n == 0 {
			continue
		}
		of := j.now.total[r]
		what := r.Name
		if what == "user" {
			what = "person"
		}
		text := count(n, of, "ids of "+r.Plural) + fmt.Sprintf(
			" would name another %s: %s is %s, and would be %s", what, e.ID, e.Before, e.After)
		limit := j.limits.of("guard-hands")
		switch {
		case r.Name == "org" && j.hands.taken && j.Imported(r) > 0 && limit < 100:
			j.object(Objection{"hands", r.Plural, text, n, of, limit})
			continue
		case j.Imported(r) == 0:
			j.note(text)
			continue
		}
		if j.Day&Rollover != 0 {
			limit = min(100, max(limit, 25))
		}
		if n == pair && of >= few && limit > 0 && n*100 > limit*of {
			j.object(Objection{"hands", r.Plural, text, n, of, limit}) // never by chance
		} else if !j.judge("hands", r.Plural, n, of, limit, text) && of < few {
			j.note(text)
		}
	}
}

// guardTitles holds classes that would have the titles of others of their school, which
// have them no more. Who gets another number only has the title still; with the year titles
// move up.
func (j *judgement) guardTitles() {
	r := oneroster.ByName("class")
	others := slices.DeleteFunc(j.hands.got, func(g got) bool { return !j.hands.lost[g.name] })
	n, of, limit := len(others), j.now.total[r], j.limits.of("guard-hands")
	if n <= pair || n*100 <= limit*of || j.Imported(r) == 0 || j.Day&Rollover != 0 {
		return
	}
	j.verdict.Examples = append(j.verdict.Examples, others[0].Example)
	j.object(Objection{"hands", r.Plural, fmt.Sprintf("%s would get the title of another: %s, and %s is one",
		count(n, of, r.Plural), others[0].After, others[0].ID), n, of, limit})
}
