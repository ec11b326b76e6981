import { createRequire } from 'node:module'
import pg from 'pg'
import { currentSchema } from './postgres.ts'

/** The schema of pg-boss's queues: one of its own, or the one that DATABASE_URL names. */
export function queueSchemaOf(schema: string): string {
  return schema === 'public' ? 'queue' : schema
}

/** A schema as pg-boss takes it: quoted, unless that changes nothing. */
export function asPgBossSchema(schema: string): string {
  return /^[a-z_][a-z\d_]*$/.test(schema) ? schema : pg.escapeIdentifier(schema)
}

/** Makes the tables of pg-boss, or brings them up to the version of the library that is installed. */
export async function migrateQueues(client: pg.Client): Promise<void> {
  const current = await currentSchema(client)
  const schema = queueSchemaOf(current)
  const version = await findVersion(client, schema)
  if (version !== null && version >= libraryVersion()) return
  // Loaded only when it is needed, because every command passes by here.
  const { getConstructionPlans, getMigrationPlans } = await import('pg-boss')
  await client.query(
    version === null
      ? getConstructionPlans(asPgBossSchema(schema), { createSchema: schema !== current })
      : getMigrationPlans(asPgBossSchema(schema), version),
  )
}

async function findVersion(client: pg.Client, schema: string): Promise<number | null> {
  const table = `${client.escapeIdentifier(schema)}.version`
  const found = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [table])
  if (found.rows[0]?.found !== true) return null
  const { rows } = await client.query<{ version: number }>(`SELECT version FROM ${table}`)
  return rows[0]?.version ?? null
}

function libraryVersion(): number {
  const { pgboss } = createRequire(import.meta.url)('pg-boss/package.json') as { pgboss: { schema: number } }
  return pgboss.schema
}
