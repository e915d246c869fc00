package intake_test

import (
	"strings"
	"testing"

	"rollbook/internal/bulk"
	"rollbook/internal/intake"
	"rollbook/internal/oneroster"
)

// Files and columns that are missing are held, unless no record loses a value by it; and where one came
// that is probably meant, it is named.
func TestColumns(t *testing.T) {
	type files = map[string][]string
	split := func(text string) files { // "users email sms, orgs name"
		out := files{}
		for _, file := range strings.Split(text, ", ") {
			words := strings.Fields(file)
			out[words[0]+".csv"] = words[1:]
		}
		return out
	}
	const lost = "users.csv has no column email, and had one last time"
	loses := func(field string) func(district) {
		return func(d district) { d.some("user", 1, is("sourcedId", "id-007"))[0].Set(field, "") }
	}
	tags := func(value string) func(district) {
		return func(d district) { d.some("user", 1, is("sourcedId", "id-007"))[0].Set("metadata", value) }
	}
	phone := func(d district) { d.some("user", 1, is("sourcedId", "id-007"))[0].Set("phone", "7") }
	gets := func(d district) { d.set("user", "middleName", "X") }
	for _, c := range []struct {
		name              string
		last, now, unread string
		do                func(district)
		want              string
	}{
		{"all are there", "users email", "users email", "", loses("email"), ""},
		{"one more", "users email", "users email sms, orgs name", "", loses("email"), ""},
		{"nobody loses a value", "users email", "users", "", gets, ""},
		{"somebody loses one", "users email", "users", "", loses("email"), lost},
		{"somebody loses another", "users email", "users", "", loses("username"), ""},
		{"somebody gets one", "users phone", "users", "", phone, ""},
		{"nothing of it is served", "users status dateLastModified password", "users", "", loses("email"), ""},
		{"one that the standard has not", "users hobby", "users", "", gets,
			"users.csv has no column hobby, and had one last time"},
		{"of a file that the standard has not", "roles email", "roles", "", gets,
			"roles.csv has no column email, and had one last time"},
		{"metadata that nobody had", "users metadata.bus", "users", "", loses("email"), ""},
		{"metadata that are less", "users metadata.bus", "users", "", tags(`{"a":"1"}`),
			"users.csv has no column metadata.bus, and had one last time"},
		{"metadata that are gone", "users metadata.bus", "users", "", tags(""),
			"users.csv has no column metadata.bus, and had one last time"},
		{"a synonym", "users email", "users mail", "", loses("email"), lost + ": it is probably mail now"},
		{"a synonym that is not read", "users email", "users", "users E-Mail", loses("email"),
			lost + ": it is probably E-Mail now"},
		{"no synonym", "users email", "users gender", "", loses("email"), lost},
		{"a synonym was there before", "users email mail", "users mail", "", loses("email"), lost},
		{"two letters differ", "users email", "users emaill1", "", loses("email"),
			lost + ": it is probably emaill1 now"},
		{"three letters differ", "users email", "users emailx12", "", loses("email"), lost},
		{"the nearest, before", "users email", "users email1 email12", "", loses("email"),
			lost + ": it is probably email1 now"},
		{"the nearest, after", "users email", "users email12 email1", "", loses("email"),
			lost + ": it is probably email1 now"},
		{"the first of two", "users email", "users email1 email2", "", loses("email"),
			lost + ": it is probably email1 now"},
		{"a synonym before what is near", "users email", "users email1 mail", "", loses("email"),
			lost + ": it is probably mail now"},
		{"a third of a long name", "users metadata.buses", "users metaxyza.buses", "", tags(""),
			"users.csv has no column metadata.buses, and had one last time: it is probably metaxyza.buses now"},
		{"more than a third of a long name", "users metadata.buses", "users metxyzaw.buses", "", tags(""),
			"users.csv has no column metadata.buses, and had one last time"},
		{"a letter of a short name", "users sex", "users six", "", gets,
			"users.csv has no column sex, and had one last time: it is probably six now"},
		{"two letters of a short name", "users sex", "users sir", "", gets,
			"users.csv has no column sex, and had one last time"},
		{"two letters of one that is hardly longer", "users roll", "users rock", "", gets,
			"users.csv has no column roll, and had one last time: it is probably rock now"},
		{"a file", "users email, demographics sex", "users email", "", gets,
			"the package has no demographics.csv, and had one last time"},
		{"a file of another name", "users email, demographics sex", "users email, demographic sex", "", gets,
			"the package has no demographics.csv, and had one last time: it is probably demographic.csv now"},
		{"a file, and another one", "users email, demographics sex", "users email, courses title", "", gets,
			"the package has no demographics.csv, and had one last time"},
		{"a file and a column", "users email, demographics sex", "users", "", loses("email"),
			"the package has no demographics.csv, and had one last time\n" + lost},
	} {
		before := made("user", 30)
		before.set("user", "metadata", `{"bus":"1"}`)
		after := before.clone()
		c.do(after)
		x := intake.Context{Files: intake.Files{Last: split(c.last), Now: split(c.now), Distance: bulk.Distance}}
		if c.unread != "" {
			x.Files.Unread = split(c.unread)
		}
		v := judged(t, newNight(before, after), intake.Limits{}, x)
		if got := said(v, "columns"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		for _, o := range v.Objections {
			if file := o.Text[:strings.Index(o.Text, ".csv")]; o.Guard == "columns" &&
				o.Resource != file[strings.LastIndex(file, " ")+1:] {
				t.Errorf("%s: %+v", c.name, o)
			}
		}
		off := judged(t, newNight(before, after), intake.Limits{"guard-columns": 0}, x)
		x.Files.Last = nil
		if unknown := judge(t, newNight(before, after), x); said(off, "columns") != "" ||
			said(unknown, "columns") != "" {
			t.Errorf("%s: switched off %+v, without a last one %+v", c.name, off.Objections, unknown.Objections)
		}
	}
}

// Packages of two formats are told as such, and their columns are not compared.
func TestColumnsOfTwoFormats(t *testing.T) {
	before := made("user", 30)
	after := before.clone()
	after.some("user", 1, is("sourcedId", "id-007"))[0].Set("email", "")
	const email = "users.csv has no column email, and had one last time"
	for _, c := range []struct{ last, now, want string }{
		{"A", "A", email}, {"", "", email}, {"A", "", email}, {"", "B", email},
		{"A", "B", "the package is B, and the last one was A: its files and columns cannot be compared"},
	} {
		x := intake.Context{Files: intake.Files{Last: map[string][]string{"users.csv": {"email", "e-mail"}},
			Now: map[string][]string{"users.csv": {"e-mail"}}, LastFormat: c.last, Format: c.now}}
		if got := said(judge(t, newNight(before, after), x), "columns"); got != c.want {
			t.Errorf("%q after %q: %q, want %q", c.now, c.last, got, c.want)
		}
	}
}

// Without a measure of how far names are apart only those that say the same are known.
func TestColumnsWithoutDistance(t *testing.T) {
	before := made("user", 30)
	after := before.clone()
	after.edit("user", func(rec oneroster.Record) { rec.Set("email", "") })
	for now, want := range map[string]string{"E_Mail": ": it is probably E_Mail now",
		"emailAddress": ": it is probably emailAddress now", "emai1": "", "email2": ""} {
		x := intake.Context{Files: intake.Files{Last: map[string][]string{"users.csv": {"email"}},
			Now: map[string][]string{"users.csv": {now}}}}
		if got := said(judge(t, newNight(before, after), x), "columns"); got != "users.csv has no column email, "+
			"and had one last time"+want {
			t.Errorf("%s: %q", now, got)
		}
	}
}
