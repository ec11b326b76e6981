import type { Queryable } from './postgres.ts'

/** A count of some time, with the name that the app has now. */
export type SummedTally = Omit<TallyRow, 'seconds'> & { appName: string | null }

export interface TallyRow {
  /** When the time begins that was counted. */
  at: Date
  /** How long it is. */
  seconds: number
  kind: string
  /** Empty for no app. */
  clientId: string
  count: number
}

/** Adds to what was counted, in one statement; any number of processes may. */
export async function addTallies(db: Queryable, tallies: TallyRow[]): Promise<void> {
  if (tallies.length === 0) return
  // In one order, so that processes that add at the same moment do not wait for each other in a circle.
  const sorted = tallies.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
  const column = (name: keyof TallyRow) => sorted.map((tally) => tally[name])
  await db.query({
    name: 'tallies-add',
    text: `INSERT INTO tallies (at, seconds, kind, client_id, count)
      SELECT * FROM unnest($1::timestamptz[], $2::int[], $3::text[], $4::text[], $5::bigint[])
      ON CONFLICT (at, seconds, kind, client_id) DO UPDATE SET count = tallies.count + EXCLUDED.count`,
    values: [column('at'), column('seconds'), column('kind'), column('clientId'), column('count')],
  })
}

function keyOf({ at, seconds, kind, clientId }: TallyRow): string {
  return `${at.getTime()} ${seconds} ${kind} ${clientId}`
}

/**
 * What was counted from then on, as sums over times of `seconds`, or the greatest number for `gauges`. @param clientId of this app
 * alone; null for all
 */
export async function listTallies(
  db: Queryable,
  { from, seconds, clientId, gauges }: { from: Date; seconds: number; clientId: string | null; gauges: string[] },
): Promise<SummedTally[]> {
  const result = await db.query<SummedTally>(
    `SELECT date_bin(make_interval(secs => $2), at, $1) AS at, kind, tallies.client_id AS "clientId", apps.name AS "appName",
       (CASE WHEN kind = ANY ($4) THEN max(count) ELSE sum(count) END)::float8 AS count
     FROM tallies LEFT JOIN apps ON apps.client_id = tallies.client_id
     WHERE at >= $1 AND ($3::text IS NULL OR tallies.client_id = $3) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3`,
    [from, seconds, clientId, gauges],
  )
  return result.rows
}

/** How often something that belongs to no app was counted from then on. */
export async function sumTallies(db: Queryable, kind: string, from: Date): Promise<number> {
  const { rows } = await db.query<{ sum: number }>(
    "SELECT COALESCE(sum(count), 0)::float8 AS sum FROM tallies WHERE kind = $1 AND client_id = '' AND at >= $2",
    [kind, from],
  )
  return rows[0]?.sum ?? 0
}

/** Rolls up to `limit` rows of one length that ended before then into longer ones. @returns how many */
export async function rollUpTallies(
  db: Queryable,
  { from, to, before, gauges }: { from: number; to: number; before: Date; gauges: string[] },
  limit: number,
): Promise<number> {
  const result = await db.query<{ rolled: number }>(
    `WITH old AS (
       DELETE FROM tallies WHERE (at, seconds, kind, client_id) IN (
         SELECT at, seconds, kind, client_id FROM tallies WHERE at < $3 AND seconds = $1 ORDER BY at LIMIT $5 FOR UPDATE SKIP LOCKED)
       RETURNING *),
     added AS (
       INSERT INTO tallies (at, seconds, kind, client_id, count)
       SELECT date_bin(make_interval(secs => $2::int), at, 'epoch'), $2::int, kind, client_id,
         CASE WHEN kind = ANY ($4) THEN max(count) ELSE sum(count) END FROM old GROUP BY 1, 2, 3, 4
       ON CONFLICT (at, seconds, kind, client_id) DO UPDATE
         SET count = CASE WHEN tallies.kind = ANY ($4) THEN greatest(tallies.count, EXCLUDED.count) ELSE tallies.count + EXCLUDED.count END)
     SELECT count(*)::int AS rolled FROM old`,
    [from, to, before, gauges, limit],
  )
  return result.rows[0]?.rolled ?? 0
}

/** Deletes up to `limit` rows from before then, and returns how many. */
export async function deletePastTallies(db: Queryable, before: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM tallies WHERE (at, seconds, kind, client_id) IN (
       SELECT at, seconds, kind, client_id FROM tallies WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

/**
 * Counts the families that have not ended, for each app and, under the empty id, for all. One process at a time does, and once for
 * each `at`. False when it was done, or another process is doing it.
 */
export async function snapshotFamilies(
  db: Queryable,
  { at, seconds, kind }: Pick<TallyRow, 'at' | 'seconds' | 'kind'>,
): Promise<boolean> {
  const { rows } = await db.query<{ locked: boolean }>(
    `SELECT pg_try_advisory_xact_lock(hashtext('tallies ' || current_schema())) AS locked`,
  )
  if (rows[0]?.locked !== true) return false
  // In a statement of its own: one that had begun before another process committed would not see its rows.
  const counted = await db.query(
    `SELECT FROM tallies WHERE at = $1 AND seconds = $2 AND kind = $3 AND client_id = ''`,
    [at, seconds, kind],
  )
  if (counted.rowCount !== 0) return false
  await db.query(
    `INSERT INTO tallies (at, seconds, kind, client_id, count)
     SELECT $1, $2::int, $3, coalesce(client_id, ''), count(*) FROM families WHERE ended_at IS NULL GROUP BY ROLLUP (client_id)`,
    [at, seconds, kind],
  )
  return true
}
