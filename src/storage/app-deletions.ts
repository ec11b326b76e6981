import type { Queryable } from './postgres.ts'

/** The apps that were deleted before a time, and of which no family lives and no notification waits. */
export async function listSettledDeletions(db: Queryable, before: Date): Promise<string[]> {
  const result = await db.query<{ clientId: string }>(
    `SELECT client_id AS "clientId" FROM apps a WHERE deleted_at < $1
       AND NOT EXISTS (SELECT FROM families f WHERE f.client_id = a.client_id AND f.ended_at IS NULL)
       AND NOT EXISTS (SELECT FROM notices n WHERE n.client_id = a.client_id AND n.confirmed_at IS NULL AND n.given_up_at IS NULL)`,
    [before],
  )
  return result.rows.map(({ clientId }) => clientId)
}

/** Takes the roles that identities have in a deleted app, of `limit` of them. @returns of how many */
export async function deleteRolesInApp(db: Queryable, clientId: string, limit: number): Promise<number> {
  const result = await db.query(
    `UPDATE identities SET app_roles = app_roles - $1 WHERE id IN
       (SELECT id FROM identities WHERE app_roles ? $1 ORDER BY id LIMIT $2 FOR NO KEY UPDATE)`,
    [clientId, limit],
  )
  return result.rowCount ?? 0
}

/**
 * Deletes the families of a deleted app among the `limit` next ones of all apps, by id: no index finds those that have ended.
 * @param after the id to go on from @returns where to go on, null at the end
 */
export async function deleteFamiliesOfApp(
  db: Queryable,
  clientId: string,
  after: string | null,
  limit: number,
): Promise<string | null> {
  const result = await db.query<{ last: string | null }>(
    `WITH batch AS (SELECT id, client_id FROM families WHERE $2::uuid IS NULL OR id > $2 ORDER BY id LIMIT $3),
       gone AS (DELETE FROM families f USING batch WHERE f.id = batch.id AND batch.client_id = $1)
     SELECT max(id::text)::uuid AS last FROM batch`,
    [clientId, after, limit],
  )
  return result.rows[0]?.last ?? null
}

/** Deletes the row of a deleted app, and what is left of it: notifications, consents, what users have read. */
export async function deleteApp(db: Queryable, clientId: string): Promise<boolean> {
  const { rowCount } = await db.query('DELETE FROM apps WHERE client_id = $1 AND deleted_at IS NOT NULL', [clientId])
  return rowCount === 1
}
