-- Those of one app, which may be few among many.
CREATE INDEX "notices_given_up_of_app_idx" ON "notices"("client_id", "happened_at", "id") WHERE "confirmed_at" IS NULL AND "given_up_at" IS NOT NULL;
