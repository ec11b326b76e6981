import type { TotpKey as TotpKeyRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'

export type { TotpKeyRow }

export async function insertTotpKey(db: Queryable, key: Omit<TotpKeyRow, 'lastUsedAt'>): Promise<void> {
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
