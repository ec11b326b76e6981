import type { Queryable } from './postgres.ts'

/** A row of a family timeline: how often an outcome of its kind happened; client and generation are of the last time. */
export interface TimelineRow {
  kind: string
  count: number
  firstAt: Date
  lastAt: Date
  /** Of the refresh token that was presented. */
  generation: number | null
  browser: string
  address: string
}

export type NewTimelineRow = TimelineRow & { familyId: string }

/** Adds to the count of this kind. Nothing happens when the family no longer exists. */
export async function upsertTimelineRow(db: Queryable, entry: NewTimelineRow): Promise<void> {
  await db.query({
    name: 'ledger-upsert',
    text: `INSERT INTO ledger_entries AS e (family_id, kind, count, first_at, last_at, generation, browser, address)
     SELECT id, $2, $3, $4, $5, $6, $7, $8 FROM families WHERE id = $1
     ON CONFLICT (family_id, kind) DO UPDATE SET count = e.count + excluded.count, last_at = greatest(e.last_at, excluded.last_at),
       generation = excluded.generation, browser = excluded.browser, address = excluded.address`,
    values: [
      entry.familyId,
      entry.kind,
      entry.count,
      entry.firstAt,
      entry.lastAt,
      entry.generation,
      entry.browser,
      entry.address,
    ],
  })
}

export async function listTimelineRows(db: Queryable, familyId: string): Promise<TimelineRow[]> {
  const result = await db.query<TimelineRow>(
    `SELECT kind, count, first_at AS "firstAt", last_at AS "lastAt", generation, browser, address
     FROM ledger_entries WHERE family_id = $1 ORDER BY first_at, kind`,
    [familyId],
  )
  return result.rows
}
