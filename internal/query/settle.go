package query

import (
	"slices"
	"sort"
	"strings"
	"time"

	"rollbook/internal/oneroster"
)

// settle turns a clause into primitives: the field is found, the value brought
// to its canonical form.
func settle(r *oneroster.Resource, c clause) (Expr, error) {
	f, key, ok := resolve(r, c.field)
	if !ok {
		return Expr{}, bad("filter: %s has no field %s; it has %s", r.Name, short(c.field), fieldNames(r))
	}
	negate := c.predicate == "!="
	if negate {
		c.predicate = "="
	}
	e, err := primitive(f, key, c)
	if err != nil {
		return Expr{}, err
	}
	if negate {
		return not(e), nil
	}
	return e, nil
}

func fieldNames(r *oneroster.Resource) string {
	var names []string
	for _, f := range r.Fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func primitive(f *oneroster.Field, key string, c clause) (Expr, error) {
	reference := f.Kind == oneroster.Ref || f.Kind == oneroster.Refs
	if err := alphabet(f, key, c); err != nil {
		return Expr{}, err
	}
	switch {
	case reference && key == "href":
		return Expr{}, bad("filter: a href is not compared; use %s.sourcedId", f.Name)
	case reference && key == "type":
		return constant(f, c)
	case c.predicate == "~" && c.value == "":
		return Expr{}, nil
	case f.Kind.IsList():
		return listed(f, key, c)
	case f.Kind == oneroster.Number:
		return numeric(f, c)
	case f.Kind == oneroster.Date || f.Kind == oneroster.Time:
		return timed(f, c)
	case f.Kind == oneroster.Enum || f.Kind == oneroster.Bool:
		return enumerated(f, c)
	}
	e := Expr{Op: Compare, Field: f, Key: key, Fold: !reference && f.Name != "sourcedId"}
	if c.predicate == "~" {
		e.Op = Contains
	} else {
		e.Rel = relations[c.predicate]
	}
	var either []Expr
	for _, v := range spellings(f, c.value) {
		e.Text = v
		if e.Fold {
			e.Text = Fold(v)
		}
		either = append(either, e)
	}
	if e.Op == Compare && e.Rel != Equal {
		return either[0], nil
	}
	return anyOf(either...), nil
}

// Values of an enumeration are words, those of dates and times digits and their
// signs. Another sign in one is a second condition that the first swallowed, or
// a template that was not filled in: the value cannot be read. A plain word that
// the enumeration does not have can, and selects nothing.
var (
	word     = pattern(`^[\pL\pN_.-]*$`)
	words    = pattern(`^\s*[\pL\pN_.-]*(\s*,\s*[\pL\pN_.-]+)*\s*$`)
	timeText = pattern(`^[0-9TZtz:. +-]*$`)

	lastSpace = pattern(` ([^ ]*)$`)
)

func alphabet(f *oneroster.Field, key string, c clause) error {
	legible := true
	switch {
	case f.To != "" && key == "type", f.Kind == oneroster.Enum || f.Kind == oneroster.Bool:
		v := strings.TrimSpace(c.value)
		legible = word().MatchString(v) || within(f.Enum, v)
	case f.Kind == oneroster.Strings && len(f.Enum) > 0:
		legible = words().MatchString(c.value)
	case f.Kind == oneroster.Date || f.Kind == oneroster.Time:
		legible = timeText().MatchString(c.value)
	}
	if !legible {
		return bad("filter: %s cannot have the value %s: join conditions by AND or OR with a space "+
			"on both sides",
			c.field, short(c.value))
	}
	return nil
}

// within tells whether a text is, or is part of, one of the values.
func within(values []string, text string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		return strings.Contains(Fold(v), Fold(text))
	})
}

var relations = map[string]Rel{"=": Equal, "<": Less, "<=": LessEqual, ">": Greater, ">=": GreaterEqual}

// spellings are the values that a client may have meant: form decoding makes a
// space of the plus sign that some clients send as it is, in fields that hold
// no space.
func spellings(f *oneroster.Field, value string) []string {
	switch f.Name {
	case "sourcedId", "email", "username", "identifier":
	default:
		if f.Kind != oneroster.Ref && f.Kind != oneroster.Refs {
			return []string{value}
		}
	}
	if !strings.Contains(value, " ") {
		return []string{value}
	}
	return []string{value, strings.ReplaceAll(value, " ", "+")}
}

// constant settles a condition on the type of a reference, which is the same
// for all of a field.
func constant(f *oneroster.Field, c clause) (Expr, error) {
	present := not(Expr{Op: Compare, Field: f})
	typ, want := Fold(f.To), Fold(c.value)
	var holds bool
	switch c.predicate {
	case "=":
		holds = typ == want
		if want == "" {
			return not(present), nil
		}
	case "~":
		holds = strings.Contains(typ, want)
	case "<":
		holds = typ < want
	case "<=":
		holds = typ <= want
	case ">":
		holds = typ > want
	case ">=":
		holds = typ >= want
	}
	if holds {
		return present, nil
	}
	return Expr{Op: Nothing}, nil
}

// listed settles a condition on a list: = holds all of the values that a comma
// separates (or one item that is the whole text), ~ finds any of them inside an
// item.
func listed(f *oneroster.Field, key string, c clause) (Expr, error) {
	fold := f.Kind != oneroster.Refs
	make := func(op Op, v string) Expr {
		if fold {
			v = Fold(v)
		}
		return Expr{Op: op, Field: f, Key: key, Text: v, Fold: fold}
	}
	var parts []string
	for _, p := range strings.Split(c.value, ",") {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	switch c.predicate {
	case "=":
		if len(parts) == 0 {
			return Expr{Op: Compare, Field: f}, nil
		}
		var each []Expr
		for _, p := range parts {
			var either []Expr
			for _, v := range spellings(f, p) {
				either = append(either, make(Has, v))
			}
			each = append(each, anyOf(either...))
		}
		return anyOf(make(Has, c.value), all(each...)), nil
	case "~":
		var any []Expr
		for _, p := range parts {
			any = append(any, make(Contains, p))
		}
		if len(any) == 0 {
			any = append(any, make(Contains, c.value))
		}
		return anyOf(any...), nil
	}
	return Expr{}, bad("filter: %s is a list; compare it with =, != or ~, not %s", f.Name, c.predicate)
}

func numeric(f *oneroster.Field, c clause) (Expr, error) {
	if c.predicate == "~" {
		return Expr{}, bad("filter: %s is a number; ~ looks for text", f.Name)
	}
	v, err := f.Parse(strings.TrimSpace(c.value))
	if err != nil {
		return Expr{}, bad("filter: %s: %v", f.Name, err)
	}
	if v == "" && c.predicate != "=" {
		return Expr{Op: Nothing}, nil
	}
	return Expr{Op: Compare, Field: f, Rel: relations[c.predicate], Text: v}, nil
}

// enumerated settles a condition on an enumeration or boolean. A value that it
// does not have is no error: nothing equals it (School Data Sync asks so).
func enumerated(f *oneroster.Field, c clause) (Expr, error) {
	if c.predicate == "~" {
		return Expr{Op: Contains, Field: f, Text: Fold(c.value), Fold: true}, nil
	}
	v, err := f.Parse(strings.TrimSpace(c.value))
	if err != nil {
		return Expr{Op: Nothing}, nil
	}
	return Expr{Op: Compare, Field: f, Rel: relations[c.predicate], Text: v}, nil
}

// timed settles a comparison of instants. A literal may be finer than the
// field: a time of day against a date, microseconds against milliseconds; then
// no value equals it, and "from it on" is "after the value below it".
func timed(f *oneroster.Field, c clause) (Expr, error) {
	e := Expr{Op: Compare, Field: f, Rel: relations[c.predicate]}
	if c.predicate == "~" {
		return Expr{Op: Contains, Field: f, Text: Fold(c.value), Fold: true}, nil
	}
	if strings.TrimSpace(c.value) == "" {
		if e.Rel != Equal {
			return Expr{Op: Nothing}, nil
		}
		return e, nil
	}
	read := func(text string) (time.Time, error) {
		if f.Kind == oneroster.Date {
			return oneroster.ParseDate(text)
		}
		t, _, err := oneroster.ParseInstant(text)
		return t, err
	}
	t, err := read(c.value)
	if err != nil { // the + of an offset may have become a space
		if again, failed := read(lastSpace().ReplaceAllString(c.value, "+$1")); failed == nil {
			t, err = again, nil
		}
	}
	if err != nil {
		return Expr{}, bad("filter: %s: %v", f.Name, err)
	}
	floor := t.Truncate(time.Millisecond)
	e.Text = oneroster.FormatTime(floor)
	if f.Kind == oneroster.Date {
		floor = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		e.Text = floor.Format(oneroster.DateLayout)
	}
	if !t.Equal(floor) {
		switch e.Rel {
		case Equal:
			return Expr{Op: Nothing}, nil
		case GreaterEqual:
			e.Rel = Greater
		case Less:
			e.Rel = LessEqual
		}
	}
	return e, nil
}

func not(e Expr) Expr {
	switch e.Op {
	case Everything:
		return Expr{Op: Nothing}
	case Nothing:
		return Expr{}
	case Not:
		return e.Args[0]
	}
	return Expr{Op: Not, Args: []Expr{e}}
}

// all and anyOf join expressions, flat, each once, in one order, so that the
// same condition spelled differently is the same expression.
func all(args ...Expr) Expr   { return join(And, Everything, Nothing, args) }
func anyOf(args ...Expr) Expr { return join(Or, Nothing, Everything, args) }

func join(op, neutral, absorbing Op, args []Expr) Expr {
	byText := map[string]Expr{}
	for _, a := range args {
		switch a.Op {
		case neutral:
		case absorbing:
			return Expr{Op: absorbing}
		case op:
			for _, inner := range a.Args {
				byText[inner.String()] = inner
			}
		default:
			byText[a.String()] = a
		}
	}
	texts := make([]string, 0, len(byText))
	for text := range byText {
		texts = append(texts, text)
	}
	sort.Strings(texts)
	out := Expr{Op: op}
	for _, text := range texts {
		out.Args = append(out.Args, byText[text])
	}
	switch len(out.Args) {
	case 0:
		return Expr{Op: neutral}
	case 1:
		return out.Args[0]
	}
	return out
}
