-- A family that a `prompt=none` renewal has opened may give its place to the next one, if the app never refreshed it.
-- `replaced_by` is the family that took its place: when that one ends, the app is told of both.
ALTER TABLE "families" ADD COLUMN "opened_silently" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "replaced_by" UUID;

-- A rotation writes none of these columns, so it stays a HOT update.
CREATE INDEX "families_opened_silently_idx" ON "families"("identity_session_id", "client_id") WHERE "opened_silently" AND "ended_at" IS NULL;
CREATE INDEX "families_replaced_by_idx" ON "families"("replaced_by") WHERE "replaced_by" IS NOT NULL;
