package explain_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/rest"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// waits brings the next package, which is not published.
func (d *drama) waits(state store.State) *drama {
	d.t.Helper()
	id, err := d.s.Arrive(d.t.Context(), "night.zip", "it")
	if err == nil {
		err = d.s.Decide(d.t.Context(), id, state, []store.State{store.StatePlanning}, "it", "")
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.said[id] = map[string]bool{}
	for _, r := range d.rows {
		d.said[id][r.ID()] = true
	}
	return d
}

// back publishes the district as a change left it.
func (d *drama) back(rev int64) *drama {
	d.t.Helper()
	ctx := d.t.Context()
	id, err := d.s.Arrive(ctx, "rollback to 1", "it")
	if err != nil {
		d.t.Fatal(err)
	}
	plan, err := d.s.PlanRollback(ctx, rev, nil)
	if err == nil {
		defer plan.Close()
		_, err = d.s.Publish(store.By(ctx, fmt.Sprintf("publication %d, rollback to 1", id)), plan,
			&store.Decision{ID: id})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d
}

// gone is a record as a delta package deletes it.
func deleted(resource, id string) oneroster.Record {
	return storetest.Rec(resource, "sourcedId", id, "status", oneroster.ToBeDeleted)
}

// partly publishes a delta package.
func (d *drama) partly(rows ...oneroster.Record) *drama {
	d.t.Helper()
	ctx := d.t.Context()
	id, err := d.s.Arrive(ctx, "delta.zip", "it")
	if err != nil {
		d.t.Fatal(err)
	}
	d.said[id] = map[string]bool{}
	p := storetest.Bulk(rows...)
	for r := range p.Carried {
		p.Carried[r] = oneroster.Delta
	}
	for _, r := range rows {
		d.said[id][r.ID()] = true
	}
	plan, err := d.s.Plan(ctx, p, store.ImportOptions{Closed: true}, nil)
	if err == nil {
		defer plan.Close()
		_, err = d.s.Publish(store.By(ctx, fmt.Sprintf("publication %d, delta.zip", id)), plan,
			&store.Decision{ID: id})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d
}

// asks asks for something, as it is.
func (d *drama) asks(client, what string) *drama { _, _ = d.raw("GET", client, what); return d }

func (d *drama) raw(method, client, what string) (int, string) {
	d.t.Helper()
	if d.tokens[client] == "" && d.token(client, d.secrets[client]) != 200 {
		d.t.Fatal("no token")
	}
	path, query, _ := strings.Cut(what, "?")
	values := url.Values{}
	for part := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(part, "="); ok {
			values.Set(name, value)
		}
	}
	r, _ := http.NewRequest(method, d.url+"/ims/oneroster/v1p1/"+path+"?"+values.Encode(), nil)
	r.Header.Set("Authorization", "Bearer "+d.tokens[client])
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	answer.Body.Close()
	d.written()
	return answer.StatusCode, answer.Header.Get("X-Total-Count")
}

func (d *drama) swap(id, resource string, pairs ...string) *drama {
	d.without(id)
	d.rows = append(d.rows, storetest.Rec(resource, append([]string{"sourcedId", id}, pairs...)...))
	return d
}

func since(t time.Time) string { return "dateLastModified>'" + oneroster.FormatTime(t) + "'" }

func (d *drama) prune(before time.Time) *drama {
	d.t.Helper()
	if err := d.s.Prune(d.t.Context(), before); err != nil {
		d.t.Fatal(err)
	}
	return d
}

// deltas reads users with a delta every ten seconds.
func (d *drama) deltas(client string, from time.Time, n int) *drama {
	for i := range n {
		d.on(from.Add(time.Duration(i) * 10 * time.Second))
		for _, list := range []string{"users", "enrollments"} {
			d.ledger.Hear(rest.Call{Client: client, At: d.now, Method: "GET", Status: 200,
				Op: map[string]string{"users": "getAllUsers", "enrollments": "getAllEnrollments"}[list],
				Page: &rest.Page{Of: list, Question: "filter=" +
					url.QueryEscape(since(d.now.Add(-10*time.Second))), Limit: 100, Edition: 1}})
		}
	}
	return d.written()
}

func failed(at time.Time, client, op string) rest.Call {
	return rest.Call{Client: client, At: at, Method: "GET", Op: op, Status: 500,
		Reason: "internal_server_error", Page: &rest.Page{Of: "users", Limit: 100}}
}

func broke(at time.Time, client string) rest.Call {
	return rest.Call{Client: client, At: at, Method: "GET", Op: "getAllUsers", Status: 200, Aborted: true,
		Page: &rest.Page{Of: "users", Limit: 100}}
}

// grades is a gradebook that a client wrote, and reads.
func (d *drama) grades() *drama {
	d.t.Helper()
	d.client("grades", []string{oneroster.GradebookPut, oneroster.GradebookRead})
	ctx := store.By(d.t.Context(), "client grades")
	for _, rec := range []oneroster.Record{
		storetest.Rec("category", "sourcedId", "c", "title", "Tests"),
		storetest.Rec("lineItem", "sourcedId", "li", "title", "Test 1", "assignDate", "2026-11-01",
			"dueDate", "2026-11-20", "class", "art", "category", "c", "gradingPeriod", "t"),
		storetest.Rec("result", "sourcedId", "r", "lineItem", "li", "student", "ana", "scoreStatus",
			"fully graded", "score", "5", "scoreDate", "2026-11-20")} {
		if _, _, err := d.s.Put(ctx, rec); err != nil {
			d.t.Fatal(err)
		}
	}
	return d.on(at(0, 1)).read("grades", "", "lineItems", "results")
}

func (d *drama) delete(resource, id string) *drama {
	d.t.Helper()
	if err := d.s.Delete(store.By(d.t.Context(), "client grades"), oneroster.ByName(resource),
		id); err != nil {
		d.t.Fatal(err)
	}
	return d
}
