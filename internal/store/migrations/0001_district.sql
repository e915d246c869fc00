-- One district. A table for each resource, its columns named and ordered as the
-- JSON names of the standard. An absent text is '', an absent number NULL; the
-- items of a list are joined by U+001F. seq is the order of a list: what comes
-- later stands later. rev is the transaction that last changed what is served;
-- revs gives its commit time, which is dateLastModified. hash covers what the
-- source stated. imported is 1 where the last writer was a package.
CREATE TABLE "orgs" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"name" TEXT NOT NULL,
	"type" TEXT NOT NULL,
	"identifier" TEXT NOT NULL,
	"parent" TEXT NOT NULL,
	"children" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "orgs_rev" ON "orgs" ("rev");

CREATE TABLE "academicSessions" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"title" TEXT NOT NULL,
	"startDate" TEXT NOT NULL,
	"endDate" TEXT NOT NULL,
	"type" TEXT NOT NULL,
	"parent" TEXT NOT NULL,
	"children" TEXT NOT NULL,
	"schoolYear" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "academicSessions_rev" ON "academicSessions" ("rev");

CREATE TABLE "resources" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"title" TEXT NOT NULL,
	"roles" TEXT NOT NULL,
	"importance" TEXT NOT NULL,
	"vendorResourceId" TEXT NOT NULL,
	"vendorId" TEXT NOT NULL,
	"applicationId" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "resources_rev" ON "resources" ("rev");

CREATE TABLE "courses" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"title" TEXT NOT NULL,
	"schoolYear" TEXT NOT NULL,
	"courseCode" TEXT NOT NULL,
	"grades" TEXT NOT NULL,
	"subjects" TEXT NOT NULL,
	"org" TEXT NOT NULL,
	"subjectCodes" TEXT NOT NULL,
	"resources" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "courses_rev" ON "courses" ("rev");
CREATE INDEX "courses_org" ON "courses" ("org");

CREATE TABLE "classes" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"title" TEXT NOT NULL,
	"classCode" TEXT NOT NULL,
	"classType" TEXT NOT NULL,
	"location" TEXT NOT NULL,
	"grades" TEXT NOT NULL,
	"subjects" TEXT NOT NULL,
	"course" TEXT NOT NULL,
	"school" TEXT NOT NULL,
	"terms" TEXT NOT NULL,
	"subjectCodes" TEXT NOT NULL,
	"periods" TEXT NOT NULL,
	"resources" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "classes_rev" ON "classes" ("rev");
CREATE INDEX "classes_school" ON "classes" ("school");
CREATE INDEX "classes_course" ON "classes" ("course");

CREATE TABLE "users" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"username" TEXT NOT NULL,
	"userIds" TEXT NOT NULL,
	"enabledUser" TEXT NOT NULL,
	"givenName" TEXT NOT NULL,
	"familyName" TEXT NOT NULL,
	"middleName" TEXT NOT NULL,
	"role" TEXT NOT NULL,
	"identifier" TEXT NOT NULL,
	"email" TEXT NOT NULL,
	"sms" TEXT NOT NULL,
	"phone" TEXT NOT NULL,
	"agents" TEXT NOT NULL,
	"orgs" TEXT NOT NULL,
	"grades" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	-- agents as the source stated them; "agents" is both directions
	"agentSourcedIds" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "users_rev" ON "users" ("rev");
CREATE INDEX "users_role" ON "users" ("role");
CREATE INDEX "users_email" ON "users" (lower("email"));
CREATE INDEX "users_username" ON "users" (lower("username"));

CREATE TABLE "demographics" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"birthDate" TEXT NOT NULL,
	"sex" TEXT NOT NULL,
	"americanIndianOrAlaskaNative" TEXT NOT NULL,
	"asian" TEXT NOT NULL,
	"blackOrAfricanAmerican" TEXT NOT NULL,
	"nativeHawaiianOrOtherPacificIslander" TEXT NOT NULL,
	"white" TEXT NOT NULL,
	"demographicRaceTwoOrMoreRaces" TEXT NOT NULL,
	"hispanicOrLatinoEthnicity" TEXT NOT NULL,
	"countryOfBirthCode" TEXT NOT NULL,
	"stateOfBirthAbbreviation" TEXT NOT NULL,
	"cityOfBirth" TEXT NOT NULL,
	"publicSchoolResidenceStatus" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "demographics_rev" ON "demographics" ("rev");

CREATE TABLE "enrollments" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"user" TEXT NOT NULL,
	"class" TEXT NOT NULL,
	"school" TEXT NOT NULL,
	"role" TEXT NOT NULL,
	"primary" TEXT NOT NULL,
	"beginDate" TEXT NOT NULL,
	"endDate" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "enrollments_rev" ON "enrollments" ("rev");
CREATE INDEX "enrollments_class" ON "enrollments" ("class");
CREATE INDEX "enrollments_user" ON "enrollments" ("user");
CREATE INDEX "enrollments_school" ON "enrollments" ("school");

CREATE TABLE "classGroups" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"title" TEXT NOT NULL,
	"groupType" TEXT NOT NULL,
	"classes" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "classGroups_rev" ON "classGroups" ("rev");

CREATE TABLE "categories" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"title" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "categories_rev" ON "categories" ("rev");

CREATE TABLE "lineItems" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"title" TEXT NOT NULL,
	"description" TEXT NOT NULL,
	"assignDate" TEXT NOT NULL,
	"dueDate" TEXT NOT NULL,
	"class" TEXT NOT NULL,
	"category" TEXT NOT NULL,
	"gradingPeriod" TEXT NOT NULL,
	"resultValueMin" DOUBLE PRECISION,
	"resultValueMax" DOUBLE PRECISION,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "lineItems_rev" ON "lineItems" ("rev");
CREATE INDEX "lineItems_class" ON "lineItems" ("class");
CREATE INDEX "lineItems_category" ON "lineItems" ("category");

CREATE TABLE "results" (
	"seq" INTEGER PRIMARY KEY,
	"sourcedId" TEXT NOT NULL UNIQUE,
	"status" TEXT NOT NULL,
	"rev" BIGINT NOT NULL,
	"lineItem" TEXT NOT NULL,
	"student" TEXT NOT NULL,
	"scoreStatus" TEXT NOT NULL,
	"score" DOUBLE PRECISION,
	"scoreDate" TEXT NOT NULL,
	"comment" TEXT NOT NULL,
	"metadata" TEXT NOT NULL,
	-- the members of metadata for filters: U+001F key U+001E text, again and again, U+001F
	"metadataText" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"imported" INTEGER NOT NULL
);
CREATE INDEX "results_rev" ON "results" ("rev");
CREATE INDEX "results_lineItem" ON "results" ("lineItem");
CREATE INDEX "results_student" ON "results" ("student");

-- The references of list-valued fields, for collections nested under a target.
CREATE TABLE "links" (
	"field" TEXT NOT NULL,
	"owner" TEXT NOT NULL,
	"target" TEXT NOT NULL,
	PRIMARY KEY ("field", "owner", "target")
);
CREATE INDEX "links_target" ON "links" ("field", "target");

-- The delta clock: one row, locked by every writer until it commits.
CREATE TABLE "clock" (
	"id" INTEGER PRIMARY KEY,
	"rev" BIGINT NOT NULL,
	"stamp" TEXT NOT NULL
);
INSERT INTO "clock" ("id", "rev", "stamp") VALUES (1, 0, '');

CREATE TABLE "revs" (
	"rev" BIGINT PRIMARY KEY,
	"stamp" TEXT NOT NULL UNIQUE
);

-- The last rev that changed a resource.
CREATE TABLE "versions" (
	"resource" TEXT PRIMARY KEY,
	"rev" BIGINT NOT NULL
);

CREATE TABLE "clients" (
	"id" TEXT PRIMARY KEY,
	"name" TEXT NOT NULL,
	"scopes" TEXT NOT NULL,
	"oauth1" INTEGER NOT NULL,
	"created" TEXT NOT NULL
);

CREATE TABLE "secrets" (
	"id" TEXT PRIMARY KEY,
	"client" TEXT NOT NULL,
	"hash" TEXT NOT NULL,
	"sealed" TEXT NOT NULL,
	"created" TEXT NOT NULL,
	"expires" TEXT NOT NULL
);
CREATE INDEX "secrets_client" ON "secrets" ("client");

CREATE TABLE "keys" (
	"name" TEXT PRIMARY KEY,
	"sealed" TEXT NOT NULL
);
