-- When who may enter an app last changed, while families of users who may not are still open.
ALTER TABLE "apps" ADD COLUMN "access_changed_at" TIMESTAMPTZ(3);
