package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollbook/internal/store/storetest"
)

// A collector is told of each request as a span of its caller's trace, with what was asked and
// answered; of a trace that its caller does not keep it is told nothing.
func TestTraces(t *testing.T) {
	t.Parallel()
	type attribute struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	type span struct {
		TraceID, SpanID, ParentSpanID, Name, StartTimeUnixNano, EndTimeUnixNano string
		Kind                                                                    int
		Attributes                                                              []attribute
		Status                                                                  struct{ Code int }
	}
	type export struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []attribute }
			ScopeSpans []struct {
				Scope struct{ Name, Version string }
				Spans []span
			}
		}
	}
	spans := make(chan span, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e export
		in := json.NewDecoder(r.Body)
		in.DisallowUnknownFields()
		if err := in.Decode(&e); err != nil || r.URL.Path != "/v1/traces" || r.Method != "POST" ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		for _, from := range e.ResourceSpans {
			if a := from.Resource.Attributes[0]; a.Key+a.Value.StringValue != "service.namerollbook" {
				t.Errorf("%+v", a)
			}
			for _, s := range from.ScopeSpans[0].Spans {
				spans <- s
			}
		}
	}))
	defer collector.Close()
	dir, dsn := write(t, right), storetest.SQLite(t)
	run := runs(t, dir, dsn)
	run("import", "--new", ".")
	client := clientOf(t, run("client", "add", "x", "--json"))
	_, errs, code := rollbook(t, dir, "serve", "--otel-endpoint", "collector:4318", "--db", dsn)
	if code != exitUsage || !strings.Contains(errs, "--otel-endpoint") {
		t.Errorf("%d %s", code, errs)
	}
	address, cmd := start(t, dir, dsn, "--otel-endpoint", collector.URL)
	host := "http://" + address
	token := newReader(t, "", host+"/token", client.ClientID, client.ClientSecret).token
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	asked := []struct {
		path, traceparent, name, route, status, rows string
		of, by                                       string // trace and parent
	}{
		{"/users?limit=2&filter=givenName%3D'Ann'", "00-" + trace + "-" + parent + "-01", "getAllUsers",
			"/ims/oneroster/v1p1/users", "200", "1", trace, parent},
		{"/users/u1", "01-" + trace + "-" + parent + "-03-more", "getUser",
			"/ims/oneroster/v1p1/users/{id}", "200", "1", trace, parent},
		{"/users", "00-" + trace + "-" + parent + "-00", "", "", "", "", "", ""}, // not kept
		{"/nothing", "", "none", "", "404", "0", "", ""},
		{"/orgs", "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", "getAllOrgs",
			"/ims/oneroster/v1p1/orgs", "200", "2", "", ""},
		{"/orgs", "00-" + strings.ToUpper(trace) + "-" + parent + "-01", "getAllOrgs",
			"/ims/oneroster/v1p1/orgs", "200", "2", "", ""},
		{"/orgs", "rubbish", "getAllOrgs", "/ims/oneroster/v1p1/orgs", "200", "2", "", ""},
	}
	for _, a := range asked {
		r, _ := http.NewRequest("GET", host+"/ims/oneroster/v1p1"+a.path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Traceparent", a.traceparent)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	stop(cmd) // what waits is sent
	close(spans)
	if s := <-spans; s.Name != "token" {
		t.Errorf("%+v", s)
	}
	for _, a := range asked {
		if a.name == "" {
			continue
		}
		s := <-spans
		has := map[string]string{}
		for _, x := range s.Attributes {
			has[x.Key] = x.Value.StringValue + x.Value.IntValue
		}
		if s.Name != a.name || s.Kind != 2 || len(s.TraceID) != 32 || len(s.SpanID) != 16 ||
			a.of != "" && s.TraceID != a.of || a.of == "" && strings.EqualFold(s.TraceID, trace) ||
			s.ParentSpanID != a.by || has["http.route"] != a.route ||
			has["http.response.status_code"] != a.status || has["rollbook.rows"] != a.rows ||
			has["http.request.method"] != "GET" ||
			has["rollbook.client"] != client.ClientID && a.name != "none" ||
			s.StartTimeUnixNano > s.EndTimeUnixNano || len(s.StartTimeUnixNano) != 19 {
			t.Errorf("%s: %+v", a.path, s)
		}
		for _, x := range s.Attributes {
			if strings.Contains(x.Value.StringValue, "Ann") {
				t.Errorf("a filter is told: %+v", x)
			}
		}
	}
	for s := range spans {
		t.Errorf("one more: %+v", s)
	}
}
