-- When the user was last offered a passkey in this browser, and whether the browser has one.
ALTER TABLE "devices"
  ADD COLUMN "passkey_offered_at" TIMESTAMPTZ(3),
  ADD COLUMN "has_passkey" BOOLEAN NOT NULL DEFAULT false;

-- "Don't ask again", in every browser.
ALTER TABLE "identities" ADD COLUMN "declines_passkeys" BOOLEAN NOT NULL DEFAULT false;

-- Passkeys from an offer sign in alone, and do not turn two-step verification on.
ALTER TABLE "passkeys" ADD COLUMN "is_second_step" BOOLEAN NOT NULL DEFAULT true;
