-- Files of another machine that were imported, and how far an import has come.
CREATE TABLE "portal_imports" (
    "id" UUID NOT NULL,
    "issuer" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "pages" INTEGER NOT NULL DEFAULT 0,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "portal_imports_pkey" PRIMARY KEY ("id")
);
