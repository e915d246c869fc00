-- Records of the gradebook that an outlet could not deliver, each with the words of the other side. hangsOn is the
-- key of what it hangs on, '' is nothing; what failed in passing (1) is offered again the next time.
CREATE TABLE "undelivered" (
	"outlet" TEXT NOT NULL,
	"resource" TEXT NOT NULL,
	"sourcedId" TEXT NOT NULL,
	"hangsOn" TEXT NOT NULL,
	"words" TEXT NOT NULL,
	"at" TEXT NOT NULL,
	"passing" INTEGER NOT NULL,
	PRIMARY KEY ("outlet", "resource", "sourcedId")
);
CREATE INDEX "undelivered_on" ON "undelivered" ("outlet", "hangsOn");
