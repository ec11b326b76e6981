-- Secrets that must not change when the root secret does, encrypted under it.
CREATE TABLE "lasting_secrets" (
    "name" TEXT NOT NULL,
    "encrypted" TEXT NOT NULL,

    CONSTRAINT "lasting_secrets_pkey" PRIMARY KEY ("name")
);
