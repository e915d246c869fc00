package verify_test

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/wire"
)

var brokenWrites = []broken{
	{name: "PUT needs no token", check: "put.no-token",
		spoil: lets(func(r *http.Request) bool {
			return r.Method == "PUT" && r.Header.Get("Authorization") == ""
		})},
	{name: "DELETE needs no token", check: "put.no-token",
		spoil: lets(func(r *http.Request) bool {
			return r.Method == "DELETE" && r.Header.Get("Authorization") == ""
		})},
	{name: "a body is read before the token", check: "put.no-token",
		spoil: where(func(r *http.Request) bool {
			return r.Method == "PUT" && r.Header.Get("Authorization") == ""
		}, func(a *answer) { a.refuse(400) })},
	{name: "who may read may write", check: "put.scope",
		spoil: lets(func(r *http.Request) bool { return r.Method == "PUT" }, 403)},
	{name: "who may read may delete", check: "put.scope",
		spoil: lets(func(r *http.Request) bool { return r.Method == "DELETE" }, 403)},
	{name: "a creation is 200", check: "put.create", spoil: where(is("PUT"), func(a *answer) {
		if a.status == 201 {
			a.status = 200
		}
	})},
	{name: "a creation has no body", check: "put.create",
		spoil: where(is("PUT"), func(a *answer) { a.body = nil })},
	{name: "a creation is bare", check: "put.create", spoil: where(is("PUT"), func(a *answer) {
		for _, v := range a.members() {
			a.setMembers(v.(map[string]any))
		}
	})},
	{name: "a creation gives another id", check: "put.create", spoil: where(is("PUT"), func(a *answer) {
		m := a.members()
		for _, v := range m {
			v.(map[string]any)["sourcedId"] = "1"
		}
		a.setMembers(m)
	})},
	{name: "a creation is refused", check: "put.create",
		spoil: where(is("PUT"), func(a *answer) { a.refuse(405) })},
	{name: "a write is taken and lost", check: "put.read-back", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			route := routeOf(r)
			if r.Method != "PUT" || route == nil || route.Resource.Name == "lineItem" {
				s.ServeHTTP(w, r)
				return
			}
			a := ask(s, r)
			if a.status == http.StatusCreated {
				r = get(r)
				r.Method = http.MethodDelete
				_ = ask(s, r)
			}
			a.write(w)
		})
	}},
	{name: "scores are whole numbers", check: "put.read-back",
		spoil: bodies(func(_ http.Handler, _ *http.Request, o map[string]any) {
			if n, ok := o["score"].(json.Number); ok {
				f, _ := n.Float64() // our own number
				o["score"] = int(f)
			}
		})},
	{name: "comments are escaped", check: "put.read-back",
		spoil: bodies(func(_ http.Handler, _ *http.Request, o map[string]any) {
			if s, ok := o["comment"].(string); ok {
				o["comment"] = html.EscapeString(s)
			}
		})},
	{name: "a due date loses its time", check: "put.read-back",
		spoil: bodies(func(_ http.Handler, _ *http.Request, o map[string]any) {
			if s, ok := o["dueDate"].(string); ok {
				o["dueDate"] = s[:10] + "T00:00:00.000Z"
			}
		})},
	{name: "descriptions are not kept", check: "put.read-back",
		spoil: bodies(func(_ http.Handler, _ *http.Request, o map[string]any) { delete(o, "description") })},
	{name: "PUT merges", check: "put.replace", spoil: bodies(func(next http.Handler, r *http.Request,
		o map[string]any) {
		for _, v := range ask(next, get(r)).members() {
			for k, old := range v.(map[string]any) {
				fillUp(o, k, old)
			}
		}
	})},
	{name: "a second PUT is 409", check: "put.replace",
		spoil: answers(func(_ http.Handler, r *http.Request, a *answer) {
			if r.Method == "PUT" && a.status == 200 {
				a.refuse(409)
			}
		})},
	{name: "a second PUT is passed over", check: "put.replace", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			old := ask(s, get(r))
			a := ask(s, r)
			if r.Method == "PUT" && a.status == 200 && old.status == 200 {
				again := get(r)
				again.Method, again.Body = "PUT", io.NopCloser(bytes.NewReader(old.body))
				*a = *ask(s, again)
			}
			a.write(w)
		})
	}},
	{name: "a result stays in its line item", check: "put.replace", spoil: keepsOld("lineItem")},
	{name: "a line item stays in its category", check: "put.replace", spoil: keepsOld("category")},
	{name: "a result stays with its student", check: "put.replace", spoil: keepsOld("student")},
	{name: "a line item stays in its grading period", check: "put.replace", spoil: keepsOld("gradingPeriod")},
	{name: "a line item stays in its class", check: "put.replace", spoil: keepsOld("class")},
	{name: "a due date stays", check: "put.replace", spoil: keepsOld("dueDate")},
	{name: "the day of a score stays", check: "put.replace", spoil: keepsOld("scoreDate")},
	{name: "every maximum is 100", check: "put.replace", spoil: bodies(func(_ http.Handler, _ *http.Request,
		o map[string]any) {
		if o["resultValueMax"] != nil {
			o["resultValueMax"] = 100
		}
	})},
	{name: "a score of zero is none", check: "put.replace", spoil: objects(func(o map[string]any) {
		if o["score"] == 0.0 || o["score"] == json.Number("0") {
			delete(o, "score")
		}
	}, "result")},
	{name: "PUT deletes first, and what hangs on it", check: "put.replace",
		spoil: func(s *service) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" && routeOf(r).Resource.Name == "lineItem" {
					first := get(r)
					first.Method = "DELETE"
					_ = ask(s, first)
				}
				s.ServeHTTP(w, r)
			})
		}},
	{name: "ids are cut at 36 letters", check: "put.id-case",
		spoil: gradeIDs(func(id string) string { return id[:min(len(id), 36)] })},
	{name: "ids are written in small letters", check: "put.id-case", spoil: gradeIDs(strings.ToLower)},
	{name: "ids are found in small letters alone", check: "put.id-case",
		spoil: where(func(r *http.Request) bool {
			return r.Method == "GET" && strings.ContainsAny(below(r), "ABCDEF")
		}, func(a *answer) { a.refuse(404) })},
	{name: "a class's line items lack what was written", check: "put.listed",
		spoil: where(func(r *http.Request) bool {
			return strings.HasPrefix(below(r), "/classes/") && strings.HasSuffix(below(r), "/lineItems")
		}, func(a *answer) { a.choose(func(map[string]any) bool { return false }) })},
	{name: "a class's results lack what was written", check: "put.listed",
		spoil: where(func(r *http.Request) bool {
			return strings.HasPrefix(below(r), "/classes/") && strings.HasSuffix(below(r), "/results")
		}, func(a *answer) { a.choose(func(map[string]any) bool { return false }) })},
	{name: "lists are from before the write", check: "put.listed", cause: "filter.id",
		spoil: swaps("^sourcedId=.*", nothing)},
	{name: "dateLastModified stands still", check: "put.delta", spoil: func(s *service) http.Handler {
		var first sync.Map
		return objects(func(o map[string]any) {
			at, _ := first.LoadOrStore(o["sourcedId"], o["dateLastModified"])
			o["dateLastModified"] = at
		})(s)
	}},
	{name: "the writer's clock stamps", check: "put.delta", spoil: func(s *service) http.Handler {
		var said sync.Map
		stamped := objects(func(o map[string]any) {
			if at, ok := said.Load(o["sourcedId"]); ok {
				o["dateLastModified"] = at
			}
		})(s)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if o := sent(r); o != nil && o["dateLastModified"] != nil {
				said.Store(o["sourcedId"], o["dateLastModified"])
			}
			stamped.ServeHTTP(w, r)
		})
	}},
	{name: "a write is not in the delta", check: "put.delta", cause: "filter.greater",
		spoil: swaps("^dateLastModified>.*", nothing)},
	{name: "the body's id wins", check: "put.path-id", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				body, _ := io.ReadAll(r.Body) // what broke off is no JSON
				var m map[string]wire.Object
				_ = json.Unmarshal(body, &m)
				for _, o := range m {
					r = r.Clone(r.Context())
					r.URL.Path = oneroster.V1p1.Base + "/" + routeOf(r).Resource.Plural + "/" + o.ID()
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			s.ServeHTTP(w, r)
		})
	}},
	{name: "another id in the body breaks", check: "put.path-id", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				body, _ := io.ReadAll(r.Body) // what broke off is no JSON
				r.Body = io.NopCloser(bytes.NewReader(body))
				if !bytes.Contains(body, []byte(below(r)[strings.LastIndex(below(r), "/")+1:])) {
					w.WriteHeader(500)
					return
				}
			}
			s.ServeHTTP(w, r)
		})
	}},
	{name: "what is no JSON is taken", check: "put.malformed", spoil: where(is("PUT"), func(a *answer) {
		if a.status == 400 || a.status == 422 {
			a.say(200, "application/json", "{}")
		}
	})},
	{name: "what is no JSON breaks", check: "put.malformed", spoil: where(is("PUT"), func(a *answer) {
		if a.status == 400 || a.status == 422 {
			a.refuse(500)
		}
	})},
	{name: "an unknown reference is taken", check: "put.unknown-reference",
		spoil: where(is("PUT"), func(a *answer) {
			if a.status == 422 {
				a.say(201, "application/json", "{}")
			}
		})},
	{name: "an unknown reference breaks", check: "put.unknown-reference",
		spoil: where(is("PUT"), func(a *answer) {
			if a.status == 422 {
				a.refuse(500)
			}
		})},
	{name: "metadata is merged", check: "put.read-back", spoil: bodies(
		func(next http.Handler, r *http.Request, o map[string]any) {
			for _, v := range ask(next, get(r)).members() {
				old, _ := v.(map[string]any)["metadata"].(map[string]any)
				if m, has := o["metadata"].(map[string]any); has {
					maps.Copy(m, old)
				}
			}
		})},
	{name: "metadata is escaped", check: "put.read-back", spoil: objects(func(o map[string]any) {
		m, _ := o["metadata"].(map[string]any)
		for name, v := range m {
			if text, is := v.(string); is {
				m[name] = html.EscapeString(text)
			}
		}
	})},
	{name: "results without a score are in no list", check: "put.score-status",
		spoil: func(s *service) http.Handler {
			var without sync.Map // ids
			hides := where(isList, func(a *answer) {
				a.choose(func(o map[string]any) bool {
					lost, _ := without.Load(o["sourcedId"])
					return lost != true
				})
			})(s)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if o := sent(r); o != nil && routeOf(r).Resource.Name == "result" {
					without.Store(path.Base(below(r)), o["score"] == nil)
				}
				hides.ServeHTTP(w, r)
			})
		}},
	{name: "who is exempt has submitted nothing", check: "put.score-status",
		spoil: bodies(func(_ http.Handler, _ *http.Request, o map[string]any) {
			if o["scoreStatus"] == "exempt" {
				o["scoreStatus"] = "not submitted"
			}
		})},
	{name: "scores are of single precision", check: "put.read-back", spoil: objects(func(o map[string]any) {
		if n, is := o["score"].(json.Number); is {
			score, _ := strconv.ParseFloat(n.String(), 32)
			o["score"] = score
		}
	})},
	{name: "DELETE of what is deleted breaks", check: "delete.unknown", spoil: func(s *service) http.Handler {
		var gone sync.Map
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := ask(s, r)
			if r.Method == "PUT" {
				gone.Delete(below(r))
			} else if _, again := gone.Load(below(r)); r.Method == "DELETE" && again {
				a.refuse(500)
			} else if r.Method == "DELETE" && a.status == 204 {
				gone.Store(below(r), true)
			}
			a.write(w)
		})
	}},
	{name: "a PUT stamps every row", check: "put.delta", spoil: func(s *service) http.Handler {
		var lock sync.Mutex
		stamp := ""
		return eachObject(func(r *http.Request, o map[string]any) {
			lock.Lock()
			defer lock.Unlock()
			if r.Method == "PUT" {
				stamp = text(o, "dateLastModified")
			} else if routeOf(r).Resource.Gradebook && isSingle(r) && stamp != "" {
				o["dateLastModified"] = stamp
			}
		})(s)
	}},
	{name: "DELETE takes the ids that begin alike", check: "delete.gone", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "DELETE" {
				_ = ask(s, other(r, below(r)+"-1", nil))
			}
			s.ServeHTTP(w, r)
		})
	}},
	{name: "the day of the assignment stays", check: "put.replace", spoil: bodies(func(next http.Handler,
		r *http.Request, o map[string]any) {
		was, _ := ask(next, get(r)).members()["lineItem"].(map[string]any)
		if was["assignDate"] != nil {
			o["assignDate"] = was["assignDate"]
		}
	})},
	{name: "what has no category is in no list", check: "put.minimal", spoil: func(s *service) http.Handler {
		var without sync.Map
		listed := rows(func(_ http.Handler, _ *http.Request, _ *answer, rows []any) []any {
			return slices.DeleteFunc(rows, func(o any) bool {
				_, is := without.Load(text(o.(map[string]any), "sourcedId"))
				return is
			})
		})(s)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if o := sent(r); o != nil {
				if at := strings.LastIndex(below(r), "/"); o["category"] == nil && o["class"] != nil {
					without.Store(below(r)[at+1:], true)
				}
			}
			listed.ServeHTTP(w, r)
		})
	}},
	{name: "DELETE keeps", check: "delete.gone", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "DELETE" {
				w.WriteHeader(204)
				return
			}
			s.ServeHTTP(w, r)
		})
	}},
	{name: "DELETE takes what was written before", check: "delete.gone", spoil: takes(1)},
	{name: "DELETE takes what was written after", check: "delete.gone", spoil: takes(-1)},
	{name: "DELETE of a category takes its line items", check: "delete.gone",
		spoil: func(s *service) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if id, is := strings.CutPrefix(below(r), "/categories/"); is && r.Method == "DELETE" {
					_, items := fetch(s, get(r), "/lineItems", url.Values{
						"filter": {"category.sourcedId='" + id + "'"}})
					for _, o := range items {
						_ = ask(s, other(r, "/lineItems/"+text(o.(map[string]any), "sourcedId"), nil))
					}
				}
				s.ServeHTTP(w, r)
			})
		}},
	{name: "DELETE of a line item leaves its results", check: "delete.gone",
		spoil: func(s *service) http.Handler {
			var kept sync.Map // paths
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if id, is := strings.CutPrefix(below(r), "/lineItems/"); is && r.Method == "DELETE" {
					_, results := fetch(s, get(r), "/results", url.Values{
						"filter": {"lineItem.sourcedId='" + id + "'"}})
					for _, o := range results {
						path := "/results/" + text(o.(map[string]any), "sourcedId")
						kept.Store(path, ask(s, other(get(r), path, nil)))
					}
				}
				if a, is := kept.Load(below(r)); is && r.Method == "GET" {
					a.(*answer).write(w)
					return
				}
				s.ServeHTTP(w, r)
			})
		}},
	{name: "DELETE is not allowed", check: "delete.gone", spoil: where(is("DELETE"),
		func(a *answer) { a.refuse(405) })},
	{name: "what is deleted is still read", check: "delete.gone",
		spoil: keepsDeleted(func(r *http.Request) bool { return isSingle(r) })},
	{name: "what is deleted is still listed", check: "delete.gone",
		spoil: keepsDeleted(func(r *http.Request) bool { return isList(r) && !isNested(r) })},
	{name: "what is deleted is still in its class", check: "delete.gone", spoil: keepsDeleted(isNested)},
	{name: "DELETE leaves no trace", check: "delete.delta", cause: "filter.greater",
		spoil: swaps("^(dateLastModified>.*)$",
			"$1 AND status='active'")},
	{name: "what is deleted is active in the delta", check: "delete.delta", cause: "filter.status",
		spoil: replaces("status", "tobedeleted", "active")},
	{name: "DELETE of nothing is 204", check: "delete.unknown", spoil: where(is("DELETE"),
		func(a *answer) { a.say(204, "", "") })},
	{name: "DELETE of nothing breaks", check: "delete.unknown", spoil: where(is("DELETE"), func(a *answer) {
		if a.status == 404 {
			a.refuse(500)
		}
	})},
	{name: "PUT after DELETE is 409", check: "delete.again", spoil: func(s *service) http.Handler {
		var gone sync.Map
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := ask(s, r)
			if _, deleted := gone.Load(below(r)); r.Method == "PUT" && deleted {
				a.refuse(409)
			} else if r.Method == "DELETE" {
				gone.Store(below(r), true)
			}
			a.write(w)
		})
	}},
	{name: "PUT after DELETE stays deleted", check: "delete.again", spoil: func(s *service) http.Handler {
		var gone sync.Map
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := ask(s, r)
			if _, deleted := gone.Load(below(r)); r.Method == "GET" && deleted {
				a.refuse(404)
			} else if r.Method == "DELETE" {
				gone.Store(below(r), true)
			}
			a.write(w)
		})
	}},
	{name: "PUT after DELETE brings back what was", check: "delete.again",
		spoil: func(s *service) http.Handler {
			var gone sync.Map
			filled := bodies(func(_ http.Handler, r *http.Request, o map[string]any) {
				if old, deleted := gone.Load(below(r)); deleted {
					for _, v := range old.(map[string]any) {
						for k, was := range v.(map[string]any) {
							fillUp(o, k, was)
						}
					}
				}
			})(s)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "DELETE" {
					gone.Store(below(r), ask(s, get(r)).members())
				}
				filled.ServeHTTP(w, r)
			})
		}},
	{name: "status must be sent", check: "put.minimal", spoil: needs("status")},
	{name: "a category must be sent", check: "put.minimal", spoil: needs("category")},
	{name: "the type of a reference must be sent", check: "put.minimal",
		spoil: func(s *service) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" && !isTyped(r) {
					a := &answer{}
					a.refuse(422)
					a.write(w)
					return
				}
				s.ServeHTTP(w, r)
			})
		}},
	{name: "what was left out stays out", check: "put.minimal", cause: "put.read-back", spoil: drops("dueDate")},
	{name: "extra credit is refused", check: "put.extra-credit", spoil: func(s *service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if o := sent(r); o["score"] == json.Number("300") {
				a := &answer{}
				a.refuse(422)
				a.write(w)
				return
			}
			s.ServeHTTP(w, r)
		})
	}},
	{name: "extra credit is cut off", check: "put.extra-credit",
		spoil: bodies(func(_ http.Handler, _ *http.Request, o map[string]any) {
			if o["score"] == json.Number("300") {
				o["score"] = 100
			}
		})},
	{name: "line items and results share their ids", check: "put.same-ids",
		spoil: func(s *service) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if id, ok := strings.CutPrefix(below(r), "/results/"); ok && r.Method == "PUT" &&
					ask(s, other(get(r), "/lineItems/"+id, nil)).status == 200 {
					a := &answer{}
					a.refuse(409)
					a.write(w)
					return
				}
				s.ServeHTTP(w, r)
			})
		}},
	{name: "two writes at once lock each other out", check: "put.burst",
		spoil: func(s *service) http.Handler {
			var busy atomic.Int64
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" {
					defer busy.Add(-1)
					if busy.Add(1) > 2 {
						w.WriteHeader(500)
						return
					}
					time.Sleep(2 * time.Millisecond) // so that others come meanwhile
				}
				s.ServeHTTP(w, r)
			})
		}},
	{name: "many writes are 429", check: "put.burst", spoil: func(s *service) http.Handler {
		var lock sync.Mutex
		writes, since := 0, time.Time{}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // beyond twenty a second
			lock.Lock()
			if time.Since(since) > time.Second {
				writes, since = 0, time.Now()
			}
			if r.Method == "PUT" {
				writes++
			}
			busy := r.Method == "PUT" && writes > 20
			lock.Unlock()
			if busy {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(429)
				return
			}
			s.ServeHTTP(w, r)
		})
	}},
	{name: "a burst is taken and lost", check: "put.burst", cause: "put.create",
		spoil: func(s *service) http.Handler {
			var writes atomic.Int64
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" && writes.Add(1)%5 == 0 {
					w.WriteHeader(201)
					return
				}
				s.ServeHTTP(w, r)
			})
		}},
}
