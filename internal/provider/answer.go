package provider

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/wire"
)

// List reads an answer of status 200 as a list under one of the given keys.
func (a *Answer) List(wrappers ...string) (wire.Page, error) {
	links := a.Links()
	page := wire.Page{Total: a.Total(), More: links["next"] != "", Linked: len(links) > 0}
	members, err := a.Members()
	if err != nil {
		return page, err
	}
	for _, key := range wrappers {
		v, ok := members[key]
		if !ok {
			continue
		}
		page.Key = key
		if page.Objects, ok = objects(v); !ok {
			return page, trouble(Misshapen, "%q is not a list of objects", key)
		}
		if len(page.Objects) > 0 {
			if o := page.Objects[0]; o["roles"] != nil && o["role"] == nil && o["username"] != nil {
				return page, ErrNewer
			}
		}
		return page, nil
	}
	return page, a.misplaced("list", wrappers, members)
}

// objects takes null for no list, which is empty, and for an object without members.
func objects(v any) ([]wire.Object, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, v == nil
	}
	out := make([]wire.Object, len(list))
	for i, item := range list {
		o, isObject := item.(map[string]any)
		if !isObject && item != nil {
			return nil, false
		}
		out[i] = o
	}
	return out, true
}

// One reads an answer of status 200 as a single object under one of the keys.
func (a *Answer) One(wrappers ...string) (wire.Object, string, error) {
	members, err := a.Members()
	if err != nil {
		return nil, "", err
	}
	for _, key := range wrappers {
		if v, ok := members[key]; ok {
			o, isObject := v.(map[string]any)
			if !isObject {
				return nil, key, trouble(Misshapen, "%q is not an object", key)
			}
			return o, key, nil
		}
	}
	return nil, "", a.misplaced("object", wrappers, members)
}

// Members are the top-level members of an answer.
func (a *Answer) Members() (map[string]any, error) {
	body := bytes.TrimPrefix(a.Body, mark)
	v, err := wire.Decode(body)
	members, isObject := v.(map[string]any)
	if !isObject {
		kind := NotJSON
		if a.looksJSON() && len(body) > 0 {
			kind = BrokenOff // began as JSON: cut short
		}
		what := "no JSON object"
		if err != nil {
			what = "no whole JSON object (" + err.Error() + ")"
		}
		return nil, trouble(kind, "the body is %s: %s", what, a.Excerpt())
	}
	if bytes.IndexByte(body, '\\') >= 0 {
		a.keeper.cleanIn(v)
	}
	return members, nil
}

// misplaced tells what an answer has instead of what was asked for, and what it says itself.
func (a *Answer) misplaced(what string, wrappers []string, members map[string]any) error {
	has := "no members"
	if len(members) > 0 {
		has = `"` + Signs(strings.Join(slices.Sorted(maps.Keys(members)), `", "`)) + `"`
	}
	if said := a.said(); said != "" {
		has += ", and says: " + said
	}
	return trouble(Misshapen, "the %s is not under \"%s\"; the answer has %s", what,
		strings.Join(wrappers, `" or "`), has)
}

// Total is X-Total-Count; -1 when it is missing or not digits only.
func (a *Answer) Total() int {
	n, err := strconv.ParseUint(a.Header.Get("X-Total-Count"), 10, strconv.IntSize-1)
	if err != nil {
		return -1
	}
	return int(n)
}

var link = regexp.MustCompile(`<([^>]*)>([^<]*)`)

// Links reads the Link header (RFC 8288): relation to URL.
func (a *Answer) Links() map[string]string {
	out := map[string]string{}
	for _, header := range a.Header.Values("Link") {
		for _, m := range link.FindAllStringSubmatch(header, -1) {
			for _, p := range strings.FieldsFunc(m[2], func(c rune) bool { return c == ';' || c == ',' }) {
				name, value, _ := strings.Cut(p, "=")
				if !strings.EqualFold(strings.TrimSpace(name), "rel") {
					continue
				}
				for _, rel := range strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)) {
					out[strings.ToLower(rel)] = m[1]
				}
			}
		}
	}
	return out
}
