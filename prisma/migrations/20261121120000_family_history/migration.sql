-- What pruning asks for: families by when they ended, and by when they end at the latest; neither is written by a
-- rotation. Prisma's language has no partial indexes, and its tools neither see nor drop the first.
CREATE INDEX "families_ended_at_idx" ON "families"("ended_at") WHERE "ended_at" IS NOT NULL;

-- Not partial, though nearly everything in it lives: the planner would take it for a list of what lives, and read all of
-- it for the families of one app.
CREATE INDEX "families_expires_at_idx" ON "families"("expires_at");
