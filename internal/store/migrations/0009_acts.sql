-- What administrators and the service itself have done to the district. Rows are added, and
-- nothing else: each has a hash of what it says and of the hash before it.
CREATE TABLE "acts" (
	"id" BIGINT PRIMARY KEY,
	"at" TEXT NOT NULL,
	"who" TEXT NOT NULL,
	"what" TEXT NOT NULL,
	"of" TEXT NOT NULL,
	"before" TEXT NOT NULL,
	"after" TEXT NOT NULL,
	"hash" TEXT NOT NULL
);
-- The last of them; who adds one locks this row.
CREATE TABLE "lastAct" (
	"id" INTEGER PRIMARY KEY,
	"act" BIGINT NOT NULL,
	"hash" TEXT NOT NULL
);
INSERT INTO "lastAct" ("id", "act", "hash") VALUES (1, 0, '');
