-- Lists and searches of identities and families, page by page.
CREATE INDEX "identities_username_prefix_idx" ON "identities"("username_key" COLLATE "C", "id");
CREATE INDEX "identities_email_prefix_idx" ON "identities"(lower("email") COLLATE "C", "id");
-- The database may know the small letters of ASCII alone, so the portal computes them.
ALTER TABLE "identities" ADD COLUMN "name_key" TEXT, ADD COLUMN "family_name_key" TEXT;
UPDATE "identities" SET "name_key" = lower("name"), "family_name_key" = lower("family_name") WHERE "name" IS NOT NULL OR "family_name" IS NOT NULL;
CREATE INDEX "identities_name_prefix_idx" ON "identities"("name_key" COLLATE "C", "id") WHERE "name_key" IS NOT NULL;
CREATE INDEX "identities_family_name_prefix_idx" ON "identities"("family_name_key" COLLATE "C", "id") WHERE "family_name_key" IS NOT NULL;
CREATE INDEX "identities_disabled_idx" ON "identities"("username_key" COLLATE "C", "id") WHERE "disabled_at" IS NOT NULL AND "erased_from" IS NULL;
CREATE INDEX "identities_entitlements_idx" ON "identities" USING gin ("roles", "group_ids");

-- The newest of an app first, in place of an index that had no order.
CREATE INDEX "families_app_created_at_idx" ON "families"("client_id", "created_at" DESC, "id" DESC) WHERE "ended_at" IS NULL;
DROP INDEX "families_client_id_idx";
