-- How an app is told of endings, and what its families follow; null takes the portal's policy.
ALTER TABLE "apps"
  ADD COLUMN "backchannel_logout_uri" TEXT,
  ADD COLUMN "event_receiver_uri" TEXT,
  ADD COLUMN "family_lifetime" TEXT,
  ADD COLUMN "family_renewal" TEXT;

ALTER TABLE "families"
  ADD COLUMN "lifetime" TEXT NOT NULL DEFAULT 'browser',
  ADD COLUMN "review_at" TIMESTAMPTZ(3),
  ADD COLUMN "stale_since" TIMESTAMPTZ(3),
  ADD COLUMN "first_rotated_at" TIMESTAMPTZ(3),
  ADD COLUMN "seen" TEXT[] DEFAULT ARRAY[]::TEXT[],
  ADD COLUMN "end_browser" TEXT,
  ADD COLUMN "end_address" TEXT,
  ADD COLUMN "end_generation" INTEGER;
UPDATE "families" SET "review_at" = "idle_expires_at",
  "lifetime" = CASE WHEN string_to_array("scope", ' ') @> ARRAY['offline_access'] THEN 'offline' ELSE 'browser' END;
ALTER TABLE "families" ALTER COLUMN "review_at" SET NOT NULL, ALTER COLUMN "lifetime" DROP DEFAULT;

-- Whatever expires is ended by then, so what has ended is found by its end alone.
DROP INDEX "families_expires_at_idx";
DROP INDEX "families_client_id_idx";
CREATE INDEX "families_client_id_idx" ON "families"("client_id") WHERE "ended_at" IS NULL;
CREATE INDEX "families_review_at_idx" ON "families"("review_at") WHERE "ended_at" IS NULL;
CREATE INDEX "families_stale_since_idx" ON "families"("stale_since") WHERE "stale_since" IS NOT NULL;

ALTER TABLE "identity_sessions" ADD COLUMN "review_at" TIMESTAMPTZ(3);
UPDATE "identity_sessions" SET "review_at" = "last_seen_at";
ALTER TABLE "identity_sessions" ALTER COLUMN "review_at" SET NOT NULL;
CREATE INDEX "identity_sessions_review_at_idx" ON "identity_sessions"("review_at") WHERE "ended_at" IS NULL;
CREATE INDEX "identity_sessions_ended_at_idx" ON "identity_sessions"("ended_at") WHERE "ended_at" IS NOT NULL;

-- What happened to a family beside its rotations, one row for each kind.
CREATE TABLE "ledger_entries" (
  "family_id" UUID NOT NULL REFERENCES "families"("id") ON DELETE CASCADE ON UPDATE CASCADE,
  "kind" TEXT NOT NULL,
  "count" INTEGER NOT NULL,
  "first_at" TIMESTAMPTZ(3) NOT NULL,
  "last_at" TIMESTAMPTZ(3) NOT NULL,
  "generation" INTEGER,
  "browser" TEXT NOT NULL,
  "address" TEXT NOT NULL,
  CONSTRAINT "ledger_entries_pkey" PRIMARY KEY ("family_id", "kind")
);

-- What apps are told. It outlives the family and the identity it is about.
CREATE TABLE "notices" (
  "id" UUID NOT NULL,
  "kind" TEXT NOT NULL,
  "client_id" TEXT NOT NULL,
  "family_id" UUID NOT NULL,
  "identity_id" UUID NOT NULL,
  "sid" TEXT,
  "cause" TEXT,
  "happened_at" TIMESTAMPTZ(3) NOT NULL,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "last_attempt_at" TIMESTAMPTZ(3),
  "problem" TEXT,
  "confirmed_at" TIMESTAMPTZ(3),
  "given_up_at" TIMESTAMPTZ(3),
  CONSTRAINT "notices_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "notices_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "apps"("client_id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "notices_family_id_idx" ON "notices"("family_id");
CREATE INDEX "notices_happened_at_idx" ON "notices"("happened_at");
CREATE INDEX "notices_open_idx" ON "notices"("client_id", "happened_at") WHERE "confirmed_at" IS NULL;

-- Families whose rows went with their identity while a token of theirs could still be alive.
CREATE TABLE "erased_families" (
  "id" UUID NOT NULL,
  "ended_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "erased_families_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "erased_families_ended_at_idx" ON "erased_families"("ended_at");
