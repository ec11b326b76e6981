-- A sign-in link works only in the browser that asked for it: the hash of that browser's cookie.
ALTER TABLE "mail_links" ADD COLUMN "browser_hash" BYTEA;
