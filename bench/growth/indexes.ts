import type { Queryable } from '../../src/storage/postgres.ts'
import { say } from '../output.ts'

/**
 * Fills tables without their indexes and constraints, then creates those again from PostgreSQL's own definitions. Random ids
 * hit a different page of every index with every row; with 500,000 families this takes a third of the time.
 */
export async function withoutIndexes(db: Queryable, tables: string[], work: () => Promise<void>): Promise<void> {
  // Foreign keys, those of other tables included, are dropped first, because they depend on the primary keys, and so are created last.
  const constraints = await db.query<Described & { table: string }>(
    `SELECT conrelid::regclass::text AS table, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
     FROM pg_constraint WHERE (conrelid = ANY ($1::regclass[]) AND contype IN ('f', 'p', 'u')) OR (confrelid = ANY ($1::regclass[]) AND contype = 'f')
     ORDER BY contype = 'f' DESC`,
    [tables],
  )
  for (const { table, name } of constraints.rows) await db.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`)
  // The indexes of the keys have gone with them.
  const indexes = await db.query<Described>(
    `SELECT quote_ident(indexname) AS name, indexdef AS definition FROM pg_indexes
     WHERE schemaname = current_schema() AND tablename = ANY ($1)`,
    [tables],
  )
  for (const { name } of indexes.rows) await db.query(`DROP INDEX ${name}`)

  await work()

  say('  indexes and references')
  for (const { definition } of indexes.rows) await db.query(definition)
  for (const { table, name, definition } of constraints.rows.toReversed())
    await db.query(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`)
}

/** A database object, and the SQL that creates it. */
interface Described {
  name: string
  definition: string
}
