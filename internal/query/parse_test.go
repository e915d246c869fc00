package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollbook/internal/oneroster"
	"rollbook/internal/query"
)

// asked prints what a query asks for, but for the filter.
func asked(q query.Query, err error) string {
	var bad *query.Error
	if errors.As(err, &bad) {
		return "error " + string(bad.Minor)
	}
	out := fmt.Sprintf("%d from %d", q.Limit, q.Offset)
	if q.Sort != nil {
		out += map[bool]string{true: " down ", false: " up "}[q.Desc] + q.Sort.Name
	}
	if q.Fields != nil {
		out += " of " + strings.Join(q.Fields, ",")
	}
	for _, w := range q.Warnings {
		out += " ! " + string(w.Minor)
	}
	return out
}

// Everything but the filter, as docs/filter.md has it.
func TestPagingSortAndFields(t *testing.T) {
	for _, c := range []struct{ resource, raw, want string }{
		{"user", "", "100 from 0"},
		{"user", "limit=1&offset=1", "1 from 1"},
		{"user", "limit=50000", "50000 from 0"},
		{"user", "limit=50001", "50000 from 0"},
		{"user", "limit=" + strings.Repeat("9", 40), "50000 from 0"},
		{"user", "limit=0", "100 from 0"},
		{"user", "limit=-1", "100 from 0"},
		{"user", "limit=", "100 from 0"},
		{"user", "limit=many", "100 from 0"},
		{"user", "limit= 7 ", "7 from 0"},
		{"user", "limit=7?x", "7 from 0"},
		{"user", "limit=7%26x", "7 from 0"},
		{"user", "limit=7;offset=3", "error invalid data"},
		{"user", "limit=7.0", "error invalid data"},
		{"user", "limit=7e1", "error invalid data"},
		{"user", "limit=1,000", "error invalid data"},
		{"user", "limit=0x7", "error invalid data"},
		{"user", "offset=-3", "100 from 0"},
		{"user", "offset=3x", "error invalid data"},
		{"user", "offset=" + strings.Repeat("9", 40), fmt.Sprint("100 from ", 1<<40)},
		{"user", "limit%20=7", "7 from 0"},
		{"user", "limit=7&limit=7", "7 from 0"},
		{"user", "limit=7&limit=8", "error invalid data"},
		{"user", "Limit=7", "error invalid data"},
		{"user", "$offset=7", "error invalid data"},
		{"user", "sort[]=role", "error invalid data"},
		{"user", "orderby=desc", "error invalid data"},
		{"user", "limits=7", "100 from 0"},
		{"user", "sort=familyName", "100 from 0 up familyName"},
		{"user", "sort=familyName&orderBy=asc", "100 from 0 up familyName"},
		{"user", "sort=familyName&orderBy=DESC", "100 from 0 down familyName"},
		{"user", "sort=familyName&orderBy=", "100 from 0 up familyName"},
		{"user", "sort=familyName&orderBy=descending", "100 from 0 up familyName ! invalid_sort_field"},
		{"user", "orderBy=desc", "100 from 0"},
		{"user", "sort=", "100 from 0"},
		{"user", "sort=nosuch", "100 from 0 ! invalid_sort_field"},
		{"user", "sort=FamilyName", "100 from 0 ! invalid_sort_field"},
		{"user", "sort=familyName,role&orderBy=desc", "100 from 0 down familyName ! invalid_sort_field"},
		{"user", "sort=metadata.x", "100 from 0 ! invalid_sort_field"},
		{"user", "sort=orgs.type", "100 from 0 ! invalid_sort_field"},
		{"user", "sort=userIds.type", "100 from 0 up userIds"},
		{"enrollment", "sort=classSourcedId", "100 from 0 up class"},
		{"enrollment", "sort=class.sourcedId", "100 from 0 up class"},
		{"user", "fields=role", "100 from 0 of role"},
		{"user", "fields=role, sourcedId ,", "100 from 0 of sourcedId,role"},
		{"user", "fields=metadata.x", "100 from 0 of metadata"},
		{"user", "fields=nosuch", "100 from 0 ! invalid_selection_field"},
		{"user", "fields=role,nosuch", "100 from 0 ! invalid_selection_field"},
		{"user", "fields=role,Role", "100 from 0 ! invalid_selection_field"},
		{"user", "fields=", "error invalid_blank_selection_field"},
		{"user", "fields=%20,", "error invalid_blank_selection_field"},
	} {
		if got := asked(query.Parse(oneroster.ByName(c.resource), c.raw)); got != c.want {
			t.Errorf("%s?%s\n got %s\nwant %s", c.resource, c.raw, got, c.want)
		}
	}
}

// Of one object only fields has a meaning.
func TestFieldsOfOneObject(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"", "1 from 0"},
		{"fields=role&filter=status&limit=x&offset=4&sort=role", "1 from 0 of role"},
		{"fields=role,nosuch", "1 from 0 ! invalid_selection_field"},
		{"fields=", "error invalid_blank_selection_field"},
		{"Fields=role", "error invalid data"},
	} {
		if got := asked(query.ParseFields(oneroster.ByName("user"), c.raw)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.raw, got, c.want)
		}
	}
}

// Pages cut a sorted list into pieces: together they are the whole, each record
// once, and records that tie stay in their default order, up and down.
func TestPagesOfASortedList(t *testing.T) {
	result := oneroster.ByName("result")
	var recs []oneroster.Record
	// More than are sorted by insertion.
	for i, score := range []string{"10", "9", "", "9", "-1", "10", "9", "", "9", "9", "10", "9", "9", "9"} {
		rec := oneroster.NewRecord(result)
		rec.Values[oneroster.SourcedID] = string(rune('a' + i))
		rec.Set("score", score)
		recs = append(recs, rec)
	}
	for _, c := range []struct{ raw, want string }{
		{"", "abcdefghijklmn"},
		{"sort=score", "chebdgijlmnafk"},
		{"sort=score&orderBy=desc", "afkbdgijlmnech"},
		{"sort=sourcedId&orderBy=desc", "nmlkjihgfedcba"},
		{"sort=score&filter=score>'5'", "bdgijlmnafk"},
	} {
		for limit := 1; limit <= 9; limit++ {
			got := ""
			for offset := 0; offset < 20; offset += limit {
				q, err := query.Parse(result, fmt.Sprintf("%s&limit=%d&offset=%d", c.raw, limit, offset))
				if err != nil {
					t.Fatal(err)
				}
				page, total := query.Select(q, recs)
				if total != len(c.want) || len(page) != max(0, min(limit, total-offset)) {
					t.Errorf("%s: %d of %d from %d", c.raw, len(page), total, offset)
				}
				for _, rec := range page {
					got += rec.ID()
				}
			}
			if got != c.want {
				t.Errorf("%s by %d: %s, want %s", c.raw, limit, got, c.want)
			}
		}
	}
}
