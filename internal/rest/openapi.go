package rest

import (
	"encoding/json"
	"fmt"
	"strings"

	"rollbook/internal/oneroster"
)

type object = map[string]any

// OpenAPI describes a face as OpenAPI 3.0, from its tables.
func OpenAPI(f *oneroster.Face) []byte { return openAPI(f, "") }

func openAPI(f *oneroster.Face, prefix string) []byte {
	paths := object{}
	for i := range f.Routes {
		r := &f.Routes[i]
		item, ok := paths[r.Path].(object)
		if !ok {
			item = object{}
			paths[r.Path] = item
		}
		item[strings.ToLower(r.Method)] = operation(f, r)
	}
	scopes := object{}
	for _, s := range oneroster.Scopes() {
		scopes[f.ScopePrefix+s] = s
	}
	schemas := object{
		"statusInfoSet": object{"type": "object", "required": []string{"statusInfoSet"}, "properties": object{
			"statusInfoSet": object{"type": "array", "items": ref("statusInfo")}}},
		"statusInfo": object{"type": "object", "properties": object{
			"imsx_codeMajor": text(), "imsx_severity": text(), "imsx_messageRefIdentifier": text(),
			"imsx_operationRefIdentifier": text(), "imsx_description": text(), "imsx_codeMinor": text()}},
		"GUIDRef": object{"type": "object", "required": []string{"href", "sourcedId", "type"},
			"properties": object{
				"href": object{"type": "string", "format": "uri"}, "sourcedId": text(), "type": text()}},
		"userId": object{"type": "object", "properties": object{"type": text(), "identifier": text()}},
	}
	for _, r := range oneroster.Resources() {
		schemas[r.Name] = schema(r)
	}
	doc := object{
		"openapi": "3.0.3",
		"info": object{"title": "OneRoster 1.1", "version": "1.1",
			"description": "Rollbook's OneRoster 1.1 service: every operation of tables 3.1a, 3.1b and " +
				"3.1c, and three that Microsoft's and Google's clients call."},
		"servers": []object{{"url": prefix + f.Base}},
		"paths":   paths,
		"components": object{"schemas": schemas, "securitySchemes": object{"oauth2": object{"type": "oauth2",
			"flows": object{"clientCredentials": object{"tokenUrl": prefix + "/token", "scopes": scopes}}}}},
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(out, '\n')
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }
func text() object           { return object{"type": "string"} }

func operation(f *oneroster.Face, r *oneroster.Route) object {
	var params []object
	for _, s := range r.Segments {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			params = append(params, object{"name": strings.TrimSuffix(name, "}"), "in": "path",
				"required": true, "schema": text(), "description": "a sourcedId"})
		}
	}
	query := func(name, typ, about string) {
		params = append(params, object{"name": name, "in": "query", "schema": object{"type": typ},
			"description": about})
	}
	if r.Method == "GET" && !r.One {
		query("limit", "integer", "how many objects, 100 when left out")
		query("offset", "integer", "how many to pass over")
		query("sort", "string", "a field")
		query("orderBy", "string", "asc or desc")
		query("filter", "string", "field predicate 'value', joined by AND and OR; predicates = != "+
			"> >= < <= ~")
	}
	if r.Method == "GET" {
		query("fields", "string", "the fields to return, separated by commas")
	}
	var security []object
	for _, s := range r.OAuth {
		security = append(security, object{"oauth2": []string{f.ScopePrefix + s}})
	}
	op := object{"operationId": r.Op, "summary": Selects(r), "parameters": params, "security": security,
		"responses": responses(r)}
	if r.Method == "PUT" {
		op["requestBody"] = object{"required": true, "content": wrapped(r.Resource.Wrapper(),
			object{"type": "object"})}
	}
	return op
}

func wrapped(key string, inner object) object {
	return object{"application/json": object{"schema": object{"type": "object", "required": []string{key},
		"properties": object{key: inner}}}}
}

func responses(r *oneroster.Route) object {
	one := object{"description": "the object", "content": wrapped(r.Resource.Wrapper(), ref(r.Resource.Name))}
	out := object{"default": object{"description": "a failure",
		"content": object{"application/json": object{"schema": ref("statusInfoSet")}}}}
	switch {
	case r.Method == "DELETE":
		out["204"] = object{"description": "deleted"}
	case r.Method == "PUT":
		out["200"], out["201"] = one, one
	case r.One:
		out["200"] = one
	default:
		out["200"] = object{"description": "a page", "headers": object{
			"X-Total-Count": object{"schema": object{"type": "integer"},
				"description": "objects on all pages"},
			"Link": object{"schema": text(), "description": "next, last, first, prev"},
		}, "content": wrapped(r.Resource.Plural, object{"type": "array", "items": ref(r.Resource.Name)})}
	}
	return out
}

func schema(r *oneroster.Resource) object {
	props := object{}
	var required []string
	for i := range r.Fields {
		f := &r.Fields[i]
		props[f.Name] = property(f)
		if f.Required || i <= oneroster.Modified || f.Kind.IsList() {
			required = append(required, f.Name)
		}
	}
	return object{"type": "object", "required": required, "properties": props, "additionalProperties": false}
}

func property(f *oneroster.Field) object {
	items := func(inner object) object { return object{"type": "array", "items": inner} }
	switch f.Kind {
	case oneroster.Enum:
		return object{"type": "string", "enum": f.Enum}
	case oneroster.Bool:
		return object{"type": "string", "enum": []string{"true", "false"}}
	case oneroster.Number:
		return object{"type": "number"}
	case oneroster.Date:
		return object{"type": "string", "format": "date"}
	case oneroster.Time:
		return object{"type": "string", "format": "date-time"}
	case oneroster.Strings:
		return items(text())
	case oneroster.UserIDs:
		return items(ref("userId"))
	case oneroster.Ref:
		return ref("GUIDRef")
	case oneroster.Refs:
		return items(ref("GUIDRef"))
	case oneroster.Metadata:
		return object{"type": "object", "additionalProperties": true}
	}
	return text()
}

// Selects says in words what a route reads or writes.
func Selects(r *oneroster.Route) string {
	what := r.Resource.Plural
	if r.View.Field != "" {
		what += " whose " + r.View.Field + " is " + r.View.Value
	}
	switch {
	case r.Method == "PUT":
		return "create or replace one " + r.Resource.Name
	case r.Method == "DELETE":
		return "delete one " + r.Resource.Name
	case r.One:
		return "one of the " + what
	case !r.Nested():
		return "all " + what
	}
	var conds []string
	for _, m := range r.Scope.By {
		conds = append(conds, m.Field+" is {"+m.Var+"}")
	}
	if th := r.Scope.Through; th != nil {
		var inner []string
		for _, m := range th.Match {
			if m.Var != "" {
				inner = append(inner, m.Field+" is {"+m.Var+"}")
			} else {
				inner = append(inner, m.Field+" is "+m.Value)
			}
		}
		conds = append(conds, fmt.Sprintf("%s is the %s of an active %s whose %s", th.Own, th.Link,
			th.Resource, strings.Join(inner, " and ")))
	}
	return what + ", " + strings.Join(conds, ", ")
}

// Endpoints is the route table as a page for people.
func Endpoints(f *oneroster.Face) []byte {
	var b strings.Builder
	b.WriteString("# Endpoints\n\nBase path `" + f.Base +
		"`. Made from the route table; a test keeps it so.\n\n")
	b.WriteString("| Table | Operation | Method | Path | Wrapper | Scopes | Selects " +
		"|\n|---|---|---|---|---|---|---|\n")
	for i := range f.Routes {
		r := &f.Routes[i]
		table, wrapper := r.Table, r.Resource.Plural
		if table == "" {
			table = "extension"
		}
		if r.One {
			wrapper = r.Resource.Wrapper()
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", table, r.Op, r.Method, r.Path, wrapper,
			strings.Join(r.OAuth, " or "), Selects(r))
	}
	b.WriteString(`
# Without a token

| Path | Answers |
|---|---|
| POST /token, /oauth/token, /oauth2/token, /oauth/access_token; the same below the base path | an access token |
| GET /openapi.json | the description |
| GET /healthz, /readyz | the health: docs/operate.md |
| GET /.well-known/jwks.json | the public half of the key that signs tokens |
| GET, POST /handover/… | a secret, once: docs/operate.md |
| GET / and the base path, where a browser asks for text/html | a page that says what this is |

Paths are read in any letter case, with doubled slashes and one at the end, and the base path also without its version
(/ims/oneroster/users). There is nothing else: /ims and /ims/token are answered with 404.
`)
	return []byte(b.String())
}
