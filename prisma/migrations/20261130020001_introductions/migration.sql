-- Apps that tell a user what they see of the account when the user opens them first, and which users have read that.
ALTER TABLE "apps" ADD COLUMN "first_time_notice" BOOLEAN NOT NULL DEFAULT false;

CREATE TABLE "introductions" (
    "identity_id" UUID NOT NULL,
    "client_id" TEXT NOT NULL,
    "read_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "introductions_pkey" PRIMARY KEY ("identity_id","client_id")
);

ALTER TABLE "introductions" ADD CONSTRAINT "introductions_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "introductions" ADD CONSTRAINT "introductions_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "apps"("client_id") ON DELETE CASCADE ON UPDATE CASCADE;
