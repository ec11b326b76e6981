import type { Queryable } from '../../src/storage/postgres.ts'

/** The size of the families table, in bytes, and PostgreSQL's statistics about it. */
export interface Sizes {
  /** In total, with the free space map. */
  total: number
  heap: number
  indexes: Record<string, number>
  updates: number
  hot_updates: number
  dead_rows: number
  autovacuums: number
}

export async function measureSizes(db: Queryable): Promise<Sizes> {
  const table = await db.query<Omit<Sizes, 'indexes'>>(
    `SELECT pg_total_relation_size(relid)::float8 AS total, pg_relation_size(relid)::float8 AS heap, n_tup_upd::float8 AS updates,
       n_tup_hot_upd::float8 AS hot_updates, n_dead_tup::float8 AS dead_rows, autovacuum_count::int AS autovacuums
     FROM pg_stat_user_tables WHERE relname = 'families'`,
  )
  const indexes = await db.query<{ name: string; size: number }>(
    `SELECT indexrelname AS name, pg_relation_size(indexrelid)::float8 AS size
     FROM pg_stat_user_indexes WHERE relname = 'families' ORDER BY 1`,
  )
  return {
    ...(table.rows[0] as Omit<Sizes, 'indexes'>),
    indexes: Object.fromEntries(indexes.rows.map(({ name, size }) => [name, size])),
  }
}
