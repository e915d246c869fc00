-- From where a client may come: ranges of addresses, by spaces; '' is from anywhere. What it
-- may ask of one process; 0 is the default.
ALTER TABLE "clients" ADD COLUMN "allowed" TEXT NOT NULL DEFAULT '';
ALTER TABLE "clients" ADD COLUMN "perMinute" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "clients" ADD COLUMN "atOnce" BIGINT NOT NULL DEFAULT 0;
-- When a secret was last used, and the address that it was used from; '' is never. Of those
-- that an earlier program made nobody knows.
ALTER TABLE "secrets" ADD COLUMN "used" TEXT NOT NULL DEFAULT '';
ALTER TABLE "secrets" ADD COLUMN "usedFrom" TEXT NOT NULL DEFAULT '';
UPDATE "secrets" SET "usedFrom" = '?';
-- The last link of each client behind which a secret lies. hash is of the token in the link;
-- sealed cannot be opened without that token, and is '' when the link was opened or ended.
CREATE TABLE "handovers" (
	"client" TEXT PRIMARY KEY,
	"hash" TEXT NOT NULL UNIQUE,
	"sealed" TEXT NOT NULL,
	"created" TEXT NOT NULL,
	"expires" TEXT NOT NULL,
	"opened" TEXT NOT NULL,
	"openedFrom" TEXT NOT NULL
);
