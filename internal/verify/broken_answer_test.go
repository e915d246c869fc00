package verify_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rollbook/internal/oneroster"
)

// An answer of a provider, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask lets a provider answer a request, uncompressed.
func ask(next http.Handler, r *http.Request) *answer {
	r = r.Clone(r.Context())
	r.Header.Del("Accept-Encoding")
	w := httptest.NewRecorder()
	next.ServeHTTP(w, r)
	return &answer{w.Code, w.Header().Clone(), w.Body.Bytes()}
}

// other is the request with another path below the base, or another query.
func other(r *http.Request, path string, q url.Values) *http.Request {
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = oneroster.V1p1.Base+path, "", q.Encode()
	return r
}

func (a *answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.Header().Del("Content-Length")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (a *answer) total() int {
	n, err := strconv.Atoi(a.header.Get("X-Total-Count"))
	if err != nil {
		return -1
	}
	return n
}

func (a *answer) setTotal(n int) { a.header.Set("X-Total-Count", strconv.Itoa(n)) }

// say makes it another answer, of a status and a type.
func (a *answer) say(status int, kind, body string) {
	a.status, a.header, a.body = status, http.Header{"Content-Type": {kind}}, []byte(body)
}

// refuse makes it a well-formed error.
func (a *answer) refuse(status int) {
	a.say(status, "application/json",
		`{"statusInfoSet":[{"imsx_codeMajor":"failure","imsx_severity":"error","imsx_codeMinor":"invalid_data","imsx_description":"no"}]}`)
}

// below is the path of a request below the base; "" outside it.
func below(r *http.Request) string {
	path, ok := strings.CutPrefix(r.URL.Path, oneroster.V1p1.Base)
	if !ok {
		return ""
	}
	return path
}

// routeOf finds the row of the route table; nil when there is none.
func routeOf(r *http.Request) *oneroster.Route {
	segments := strings.FieldsFunc(below(r), func(c rune) bool { return c == '/' })
next:
	for i := range oneroster.V1p1.Routes {
		route := &oneroster.V1p1.Routes[i]
		if len(route.Segments) != len(segments) || route.Method != r.Method {
			continue
		}
		for n, s := range route.Segments {
			if !strings.HasPrefix(s, "{") && !strings.EqualFold(s, segments[n]) {
				continue next
			}
		}
		return route
	}
	return nil
}

func isList(r *http.Request) bool   { v := routeOf(r); return v != nil && !v.One }
func isSingle(r *http.Request) bool { v := routeOf(r); return v != nil && v.One }
func isNested(r *http.Request) bool {
	v := routeOf(r)
	return v != nil && !v.One && len(v.Segments) > 1
}

// asks changes the query of a read before it is answered.
func asks(edit func(r *http.Request, q url.Values)) spoiler {
	return func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); r.Method == http.MethodGet && below(r) != "" {
				was := q.Encode()
				if edit(r, q); q.Encode() != was {
					r = r.Clone(r.Context())
					r.URL.RawQuery = q.Encode()
				}
			}
			s.ServeHTTP(w, r)
		})
	}
}

// answers changes the answer to a request below the base.
func answers(edit func(next http.Handler, r *http.Request, a *answer)) spoiler {
	return func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if below(r) == "" {
				s.ServeHTTP(w, r)
				return
			}
			a := ask(s, r)
			edit(s, r, a)
			a.write(w)
		})
	}
}

// where answers those requests otherwise.
func where(is func(r *http.Request) bool, edit func(a *answer)) spoiler {
	return answers(func(_ http.Handler, r *http.Request, a *answer) {
		if is(r) {
			edit(a)
		}
	})
}

// rows changes the rows of a list that was answered 200.
func rows(edit func(next http.Handler, r *http.Request, a *answer, rows []any) []any) spoiler {
	return answers(func(next http.Handler, r *http.Request, a *answer) {
		members := a.members()
		if !isList(r) || members == nil {
			return
		}
		for key, v := range members {
			if list, ok := v.([]any); ok && key != "statusInfoSet" {
				if members[key] = edit(next, r, a, list); a.status != http.StatusOK {
					return
				}
			}
		}
		a.setMembers(members)
	})
}

// objects changes every object that is answered, of the named resources or all.
func objects(edit func(o map[string]any), resources ...string) spoiler {
	return eachObject(func(r *http.Request, o map[string]any) {
		if len(resources) == 0 || slices.Contains(resources, routeOf(r).Resource.Name) {
			edit(o)
		}
	})
}

// eachObject changes every object that is answered to a request.
func eachObject(edit func(r *http.Request, o map[string]any)) spoiler {
	return answers(func(_ http.Handler, r *http.Request, a *answer) {
		members := a.members()
		if routeOf(r) == nil || members == nil {
			return
		}
		for _, v := range members {
			switch v := v.(type) {
			case map[string]any:
				edit(r, v)
			case []any:
				for _, o := range v {
					edit(r, o.(map[string]any))
				}
			}
		}
		a.setMembers(members)
	})
}

// members are those of a good answer's object; nil when it is none.
func (a *answer) members() map[string]any {
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return nil
	}
	var out map[string]any
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber()
	if dec.Decode(&out) != nil {
		return nil
	}
	return out
}

func (a *answer) setMembers(members map[string]any) {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err) // it was JSON a moment ago
	}
	a.body = text
}

// fetch reads another list of the same provider.
func fetch(next http.Handler, r *http.Request, path string, q url.Values) (*answer, []any) {
	a := ask(next, other(r, path, q))
	for key, v := range a.members() {
		if list, ok := v.([]any); ok && key != "statusInfoSet" {
			return a, list
		}
	}
	return a, nil
}

func without(q url.Values, names ...string) url.Values {
	out := maps.Clone(q)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

func number(q url.Values, name string, standard int) int {
	if n, err := strconv.Atoi(q.Get(name)); err == nil {
		return n
	}
	return standard
}

func text(o any, name string) string {
	s, _ := o.(map[string]any)[name].(string)
	return s
}
