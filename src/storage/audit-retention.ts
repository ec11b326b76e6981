import type { Queryable } from './postgres.ts'

/** How long audit events are kept, as the owner of the tables wrote it (seconds); null for ever. */
export async function findAuditRetention(db: Queryable): Promise<number | null> {
  const { rows } = await db.query<{ seconds: number }>('SELECT seconds::float8 AS seconds FROM audit_retention')
  return rows[0]?.seconds ?? null
}

/** The oldest checkpoint that still has its events. */
export async function findOldestCheckpoint(db: Queryable): Promise<{ number: string; hash: Buffer } | null> {
  const { rows } = await db.query<{ number: string; hash: Buffer }>(
    `SELECT number::text, hash FROM audit_checkpoints WHERE pruned_signature IS NULL ORDER BY audit_checkpoints.number LIMIT 1`,
  )
  return rows[0] ?? null
}

/** Deletes the events of the oldest checkpoint. False when not all of them are older than the retention. */
export async function pruneAuditCheckpoint(db: Queryable, number: string, proof: Buffer): Promise<boolean> {
  const { rows } = await db.query<{ pruned: boolean }>('SELECT prune_audit_checkpoint($1, $2) AS pruned', [
    number,
    proof,
  ])
  return rows[0]?.pruned === true
}

/** Writes how long audit events are kept (seconds; null for ever), if this role may: a running portal with a role of its own may not. */
export async function writeAuditRetention(db: Queryable, seconds: number | null): Promise<void> {
  if ((await findAuditRetention(db)) === seconds) return
  const { rows } = await db.query<{ may: boolean }>(`SELECT has_table_privilege('audit_retention', 'UPDATE') AS may`)
  if (rows[0]?.may !== true) return
  if (seconds === null) await db.query('DELETE FROM audit_retention')
  else
    await db.query(
      'INSERT INTO audit_retention (seconds) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seconds = excluded.seconds',
      [seconds],
    )
}
