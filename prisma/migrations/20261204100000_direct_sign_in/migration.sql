-- It may take the sign-in of its users itself (authorization challenge endpoint).
ALTER TABLE apps ADD COLUMN first_party_direct boolean NOT NULL DEFAULT false;

-- The app that took the sign-in of this session; null for a browser.
ALTER TABLE identity_sessions ADD COLUMN client_id text;
