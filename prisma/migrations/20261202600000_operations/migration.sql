-- Counts for the plots of the overview, and mails that the mail server refused for good.
CREATE TABLE "tallies" (
    "at" TIMESTAMPTZ(3) NOT NULL,
    "seconds" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "client_id" TEXT NOT NULL,
    "count" BIGINT NOT NULL,

    CONSTRAINT "tallies_pkey" PRIMARY KEY ("at","seconds","kind","client_id")
);

CREATE TABLE "failed_mails" (
    "id" UUID NOT NULL,
    "identity_id" UUID,
    "kind" TEXT NOT NULL,
    "recipient" TEXT,
    "payload" JSONB NOT NULL,
    "problem" TEXT NOT NULL,
    "failed_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "failed_mails_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "failed_mails_failed_at_id_idx" ON "failed_mails"("failed_at", "id");
CREATE INDEX "failed_mails_identity_id_idx" ON "failed_mails"("identity_id");
ALTER TABLE "failed_mails" ADD CONSTRAINT "failed_mails_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Searches of the audit log go backwards in one of these. The exchange of a code adds to the first of them alone: what it writes
-- is so frequent that a search finds it without an index.
CREATE INDEX "audit_events_client_id_idx" ON "audit_events"("client_id", "id" DESC) WHERE "client_id" IS NOT NULL;
CREATE INDEX "audit_events_actor_idx" ON "audit_events"("actor", "id" DESC) WHERE "actor" IS NOT NULL;
CREATE INDEX "audit_events_kind_idx" ON "audit_events"("kind", "id" DESC) WHERE "kind" NOT IN ('family_opened', 'family_ended');
CREATE INDEX "audit_events_cause_idx" ON "audit_events"("cause", "id" DESC) WHERE "cause" <> 'replaced';

CREATE INDEX "notices_given_up_idx" ON "notices"("happened_at", "id") WHERE "confirmed_at" IS NULL AND "given_up_at" IS NOT NULL;

CREATE INDEX "suspensions_address_idx" ON "suspensions"("address" COLLATE "C");
