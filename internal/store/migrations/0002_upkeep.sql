-- What was done once to the records of earlier databases, by name.
CREATE TABLE "upkeep" (
	"name" TEXT PRIMARY KEY
);
