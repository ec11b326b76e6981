-- Tokens before and after a change of claims are told apart by the version of the claims, and no longer by the second they were issued in.
ALTER TABLE "identities" ADD COLUMN "claims_version" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "families" ADD COLUMN "claims_version" INTEGER NOT NULL DEFAULT 0;

-- The time of a change was written as the second after it. Only those matter by which a token that is alive can still be judged.
UPDATE "families" SET "stale_since" = "stale_since" - interval '1 second' WHERE "stale_since" > now() - interval '2 hours';
