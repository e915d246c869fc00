-- What records were before a change: pieces of some hundred records of one resource,
-- compressed; records holds, for each, the rev that it had and its values. A record
-- that a change added has nothing before it.
CREATE TABLE "journal" (
	"rev" BIGINT NOT NULL,
	"piece" INTEGER NOT NULL,
	"resource" TEXT NOT NULL,
	"records" BLOB NOT NULL,
	PRIMARY KEY ("rev", "piece")
);
CREATE INDEX "journal_resource" ON "journal" ("resource", "rev");
-- Who made a change, and when. The first row is where the journal begins.
CREATE TABLE "causes" (
	"rev" BIGINT PRIMARY KEY,
	"stamp" TEXT NOT NULL,
	"cause" TEXT NOT NULL
);
INSERT INTO "causes" ("rev", "stamp", "cause") SELECT "rev", "stamp", '' FROM "clock" WHERE "id" = 1;
-- What a district is set to, where it differs from the default.
CREATE TABLE "settings" (
	"name" TEXT PRIMARY KEY,
	"value" TEXT NOT NULL
);
