-- The lists of apps and of APIs, by name, and their search by prefix.
CREATE INDEX "apps_name_idx" ON "apps"(lower("name") COLLATE "C", "client_id" COLLATE "C");
CREATE INDEX "apps_client_id_idx" ON "apps"("client_id" COLLATE "C");
CREATE INDEX "apis_name_idx" ON "apis"(lower("name") COLLATE "C", "identifier" COLLATE "C");
CREATE INDEX "apis_identifier_idx" ON "apis"("identifier" COLLATE "C");
