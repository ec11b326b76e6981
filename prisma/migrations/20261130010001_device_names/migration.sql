-- The name that a user gave a known browser, such as "Kitchen laptop"; null until then.
ALTER TABLE "devices" ADD COLUMN "name" TEXT;
