-- Until when a sign-in with the password in this browser needs no second step; null for a browser that is not trusted.
ALTER TABLE "devices" ADD COLUMN "trusted_until" TIMESTAMPTZ(3);

-- Whether the authenticator keeps the passkey under its user, so that it can sign in without a user name (WebAuthn credProps).
-- Null when the browser did not say, and for passkeys made before.
ALTER TABLE "passkeys" ADD COLUMN "discoverable" BOOLEAN;
