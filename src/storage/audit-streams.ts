import type { Queryable } from './postgres.ts'

/** How far the audit log has been sent to a receiver. */
export interface AuditStreamRow {
  /** The last event that the receiver has. */
  lastId: string
  /** The last event of the batch that was begun; null between two. */
  batchTo: string | null
  failures: number
}

/** Does nothing when there is one of this name: it goes on where it was. */
export async function insertAuditStream(db: Queryable, name: string, lastId: string, now: Date): Promise<void> {
  await db.query(
    `INSERT INTO audit_streams (name, last_id, leased_until) VALUES ($1, $2::bigint, $3) ON CONFLICT (name) DO NOTHING`,
    [name, lastId, now],
  )
}

export async function hasAuditStream(db: Queryable, name: string): Promise<boolean> {
  return (await db.query('SELECT 1 FROM audit_streams WHERE name = $1', [name])).rowCount === 1
}

/** Takes or renews the lease. Null while another process has it, and until the time of the next attempt. */
export async function claimAuditStream(
  db: Queryable,
  name: string,
  holder: string,
  { now, until }: { now: Date; until: Date },
): Promise<AuditStreamRow | null> {
  const { rows } = await db.query<AuditStreamRow>(
    `UPDATE audit_streams SET holder = $2, leased_until = $4 WHERE name = $1 AND (leased_until <= $3 OR holder = $2)
     RETURNING last_id::text AS "lastId", batch_to::text AS "batchTo", failures`,
    [name, holder, now, until],
  )
  return rows[0] ?? null
}

export interface AuditStreamState extends AuditStreamRow {
  problem: string | null
  /** Null gives the lease back; no process gets it before `leasedUntil`. */
  holder: string | null
  leasedUntil: Date
}

/** False when this process has the lease no more. */
export async function updateAuditStream(
  db: Queryable,
  name: string,
  holder: string,
  state: AuditStreamState,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE audit_streams SET last_id = $3::bigint, batch_to = $4::bigint, failures = $5, problem = $6, holder = $7, leased_until = $8
     WHERE name = $1 AND holder = $2`,
    [name, holder, state.lastId, state.batchTo, state.failures, state.problem, state.holder, state.leasedUntil],
  )
  return rowCount === 1
}
