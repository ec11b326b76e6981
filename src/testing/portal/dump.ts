import type { Queryable } from '../../storage/postgres.ts'

/** What periodic jobs write at any time. */
const PERIODIC = ['tallies', 'portal_processes', 'root_secrets', 'audit_checkpoints', 'audit_streams']

/** Every row of the portal, by table, to compare with later ones. */
export async function dump(db: Queryable): Promise<Record<string, string[]>> {
  const tables = await db.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE (schemaname = 'public' AND tablename <> ALL ($1)) OR (schemaname = 'queue' AND tablename = 'job') ORDER BY 1`,
    [PERIODIC],
  )
  const dumped: Record<string, string[]> = {}
  for (const { name } of tables.rows) {
    // The progress of a job is left out.
    const row = name === 'queue.job' ? 't.data' : 't'
    const { rows } = await db.query<{ row: string }>(`SELECT ${row}::text AS row FROM ${name} t ORDER BY 1`)
    dumped[name] = rows.map(({ row }) => row)
  }
  return dumped
}
