import type { Queryable } from './postgres.ts'

/** Until this transaction ends, no other one takes an administrator away, or makes the first one. */
export async function lockAdministrators(db: Queryable): Promise<void> {
  await db.query("SELECT pg_advisory_xact_lock(hashtextextended('gatehouse administrators', 0))")
}
