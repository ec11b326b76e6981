-- Which signing keys each running process has loaded, so that a revocation is known to be known.
ALTER TABLE portal_processes ADD COLUMN signing_keys_id text;
