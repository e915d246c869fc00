package verify_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

func is(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method }
}

// get is the request that reads what another writes.
func get(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
	return r
}

// sent reads the object that a PUT brings, and leaves it to be read again.
func sent(r *http.Request) map[string]any {
	if r.Method != http.MethodPut {
		return nil
	}
	body, _ := io.ReadAll(r.Body) // what broke off is no JSON
	r.Body = io.NopCloser(bytes.NewReader(body))
	a := &answer{status: 200, body: body}
	for _, v := range a.members() {
		o, _ := v.(map[string]any)
		return o
	}
	return nil
}

// bodies changes the objects that are written.
func bodies(edit func(next http.Handler, r *http.Request, o map[string]any)) spoiler {
	return func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if o := sent(r); o != nil {
				edit(s, r, o)
				a := &answer{}
				a.setMembers(map[string]any{routeOf(r).Resource.Wrapper(): o})
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(a.body)), int64(len(a.body))
			}
			s.ServeHTTP(w, r)
		})
	}
}

// gradeIDs takes the ids of single objects of the gradebook for others.
func gradeIDs(other func(id string) string) spoiler {
	return func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if path := r.URL.Path; routeOf(r) != nil && routeOf(r).Resource.Gradebook && !isList(r) {
				at := strings.LastIndex(path, "/") + 1
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = path[:at]+other(path[at:]), ""
			}
			s.ServeHTTP(w, r)
		})
	}
}

// keepsOld takes an object without its new reference.
func keepsOld(field string) spoiler {
	return bodies(func(next http.Handler, r *http.Request, o map[string]any) {
		for _, v := range ask(next, get(r)).members() {
			if old := v.(map[string]any)[field]; old != nil && o[field] != nil {
				o[field] = old
			}
		}
	})
}

// takes lets a DELETE take another object of the kind with it: the one that was written so many
// before.
func takes(before int) spoiler {
	return func(s *service) http.Handler {
		var lock sync.Mutex
		put := map[string][]string{} // paths by resource
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lock.Lock()
			defer lock.Unlock()
			if r.Method == "PUT" {
				of := routeOf(r).Resource.Name
				put[of] = append(put[of], below(r))
			}
			if r.Method == "DELETE" {
				of := put[routeOf(r).Resource.Name]
				if i := slices.Index(of, below(r)) - before; i >= 0 && i < len(of) {
					_ = ask(s, other(r, of[i], nil))
				}
			}
			s.ServeHTTP(w, r)
		})
	}
}

// needs refuses objects that lack a member which their resource has.
func needs(field string) spoiler {
	return func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if o := sent(r); o != nil && routeOf(r).Resource.Field(field) != nil && o[field] == nil {
				a := &answer{}
				a.refuse(422)
				a.write(w)
				return
			}
			s.ServeHTTP(w, r)
		})
	}
}

func isTyped(r *http.Request) bool {
	for _, v := range sent(r) {
		if ref, ok := v.(map[string]any); ok && ref["type"] == nil {
			return false
		}
	}
	return true
}

// keepsDeleted goes on to show what was deleted in some reads.
func keepsDeleted(in func(r *http.Request) bool) spoiler {
	return func(s *service) http.Handler {
		var kept sync.Map // id to the answer that read it
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := below(r)[strings.LastIndex(below(r), "/")+1:]
			if r.Method == http.MethodDelete {
				kept.Store(id, ask(s, get(r)))
			}
			a := ask(s, r)
			if r.Method == http.MethodGet && in(r) {
				if v, ok := kept.Load(id); ok && isSingle(r) {
					a = v.(*answer)
				}
				if m := equal.FindStringSubmatch(r.URL.Query().Get("filter")); m != nil && isList(r) {
					if v, ok := kept.Load(m[2]); ok {
						whole := v.(*answer).members()
						for o := range maps.Values(whole) {
							a.setMembers(map[string]any{routeOf(r).Resource.Plural: []any{o}})
							a.header.Set("X-Total-Count", strconv.Itoa(1))
						}
					}
				}
			}
			a.write(w)
		})
	}
}
