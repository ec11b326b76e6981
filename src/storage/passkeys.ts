import type { Queryable } from './postgres.ts'

export interface PasskeyRow {
  id: string
  identityId: string
  credentialId: string
  /** COSE (RFC 9053). */
  publicKey: Buffer
  counter: number
  transports: string[]
  backedUp: boolean
  /** Whether it can sign in without a user name; null when the browser did not say. */
  discoverable: boolean | null
  /** False for one that signs in alone and leaves two-step verification off. */
  isSecondStep: boolean
  name: string
  createdAt: Date
  lastUsedAt: Date | null
}

// A bigint comes as text; the counter of WebAuthn §6.1.1 has 32 bits.
const COLUMNS = `id, identity_id AS "identityId", credential_id AS "credentialId", public_key AS "publicKey", counter::float8 AS counter, transports,
  backed_up AS "backedUp", discoverable, is_second_step AS "isSecondStep", name, created_at AS "createdAt", last_used_at AS "lastUsedAt"`

/** False when this credential is registered already, by any identity. */
export async function insertPasskey(db: Queryable, passkey: Omit<PasskeyRow, 'lastUsedAt'>): Promise<boolean> {
  const result = await db.query({
    name: 'passkey-insert',
    text: `INSERT INTO passkeys (id, identity_id, credential_id, public_key, counter, transports, backed_up, name, created_at, discoverable,
             is_second_step)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (credential_id) DO NOTHING`,
    values: [
      passkey.id,
      passkey.identityId,
      passkey.credentialId,
      passkey.publicKey,
      passkey.counter,
      passkey.transports,
      passkey.backedUp,
      passkey.name,
      passkey.createdAt,
      passkey.discoverable,
      passkey.isSecondStep,
    ],
  })
  return result.rowCount === 1
}

/** The oldest first. */
export async function listPasskeys(db: Queryable, identityId: string): Promise<PasskeyRow[]> {
  const result = await db.query<PasskeyRow>({
    name: 'passkeys-list',
    text: `SELECT ${COLUMNS} FROM passkeys WHERE identity_id = $1 ORDER BY created_at, id`,
    values: [identityId],
  })
  return result.rows
}

export async function findPasskeyByCredential(db: Queryable, credentialId: string): Promise<PasskeyRow | null> {
  const result = await db.query<PasskeyRow>({
    name: 'passkey-find',
    text: `SELECT ${COLUMNS} FROM passkeys WHERE credential_id = $1`,
    values: [credentialId],
  })
  return result.rows[0] ?? null
}

/** False when the signature counter has not increased: the authenticator may be cloned (WebAuthn §6.1.1). 0 means no counter. */
export async function advancePasskeyCounter(
  db: Queryable,
  id: string,
  counter: number,
  backedUp: boolean,
  now: Date,
): Promise<boolean> {
  const result = await db.query({
    name: 'passkey-advance',
    text: `UPDATE passkeys SET counter = $2, backed_up = $3, last_used_at = $4
           WHERE id = $1 AND (counter < $2 OR (counter = 0 AND $2 = 0))`,
    values: [id, counter, backedUp, now],
  })
  return result.rowCount === 1
}
