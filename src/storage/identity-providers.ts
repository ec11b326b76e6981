import type { Queryable } from './postgres.ts'

/** Another provider with which users sign in. */
export interface IdentityProviderRow {
  /** In URLs, and in the redirect URI that the provider knows. */
  id: string
  name: string
  kind: 'oidc' | 'github'
  issuer: string
  clientId: string
  /** Encrypted under the root secret; null for a public client. */
  encryptedSecret: string | null
  scopes: string[]
  /** Domains of e-mail addresses, in A-labels and small letters. */
  domains: string[]
  /** Whether a user whom no identity is linked with gets one. */
  registration: 'never' | 'open'
  keepsTokens: boolean
  createdAt: Date
  updatedAt: Date
  disabledAt: Date | null
}

const COLUMNS = `id, name, kind, issuer, client_id AS "clientId", encrypted_secret AS "encryptedSecret", scopes, domains, registration,
  keeps_tokens AS "keepsTokens", created_at AS "createdAt", updated_at AS "updatedAt", disabled_at AS "disabledAt"`

export async function findIdentityProvider(db: Queryable, id: string): Promise<IdentityProviderRow | null> {
  const result = await db.query<IdentityProviderRow>({
    name: 'identity-provider-find',
    text: `SELECT ${COLUMNS} FROM identity_providers WHERE id = $1`,
    values: [id],
  })
  return result.rows[0] ?? null
}

/** By name. */
export async function listIdentityProviders(db: Queryable): Promise<IdentityProviderRow[]> {
  const result = await db.query<IdentityProviderRow>({
    name: 'identity-providers-list',
    text: `SELECT ${COLUMNS} FROM identity_providers ORDER BY lower(name), id`,
  })
  return result.rows
}

/** One change at a time: a domain leads to one provider. */
export async function lockIdentityProviders(db: Queryable): Promise<void> {
  await db.query('LOCK TABLE identity_providers IN SHARE ROW EXCLUSIVE MODE')
}

export async function insertIdentityProvider(db: Queryable, row: IdentityProviderRow): Promise<void> {
  await db.query(
    `INSERT INTO identity_providers (id, name, kind, issuer, client_id, encrypted_secret, scopes, domains, registration, keeps_tokens,
       created_at, updated_at, disabled_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    valuesOf(row),
  )
}

export async function updateIdentityProvider(db: Queryable, row: IdentityProviderRow): Promise<void> {
  await db.query(
    `UPDATE identity_providers SET name = $2, kind = $3, issuer = $4, client_id = $5, encrypted_secret = $6, scopes = $7, domains = $8,
       registration = $9, keeps_tokens = $10, created_at = $11, updated_at = $12, disabled_at = $13 WHERE id = $1`,
    valuesOf(row),
  )
}

/** With it go the accounts that were linked there. @returns whether this call deleted it */
export async function deleteIdentityProvider(db: Queryable, id: string): Promise<boolean> {
  return (await db.query('DELETE FROM identity_providers WHERE id = $1', [id])).rowCount === 1
}

/** Replaces the encryption of a secret, unless it was changed meanwhile. */
export async function updateEncryptedSecret(
  db: Queryable,
  { id, from, to }: { id: string; from: string; to: string },
): Promise<boolean> {
  const result = await db.query(
    'UPDATE identity_providers SET encrypted_secret = $3 WHERE id = $1 AND encrypted_secret = $2',
    [id, from, to],
  )
  return result.rowCount === 1
}

function valuesOf(row: IdentityProviderRow): unknown[] {
  return [
    row.id,
    row.name,
    row.kind,
    row.issuer,
    row.clientId,
    row.encryptedSecret,
    row.scopes,
    row.domains,
    row.registration,
    row.keepsTokens,
    row.createdAt,
    row.updatedAt,
    row.disabledAt,
  ]
}
