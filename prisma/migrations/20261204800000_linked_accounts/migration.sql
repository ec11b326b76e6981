-- Other providers, with which users sign in.
CREATE TABLE identity_providers (
  id text PRIMARY KEY,
  name text NOT NULL,
  kind text NOT NULL,
  issuer text NOT NULL,
  client_id text NOT NULL,
  encrypted_secret text,
  scopes text[],
  domains text[],
  registration text NOT NULL,
  keeps_tokens boolean NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  disabled_at timestamptz(3)
);

-- Accounts there with which users sign in. Only proof links one; an address never does.
CREATE TABLE linked_accounts (
  id uuid PRIMARY KEY,
  identity_id uuid NOT NULL REFERENCES identities (id) ON DELETE CASCADE ON UPDATE CASCADE,
  provider_id text NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE ON UPDATE CASCADE,
  subject text NOT NULL,
  email text,
  first_password_mark text,
  encrypted_tokens text,
  created_at timestamptz(3) NOT NULL,
  last_used_at timestamptz(3)
);
CREATE UNIQUE INDEX linked_accounts_provider_id_subject_key ON linked_accounts (provider_id, subject);
CREATE INDEX linked_accounts_identity_id_idx ON linked_accounts (identity_id);

-- The identity sessions that a provider opened, for its back-channel logout.
CREATE TABLE upstream_sessions (
  identity_session_id uuid PRIMARY KEY REFERENCES identity_sessions (id) ON DELETE CASCADE ON UPDATE CASCADE,
  provider_id text NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE ON UPDATE CASCADE,
  subject text NOT NULL,
  sid text,
  is_proven boolean NOT NULL
);
CREATE INDEX upstream_sessions_provider_id_subject_idx ON upstream_sessions (provider_id, subject);
CREATE INDEX upstream_sessions_provider_id_sid_idx ON upstream_sessions (provider_id, sid);
