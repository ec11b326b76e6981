-- When the generations before the last were replaced, the oldest first: what tells a late copy of a refresh token from one that
-- several calls at once have used. A rotation writes it, so it gets no index. Null for nearly every family.
ALTER TABLE "families" ADD COLUMN "earlier_rotations" TIMESTAMPTZ(3)[];

-- How long an app that proves itself may present the immediate predecessor of a refresh token that it has not used yet (seconds).
ALTER TABLE "apps" ADD COLUMN "rotation_grace_proven" INTEGER;
