-- CreateTable
CREATE TABLE "identities" (
    "id" UUID NOT NULL,
    "username" TEXT NOT NULL,
    "username_key" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "email_key" TEXT NOT NULL,
    "email_verified" BOOLEAN NOT NULL DEFAULT false,
    "password_hash" TEXT NOT NULL,
    "roles" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "disabled_at" TIMESTAMPTZ(3),

    CONSTRAINT "identities_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "identity_sessions" (
    "id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),
    "end_cause" TEXT,
    "amr" TEXT[],
    "browser" TEXT NOT NULL,
    "address" TEXT NOT NULL,

    CONSTRAINT "identity_sessions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "apps" (
    "client_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "is_public" BOOLEAN NOT NULL,
    "is_native" BOOLEAN NOT NULL DEFAULT false,
    "secret_hash" TEXT,
    "previous_secret_hash" TEXT,
    "previous_secret_until" TIMESTAMPTZ(3),
    "redirect_uris" TEXT[],
    "post_logout_redirect_uris" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "audience" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "allow_no_pkce" BOOLEAN NOT NULL DEFAULT false,
    "id_token_alg" TEXT NOT NULL DEFAULT 'ES256',
    "application_token_ttl" INTEGER,
    "family_idle" INTEGER,
    "family_max" INTEGER,
    "rotation_grace" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "disabled_at" TIMESTAMPTZ(3),

    CONSTRAINT "apps_pkey" PRIMARY KEY ("client_id")
);

-- CreateTable
CREATE TABLE "families" (
    "id" UUID NOT NULL,
    "client_id" TEXT NOT NULL,
    "identity_id" UUID NOT NULL,
    "identity_session_id" UUID,
    "generation" INTEGER NOT NULL DEFAULT 0,
    "current_hash" BYTEA NOT NULL,
    "previous_hash" BYTEA,
    "rotated_at" TIMESTAMPTZ(3),
    "scope" TEXT NOT NULL,
    "claims" TEXT,
    "sid" TEXT,
    "acr" TEXT,
    "amr" TEXT[],
    "auth_time" INTEGER NOT NULL,
    "jkt" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3) NOT NULL,
    "idle_expires_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "browser" TEXT NOT NULL,
    "address" TEXT NOT NULL,
    "ended_at" TIMESTAMPTZ(3),
    "end_cause" TEXT,

    CONSTRAINT "families_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "handshakes" (
    "id" TEXT NOT NULL,
    "payload" TEXT NOT NULL,
    "uid" TEXT,
    "consumed_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "handshakes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "browser_sessions" (
    "sid" TEXT NOT NULL,
    "sess" JSON NOT NULL,
    "expire" TIMESTAMP(6) NOT NULL,

    CONSTRAINT "browser_sessions_pkey" PRIMARY KEY ("sid")
);

-- CreateTable
CREATE TABLE "audit_events" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "kind" TEXT NOT NULL,
    "identity_id" UUID,
    "client_id" TEXT,
    "family_id" UUID,
    "cause" TEXT,
    "detail" TEXT,
    "browser" TEXT,
    "address" TEXT,

    CONSTRAINT "audit_events_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "signing_keys" (
    "kid" TEXT NOT NULL,
    "alg" TEXT NOT NULL,
    "public_jwk" TEXT NOT NULL,
    "encrypted_private" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "signs_from" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "signing_keys_pkey" PRIMARY KEY ("kid")
);

-- CreateIndex
CREATE UNIQUE INDEX "identities_username_key_key" ON "identities"("username_key");

-- CreateIndex
CREATE UNIQUE INDEX "identities_email_key_key" ON "identities"("email_key");

-- CreateIndex
CREATE INDEX "identity_sessions_identity_id_ended_at_idx" ON "identity_sessions"("identity_id", "ended_at");

-- CreateIndex
CREATE INDEX "families_identity_id_created_at_idx" ON "families"("identity_id", "created_at" DESC);

-- CreateIndex
CREATE INDEX "families_identity_session_id_idx" ON "families"("identity_session_id");

-- CreateIndex
CREATE INDEX "families_client_id_idx" ON "families"("client_id");

-- CreateIndex
CREATE INDEX "handshakes_uid_idx" ON "handshakes"("uid");

-- CreateIndex
CREATE INDEX "handshakes_expires_at_idx" ON "handshakes"("expires_at");

-- CreateIndex
CREATE INDEX "browser_sessions_expire_idx" ON "browser_sessions"("expire");

-- CreateIndex
CREATE INDEX "audit_events_identity_id_id_idx" ON "audit_events"("identity_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_events_family_id_idx" ON "audit_events"("family_id");

-- AddForeignKey
ALTER TABLE "identity_sessions" ADD CONSTRAINT "identity_sessions_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "families" ADD CONSTRAINT "families_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "apps"("client_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "families" ADD CONSTRAINT "families_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "families" ADD CONSTRAINT "families_identity_session_id_fkey" FOREIGN KEY ("identity_session_id") REFERENCES "identity_sessions"("id") ON DELETE SET NULL ON UPDATE CASCADE;


-- A rotation updates a family in place. Room on the page and no index on what it writes keep that a HOT update,
-- so the table and its indexes do not grow with use.
ALTER TABLE "families" SET (fillfactor = 70);
ALTER TABLE "identity_sessions" SET (fillfactor = 80);
