-- An app whose library verifies nothing but HS256 shares a key with the portal; the key is derived from its id.
ALTER TABLE apps ADD COLUMN application_token_alg text NOT NULL DEFAULT 'ES256', ADD COLUMN token_key_id text;
