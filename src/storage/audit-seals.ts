import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from './postgres.ts'

/** Columns of an audit event that stay for as long as the event does. */
export const LASTING_COLUMNS = ['id', 'at', 'kind', 'client_id', 'cause', 'actor', 'actor_id', 'actor_address'] as const
/** Columns that erasing an account empties. */
export const PERSONAL_COLUMNS = [
  'identity_id',
  'family_id',
  'identity_session_id',
  'detail',
  'browser',
  'address',
] as const

/** An audit event as it is sealed: every column as a text, the time in seconds since 1970 to the microsecond. */
export interface SealedRow {
  id: string
  lasting: (string | null)[]
  personal: (string | null)[]
  erasureProof: Buffer | null
}

// Not formatted by the session's settings, and "Infinity" has a text, too.
const textOf = (column: string) => (column === 'at' ? 'extract(epoch FROM at)::text' : `${column}::text`)
const ROW = `id::text, ARRAY[${LASTING_COLUMNS.map(textOf).join(', ')}] AS lasting,
  ARRAY[${PERSONAL_COLUMNS.map(textOf).join(', ')}] AS personal, erasure_proof AS "erasureProof"`

/** The next events after `after` up to `to`, in the order of their ids, `limit` at most. */
export async function listSealedRows(
  db: Queryable,
  { after, to }: { after: string; to: string },
  limit: number,
): Promise<SealedRow[]> {
  const { rows } = await db.query<SealedRow>(
    `SELECT ${ROW} FROM audit_events WHERE id > $1::bigint AND id <= $2::bigint ORDER BY audit_events.id LIMIT $3`,
    [after, to, limit],
  )
  return rows
}

export interface CheckpointRow {
  number: string
  fromId: string
  toId: string
  at: Date
  count: number
  leaves: Buffer | null
  root: Buffer
  previous: Buffer
  hash: Buffer
  signature: Buffer
  prunedSignature: Buffer | null
}

const CHECKPOINT = `number::text, from_id::text AS "fromId", to_id::text AS "toId", at, count, root, previous, hash, signature,
  pruned_signature AS "prunedSignature"`

/** The newest checkpoint, without its leaves; null before the first. */
export async function findNewestCheckpoint(db: Queryable): Promise<Omit<CheckpointRow, 'leaves'> | null> {
  const { rows } = await db.query<CheckpointRow>(
    `SELECT ${CHECKPOINT} FROM audit_checkpoints ORDER BY audit_checkpoints.number DESC LIMIT 1`,
  )
  return rows[0] ?? null
}

/** The hash of a checkpoint; null when there is none of this number. */
export async function findCheckpointHash(db: Queryable, number: string): Promise<Buffer | null> {
  const { rows } = await db.query<{ hash: Buffer }>('SELECT hash FROM audit_checkpoints WHERE number = $1', [number])
  return rows[0]?.hash ?? null
}

/** The next checkpoints after the one of this number, with their leaves, `limit` at most. */
export async function listCheckpoints(db: Queryable, after: string, limit: number): Promise<CheckpointRow[]> {
  const { rows } = await db.query<CheckpointRow>(
    `SELECT ${CHECKPOINT}, leaves FROM audit_checkpoints WHERE number > $1::bigint ORDER BY audit_checkpoints.number LIMIT $2`,
    [after, limit],
  )
  return rows
}

export async function insertCheckpoint(db: Queryable, row: Omit<CheckpointRow, 'prunedSignature'>): Promise<void> {
  await db.query(
    `INSERT INTO audit_checkpoints (number, from_id, to_id, at, count, leaves, root, previous, hash, signature)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [row.number, row.fromId, row.toId, row.at, row.count, row.leaves, row.root, row.previous, row.hash, row.signature],
  )
}

/** Keeps other processes from sealing until the end of the transaction. False while another one seals. */
export async function lockSealing(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ locked: boolean }>(
    `SELECT pg_try_advisory_xact_lock(hashtextextended('gatehouse audit seal ' || current_schema(), 0)) AS locked`,
  )
  return rows[0]?.locked === true
}

/** How often, and how long apart (ms), running transactions are looked at again. */
const LOOKS = 50
const APART_MS = 100

/**
 * An id up to which no further event can appear; null while a transaction that may write one goes on. Ids are given out before the
 * commit, so a lower one can become visible after a higher one: this waits for the transactions that held a lock for writing when
 * the id was read.
 */
export async function findSettledId(db: Queryable, signal?: AbortSignal): Promise<string | null> {
  const last = await db.query<{ id: string | null }>(
    `SELECT pg_sequence_last_value(pg_get_serial_sequence('audit_events', 'id')::regclass)::text AS id`,
  )
  const id = last.rows[0]?.id ?? '0'
  // Read after the id: a transaction takes this lock before it takes an id, and gives it back after its commit is visible.
  let writers = await listWriters(db, null)
  for (let looks = 0; writers.length > 0 && looks < LOOKS; looks++) {
    await sleep(APART_MS, undefined, { signal }).catch(() => {})
    if (signal?.aborted === true) return null
    writers = await listWriters(db, writers)
  }
  return writers.length === 0 ? id : null
}

/** The transactions that may write audit events, of these ones. */
async function listWriters(db: Queryable, among: string[] | null): Promise<string[]> {
  const { rows } = await db.query<{ writer: string }>(
    `SELECT DISTINCT virtualtransaction AS writer FROM pg_locks
     WHERE locktype = 'relation' AND relation = 'audit_events'::regclass
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND mode = 'RowExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()
       AND ($1::text[] IS NULL OR virtualtransaction = ANY ($1))`,
    [among],
  )
  return rows.map(({ writer }) => writer)
}

/** When the first event after this id was; null where there is none. */
export async function findEventAfter(db: Queryable, after: string): Promise<Date | null> {
  const { rows } = await db.query<{ at: Date }>(
    'SELECT at FROM audit_events WHERE id > $1::bigint ORDER BY id LIMIT 1',
    [after],
  )
  return rows[0]?.at ?? null
}

/** How many events are after this id, and when the first of them was. */
export async function countEventsAfter(db: Queryable, after: string): Promise<{ count: number; since: Date | null }> {
  const { rows } = await db.query<{ count: number; since: Date | null }>(
    `SELECT count(*)::int AS count, (SELECT at FROM audit_events WHERE id > $1::bigint ORDER BY id LIMIT 1) AS since
     FROM audit_events WHERE id > $1::bigint`,
    [after],
  )
  return rows[0] as { count: number; since: Date | null }
}
