import type { Queryable } from './postgres.ts'

/** The kinds of second factors, by their table. */
export const FACTOR_KINDS = ['totp', 'passkey'] as const
export type FactorKind = (typeof FACTOR_KINDS)[number]

const TABLES: Record<FactorKind, string> = { totp: 'totp_keys', passkey: 'passkeys' }

export async function countSecondFactors(db: Queryable, identityId: string): Promise<number> {
  const result = await db.query<{ count: number }>({
    name: 'second-factors-count',
    text: `SELECT ((SELECT count(*) FROM totp_keys WHERE identity_id = $1)
             + (SELECT count(*) FROM passkeys WHERE identity_id = $1))::int AS count`,
    values: [identityId],
  })
  return result.rows[0]?.count ?? 0
}

/** @returns the name of what this call deleted; null when this identity has no such factor. */
export async function deleteSecondFactor(
  db: Queryable,
  kind: FactorKind,
  identityId: string,
  id: string,
): Promise<string | null> {
  const result = await db.query<{ name: string }>(
    `DELETE FROM ${TABLES[kind]} WHERE id = $1 AND identity_id = $2 RETURNING name`,
    [id, identityId],
  )
  return result.rows[0]?.name ?? null
}

/** False when this identity has no such factor. */
export async function updateSecondFactorName(
  db: Queryable,
  kind: FactorKind,
  identityId: string,
  id: string,
  name: string,
): Promise<boolean> {
  const result = await db.query(`UPDATE ${TABLES[kind]} SET name = $3 WHERE id = $1 AND identity_id = $2`, [
    id,
    identityId,
    name,
  ])
  return result.rowCount === 1
}
