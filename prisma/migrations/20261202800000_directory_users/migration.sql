-- What directories have written about identities and groups (SCIM).
CREATE TABLE "directory_users" (
    "identity_id" UUID NOT NULL,
    "user_name" TEXT NOT NULL,
    "user_name_key" TEXT NOT NULL,
    "external_id" TEXT,
    "attributes" JSONB NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "directory_users_pkey" PRIMARY KEY ("identity_id")
);
CREATE UNIQUE INDEX "directory_users_user_name_key_key" ON "directory_users"("user_name_key");
CREATE INDEX "directory_users_user_name_prefix_idx" ON "directory_users"("user_name_key" COLLATE "C");
CREATE INDEX "directory_users_external_id_idx" ON "directory_users"("external_id" COLLATE "C") WHERE "external_id" IS NOT NULL;
ALTER TABLE "directory_users" ADD CONSTRAINT "directory_users_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE INDEX "groups_external_id_idx" ON "groups"("external_id" COLLATE "C") WHERE "external_id" IS NOT NULL;
