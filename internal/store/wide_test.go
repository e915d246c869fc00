package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rollbook/internal/query"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// A filter that was cut, doubled, glued or mistyped on its way selects what a
// strict reader of the language reads in it, or is refused. It never selects
// more: a reader of "every row" would take pupils for others. ROLLBOOK_WIDE sets
// how many filters are tried on each engine.
func TestBrokenFiltersNeverWiden(t *testing.T) {
	tries := storetest.Tries(6000)
	if text := os.Getenv("ROLLBOOK_WIDE"); text != "" {
		var err error
		if tries, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Engines(t, func(t *testing.T, dsn string) {
		rng := rand.New(rand.NewPCG(3, 5))
		s := storetest.Open(t, dsn, store.Options{})
		read, refused := 0, 0
		for _, op := range []string{"getAllUsers", "getAllEnrollments", "getAllResults", "getAllClasses",
			"getAllResources"} {
			r := route(op).Resource
			if _, err := s.Import(context.Background(), bulk(randoms(rng, r, 40)...),
				store.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
			all, _ := list(t, s, store.Selection{Route: route(op)})
			for range tries / 5 {
				text := condition(rng, r)
				for rng.IntN(2) == 0 {
					text += []string{" AND ", " OR ", " and "}[rng.IntN(3)] + condition(rng, r)
				}
				for range 1 + rng.IntN(2) {
					text = broken(rng, text)
				}
				f, err := query.ParseFilter(r, text)
				var bad *query.Error
				if errors.As(err, &bad) {
					refused++
					continue
				}
				read++
				canonical, ok := strict(text)
				for _, a := range apostrophes {
					if !ok {
						canonical, ok = strict(a.ReplaceAllString(a.ReplaceAllString(text, "$1$2$2$3"),
							"$1$2$2$3"))
					}
				}
				if !ok && strings.TrimSpace(text) != "" {
					t.Fatalf("%s %s is read as %s, and cannot be read", op, text, f)
				}
				want, err := query.ParseFilter(r, canonical)
				if err != nil {
					t.Fatalf("%s %s means %s, which is refused: %v", op, text, canonical, err)
				}
				_, total := list(t, s, store.Selection{Route: route(op), Query: query.Query{Filter: f,
					Limit: 1}})
				if _, most := query.Select(query.Query{Filter: want, Limit: 1}, all); total != most {
					t.Fatalf("%s %s selects %d rows, as %s\n%s selects %d", op, text, total, f, canonical,
						most)
				}
			}
		}
		if read < tries/20 || refused < tries/20 {
			t.Errorf("%d were read and %d refused: the test tries little", read, refused)
		}
		t.Logf("%d were read, %d were refused", read, refused)
	})
}

// signs are what slips into a filter.
var signs = []string{"'", "''", "\"", "’", " ", "=", "!", "<", ">", "~", ";", "&&", "||", ",", "(", ")",
	":", "/", "AND", " AND ", " OR ", "or",
	"\t", "x", "%", "--", "==", "<>", " eq ", "{{", "}}", "null", "1", "role", "status='active'"}

// broken damages a filter in one place.
func broken(rng *rand.Rand, text string) string {
	if text == "" {
		return text
	}
	i := rng.IntN(len(text))
	j := i + rng.IntN(len(text)-i)
	switch rng.IntN(7) {
	case 0: // cut at the end
		return text[:i]
	case 1: // cut in the middle
		return text[:i] + text[j:]
	case 2: // doubled in part
		return text[:j] + text[i:]
	case 3: // glued
		return strings.Replace(text, " ", "", 1)
	case 4: // a sign more
		return text[:i] + signs[rng.IntN(len(signs))] + text[i:]
	case 5: // another sign
		return text[:i] + signs[rng.IntN(len(signs))] + text[min(i+1, len(text)):]
	}
	return text + " " + text[:i] // run into the next
}

var (
	// Between letters; before a letter.
	apostrophes = []*regexp.Regexp{regexp.MustCompile(`([\pL\pN])(['‘’"“”])(\pL)`),
		regexp.MustCompile(`([\pL\pN ])(['‘’"“”])(\pL)`)}
	condIn   = regexp.MustCompile(`^\s*([\pL_][\pL\pN_.:-]*)\s*(!=|>=|<=|=|>|<|~)\s*`)
	quotedIn = regexp.MustCompile(`^(?:['‘’]((?:[^'‘’]|''|‘‘|’’)*)['‘’]|["“”]((?:[^"“”]|""|““|””)*)["“”])`)
	bareIn   = regexp.MustCompile(`^(?:[^\s=<>~;&|'"‘’“”]|''|""|‘‘|’’|““|””)+`)
	joinIn   = regexp.MustCompile(`(?i)^\s+(AND|OR)\s+`)
)

// strict reads the language with no mercy: it is written apart from the parser, as a check on it.
func strict(text string) (canonical string, ok bool) {
	for {
		m := condIn.FindStringSubmatch(text)
		if m == nil {
			return "", false
		}
		text = text[len(m[0]):]
		value := ""
		if q := quotedIn.FindStringSubmatch(text); q != nil {
			value = single(q[1] + q[2])
			text = text[len(q[0]):]
		} else {
			for { // bare words up to AND, OR or the end
				b := bareIn.FindString(text)
				text = text[len(b):]
				value += single(b)
				if b == "" || joinIn.MatchString(text) || strings.TrimSpace(text) == "" {
					break
				}
				rest := strings.TrimLeft(text, " \t")
				value += text[:len(text)-len(rest)]
				text = rest
			}
			if value == "" {
				return "", false
			}
		}
		canonical += m[1] + m[2] + "'" + twice.Replace(value) + "'"
		if strings.TrimSpace(text) == "" {
			return canonical, true
		}
		j := joinIn.FindStringSubmatch(text)
		if j == nil {
			return "", false
		}
		canonical += " " + j[1] + " "
		text = text[len(j[0]):]
	}
}

// single takes doubled quotes for one.
func single(value string) string {
	for _, c := range []string{"'", "‘", "’", `"`, "“", "”"} {
		value = strings.ReplaceAll(value, c+c, c)
	}
	return value
}

var twice = strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’")
