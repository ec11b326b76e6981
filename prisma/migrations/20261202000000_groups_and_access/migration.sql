-- Groups, whose roles their members have; who may enter an app; and which operator did what.
ALTER TABLE "identities" ADD COLUMN "assigned_roles" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN "groups" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN "group_ids" UUID[] DEFAULT ARRAY[]::UUID[];
-- "roles" goes on to be what tokens carry: the assigned ones, and from now on those of the groups.
UPDATE "identities" SET "assigned_roles" = "roles" WHERE cardinality("roles") > 0;
CREATE INDEX "identities_administrators_idx" ON "identities"("id") WHERE "roles" && ARRAY['admin', 'support'];

CREATE TABLE "groups" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "name_key" TEXT NOT NULL,
    "description" TEXT,
    "roles" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "external_id" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "is_deleted" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "groups_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "groups_name_key_key" ON "groups"("name_key");

CREATE TABLE "group_members" (
    "group_id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "added_at" TIMESTAMPTZ(3) NOT NULL,
    "is_outdated" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "group_members_pkey" PRIMARY KEY ("group_id","identity_id")
);
CREATE INDEX "group_members_identity_id_idx" ON "group_members"("identity_id");
CREATE INDEX "group_members_outdated_idx" ON "group_members"("group_id", "identity_id") WHERE "is_outdated";
ALTER TABLE "group_members" ADD CONSTRAINT "group_members_group_id_fkey" FOREIGN KEY ("group_id") REFERENCES "groups"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "group_members" ADD CONSTRAINT "group_members_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "apps" ADD COLUMN "access" TEXT NOT NULL DEFAULT 'everyone',
ADD COLUMN "allowed_roles" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN "allowed_groups" UUID[] DEFAULT ARRAY[]::UUID[];

ALTER TABLE "audit_events" ADD COLUMN "actor_id" TEXT,
ADD COLUMN "actor_address" TEXT;
