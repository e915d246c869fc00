package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v4"
)

const chartFolder = "../../deploy/helm/rollbook"

// object is a document of Kubernetes.
type object map[string]any

// at is what lies in a document at a path such as spec.template.0.name.
func (o object) at(path string) any {
	var v any = map[string]any(o)
	for _, step := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			var n int
			if _, err := fmt.Sscan(step, &n); err != nil || n >= len(in) {
				return nil
			}
			v = in[n]
		default:
			return nil
		}
	}
	return v
}

// render is what helm does with the chart: its templates use little of Helm's own.
func render(t *testing.T, values map[string]any) (map[string]object, error) {
	t.Helper()
	top := template.New("")
	fill := func(name string, with any) (string, error) {
		var b bytes.Buffer
		err := top.ExecuteTemplate(&b, name, with)
		return b.String(), err
	}
	top.Option("missingkey=error").Funcs(template.FuncMap{
		"include": fill,
		"nindent": func(n int, text string) string {
			gap := "\n" + strings.Repeat(" ", n)
			return gap + strings.ReplaceAll(text, "\n", gap)
		},
		"toYaml": func(v any) (string, error) {
			text, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(text), "\n"), err
		},
		"quote": func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"default": func(other, v any) any {
			if v == nil || v == "" {
				return other
			}
			return v
		},
		"add": func(a, b int) int { return a + b },
		"required": func(why string, v any) (any, error) {
			if v == nil || v == "" {
				return nil, fmt.Errorf("%s", why)
			}
			return v, nil
		},
	})
	var chart map[string]any
	readYAML(t, filepath.Join(chartFolder, "Chart.yaml"), &chart)
	with := map[string]any{"Values": values, "Chart": map[string]any{"AppVersion": chart["appVersion"]},
		"Release": map[string]any{"Name": "roster", "Service": "Helm"}}
	files, err := filepath.Glob(filepath.Join(chartFolder, "templates", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := top.ParseFiles(files...); err != nil {
		t.Fatal(err)
	}
	objects := map[string]object{}
	for _, f := range files {
		text, err := fill(filepath.Base(f), with)
		if err != nil {
			return nil, err
		}
		if filepath.Ext(f) != ".yaml" || strings.TrimSpace(text) == "" {
			continue
		}
		var o map[string]any
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatalf("%s: %v\n%s", f, err, text)
		}
		objects[fmt.Sprint(o["kind"])] = o
	}
	return objects, nil
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The chart makes pods that may do nothing but serve, that Kubernetes finds, asks whether
// they are well, and lets end in peace; and it is told when it lacks what only people know.
func TestChart(t *testing.T) {
	t.Parallel()
	var values map[string]any
	readYAML(t, filepath.Join(chartFolder, "values.yaml"), &values)
	for _, want := range []string{"url: where", "secret.name: which", "ingress.host: the host"} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		switch want[0] {
		case 'u':
			values["url"] = "https://roster.example.org"
		case 's':
			values["secret"].(map[string]any)["name"] = "roster"
			values["ingress"].(map[string]any)["enabled"] = true
		}
	}
	values["ingress"].(map[string]any)["host"] = "roster.example.org"
	values["extraArgs"] = []any{"--read-db=postgres://standby/districts"}
	values["drainSeconds"] = 20
	objects, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	pods := objects["Deployment"]
	container := "spec.template.spec.containers.0."
	for path, want := range map[string]any{
		"spec.template.spec.securityContext.runAsNonRoot":      true,
		"spec.template.spec.automountServiceAccountToken":      false,
		"spec.template.spec.terminationGracePeriodSeconds":     95,
		container + "securityContext.readOnlyRootFilesystem":   true,
		container + "securityContext.allowPrivilegeEscalation": false,
		container + "securityContext.capabilities.drop.0":      "ALL",
		container + "livenessProbe.httpGet.path":               "/healthz",
		container + "readinessProbe.httpGet.path":              "/readyz",
		container + "env.0.name":                               "ROLLBOOK_DB",
		container + "env.0.valueFrom.secretKeyRef.name":        "roster",
		container + "image":                                    "rollbook:0.0.0",
		"spec.strategy.rollingUpdate.maxUnavailable":           0,
	} {
		if got := pods.at(path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	labels := pods.at("spec.template.metadata.labels")
	for _, selector := range []any{pods.at("spec.selector.matchLabels"),
		objects["Service"].at("spec.selector"),
		objects["PodDisruptionBudget"].at("spec.selector.matchLabels")} {
		if labels == nil || !reflect.DeepEqual(selector, labels) {
			t.Errorf("%v does not find %v", selector, labels)
		}
	}
	got := objects["Ingress"].at("spec.rules.0.http.paths.0.backend.service.name")
	if got != objects["Service"].at("metadata.name") {
		t.Errorf("the ingress leads to %v", got)
	}
	// The program takes its arguments and variables.
	var args []string
	for _, a := range pods.at(container + "args").([]any) {
		args = append(args, fmt.Sprint(a))
	}
	serve, rest, err := command().Find(args)
	if err == nil {
		err = serve.ParseFlags(rest)
	}
	if err != nil || serve.Name() != "serve" || serve.Flag("drain").Value.String() != "20s" {
		t.Errorf("%v: %v", args, err)
	}
	for _, v := range pods.at(container + "env").([]any) {
		if name := object(v.(map[string]any))["name"].(string); strings.HasPrefix(name, "ROLLBOOK_") {
			isVariable(t, name)
		}
	}
}

// Every setting of the packages' file is one of serve's.
func TestSettingsOfThePackage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/rollbook.env")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(string(text), "\n") {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "#"), "="); ok && strings.HasPrefix(name,
			"ROLLBOOK_") {
			isVariable(t, name)
			n++
		}
	}
	if n < 4 {
		t.Errorf("%d settings", n)
	}
}

func isVariable(t *testing.T, name string) {
	t.Helper()
	serve, _, err := command().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	flag := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "ROLLBOOK_")), "_", "-")
	if serve.Flag(flag) == nil && serve.InheritedFlags().Lookup(flag) == nil {
		t.Errorf("%s sets no flag of serve", name)
	}
}
