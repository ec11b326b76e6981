import { createRequire } from 'node:module'
import type pg from 'pg'

/** The schema that pg-boss keeps its queues in. */
export const QUEUE_SCHEMA = 'queue'

/** Makes the tables of pg-boss, or brings them up to the version of the library that is installed. */
export async function migrateQueues(client: pg.Client): Promise<void> {
  const version = await findVersion(client)
  if (version !== null && version >= libraryVersion()) return
  // Loaded only when it is needed, because every command passes by here.
  const { getConstructionPlans, getMigrationPlans } = await import('pg-boss')
  await client.query(version === null ? getConstructionPlans(QUEUE_SCHEMA) : getMigrationPlans(QUEUE_SCHEMA, version))
}

async function findVersion(client: pg.Client): Promise<number | null> {
  const table = `${QUEUE_SCHEMA}.version`
  const found = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [table])
  if (found.rows[0]?.found !== true) return null
  const { rows } = await client.query<{ version: number }>(`SELECT version FROM ${table}`)
  return rows[0]?.version ?? null
}

function libraryVersion(): number {
  const { pgboss } = createRequire(import.meta.url)('pg-boss/package.json') as { pgboss: { schema: number } }
  return pgboss.schema
}
