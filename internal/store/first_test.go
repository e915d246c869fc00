package store_test

import (
	"database/sql"
	"testing"
	"time"

	"rollbook/internal/oneroster"
	"rollbook/internal/sandbox"
	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// The first import of many records leaves every index where it was, and PostgreSQL, which
// takes them another way, has what SQLite has.
func TestFirstImport(t *testing.T) {
	today := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	opt := store.Options{Now: func() time.Time { return today }}
	district := sandbox.New(sandbox.Options{Students: 300, Seed: 7, Today: today})
	dsn := storetest.SQLite(t)
	s := storetest.Open(t, dsn, opt)
	before := schemaOf(t, dsn)
	if _, err := s.Import(t.Context(), district, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, text := range schemaOf(t, dsn) {
		if before[name] != text {
			t.Errorf("%s is %q, and was %q", name, text, before[name])
		}
		delete(before, name)
	}
	for name := range before {
		t.Errorf("%s is missing", name)
	}
	want := everything(t, s)
	other := storetest.Open(t, storetest.Postgres(t), opt)
	if _, err := other.Import(t.Context(), district, store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	got := everything(t, other)
	for key, values := range want {
		if got[key] != values {
			t.Errorf("%s is %q, not %q", key, got[key], values)
		}
	}
	if len(got) != len(want) || len(want) < 2000 {
		t.Errorf("%d records and %d", len(got), len(want))
	}
}

// schemaOf is what a SQLite file is made of, by name.
func schemaOf(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT "name", COALESCE("sql", '') FROM sqlite_master
		WHERE "tbl_name" NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		out[name] = text
	}
	return out
}

// everything is all that a district has, by resource and sourcedId.
func everything(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := s.Snapshot(t.Context(), func(each func(*oneroster.Resource,
		func(oneroster.Record) error) error) error {
		for _, r := range oneroster.Resources() {
			if err := each(r, func(rec oneroster.Record) error {
				out[r.Name+" "+rec.ID()] = oneroster.Join(rec.Values...)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
