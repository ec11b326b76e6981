-- A user name has up to two skeletons (UTS 39): of the name as it is shown, and of its case-folded form. Each belongs to one identity.
CREATE TABLE "user_name_skeletons" (
    "skeleton" TEXT NOT NULL,
    "identity_id" UUID NOT NULL,

    CONSTRAINT "user_name_skeletons_pkey" PRIMARY KEY ("skeleton")
);

-- CreateIndex
CREATE INDEX "user_name_skeletons_identity_id_idx" ON "user_name_skeletons"("identity_id");

-- AddForeignKey
ALTER TABLE "user_name_skeletons" ADD CONSTRAINT "user_name_skeletons_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The column before took i and l for one letter. Its indexes go with it.
ALTER TABLE "identities" DROP COLUMN "username_skeleton";

-- SQL cannot compute skeletons: the portal does, for the identities there are.
ALTER TABLE "identities" ADD COLUMN "has_skeletons" BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX "identities_without_skeletons_idx" ON "identities"("created_at") WHERE NOT "has_skeletons";
