-- The tokens of a client carry its generation: those of an earlier one have ended.
ALTER TABLE "clients" ADD COLUMN "generation" INTEGER NOT NULL DEFAULT 0;
