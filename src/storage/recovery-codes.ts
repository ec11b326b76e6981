import type { Queryable } from './postgres.ts'

/** Replaces all codes of an identity by a new set. */
export async function replaceRecoveryCodes(
  db: Queryable,
  identityId: string,
  hashes: Buffer[],
  now: Date,
): Promise<void> {
  await db.query('DELETE FROM recovery_codes WHERE identity_id = $1', [identityId])
  await db.query(
    'INSERT INTO recovery_codes (identity_id, hash, created_at) SELECT $1, hash, $3 FROM unnest($2::bytea[]) AS hash',
    [identityId, hashes, now],
  )
}

/** True for the one call that used a code with one of these hashes, however many race. */
export async function markRecoveryCodeUsed(
  db: Queryable,
  identityId: string,
  hashes: Buffer[],
  now: Date,
): Promise<boolean> {
  const result = await db.query({
    name: 'recovery-code-use',
    text: 'UPDATE recovery_codes SET used_at = $3 WHERE identity_id = $1 AND hash = ANY ($2::bytea[]) AND used_at IS NULL',
    values: [identityId, hashes, now],
  })
  return result.rowCount === 1
}

/** How many are left; with `hashes`, how many of these. */
export async function countRecoveryCodes(
  db: Queryable,
  identityId: string,
  hashes: Buffer[] | null = null,
): Promise<number> {
  const result = await db.query<{ count: number }>({
    name: 'recovery-codes-count',
    text: 'SELECT count(*)::int AS count FROM recovery_codes WHERE identity_id = $1 AND used_at IS NULL AND ($2::bytea[] IS NULL OR hash = ANY ($2))',
    values: [identityId, hashes],
  })
  return result.rows[0]?.count ?? 0
}
