import type { ClientBase } from 'pg'

/** The library's own example adapter for SQL: one table, with a column for each look-up. */
export async function createTables(client: ClientBase): Promise<void> {
  await client.query(`
    CREATE TABLE accounts (id uuid PRIMARY KEY, username text NOT NULL UNIQUE, email text NOT NULL);
    CREATE TABLE oidc_payloads (
      id text NOT NULL,
      type text NOT NULL,
      payload jsonb NOT NULL,
      grant_id text,
      user_code text,
      uid text,
      expires_at timestamptz,
      consumed_at timestamptz,
      PRIMARY KEY (id, type)
    );
    CREATE INDEX ON oidc_payloads (grant_id) WHERE grant_id IS NOT NULL;
    CREATE INDEX ON oidc_payloads (user_code) WHERE user_code IS NOT NULL;
    CREATE INDEX ON oidc_payloads (uid) WHERE uid IS NOT NULL;
  `)
}
