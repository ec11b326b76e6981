import type { Queryable } from './postgres.ts'

export interface DeviceRow {
  identityId: string
  hash: Buffer
  firstSeenAt: Date
  lastSeenAt: Date
  browser: string
  address: string
  /** Until when a sign-in with the password needs no second step there; null for a browser that is not trusted. */
  trustedUntil: Date | null
  /** The name that its user gave it. */
  name: string | null
}

export async function findDevice(db: Queryable, identityId: string, hash: Buffer): Promise<DeviceRow | null> {
  const result = await db.query<DeviceRow>({
    name: 'device-find',
    text: `SELECT ${COLUMNS} FROM devices WHERE identity_id = $1 AND hash = $2`,
    values: [identityId, hash],
  })
  return result.rows[0] ?? null
}

/**
 * `trustedUntil` null leaves the trust as it is.
 * @returns whether this identity has not signed in from it before, and whether it had from any other
 */
export async function upsertDevice(
  db: Queryable,
  device: Omit<DeviceRow, 'firstSeenAt' | 'lastSeenAt' | 'name'>,
  now: Date,
): Promise<{ isNew: boolean; hadOthers: boolean }> {
  // In a row that was inserted no transaction has written xmax yet.
  const result = await db.query<{ isNew: boolean; hadOthers: boolean }>({
    name: 'device-upsert',
    text: `INSERT INTO devices (identity_id, hash, first_seen_at, last_seen_at, browser, address, trusted_until) VALUES ($1, $2, $3, $3, $4, $5, $6)
           ON CONFLICT (identity_id, hash) DO UPDATE SET last_seen_at = $3, browser = $4, address = $5,
             trusted_until = coalesce($6, devices.trusted_until)
           RETURNING xmax = 0 AS "isNew", EXISTS (SELECT 1 FROM devices WHERE identity_id = $1 AND hash <> $2) AS "hadOthers"`,
    values: [device.identityId, device.hash, now, device.browser, device.address, device.trustedUntil],
  })
  return result.rows[0] as { isNew: boolean; hadOthers: boolean }
}

/** @returns whether the browser is known */
export async function updateDeviceName(
  db: Queryable,
  identityId: string,
  hash: Buffer,
  name: string | null,
): Promise<boolean> {
  const result = await db.query('UPDATE devices SET name = $3 WHERE identity_id = $1 AND hash = $2', [
    identityId,
    hash,
    name,
  ])
  return result.rowCount === 1
}

/** Forgets known browsers of the identity; `except` stays known. @returns how many were known */
export async function deleteDevices(
  db: Queryable,
  identityId: string,
  choice: { hash: Buffer } | { except: Buffer | null },
): Promise<number> {
  const [condition, hash] = 'hash' in choice ? ['hash = $2', choice.hash] : ['hash IS DISTINCT FROM $2', choice.except]
  const result = await db.query(`DELETE FROM devices WHERE identity_id = $1 AND ${condition}`, [identityId, hash])
  return result.rowCount ?? 0
}

/** Ends the trust in every browser of the identity, or in one. @returns how many were trusted at this time */
export async function endDeviceTrust(
  db: Queryable,
  identityId: string,
  now: Date,
  hash: Buffer | null = null,
): Promise<number> {
  const result = await db.query<{ count: number }>(
    `WITH trusted AS (
       SELECT hash, trusted_until FROM devices WHERE identity_id = $1 AND trusted_until IS NOT NULL
         AND ($3::bytea IS NULL OR hash = $3) FOR UPDATE),
     ended AS (
       UPDATE devices d SET trusted_until = NULL FROM trusted WHERE d.identity_id = $1 AND d.hash = trusted.hash)
     SELECT count(*) FILTER (WHERE trusted_until > $2)::int AS count FROM trusted`,
    [identityId, now, hash],
  )
  return result.rows[0]?.count ?? 0
}

/** The same in the browsers of these identity sessions. */
export async function endDeviceTrustOf(db: Queryable, identityId: string, sessionIds: string[]): Promise<void> {
  await db.query(
    `UPDATE devices SET trusted_until = NULL
     WHERE identity_id = $1 AND trusted_until IS NOT NULL
       AND hash IN (SELECT device_hash FROM identity_sessions WHERE id = ANY ($2::uuid[]))`,
    [identityId, sessionIds],
  )
}

export async function listDevices(db: Queryable, identityId: string): Promise<DeviceRow[]> {
  const result = await db.query<DeviceRow>(
    `SELECT ${COLUMNS} FROM devices WHERE identity_id = $1 ORDER BY last_seen_at DESC LIMIT 200`,
    [identityId],
  )
  return result.rows
}

const COLUMNS = `identity_id AS "identityId", hash, first_seen_at AS "firstSeenAt", last_seen_at AS "lastSeenAt", browser, address,
  name, trusted_until AS "trustedUntil"`
