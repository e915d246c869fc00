-- What clients have read. Numbers of pulls are given from here, and who writes one has this
-- row: a pull whose pages several processes answered is put together one after the other.
CREATE TABLE "ledger" (
	"id" INTEGER PRIMARY KEY,
	"pulls" BIGINT NOT NULL
);
INSERT INTO "ledger" ("id", "pulls") VALUES (1, 0);
-- One walk of one client through one list with one question. hash is of the question whole,
-- question may be cut; read are the rows that were sent, as ranges.
CREATE TABLE "pulls" (
	"id" BIGINT PRIMARY KEY,
	"client" TEXT NOT NULL,
	"op" TEXT NOT NULL,
	"list" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"question" TEXT NOT NULL,
	"began" TEXT NOT NULL,
	"last" TEXT NOT NULL,
	"firstEdition" BIGINT NOT NULL,
	"lastEdition" BIGINT NOT NULL,
	"limit" BIGINT NOT NULL,
	"total" BIGINT NOT NULL,
	"begun" INTEGER NOT NULL,
	"pages" BIGINT NOT NULL,
	"rows" BIGINT NOT NULL,
	"bytes" BIGINT NOT NULL,
	"twice" BIGINT NOT NULL,
	"beyond" BIGINT NOT NULL,
	"failed" BIGINT NOT NULL,
	"reason" TEXT NOT NULL,
	"micros" BIGINT NOT NULL,
	"read" TEXT NOT NULL
);
CREATE INDEX "pulls_of" ON "pulls" ("client", "list", "hash", "id");
CREATE INDEX "pulls_last" ON "pulls" ("last");
-- How often a client called an operation in an hour, and what became of that.
CREATE TABLE "calls" (
	"client" TEXT NOT NULL,
	"op" TEXT NOT NULL,
	"hour" TEXT NOT NULL,
	"calls" BIGINT NOT NULL,
	"refused" BIGINT NOT NULL,
	"failed" BIGINT NOT NULL,
	"aborted" BIGINT NOT NULL,
	"rows" BIGINT NOT NULL,
	"bytes" BIGINT NOT NULL,
	"micros" BIGINT NOT NULL,
	"reason" TEXT NOT NULL,
	PRIMARY KEY ("client", "op", "hour")
);
CREATE INDEX "calls_hour" ON "calls" ("hour");
-- Calls of clients that were refused, failed or broke off, each by the id that its answer had.
CREATE TABLE "failures" (
	"at" TEXT NOT NULL,
	"request" TEXT NOT NULL,
	"client" TEXT NOT NULL,
	"op" TEXT NOT NULL,
	"status" INTEGER NOT NULL,
	"reason" TEXT NOT NULL,
	"micros" BIGINT NOT NULL,
	PRIMARY KEY ("at", "request")
);
