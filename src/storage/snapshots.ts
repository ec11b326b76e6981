import type pg from 'pg'
import { type Queryable, transaction } from './postgres.ts'

/**
 * Reads everything in `work` as it was at one moment, however long it takes. Nothing waits for it, and it changes nothing. Times
 * are UTC, and bytes hexadecimal, in every database.
 */
export async function withSnapshot<T>(pool: pg.Pool, work: (db: Queryable) => Promise<T>): Promise<T> {
  return transaction(pool, async (db) => {
    await db.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await db.query(`SET LOCAL idle_in_transaction_session_timeout = 0`)
    await db.query(`SET LOCAL timezone = 'UTC'`)
    await db.query(`SET LOCAL bytea_output = 'hex'`)
    return work(db)
  })
}

export interface SnapshotTable {
  table: string
  columns: readonly string[]
}

/** Up to `limit` rows in the order of their key, after this one, each as the text of a JSON object. */
export async function listSnapshotRows(
  db: Queryable,
  { table, columns, key }: SnapshotTable & { key: string },
  after: string | null,
  limit: number,
): Promise<{ key: string; row: string }[]> {
  const result = await db.query<{ key: string; row: string }>(
    `SELECT r.${key}::text AS key, to_jsonb(r)::text AS row FROM (
       SELECT ${columns.join(', ')} FROM ${table} ${after === null ? '' : `WHERE ${key} > $2`} ORDER BY ${key} LIMIT $1) r`,
    after === null ? [limit] : [limit, after],
  )
  return result.rows
}

/** The rows that belong to one of these, in their order, each as the text of a JSON object. */
export async function listSnapshotParts(
  db: Queryable,
  { table, columns, of }: SnapshotTable & { of: string },
  keys: string[],
): Promise<string[]> {
  const result = await db.query<{ row: string }>(
    `SELECT to_jsonb(r)::text AS row FROM (SELECT ${columns.join(', ')} FROM ${table} WHERE ${of} = ANY ($1)) r`,
    [keys],
  )
  return result.rows.map(({ row }) => row)
}

/** Inserts rows that were read from a snapshot. `rows` is the text of a JSON array. @throws a unique or foreign key violation */
export async function insertSnapshotRows(
  db: Queryable,
  { table, columns }: SnapshotTable,
  rows: string,
): Promise<void> {
  const names = columns.join(', ')
  await db.query(`INSERT INTO ${table} (${names}) SELECT ${names} FROM jsonb_populate_recordset(NULL::${table}, $1)`, [
    rows,
  ])
}

/** The names of the migrations that this database has, in order. */
export async function listMigrations(db: Queryable): Promise<string[]> {
  const result = await db.query<{ name: string }>(
    'SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY 1',
  )
  return result.rows.map(({ name }) => name)
}
