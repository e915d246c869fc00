package main

import (
	"archive/zip"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/oneroster"
	"rollbook/internal/store/storetest"
)

// A bundle tells what was read and what failed, and names nobody of the district.
func TestSupportBundle(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		run := runs(t, dir, dsn)
		run("sandbox", "springfield.zip", "--students", "60", "--seed", "5")
		run("import", "--new", "springfield.zip")
		c := clientOf(t, run("client", "add", "Springfield SDS", "--for", "sds", "--json"))
		address, service := start(t, dir, dsn)
		token := strings.Split(ask(t, "POST", "http://"+address+"/token", "", c.ClientID, c.ClientSecret),
			`"`)[3]
		base := "http://" + address + "/ims/oneroster/v1p1/"
		people := packagedIn(t, filepath.Join(dir, "springfield.zip"))
		teacher := people["user"][0]
		filters := []string{"", "email='" + teacher.Get("email") + "'",
			"givenName~'" + teacher.Get("givenName")[:2] + "'",
			"identifier='x' OR sourcedId='" + teacher.ID() + "'", "status='active' AND " +
				"dateLastModified>'2026-01-01'"}
		for _, filter := range filters {
			ask(t, "GET", base+"users?limit=1000&filter="+url.QueryEscape(filter), token, "", "")
		}
		ask(t, "GET", base+"schools/"+url.PathEscape(people["class"][0].Get("school"))+"/students?limit=2",
			token, "", "")
		refusedAs(t, base+"users?filter="+url.QueryEscape("nosuch='"+teacher.Get("familyName")+"'"), token,
			400)
		refusedAs(t, base+"demographics", token, 403)
		for _, path := range []string{"schools/" + url.PathEscape("O'Brien/Springfield") + "/students",
			"users?sort=metadata.springfield", "users?fields=sourcedId,metadata.springfield",
			"users?filter=metadata.springfield%3D%27Springfield%27",
			"users?sort=familyName&orderBy=desc&limit=1&filter=role%3D%27student%27"} {
			ask(t, "GET", base+path, token, "", "")
		}
		told, err := http.NewRequest("GET", base+"demographics", nil)
		if err != nil {
			t.Fatal(err)
		}
		told.Header.Set("Authorization", "Bearer "+token)
		told.Header.Set("X-Request-Id", "Springfield-"+teacher.Get("familyName"))
		if answer, err := http.DefaultClient.Do(told); err == nil {
			answer.Body.Close()
		}
		stop(service)
		file := filepath.Join(dir, "b.zip")
		if _, errs, code := rollbook(t, dir, "support", "bundle", file, "--client", "springfield sds", "--db",
			dsn); code != 0 {
			t.Fatal(errs)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		parts := unzipped(t, file)
		report, all := parts["report.md"], strings.Join([]string{parts["report.md"], parts["bundle.json"]},
			"\n")
		for _, there := range []string{"The client has begun 11 pulls since then and read 7 of them whole",
			"All 34 lists were answered rightly when the service asked itself", "/students | 2 | 20 | 1 |",
			"users?filter=dateLastModified>'2026-01-01T00:00:00.000Z' AND status='active'",
			"| getAllUsers | 400 |", "| getAllDemographics | 403 |"} {
			if !strings.Contains(report, there) {
				t.Errorf("%q is not in\n%s", there, report)
			}
		}
		words := map[string]string{"springfield": "the file", c.ClientID: "the client",
			c.ClientSecret: "its secret",
			token:          "its token", dir: "the folder"}
		for _, list := range people {
			for _, rec := range list {
				for i, f := range rec.Resource.Fields {
					for _, v := range oneroster.Items(rec.Values[i]) {
						if named := f.Personal || f.Name == "sourcedId" || f.Name == "name" ||
							f.Name == "title" ||
							f.To != ""; named && len(v) > 4 && v != "Score" {
							words[v] = rec.Resource.Name + "." + f.Name
						}
					}
				}
			}
		}
		if len(words) < 900 {
			t.Errorf("%d words were looked for", len(words))
		}
		lower := strings.ToLower(all)
		for word, of := range words {
			if strings.Contains(lower, strings.ToLower(word)) {
				t.Errorf("%s, %q, is in the bundle", of, word)
			}
		}
		var bundle struct{ Failures []struct{ Request string } }
		if err := json.Unmarshal([]byte(parts["bundle.json"]), &bundle); err != nil ||
			len(bundle.Failures) != 3 ||
			bundle.Failures[0].Request == "" {
			t.Errorf("%v %+v", err, bundle)
		}
		if _, errs, code := rollbook(t, dir, "support", "bundle", file, "--db", dsn); code != 1 ||
			!strings.Contains(errs,
				"is there already") {
			t.Errorf("%d %s", code, errs)
		}
	})
}

// packagedIn reads a package by resource.
func packagedIn(t *testing.T, path string) map[string][]oneroster.Record {
	t.Helper()
	p, err := bulk.Open(path, bulk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out := map[string][]oneroster.Record{}
	err = p.Records(t.Context(), func(row oneroster.Row) error {
		rec := oneroster.Record{Resource: row.Resource, Values: append([]string(nil), row.Values...)}
		out[rec.Resource.Name] = append(out[rec.Resource.Name], rec)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unzipped(t *testing.T, path string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(text)
	}
	return out
}

func refusedAs(t *testing.T, address, token string, status int) {
	t.Helper()
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != status {
		t.Errorf("%s: %d", address, answer.StatusCode)
	}
}
