-- How often an identity was signed out everywhere: a sign-in that was begun before the last time is void.
ALTER TABLE "identities" ADD COLUMN "sign_outs" INTEGER NOT NULL DEFAULT 0;
