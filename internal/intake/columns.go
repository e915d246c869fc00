package intake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"rollbook/internal/oneroster"
)

// synonyms are names that exports have for columns of the standard, without what
// is no letter.
var synonyms = [][]string{
	{"email", "mail", "emailaddress", "mailaddress", "primaryemail", "useremail"},
	{"givenname", "firstname", "forename"},
	{"familyname", "lastname", "surname"}, {"middlename", "middleinitial"}, {"username", "login", "loginid"},
	{"grades", "grade", "gradelevel"}, {"orgsourcedids", "orgsourcedid", "schoolsourcedids", "schoolid"},
	{"birthdate", "dateofbirth", "dob"}, {"sex", "gender"}, {"phone", "phonenumber", "telephone"},
	{"sms", "mobile", "cellphone"}, {"begindate", "startdate"}, {"identifier", "studentnumber", "localid"},
	{"agentsourcedids", "guardians", "parents"}, {"sourcedid", "id", "sisid"}, {"primary", "isprimary"},
}

// letters is a name as it is compared: small letters and digits.
func letters(name string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return -1
		}
		return unicode.ToLower(c)
	}, name)
}

// guardColumns holds files and columns that are missing and were there last time, unless
// no record loses a value by it.
func (j *judgement) guardColumns() {
	if j.limits.of("guard-columns") == 0 || j.Files.Last == nil {
		return
	}
	f := &j.Files
	if f.Format != f.LastFormat && f.Format != "" && f.LastFormat != "" {
		j.object(Objection{Guard: "columns", Text: fmt.Sprintf("the package is %s, and the last one was %s: "+
			"its files and columns cannot be compared", f.Format, f.LastFormat)})
		return
	}
	for _, file := range missing(slices.Sorted(maps.Keys(f.Last)), slices.Sorted(maps.Keys(f.Now))) {
		new := missing(slices.Sorted(maps.Keys(f.Now)), slices.Sorted(maps.Keys(f.Last)))
		j.object(Objection{Guard: "columns", Resource: strings.TrimSuffix(file, ".csv"),
			Text: "the package has no " + file + ", and had one last time" + f.meant(file, new)})
	}
	for _, file := range slices.Sorted(maps.Keys(f.Last)) {
		now, is := f.Now[file]
		if !is {
			continue
		}
		new := append(missing(now, f.Last[file]), f.Unread[file]...)
		for _, col := range missing(f.Last[file], now) {
			if j.harmless(file, col) {
				continue
			}
			j.object(Objection{Guard: "columns", Resource: strings.TrimSuffix(file, ".csv"),
				Text: fmt.Sprintf("%s has no column %s, and had one last time%s", file, col,
					f.meant(col, new))})
		}
	}
}

// harmless tells of a column of the standard that is missing and takes no record's value.
func (j *judgement) harmless(file, column string) bool {
	if column == "status" || column == "dateLastModified" || column == "password" {
		return true // nothing of them is served
	}
	r := oneroster.ByName(strings.TrimSuffix(file, ".csv"))
	if r == nil {
		return false
	}
	i := slices.IndexFunc(r.Fields, func(f oneroster.Field) bool { return f.Column() == column })
	if strings.HasPrefix(column, "metadata.") {
		i = r.MetadataIndex()
	}
	if i < 0 || column == "" {
		return false
	}
	for k, counts := range j.fields {
		if k.of == r && (counts.went[i] > 0 || i == r.MetadataIndex() && counts.changed[i] > 0) {
			return false
		}
	}
	return true
}

// missing are the names of a list that another lacks.
func missing(of, in []string) (out []string) {
	for _, name := range of {
		if !slices.Contains(in, name) {
			out = append(out, name)
		}
	}
	return out
}

// meant names the new one that is probably the one that is missing; "" when none is
// likely.
func (f *Files) meant(name string, new []string) string {
	own := letters(name)
	best, least := "", 2 // letters that differ
	if len(own) > 3 {
		least = max(3, len(own)/3)
	}
	for _, other := range new {
		far, theirs := least, letters(other)
		same := slices.ContainsFunc(synonyms,
			func(s []string) bool { return slices.Contains(s, own) && slices.Contains(s, theirs) })
		if own == theirs || same {
			far = 0
		} else if f.Distance != nil {
			far = f.Distance(own, theirs)
		}
		if far < least {
			best, least = other, far
		}
	}
	if best == "" {
		return ""
	}
	return ": it is probably " + best + " now"
}
