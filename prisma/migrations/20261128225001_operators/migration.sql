-- Who ran the command that did it; null for what users, apps and time do.
ALTER TABLE "audit_events" ADD COLUMN "actor" TEXT;

-- A key that was revoked verifies nothing any more. Its row stays, so that verifiers can be told.
ALTER TABLE "signing_keys" ADD COLUMN "revoked_at" TIMESTAMPTZ(3);
