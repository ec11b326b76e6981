import type pg from 'pg'
import { currentSchema } from './postgres.ts'
import { queueSchemaOf } from './queue-tables.ts'

interface Relation {
  schema: string
  name: string
}

/**
 * Grants a role what a running portal needs (least privilege): it reads and writes rows, but changes no table, and can neither
 * change nor delete audit events and their checkpoints. The owner of the tables could always grant itself everything again.
 */
export async function grantToPortal(client: pg.Client, role: string): Promise<void> {
  const queueSchema = queueSchemaOf(await currentSchema(client))
  if (await hasAll(client, role, queueSchema)) return
  const { rows: tables } = await client.query<Relation>(TABLES, [queueSchema])
  const { rows: sequences } = await client.query<Relation>(SEQUENCES, [queueSchema])
  const schemas = new Set([...tables, ...sequences].map(({ schema }) => client.escapeIdentifier(schema)))
  const names = (rows: Relation[]) =>
    rows.map(({ schema, name }) => `${client.escapeIdentifier(schema)}.${client.escapeIdentifier(name)}`).join(', ')
  const to = client.escapeIdentifier(role)
  await client.query(`GRANT USAGE ON SCHEMA ${[...schemas].join(', ')} TO ${to};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ${names(tables)} TO ${to};
    REVOKE UPDATE, DELETE ON audit_events, audit_checkpoints FROM ${to};
    REVOKE INSERT, UPDATE, DELETE ON audit_retention FROM ${to};
    REVOKE INSERT, UPDATE, DELETE ON _prisma_migrations FROM ${to};
    GRANT USAGE ON SEQUENCE ${names(sequences)} TO ${to};
    GRANT EXECUTE ON FUNCTION anonymize_audit_events, prune_audit_checkpoint TO ${to}`)
}

/** Checked at every start, because a GRANT writes to the catalog also where it changes nothing. */
async function hasAll(client: pg.Client, role: string, queueSchema: string): Promise<boolean> {
  const { rows } = await client.query<{ complete: boolean }>(
    `SELECT bool_and(has_table_privilege($2, format('%I.%I', schema, name), 'SELECT')) AS complete FROM (${TABLES}) tables`,
    [queueSchema, role],
  )
  return rows[0]?.complete === true
}

// Tables of other owners in the same schema are left alone.
const relations = (kinds: string) =>
  `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname IN (current_schema(), $1) AND c.relkind IN (${kinds}) AND pg_has_role(c.relowner, 'USAGE')`
const TABLES = relations(`'r', 'p'`)
const SEQUENCES = relations(`'S'`)
