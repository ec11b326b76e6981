import type { Queryable } from './postgres.ts'

/**
 * Deletes up to `limit` families that ended before then. SKIP LOCKED: no process waits for another. @returns how many were
 * deleted; fewer than `limit` when the rest is locked.
 */
export async function deleteEndedFamilies(db: Queryable, before: Date, limit: number): Promise<number> {
  // An array and an order leave the planner one way, by the index, however many rows there are to choose from.
  const result = await db.query(
    `DELETE FROM families WHERE id = ANY (
       ARRAY(SELECT id FROM families WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

/**
 * Deletes up to `limit` families of an identity, living or not. The ids of those that ended after `since` stay, for the
 * revocation feed. @returns how many were deleted
 */
export async function eraseFamiliesOf(db: Queryable, identityId: string, since: Date, limit: number): Promise<number> {
  const result = await db.query<{ count: number }>(
    `WITH gone AS (DELETE FROM families WHERE id = ANY (ARRAY(SELECT id FROM families WHERE identity_id = $1 LIMIT $2))
       RETURNING id, ended_at),
     kept AS (INSERT INTO erased_families SELECT id, ended_at FROM gone WHERE ended_at > $3)
     SELECT count(*)::int AS count FROM gone`,
    [identityId, limit, since],
  )
  return result.rows[0]?.count ?? 0
}

/** Deletes up to `limit` ids of erased families that ended before then. @returns how many were deleted */
export async function deleteErasedFamilies(db: Queryable, before: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM erased_families WHERE id = ANY (
       ARRAY(SELECT id FROM erased_families WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}
