import type { Queryable } from './postgres.ts'

export interface DeviceRow {
  identityId: string
  hash: Buffer
  firstSeenAt: Date
  lastSeenAt: Date
  browser: string
  address: string
}

export async function findDevice(db: Queryable, identityId: string, hash: Buffer): Promise<DeviceRow | null> {
  const result = await db.query<DeviceRow>({
    name: 'device-find',
    text: `SELECT ${COLUMNS} FROM devices WHERE identity_id = $1 AND hash = $2`,
    values: [identityId, hash],
  })
  return result.rows[0] ?? null
}

/** @returns whether this identity has not signed in from it before, and whether it had from any other */
export async function upsertDevice(
  db: Queryable,
  device: Omit<DeviceRow, 'firstSeenAt' | 'lastSeenAt'>,
  now: Date,
): Promise<{ isNew: boolean; hadOthers: boolean }> {
  // In a row that was inserted no transaction has written xmax yet.
  const result = await db.query<{ isNew: boolean; hadOthers: boolean }>({
    name: 'device-upsert',
    text: `INSERT INTO devices (identity_id, hash, first_seen_at, last_seen_at, browser, address) VALUES ($1, $2, $3, $3, $4, $5)
           ON CONFLICT (identity_id, hash) DO UPDATE SET last_seen_at = $3, browser = $4, address = $5
           RETURNING xmax = 0 AS "isNew", EXISTS (SELECT 1 FROM devices WHERE identity_id = $1 AND hash <> $2) AS "hadOthers"`,
    values: [device.identityId, device.hash, now, device.browser, device.address],
  })
  return result.rows[0] as { isNew: boolean; hadOthers: boolean }
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

export async function listDevices(db: Queryable, identityId: string): Promise<DeviceRow[]> {
  const result = await db.query<DeviceRow>(
    `SELECT ${COLUMNS} FROM devices WHERE identity_id = $1 ORDER BY last_seen_at DESC LIMIT 200`,
    [identityId],
  )
  return result.rows
}

const COLUMNS = `identity_id AS "identityId", hash, first_seen_at AS "firstSeenAt", last_seen_at AS "lastSeenAt", browser, address`
