import type { Queryable } from './postgres.ts'

/** The kinds of second factors, by their table. */
export const FACTOR_KINDS = ['totp', 'passkey'] as const
export type FactorKind = (typeof FACTOR_KINDS)[number]

const TABLES: Record<FactorKind, string> = { totp: 'totp_keys', passkey: 'passkeys' }

/** The SQL condition that an identity has a second factor; `identityId` is an expression. It and the second steps of `countFactors` agree. */
export const hasSecondFactor = (identityId: string) =>
  `(EXISTS (SELECT FROM totp_keys k WHERE k.identity_id = ${identityId}) OR EXISTS (SELECT FROM passkeys p WHERE p.identity_id = ${identityId} AND p.is_second_step))`

/** `secondSteps` are those that a password alone does not do without; the others are passkeys that sign in alone. */
export async function countFactors(
  db: Queryable,
  identityId: string,
): Promise<{ secondSteps: number; signInOnly: number }> {
  const result = await db.query<{ secondSteps: number; signInOnly: number }>({
    name: 'factors-count',
    text: `SELECT ((SELECT count(*) FROM totp_keys WHERE identity_id = $1) + count(*) FILTER (WHERE is_second_step))::int AS "secondSteps",
             count(*) FILTER (WHERE NOT is_second_step)::int AS "signInOnly"
           FROM passkeys WHERE identity_id = $1`,
    values: [identityId],
  })
  return result.rows[0] as { secondSteps: number; signInOnly: number }
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
