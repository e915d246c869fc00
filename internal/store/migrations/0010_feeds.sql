-- Standing errands: what comes into the district by itself, what goes out of it, and who is told.
-- settings and memory are JSON; secrets are sealed, '' is none. due is when the next turn is, '' is
-- never by itself; until that a turn that has begun is somebody's, '' is nobody's.
CREATE TABLE "feeds" (
	"kind" TEXT NOT NULL,
	"name" TEXT NOT NULL,
	"settings" TEXT NOT NULL,
	"secrets" TEXT NOT NULL,
	"made" TEXT NOT NULL,
	"memory" TEXT NOT NULL,
	"due" TEXT NOT NULL,
	"turn" BIGINT NOT NULL,
	"until" TEXT NOT NULL,
	PRIMARY KEY ("kind", "name")
);
-- What became of their turns. publication is 0 where there is none.
CREATE TABLE "runs" (
	"kind" TEXT NOT NULL,
	"feed" TEXT NOT NULL,
	"turn" BIGINT NOT NULL,
	"began" TEXT NOT NULL,
	"ended" TEXT NOT NULL,
	"who" TEXT NOT NULL,
	"state" TEXT NOT NULL,
	"text" TEXT NOT NULL,
	"publication" BIGINT NOT NULL,
	PRIMARY KEY ("kind", "feed", "turn")
);
