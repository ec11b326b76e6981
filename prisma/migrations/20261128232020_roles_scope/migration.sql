-- Apps that may ask for every scope go on to.
UPDATE "apps" SET "scope" = "scope" || ' roles' WHERE "scope" = 'openid profile email address phone offline_access';
