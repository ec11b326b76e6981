-- When an app was disabled, or enabled again: its tokens from before are revoked, also those that belong to no family.
ALTER TABLE "apps" ADD COLUMN "revoked_before" TIMESTAMPTZ(3);
CREATE INDEX "apps_revoked_before_idx" ON "apps"("revoked_before");
