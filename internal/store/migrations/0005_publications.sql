-- What was brought to be published, and what became of it. rev is the change that
-- published it, 0 where nothing was changed. kept is 0 while the files of its package
-- come (or where it has none), 1 when all are there, 2 when they were pruned.
CREATE TABLE "publications" (
	"id" BIGINT PRIMARY KEY,
	"at" TEXT NOT NULL,
	"package" TEXT NOT NULL,
	"broughtBy" TEXT NOT NULL,
	"state" TEXT NOT NULL,
	"decided" TEXT NOT NULL,
	"decider" TEXT NOT NULL,
	"reason" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"rows" BIGINT NOT NULL,
	"added" BIGINT NOT NULL,
	"changed" BIGINT NOT NULL,
	"retired" BIGINT NOT NULL,
	"bytes" BIGINT NOT NULL,
	"kept" INTEGER NOT NULL
);
CREATE INDEX "publications_state" ON "publications" ("state", "id");
-- What was found of it: a JSON document, compressed.
CREATE TABLE "verdicts" (
	"publication" BIGINT PRIMARY KEY,
	"document" BLOB NOT NULL
);
-- The files of a package in the order in which they came. whole is 1 when the last
-- piece is there.
CREATE TABLE "packageFiles" (
	"publication" BIGINT NOT NULL,
	"file" INTEGER NOT NULL,
	"name" TEXT NOT NULL,
	"bytes" BIGINT NOT NULL,
	"whole" INTEGER NOT NULL,
	PRIMARY KEY ("publication", "file"),
	UNIQUE ("publication", "name")
);
-- Which pieces make up a file, by the SHA-256 of their plain bytes.
CREATE TABLE "filePieces" (
	"publication" BIGINT NOT NULL,
	"file" INTEGER NOT NULL,
	"piece" INTEGER NOT NULL,
	"hash" TEXT NOT NULL,
	PRIMARY KEY ("publication", "file", "piece")
);
CREATE INDEX "filePieces_hash" ON "filePieces" ("hash");
-- Each piece once, however many files have it. packed is 1 where the bytes are
-- compressed (flate).
CREATE TABLE "pieces" (
	"hash" TEXT PRIMARY KEY,
	"packed" INTEGER NOT NULL,
	"bytes" BLOB NOT NULL
);
