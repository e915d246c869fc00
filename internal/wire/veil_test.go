package wire

import (
	"errors"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
)

// What is said of people has other names, and the same form; what a mistake is known by stays.
func TestVeil(t *testing.T) {
	v := NewVeil("key")
	anna, smith, mail := v.Name("Anna"), v.Name("O'Brien"), v.Name("anna@x.org")
	day := v.value(fields()["birthDate"], "2011-04-01")
	users := oneroster.ByName("user")
	body := func(text string) string { return string(v.Body([]byte(text), users)) }
	said := func(text string) string { return v.Text(text, users) }
	for _, c := range []struct{ name, got, want string }{
		{"a name", strings.ToLower(anna), v.Name("anna")},
		{"a row", body(`{"user": {"sourcedId":"Anna", "givenName":"Anna","role":"aide","email":"anna@x.org"}}`),
			`{"user": {"sourcedId":"Anna", "givenName":"` + anna + `","role":"aide","email":"` + mail + `"}}`},
		{"rows that are cut off", body(`{"users":[{"givenName":"Anna`), `{"users":[{"givenName":"` + anna},
		{"a letter that is escaped", body(`{"users":[{"givenName":"Anna\nAnna\u0041nna \"x`),
			`{"users":[{"givenName":"` +
				anna + `\n` + v.Name("AnnaAnna") + ` \"` + v.Name("x")},
		{"an escape that is cut off", body(`{"users":[{"givenName":"Anna\u00`), `{"users":[{"givenName":"` + anna},
		{"an escape in a sentence", said(`givenName is "Anna\nAnna"`), `givenName is "` + anna + `\n` + anna + `"`},
		{"what is no attribute", body(`{"users":[{"nick":"Anna","n":12,"orgs":[{"href":"h","sourcedId":"a"}]}]}`),
			`{"users":[{"nick":"` + anna + `","n":` + v.Name("12") + `,"orgs":[{"href":"h","sourcedId":"a"}]}]}`},
		{"metadata", body(`{"metadata":{"a":{"b":["Anna"]}},"status":"active"}`),
			`{"metadata":{"a":{"b":["` + anna + `"]}},"status":"active"}`},
		{"ids of a user", body(`{"userIds":[{"type":"LDAP","identifier":"Anna"}]}`),
			`{"userIds":[{"type":"LDAP","identifier":"` + anna + `"}]}`},
		{"a wrong type", body(`{"givenName":["Anna"],"familyName":null,"enabledUser":true}`),
			`{"givenName":["` + anna + `"],"familyName":null,"enabledUser":true}`},
		{"an entity", body(`{"givenName":"Anna&#39;Anna"}`), `{"givenName":"` + anna + `&#39;` + anna + `"}`},
		{"demographics", string(v.Body([]byte(`{"birthDate":"2011-04-01","sex":"male","asian":"Y","white":"true"}`),
			oneroster.ByName("demographics"))),
			`{"birthDate":"` + day + `","sex":"male|female","asian":"Y","white":"true|false"}`},
		{"a day that is none", v.value(fields()["birthDate"], "2011-13-01")[4:], "-13-01"},
		{"an error", string(v.Body([]byte(`{"imsx_description":"no filter givenName='Anna' today"}`), nil)),
			`{"imsx_description":"no filter givenName='` + anna + `' today"}`},
		{"a page", string(v.Body([]byte(`<p>write to anna@x.org</p>`), nil)), `<p>write to ` + mail + `</p>`},
		{"a class", string(v.Body([]byte(`{"class":{"title":"Anna reads"}}`), oneroster.ByName("class"))),
			`{"class":{"title":"Anna reads"}}`},
		{"a request", said("GET http://h/users?filter=givenName%3D%27Anna%27%20AND%20status%3D%27x%27&limit=1"),
			"GET http://h/users?filter=givenName%3D%27" + anna + "%27%20AND%20status%3D%27x%27&limit=1"},
		{"a raw request", said("GET http://h/users?limit=1&filter=familyName='O'Brien'"),
			"GET http://h/users?limit=1&filter=familyName='" + smith + "'"},
		{"an address asked for", said("filter=email%3D%27anna%40x.org%27"),
			"filter=email%3D%27" + strings.Replace(mail, "@", "%40", 1) + "%27"},
		{"an open end", said("filter=givenName='Anna"), "filter=givenName='" + anna},
		{"what nobody is called", said("username='norecords' OR sex='male'"), "username='norecords' OR sex='male'"},
		{"a sentence", said(`row a came: givenName is "Anna", status is "active"`),
			`row a came: givenName is "` + anna + `", status is "active"`},
		{"an order", said(`sorted by givenName asc, "Anna" stands before "anna" (row Anna)`),
			`sorted by givenName asc, "` + anna + `" stands before "` + v.Name("anna") + `" (row Anna)`},
		{"what differs", said(`nick_name of a differs: the list has "Anna", the single object has nothing`),
			`nick_name of a differs: the list has "` + anna + `", the single object has nothing`},
		{"a number for a text", said(`phone is 5550100, not a string`),
			`phone is ` + v.Name("5550100") + `, not a string`},
		{"numbers behind it", said(`no "anna@x.org" (GET http://127.0.0.1:8080/teachers?limit=7000: 2 of 18 came)`),
			`no "` + mail + `" (GET http://127.0.0.1:8080/teachers?limit=7000: 2 of 18 came)`},
		{"what was asked for", v.Error(errors.New(`no "anna@x.org" but "eve@x.org"`), "anna@x.org").Error(),
			`no "anna@x.org" but "` + v.Name("eve@x.org") + `"`},
		{"what is missing", v.Member("familyName", "null", users), "null"},
		{"an answer in a sentence", said(`the body is no JSON: {"givenName":"Anna","role":"stu…`),
			`the body is no JSON: {"givenName":"` + anna + `","role":"stu…`},
		{"another writing", strings.Map(func(c rune) rune { return min(c, 0x600) }, v.Name("عمر")),
			strings.Repeat("\u0600", 3)},
		{"no veil", (*Veil)(nil).Text(`givenName is "Anna"`, users), `givenName is "Anna"`},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, not %s", c.name, c.got, c.want)
		}
	}
	if strings.EqualFold(anna, "anna") || len(anna) != 4 || NewVeil("other").Name("Anna") == anna {
		t.Errorf("Anna is %s", anna)
	}
	if _, pairs := v.Asked("GET /users?filter=givenName%3D%27Anna%20M%27"); len(pairs) != 2 ||
		pairs[0] != "Anna M" {
		t.Errorf("asked for %q", pairs)
	}
}
