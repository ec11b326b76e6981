-- Who may register: invitations, one for each e-mail address, and the domains of open registration.
CREATE TABLE "invitations" (
    "id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "email_key" TEXT NOT NULL,
    "roles" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "group_ids" UUID[] DEFAULT ARRAY[]::UUID[],
    "invited_by" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "sent_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "sent_count" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "invitations_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "invitations_email_key_key" ON "invitations"("email_key");
-- In the order of code points, for lists and searches by prefix.
CREATE INDEX "invitations_email_key_prefix_idx" ON "invitations"("email_key" COLLATE "C");
CREATE INDEX "invitations_expires_at_idx" ON "invitations"("expires_at");

CREATE TABLE "registration_domains" (
    "domain" TEXT NOT NULL,

    CONSTRAINT "registration_domains_pkey" PRIMARY KEY ("domain")
);
