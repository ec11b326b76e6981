-- A deleted app is refused like a disabled one, until its tokens have expired and its row can go.
ALTER TABLE "apps" ADD COLUMN "deleted_at" TIMESTAMPTZ(3);
