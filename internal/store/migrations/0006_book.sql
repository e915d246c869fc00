-- How often clients, their secrets and the signing key have changed: what was read of
-- them holds until then.
CREATE TABLE "book" (
	"id" INTEGER PRIMARY KEY,
	"version" BIGINT NOT NULL
);
INSERT INTO "book" ("id", "version") VALUES (1, 1);
