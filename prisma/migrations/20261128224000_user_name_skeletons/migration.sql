-- What user names that look alike have in common (UTS 39). SQL cannot compute it: the portal fills it for existing identities.
ALTER TABLE "identities" ADD COLUMN "username_skeleton" TEXT;

-- CreateIndex
CREATE UNIQUE INDEX "identities_username_skeleton_key" ON "identities"("username_skeleton");

-- Filling asks for it; Prisma's language has no partial indexes.
CREATE INDEX "identities_without_skeleton_idx" ON "identities"("created_at") WHERE "username_skeleton" IS NULL;
