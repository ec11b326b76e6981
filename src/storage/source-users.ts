import { IDENTITY_COLUMNS, type IdentityRow } from './identities.ts'
import { IDENTITY_LIVES } from './liveness.ts'
import type { Database, Queryable } from './postgres.ts'

/** The identity of the user to whom the identity source has given this id. */
export async function findSourceUser({ pool }: Database, sourceId: string): Promise<IdentityRow | null> {
  const result = await pool.query<IdentityRow>({
    name: 'source-user-find',
    text: `SELECT ${IDENTITY_COLUMNS} FROM identities WHERE source_id = $1`,
    values: [sourceId],
  })
  return result.rows[0] ?? null
}

/** @throws a unique violation when another identity has the id */
export async function updateSourceId(db: Queryable, id: string, sourceId: string): Promise<void> {
  await db.query('UPDATE identities SET source_id = $2 WHERE id = $1', [id, sourceId])
}

export async function updateDisabledBySource(db: Queryable, id: string, isDisabled: boolean): Promise<void> {
  await db.query('UPDATE identities SET disabled_by_source = $2 WHERE id = $1', [id, isDisabled])
}

/** Takes the key of an e-mail address from an identity, so that it can be given to another; the address itself stays. */
export async function withdrawEmailKey(db: Queryable, id: string, now: Date): Promise<void> {
  await db.query('UPDATE identities SET email_key = NULL, email_verified = false, updated_at = $2 WHERE id = $1', [
    id,
    now,
  ])
}

/** The ids in the source of users who are signed in anywhere, or to any app; `after` is the last one of the batch before. */
export async function listSignedInSourceIds(
  { pool }: Database,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const result = await pool.query<{ sourceId: string }>(
    `SELECT source_id AS "sourceId" FROM identities i
     WHERE source_id IS NOT NULL AND ($1::text IS NULL OR source_id > $1) AND ${IDENTITY_LIVES}
       AND (EXISTS (SELECT FROM identity_sessions s WHERE s.identity_id = i.id AND s.ended_at IS NULL)
         OR EXISTS (SELECT FROM families f WHERE f.identity_id = i.id AND f.ended_at IS NULL))
     ORDER BY source_id LIMIT $2`,
    [after, limit],
  )
  return result.rows.map(({ sourceId }) => sourceId)
}
