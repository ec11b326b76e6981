-- What the pages for people show of an app. `icon` is the hash of the picture in app_icons, which a URL of the portal serves;
-- the pictures have a table of their own, because every authorization request reads the row of its app.
ALTER TABLE "apps" ADD COLUMN "home_uri" TEXT,
ADD COLUMN "description" TEXT,
ADD COLUMN "icon" TEXT,
ADD COLUMN "colour" TEXT;

CREATE TABLE "app_icons" (
    "client_id" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "bytes" BYTEA NOT NULL,

    CONSTRAINT "app_icons_pkey" PRIMARY KEY ("client_id")
);

ALTER TABLE "app_icons" ADD CONSTRAINT "app_icons_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "apps"("client_id") ON DELETE CASCADE ON UPDATE CASCADE;
