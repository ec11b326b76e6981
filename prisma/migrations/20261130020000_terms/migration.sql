-- The version of the terms of use that an identity accepted last, and when; null until it has accepted one.
ALTER TABLE "identities" ADD COLUMN "terms_version" TEXT,
ADD COLUMN "terms_accepted_at" TIMESTAMPTZ(3);
