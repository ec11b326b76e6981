import type { Queryable } from './postgres.ts'

/** An account at another provider with which an identity signs in. */
export interface LinkedAccountRow {
  id: string
  identityId: string
  providerId: string
  /** What the provider calls the account, for good (`sub`). */
  subject: string
  /** Its e-mail address there, when it was used last. */
  email: string | null
  /**
   * The mark of the hash that no password matches, with which the identity was created for this account. While that is its hash, it
   * has no password. Null for an identity that was there before.
   */
  firstPasswordMark: string | null
  createdAt: Date
  lastUsedAt: Date | null
}

/** A linked account, with the name of its provider. */
export type ListedLinkedAccountRow = LinkedAccountRow & { providerName: string; isOffered: boolean }

const COLUMNS = `l.id, l.identity_id AS "identityId", l.provider_id AS "providerId", l.subject, l.email,
  l.first_password_mark AS "firstPasswordMark", l.created_at AS "createdAt", l.last_used_at AS "lastUsedAt"`

export async function findLinkedAccount(
  db: Queryable,
  providerId: string,
  subject: string,
): Promise<LinkedAccountRow | null> {
  const result = await db.query<LinkedAccountRow>({
    name: 'linked-account-find',
    text: `SELECT ${COLUMNS} FROM linked_accounts l WHERE l.provider_id = $1 AND l.subject = $2`,
    values: [providerId, subject],
  })
  return result.rows[0] ?? null
}

/** Oldest first. */
export async function listLinkedAccounts(db: Queryable, identityId: string): Promise<ListedLinkedAccountRow[]> {
  const result = await db.query<ListedLinkedAccountRow>(
    `SELECT ${COLUMNS}, p.name AS "providerName", p.disabled_at IS NULL AS "isOffered"
     FROM linked_accounts l JOIN identity_providers p ON p.id = l.provider_id
     WHERE l.identity_id = $1 ORDER BY l.created_at, l.id`,
    [identityId],
  )
  return result.rows
}

/** Accounts at this provider that are linked. */
export async function countLinkedAccounts(db: Queryable, providerId: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM linked_accounts WHERE provider_id = $1',
    [providerId],
  )
  return rows[0]?.count ?? 0
}

/** False when it is linked already, with this identity or another. */
export async function insertLinkedAccount(
  db: Queryable,
  account: Omit<LinkedAccountRow, 'lastUsedAt'> & { encryptedTokens: string | null },
): Promise<boolean> {
  const result = await db.query(
    `INSERT INTO linked_accounts (id, identity_id, provider_id, subject, email, first_password_mark, encrypted_tokens, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (provider_id, subject) DO NOTHING`,
    [
      account.id,
      account.identityId,
      account.providerId,
      account.subject,
      account.email,
      account.firstPasswordMark,
      account.encryptedTokens,
      account.createdAt,
    ],
  )
  return result.rowCount === 1
}

/** False when the account is not linked with this identity any more, or its provider was disabled. */
export async function markLinkedAccountUsed(
  db: Queryable,
  { providerId, subject, identityId }: Pick<LinkedAccountRow, 'providerId' | 'subject' | 'identityId'>,
  now: Date,
): Promise<boolean> {
  const result = await db.query({
    name: 'linked-account-used',
    text: `UPDATE linked_accounts l SET last_used_at = $4 FROM identity_providers p
           WHERE l.provider_id = $1 AND l.subject = $2 AND l.identity_id = $3 AND p.id = l.provider_id AND p.disabled_at IS NULL`,
    values: [providerId, subject, identityId, now],
  })
  return result.rowCount === 1
}

/** What the provider has said of the account now; its tokens are null where none are kept. */
export async function updateLinkedAccount(
  db: Queryable,
  id: string,
  { email, encryptedTokens }: { email: string | null; encryptedTokens: string | null },
): Promise<void> {
  await db.query('UPDATE linked_accounts SET email = $2, encrypted_tokens = $3 WHERE id = $1', [
    id,
    email,
    encryptedTokens,
  ])
}

/** @returns whether this call deleted it */
export async function deleteLinkedAccount(db: Queryable, identityId: string, id: string): Promise<boolean> {
  const result = await db.query('DELETE FROM linked_accounts WHERE id = $1 AND identity_id = $2', [id, identityId])
  return result.rowCount === 1
}

/** Kept tokens, by the id of their account; `after` is the one to go on from. */
export async function listEncryptedTokens(
  db: Queryable,
  after: string | null,
  limit: number,
): Promise<{ id: string; encryptedTokens: string }[]> {
  const result = await db.query<{ id: string; encryptedTokens: string }>(
    `SELECT id, encrypted_tokens AS "encryptedTokens" FROM linked_accounts
     WHERE encrypted_tokens IS NOT NULL AND id > COALESCE($1::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY id LIMIT $2`,
    [after, limit],
  )
  return result.rows
}

/** Replaces the encryption of kept tokens, but for those that were replaced meanwhile. */
export async function updateEncryptedTokens(
  db: Queryable,
  { id, from, to }: { id: string; from: string; to: string },
): Promise<boolean> {
  const result = await db.query(
    'UPDATE linked_accounts SET encrypted_tokens = $3 WHERE id = $1 AND encrypted_tokens = $2',
    [id, from, to],
  )
  return result.rowCount === 1
}
