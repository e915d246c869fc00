package sds

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"rollbook/internal/quality"
)

// What becomes of people who are not found, by the names of School Data Sync
// (Classic): UnmatchedEntry and DuplicateTargetEntries.
var (
	unmatched = &quality.Rule{ID: "SDS-M01", Severity: quality.Warning, Resources: []string{"user"},
		Title: "a person has an account in the directory",
		Why:   "UnmatchedEntry: who is not found is not synced, and loses the memberships",
		Fix:   "make the account, or serve the address that it has"}
	ambiguous = &quality.Rule{ID: "SDS-M02", Severity: quality.Warning, Resources: []string{"user"},
		Title: "a person has only one account in the directory",
		Why:   "DuplicateTargetEntries: of two, none is taken", Fix: "match by what only one account has"}
)

// MatchRules are the rules of matching, for the documentation.
func MatchRules() []quality.Rule { return []quality.Rule{*unmatched, *ambiguous} }

// A Directory is who has an account.
type Directory struct {
	Accounts int
	by       map[string]map[string][]int // email and username: lower-cased, to the accounts that have it
}

// Columns of the exports of Entra and of the Microsoft 365 admin center, lower
// case, without spaces.
var (
	userColumns = []string{"userprincipalname", "upn"}
	mailColumns = []string{"mail", "email", "emailaddress", "primarysmtpaddress"}
)

// ReadDirectory reads a CSV file of users.
func ReadDirectory(path string) (*Directory, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	if mark, _ := in.Peek(2); string(mark) == "\xff\xfe" || string(mark) == "\xfe\xff" {
		return nil, fmt.Errorf("%s is UTF-16: save it as CSV UTF-8", path)
	}
	rows := csv.NewReader(in)
	rows.FieldsPerRecord, rows.LazyQuotes = -1, true
	head, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: no header: %w", path, err)
	}
	for mark, name := range map[string]string{";": "semicolons", "\t": "tabs"} {
		if len(head) == 1 && strings.Contains(head[0], mark) {
			return nil, fmt.Errorf("%s is separated by %s: save it with commas", path, name)
		}
	}
	user, mail := column(head, userColumns), column(head, mailColumns)
	if user < 0 {
		return nil, fmt.Errorf("%s has no column userPrincipalName (or User principal name, UPN): its "+
			"columns are %s", path, strings.Join(head, ", "))
	}
	d := &Directory{by: map[string]map[string][]int{"email": {}, "username": {}}}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		d.add(cell(row, user), cell(row, mail))
	}
}

func column(head, names []string) int {
	bare := strings.NewReplacer(" ", "", "_", "", "-", "")
	for _, name := range names {
		is := func(h string) bool { return strings.ToLower(bare.Replace(strings.TrimSpace(h))) == name }
		if i := slices.IndexFunc(head, is); i >= 0 {
			return i
		}
	}
	return -1
}

func cell(row []string, i int) string {
	if i < 0 || i >= len(row) {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(row[i]))
}

func (d *Directory) add(user, mail string) {
	if user == "" && mail == "" {
		return
	}
	n := d.Accounts
	d.Accounts++
	local, _, _ := strings.Cut(user, "@")
	for by, keys := range map[string][2]string{"email": {user, mail}, "username": {user, local}} {
		for _, key := range keys {
			if had := d.by[by][key]; key != "" && (len(had) == 0 || had[len(had)-1] != n) {
				d.by[by][key] = append(had, n)
			}
		}
	}
}

// find looks for the account of a person; the rule is nil when there is one.
func (d *Directory) find(by, value string) (*quality.Rule, string) {
	switch n := len(d.by[by][strings.ToLower(strings.TrimSpace(value))]); {
	case value == "":
		return unmatched, "there is no " + by + " to look for"
	case n == 0:
		return unmatched, fmt.Sprintf("no account in the directory has this %s", by)
	case n > 1:
		return ambiguous, fmt.Sprintf("%d accounts in the directory have this %s", n, by)
	}
	return nil, ""
}
