-- Which root secrets there were: by a tag, from which no secret can be computed.
CREATE TABLE "root_secrets" (
  "id" TEXT NOT NULL,
  "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
  "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
  "first_signed_at" TIMESTAMPTZ(3),
  "last_signed_at" TIMESTAMPTZ(3),
  "kept_keys" TEXT,
  "rewrapped_at" TIMESTAMPTZ(3),
  CONSTRAINT "root_secrets_pkey" PRIMARY KEY ("id")
);

-- The processes that run now.
CREATE TABLE "portal_processes" (
  "id" UUID NOT NULL,
  "root_secrets" TEXT[],
  "seen_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "portal_processes_pkey" PRIMARY KEY ("id")
);
