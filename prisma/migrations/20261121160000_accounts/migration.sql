-- What accounts need to hold: devices, links in mails, second factors, counters of guesses.

ALTER TABLE "identities" ALTER COLUMN "email_key" DROP NOT NULL,
  ADD COLUMN "password_stands_alone" BOOLEAN NOT NULL DEFAULT true,
  ADD COLUMN "erased_from" TIMESTAMPTZ(3);

ALTER TABLE "identity_sessions" ADD COLUMN "device_hash" BYTEA;

-- CreateTable
CREATE TABLE "devices" (
    "identity_id" UUID NOT NULL,
    "hash" BYTEA NOT NULL,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "browser" TEXT NOT NULL,
    "address" TEXT NOT NULL,

    CONSTRAINT "devices_pkey" PRIMARY KEY ("identity_id","hash")
);

-- CreateTable
CREATE TABLE "mail_links" (
    "id" UUID NOT NULL,
    "purpose" TEXT NOT NULL,
    "identity_id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "identity_session_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "mail_links_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "totp_keys" (
    "id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "encrypted_secret" TEXT NOT NULL,
    "last_step" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3),

    CONSTRAINT "totp_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "passkeys" (
    "id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "credential_id" TEXT NOT NULL,
    "public_key" BYTEA NOT NULL,
    "counter" BIGINT NOT NULL,
    "transports" TEXT[],
    "backed_up" BOOLEAN NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3),

    CONSTRAINT "passkeys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "recovery_codes" (
    "identity_id" UUID NOT NULL,
    "hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "used_at" TIMESTAMPTZ(3),

    CONSTRAINT "recovery_codes_pkey" PRIMARY KEY ("identity_id","hash")
);

-- CreateTable
CREATE TABLE "counters" (
    "key" TEXT NOT NULL,
    "points" INTEGER NOT NULL DEFAULT 0,
    "expire" BIGINT,

    CONSTRAINT "counters_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "suspensions" (
    "address" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,
    "until" TIMESTAMPTZ(3) NOT NULL,
    "failures" INTEGER NOT NULL,

    CONSTRAINT "suspensions_pkey" PRIMARY KEY ("address")
);

-- CreateIndex
CREATE INDEX "mail_links_identity_id_purpose_idx" ON "mail_links"("identity_id", "purpose");

-- CreateIndex
CREATE INDEX "mail_links_expires_at_idx" ON "mail_links"("expires_at");

-- CreateIndex
CREATE INDEX "totp_keys_identity_id_idx" ON "totp_keys"("identity_id");

-- CreateIndex
CREATE UNIQUE INDEX "passkeys_credential_id_key" ON "passkeys"("credential_id");

-- CreateIndex
CREATE INDEX "passkeys_identity_id_idx" ON "passkeys"("identity_id");

-- CreateIndex
CREATE INDEX "counters_expire_idx" ON "counters"("expire");

-- CreateIndex
CREATE INDEX "suspensions_until_idx" ON "suspensions"("until");

-- AddForeignKey
ALTER TABLE "devices" ADD CONSTRAINT "devices_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "mail_links" ADD CONSTRAINT "mail_links_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "totp_keys" ADD CONSTRAINT "totp_keys_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "passkeys" ADD CONSTRAINT "passkeys_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "recovery_codes" ADD CONSTRAINT "recovery_codes_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Erasing asks for it; Prisma's language has no partial indexes.
CREATE INDEX "identities_erased_from_idx" ON "identities"("erased_from") WHERE "erased_from" IS NOT NULL;
