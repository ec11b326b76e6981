-- APIs (resource servers), what apps may have of them, and the kinds of apps: services, devices, third-party apps, apps with keys.
ALTER TABLE "apps" ADD COLUMN "is_service" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "is_device" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "is_third_party" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "auth_method" TEXT NOT NULL DEFAULT 'client_secret_basic',
ADD COLUMN "jwks" JSONB,
ADD COLUMN "jwks_uri" TEXT,
ADD COLUMN "tls_subject_dn" TEXT,
ADD COLUMN "security_profile" TEXT,
ADD COLUMN "require_par" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "require_signed_request" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "require_dpop" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "bind_certificate" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "id_token_claims" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN "application_token_claims" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN "attribute_claims" JSONB NOT NULL DEFAULT '{}',
ADD COLUMN "is_pairwise" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "roles" TEXT[] DEFAULT ARRAY[]::TEXT[];
UPDATE "apps" SET "auth_method" = 'none' WHERE "is_public";

CREATE TABLE "apis" (
    "identifier" TEXT NOT NULL,
    "client_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "scopes" TEXT[],
    "token_ttl" INTEGER,
    "signing_alg" TEXT NOT NULL DEFAULT 'ES256',
    "auth_method" TEXT NOT NULL DEFAULT 'client_secret_basic',
    "secret_hash" TEXT,
    "previous_secret_hash" TEXT,
    "previous_secret_until" TIMESTAMPTZ(3),
    "jwks" JSONB,
    "jwks_uri" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "apis_pkey" PRIMARY KEY ("identifier")
);
CREATE UNIQUE INDEX "apis_client_id_key" ON "apis"("client_id");

CREATE TABLE "app_apis" (
    "client_id" TEXT NOT NULL,
    "identifier" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "scopes" TEXT[],

    CONSTRAINT "app_apis_pkey" PRIMARY KEY ("client_id","identifier","kind")
);
CREATE INDEX "app_apis_identifier_idx" ON "app_apis"("identifier");
ALTER TABLE "app_apis" ADD CONSTRAINT "app_apis_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "apps"("client_id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "app_apis" ADD CONSTRAINT "app_apis_identifier_fkey" FOREIGN KEY ("identifier") REFERENCES "apis"("identifier") ON DELETE CASCADE ON UPDATE CASCADE;

-- What users let third-party apps have.
CREATE TABLE "consents" (
    "identity_id" UUID NOT NULL,
    "client_id" TEXT NOT NULL,
    "scopes" TEXT[],
    "resources" JSONB NOT NULL DEFAULT '{}',
    "given_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "consents_pkey" PRIMARY KEY ("identity_id","client_id")
);
ALTER TABLE "consents" ADD CONSTRAINT "consents_identity_id_fkey" FOREIGN KEY ("identity_id") REFERENCES "identities"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "consents" ADD CONSTRAINT "consents_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "apps"("client_id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "families" ADD COLUMN "x5t" TEXT,
ADD COLUMN "resources" JSONB;

-- The claims of the scopes profile, phone and address, attributes for the claims of apps, and roles in single apps.
ALTER TABLE "identities" ADD COLUMN "name" TEXT,
ADD COLUMN "given_name" TEXT,
ADD COLUMN "family_name" TEXT,
ADD COLUMN "nickname" TEXT,
ADD COLUMN "picture" TEXT,
ADD COLUMN "phone_number" TEXT,
ADD COLUMN "address" JSONB,
ADD COLUMN "attributes" JSONB NOT NULL DEFAULT '{}',
ADD COLUMN "app_roles" JSONB NOT NULL DEFAULT '{}';
