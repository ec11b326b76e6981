import type { TotpKey as TotpKeyRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'

export type { TotpKeyRow }

export type NewTotpKey = Omit<TotpKeyRow, 'lastUsedAt'>

export async function insertTotpKey(db: Queryable, key: NewTotpKey): Promise<void> {
  await db.query({
    name: 'totp-key-insert',
    text: `INSERT INTO totp_keys (id, identity_id, name, encrypted_secret, last_step, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
    values: [key.id, key.identityId, key.name, key.encryptedSecret, key.lastStep, key.createdAt],
  })
}

/** The oldest first. */
export async function listTotpKeys(db: Queryable, identityId: string): Promise<TotpKeyRow[]> {
  const result = await db.query<TotpKeyRow>({
    name: 'totp-keys-list',
    text: `SELECT id, identity_id AS "identityId", name, encrypted_secret AS "encryptedSecret", last_step AS "lastStep",
             created_at AS "createdAt", last_used_at AS "lastUsedAt"
           FROM totp_keys WHERE identity_id = $1 ORDER BY created_at, id`,
    values: [identityId],
  })
  return result.rows
}

/** True for the one call that used this step up, and with it every earlier one, however many race. */
export async function advanceTotpStep(
  db: Queryable,
  id: string,
  step: number,
  encryptedSecret: string,
  now: Date,
): Promise<boolean> {
  const result = await db.query({
    name: 'totp-key-advance',
    text: 'UPDATE totp_keys SET last_step = $2, encrypted_secret = $3, last_used_at = $4 WHERE id = $1 AND last_step < $2',
    values: [id, step, encryptedSecret, now],
  })
  return result.rowCount === 1
}

/** Keys in the order of their ids, after this one; null begins. */
export async function listEncryptedTotpKeys(
  db: Queryable,
  after: string | null,
  limit: number,
): Promise<Pick<TotpKeyRow, 'id' | 'encryptedSecret'>[]> {
  const result = await db.query<Pick<TotpKeyRow, 'id' | 'encryptedSecret'>>(
    `SELECT id, encrypted_secret AS "encryptedSecret" FROM totp_keys
     WHERE id > COALESCE($1::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY id LIMIT $2`,
    [after, limit],
  )
  return result.rows
}

/** Replaces the encryption of keys, but for those that another process has replaced meanwhile. */
export async function updateEncryptedTotpKeys(
  db: Queryable,
  changes: { id: string; from: string; to: string }[],
): Promise<void> {
  // In the order of the ids: two processes that do this at once must not lock each other out.
  await db.query(
    `WITH changes AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS c (id, before, after)),
       mine AS (SELECT k.id, c.after FROM totp_keys k JOIN changes c ON c.id = k.id AND c.before = k.encrypted_secret ORDER BY k.id FOR UPDATE OF k)
     UPDATE totp_keys SET encrypted_secret = mine.after FROM mine WHERE totp_keys.id = mine.id`,
    [changes.map(({ id }) => id), changes.map(({ from }) => from), changes.map(({ to }) => to)],
  )
}
