package store_test

import (
	"testing"

	"rollbook/internal/store"
	"rollbook/internal/store/storetest"
)

// What Citus and CockroachDB lack is refused; storetest.Main holds every statement to it that
// the product sends to PostgreSQL in any test.
func TestSQLThatIsNotTakenElsewhere(t *testing.T) {
	for _, text := range []string{
		`SELECT pg_advisory_xact_lock($1)`, `SELECT pg_try_advisory_lock(1)`, "LISTEN changes",
		`NOTIFY changes`, `SELECT pg_notify('changes', $1)`, `LOCK TABLE "clock"`,
		"MERGE INTO \"users\" USING x ON 1 = 1\n WHEN MATCHED THEN DELETE",
		`CREATE TRIGGER t AFTER INSERT ON "links" EXECUTE FUNCTION f()`,
		`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `DO $$ BEGIN END $$`,
		`CREATE DOMAIN d AS text`, `CREATE TABLE "x" ("n" BIGSERIAL)`,
		`INSERT INTO "revs" VALUES (nextval('n'))`, `CREATE TABLE x (a int) PARTITION BY RANGE (a)`,
		`VACUUM "users"`, `TRUNCATE "users" RESTART IDENTITY`, `CREATE UNLOGGED TABLE x (a int)`,
		`ALTER TABLE x ADD UNIQUE (a) DEFERRABLE`, `CREATE INDEX i ON x USING gin (a, b)`,
		`CREATE TEMPORARY TABLE x (a int)`, `SET work_mem = '64MB'`, `SELECT 1 FROM "clock" FOR SHARE`,
		`INSERT INTO x VALUES (1) ON CONFLICT (lower("a")) DO NOTHING`, `SELECT ctid FROM "users"`,
		`SELECT txid_current()`, `SELECT "rows" / 2 FROM "publications"`, "-- why\n VACUUM",
		`SELECT 1 FROM "users" t ORDER BY t."familyName" COLLATE "C"`, `SELECT int4range(1, 2)`,
		`UPDATE "clock" SET "stamp" = clock_timestamp()`,
		`INSERT INTO "clients" ("id") VALUES (gen_random_uuid())`,
	} {
		if storetest.Elsewhere(text) == "" {
			t.Errorf("%s is taken", text)
		}
	}
	for _, text := range []string{
		`UPDATE "clock" SET "rev" = "rev" + 1 WHERE "id" = 1 RETURNING "rev", "stamp"`,
		`SELECT 'LOCK / VACUUM'`,
		`SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8`, `SELECT "temp / lock" FROM "trigger"`,
		`SELECT row_number() OVER (PARTITION BY t."class" ORDER BY t."seq") FROM "enrollments" t FOR UPDATE`,
		`CREATE TABLE "x" ("a" TEXT COLLATE "C" NOT NULL)`, `CREATE INDEX "i" ON "users" (lower("email"))`,
		`INSERT INTO "upkeep" ("name") VALUES ($1) ON CONFLICT ("name") DO NOTHING`, `ANALYZE "users"`,
		"begin isolation level repeatable read read only", `SET TRANSACTION READ ONLY`,
	} {
		if why := storetest.Elsewhere(text); why != "" {
			t.Errorf("%s: %s", text, why)
		}
	}
	s := storetest.Open(t, storetest.Postgres(t), store.Options{})
	if _, err := s.Import(t.Context(), bulk(rec("org", "sourcedId", "o", "name", "a", "type", "school")),
		store.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`UPDATE "clock"`, `INSERT INTO "orgs"`, "begin", "commit"} {
		if storetest.Sent(part) == 0 {
			t.Errorf("%s was not sent", part)
		}
	}
	if storetest.Sent("CREATE SCHEMA district_") > 0 {
		t.Error("the statements of tests are taken for the product's")
	}
}
